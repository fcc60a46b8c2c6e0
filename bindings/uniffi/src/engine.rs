//! The engine itself, for those who bring their own loop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluicegate::{CallId, Snapshot, Timestamp};

use crate::errors::{InputError, SnapshotError};
use crate::event::Event;
use crate::explain::Explanation;
use crate::input::{Decision, Input, Wakeup};
use crate::policy::Policy;
use crate::rng::Rng;

/// The machine that decides when, where and whether each call goes out. It has no clock, waits for nothing and starts no
/// thread: times and random numbers are arguments.
///
/// The loop: `handle`, then `drain`, then sleep until the wake-up that it names or the next input, whichever comes first.
#[derive(uniffi::Object)]
pub(crate) struct Engine(Mutex<sluicegate::Engine>);

/// An input and when it happens.
#[derive(Clone, Copy, Debug, uniffi::Record)]
pub(crate) struct TimedInput {
    /// When, in microseconds since the origin.
    pub(crate) at: u64,
    /// What.
    pub(crate) input: Input,
}

/// All that an engine has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub(crate) struct Said {
    /// What to do, in this order.
    pub(crate) decisions: Vec<Decision>,
    /// What happened.
    pub(crate) events: Vec<Event>,
    /// When to hand in the next `Wake` if nothing else happens before; nothing while nothing waits.
    pub(crate) wakeup: Option<Wakeup>,
}

impl Engine {
    pub(crate) fn lock(&self) -> MutexGuard<'_, sluicegate::Engine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[uniffi::export]
impl Engine {
    /// An engine with full pools under `policy`.
    #[uniffi::constructor]
    pub(crate) fn new(policy: &Policy, now: u64) -> Self {
        Self(Mutex::new(sluicegate::Engine::new(policy.0.clone(), Timestamp::from_micros(now))))
    }

    /// An engine that goes on where another stopped. `asleep_us` says how many microseconds ago the snapshot was taken, 0
    /// if nobody knows, which is always safe. The origin should lie at least a day before `now`.
    #[uniffi::constructor(default(asleep_us = 0))]
    pub(crate) fn restore(policy: &Policy, snapshot: &str, now: u64, asleep_us: u64) -> Result<Self, SnapshotError> {
        let snapshot = Snapshot::from_json(snapshot)?;
        let asleep = Duration::from_micros(asleep_us);
        let now = Timestamp::from_micros(now);
        Ok(Self(Mutex::new(sluicegate::Engine::restore(policy.0.clone(), &snapshot, now, asleep))))
    }

    /// Takes one input at `now`. An error is misuse; then nothing has changed. Whatever can happen in production is a
    /// decision instead.
    pub(crate) fn handle(&self, now: u64, input: Input, rng: &Rng) -> Result<(), InputError> {
        Ok(self.lock().handle(Timestamp::from_micros(now), input.into(), &mut *rng.lock())?)
    }

    /// Takes inputs one after the other, in one crossing, and says all that came of them. At the first misuse it stops;
    /// those before it hold, and what came of them waits for `drain`.
    pub(crate) fn handle_all(&self, inputs: Vec<TimedInput>, rng: &Rng) -> Result<Said, InputError> {
        let mut engine = self.lock();
        for TimedInput { at, input } in inputs {
            engine.handle(Timestamp::from_micros(at), input.into(), &mut *rng.lock())?;
        }
        Ok(drained(&mut engine, usize::MAX))
    }

    /// Takes out what the engine has to say, at most `most` decisions and as many events; all, without it.
    #[uniffi::method(default(most = None))]
    pub(crate) fn drain(&self, most: Option<u32>) -> Said {
        let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        drained(&mut self.lock(), most)
    }

    /// The next thing to do; ask until there is nothing, after every input.
    pub(crate) fn poll_decision(&self) -> Option<Decision> {
        self.lock().poll_decision().map(Decision::from)
    }

    /// The next thing that happened.
    pub(crate) fn poll_event(&self) -> Option<Event> {
        let mut engine = self.lock();
        std::iter::from_fn(|| engine.poll_event()).find_map(Event::of)
    }

    /// When to hand in the next `Wake` if nothing else happens before; nothing while nothing waits.
    pub(crate) fn next_wakeup(&self) -> Option<Wakeup> {
        self.lock().next_wakeup().map(Wakeup::from)
    }

    /// Puts another policy in force without losing a call. What has the same name goes on; numbers of models and tenants
    /// are those of the new policy from here on. The next wake-up is due at once.
    pub(crate) fn reconfigure(&self, now: u64, policy: &Policy) {
        self.lock().reconfigure(Timestamp::from_micros(now), policy.0.clone());
    }

    /// What was learned and counted, as JSON: some kilobytes for each pool that was busy. The engine goes on as before.
    pub(crate) fn snapshot(&self, now: u64) -> String {
        self.lock().snapshot(Timestamp::from_micros(now)).to_json()
    }

    /// Why a call waits, where it was sent, or how it ended. Nothing for a call that was never submitted, or ended too many
    /// decisions ago.
    pub(crate) fn explain(&self, now: u64, call: u64) -> Option<Explanation> {
        self.lock().explain(Timestamp::from_micros(now), CallId(call)).map(Explanation::from)
    }

    /// The explanation of a call as one line.
    pub(crate) fn describe(&self, now: u64, call: u64) -> Option<String> {
        let (mut engine, now) = (self.lock(), Timestamp::from_micros(now));
        engine.explain(now, CallId(call)).map(|explanation| engine.describe(now, &explanation))
    }

    /// The number of calls that wait: for room, or for a retry to be due.
    pub(crate) fn waiting(&self) -> u64 {
        self.lock().waiting() as u64
    }

    /// The number of attempts that are out.
    pub(crate) fn in_flight(&self) -> u64 {
        self.lock().in_flight() as u64
    }

    /// The policy in force.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::new(Policy(self.lock().policy().clone()))
    }
}

pub(crate) fn drained(engine: &mut sluicegate::Engine, most: usize) -> Said {
    let decisions = std::iter::from_fn(|| engine.poll_decision()).take(most).map(Decision::from).collect();
    let events = std::iter::from_fn(|| engine.poll_event()).take(most).filter_map(Event::of).collect();
    Said { decisions, events, wakeup: engine.next_wakeup().map(Wakeup::from) }
}
