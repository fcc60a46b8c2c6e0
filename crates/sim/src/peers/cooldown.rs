//! `LiteLLM`'s router with its defaults: a random deployment of those that do not cool down, up to two retries.
//!
//! Source: `BerriAI/litellm`, `router_utils/cooldown_handlers.py` and `retry_utils.py`, and version 1.109.1 as read for the
//! comparison of peers. A deployment cools down for 5 s after a 429 if it has siblings, or when more than half of at least
//! five requests of the clock minute failed. A retry comes at once while more than one deployment is healthy, after
//! 0.5 s, doubled each time, with up to a quarter less by chance, where one is; and where none is, the error is the call's end.

use core::time::Duration;
use std::collections::BTreeMap;

use sluicegate::{Timestamp, random};

use super::aws::end_of;
use crate::client::{Client, ClientCall, ClientReply, End, Io};
use crate::quota::MINUTE_US;

/// Retries of a call.
const RETRIES: u32 = 2;
/// How long a deployment is left alone.
const COOLDOWN: Duration = Duration::from_secs(5);
/// Requests of a minute below which its share of failures says nothing.
const LEAST_REQUESTS: u64 = 5;
/// The first sleep where one deployment is healthy.
const FIRST_SLEEP: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST_SLEEP: Duration = Duration::from_secs(8);

/// One deployment, which is one Region.
#[derive(Clone, Copy, Debug, Default)]
struct Deployment {
    cool_until: Timestamp,
    minute: u64,
    successes: u64,
    failures: u64,
}

impl Deployment {
    fn count(&mut self, now: Timestamp, failed: bool) {
        let minute = now.as_micros() / MINUTE_US;
        if self.minute != minute {
            *self = Self { minute, cool_until: self.cool_until, ..Self::default() };
        }
        *(if failed { &mut self.failures } else { &mut self.successes }) += 1;
    }

    const fn fails_mostly(&self) -> bool {
        let all = self.successes + self.failures;
        all >= LEAST_REQUESTS && self.failures * 2 > all
    }
}

/// The router.
#[derive(Debug)]
pub(super) struct Cooldown {
    deployments: Vec<Deployment>,
    /// Calls under way: where to, and retries so far.
    calls: BTreeMap<u32, (usize, u32)>,
}

impl Cooldown {
    pub(super) fn new(lanes: usize) -> Self {
        Self { deployments: vec![Deployment::default(); lanes], calls: BTreeMap::new() }
    }

    fn healthy(&self, now: Timestamp) -> impl Iterator<Item = usize> {
        let places = self.deployments.iter().enumerate();
        places.filter(move |(_, deployment)| deployment.cool_until <= now).map(|(place, _)| place)
    }

    /// Sends a call to a random healthy deployment; without one it ends.
    fn pick(&mut self, now: Timestamp, call: u32, retries: u32, io: &mut Io<'_>) {
        let healthy: Vec<usize> = self.healthy(now).collect();
        let last = (healthy.len() as u64).saturating_sub(1);
        let place = usize::try_from(random::scale(io.rng.next_u64(), last)).unwrap_or(0);
        let Some(lane) = healthy.get(place).copied() else {
            self.calls.remove(&call);
            return io.end(call, End::Throttled);
        };
        self.calls.insert(call, (lane, retries));
        io.send(call, lane, 0);
    }
}

/// The sleep before a retry, counted from 0.
fn sleep(retry: u32, draw: u64) -> Duration {
    let most = FIRST_SLEEP.saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX)).min(LONGEST_SLEEP);
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(micros - random::scale(draw, micros / 4))
}

impl Client for Cooldown {
    fn call(&mut self, now: Timestamp, call: &ClientCall, io: &mut Io<'_>) {
        self.pick(now, call.number, 0, io);
    }

    fn reply(&mut self, now: Timestamp, call: u32, _: u64, reply: &ClientReply, io: &mut Io<'_>) {
        let Some((lane, retries)) = self.calls.get(&call).copied() else { return };
        let siblings = self.deployments.len() > 1;
        let Some(deployment) = self.deployments.get_mut(lane) else { return };
        let (failed, limited, again) = match reply {
            ClientReply::Answer { .. } | ClientReply::Aborted { .. } => (false, false, false),
            ClientReply::Cut => (true, false, true),
            ClientReply::Error { error, delivered, .. } => {
                let status = error.status();
                (true, status == 429, !delivered && (matches!(status, 408 | 409 | 429) || status >= 500))
            }
        };
        deployment.count(now, failed);
        if failed && ((limited && siblings) || deployment.fails_mostly() || !again) {
            deployment.cool_until = now.saturating_add(COOLDOWN);
        }
        let healthy = self.healthy(now).count();
        if again && retries < RETRIES && healthy > 0 {
            if healthy > 1 {
                return self.pick(now, call, retries + 1, io);
            }
            self.calls.insert(call, (lane, retries + 1));
            let wait = sleep(retries, io.rng.next_u64());
            return io.timer(now.saturating_add(wait), u64::from(call));
        }
        self.calls.remove(&call);
        io.end(call, end_of(reply));
    }

    fn timer(&mut self, now: Timestamp, token: u64, io: &mut Io<'_>) {
        let call = u32::try_from(token).unwrap_or(u32::MAX);
        if let Some((_, retries)) = self.calls.get(&call).copied() {
            self.pick(now, call, retries, io);
        }
    }

    fn gave_up(&mut self, _: Timestamp, call: u32, _: &mut Io<'_>) {
        self.calls.remove(&call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_counts_from_five_requests_on_and_is_forgotten_at_the_next() {
        let mut deployment = Deployment::default();
        for _ in 0..4 {
            deployment.count(Timestamp::ZERO, true);
        }
        assert!(!deployment.fails_mostly());
        deployment.count(Timestamp::ZERO, true);
        assert!(deployment.fails_mostly());
        deployment.count(Timestamp::from_micros(MINUTE_US), true);
        assert!(!deployment.fails_mostly());
    }

    #[test]
    fn sleeps_double_up_to_eight_seconds_less_a_quarter_at_most() {
        let longest: Vec<_> = (0..6).map(|retry| sleep(retry, 0).as_millis()).collect();
        assert_eq!(longest, [500, 1_000, 2_000, 4_000, 8_000, 8_000]);
        assert_eq!(sleep(0, u64::MAX).as_millis(), 375);
    }
}
