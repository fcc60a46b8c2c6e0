//! When an endpoint can start a call, remembered until something happens there.

use super::Engine;
use super::io::CallId;
use crate::breaker::BreakerVerdict;
use crate::defaults::MOST_TOKENS;
use crate::limiter::{Admission, Limiter};
use crate::outcome::Quota;
use crate::policy::{EndpointId, PoolId};
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

/// An answer for calls of so many tokens, or of as many at most where it is not about tokens. It holds from when it was
/// asked for until a time, and while the count of changes stays the same.
#[derive(Clone, Copy, Debug)]
struct Answer {
    tokens: u64,
    changes: u64,
    from: Timestamp,
    until: Timestamp,
    start: Start,
}

impl Answer {
    /// Whether it is the answer for calls of `tokens` tokens: who waits for one more request does so whatever its size, as
    /// long as its tokens are there by then.
    fn is_for(&self, tokens: u64) -> bool {
        match self.start {
            Start::At(_, Some(Quota::Requests)) => tokens <= self.tokens,
            _ => tokens == self.tokens,
        }
    }
}

/// The last answers of one endpoint: most questions are about the head of the queue, and some about a
/// call that comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answers {
    last: [Option<Answer>; 2],
    /// Which of them was asked for last.
    latest: usize,
}

impl Answers {
    pub(super) const NONE: Self = Self { last: [None; 2], latest: 0 };

    fn find(&mut self, now: Timestamp, tokens: u64, changes: u64) -> Option<Answer> {
        for place in [self.latest, 1 - self.latest] {
            if let Some(answer) = &self.last[place]
                && answer.changes == changes
                && answer.from <= now
                && now < answer.until
                && answer.is_for(tokens)
            {
                self.latest = place;
                return Some(*answer);
            }
        }
        None
    }

    fn keep(&mut self, answer: Answer) {
        self.latest = 1 - self.latest;
        self.last[self.latest] = Some(answer);
    }
}

/// That a call waits, which holds from a time until another, and while the engine's count of changes stays the same.
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
    pub(super) fn start(&mut self, now: Timestamp, endpoint: EndpointId, tokens: u64) -> Start {
        if tokens > MOST_TOKENS {
            return Start::Never { limit: MOST_TOKENS };
        }
        let index = usize::from(endpoint.0);
        let pools = &self.policy.endpoints()[index].pools;
        let changes = pools
            .iter()
            .fold(self.endpoints[index].changes, |sum, pool| sum.wrapping_add(self.pool_changes[usize::from(pool.0)]));
        let Answer { start, until, .. } = match self.endpoints[index].answers.find(now, tokens, changes) {
            Some(answer) => {
                #[cfg(feature = "audit")]
                assert_eq!(
                    answer.start,
                    self.start_afresh(now, endpoint, tokens).0,
                    "{endpoint:?} has changed unnoticed"
                );
                answer
            }
            None => {
                let (start, until) = self.start_afresh(now, endpoint, tokens);
                let answer = Answer { tokens, changes, from: now, until, start };
                self.endpoints[index].answers.keep(answer);
                answer
            }
        };
        self.known_until = self.known_until.min(until);
        match start {
            Start::Unusable(_) | Start::Never { .. } => start,
            _ if self.holds
                && self.policy.endpoints()[index].pools.iter().any(|pool| self.held[usize::from(pool.0)]) =>
            {
                Start::AfterAReport
            }
            _ => start,
        }
    }

    /// Whether `id`, which is first of all, is known to wait; then until when, if that is known.
    pub(super) fn is_stuck(&self, now: Timestamp, id: CallId) -> Option<Option<Timestamp>> {
        let Stuck { call, changes, from, until, at } = self.stuck?;
        let known = call == id && changes == self.changes && from <= now && now < until;
        known.then_some(at)
    }

    /// Remembers that `id`, which is first of all, was found at `now` to wait until `at`.
    pub(super) fn remember_stuck(&mut self, now: Timestamp, id: CallId, at: Option<Timestamp>) {
        let until = self.known_until.min(at.unwrap_or(Timestamp::MAX));
        // Where an endpoint is free but too slow, what may pass the call depends on the others that wait.
        self.stuck = self.idle.is_empty().then_some(Stuck { call: id, changes: self.changes, from: now, until, at });
    }

    /// Something happened at an endpoint or in the pools it draws on.
    pub(super) fn changed(&mut self, endpoint: EndpointId) {
        let index = usize::from(endpoint.0);
        let Some(policy) = self.policy.endpoints().get(index) else { return };
        self.changes = self.changes.wrapping_add(1);
        self.endpoints[index].changes = self.endpoints[index].changes.wrapping_add(1);
        for pool in &policy.pools {
            let changes = &mut self.pool_changes[usize::from(pool.0)];
            *changes = changes.wrapping_add(1);
        }
    }

    /// A pool, to be changed.
    pub(super) fn pool_to_change(&mut self, pool: PoolId) -> &mut Limiter {
        let index = usize::from(pool.0);
        self.changes = self.changes.wrapping_add(1);
        self.pool_changes[index] = self.pool_changes[index].wrapping_add(1);
        &mut self.pools[index]
    }

    /// The answer, and until when it holds.
    fn start_afresh(&mut self, now: Timestamp, endpoint: EndpointId, tokens: u64) -> (Start, Timestamp) {
        let index = usize::from(endpoint.0);
        let state = &self.endpoints[index];
        if state.unusable_until > now {
            return (Start::Unusable(state.unusable_until), state.unusable_until);
        }
        let mut until = Timestamp::MAX;
        let mut latest = match state.breaker.check(now) {
            BreakerVerdict::Pass | BreakerVerdict::Probe => Start::Now,
            BreakerVerdict::OpenUntil(Timestamp::MAX) => return (Start::Unusable(Timestamp::MAX), Timestamp::MAX),
            BreakerVerdict::OpenUntil(at) => {
                until = at;
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
                Err(Admission::Never(limit)) => never = Some(never.map_or(limit, |least| least.min(limit))),
                Err(Admission::Busy) => latest = Start::AfterAReport,
                Err(Admission::NotBefore(at, quota)) => {
                    until = until.min(at);
                    latest = match latest {
                        Start::Now => Start::At(at, Some(quota)),
                        Start::At(other, _) if at > other => Start::At(at, Some(quota)),
                        other => other,
                    }
                }
            }
            until = until.min(limiter.steady_until());
        }
        (never.map_or(latest, |limit| Start::Never { limit }), until)
    }
}
