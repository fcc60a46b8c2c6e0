//! What a simulated client is: it is told what happens and says what to send.

use core::time::Duration;

use serde::Serialize;
use sluicegate::{BreakerState, Engine, Policy, Rng, Timestamp};

use crate::error::ErrorKind;
use crate::gate::GateError;
use crate::scenario::Scenario;

/// A call of the application as its client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCall {
    /// Its name; no two calls of a run share one.
    pub number: u32,
    /// Whom it is made for.
    pub tenant: u32,
    /// The conversation that it belongs to.
    pub conversation: Option<u64>,
    /// What the service reserves for it, in quota tokens, as far as its client can know.
    pub tokens: u64,
    /// How much of its prompt a cache may hold, in tokens.
    pub cached_tokens: u64,
    /// The output cap that is part of `tokens`.
    pub max_tokens: Option<u64>,
    /// When its answer is due.
    pub deadline: Option<Timestamp>,
}

/// What comes back from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientReply {
    /// The answer.
    Answer {
        /// Quota tokens it settled at, by the usage it names.
        settled: u64,
        /// Tokens of output, by the same.
        output_tokens: u64,
    },
    /// An error instead of an answer.
    Error {
        /// Which.
        error: ErrorKind,
        /// The service's word on when to come back.
        retry_after: Option<Duration>,
        /// Whether part of an answer came before it.
        delivered: bool,
        /// Whether it was worked on, and charged.
        charged: bool,
    },
    /// The connection was cut.
    Cut,
    /// The client gave it up.
    Aborted {
        /// Quota tokens it settled at; 0 if it was not being worked on.
        settled: u64,
    },
}

/// How a client ends a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// With an answer.
    Answered,
    /// With a refusal of its own, before the service has given the last word.
    Refused(&'static str),
    /// With an error that says that the caller sends too much.
    Throttled,
    /// With another error.
    Failed(&'static str),
    /// The caller did not wait any longer.
    GaveUp,
}

impl End {
    /// A stable name, for tables.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Answered => "answered".to_owned(),
            Self::Refused(why) => format!("refused: {why}"),
            Self::Throttled => "throttled".to_owned(),
            Self::Failed(error) => format!("failed: {error}"),
            Self::GaveUp => "gave up".to_owned(),
        }
    }
}

/// What a client wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Send { call: u32, lane: usize, attempt: u64, max_tokens: Option<u64> },
    Abort { call: u32, attempt: u64 },
    Timer { at: Timestamp, token: u64 },
    End { call: u32, end: End, retry_at: Option<Timestamp> },
}

/// How a client acts.
pub struct Io<'a> {
    pub(crate) actions: &'a mut Vec<Action>,
    /// The client's own generator.
    pub rng: &'a mut dyn Rng,
}

impl core::fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Io").field("actions", &self.actions).finish_non_exhaustive()
    }
}

impl Io<'_> {
    /// Sends an attempt for a call to the lane at this place of the service's configuration. `attempt` comes back with
    /// the reply; a call may have several out.
    pub fn send(&mut self, call: u32, lane: usize, attempt: u64) {
        self.actions.push(Action::Send { call, lane, attempt, max_tokens: None });
    }

    /// The same with another output cap than the call's own.
    pub fn send_capped(&mut self, call: u32, lane: usize, attempt: u64, max_tokens: Option<u64>) {
        self.actions.push(Action::Send { call, lane, attempt, max_tokens });
    }

    /// Gives up one attempt; what it cost comes back as [`ClientReply::Aborted`], unless its own reply is on its way.
    pub fn abort(&mut self, call: u32, attempt: u64) {
        self.actions.push(Action::Abort { call, attempt });
    }

    /// Asks for [`Client::timer`] at a moment.
    pub fn timer(&mut self, at: Timestamp, token: u64) {
        self.actions.push(Action::Timer { at, token });
    }

    /// Ends a call.
    pub fn end(&mut self, call: u32, end: End) {
        self.actions.push(Action::End { call, end, retry_at: None });
    }

    /// Ends a call with a refusal that says when another try could help.
    pub fn refuse(&mut self, call: u32, why: &'static str, retry_at: Option<Timestamp>) {
        self.actions.push(Action::End { call, end: End::Refused(why), retry_at });
    }

    /// One draw, scaled evenly to a duration from zero to `most`.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(sluicegate::random::scale(self.rng.next_u64(), most))
    }
}

/// A policy at work: sluicegate's engine, or a peer.
///
/// Each call must be ended exactly once, unless its caller gives up; the attempts that are out then are abandoned, and
/// nothing comes back from them.
pub trait Client: core::fmt::Debug {
    /// A call is made.
    fn call(&mut self, now: Timestamp, call: &ClientCall, io: &mut Io<'_>);

    /// An attempt has ended.
    fn reply(&mut self, now: Timestamp, call: u32, attempt: u64, reply: &ClientReply, io: &mut Io<'_>);

    /// A timer has run out.
    fn timer(&mut self, _now: Timestamp, _token: u64, _io: &mut Io<'_>) {}

    /// The caller has given up; the call is over.
    fn gave_up(&mut self, _now: Timestamp, _call: u32, _io: &mut Io<'_>) {}

    /// When the client wants to be woken, besides its timers.
    fn next_wake(&self) -> Option<Timestamp> {
        None
    }

    /// That time has come.
    fn wake(&mut self, _now: Timestamp, _io: &mut Io<'_>) {}

    /// The engine inside, where there is one.
    fn engine(&self) -> Option<&Engine> {
        None
    }

    /// The breaker in front of a lane, where there is one.
    fn breaker(&self, _lane: usize) -> Option<BreakerState> {
        None
    }

    /// Puts another policy in force; a client that has none does nothing.
    ///
    /// # Errors
    /// The policy does not fit the scenario; the old one stays in force.
    fn reconfigure(
        &mut self,
        _now: Timestamp,
        _policy: &Policy,
        _scenario: &Scenario,
        _io: &mut Io<'_>,
    ) -> Result<(), GateError> {
        Ok(())
    }

    /// Whether its caller hangs up when the answer is due, since the client knows no deadlines. A client that knows them
    /// may let an attempt that is out come to its end.
    fn is_left_at_the_deadline(&self) -> bool {
        true
    }
}
