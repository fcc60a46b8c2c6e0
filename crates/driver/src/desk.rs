//! The engine with a generator and the books that everyone who waits for it needs.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use sluicegate::{
    AttemptId, CallId, Decision, Engine, Event, Input, InputError, Outcome, OutcomeClass, Policy, Snapshot, Timestamp,
};

use crate::request::{Attempt, Request, Turn};

/// Misuse of a [`Desk`]. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeskError {
    /// The desk is closed: nothing more can be submitted.
    Closed,
    /// What the engine would not take.
    Input(InputError),
}

impl DeskError {
    /// The stable name of the error: `closed`, or one of [`InputError::CODES`].
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Input(error) => error.code(),
        }
    }
}

impl From<InputError> for DeskError {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}

impl std::fmt::Display for DeskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => write!(f, "the gate is closed; open another one"),
            Self::Input(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DeskError {}

/// The engine with a generator and the books of those who wait: what every gate in every language shares. It has no
/// clock and never waits.
///
/// Whoever owns it hands in the time with each operation. After each, it [wakes](Desk::next_news) the callers that have
/// something to do, arms its one timer for [`next_wakeup`](Desk::next_wakeup), and takes the [events](Desk::next_event)
/// if it [watches](Desk::watch) them. A caller takes its [turns](Desk::turn), makes each attempt, reports how it ended,
/// and [leaves](Desk::leave) whenever it likes; what it still held is settled then.
///
/// ```
/// use sluicegate::{Outcome, Policy, Timestamp};
/// use sluicegate_driver::{Desk, Request, Turn};
///
/// let policy = Policy::from_json(r#"{
///     "pools": {"virginia": {"requests_per_minute": 60}},
///     "endpoints": {"us-east-1": {"model": "claude", "pools": ["virginia"]}}
/// }"#)?;
/// let now = Timestamp::from_micros(1_000_000);
/// let mut desk = Desk::new(policy, 7, now);
/// let model = desk.engine().policy().model("claude").ok_or("no such model")?;
///
/// let call = desk.submit(now, &Request::new(model, 1_500))?;
/// let Some(Turn::Send(attempt)) = desk.turn(call) else { return Err("it would have to wait".into()) };
/// // ... send it to `attempt.endpoint`; when it has ended:
/// desk.report(now, call, attempt.id, Outcome::success(900))?;
/// assert!(matches!(desk.turn(call), Some(Turn::End(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Desk {
    engine: Engine,
    rng: StdRng,
    calls: HashMap<CallId, Open>,
    news: VecDeque<CallId>,
    /// Kept only while somebody watches.
    events: Option<VecDeque<(Timestamp, Event)>>,
    next_call: u64,
    closed: bool,
}

/// A call whose caller has not left.
#[derive(Debug, Default)]
struct Open {
    /// Decided and not taken.
    turns: VecDeque<Turn>,
    /// Taken and not reported: two at most, but for one that was to be given up and is not reported yet.
    out: Vec<AttemptId>,
    attempts: u32,
    /// The engine has ended it.
    over: bool,
}

impl Desk {
    /// A desk under `policy` whose generator starts from `seed`.
    #[must_use]
    pub fn new(policy: Policy, seed: u64, now: Timestamp) -> Self {
        Self::with(Engine::new(policy, now), seed)
    }

    /// A desk that goes on from what another one had learned and counted when `snapshot` was taken, `asleep` ago; zero where
    /// nobody knows, which is safe. See [`Engine::restore`].
    #[must_use]
    pub fn restore(policy: Policy, seed: u64, now: Timestamp, snapshot: &Snapshot, asleep: Duration) -> Self {
        Self::with(Engine::restore(policy, snapshot, now, asleep), seed)
    }

    fn with(engine: Engine, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self { engine, rng, calls: HashMap::new(), news: VecDeque::new(), events: None, next_call: 0, closed: false }
    }

    /// The engine, to look at.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, to ask. Hand inputs to the desk alone: it would miss what the engine decides on them.
    pub const fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Submits a call and names it.
    ///
    /// # Errors
    /// The desk is closed, or the policy in force has no such model.
    pub fn submit(&mut self, now: Timestamp, request: &Request) -> Result<CallId, DeskError> {
        if self.closed {
            return Err(DeskError::Closed);
        }
        let call = CallId(self.next_call);
        self.calls.insert(call, Open::default());
        if let Err(error) = self.handle(now, Input::Submit(request.call(call, now))) {
            self.calls.remove(&call);
            return Err(error.into());
        }
        self.next_call += 1;
        Ok(call)
    }

    /// Takes what a call is to do next; `None` while it waits. An attempt that is taken has to be reported. Nothing follows
    /// [`Turn::End`], with which the desk forgets the call as soon as nothing of it is out.
    pub fn turn(&mut self, call: CallId) -> Option<Turn> {
        let open = self.calls.get_mut(&call)?;
        let turn = loop {
            match open.turns.pop_front()? {
                // Its report crossed the turn.
                Turn::Abort(attempt) if !open.out.contains(&attempt) => {}
                turn => break turn,
            }
        };
        let goes_out = |open: &mut Open, attempt: Attempt| {
            open.out.push(attempt.id);
            open.attempts = open.attempts.saturating_add(1);
            Attempt { number: open.attempts, ..attempt }
        };
        let turn = match turn {
            Turn::Send(attempt) => Turn::Send(goes_out(open, attempt)),
            Turn::Hedge(attempt) => Turn::Hedge(goes_out(open, attempt)),
            other => other,
        };
        self.forget_if_done(call);
        Some(turn)
    }

    /// Reports how an attempt of a call has ended. The next [turn](Desk::turn) tells whether that was the end of the call:
    /// an answer that was cut short, for one, may be asked for again.
    ///
    /// # Errors
    /// The call has no such attempt out: it was never taken, or is reported already.
    pub fn report(
        &mut self,
        now: Timestamp,
        call: CallId,
        attempt: AttemptId,
        outcome: Outcome,
    ) -> Result<(), DeskError> {
        let open = self.calls.get_mut(&call).ok_or(InputError::UnknownCall(call))?;
        let index = open.out.iter().position(|out| *out == attempt);
        open.out.swap_remove(index.ok_or(InputError::UnknownAttempt(attempt))?);
        // An error means that the attempt's lease has expired: the engine has settled it already.
        let _ = self.handle(now, Input::Report { attempt, outcome });
        self.forget_if_done(call);
        Ok(())
    }

    /// The caller goes: a call that is not over is cancelled, attempts that were not taken never left, and those that are
    /// out are given up. Does nothing for a call that is forgotten.
    pub fn leave(&mut self, now: Timestamp, call: CallId) {
        if self.calls.get(&call).is_some_and(|open| !open.over) {
            // It cannot fail: the call is not over.
            let _ = self.handle(now, Input::Cancel(call));
        }
        let Some(open) = self.calls.remove(&call) else { return };
        let untaken = open.turns.into_iter().filter_map(|turn| match turn {
            Turn::Send(attempt) | Turn::Hedge(attempt) => Some((attempt.id, Outcome::never_sent())),
            Turn::Abort(_) | Turn::End(_) => None,
        });
        let out = open.out.into_iter().map(|attempt| (attempt, Outcome::of(OutcomeClass::Cancelled)));
        for (attempt, outcome) in untaken.chain(out) {
            // An error means that its lease has expired.
            let _ = self.handle(now, Input::Report { attempt, outcome });
        }
    }

    /// The time of [`next_wakeup`](Desk::next_wakeup) has come. At any other time it changes nothing.
    pub fn wake(&mut self, now: Timestamp) {
        // A wake-up is never wrong.
        let _ = self.handle(now, Input::Wake);
    }

    /// When to [wake](Desk::wake) the desk next; it may lie in the past, meaning now. It holds until the next operation.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Timestamp> {
        self.engine.next_wakeup().map(|wakeup| wakeup.at)
    }

    /// The next call with a turn to take. The same call may be named more than once.
    pub fn next_news(&mut self) -> Option<CallId> {
        self.news.pop_front()
    }

    /// Keeps events for [`next_event`](Desk::next_event) from now on, or drops them, as at first. Kept ones are to be taken
    /// after each operation: nothing bounds them.
    pub fn watch(&mut self, watching: bool) {
        self.events = if watching { Some(self.events.take().unwrap_or_default()) } else { None };
    }

    /// The next event, with the time of the operation that it came from.
    pub fn next_event(&mut self) -> Option<(Timestamp, Event)> {
        self.events.as_mut()?.pop_front()
    }

    /// Cancels every call that waits; those that are out go on.
    pub fn cancel_waiting(&mut self, now: Timestamp) {
        let waiting: Vec<CallId> = self.engine.waiting_calls().collect();
        for call in waiting {
            // An error means that an earlier cancellation ended it.
            let _ = self.handle(now, Input::Cancel(call));
        }
    }

    /// Lets nothing more in and cancels every call that waits; those that are out go on, and may be reported.
    pub fn close(&mut self, now: Timestamp) {
        self.closed = true;
        self.cancel_waiting(now);
    }

    /// Whether it was [closed](Desk::close).
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Puts another policy in force without losing a call: see [`Engine::reconfigure`]. Look models and tenants up again
    /// afterwards.
    pub fn reconfigure(&mut self, now: Timestamp, policy: Policy) {
        self.engine.reconfigure(now, policy);
        self.wake(now);
    }

    fn forget_if_done(&mut self, call: CallId) {
        if self.calls.get(&call).is_some_and(|open| open.over && open.turns.is_empty() && open.out.is_empty()) {
            self.calls.remove(&call);
        }
    }

    /// Hands one input to the engine and enters what it decides in the books.
    fn handle(&mut self, now: Timestamp, input: Input) -> Result<(), InputError> {
        self.engine.handle(now, input, &mut self.rng)?;
        while let Some(decision) = self.engine.poll_decision() {
            let new = |id, endpoint, max_tokens| Attempt { id, endpoint, number: 0, max_tokens };
            let (call, turn) = match decision {
                Decision::Send { call, attempt, endpoint, max_tokens } => {
                    (call, Turn::Send(new(attempt, endpoint, max_tokens)))
                }
                Decision::Hedge { call, attempt, endpoint, max_tokens } => {
                    (call, Turn::Hedge(new(attempt, endpoint, max_tokens)))
                }
                Decision::Abort { call, attempt } => (call, Turn::Abort(attempt)),
                Decision::End { call, reason } => (call, Turn::End(reason)),
            };
            // A caller that has left has cancelled its call; nobody misses the turn.
            if let Some(open) = self.calls.get_mut(&call) {
                open.over |= matches!(turn, Turn::End(_));
                open.turns.push_back(turn);
                self.news.push_back(call);
            }
        }
        while let Some(event) = self.engine.poll_event() {
            if let Some(events) = &mut self.events {
                events.push_back((now, event));
            }
        }
        Ok(())
    }

    /// How a call ends that the desk would not take, for gates that do not fail at submission.
    #[cfg(feature = "tokio")]
    pub(crate) const fn refused(error: DeskError) -> sluicegate::EndReason {
        match error {
            DeskError::Closed => sluicegate::EndReason::Cancelled,
            // Only a model of another policy gets here: the names are the desk's own.
            DeskError::Input(_) => {
                sluicegate::EndReason::Refused { why: sluicegate::Refusal::NoEndpoint, retry_at: None }
            }
        }
    }
}
