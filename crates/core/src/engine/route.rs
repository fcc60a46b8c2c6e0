//! Where a call goes: the earliest useful start, in the order of tiers, near its prompt cache where that pays.

use alloc::vec::Vec;
use core::time::Duration;

use super::Engine;
use super::admit::Due;
use super::calls::CallState;
use super::explain::Standing;
use super::io::Refusal;
use super::start::Start;
use super::store::Slot;
use crate::outcome::Quota;
use crate::policy::{EndpointId, ModelId, Policy, PoolId};
use crate::random::{Rng, scale};
use crate::time::{Timestamp, micros};

/// What is to be done with the call at the head of a queue.
pub(super) enum Route {
    Send(EndpointId),
    /// Nothing before this time, or before the next report.
    Wait(Option<Timestamp>),
    /// It steps aside until this time, when the endpoint with its prompt cache can start it.
    Park(Timestamp),
    End(Refusal, Option<Timestamp>),
}

/// Endpoints of equal standing for a model: one group of its own or of a fallback.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tier {
    /// Where it ends in the model's list; it begins where the one before ends.
    until: usize,
    /// How long a call waits for the tiers before, in microseconds.
    patience: u64,
}

/// The endpoints that may serve a model, best tier first.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidates {
    pub(super) endpoints: Vec<EndpointId>,
    tiers: Vec<Tier>,
    /// How many of them serve the model itself; the rest serve its fallbacks.
    pub(super) own: usize,
    /// The pools they draw on, each once.
    pub(super) pools: Vec<PoolId>,
}

impl Candidates {
    pub(super) fn new(policy: &Policy, model: ModelId) -> Self {
        let mut list = Self::default();
        let router = policy.router();
        list.add_groups(policy, model, Duration::ZERO, router.group_wait);
        list.own = list.endpoints.len();
        if let Some(fallback) = policy.fallback(model) {
            for other in &fallback.models {
                list.add_groups(policy, *other, fallback.after, fallback.after.saturating_add(router.group_wait));
            }
        }
        list
    }

    /// How long a call waits for others before the endpoint at this place serves it.
    pub(super) fn patience_at(&self, place: usize) -> Duration {
        let tier = self.tiers.iter().find(|tier| place < tier.until);
        Duration::from_micros(tier.map_or(0, |tier| tier.patience))
    }

    fn add_groups(&mut self, policy: &Policy, model: ModelId, first: Duration, later: Duration) {
        let of_model = policy.endpoints().iter().enumerate();
        let mut found: Vec<(u8, EndpointId)> = of_model
            .filter(|(_, endpoint)| endpoint.model == model && policy.allows(endpoint))
            .map(|(index, endpoint)| (endpoint.group, EndpointId(u16::try_from(index).unwrap_or(u16::MAX))))
            .collect();
        found.sort_unstable();
        for group in found.chunk_by(|one, other| one.0 == other.0) {
            let patience = if group.first() == found.first() { first } else { later };
            for (_, id) in group {
                self.endpoints.push(*id);
                for pool in policy.endpoint(*id).into_iter().flat_map(|endpoint| &endpoint.pools) {
                    if !self.pools.contains(pool) {
                        self.pools.push(*pool);
                    }
                }
            }
            self.tiers.push(Tier { until: self.endpoints.len(), patience: micros(patience) });
        }
    }
}

/// What the endpoints looked at so far promise to a call that none of them starts now.
#[derive(Default)]
struct Prospect {
    /// When one could start it that would answer too late.
    late: Option<Timestamp>,
    /// When one could start it in time.
    useful: Option<Timestamp>,
    /// One could after a report.
    report: bool,
    /// When to look again.
    wake: Option<Timestamp>,
    usable_at: Option<Timestamp>,
    largest: Option<u64>,
}

impl Prospect {
    /// Whether waiting up to `until` may help.
    fn within(&self, until: Timestamp) -> bool {
        self.report || self.useful.is_some_and(|at| at <= until)
    }
}

pub(super) fn sooner(known: Option<Timestamp>, at: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(at, |known| known.min(at)))
}

/// Why a call that no endpoint can start at any time is refused.
pub(super) fn nowhere(usable_at: Option<Timestamp>, largest: Option<u64>) -> (Refusal, Option<Timestamp>) {
    match (usable_at, largest) {
        (None, Some(limit)) => (Refusal::TooLarge { limit }, None),
        // An operator who shut an endpoint has not said until when.
        _ => (Refusal::NoEndpoint, usable_at.filter(|at| *at < Timestamp::MAX)),
    }
}

impl Engine {
    /// Picks the endpoint with the earliest useful start. Those of a later tier count while none before them can start
    /// the call within their patience. Takes one draw where several can start it now.
    pub(super) fn route(&mut self, now: Timestamp, slot: Slot, rng: &mut dyn Rng) -> Route {
        let state = &self.calls.states[slot];
        let CallState { id, model, submitted, cached_tokens, .. } = *state;
        let (tokens, failed_at, parked) = (state.tokens(), state.failed_at(), state.parked());
        let home = state.affinity().and_then(|key| self.homes.get(key, now, self.policy.router().affinity_ttl));
        let mut home_at = None;
        let due = self.due(model, state.deadline(), submitted, state.max_tokens());
        self.ready.clear();
        self.idle.clear();
        self.history.consider(id);
        let mut prospect = Prospect::default();
        let mut index = 0;
        for tier in 0.. {
            let Some(Tier { until, patience }) = self.model(model).candidates.tiers.get(tier).copied() else {
                break;
            };
            let since = submitted.plus_micros(patience);
            if now < since && prospect.within(since) {
                prospect.wake = sooner(prospect.wake, since);
                break;
            }
            while index < until {
                let endpoint = self.model(model).candidates.endpoints[index];
                let at = self.look(now, endpoint, tokens, &due, &mut prospect);
                if Some(endpoint) == home {
                    home_at = at;
                }
                index += 1;
            }
            if !self.ready.is_empty() {
                break;
            }
        }
        if self.ready.is_empty() {
            return self.unready(slot, &prospect);
        }
        for later in index..self.model(model).candidates.endpoints.len() {
            self.history.view(self.model(model).candidates.endpoints[later], Standing::InReserve);
        }
        if let Some(home) = home
            && Some(home) != failed_at
        {
            if self.ready.contains(&home) {
                return Route::Send(home);
            }
            if let Some(at) = home_at
                && !parked
                && at.saturating_since(now) <= self.worth_of_cache(cached_tokens)
            {
                return Route::Park(at);
            }
        }
        if self.ready.len() > 1 {
            self.ready.retain(|endpoint| Some(*endpoint) != failed_at);
        }
        Route::Send(self.choose(rng))
    }

    /// Notes what one endpoint promises to the call. Returns when it could start it in time, where that is known.
    fn look(
        &mut self,
        now: Timestamp,
        endpoint: EndpointId,
        tokens: u64,
        due: &Due,
        prospect: &mut Prospect,
    ) -> Option<Timestamp> {
        let last = self.latest_start_at(endpoint, due);
        let start = self.start(now, endpoint, tokens);
        let slow = start == Start::Now && last.is_some_and(|last| now > last);
        self.history.view(endpoint, if slow { Standing::TooSlow } else { Standing::of(start) });
        match start {
            Start::Now if !slow => {
                self.ready.push(endpoint);
                return Some(now);
            }
            Start::Now => {
                prospect.late = Some(now);
                self.idle.push(endpoint);
            }
            Start::At(at, _) => {
                prospect.wake = sooner(prospect.wake, at);
                if last.is_none_or(|last| at <= last) {
                    prospect.useful = sooner(prospect.useful, at);
                    return Some(at);
                }
                prospect.late = sooner(prospect.late, at);
            }
            Start::AfterAReport => prospect.report = true,
            Start::Unusable(at) => {
                prospect.usable_at = sooner(prospect.usable_at, at);
                prospect.wake = sooner(prospect.wake, at);
            }
            Start::Never { limit } => prospect.largest = prospect.largest.max(Some(limit)),
        }
        None
    }

    /// What becomes of a call that no endpoint starts now.
    fn unready(&self, slot: Slot, prospect: &Prospect) -> Route {
        if prospect.within(Timestamp::MAX) {
            return Route::Wait(prospect.wake);
        }
        match prospect.late {
            Some(at) => {
                let state = &self.calls.states[slot];
                Route::End(Refusal::Deadline, self.retry_at(&state.call(), state.submitted, at))
            }
            None => {
                let (why, retry_at) = nowhere(prospect.usable_at, prospect.largest);
                Route::End(why, retry_at)
            }
        }
    }

    /// How long waiting for a prompt cache costs no more than the cache is worth: the time in which the quickest of the
    /// free endpoints refills the tokens that would be charged anew, and what the policy adds for the latency saved.
    fn worth_of_cache(&self, cached_tokens: u32) -> Duration {
        let limit_of = |endpoint: &EndpointId| {
            let pools = &self.policy.endpoints()[usize::from(endpoint.0)].pools;
            pools.iter().filter_map(|pool| self.pools[usize::from(pool.0)].limit(Quota::Tokens)).min()
        };
        let refill = match self.ready.iter().map(limit_of).max().flatten() {
            Some(limit) => u64::from(cached_tokens).saturating_mul(micros(Duration::from_secs(60))) / limit.max(1),
            None => 0,
        };
        self.policy.router().affinity_wait.saturating_add(Duration::from_micros(refill))
    }

    /// One of the endpoints in `ready`: of two that are drawn by weight, the one that is clearly faster for each token,
    /// else the first ("The power of two choices in randomized load balancing", Mitzenmacher 2001). One draw.
    pub(super) fn choose(&self, rng: &mut dyn Rng) -> EndpointId {
        let [first, _, ..] = self.ready.as_slice() else { return self.ready[0] };
        let draw = rng.next_u64();
        let all = self.ready.iter().map(|id| u64::from(self.weight_of(*id))).sum::<u64>();
        let one = self.by_weight(scale(draw & !0xffff_ffff, all - 1), None).unwrap_or(*first);
        let rest = all - u64::from(self.weight_of(one));
        let Some(other) = self.by_weight(scale(draw << 32, rest.saturating_sub(1)), Some(one)) else { return one };
        let speed = |id: EndpointId| self.endpoints[usize::from(id.0)].concurrency.per_token();
        match (speed(one), speed(other)) {
            (Some(this), Some(that)) if that < this - this / 4 => other,
            _ => one,
        }
    }

    fn weight_of(&self, id: EndpointId) -> u32 {
        self.policy.endpoints()[usize::from(id.0)].weight
    }

    /// The ready endpoint at `place` when each takes as many places as it weighs.
    fn by_weight(&self, mut place: u64, without: Option<EndpointId>) -> Option<EndpointId> {
        for id in self.ready.iter().filter(|id| Some(**id) != without) {
            let weight = u64::from(self.weight_of(*id));
            if place < weight {
                return Some(*id);
            }
            place -= weight;
        }
        None
    }
}
