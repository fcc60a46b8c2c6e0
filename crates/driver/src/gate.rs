//! The gate for tokio.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use rand::rngs::StdRng;
use sluicegate::Rng as _;
use sluicegate::{AttemptId, CallId, Engine, Event, Input, ModelId, Outcome, Policy, Snapshot, Timestamp};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::desk::Desk;
use crate::request::{Request, Turn};
use crate::ticket::Ticket;

/// Is told every event of the engine, in order. It runs while the gate is locked: it must be quick and must not call
/// the gate.
pub type Observer = Box<dyn FnMut(Timestamp, &Event) + Send>;

/// Is told every submission, under the name that the gate gave the call, and every report, each before the events that
/// follow from it. The same holds for it as for an [`Observer`].
pub type Witness = Box<dyn FnMut(Timestamp, &Input) + Send>;

/// Builds a [`Gate`].
pub struct GateBuilder {
    policy: Policy,
    seed: Option<u64>,
    observer: Option<Observer>,
    witness: Option<Witness>,
    saved: Option<(Snapshot, Duration)>,
}

impl std::fmt::Debug for GateBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GateBuilder").field("policy", &self.policy).field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl GateBuilder {
    /// Draws from a generator with this seed instead of one seeded by the system.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Tells `observer` every event.
    #[must_use]
    pub fn observer(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Tells `witness` what goes in: with the events it makes a whole log.
    #[must_use]
    pub fn witness(mut self, witness: Witness) -> Self {
        self.witness = Some(witness);
        self
    }

    /// Goes on from what another gate had learned and counted when `snapshot` was taken, `asleep` ago; zero where nobody
    /// knows, which is safe. See [`Engine::restore`].
    #[must_use]
    pub fn restore(mut self, snapshot: Snapshot, asleep: Duration) -> Self {
        self.saved = Some((snapshot, asleep));
        self
    }

    /// Opens the gate. Its timer task ends when the last clone of the gate and the last ticket are gone.
    ///
    /// # Panics
    /// Outside a tokio runtime with time enabled.
    #[must_use]
    pub fn open(self) -> Gate {
        let seed = self.seed.unwrap_or_else(|| rand::make_rng::<StdRng>().next_u64());
        let clock = Clock::start();
        let mut desk = match &self.saved {
            Some((snapshot, asleep)) => Desk::restore(self.policy, seed, clock.now(), snapshot, *asleep),
            None => Desk::new(self.policy, seed, clock.now()),
        };
        desk.watch(self.observer.is_some());
        let shared = Arc::new(Shared {
            clock,
            rearm: Arc::new(Notify::new()),
            state: Mutex::new(State {
                desk,
                observer: self.observer,
                witness: self.witness,
                wakers: HashMap::new(),
                armed: None,
            }),
        });
        tokio::spawn(keep_time(Arc::downgrade(&shared), shared.rearm.clone(), clock));
        Gate { shared }
    }
}

/// The engine with a clock, a generator and a place for calls to wait. Clones share everything.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

struct Shared {
    clock: Clock,
    rearm: Arc<Notify>,
    state: Mutex<State>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The timer task finds the state gone and ends.
        self.rearm.notify_one();
    }
}

struct State {
    desk: Desk,
    observer: Option<Observer>,
    witness: Option<Witness>,
    /// Of the calls that wait for a turn.
    wakers: HashMap<CallId, Waker>,
    /// The wake-up the timer task sleeps for.
    armed: Option<Timestamp>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The desk has no state between two operations that a panic in an observer could leave half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one thing at the desk and passes on what comes of it.
    fn at_desk<T>(&self, operate: impl FnOnce(&mut Desk, Timestamp) -> T) -> T {
        let mut state = self.lock();
        let done = operate(&mut state.desk, self.clock.now());
        self.pass_on(&mut state);
        done
    }

    fn pass_on(&self, state: &mut State) {
        while let Some(call) = state.desk.next_news() {
            if let Some(waker) = state.wakers.remove(&call) {
                waker.wake();
            }
        }
        while let Some((at, event)) = state.desk.next_event() {
            if let Some(observer) = &mut state.observer {
                observer(at, &event);
            }
        }
        let next = state.desk.next_wakeup();
        if next != state.armed {
            state.armed = next;
            self.rearm.notify_one();
        }
    }
}

/// Sleeps until the engine's next wake-up, again and again.
async fn keep_time(shared: Weak<Shared>, rearm: Arc<Notify>, clock: Clock) {
    loop {
        let Some(armed) = shared.upgrade().map(|shared| shared.lock().armed) else { return };
        let rearmed = match armed.and_then(|at| clock.instant(at)) {
            Some(at) => tokio::time::timeout_at(at, rearm.notified()).await.is_ok(),
            None => {
                rearm.notified().await;
                true
            }
        };
        if rearmed {
            continue;
        }
        let Some(shared) = shared.upgrade() else { return };
        let mut state = shared.lock();
        // A wake-up that changes nothing still has to be armed anew.
        state.armed = None;
        state.desk.wake(shared.clock.now());
        shared.pass_on(&mut state);
    }
}

impl Gate {
    /// A gate under `policy`, with a generator seeded by the system.
    ///
    /// # Panics
    /// Outside a tokio runtime with time enabled.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::builder(policy).open()
    }

    /// Builds a gate with more choices.
    #[must_use]
    pub fn builder(policy: Policy) -> GateBuilder {
        GateBuilder { policy, seed: None, observer: None, witness: None, saved: None }
    }

    /// The model of this name in the policy.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<ModelId> {
        self.shared.lock().desk.engine().policy().model(name)
    }

    /// Looks at the engine, or asks it something, at the present time. The gate is locked meanwhile.
    pub fn inspect<T>(&self, look: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        let now = self.shared.clock.now();
        look(self.shared.lock().desk.engine_mut(), now)
    }

    /// Submits a call and gives it a ticket to wait with.
    #[must_use]
    pub fn submit(&self, request: Request) -> Ticket {
        let mut state = self.shared.lock();
        let now = self.shared.clock.now();
        let submitted = state.desk.submit(now, &request);
        if let (Ok(call), Some(witness)) = (&submitted, &mut state.witness) {
            witness(now, &Input::Submit(request.call(*call, now)));
        }
        self.shared.pass_on(&mut state);
        drop(state);
        match submitted {
            Ok(call) => Ticket::new(self.clone(), call),
            Err(error) => Ticket::refused(self.clone(), Desk::refused(error)),
        }
    }

    /// The next turn of a call; where there is none, `waker` is called when there is.
    pub(crate) fn poll_turn(&self, call: CallId, waker: &Waker) -> Poll<Turn> {
        let mut state = self.shared.lock();
        match state.desk.turn(call) {
            Some(turn) => Poll::Ready(turn),
            None => {
                state.wakers.insert(call, waker.clone());
                Poll::Pending
            }
        }
    }

    pub(crate) fn report(&self, call: CallId, attempt: AttemptId, outcome: Outcome) {
        let mut state = self.shared.lock();
        let now = self.shared.clock.now();
        // One that is not out is not reported twice.
        if state.desk.report(now, call, attempt, outcome).is_ok()
            && let Some(witness) = &mut state.witness
        {
            witness(now, &Input::Report { attempt, outcome });
        }
        self.shared.pass_on(&mut state);
    }

    pub(crate) fn leave(&self, call: CallId) {
        let mut state = self.shared.lock();
        state.wakers.remove(&call);
        state.desk.leave(self.shared.clock.now(), call);
        self.shared.pass_on(&mut state);
    }

    /// Saves what was learned and counted, for a [`GateBuilder::restore`] in this process or another one.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.inspect(Engine::snapshot)
    }

    /// Puts another policy in force without losing a call: see [`Engine::reconfigure`]. Look models and tenants up again
    /// afterwards.
    pub fn reconfigure(&self, policy: Policy) {
        self.shared.at_desk(|desk, now| desk.reconfigure(now, policy));
    }

    /// Cancels every call that waits, for a caller that wants to end with what is out.
    pub fn cancel_waiting(&self) {
        self.shared.at_desk(Desk::cancel_waiting);
    }
}
