//! The composition: one machine that decides when, where and whether each call goes out.

mod admit;
mod advice;
mod attempts;
mod calls;
mod dispatch;
mod event;
mod explain;
mod hedge;
mod history;
mod holders;
mod homes;
mod io;
mod queue;
mod reconfigure;
mod report;
mod route;
mod snapshot;
mod stacked;
mod start;
mod store;
mod tree;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use advice::Lengths;
use attempts::{AttemptState, Attempts};
use calls::{CallPhase, CallState, Calls};
pub use event::{Event, EventField, EventKind, FieldKind};
pub use explain::{EndpointView, Explanation, Phase, Standing, Trial};
use history::History;
use homes::Homes;
pub use io::{
    AttemptId, Call, CallId, Decision, EndReason, Input, InputError, LabelId, Refusal, TenantId, WakeReason, Wakeup,
};
use queue::Queue;
use reconfigure::Moved;
use route::Candidates;
pub use snapshot::{Snapshot, SnapshotError};
use stacked::Failures;
use start::Stuck;

use crate::breaker::{Breaker, BreakerConfig};
use crate::budget::RetryBudget;
use crate::concurrency::AdaptiveConcurrency;
use crate::defaults::EVENTS_KEPT;
use crate::limiter::Limiter;
use crate::outcome::Quota;
use crate::policy::{EndpointId, ModelId, Policy, PoolId};
use crate::random::Rng;
use crate::service_times::ServiceTimes;
use crate::time::Timestamp;

#[derive(Clone, Debug)]
struct EndpointState {
    breaker: Breaker,
    concurrency: AdaptiveConcurrency,
    service_times: ServiceTimes,
    unusable_until: Timestamp,
}

#[derive(Clone, Debug)]
struct ModelState {
    candidates: Candidates,
    queue: Queue,
    /// Settled over reserved tokens, in thousandths, exponentially weighted.
    spent_permille: u64,
    blocked: bool,
}

/// The engine. See the crate's text for the loop around it.
///
/// All state is bounded: waiting calls by the policy's queue, attempts by what the pools admit, events by
/// [`EVENTS_KEPT`](crate::defaults::EVENTS_KEPT).
#[derive(Clone, Debug)]
pub struct Engine {
    policy: Policy,
    pools: Vec<Limiter>,
    endpoints: Vec<EndpointState>,
    models: Vec<ModelState>,
    budget: RetryBudget,
    homes: Homes,
    lengths: Lengths,
    failures: Failures,
    history: History,
    calls: Calls,
    attempts: Attempts,
    moved: Moved,
    /// Thousandths of a hedge that may be made.
    hedge_credit: u64,
    decisions: VecDeque<Decision>,
    events: VecDeque<Event>,
    dropped: u64,
    /// By pool: a call earlier in order waits for it in this dispatch, so later ones leave it alone.
    held: Vec<bool>,
    /// Whether any is.
    holds: bool,
    /// How often something happened at endpoints that may change when a call can start.
    changes: u64,
    /// Until when the answers that were given to the call being routed hold.
    known_until: Timestamp,
    /// The first of all who wait, as found when it was last routed.
    stuck: Option<Stuck>,
    /// The endpoints that can start the call being routed, and those that can but would not answer it in time.
    ready: Vec<EndpointId>,
    idle: Vec<EndpointId>,
    /// When a waiting call may start, as found by the last dispatch.
    next_start: Option<Timestamp>,
    next_order: u64,
    next_attempt: u64,
    now: Timestamp,
}

impl Engine {
    /// An engine with full pools under `policy`.
    #[must_use]
    pub fn new(policy: Policy, now: Timestamp) -> Self {
        let pools = policy.pools().iter().map(|pool| Limiter::new(pool.limits, now)).collect();
        let endpoints = policy
            .endpoints()
            .iter()
            .map(|endpoint| EndpointState::new(BreakerConfig { mode: endpoint.breaker, ..*policy.breaker() }))
            .collect();
        let models = (0..policy.models().len()).map(|model| ModelState::new(&policy, model)).collect();
        Self {
            budget: RetryBudget::new(policy.retry().budget, now),
            pools,
            endpoints,
            models,
            homes: Homes::default(),
            lengths: Lengths::default(),
            failures: Failures::default(),
            history: History::default(),
            calls: Calls::new(),
            attempts: Attempts::new(),
            moved: Moved::default(),
            hedge_credit: 0,
            decisions: VecDeque::new(),
            events: VecDeque::new(),
            dropped: 0,
            held: alloc::vec![false; policy.pools().len()],
            holds: false,
            changes: 0,
            known_until: Timestamp::MAX,
            stuck: None,
            policy,
            ready: Vec::new(),
            idle: Vec::new(),
            next_start: None,
            next_order: 0,
            next_attempt: 0,
            now,
        }
    }

    /// The policy in force.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes one input at `now`. Afterwards take out the decisions and the events, then wait for
    /// [`next_wakeup`](Self::next_wakeup) or the next input, whichever comes first.
    ///
    /// # Errors
    /// Misuse by the caller; then nothing has changed. Whatever can happen in production is a decision instead.
    pub fn handle(&mut self, now: Timestamp, input: Input, rng: &mut dyn Rng) -> Result<(), InputError> {
        let now = match input {
            Input::Submit(call) => {
                if self.calls.find(&call.id).is_some() {
                    return Err(InputError::DuplicateCall(call.id));
                }
                if usize::from(call.model.0) >= self.models.len() {
                    return Err(InputError::UnknownModel(call.model));
                }
                let now = self.clamp(now);
                self.submit(now, call);
                now
            }
            Input::Report { attempt, outcome } => {
                let slot = self.attempts.find(attempt).ok_or(InputError::UnknownAttempt(attempt))?;
                let now = self.clamp(now);
                self.report(now, slot, outcome, rng);
                now
            }
            Input::Cancel(call) => {
                let slot = self.calls.find(&call).ok_or(InputError::UnknownCall(call))?;
                let now = self.clamp(now);
                self.cancel(now, slot);
                now
            }
            Input::Wake => self.clamp(now),
        };
        self.dispatch(now, rng);
        Ok(())
    }

    /// The next thing to do; poll until `None` after every input.
    pub fn poll_decision(&mut self) -> Option<Decision> {
        self.decisions.pop_front()
    }

    /// The next thing that happened; poll until `None` after every input, or never.
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.dropped > 0 {
            let count = core::mem::take(&mut self.dropped);
            return Some(Event::EventsDropped { count });
        }
        self.events.pop_front()
    }

    /// When to hand in the next [`Input::Wake`] if nothing else happens before; `None` while nothing waits.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Wakeup> {
        if !self.decisions.is_empty() {
            return Some(Wakeup { at: self.now, reason: WakeReason::Undrained });
        }
        let mut next: Option<Wakeup> = None;
        let mut consider = |at: Option<Timestamp>, reason| {
            if let Some(at) = at
                && next.is_none_or(|next| at < next.at)
            {
                next = Some(Wakeup { at, reason });
            }
        };
        consider(self.next_start, WakeReason::Start);
        consider(self.calls.next_delayed(), WakeReason::Retry);
        consider(self.calls.next_too_late(), WakeReason::Deadline);
        consider(self.attempts.next_hedge(), WakeReason::Hedge);
        consider(self.attempts.next_expiry(), WakeReason::Lease);
        next
    }

    /// Calls that wait: for room, or for a retry to be due.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.calls.holders.len()
    }

    /// The calls that wait, in no particular order.
    pub fn waiting_calls(&self) -> impl Iterator<Item = CallId> {
        self.calls.waiting().map(|state| state.id)
    }

    /// Attempts that are out.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.attempts.len()
    }

    /// Attempts that hold a permit of a pool.
    #[must_use]
    pub fn pool_in_flight(&self, pool: PoolId) -> Option<u64> {
        self.pools.get(usize::from(pool.0)).map(Limiter::in_flight)
    }

    /// How much of a pool's limit in force is used at `now`, in thousandths.
    pub fn pool_use_permille(&mut self, now: Timestamp, pool: PoolId, quota: Quota) -> Option<u64> {
        let now = self.now.max(now);
        self.pools.get_mut(usize::from(pool.0)).map(|limiter| limiter.use_permille(now, quota))
    }

    fn clamp(&mut self, now: Timestamp) -> Timestamp {
        if now < self.now {
            let by = self.now.saturating_since(now);
            self.event(Event::ClockBackwards { by });
        } else {
            self.now = now;
        }
        self.now
    }

    fn event(&mut self, event: Event) {
        if self.events.len() >= EVENTS_KEPT {
            self.events.pop_front();
            self.dropped += 1;
        }
        self.events.push_back(event);
    }

    fn model(&self, id: ModelId) -> &ModelState {
        &self.models[usize::from(id.0)]
    }

    fn model_mut(&mut self, id: ModelId) -> &mut ModelState {
        &mut self.models[usize::from(id.0)]
    }
}

impl EndpointState {
    const fn new(breaker: BreakerConfig) -> Self {
        Self {
            breaker: Breaker::new(breaker),
            concurrency: AdaptiveConcurrency::new(),
            service_times: ServiceTimes::new(),
            unusable_until: Timestamp::ZERO,
        }
    }

    /// Whether neither breaker nor capacity holds anything back.
    fn is_open(&self, now: Timestamp) -> bool {
        self.unusable_until <= now && self.breaker.lets_all_pass() && !self.concurrency.is_limited()
    }
}

impl ModelState {
    fn new(policy: &Policy, model: usize) -> Self {
        let id = ModelId(u16::try_from(model).unwrap_or(u16::MAX));
        let candidates = Candidates::new(policy, id);
        Self { candidates, queue: Queue::new(), spent_permille: 1_000, blocked: false }
    }
}
