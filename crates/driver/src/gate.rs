//! The gate for tokio.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use sluicegate::{
    CallId, Decision, EndReason, Engine, Event, Input, InputError, ModelId, Policy, Refusal, Snapshot, Timestamp,
};
use tokio::sync::{Notify, mpsc};

use crate::clock::Clock;
use crate::request::{Attempt, Request, Turn};
use crate::ticket::Ticket;

/// Is told every event of the engine, in order. It runs while the gate is locked: it must be quick and must not call
/// the gate.
pub type Observer = Box<dyn FnMut(Timestamp, &Event) + Send>;

/// Builds a [`Gate`].
pub struct GateBuilder {
    policy: Policy,
    seed: Option<u64>,
    observer: Option<Observer>,
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
        let rng = match self.seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => rand::make_rng(),
        };
        let clock = Clock::start();
        let engine = match &self.saved {
            Some((snapshot, asleep)) => Engine::restore(self.policy, snapshot, clock.now(), *asleep),
            None => Engine::new(self.policy, clock.now()),
        };
        let shared = Arc::new(Shared {
            clock,
            rearm: Arc::new(Notify::new()),
            state: Mutex::new(State {
                engine,
                rng,
                observer: self.observer,
                waiting: HashMap::new(),
                next_call: 0,
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
    engine: Engine,
    rng: StdRng,
    observer: Option<Observer>,
    waiting: HashMap<CallId, mpsc::UnboundedSender<Turn>>,
    next_call: u64,
    /// The wake-up the timer task sleeps for.
    armed: Option<Timestamp>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The engine has no state between two inputs that a panic in an observer could leave half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands one input to the engine and passes on what it decides.
    fn handle(&self, state: &mut State, input: Input) -> Result<(), InputError> {
        let now = self.clock.now();
        state.engine.handle(now, input, &mut state.rng)?;
        while let Some(decision) = state.engine.poll_decision() {
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
            // A ticket that is gone has cancelled its call; nobody misses the turn.
            if let Some(sender) = state.waiting.get(&call) {
                let _ = sender.send(turn);
            }
            if matches!(turn, Turn::End(_)) {
                state.waiting.remove(&call);
            }
        }
        while let Some(event) = state.engine.poll_event() {
            if let Some(observer) = &mut state.observer {
                observer(now, &event);
            }
        }
        let next = state.engine.next_wakeup().map(|wakeup| wakeup.at);
        if next != state.armed {
            state.armed = next;
            self.rearm.notify_one();
        }
        Ok(())
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
        let _ = shared.handle(&mut state, Input::Wake);
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
        GateBuilder { policy, seed: None, observer: None, saved: None }
    }

    /// The model of this name in the policy.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<ModelId> {
        self.shared.lock().engine.policy().model(name)
    }

    /// Looks at the engine, or asks it something, at the present time. The gate is locked meanwhile.
    pub fn inspect<T>(&self, look: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        let now = self.shared.clock.now();
        look(&mut self.shared.lock().engine, now)
    }

    /// Submits a call and gives it a ticket to wait with.
    #[must_use]
    pub fn submit(&self, request: Request) -> Ticket {
        let (sender, turns) = mpsc::unbounded_channel();
        let mut state = self.shared.lock();
        let call = CallId(state.next_call);
        state.next_call += 1;
        state.waiting.insert(call, sender);
        let input = Input::Submit(request.call(call, self.shared.clock.now()));
        if self.shared.handle(&mut state, input).is_err()
            && let Some(sender) = state.waiting.remove(&call)
        {
            // Only a model of another policy gets here: the ids are ours.
            let _ = sender.send(Turn::End(EndReason::Refused { why: Refusal::NoEndpoint, retry_at: None }));
        }
        drop(state);
        Ticket::new(self.clone(), call, turns)
    }

    /// Hands in one input.
    pub(crate) fn tell(&self, input: Input) -> Result<(), InputError> {
        self.shared.handle(&mut self.shared.lock(), input)
    }

    /// Hands in several, with nothing in between.
    pub(crate) fn tell_all(&self, say: impl FnOnce(&mut dyn FnMut(Input) -> Result<(), InputError>)) {
        let mut state = self.shared.lock();
        say(&mut |input| self.shared.handle(&mut state, input));
    }

    /// Saves what was learned and counted, for a [`GateBuilder::restore`] in this process or another one.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.inspect(Engine::snapshot)
    }

    /// Puts another policy in force without losing a call: see [`Engine::reconfigure`]. Look models and tenants up again
    /// afterwards.
    pub fn reconfigure(&self, policy: Policy) {
        let mut state = self.shared.lock();
        let now = self.shared.clock.now();
        state.engine.reconfigure(now, policy);
        // A wake-up is never wrong.
        let _ = self.shared.handle(&mut state, Input::Wake);
    }

    /// Cancels every call that waits, for a caller that wants to end with what is out.
    pub fn cancel_waiting(&self) {
        let mut state = self.shared.lock();
        let waiting: Vec<CallId> = state.engine.waiting_calls().collect();
        for call in waiting {
            // An error means that an earlier cancellation ended it.
            let _ = self.shared.handle(&mut state, Input::Cancel(call));
        }
    }
}
