//! The engine with a generator and the books of those who wait: what the gates of Kotlin and Swift are made of.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rand::Rng as _;
use sluicegate::{AttemptId, CallId, EndpointId, Snapshot, Timestamp};

use crate::appraiser::{CallOptions, Plan};
use crate::errors::{InputError, SnapshotError};
use crate::event::Event;
use crate::explain::Explanation;
use crate::outcome::{EndReason, Outcome};
use crate::pieces::lock;
use crate::policy::{Endpoint, Policy};

/// The engine with a generator and the books of those who wait. It has no clock and never waits.
///
/// Whoever owns it hands in the time with each operation. After each, `news` says which calls have a turn to take and when to
/// wake the desk. A caller takes its turns, makes each attempt, reports how it ended, and leaves whenever it likes; what it
/// still held is settled then.
#[derive(uniffi::Object)]
pub(crate) struct Desk(Mutex<sluicegate_driver::Desk>);

/// An attempt that is to be made now.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub(crate) struct Attempt {
    /// Its name.
    pub(crate) id: u64,
    /// Where to send it.
    pub(crate) endpoint: Endpoint,
    /// The endpoint's place in the policy's endpoints.
    pub(crate) endpoint_id: u16,
    /// 1 for the call's first attempt.
    pub(crate) number: u32,
    /// The cap on the answer to ask for in place of the request's own; nothing for its own.
    pub(crate) max_tokens: Option<u32>,
}

/// What a call is to do next.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub(crate) enum Turn {
    /// Send an attempt and report its end.
    Send {
        /// The attempt.
        attempt: Attempt,
    },
    /// Send a second attempt beside the one that is out, and report its end as well.
    Hedge {
        /// The attempt.
        attempt: Attempt,
    },
    /// Give this attempt up, the other one has ended the call: stop it and report it as cancelled.
    Abort {
        /// The attempt.
        attempt: u64,
    },
    /// The call is over.
    End {
        /// How it ended.
        reason: EndReason,
    },
}

/// An event and when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Record)]
pub(crate) struct TimedEvent {
    /// When, in microseconds since the origin.
    at: u64,
    /// What.
    event: Event,
}

/// What an operation has brought about.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub(crate) struct News {
    /// Calls with a turn to take. The same one may be named more than once.
    pub(crate) calls: Vec<u64>,
    /// What happened, while events are watched.
    pub(crate) events: Vec<TimedEvent>,
    /// When to wake the desk next; it may lie in the past, meaning now. It holds until the next operation.
    pub(crate) wakeup: Option<u64>,
}

const fn moment(now: u64) -> Timestamp {
    Timestamp::from_micros(now)
}

impl Desk {
    pub(crate) fn lock(&self) -> MutexGuard<'_, sluicegate_driver::Desk> {
        lock(&self.0)
    }
}

#[uniffi::export]
impl Desk {
    /// A desk under `policy`. The same seed draws the same numbers; without one, nobody can tell them.
    #[uniffi::constructor(default(seed = None))]
    pub(crate) fn new(policy: &Policy, now: u64, seed: Option<u64>) -> Self {
        let desk = sluicegate_driver::Desk::new(policy.0.clone(), seed.unwrap_or_else(any), moment(now));
        Self(Mutex::new(desk))
    }

    /// A desk that goes on from what another one had learned and counted when `snapshot` was taken, `asleep_us` microseconds
    /// ago; zero where nobody knows, which is safe.
    #[uniffi::constructor(default(asleep_us = 0, seed = None))]
    pub(crate) fn restore(
        policy: &Policy,
        snapshot: &str,
        now: u64,
        asleep_us: u64,
        seed: Option<u64>,
    ) -> Result<Self, SnapshotError> {
        let (snapshot, asleep) = (Snapshot::from_json(snapshot)?, Duration::from_micros(asleep_us));
        let (policy, seed) = (policy.0.clone(), seed.unwrap_or_else(any));
        Ok(Self(Mutex::new(sluicegate_driver::Desk::restore(policy, seed, moment(now), &snapshot, asleep))))
    }

    /// Submits a call of `tokens` quota tokens to the model of this name. `max_tokens` is the cap on the answer that is part
    /// of them, where each attempt can be sent with a lower one.
    #[uniffi::method(default(max_tokens = None))]
    pub(crate) fn submit(
        &self,
        now: u64,
        model: &str,
        tokens: u64,
        options: CallOptions,
        max_tokens: Option<u32>,
    ) -> Result<u64, InputError> {
        let mut desk = self.lock();
        let request = options.request(desk.engine().policy(), model, tokens, max_tokens)?;
        Ok(desk.submit(moment(now), &request)?.0)
    }

    /// Submits a call by numbers alone, which crosses fastest: `model` is its place in the policy's models.
    pub(crate) fn submit_tokens(&self, now: u64, model: u16, tokens: u64) -> Result<u64, InputError> {
        let request = sluicegate_driver::Request::new(sluicegate::ModelId(model), tokens);
        Ok(self.lock().submit(moment(now), &request)?.0)
    }

    /// Submits a call that the appraiser has planned.
    pub(crate) fn submit_plan(&self, now: u64, plan: &Plan) -> Result<u64, InputError> {
        Ok(self.lock().submit(moment(now), &plan.request())?.0)
    }

    /// Takes what a call is to do next; nothing while it waits. An attempt that is taken has to be reported. Nothing follows
    /// `End`.
    pub(crate) fn turn(&self, call: u64) -> Option<Turn> {
        let mut desk = self.lock();
        let turn = desk.turn(CallId(call))?;
        let endpoints = desk.engine().policy().endpoints();
        let attempt = |taken: sluicegate_driver::Attempt| {
            let endpoint = endpoints.get(usize::from(taken.endpoint.0))?.into();
            let sluicegate_driver::Attempt { id, endpoint: EndpointId(endpoint_id), number, max_tokens } = taken;
            Some(Attempt { id: id.0, endpoint, endpoint_id, number, max_tokens })
        };
        Some(match turn {
            sluicegate_driver::Turn::Send(taken) => Turn::Send { attempt: attempt(taken)? },
            sluicegate_driver::Turn::Hedge(taken) => Turn::Hedge { attempt: attempt(taken)? },
            sluicegate_driver::Turn::Abort(AttemptId(attempt)) => Turn::Abort { attempt },
            sluicegate_driver::Turn::End(reason) => Turn::End { reason: reason.into() },
        })
    }

    /// Reports how an attempt of a call has ended.
    pub(crate) fn report(&self, now: u64, call: u64, attempt: u64, outcome: Outcome) -> Result<(), InputError> {
        Ok(self.lock().report(moment(now), CallId(call), AttemptId(attempt), outcome.into())?)
    }

    /// Reports a full answer that settled at `tokens` quota tokens, which crosses fastest.
    pub(crate) fn report_success(&self, now: u64, call: u64, attempt: u64, tokens: u64) -> Result<(), InputError> {
        let outcome = sluicegate::Outcome::success(tokens);
        Ok(self.lock().report(moment(now), CallId(call), AttemptId(attempt), outcome)?)
    }

    /// The caller goes: a call that is not over is cancelled, attempts that were not taken never left, and those that are out
    /// are given up. Does nothing for a call that is forgotten.
    pub(crate) fn leave(&self, now: u64, call: u64) {
        self.lock().leave(moment(now), CallId(call));
    }

    /// The time of the wake-up has come. At any other time it changes nothing.
    pub(crate) fn wake(&self, now: u64) {
        self.lock().wake(moment(now));
    }

    /// What the operations since the last time have brought about.
    pub(crate) fn news(&self) -> News {
        let mut desk = self.lock();
        let calls = std::iter::from_fn(|| desk.next_news()).map(|call| call.0).collect();
        let events = std::iter::from_fn(|| desk.next_event());
        let known =
            events.filter_map(|(at, event)| Event::of(event).map(|event| TimedEvent { at: at.as_micros(), event }));
        let events = known.collect();
        News { calls, events, wakeup: desk.next_wakeup().map(Timestamp::as_micros) }
    }

    /// Keeps events for `news` from now on, or drops them, as at first.
    pub(crate) fn watch(&self, watching: bool) {
        self.lock().watch(watching);
    }

    /// Cancels every call that waits; those that are out go on.
    pub(crate) fn cancel_waiting(&self, now: u64) {
        self.lock().cancel_waiting(moment(now));
    }

    /// Lets nothing more in and cancels every call that waits; those that are out go on, and may be reported.
    pub(crate) fn shut(&self, now: u64) {
        self.lock().close(moment(now));
    }

    /// Whether it was shut.
    pub(crate) fn is_shut(&self) -> bool {
        self.lock().is_closed()
    }

    /// Puts another policy in force without losing a call.
    pub(crate) fn reconfigure(&self, now: u64, policy: &Policy) {
        self.lock().reconfigure(moment(now), policy.0.clone());
    }

    /// What was learned and counted, as JSON.
    pub(crate) fn snapshot(&self, now: u64) -> String {
        self.lock().engine_mut().snapshot(moment(now)).to_json()
    }

    /// Why a call waits, where it was sent, or how it ended.
    pub(crate) fn explain(&self, now: u64, call: u64) -> Option<Explanation> {
        self.lock().engine_mut().explain(moment(now), CallId(call)).map(Explanation::from)
    }

    /// The explanation of a call as one line.
    pub(crate) fn describe(&self, now: u64, call: u64) -> Option<String> {
        let mut desk = self.lock();
        let explanation = desk.engine_mut().explain(moment(now), CallId(call))?;
        Some(desk.engine().describe(moment(now), &explanation))
    }

    /// The calls that wait.
    pub(crate) fn waiting_calls(&self) -> Vec<u64> {
        self.lock().engine().waiting_calls().map(|call| call.0).collect()
    }

    /// The number of calls that wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.lock().engine().waiting() as u64
    }

    /// The number of attempts that are out.
    pub(crate) fn in_flight(&self) -> u64 {
        self.lock().engine().in_flight() as u64
    }
}

pub(crate) fn any() -> u64 {
    rand::make_rng::<rand::rngs::StdRng>().next_u64()
}
