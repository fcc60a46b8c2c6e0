//! When an endpoint can start a call, and that the first of all cannot start yet.

use super::Engine;
use super::io::CallId;
#[cfg(feature = "audit")]
use super::route::Route;
use super::store::Slot;
use crate::breaker::BreakerVerdict;
use crate::defaults::MOST_TOKENS;
use crate::limiter::Admission;
use crate::outcome::Quota;
use crate::policy::EndpointId;
#[cfg(feature = "audit")]
use crate::random::Rng;
use crate::time::Timestamp;

/// Whether and when an endpoint can start a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Now,
    /// Not before this time: a quota of a pool, or `None` for the breaker.
    At(Timestamp, Option<Quota>),
    /// When an attempt that is out has ended.
    AfterAReport,
    /// It was found unable to serve the model, and is left out until this time.
    Unusable(Timestamp),
    Never {
        limit: u64,
    },
}

/// That a call waits, which holds from a time until another, and while the count of all changes stays the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stuck {
    call: CallId,
    changes: u64,
    from: Timestamp,
    until: Timestamp,
    /// When it may start, if that is known.
    at: Option<Timestamp>,
}

impl Engine {
    /// When `endpoint` could start a call of `tokens` tokens.
    #[inline]
    pub(super) fn start(&mut self, now: Timestamp, endpoint: EndpointId, tokens: u64) -> Start {
        // Most often an open endpoint's only pool was asked before, and its answer holds.
        if let [pool] = self.policy.endpoints()[usize::from(endpoint.0)].pools.as_slice()
            && !self.holds
            && tokens <= MOST_TOKENS
            && self.endpoints[usize::from(endpoint.0)].is_open(now)
            && let limiter = &mut self.pools[usize::from(pool.0)]
            && let Some((at, quota)) = limiter.told(now, tokens)
        {
            self.known_until = self.known_until.min(at).min(limiter.steady_until());
            return Start::At(at, Some(quota));
        }
        self.start_after_a_look(now, endpoint, tokens)
    }

    #[inline(never)]
    fn start_after_a_look(&mut self, now: Timestamp, endpoint: EndpointId, tokens: u64) -> Start {
        if tokens > MOST_TOKENS {
            return Start::Never { limit: MOST_TOKENS };
        }
        let start = self.start_unless_held(now, endpoint, tokens);
        let held = self.holds && !matches!(start, Start::Unusable(_) | Start::Never { .. }) && self.is_held(endpoint);
        if held { Start::AfterAReport } else { start }
    }

    /// Whether a call that waits longer has one of the endpoint's pools.
    fn is_held(&self, endpoint: EndpointId) -> bool {
        let pools = &self.policy.endpoints()[usize::from(endpoint.0)].pools;
        pools.iter().any(|pool| self.held[usize::from(pool.0)])
    }

    /// Whether the call in `slot`, which is first of all, is known to wait; then until when, if that is known.
    pub(super) fn is_stuck(&self, now: Timestamp, slot: Slot) -> Option<Option<Timestamp>> {
        let Stuck { call, changes, from, until, at } = self.stuck?;
        let known = from <= now && now < until && call == self.calls.states[slot].id && changes == self.all_changes();
        known.then_some(at)
    }

    /// Remembers that the call in `slot`, which is first of all, was found at `now` to wait until `at`.
    pub(super) fn remember_stuck(&mut self, now: Timestamp, slot: Slot, at: Option<Timestamp>) {
        let until = self.known_until.min(at.unwrap_or(Timestamp::MAX));
        let call = self.calls.states[slot].id;
        // Where an endpoint is free but too slow, what may pass the call depends on the others that wait.
        self.stuck = self.idle.is_empty().then_some(Stuck { call, changes: self.all_changes(), from: now, until, at });
    }

    /// That `at` is still the answer. Asking changes what is remembered, so a copy is asked.
    #[cfg(feature = "audit")]
    pub(super) fn assert_stuck(mut self, now: Timestamp, slot: Slot, at: Option<Timestamp>, rng: &mut dyn Rng) {
        let route = self.route(now, slot, rng);
        let id = self.calls.states[slot].id;
        assert!(
            matches!(route, Route::Wait(afresh) if afresh == at) && self.idle.is_empty(),
            "{id:?} is no longer stuck"
        );
    }

    /// How often something happened that may change when a call can start.
    fn all_changes(&self) -> u64 {
        self.pools.iter().fold(self.changes, |sum, pool| sum.wrapping_add(pool.changes()))
    }

    /// Something happened at an endpoint that may change when a call can start.
    pub(super) const fn changed(&mut self) {
        self.changes = self.changes.wrapping_add(1);
    }

    /// The answer as far as nobody who waits longer has the pools; until when it holds is noted.
    fn start_unless_held(&mut self, now: Timestamp, endpoint: EndpointId, tokens: u64) -> Start {
        let index = usize::from(endpoint.0);
        let state = &self.endpoints[index];
        if state.unusable_until > now {
            self.known_until = self.known_until.min(state.unusable_until);
            return Start::Unusable(state.unusable_until);
        }
        let mut until = self.known_until;
        let mut latest = match state.breaker.check(now) {
            BreakerVerdict::Pass | BreakerVerdict::Probe => Start::Now,
            BreakerVerdict::OpenUntil(Timestamp::MAX) => return Start::Unusable(Timestamp::MAX),
            BreakerVerdict::OpenUntil(at) => {
                until = until.min(at);
                Start::At(at, None)
            }
            BreakerVerdict::ProbesOut => Start::AfterAReport,
        };
        if !state.concurrency.admits(now) {
            let grows = state.concurrency.grows_at(now);
            until = until.min(grows.unwrap_or(Timestamp::MAX));
            latest = match (grows, latest) {
                (Some(grows), Start::Now) => Start::At(grows, None),
                (Some(grows), Start::At(at, _)) => Start::At(at.max(grows), None),
                (_, later) => later,
            };
        }
        let mut never: Option<u64> = None;
        for pool in &self.policy.endpoints()[index].pools {
            let limiter = &mut self.pools[usize::from(pool.0)];
            match limiter.check(now, tokens) {
                Ok(()) | Err(Admission::Granted(_)) => {}
                Err(Admission::NotBefore(at, quota)) => {
                    until = until.min(at);
                    latest = match latest {
                        Start::Now => Start::At(at, Some(quota)),
                        Start::At(other, _) if at > other => Start::At(at, Some(quota)),
                        other => other,
                    }
                }
                Err(Admission::Busy) => latest = Start::AfterAReport,
                Err(Admission::Never(limit)) => never = Some(never.map_or(limit, |least| least.min(limit))),
            }
            until = until.min(limiter.steady_until());
        }
        self.known_until = until;
        never.map_or(latest, |limit| Start::Never { limit })
    }
}
