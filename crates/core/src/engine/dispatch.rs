//! From waiting to sent: who is next, where it can start, and who can no longer make it.

use core::time::Duration;

use super::event::Event;
use super::io::{AttemptId, CallId, Decision, EndReason, Refusal};
use super::queue::Place;
use super::route::{Route, sooner};
use super::start::Start;
use super::store::Slot;
use super::tree::Links;
use super::{AttemptState, CallPhase, CallState, Engine};
use crate::breaker::BreakerVerdict;
use crate::defaults::PASSING_LOOKED_AT;
use crate::outcome::Quota;
use crate::policy::{EndpointId, ModelId};
use crate::random::Rng;
use crate::time::Timestamp;

/// From when on a waiting call is too late to be started, whose last moment this is.
fn just_after(latest: Timestamp) -> Timestamp {
    latest.saturating_add(Duration::from_micros(1))
}

impl Engine {
    /// Puts a call into its model's queue.
    pub(super) fn enqueue(&mut self, slot: Slot) {
        let state = &self.calls.states[slot];
        let latest = self.latest_start(&state.call(), state.submitted);
        self.enqueue_until(slot, latest);
    }

    /// The same for a call whose last moment to start is known.
    pub(super) fn enqueue_until(&mut self, slot: Slot, latest: Option<Timestamp>) {
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
        self.ended(now, state.id, state.fingerprint(), state.submitted, state.attempts, reason);
    }

    /// A call that is in no queue and under no name any more has ended.
    pub(super) fn ended(
        &mut self,
        now: Timestamp,
        id: CallId,
        fingerprint: Option<u64>,
        submitted: Timestamp,
        attempts: u32,
        reason: EndReason,
    ) {
        self.decisions.push_back(Decision::End { call: id, reason });
        let took = now.saturating_since(submitted);
        if let Some(fingerprint) = fingerprint
            && !matches!(reason, EndReason::Answered | EndReason::Cancelled)
        {
            self.failures.note(fingerprint, now);
        }
        self.history.ended(now, id, reason, attempts);
        self.event(Event::Ended { call: id, reason, attempts, took });
    }

    /// Does all that can be done at `now`.
    pub(super) fn dispatch(&mut self, now: Timestamp, rng: &mut dyn Rng) {
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        if due(self.attempts.next_expiry()) {
            self.expire_leases(now);
        }
        if due(self.calls.next_delayed()) {
            self.release_delayed(now);
        }
        if due(self.calls.next_too_late()) {
            self.expire_waiting(now);
        }
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
                self.clone().assert_stuck(now, slot, at, rng);
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
        if due(self.attempts.next_hedge()) {
            self.send_hedges(now, rng);
        }
        self.history.look_away();
    }

    /// The first call of a model waits, and with it all the others.
    fn wait(&mut self, now: Timestamp, model: ModelId, slot: Slot, at: Option<Timestamp>) {
        self.model_mut(model).blocked = true;
        if self.models.len() > 1 {
            self.hold(now, slot);
        }
        if let Some(at) = at {
            self.next_start = sooner(self.next_start, at);
        }
    }

    /// Keeps the minute quotas that a stuck head waits for from the calls of other models behind it: they would take
    /// each token that flows in, and a large call would wait for ever. A pool closed for the day is kept from nobody.
    #[inline(never)]
    fn hold(&mut self, now: Timestamp, slot: Slot) {
        let state = &self.calls.states[slot];
        let (model, tokens) = (state.model, state.tokens());
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
    #[inline(never)]
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
            if let Some(latest) =
                self.latest_start_at(endpoint, &self.due(call.model, call.deadline, submitted, call.max_tokens))
            {
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
        let forgone = self.due(model, head.deadline(), head.submitted, head.max_tokens()).forgone;
        let forgone = Duration::from_micros(forgone);
        // Where all calls are of one class, its times are those of all.
        let mut before = None;
        let allowances = times.allowances(within).filter(|allowance| before.replace(*allowance) != Some(*allowance));
        let found = allowances.filter_map(|allowance| {
            let mut from = now.saturating_add(allowance.saturating_sub(forgone));
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
        // Most often there is one alone.
        if let [model] = self.models.as_slice() {
            return if model.blocked { None } else { model.queue.head().map(|slot| (ModelId(0), slot)) };
        }
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
        let (affinity, max_tokens, tokens) = (state.affinity(), state.max_tokens(), state.tokens());
        let CallState { id, tenant, model, .. } = *state;
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
        let may_hedge = twin.is_none() && self.policy.hedge().is_some();
        let hedge_at = if may_hedge { self.hedge_at(now, slot, endpoint) } else { None };
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
    #[cold]
    fn park(&mut self, slot: Slot, at: Timestamp) {
        self.unqueue(slot);
        self.calls.states[slot].set_parked();
        self.put_off(slot, at);
    }

    /// What was put off and is due goes back to its old place in the queue.
    #[inline(never)]
    fn release_delayed(&mut self, now: Timestamp) {
        while let Some(slot) = self.calls.pop_delayed(now) {
            self.enqueue(slot);
        }
    }

    /// Refuses the waiting calls that can no longer be answered in time.
    #[inline(never)]
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
