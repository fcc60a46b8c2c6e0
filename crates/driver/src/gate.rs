//! The gate for tokio.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use sluicegate::{
    AttemptId, Call, CallId, Decision, EndReason, EndpointId, Engine, Event, Input, InputError, ModelId, Outcome,
    OutcomeClass, Policy, Refusal, TenantId, Timestamp,
};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// Is told every event of the engine, in order. It runs while the gate is locked: it must be quick and must not call
/// the gate.
pub type Observer = Box<dyn FnMut(Timestamp, &Event) + Send>;

/// What one call asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    model: ModelId,
    tokens: u64,
    within: Option<Duration>,
    priority: u8,
    tenant: TenantId,
}

impl Request {
    /// A call to `model` for which the service reserves `tokens` tokens.
    #[must_use]
    pub const fn new(model: ModelId, tokens: u64) -> Self {
        Self { model, tokens, within: None, priority: 0, tenant: TenantId(0) }
    }

    /// The same request with a deadline, counted from its submission.
    #[must_use]
    pub const fn within(mut self, deadline: Duration) -> Self {
        self.within = Some(deadline);
        self
    }

    /// The same request with a priority; higher goes first.
    #[must_use]
    pub const fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// The same request for a tenant.
    #[must_use]
    pub const fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = tenant;
        self
    }
}

/// An attempt that is to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its name.
    pub id: AttemptId,
    /// Where to send it.
    pub endpoint: EndpointId,
    /// 1 for the call's first attempt.
    pub number: u32,
}

/// What a call's ticket says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Send an attempt and [report](Ticket::report) its end.
    Send(Attempt),
    /// The call is over.
    End(EndReason),
}

/// A call that ended without an answer.
#[derive(Debug)]
pub struct Ended<E> {
    /// How the engine ended it.
    pub reason: EndReason,
    /// The error of the last attempt, if one was made.
    pub last: Option<E>,
}

/// Builds a [`Gate`].
pub struct GateBuilder {
    policy: Policy,
    seed: Option<u64>,
    observer: Option<Observer>,
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
        let shared = Arc::new(Shared {
            origin: Instant::now(),
            rearm: Arc::new(Notify::new()),
            state: Mutex::new(State {
                engine: Engine::new(self.policy, Timestamp::ZERO),
                rng,
                observer: self.observer,
                waiting: HashMap::new(),
                next_call: 0,
                armed: None,
            }),
        });
        tokio::spawn(keep_time(Arc::downgrade(&shared), shared.rearm.clone(), shared.origin));
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
    origin: Instant,
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
    fn now(&self) -> Timestamp {
        Timestamp::ZERO.saturating_add(self.origin.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The engine has no state between two inputs that a panic in an observer could leave half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands one input to the engine and passes on what it decides.
    fn handle(&self, state: &mut State, input: Input) -> Result<(), InputError> {
        let now = self.now();
        state.engine.handle(now, input, &mut state.rng)?;
        while let Some(decision) = state.engine.poll_decision() {
            let (call, turn, last) = match decision {
                Decision::Send { call, attempt, endpoint, .. } => {
                    (call, Turn::Send(Attempt { id: attempt, endpoint, number: 0 }), false)
                }
                // Every call of this gate is a lone one.
                Decision::Hedge { .. } | Decision::Abort { .. } => continue,
                Decision::End { call, reason } => (call, Turn::End(reason), true),
            };
            // A ticket that is gone has cancelled its call; nobody misses the turn.
            if let Some(sender) = state.waiting.get(&call) {
                let _ = sender.send(turn);
            }
            if last {
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
async fn keep_time(shared: Weak<Shared>, rearm: Arc<Notify>, origin: Instant) {
    loop {
        let Some(armed) = shared.upgrade().map(|shared| shared.lock().armed) else { return };
        let rearmed = match armed.and_then(|at| origin.checked_add(Duration::from_micros(at.as_micros()))) {
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
        GateBuilder { policy, seed: None, observer: None }
    }

    /// The model of this name in the policy.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<ModelId> {
        self.shared.lock().engine.policy().model(name)
    }

    /// Looks at the engine, or asks it something, at the present time. The gate is locked meanwhile.
    pub fn inspect<T>(&self, look: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        let now = self.shared.now();
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
        let mut entry =
            Call::new(call, request.model, request.tokens).priority(request.priority).tenant(request.tenant).lone();
        entry.deadline = request.within.map(|within| self.shared.now().saturating_add(within));
        let input = Input::Submit(entry);
        if self.shared.handle(&mut state, input).is_err()
            && let Some(sender) = state.waiting.remove(&call)
        {
            // Only a model of another policy gets here: the ids are ours.
            let _ = sender.send(Turn::End(EndReason::Refused { why: Refusal::NoEndpoint, retry_at: None }));
        }
        drop(state);
        Ticket { gate: self.clone(), call, turns, out: None, attempts: 0, over: false }
    }

    /// Runs a call to its end: waits for its turns, makes an attempt at each, reports how it ended.
    ///
    /// `attempt` sends one wire request and says how it ended, in the engine's terms and in the caller's. Dropping the
    /// returned future cancels the call.
    ///
    /// # Errors
    /// The call ended without an answer: see [`Ended::reason`].
    pub async fn run<T, E, F>(&self, request: Request, mut attempt: impl FnMut(Attempt) -> F) -> Result<T, Ended<E>>
    where
        F: Future<Output = (Outcome, Result<T, E>)>,
    {
        let mut ticket = self.submit(request);
        let mut last = None;
        loop {
            match ticket.turn().await {
                Turn::Send(turn) => {
                    let (outcome, result) = attempt(turn).await;
                    ticket.report(outcome);
                    match result {
                        Ok(answer) => return Ok(answer),
                        Err(error) => last = Some(error),
                    }
                }
                Turn::End(reason) => return Err(Ended { reason, last }),
            }
        }
    }

    /// Puts another policy in force without losing a call: see [`Engine::reconfigure`]. Look models and tenants up again
    /// afterwards.
    pub fn reconfigure(&self, policy: Policy) {
        let mut state = self.shared.lock();
        let now = self.shared.now();
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

/// A submitted call. Dropping it cancels the call and settles what is out.
#[derive(Debug)]
pub struct Ticket {
    gate: Gate,
    call: CallId,
    turns: mpsc::UnboundedReceiver<Turn>,
    out: Option<AttemptId>,
    attempts: u32,
    over: bool,
}

impl Ticket {
    /// The call's name in the engine.
    #[must_use]
    pub const fn call(&self) -> CallId {
        self.call
    }

    /// Waits for what is next. After [`Turn::End`] it says the same again.
    pub async fn turn(&mut self) -> Turn {
        let turn = self.turns.recv().await;
        match turn {
            Some(Turn::Send(attempt)) => {
                self.out = Some(attempt.id);
                self.attempts += 1;
                Turn::Send(Attempt { number: self.attempts, ..attempt })
            }
            Some(Turn::End(reason)) => {
                self.over = true;
                Turn::End(reason)
            }
            None => {
                self.over = true;
                Turn::End(EndReason::Cancelled)
            }
        }
    }

    /// Reports how the attempt that is out has ended. Without one that is out it does nothing.
    pub fn report(&mut self, outcome: Outcome) {
        let Some(attempt) = self.out.take() else { return };
        let mut state = self.gate.shared.lock();
        // An error means that the attempt's lease has expired: the engine has ended the call already.
        let _ = self.gate.shared.handle(&mut state, Input::Report { attempt, outcome });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.out.is_some() {
            return self.report(Outcome::of(OutcomeClass::Cancelled));
        }
        if self.over {
            return;
        }
        let mut state = self.gate.shared.lock();
        state.waiting.remove(&self.call);
        // A turn that came in the meantime was never taken, so its attempt never left.
        let input = match self.turns.try_recv() {
            Ok(Turn::Send(Attempt { id: attempt, .. })) => Input::Report { attempt, outcome: Outcome::never_sent() },
            _ => Input::Cancel(self.call),
        };
        // An error means that the call ended by itself in the meantime.
        let _ = self.gate.shared.handle(&mut state, input);
    }
}
