//! From waiting to sent: who is next, where it can start, and who can no longer make it.

use alloc::vec::Vec;
use core::time::Duration;

use super::io::{AttemptId, Call, CallId, Decision, EndReason, Event, Refusal};
use super::{AttemptState, CallPhase, CallState, Engine};
use crate::breaker::BreakerVerdict;
use crate::limiter::Admission;
use crate::outcome::Quota;
use crate::policy::{EndpointId, ModelId};
use crate::random::{Rng, scale};
use crate::time::Timestamp;

const MINUTE_US: u128 = 60_000_000;

/// Whether and when an endpoint can start a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Now,
    /// Not before this time: a quota of a pool, or `None` for the breaker or an unusable endpoint.
    At(Timestamp, Option<Quota>),
    /// When an attempt that is out has ended.
    AfterAReport,
    Never {
        limit: u64,
    },
}

/// What is to be done with the call at the head of a queue.
enum Route {
    Send(EndpointId),
    /// Nothing before this time, or before the next report.
    Wait(Option<Timestamp>),
    End(Refusal, Option<Timestamp>),
}

impl Engine {
    pub(super) fn submit(&mut self, now: Timestamp, mut call: Call) {
        if call.deadline.is_none() {
            call.deadline = self.policy.queue().deadline.and_then(|within| now.checked_add(within));
        }
        let order = self.next_order;
        self.next_order += 1;
        self.calls.insert(
            call.id,
            CallState {
                call,
                submitted: now,
                order,
                attempts: 0,
                phase: CallPhase::Waiting,
                failed_at: None,
                delay: Duration::ZERO,
                charged: None,
                too_late_at: None,
            },
        );
        if call.deadline.is_some_and(|deadline| deadline <= now) {
            return self.end(now, call.id, EndReason::Expired);
        }
        if let Some((why, retry_at)) = self.refusal_at_submit(now, &call) {
            return self.end(now, call.id, EndReason::Refused { why, retry_at });
        }
        self.enqueue(call.id);
    }

    /// What can be known already when a call comes in: it is too large, the queue is full, or those before it take
    /// longer than its deadline leaves.
    fn refusal_at_submit(&mut self, now: Timestamp, call: &Call) -> Option<(Refusal, Option<Timestamp>)> {
        let mut earliest: Option<Timestamp> = None;
        let mut largest = None;
        for endpoint in self.model(call.model).endpoints.clone() {
            match self.start(now, endpoint, call.tokens) {
                Start::Now | Start::AfterAReport => earliest = Some(now),
                Start::At(at, _) => earliest = Some(earliest.map_or(at, |earliest| earliest.min(at))),
                Start::Never { limit } => largest = largest.max(Some(limit)),
            }
        }
        let Some(earliest) = earliest else {
            return Some((largest.map_or(Refusal::NoEndpoint, |limit| Refusal::TooLarge { limit }), None));
        };
        let drained = now.saturating_add(self.drain_time(call.model));
        if self.waiting() >= self.policy.queue().capacity {
            return Some((Refusal::QueueFull, Some(earliest.max(drained))));
        }
        let start = earliest.max(drained);
        let latest = self.latest_start(call)?;
        (start > latest).then_some((Refusal::Deadline, Some(start)))
    }

    /// How long the calls waiting for `model` keep its pools busy, by what they are expected to be settled at.
    fn drain_time(&self, model: ModelId) -> Duration {
        let state = self.model(model);
        let calls = state.waiting.len() as u128;
        if calls == 0 {
            return Duration::ZERO;
        }
        let tokens = u128::from(state.waiting_tokens) * u128::from(state.spent_permille) / 1_000;
        let per_minute = |quota: Quota| -> Option<u128> {
            state.pools.iter().map(|pool| self.pools[usize::from(pool.0)].limit(quota).map(u128::from)).sum()
        };
        let by_tokens = per_minute(Quota::Tokens).map_or(0, |rate| tokens * MINUTE_US / rate.max(1));
        let by_requests = per_minute(Quota::Requests).map_or(0, |rate| calls * MINUTE_US / rate.max(1));
        Duration::from_micros(u64::try_from(by_tokens.max(by_requests)).unwrap_or(u64::MAX))
    }

    /// The last moment at which a start still leads to an answer in time, at the quickest of its endpoints.
    fn latest_start(&self, call: &Call) -> Option<Timestamp> {
        let deadline = call.deadline?;
        let endpoints = &self.model(call.model).endpoints;
        let quickest = endpoints.iter().map(|endpoint| self.allowance(*endpoint)).min().unwrap_or(Duration::ZERO);
        Some(deadline.saturating_sub(quickest))
    }

    fn allowance(&self, endpoint: EndpointId) -> Duration {
        self.endpoints[usize::from(endpoint.0)].service_time.allowance()
    }

    /// Puts a call into its model's queue.
    pub(super) fn enqueue(&mut self, id: CallId) {
        let Some(state) = self.calls.get_mut(&id) else { return };
        state.phase = CallPhase::Waiting;
        let (call, place) = (state.call, state.place());
        self.watch(id, &call);
        let model = self.model_mut(call.model);
        model.waiting.insert(place, id);
        model.waiting_tokens = model.waiting_tokens.saturating_add(call.tokens);
    }

    /// Notes from when on a waiting call is too late to be started.
    fn watch(&mut self, id: CallId, call: &Call) {
        let at = self.latest_start(call).map(|latest| latest.saturating_add(Duration::from_micros(1)));
        if let Some(at) = at {
            self.deadlines.insert((at, id));
        }
        if let Some(state) = self.calls.get_mut(&id) {
            state.too_late_at = at;
        }
    }

    /// Takes a call out of whatever it waits in.
    pub(super) fn unqueue(&mut self, id: CallId) {
        let Some(state) = self.calls.get_mut(&id) else { return };
        let (call, place, phase) = (state.call, state.place(), state.phase);
        if let Some(at) = state.too_late_at.take() {
            self.deadlines.remove(&(at, id));
        }
        match phase {
            CallPhase::Waiting => {
                let model = self.model_mut(call.model);
                if model.waiting.remove(&place).is_some() {
                    model.waiting_tokens = model.waiting_tokens.saturating_sub(call.tokens);
                }
            }
            CallPhase::Delayed(at) => {
                self.delayed.remove(&(at, id));
            }
            CallPhase::Out(_) => {}
        }
    }

    /// Ends a call, once.
    pub(super) fn end(&mut self, now: Timestamp, id: CallId, reason: EndReason) {
        self.unqueue(id);
        let Some(state) = self.calls.remove(&id) else { return };
        self.decisions.push_back(Decision::End { call: id, reason });
        let took = now.saturating_since(state.submitted);
        self.event(Event::Ended { call: id, reason, attempts: state.attempts, took });
    }

    /// Does all that can be done at `now`.
    pub(super) fn dispatch(&mut self, now: Timestamp, rng: &mut dyn Rng) {
        self.expire_leases(now);
        self.release_delayed(now);
        self.expire_waiting(now);
        self.next_start = None;
        for model in &mut self.models {
            model.blocked = false;
        }
        while let Some((model, id)) = self.head() {
            match self.route(now, id, rng) {
                Route::Send(endpoint) => self.send(now, id, endpoint),
                Route::End(why, retry_at) => self.end(now, id, EndReason::Refused { why, retry_at }),
                Route::Wait(at) => {
                    self.model_mut(model).blocked = true;
                    self.next_start = match (self.next_start, at) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                }
            }
        }
    }

    /// The first waiting call among the models whose head is not known to be stuck.
    fn head(&self) -> Option<(ModelId, CallId)> {
        let heads = self.models.iter().enumerate().filter(|(_, model)| !model.blocked);
        let first = heads.filter_map(|(index, model)| {
            let (place, id) = model.waiting.first_key_value()?;
            Some((*place, index, *id))
        });
        let (_, index, id) = first.min()?;
        Some((ModelId(u16::try_from(index).unwrap_or(u16::MAX)), id))
    }

    /// Picks the endpoint with the earliest useful start. Among several that can start now: those where the call has
    /// not just failed, then at random, with one draw.
    fn route(&mut self, now: Timestamp, id: CallId, rng: &mut dyn Rng) -> Route {
        let Some(state) = self.calls.get(&id) else { return Route::Wait(None) };
        let (call, failed_at) = (state.call, state.failed_at);
        let mut ready: Vec<EndpointId> = Vec::new();
        let mut earliest: Option<Timestamp> = None;
        let mut hopeful = false;
        let mut largest = None;
        for endpoint in self.model(call.model).endpoints.clone() {
            let last = call.deadline.map(|deadline| deadline.saturating_sub(self.allowance(endpoint)));
            match self.start(now, endpoint, call.tokens) {
                Start::Now if last.is_none_or(|last| now <= last) => ready.push(endpoint),
                Start::At(at, _) => {
                    hopeful |= last.is_none_or(|last| at <= last);
                    earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
                }
                Start::Now => earliest = Some(now),
                Start::AfterAReport => hopeful = true,
                Start::Never { limit } => largest = largest.max(Some(limit)),
            }
        }
        if ready.len() > 1 {
            ready.retain(|endpoint| Some(*endpoint) != failed_at);
        }
        match (ready.as_slice(), hopeful) {
            ([only], _) => Route::Send(*only),
            ([], true) => Route::Wait(earliest.filter(|at| *at > now)),
            ([], false) => match (earliest, largest) {
                (Some(at), _) => Route::End(Refusal::Deadline, Some(at)),
                (None, Some(limit)) => Route::End(Refusal::TooLarge { limit }, None),
                (None, None) => Route::End(Refusal::NoEndpoint, None),
            },
            (several, _) => {
                let pick = scale(rng.next_u64(), several.len() as u64 - 1);
                Route::Send(several[usize::try_from(pick).unwrap_or(0)])
            }
        }
    }

    /// When `endpoint` could start a call of `tokens` tokens.
    pub(super) fn start(&mut self, now: Timestamp, endpoint: EndpointId, tokens: u64) -> Start {
        let index = usize::from(endpoint.0);
        let state = &self.endpoints[index];
        if state.unusable_until > now {
            return Start::At(state.unusable_until, None);
        }
        let mut latest = match state.breaker.check(now) {
            BreakerVerdict::Pass | BreakerVerdict::Probe => Start::Now,
            BreakerVerdict::OpenUntil(at) => Start::At(at, None),
            BreakerVerdict::ProbesOut => Start::AfterAReport,
        };
        if !state.concurrency.admits() {
            latest = Start::AfterAReport;
        }
        for pool in &self.policy.endpoints()[index].pools {
            match self.pools[usize::from(pool.0)].check(now, tokens) {
                Ok(()) | Err(Admission::Granted(_)) => {}
                Err(Admission::Never(limit)) => return Start::Never { limit },
                Err(Admission::Busy) => latest = Start::AfterAReport,
                Err(Admission::NotBefore(at, quota)) => {
                    latest = match latest {
                        Start::Now => Start::At(at, Some(quota)),
                        Start::At(other, _) if at > other => Start::At(at, Some(quota)),
                        other => other,
                    }
                }
            }
        }
        latest
    }

    fn send(&mut self, now: Timestamp, id: CallId, endpoint: EndpointId) {
        self.unqueue(id);
        let attempt = AttemptId(self.next_attempt);
        self.next_attempt += 1;
        let Some(state) = self.calls.get_mut(&id) else { return };
        state.attempts += 1;
        state.phase = CallPhase::Out(attempt);
        let (number, tokens, submitted) = (state.attempts, state.call.tokens, state.submitted);
        let index = usize::from(endpoint.0);
        for pool in &self.policy.endpoints()[index].pools {
            self.pools[usize::from(pool.0)].reserve(now, tokens);
        }
        self.endpoints[index].breaker.acquire(now);
        self.endpoints[index].concurrency.start();
        let expires = now.saturating_add(self.policy.queue().lease);
        self.leases.insert((expires, attempt));
        self.attempts
            .insert(attempt, AttemptState { call: id, abandoned: false, endpoint, started: now, tokens, expires });
        self.decisions.push_back(Decision::Send { call: id, attempt, endpoint });
        let waited = now.saturating_since(submitted);
        self.event(Event::Sent { call: id, attempt, endpoint, number, waited, reserved_tokens: tokens });
    }

    /// Retries whose time has come go back to their old place in the queue.
    fn release_delayed(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.delayed.first().copied()
            && at <= now
        {
            self.delayed.remove(&(at, id));
            self.enqueue(id);
        }
    }

    /// Refuses the waiting calls that can no longer be answered in time.
    fn expire_waiting(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.remove(&(at, id));
            let Some(call) = self.calls.get(&id).map(|state| state.call) else { continue };
            // The service time may have been learned better since the call was queued.
            match self.latest_start(&call) {
                Some(latest) if latest >= now => self.watch(id, &call),
                _ if call.deadline.is_some_and(|deadline| deadline <= now) => self.end(now, id, EndReason::Expired),
                _ => {
                    let retry_at = Some(now.saturating_add(self.drain_time(call.model)));
                    self.end(now, id, EndReason::Refused { why: Refusal::Deadline, retry_at });
                }
            }
        }
    }
}
