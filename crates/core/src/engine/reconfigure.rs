//! A new policy under running calls.

use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use super::io::{AttemptId, CallId, EndReason, Refusal, TenantId};
use super::{CallPhase, EndpointState, Engine, ModelState};
use crate::breaker::BreakerConfig;
use crate::limiter::Limiter;
use crate::policy::{EndpointId, ModelId, Policy, PoolId};
use crate::time::Timestamp;

/// What stands for an endpoint that the policy no longer has.
const GONE: EndpointId = EndpointId(u16::MAX);

/// The pools in which attempts were reserved that were out when the policy changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Moved(Vec<(AttemptId, Vec<PoolId>)>);

impl Moved {
    fn place(&self, id: AttemptId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |(known, _)| *known)
    }

    fn get(&self, id: AttemptId) -> Option<&[PoolId]> {
        self.place(id).ok().map(|place| &*self.0[place].1)
    }

    pub(super) fn remove(&mut self, id: AttemptId) -> Option<Vec<PoolId>> {
        self.place(id).ok().map(|place| self.0.remove(place).1)
    }
}

/// Where the things of one policy are in another, by name.
fn moved<T>(old: &[T], new: &[T], name: impl Fn(&T) -> &str) -> Vec<Option<u16>> {
    let place = |item: &T| new.iter().position(|other| name(other) == name(item));
    old.iter().map(|item| place(item).and_then(|index| u16::try_from(index).ok())).collect()
}

/// The old states in the order of the new policy; those without an old one are made.
fn carry<T>(old: Vec<T>, places: &[Option<u16>], count: usize, make: impl Fn(usize) -> T) -> Vec<T> {
    let mut states: Vec<T> = (0..count).map(make).collect();
    for (state, place) in old.into_iter().zip(places) {
        if let Some(slot) = place.and_then(|place| states.get_mut(usize::from(place))) {
            *slot = state;
        }
    }
    states
}

impl Engine {
    /// Puts another policy in force, without losing a call.
    ///
    /// What has the same name goes on: pools keep what was taken from them and what was learned, endpoints their breaker,
    /// concurrency and service time, models and tenants their waiting calls. A waiting call whose model is gone is
    /// refused; attempts that are out are settled where they were reserved. Ids are those of the new policy from here on,
    /// so callers look models and tenants up again. Fairness is counted anew. The next wake-up is due at once.
    pub fn reconfigure(&mut self, now: Timestamp, policy: Policy) {
        let now = self.clamp(now);
        let old = mem::replace(&mut self.policy, policy);
        let pools = moved(old.pools(), self.policy.pools(), |pool| &pool.name);
        let endpoints = moved(old.endpoints(), self.policy.endpoints(), |endpoint| &endpoint.name);
        let models = moved(old.models(), self.policy.models(), |model| model);
        let tenants = moved(old.tenants(), self.policy.tenants(), |tenant| &tenant.name);

        // What is out was reserved in its endpoint's pools and is settled there, even if it draws on others now.
        let place = |pool: &PoolId| pools.get(usize::from(pool.0)).copied().flatten().map(PoolId);
        let before = mem::take(&mut self.moved);
        self.attempts.for_each(|attempt| {
            let index = usize::from(attempt.endpoint.0);
            let reserved = match before.get(attempt.id) {
                Some(list) => list.iter().filter_map(place).collect(),
                None => old.endpoints().get(index).into_iter().flat_map(|old| &old.pools).filter_map(place).collect(),
            };
            self.moved.0.push((attempt.id, reserved));
            attempt.endpoint = endpoints.get(index).copied().flatten().map_or(GONE, EndpointId);
            attempt.tenant = tenant(&tenants, attempt.tenant);
            attempt.model = place_of(&models, attempt.model.0).map_or(ModelId(u16::MAX), ModelId);
        });

        self.moved.0.sort_unstable_by_key(|(id, _)| *id);

        self.history.forget();
        self.lengths.renumber(|id| place_of(&models, id.0).map(ModelId));
        self.homes.renumber(|id| place_of(&endpoints, id.0).map(EndpointId));
        let count = self.policy.pools().len();
        let limits = |index: usize| self.policy.pools()[index].limits;
        self.pools = carry(mem::take(&mut self.pools), &pools, count, |index| Limiter::new(limits(index), now));
        for (index, pool) in self.pools.iter_mut().enumerate() {
            pool.reconfigure(now, limits(index));
        }
        let breaker =
            |index: usize| BreakerConfig { mode: self.policy.endpoints()[index].breaker, ..*self.policy.breaker() };
        let count = self.policy.endpoints().len();
        let make = |index| EndpointState::new(breaker(index));
        self.endpoints = carry(mem::take(&mut self.endpoints), &endpoints, count, make);
        for (index, endpoint) in self.endpoints.iter_mut().enumerate() {
            endpoint.breaker.reconfigure(now, breaker(index));
        }
        self.budget.reconfigure(now, self.policy.retry().budget);
        self.held = vec![false; self.policy.pools().len()];
        self.stuck = None;
        let spent: Vec<u64> = self.models.iter().map(|model| model.spent_permille).collect();
        self.models = (0..self.policy.models().len()).map(|model| ModelState::new(&self.policy, model)).collect();
        for (place, spent) in models.iter().zip(spent) {
            if let Some(model) = place.and_then(|place| self.models.get_mut(usize::from(place))) {
                model.spent_permille = spent;
            }
        }
        self.move_calls(now, &models, &endpoints, &tenants);
        self.next_start = Some(now);
    }

    /// Gives every call its ids in the new policy and queues the waiting ones anew.
    fn move_calls(
        &mut self,
        now: Timestamp,
        models: &[Option<u16>],
        endpoints: &[Option<u16>],
        tenants: &[Option<u16>],
    ) {
        self.calls.forget_waits();
        let mut all: Vec<(u64, CallId)> = Vec::new();
        self.calls.states.for_each(|state| {
            state.tenant = tenant(tenants, state.tenant);
            let failed_at = state.failed_at().and_then(|endpoint| place_of(endpoints, endpoint.0));
            state.set_failed_at(failed_at.map(EndpointId));
            all.push((state.place.1, state.id));
        });
        // In the order of submission, so that whoever came last still gives way first.
        all.sort_unstable();
        let mut homeless = Vec::new();
        for (_, id) in all {
            let Some(slot) = self.calls.find(&id) else { continue };
            let state = &mut self.calls.states[slot];
            match (place_of(models, state.model.0), state.phase()) {
                (Some(model), phase) => {
                    state.model = ModelId(model);
                    let weight = self.policy.weight(state.tenant);
                    match phase {
                        CallPhase::Waiting => self.enqueue(slot),
                        CallPhase::Delayed(_) => self.calls.hold(slot, weight),
                        CallPhase::Out(_) => {}
                    }
                }
                (None, phase) => homeless.push((id, slot, phase)),
            }
        }
        homeless.sort_unstable_by_key(|(id, ..)| *id);
        for (_, slot, phase) in homeless {
            self.abandon(slot);
            if phase == CallPhase::Waiting {
                // It is in no queue of the new policy.
                self.calls.states[slot].out(AttemptId(u64::MAX));
            }
            self.end(now, slot, EndReason::Refused { why: Refusal::NoEndpoint, retry_at: None });
        }
    }
}

fn place_of(places: &[Option<u16>], index: u16) -> Option<u16> {
    places.get(usize::from(index)).copied().flatten()
}

/// A tenant that the old policy did not name keeps its number.
fn tenant(tenants: &[Option<u16>], id: TenantId) -> TenantId {
    let index = usize::try_from(id.0).unwrap_or(usize::MAX);
    tenants.get(index).copied().flatten().map_or(id, |place| TenantId(u32::from(place)))
}
