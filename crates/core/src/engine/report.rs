//! From sent to settled: what an attempt's end teaches, and what becomes of its call.

use core::time::Duration;

use super::event::Event;
use super::io::{AttemptId, CallId, EndReason};
use super::store::Slot;
use super::{AttemptState, CallPhase, Engine};
use crate::backoff::Backoff;
use crate::breaker::BreakerState;
use crate::budget::RetryKind;
use crate::defaults::{MOST_SPENT, THROTTLED_ATTEMPTS, UNUSABLE_FOR};
use crate::limiter::{MinutePhase, Permit};
use crate::outcome::{Outcome, OutcomeClass, Quota, Spent};
use crate::policy::{EndpointId, PoolId};
use crate::random::Rng;
use crate::time::Timestamp;

const MINUTE_QUOTAS: [Quota; 2] = [Quota::Requests, Quota::Tokens];

/// What an end says about its endpoint, for the breaker.
fn is_failure(class: OutcomeClass) -> Option<bool> {
    match class {
        OutcomeClass::Success | OutcomeClass::Refused => Some(false),
        OutcomeClass::Overloaded
        | OutcomeClass::Unavailable
        | OutcomeClass::TimedOut
        | OutcomeClass::ModelError
        | OutcomeClass::StreamBroken
        | OutcomeClass::StreamBrokenDelivered => Some(true),
        OutcomeClass::Throttled(_) | OutcomeClass::NotReady | OutcomeClass::Unusable | OutcomeClass::Cancelled => None,
    }
}

impl Engine {
    pub(super) fn report(&mut self, now: Timestamp, slot: Slot, outcome: Outcome, rng: &mut dyn Rng) {
        let attempt = self.attempts.remove(slot);
        let id = attempt.id;
        let class = outcome.class;
        let spent = match outcome.spent {
            Spent::Tokens(tokens) => Spent::Tokens(tokens.min(MOST_SPENT)),
            other => other,
        };
        let endpoint = attempt.endpoint;
        let took = now.saturating_since(attempt.started);
        let moved = self.moved.remove(id);
        for index in 0.. {
            let Some(pool) = self.reserved_in(moved.as_deref(), endpoint, index) else { break };
            let limiter = &mut self.pools[usize::from(pool.0)];
            limiter.settle(now, Permit { at: attempt.started, tokens: attempt.tokens }, spent);
            match class {
                OutcomeClass::Throttled(quota) => self.refused(now, pool, &attempt, quota, outcome.retry_after),
                OutcomeClass::Success => {
                    if let Some(quota) = limiter.accepted(attempt.started) {
                        self.phase_moved(pool, quota);
                    }
                }
                _ => {}
            }
        }
        if self.teach(now, &attempt, outcome, took, rng) {
            self.changed();
        }
        let spent_tokens = match spent {
            Spent::Tokens(tokens) => tokens,
            Spent::Unknown => attempt.tokens,
            Spent::Nothing | Spent::NeverSent => 0,
        };
        if let Some(model) = self.models.get_mut(usize::from(attempt.model.0)) {
            model.queue.settled(attempt.tenant, attempt.tokens, spent_tokens);
        }
        self.event(Event::Settled {
            call: attempt.call,
            attempt: id,
            endpoint: self.policy.endpoint(endpoint).map(|_| endpoint),
            class,
            reserved_tokens: attempt.tokens,
            spent_tokens,
            took,
        });
        self.history.reported(now, attempt.call, id, class);
        if attempt.abandoned {
            return;
        }
        if let Some(twin) = attempt.twin
            && self.goes_on_with(attempt.call, twin, class)
        {
            return;
        }
        let Some(slot) = self.calls.find(&attempt.call) else { return };
        if class == OutcomeClass::Success {
            self.learn_spending(slot, attempt.tokens, spent_tokens);
            if self.lift_cap(now, slot, &outcome) {
                return;
            }
        }
        self.conclude(now, slot, endpoint, outcome, rng);
    }

    /// A pool learns that an attempt of its was refused.
    #[cold]
    fn refused(
        &mut self,
        now: Timestamp,
        pool: PoolId,
        attempt: &AttemptState,
        quota: Quota,
        retry_after: Option<Duration>,
    ) {
        let limiter = &mut self.pools[usize::from(pool.0)];
        let phases = MINUTE_QUOTAS.map(|quota| limiter.phase(quota).is_some());
        let learned = limiter.refused(now, attempt.started, attempt.tokens, quota);
        let lost = MINUTE_QUOTAS.map(|quota| limiter.phase(quota).is_none());
        if let Some(wait) = retry_after {
            limiter.pause(now.saturating_add(wait));
        }
        if let Some((quota, limit)) = learned {
            self.event(Event::LimitLearned { pool, quota, limit });
        }
        for (index, quota) in MINUTE_QUOTAS.into_iter().enumerate() {
            if phases[index] && lost[index] {
                self.event(Event::PhaseLost { pool, quota });
            }
        }
    }

    /// It showed when a pool's minutes begin, or that they do not.
    #[cold]
    fn phase_moved(&mut self, pool: PoolId, quota: Quota) {
        self.event(match self.pools[usize::from(pool.0)].phase(quota) {
            Some(MinutePhase { begins_us, within_us }) => Event::PhaseLearned { pool, quota, begins_us, within_us },
            None => Event::PhaseLost { pool, quota },
        });
    }

    /// The pools in which an attempt was reserved, one after the other.
    fn reserved_in(&self, moved: Option<&[PoolId]>, endpoint: EndpointId, index: usize) -> Option<PoolId> {
        match moved {
            Some(pools) => pools.get(index).copied(),
            None => self.policy.endpoint(endpoint)?.pools.get(index).copied(),
        }
    }

    /// Breaker, concurrency and service time of the endpoint. False where that changes nothing about when a call can start
    /// there, as with most answers.
    fn teach(
        &mut self,
        now: Timestamp,
        attempt: &AttemptState,
        outcome: Outcome,
        took: Duration,
        rng: &mut dyn Rng,
    ) -> bool {
        let AttemptState { endpoint: id, started, probe, max_tokens, .. } = *attempt;
        let Outcome { class, output_tokens, .. } = outcome;
        let Some(endpoint) = self.endpoints.get_mut(usize::from(id.0)) else { return true };
        let mut lowered = None;
        let mut changes = class != OutcomeClass::Success || endpoint.breaker.state() != BreakerState::Closed;
        match class {
            OutcomeClass::Success => {
                if let Some(tokens) = output_tokens {
                    endpoint.concurrency.observe(now, took, tokens);
                }
                endpoint.concurrency.end();
                changes |= endpoint.concurrency.is_limited() || endpoint.concurrency.in_flight() == 0;
                changes |= endpoint.service_times.observe(took, max_tokens);
            }
            // An endpoint that does not answer is the breaker's affair; fewer attempts would not bring it back.
            OutcomeClass::Overloaded => lowered = endpoint.concurrency.overloaded(now, started),
            _ => endpoint.concurrency.end(),
        }
        let state = match is_failure(class) {
            // What was sent before the breaker opened is no evidence of its recovery.
            _ if endpoint.breaker.state() == BreakerState::HalfOpen && !probe => None,
            // What comes by chance is no evidence against the endpoint either.
            Some(true) if class == OutcomeClass::Overloaded && endpoint.concurrency.meets_chance(now) => {
                endpoint.breaker.release();
                None
            }
            Some(failed) => endpoint.breaker.record(now, failed, took, rng),
            None => {
                endpoint.breaker.release();
                None
            }
        };
        if class == OutcomeClass::Unusable {
            endpoint.unusable_until = now.saturating_add(UNUSABLE_FOR);
            let until = endpoint.unusable_until;
            self.event(Event::EndpointUnusable { endpoint: id, until });
        }
        if let Some(limit) = lowered {
            self.event(Event::ConcurrencyLowered { endpoint: id, limit });
        }
        if let Some(state) = state {
            if state == BreakerState::Open && self.too_many_shut(id) {
                // Better a bad endpoint than none: what it counted is forgotten, and it stays.
                self.endpoints[usize::from(id.0)].breaker.close();
                return true;
            }
            self.event(Event::BreakerChanged { endpoint: id, state });
            changes = true;
        }
        changes
    }

    /// Whether more of the endpoints for this one's model are shut than the policy allows at once.
    fn too_many_shut(&self, id: EndpointId) -> bool {
        let candidates = &self.model(self.policy.endpoints()[usize::from(id.0)].model).candidates;
        let endpoints = &candidates.endpoints[..candidates.own];
        let shut = |id: &&EndpointId| self.endpoints[usize::from(id.0)].breaker.state() == BreakerState::Open;
        let count = endpoints.iter().filter(shut).count();
        count * 100 > endpoints.len() * usize::from(self.policy.shut_at_most_percent())
    }

    fn learn_spending(&mut self, slot: Slot, reserved: u64, spent: u64) {
        let permille = spent.saturating_mul(1_000) / reserved.max(1);
        let model = self.model_mut(self.calls.states[slot].model);
        model.spent_permille = model.spent_permille - model.spent_permille / 16 + permille.min(100_000) / 16;
    }

    /// Ends the call or plans its next attempt.
    fn conclude(&mut self, now: Timestamp, slot: Slot, endpoint: EndpointId, outcome: Outcome, rng: &mut dyn Rng) {
        if outcome.class == OutcomeClass::Success {
            self.budget.success(now, self.calls.states[slot].charged());
            return self.end(now, slot, EndReason::Answered);
        }
        self.fall_back(now, slot, endpoint, outcome, rng);
    }

    /// The same of an attempt that was not answered.
    #[cold]
    fn fall_back(&mut self, now: Timestamp, slot: Slot, endpoint: EndpointId, outcome: Outcome, rng: &mut dyn Rng) {
        let class = outcome.class;
        let retry = *self.policy.retry();
        let failed = EndReason::Failed { class };
        let backoff: Option<&Backoff> = match class {
            OutcomeClass::Success | OutcomeClass::Cancelled => return self.end(now, slot, EndReason::Cancelled),
            OutcomeClass::Refused | OutcomeClass::StreamBrokenDelivered => return self.end(now, slot, failed),
            OutcomeClass::TimedOut if !retry.timed_out => return self.end(now, slot, failed),
            OutcomeClass::ModelError if !retry.model_error => return self.end(now, slot, failed),
            // The pools know when they refill; another endpoint may take the call at once.
            OutcomeClass::Throttled(_) => None,
            OutcomeClass::Unusable => return self.reroute(now, slot, endpoint, failed),
            OutcomeClass::Overloaded | OutcomeClass::Unavailable => Some(&retry.overloaded),
            OutcomeClass::NotReady => Some(&retry.not_ready),
            OutcomeClass::TimedOut | OutcomeClass::ModelError | OutcomeClass::StreamBroken => Some(&retry.other),
        };
        let state = &mut self.calls.states[slot];
        let throttled = matches!(class, OutcomeClass::Throttled(_));
        state.throttled += u32::from(throttled);
        // Refusals by quota cost no work and each waits for its pool, so a deadline is bound enough for them.
        let exhausted = match throttled {
            true => state.deadline().is_none() && state.throttled >= THROTTLED_ATTEMPTS,
            false => state.attempts - state.throttled >= retry.max_attempts,
        };
        if exhausted {
            return self.end(now, slot, failed);
        }
        state.set_failed_at(Some(endpoint));
        let delay = match backoff {
            Some(backoff) => {
                backoff.delay(state.attempts - state.throttled - 1, state.delay(), outcome.retry_after, rng)
            }
            None => Duration::ZERO,
        };
        state.set_delay(delay);
        let kind = if backoff.is_none() { RetryKind::Throttled } else { RetryKind::Other };
        let mut at = now.saturating_add(delay);
        let mut bounded = false;
        let deadline = state.deadline().unwrap_or(Timestamp::MAX);
        if at >= deadline {
            return self.end(now, slot, failed);
        }
        match self.budget.withdraw(now, kind) {
            Ok(cost) => state.set_charged(cost),
            // Too many retries at once: this one waits until the budget's inflow carries it.
            Err(Some(earliest)) if earliest < deadline => {
                bounded = earliest > at;
                at = at.max(earliest);
                state.set_charged(self.budget.promise(now, kind));
            }
            Err(_) => return self.end(now, slot, failed),
        }
        let call = state.id;
        self.put_off(slot, at);
        self.event(Event::RetryPlanned { call, at, class, bounded });
    }

    /// The endpoint turned out to be unusable: another one gets the call, if there is one. That is no retry of failed
    /// work, so it costs the budget nothing; each endpoint can do it to a call once.
    fn reroute(&mut self, now: Timestamp, slot: Slot, endpoint: EndpointId, failed: EndReason) {
        let state = &mut self.calls.states[slot];
        state.set_failed_at(Some(endpoint));
        let model = state.model;
        let usable = self
            .model(model)
            .candidates
            .endpoints
            .iter()
            .any(|endpoint| self.endpoints[usize::from(endpoint.0)].unusable_until <= now);
        if usable { self.enqueue(slot) } else { self.end(now, slot, failed) }
    }

    #[inline(never)]
    pub(super) fn cancel(&mut self, now: Timestamp, slot: Slot) {
        self.abandon(slot);
        self.end(now, slot, EndReason::Cancelled);
    }

    /// Whatever is out for a call only settles from now on.
    pub(super) fn abandon(&mut self, slot: Slot) {
        let CallPhase::Out(attempt) = self.calls.states[slot].phase() else { return };
        let twin = self.attempts.get(&attempt).and_then(|attempt| attempt.twin);
        for attempt in [Some(attempt), twin].into_iter().flatten() {
            if let Some(attempt) = self.attempts.get_mut(&attempt) {
                attempt.abandoned = true;
            }
        }
    }

    /// `attempt` is the only one that is still out for its call.
    pub(super) fn only_out(&mut self, call: CallId, attempt: AttemptId) {
        if let Some(slot) = self.calls.find(&call) {
            self.calls.states[slot].out(attempt);
        }
    }

    /// Takes back the permits of attempts that were never reported.
    #[cold]
    pub(super) fn expire_leases(&mut self, now: Timestamp) {
        while let Some(attempt) = self.attempts.pop_expired(now) {
            let id = attempt.id;
            let moved = self.moved.remove(id);
            for index in 0.. {
                let Some(pool) = self.reserved_in(moved.as_deref(), attempt.endpoint, index) else { break };
                let permit = Permit { at: attempt.started, tokens: attempt.tokens };
                self.pools[usize::from(pool.0)].settle(now, permit, Spent::Unknown);
            }
            self.changed();
            if let Some(model) = self.models.get_mut(usize::from(attempt.model.0)) {
                model.queue.settled(attempt.tenant, attempt.tokens, attempt.tokens);
            }
            if let Some(endpoint) = self.endpoints.get_mut(usize::from(attempt.endpoint.0)) {
                endpoint.concurrency.end();
                if attempt.probe {
                    endpoint.breaker.release();
                }
            }
            self.event(Event::LeaseExpired { call: attempt.call, attempt: id });
            if let Some(twin) = attempt.twin.and_then(|twin| self.attempts.get_mut(&twin)) {
                twin.twin = None;
            }
            if attempt.abandoned {
                continue;
            }
            if let Some(twin) = attempt.twin {
                self.only_out(attempt.call, twin);
            } else if let Some(slot) = self.calls.find(&attempt.call) {
                self.end(now, slot, EndReason::Failed { class: OutcomeClass::TimedOut });
            }
        }
    }
}
