//! From waiting to sent: who is next, where it can start, and who can no longer make it.

use core::time::Duration;

use super::event::Event;
use super::explain::Standing;
use super::io::{AttemptId, Call, Decision, EndReason, Refusal};
use super::route::{Route, nowhere, sooner};
use super::start::Start;
use super::queue::{Ahead, Place};
use super::store::Slot;
use super::tree::Links;
use super::{AttemptState, CallPhase, CallState, Engine};
use crate::breaker::BreakerVerdict;
use crate::defaults::PASSING_LOOKED_AT;
use crate::outcome::Quota;
use crate::policy::{EndpointId, ModelId};
use crate::random::Rng;
use crate::ratio::ratio;
use crate::time::{Timestamp, micros};

const MINUTE_US: u64 = 60_000_000;

/// A time to come back at: where it is now, nobody knows when.
fn after(now: Timestamp, at: Timestamp) -> Option<Timestamp> {
    (at > now).then_some(at)
}

/// From when on a waiting call is too late to be started, whose last moment this is.
fn just_after(latest: Timestamp) -> Timestamp {
    latest.saturating_add(Duration::from_micros(1))
}

/// What decides how late a call may start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    deadline: Option<Timestamp>,
    submitted: Timestamp,
    /// How long it has in all, in microseconds.
    within: u64,
    /// Nobody of its model had waited for as long when it was submitted.
    young: bool,
    max_tokens: Option<u32>,
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
        let state = CallState::new(&call, now, place, capped);
        if call.deadline.is_some_and(|deadline| deadline <= now) {
            return self.ended(now, &state, EndReason::Expired);
        }
        let mut latest = self.latest_start(&call, now);
        match self.admit(now, &call, latest) {
            Err((why, retry_at)) => return self.ended(now, &state, EndReason::Refused { why, retry_at }),
            Ok(Some(other)) => {
                self.give_way(now, other);
                // The queue may be empty now.
                latest = self.latest_start(&call, now);
            }
            Ok(None) => {}
        }
        let slot = self.calls.states.insert(state);
        self.enqueue_until(slot, latest);
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
        let earliest = self.earliest_start(now, call)?;
        let ahead = self.ahead(call);
        let by_quotas = self.drain_by_quotas(call, ahead);
        let drain = by_quotas.max(self.drain_by_slots(call, now, ahead));
        let mut other = None;
        if full {
            let weight = self.policy.weight(call.tenant);
            other = self.calls.holders.gives_way(call.tenant, weight);
            if other.is_none() {
                return Err((Refusal::QueueFull, after(now, earliest.saturating_add(drain))));
            }
        }
        // Those ahead take what is there first: `earliest` is theirs.
        let turn = earliest.saturating_add(drain);
        if target.is_some_and(|target| turn > now.saturating_add(target)) {
            return Err((Refusal::TargetWait, Some(turn)));
        }
        // A deadline is given up only on what is certain: the first of those ahead may start now, and while the queue is
        // young, for twice as long as the call has, there may be more slots again in time.
        let young = call.deadline.is_none_or(|deadline| {
            self.model(call.model).queue.was_empty(now, deadline.saturating_since(now).saturating_mul(2))
        });
        let certain = if young { by_quotas } else { drain };
        let start = earliest.max(now.saturating_add(certain));
        if let Some(latest) = latest.filter(|latest| start > *latest) {
            let drain = by_quotas.max(self.drain_by_slots(call, earliest, ahead));
            return Err((Refusal::Deadline, (latest >= now).then(|| earliest.saturating_add(drain))));
        }
        Ok(other)
    }

    /// Refuses a waiting call for want of room.
    fn give_way(&mut self, now: Timestamp, slot: Slot) {
        let call = self.calls.states[slot].call();
        let retry_at = match self.earliest_start(now, &call) {
            Ok(earliest) => after(now, earliest.saturating_add(self.drain_time(&call, now))),
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

    /// When an endpoint could start the call if no other call were waiting, or why none ever could.
    fn earliest_start(&mut self, now: Timestamp, call: &Call) -> Result<Timestamp, (Refusal, Option<Timestamp>)> {
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
        (latest >= submitted).then(|| earliest.saturating_add(self.drain_time(call, earliest)))
    }

    /// How long those who wait before one more call like this keep its pools and its endpoints busy, by the limits of `now`.
    fn drain_time(&self, call: &Call, now: Timestamp) -> Duration {
        let ahead = self.ahead(call);
        self.drain_by_quotas(call, ahead).max(self.drain_by_slots(call, now, ahead))
    }

    fn ahead(&self, call: &Call) -> Ahead {
        self.model(call.model).queue.ahead(call.tenant, self.policy.weight(call.tenant))
    }

    /// The same by slots alone: zero where an endpoint is not known to lack them.
    fn drain_by_slots(&self, call: &Call, now: Timestamp, ahead: Ahead) -> Duration {
        if ahead.calls == 0 {
            return Duration::ZERO;
        }
        let state = self.model(call.model);
        let mut rate = 0_u64;
        for id in &state.candidates.endpoints {
            let endpoint = &self.endpoints[usize::from(id.0)];
            let mut slots = endpoint.concurrency.limit(now).unwrap_or(u64::MAX);
            for pool in &self.policy.endpoints()[usize::from(id.0)].pools {
                slots = slots.min(self.pools[usize::from(pool.0)].slots());
            }
            if slots == u64::MAX {
                return Duration::ZERO;
            }
            let mean = micros(endpoint.service_times.times(call.max_tokens).mean());
            if mean == 0 {
                return Duration::ZERO;
            }
            rate = rate.saturating_add(ratio(slots, MINUTE_US, mean));
        }
        Duration::from_micros(ratio(ahead.calls, MINUTE_US, rate))
    }

    /// The same by quotas alone, by what those who wait are expected to be settled at.
    fn drain_by_quotas(&self, call: &Call, Ahead { calls, tokens }: Ahead) -> Duration {
        if calls == 0 {
            return Duration::ZERO;
        }
        let state = self.model(call.model);
        let tokens = ratio(tokens, state.spent_permille, 1_000);
        let drain = |amount: u64, quota: Quota| {
            let mut rate = 0_u64;
            for pool in &state.candidates.pools {
                let Some(limit) = self.pools[usize::from(pool.0)].limit(quota) else { return 0 };
                rate = rate.saturating_add(limit);
            }
            ratio(amount, MINUTE_US, rate)
        };
        Duration::from_micros(drain(tokens, Quota::Tokens).max(drain(calls, Quota::Requests)))
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
        let within = deadline.unwrap_or(Timestamp::MAX).saturating_since(submitted);
        let young = self.model(model).queue.was_empty(submitted, within);
        Due { deadline, submitted, within: micros(within), young, max_tokens }
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
        let Due { deadline, submitted, within, young, max_tokens } = *due;
        let state = &self.endpoints[usize::from(endpoint.0)];
        let times = &state.service_times;
        let allowance = if young {
            times.times(max_tokens).least_allowance_us()
        } else {
            times.allowance_within_us(within, max_tokens)
        };
        let latest = Timestamp::from_micros(deadline?.as_micros().saturating_sub(allowance));
        Some(if state.concurrency.in_flight() == 0 { latest.max(submitted) } else { latest })
    }

    /// Puts a call into its model's queue.
    pub(super) fn enqueue(&mut self, slot: Slot) {
        let state = &self.calls.states[slot];
        let latest = self.latest_start(&state.call(), state.submitted);
        self.enqueue_until(slot, latest);
    }

    /// The same for a call whose last moment to start is known.
    fn enqueue_until(&mut self, slot: Slot, latest: Option<Timestamp>) {
        let state = &self.calls.states[slot];
        let (model, weight) = (usize::from(state.model.0), self.policy.weight(state.tenant));
        self.calls.wait(slot, latest.map(just_after), weight);
        self.models[model].queue.insert(&mut self.calls.states, slot, weight);
    }

    /// Lets a call wait outside the queue.
    pub(super) fn put_off(&mut self, slot: Slot, until: Timestamp) {
        let weight = self.policy.weight(self.calls.states[slot].tenant);
        self.calls.delay(slot, until, weight);
    }

    /// Takes a call out of whatever it waits in.
    fn unqueue(&mut self, slot: Slot) {
        self.calls.unwatch(slot);
        let state = &self.calls.states[slot];
        if state.phase() == CallPhase::Waiting {
            let model = usize::from(state.model.0);
            self.models[model].queue.remove(&mut self.calls.states, slot);
        }
    }

    /// Ends a call, once.
    pub(super) fn end(&mut self, now: Timestamp, slot: Slot, reason: EndReason) {
        self.unqueue(slot);
        self.calls.release(slot);
        let state = self.calls.states.remove(slot);
        self.ended(now, &state, reason);
    }

    /// A call that is in no queue and under no name any more has ended.
    fn ended(&mut self, now: Timestamp, state: &CallState, reason: EndReason) {
        let id = state.id;
        self.decisions.push_back(Decision::End { call: id, reason });
        let took = now.saturating_since(state.submitted);
        if let Some(fingerprint) = state.fingerprint()
            && !matches!(reason, EndReason::Answered | EndReason::Cancelled)
        {
            self.failures.note(fingerprint, now);
        }
        self.history.ended(now, id, reason, state.attempts);
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
        let mut first = true;
        while let Some((model, slot)) = self.head() {
            if core::mem::take(&mut first)
                && let Some(at) = self.is_stuck(now, slot)
            {
                #[cfg(feature = "audit")]
                assert!(
                    matches!(self.route(now, slot, rng), Route::Wait(afresh) if afresh == at && self.idle.is_empty()),
                    "{:?} is no longer stuck",
                    self.calls.states[slot].id
                );
                self.wait(now, model, slot, at);
                continue;
            }
            self.known_until = Timestamp::MAX;
            match self.route(now, slot, rng) {
                Route::Send(endpoint) => self.send(now, slot, endpoint),
                Route::Park(at) => self.park(slot, at),
                Route::End(why, retry_at) => self.end(now, slot, EndReason::Refused { why, retry_at }),
                Route::Wait(at) => {
                    if !self.holds && self.models.iter().all(|model| !model.blocked) {
                        self.remember_stuck(now, slot, at);
                    }
                    let Err(passing) = self.pass(now, model) else { continue };
                    self.wait(now, model, slot, [at, passing].into_iter().flatten().min());
                }
            }
        }
        if core::mem::take(&mut self.holds) {
            self.held.fill(false);
        }
        self.send_hedges(now, rng);
        self.history.look_away();
    }

    /// The first call of a model waits, and with it all the others.
    fn wait(&mut self, now: Timestamp, model: ModelId, slot: Slot, at: Option<Timestamp>) {
        self.model_mut(model).blocked = true;
        self.hold(now, slot);
        if let Some(at) = at {
            self.next_start = sooner(self.next_start, at);
        }
    }

    /// Keeps the minute quotas that a stuck head waits for from the calls of other models behind it: they would take
    /// each token that flows in, and a large call would wait for ever. A pool closed for the day is kept from nobody.
    fn hold(&mut self, now: Timestamp, slot: Slot) {
        if self.models.len() < 2 {
            return;
        }
        let CallState { model, tokens, .. } = self.calls.states[slot];
        let own = self.model(model).candidates.own;
        for index in 0.. {
            let Some(endpoint) = self.model(model).candidates.endpoints[..own].get(index).copied() else { break };
            if let Start::At(_, Some(Quota::Requests | Quota::Tokens | Quota::Unknown)) =
                self.start(now, endpoint, tokens)
            {
                for pool in &self.policy.endpoints()[usize::from(endpoint.0)].pools {
                    self.held[usize::from(pool.0)] = true;
                    self.holds = true;
                }
            }
        }
    }

    /// Sends one call past the head, to an endpoint that is free and too slow for what time the head has left. That
    /// takes nothing the head could use. The most urgent call that the endpoint answers in time goes.
    ///
    /// Where none can go now: when the one that would could, or when it would be too late for that one and another's turn.
    fn pass(&mut self, now: Timestamp, model: ModelId) -> Result<(), Option<Timestamp>> {
        let mut next = None;
        for index in 0.. {
            let Some(endpoint) = self.idle.get(index).copied() else { break };
            let Some(slot) = self.in_time_at(now, endpoint, model) else { continue };
            let state = &self.calls.states[slot];
            let (call, submitted) = (state.call(), state.submitted);
            match self.start(now, endpoint, call.tokens) {
                Start::Now => {
                    self.send(now, slot, endpoint);
                    return Ok(());
                }
                Start::At(at, _) => next = sooner(next, at),
                Start::AfterAReport | Start::Unusable(_) | Start::Never { .. } => {}
            }
            if let Some(latest) = self.latest_start_at(endpoint, &self.due(call.model, call.deadline, submitted, call.max_tokens)) {
                next = sooner(next, just_after(latest));
            }
        }
        Err(next)
    }

    /// The most urgent waiting call that `endpoint` answers in time. Where service times are told apart, or calls have more
    /// time or less than the head had, some that are more urgent and take too long may hide it.
    fn in_time_at(&self, now: Timestamp, endpoint: EndpointId, model: ModelId) -> Option<Slot> {
        let times = &self.endpoints[usize::from(endpoint.0)].service_times;
        let queue = &self.model(model).queue;
        let head = &self.calls.states[queue.head()?];
        let within = head.deadline()?.saturating_since(head.submitted);
        let found = times.allowances(within).filter_map(|allowance| {
            let mut from = now.saturating_add(allowance);
            for _ in 0..PASSING_LOOKED_AT {
                let slot = queue.due_from(&self.calls.states, from)?;
                let state = &self.calls.states[slot];
                let (call, deadline) = (state.call(), state.deadline()?);
                let due = self.due(call.model, call.deadline, state.submitted, call.max_tokens);
                if self.latest_start_at(endpoint, &due).is_some_and(|latest| now <= latest) {
                    return Some((deadline, slot));
                }
                from = just_after(deadline);
            }
            None
        });
        // An endpoint that is too slow for all who wait would stay so for ever, if nobody tried it.
        let newest = || queue.due_last().filter(|slot| self.calls.states[*slot].submitted == now);
        match found.min() {
            Some((_, slot)) => Some(slot),
            None if self.endpoints[usize::from(endpoint.0)].concurrency.in_flight() == 0 => newest(),
            None => None,
        }
    }

    /// The first waiting call among the models whose head is not known to be stuck.
    fn head(&self) -> Option<(ModelId, Slot)> {
        let mut first: Option<(Place, u16, Slot)> = None;
        for (index, model) in (0..).zip(&self.models).filter(|(_, model)| !model.blocked) {
            let Some(slot) = model.queue.head() else { continue };
            let place = self.calls.states[slot].place;
            if first.is_none_or(|(first, ..)| place < first) {
                first = Some((place, index, slot));
            }
        }
        first.map(|(_, index, slot)| (ModelId(index), slot))
    }

    fn send(&mut self, now: Timestamp, slot: Slot, endpoint: EndpointId) {
        self.unqueue(slot);
        self.calls.release(slot);
        self.launch(now, slot, endpoint, None);
    }

    /// An attempt goes out, alone or beside its `twin`.
    pub(super) fn launch(&mut self, now: Timestamp, slot: Slot, endpoint: EndpointId, twin: Option<AttemptId>) {
        let attempt = AttemptId(self.next_attempt);
        self.next_attempt += 1;
        let state = &mut self.calls.states[slot];
        state.attempts += 1;
        if twin.is_none() {
            state.out(attempt);
        }
        let (number, submitted, capped) = (state.attempts, state.submitted, state.capped());
        let (affinity, max_tokens) = (state.affinity(), state.max_tokens());
        let CallState { id, tokens, tenant, model, .. } = *state;
        let index = usize::from(endpoint.0);
        for pool in &self.policy.endpoints()[index].pools {
            self.pools[usize::from(pool.0)].reserve(now, tokens);
        }
        let breaker = &mut self.endpoints[index].breaker;
        let before = breaker.state();
        let probe = breaker.acquire(now) == BreakerVerdict::Probe;
        let state = breaker.state();
        if state != before {
            self.event(Event::BreakerChanged { endpoint, state });
        }
        self.endpoints[index].concurrency.start();
        self.changed();
        let expires = now.saturating_add(self.policy.queue().lease);
        let hedge_at = if twin.is_none() { self.hedge_at(now, slot, endpoint) } else { None };
        self.attempts.insert(AttemptState {
            id: attempt,
            call: id,
            tenant,
            model,
            abandoned: false,
            endpoint,
            started: now,
            tokens,
            max_tokens,
            expires,
            probe,
            twin,
            hedge_at,
            by_expiry: Links::NEW,
            by_hedge: Links::NEW,
        });
        let weight = self.policy.weight(tenant);
        self.model_mut(model).queue.sent(tenant, weight, tokens);
        if let Some(other) = twin.and_then(|twin| self.attempts.get_mut(&twin)) {
            other.twin = Some(attempt);
            let (first, after) = (other.endpoint, now.saturating_since(other.started));
            self.decisions.push_back(Decision::Hedge { call: id, attempt, endpoint, max_tokens: capped });
            self.event(Event::Hedged { call: id, attempt, first, after });
        } else {
            self.decisions.push_back(Decision::Send { call: id, attempt, endpoint, max_tokens: capped });
            let ttl = self.policy.router().affinity_ttl;
            if let Some(from) = affinity.and_then(|key| self.homes.moved(key, endpoint, now, ttl)) {
                self.event(Event::AffinityMoved { call: id, from, to: endpoint });
            }
        }
        let waited = now.saturating_since(submitted);
        self.history.sent(now, id, attempt, endpoint);
        self.event(Event::Sent { call: id, attempt, endpoint, number, waited, reserved_tokens: tokens });
    }

    /// Lets a call step aside until the endpoint with its prompt cache can start it; once.
    fn park(&mut self, slot: Slot, at: Timestamp) {
        self.unqueue(slot);
        self.calls.states[slot].parked = true;
        self.put_off(slot, at);
    }

    /// What was put off and is due goes back to its old place in the queue.
    fn release_delayed(&mut self, now: Timestamp) {
        while let Some(slot) = self.calls.pop_delayed(now) {
            self.enqueue(slot);
        }
    }

    /// Refuses the waiting calls that can no longer be answered in time.
    fn expire_waiting(&mut self, now: Timestamp) {
        while let Some(slot) = self.calls.pop_too_late(now) {
            let state = &self.calls.states[slot];
            let (call, submitted) = (state.call(), state.submitted);
            // The service time may have been learned better since the call was queued.
            match self.latest_start(&call, submitted) {
                Some(latest) if latest >= now => self.calls.watch(slot, Some(just_after(latest))),
                _ if call.deadline.is_some_and(|deadline| deadline <= now) => {
                    self.end(now, slot, EndReason::Expired);
                }
                _ => {
                    let (why, retry_at) = match self.earliest_start(now, &call) {
                        Ok(earliest) => (Refusal::Deadline, self.retry_at(&call, submitted, earliest)),
                        Err(refusal) => refusal,
                    };
                    self.end(now, slot, EndReason::Refused { why, retry_at });
                }
            }
        }
    }
}
