//! From submitted to queued: what is known at once of a call's chances, and how late it may start.

use super::calls::CallState;
use super::event::Event;
use super::explain::Standing;
use super::io::{Call, EndReason, Refusal};
use super::queue::Ahead;
use super::route::{nowhere, sooner};
use super::start::Start;
use super::store::Slot;
use super::{EndpointState, Engine};
use crate::breaker::BreakerState;
use crate::defaults::{CHANCE_WAITS, SERVICE_TIME_CHANCE_PERMILLE};
use crate::outcome::Quota;
use crate::policy::{EndpointId, ModelId};
use crate::ratio::ratio;
use crate::service_times::{LengthClass, share_of};
use crate::time::{Timestamp, micros};

const MINUTE_US: u64 = 60_000_000;

/// A time to come back at: where it is now, nobody knows when.
fn after(now: Timestamp, at: Timestamp) -> Option<Timestamp> {
    (at > now).then_some(at)
}

/// What decides how late a call may start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    deadline: Option<Timestamp>,
    submitted: Timestamp,
    /// How long it has in all, and what a few slow answers may take of that, in microseconds.
    within: u64,
    share: u64,
    /// Nobody of its model had waited for as long when it was submitted.
    young: bool,
    class: LengthClass,
    /// What is taken off every endpoint's allowance, in microseconds, since no endpoint is quick enough for this call.
    pub(super) forgone: u64,
}

impl Engine {
    pub(super) fn submit(&mut self, now: Timestamp, mut call: Call) {
        if call.deadline.is_none() {
            call.deadline = self.policy.queue().deadline.and_then(|within| now.checked_add(within));
        }
        if let Some(since) = call.fingerprint.and_then(|fingerprint| self.failures.again(fingerprint, now)) {
            self.event(Event::StackedRetry { call: call.id, since });
        }
        self.allow_hedges();
        let capped = self.lower_cap(&mut call);
        let step = u64::from(u8::MAX - call.priority).saturating_mul(micros(self.policy.queue().priority_step));
        let place = (now.as_micros().saturating_add(step), self.next_order);
        self.next_order += 1;
        if call.deadline.is_some_and(|deadline| deadline <= now) {
            return self.turned_away(now, &call, EndReason::Expired);
        }
        let mut latest = self.latest_start(&call, now);
        match self.admit(now, &call, latest) {
            Err((why, retry_at)) => return self.turned_away(now, &call, EndReason::Refused { why, retry_at }),
            Ok(Some(other)) => {
                self.give_way(now, other);
                // The queue may be empty now.
                latest = self.latest_start(&call, now);
            }
            Ok(None) => {}
        }
        let slot = self.calls.states.insert(CallState::new(&call, now, place, capped));
        self.enqueue_until(slot, latest);
    }

    /// A call that never waited has ended.
    fn turned_away(&mut self, now: Timestamp, call: &Call, reason: EndReason) {
        self.ended(now, call.id, call.fingerprint, now, 0, reason);
    }

    /// What can be known already when a call comes in: it is too large, the queue is full, or those before it take
    /// longer than its deadline leaves. Where another call gives way to it in a full queue, which.
    fn admit(
        &mut self,
        now: Timestamp,
        call: &Call,
        latest: Option<Timestamp>,
    ) -> Result<Option<Slot>, (Refusal, Option<Timestamp>)> {
        let full = self.waiting() >= self.policy.queue().capacity;
        let target = self.policy.queue().target_wait;
        if !full && call.deadline.is_none() && target.is_none() {
            return self.some_start(now, call).map(|()| None);
        }
        // The limits of now, also of pools that nobody asked of late.
        for pool in &self.models[usize::from(call.model.0)].candidates.pools {
            self.pools[usize::from(pool.0)].catch_up(now);
        }
        let ahead = self.ahead(call);
        let by_quotas = self.drain_by_quotas(call, ahead);
        let drain = by_quotas.max(self.drain_by_slots(call, now, ahead));
        // A deadline is given up only on what is certain: the first of those ahead may start now, and while the queue is
        // young, for twice as long as the call has, there may be more slots again in time.
        let young = call.deadline.is_none_or(|deadline| {
            self.model(call.model).queue.was_empty(now, deadline.micros_since(now).saturating_mul(2))
        });
        let certain = now.plus_micros(if young { by_quotas } else { drain });
        // Most calls may wait for some endpoint, whichever is the earliest.
        if !full
            && target.is_none()
            && latest.is_some_and(|latest| certain <= latest && self.starts_by(now, call, latest))
        {
            return Ok(None);
        }
        let earliest = self.earliest_start(now, call)?;
        let mut other = None;
        if full {
            let weight = self.policy.weight(call.tenant);
            other = self.calls.holders.gives_way(call.tenant, weight);
            if other.is_none() {
                return Err((Refusal::QueueFull, after(now, earliest.plus_micros(drain))));
            }
        }
        // Those ahead take what is there first: `earliest` is theirs.
        let turn = earliest.plus_micros(drain);
        if target.is_some_and(|target| turn > now.saturating_add(target)) {
            return Err((Refusal::TargetWait, Some(turn)));
        }
        if let Some(latest) = latest.filter(|latest| earliest.max(certain) > *latest) {
            let drain = by_quotas.max(self.drain_by_slots(call, earliest, ahead));
            return Err((Refusal::Deadline, (latest >= now).then(|| earliest.plus_micros(drain))));
        }
        Ok(other)
    }

    /// Refuses a waiting call for want of room.
    #[cold]
    fn give_way(&mut self, now: Timestamp, slot: Slot) {
        let call = self.calls.states[slot].call();
        let retry_at = match self.earliest_start(now, &call) {
            Ok(earliest) => after(now, earliest.plus_micros(self.drain_time(&call, now))),
            Err((_, retry_at)) => retry_at,
        };
        self.end(now, slot, EndReason::Refused { why: Refusal::QueueFull, retry_at });
    }

    /// Whether an endpoint can start the call at some time, whenever that is, or why none can.
    fn some_start(&mut self, now: Timestamp, call: &Call) -> Result<(), (Refusal, Option<Timestamp>)> {
        for index in 0.. {
            let Some(endpoint) = self.model(call.model).candidates.endpoints.get(index).copied() else { break };
            if !matches!(self.start(now, endpoint, call.tokens), Start::Unusable(_) | Start::Never { .. }) {
                return Ok(());
            }
        }
        self.earliest_start(now, call).map(|_| ())
    }

    /// Whether an endpoint could start the call by then if no other call were waiting.
    fn starts_by(&mut self, now: Timestamp, call: &Call, latest: Timestamp) -> bool {
        for index in 0.. {
            let Some(endpoint) = self.model(call.model).candidates.endpoints.get(index).copied() else { break };
            let at = match self.start(now, endpoint, call.tokens) {
                Start::Now | Start::AfterAReport => now,
                Start::At(at, _) => at,
                Start::Unusable(_) | Start::Never { .. } => continue,
            };
            if at <= latest {
                return true;
            }
        }
        false
    }

    /// When an endpoint could start the call if no other call were waiting, or why none ever could.
    pub(super) fn earliest_start(
        &mut self,
        now: Timestamp,
        call: &Call,
    ) -> Result<Timestamp, (Refusal, Option<Timestamp>)> {
        let (mut earliest, mut usable_at, mut largest) = (None, None, None);
        self.history.consider(call.id);
        for index in 0.. {
            let Some(endpoint) = self.model(call.model).candidates.endpoints.get(index).copied() else { break };
            let start = self.start(now, endpoint, call.tokens);
            self.history.view(endpoint, Standing::of(start));
            match start {
                Start::Now | Start::AfterAReport => earliest = Some(now),
                Start::At(at, _) => earliest = sooner(earliest, at),
                Start::Unusable(at) => usable_at = sooner(usable_at, at),
                Start::Never { limit } => largest = largest.max(Some(limit)),
            }
        }
        earliest.ok_or_else(|| nowhere(usable_at, largest))
    }

    /// When a call that was refused for its deadline could be submitted again with as much time as it had: when those
    /// before it are served as well. `None` where the service takes longer than the call had from the beginning.
    pub(super) fn retry_at(&self, call: &Call, submitted: Timestamp, earliest: Timestamp) -> Option<Timestamp> {
        let latest = self.latest_start(call, submitted)?;
        (latest >= submitted).then(|| earliest.plus_micros(self.drain_time(call, earliest)))
    }

    /// How long those who wait before one more call like this keep its pools and its endpoints busy, by the limits of `now`:
    /// in microseconds.
    fn drain_time(&self, call: &Call, now: Timestamp) -> u64 {
        let ahead = self.ahead(call);
        self.drain_by_quotas(call, ahead).max(self.drain_by_slots(call, now, ahead))
    }

    fn ahead(&self, call: &Call) -> Ahead {
        self.model(call.model).queue.ahead(call.tenant, self.policy.weight(call.tenant))
    }

    /// The same by slots alone: zero where an endpoint is not known to lack them.
    fn drain_by_slots(&self, call: &Call, now: Timestamp, ahead: Ahead) -> u64 {
        let mut rate = 0_u64;
        for id in &self.model(call.model).candidates.endpoints {
            let slots = self.slots_of(*id, now);
            if slots == u64::MAX || ahead.calls == 0 {
                return 0;
            }
            let endpoint = &self.endpoints[usize::from(id.0)];
            let mean = micros(endpoint.service_times.times(call.max_tokens).mean());
            if mean == 0 {
                return 0;
            }
            rate = rate.saturating_add(ratio(slots, MINUTE_US, mean));
        }
        ratio(ahead.calls, MINUTE_US, rate)
    }

    /// How many attempts an endpoint carries at once, as far as that is known.
    fn slots_of(&self, id: EndpointId, now: Timestamp) -> u64 {
        let learned = self.endpoints[usize::from(id.0)].concurrency.limit(now).unwrap_or(u64::MAX);
        let pools = &self.policy.endpoints()[usize::from(id.0)].pools;
        pools.iter().fold(learned, |slots, pool| slots.min(self.pools[usize::from(pool.0)].slots()))
    }

    /// The same by quotas alone, by what those who wait are expected to be settled at.
    fn drain_by_quotas(&self, call: &Call, Ahead { calls, tokens }: Ahead) -> u64 {
        if calls == 0 {
            return 0;
        }
        let state = self.model(call.model);
        let tokens = ratio(tokens, state.spent_permille, 1_000);
        let (mut requests_rate, mut tokens_rate) = (Some(0_u64), Some(0_u64));
        let sum = |rate: Option<u64>, limit: Option<u64>| Some(rate?.saturating_add(limit?));
        for pool in &state.candidates.pools {
            let pool = &self.pools[usize::from(pool.0)];
            requests_rate = sum(requests_rate, pool.limit(Quota::Requests));
            tokens_rate = sum(tokens_rate, pool.limit(Quota::Tokens));
        }
        let drain = |amount: u64, rate: Option<u64>| rate.map_or(0, |rate| ratio(amount, MINUTE_US, rate));
        drain(tokens, tokens_rate).max(drain(calls, requests_rate))
    }

    /// The last moment at which a start still leads to an answer in time, at the quickest of its endpoints.
    pub(super) fn latest_start(&self, call: &Call, submitted: Timestamp) -> Option<Timestamp> {
        call.deadline?;
        let due = self.due(call.model, call.deadline, submitted, call.max_tokens);
        let endpoints = &self.model(call.model).candidates.endpoints;
        endpoints.iter().filter_map(|endpoint| self.latest_start_at(*endpoint, &due)).max()
    }

    /// What decides how late a call may start.
    pub(super) fn due(
        &self,
        model: ModelId,
        deadline: Option<Timestamp>,
        submitted: Timestamp,
        max_tokens: Option<u32>,
    ) -> Due {
        let within = deadline.unwrap_or(Timestamp::MAX).micros_since(submitted);
        let young = self.model(model).queue.was_empty(submitted, within);
        let class = LengthClass::of(max_tokens);
        let mut due = Due { deadline, submitted, within, share: share_of(within), young, class, forgone: 0 };
        let most = within - within / CHANCE_WAITS;
        // Most often the first endpoint is quick enough.
        let first = self.model(model).candidates.endpoints.first();
        if first.is_some_and(|first| !self.is_shut(*first) && self.allowance_at(*first, &due) <= most) {
            return due;
        }
        due.forgone = self.forgone(model, &due, most);
        due
    }

    /// Where even the quickest endpoint is expected to take nearly all the time that the call has, hardly any start leaves
    /// time for most answers. Refusing all such calls would leave the quota unused, so each is given a chance, if it has one:
    /// by so much less is allowed for, wherever it goes.
    #[inline(never)]
    fn forgone(&self, model: ModelId, due: &Due, most: u64) -> u64 {
        let endpoints = self.model(model).candidates.endpoints.iter().filter(|id| !self.is_shut(**id));
        let Some((allowance, id)) = endpoints.map(|id| (self.allowance_at(*id, due), *id)).min() else { return 0 };
        let times = self.endpoints[usize::from(id.0)].service_times.of(due.class);
        let chance = micros(times.quantile(SERVICE_TIME_CHANCE_PERMILLE));
        if chance > due.within { 0 } else { allowance.saturating_sub(chance.max(most)) }
    }

    /// Whether an endpoint answers nobody at present.
    fn is_shut(&self, id: EndpointId) -> bool {
        let EndpointState { unusable_until, breaker, .. } = &self.endpoints[usize::from(id.0)];
        *unusable_until > self.now || breaker.state() == BreakerState::Open
    }

    /// How long an answer is expected to take at `endpoint`, in microseconds.
    fn allowance_at(&self, endpoint: EndpointId, due: &Due) -> u64 {
        let bounds = self.endpoints[usize::from(endpoint.0)].service_times.bounds(due.class);
        if due.young { bounds.least } else { bounds.within(due.share) }
    }

    /// The last moment at which a start at `endpoint` still leads to an answer in time.
    ///
    /// Where somebody has waited for longer than the call has in all, this leaves time for nearly every answer, since who
    /// starts later only takes the place of another. While the queue is younger, what holds it up may be over soon, and
    /// nine of ten are enough: better late with a chance than refused with none.
    ///
    /// Where the endpoint is expected to take longer than the call has in all, that is a guess which only another
    /// answer can correct: while nothing is under way there, a call may still start the moment it is submitted.
    pub(super) fn latest_start_at(&self, endpoint: EndpointId, due: &Due) -> Option<Timestamp> {
        let allowance = self.allowance_at(endpoint, due).saturating_sub(due.forgone);
        let latest = Timestamp::from_micros(due.deadline?.as_micros().saturating_sub(allowance));
        let may_try = || latest < due.submitted && self.endpoints[usize::from(endpoint.0)].concurrency.in_flight() == 0;
        Some(if may_try() { due.submitted } else { latest })
    }
}
