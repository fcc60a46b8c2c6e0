//! A second attempt beside one that takes long: when, where, and which of the two is given up.

use super::Engine;
use super::io::{AttemptId, CallId, Decision};
use super::start::Start;
use super::store::Slot;
use crate::breaker::BreakerVerdict;
use crate::budget::RetryKind;
use crate::defaults::{HEDGE_MINIMUM_ANSWERS, HEDGES_SAVED};
use crate::outcome::{OutcomeClass, Quota};
use crate::policy::EndpointId;
use crate::random::Rng;
use crate::time::Timestamp;

/// What one hedge costs the credit.
const ONE: u64 = 1_000;

impl Engine {
    /// A call that comes in allows its share of a hedge.
    pub(super) fn allow_hedges(&mut self) {
        if let Some(hedge) = self.policy.hedge() {
            self.hedge_credit = (self.hedge_credit + hedge.share_permille).min(HEDGES_SAVED * ONE);
        }
    }

    /// When the attempt that goes out to `endpoint` will be hedged unless it has ended. A call that a quota has refused is
    /// not hedged: it would press on the quota.
    #[inline(never)]
    pub(super) fn hedge_at(&self, now: Timestamp, slot: Slot, endpoint: EndpointId) -> Option<Timestamp> {
        let hedge = self.policy.hedge()?;
        let state = &self.calls.states[slot];
        let call = state.call();
        let alone = self.model(state.model).candidates.endpoints.len() < 2;
        let times = &self.endpoints[usize::from(endpoint.0)].service_times.times(call.max_tokens);
        if call.lone || state.throttled > 0 || alone || times.seen() < HEDGE_MINIMUM_ANSWERS {
            return None;
        }
        now.checked_add(times.quantile(hedge.after_permille))
    }

    /// Hedges what is due, as far as nobody waits, the budgets last and an endpoint has room to spare.
    #[inline(never)]
    pub(super) fn send_hedges(&mut self, now: Timestamp, rng: &mut dyn Rng) {
        while let Some(attempt) = self.attempts.pop_hedge(now) {
            if attempt.abandoned || attempt.twin.is_some() || self.hedge_credit < ONE {
                continue;
            }
            let Some(slot) = self.calls.find(&attempt.call) else { continue };
            let Some(endpoint) = self.spare(now, slot, attempt.endpoint, rng) else { continue };
            if self.budget.withdraw(now, RetryKind::Hedge).is_err() {
                continue;
            }
            self.hedge_credit -= ONE;
            self.launch(now, slot, endpoint, Some(attempt.id));
        }
    }

    /// An endpoint other than `first` that can start the call now and has room to spare.
    fn spare(&mut self, now: Timestamp, slot: Slot, first: EndpointId, rng: &mut dyn Rng) -> Option<EndpointId> {
        let most = self.policy.hedge()?.pool_use_at_most_permille;
        let state = &self.calls.states[slot];
        let (call, submitted) = (state.call(), state.submitted);
        if self.model(call.model).queue.head().is_some() {
            return None;
        }
        let due = self.due(call.model, call.deadline, submitted, call.max_tokens);
        self.ready.clear();
        for index in 0.. {
            let Some(endpoint) = self.model(call.model).candidates.endpoints.get(index).copied() else { break };
            let late = self.latest_start_at(endpoint, &due).is_some_and(|last| now > last);
            if endpoint == first || late || self.start(now, endpoint, call.tokens) != Start::Now {
                continue;
            }
            let tight = self.is_tight(now, endpoint, most);
            let closed = self.endpoints[usize::from(endpoint.0)].breaker.check(now) == BreakerVerdict::Pass;
            if closed && !tight {
                self.ready.push(endpoint);
            }
        }
        if self.ready.is_empty() { None } else { Some(self.choose(rng)) }
    }

    fn is_tight(&mut self, now: Timestamp, endpoint: EndpointId, most: u64) -> bool {
        let pools = &self.policy.endpoints()[usize::from(endpoint.0)].pools;
        let quotas = [Quota::Requests, Quota::Tokens, Quota::Day];
        pools.iter().any(|pool| {
            let limiter = &mut self.pools[usize::from(pool.0)];
            quotas.iter().any(|quota| limiter.use_permille(now, *quota) > most)
        })
    }

    /// One of a call's two attempts has ended. Returns whether the call goes on with the other; else that is given up.
    #[inline(never)]
    pub(super) fn goes_on_with(&mut self, call: CallId, twin: AttemptId, class: OutcomeClass) -> bool {
        let Some(attempt) = self.attempts.get_mut(&twin) else { return false };
        attempt.twin = None;
        match class {
            OutcomeClass::Success
            | OutcomeClass::Refused
            | OutcomeClass::StreamBrokenDelivered
            | OutcomeClass::Cancelled => {
                attempt.abandoned = true;
                self.decisions.push_back(Decision::Abort { call, attempt: twin });
                false
            }
            _ => {
                self.only_out(call, twin);
                true
            }
        }
    }
}
