//! The AWS SDKs' standard mode, old and new, and the adaptive mode on top of it.
//!
//! Sources: botocore 1.44.5, `standard.py` and `quota.py`; `aws-smithy-runtime` 1.16.2; AWS Developer Tools Blog, "Updated
//! default retry behavior for AWS SDKs and Tools". The vectors that smithy-kotlin and botocore hold their own
//! implementations against are replayed in `tests/peers.rs`.

use core::time::Duration;
use std::collections::BTreeMap;

use sluicegate::{Timestamp, random};

use super::aws::{AwsClass, end_of};
use super::cubic::CubicLimiter;
use crate::client::{Client, ClientCall, ClientReply, Io};

/// The retry quota at the start, and at most.
const QUOTA: u32 = 500;
/// What it gets back for a call that succeeds at once.
const NO_RETRY_INCREMENT: u32 = 1;
/// The longest delay.
const LONGEST: Duration = Duration::from_secs(20);
/// What a retry after a throttling error costs the limiter of the SDK for Rust before November 2026, which calls it a
/// time-out's.
const RUST_THROTTLED_RETRY_COST: u32 = 10;
/// What a retry after another error costs it.
const RUST_RETRY_COST: u32 = 5;
/// Callers that wait for a limiter all wake when there is one permit. Threads and tasks do so within about this many
/// microseconds and in no order, so that whoever has waited longest is not served first.
const WAKING_US: u64 = 1_000;
/// How much later than its own delay a client comes back because the service says so.
const LATEST_HINT: Duration = Duration::from_secs(5);

/// The numbers of the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandardMode {
    /// Attempts for a call.
    pub max_attempts: u32,
    /// The first delay after a throttling error.
    pub throttling_base: Duration,
    /// The first delay after a transient one.
    pub transient_base: Duration,
    /// The longest delay.
    pub longest: Duration,
    /// What a retry after a throttling error costs.
    pub throttling_cost: u32,
    /// What a retry after a transient error costs.
    pub transient_cost: u32,
}

impl StandardMode {
    /// Before November 2026.
    pub const V2_0: Self = Self {
        max_attempts: 3,
        throttling_base: Duration::from_secs(1),
        transient_base: Duration::from_secs(1),
        longest: LONGEST,
        throttling_cost: 5,
        transient_cost: 5,
    };
    /// As of November 2026.
    pub const V2_1: Self = Self {
        max_attempts: 3,
        throttling_base: Duration::from_secs(1),
        transient_base: Duration::from_millis(50),
        longest: LONGEST,
        throttling_cost: 5,
        transient_cost: 14,
    };

    /// The delay before a retry, counted from 0: even between zero and the base doubled each time. `hint` is
    /// `x-amz-retry-after`, which Bedrock has not been seen to send.
    #[must_use]
    pub fn delay(&self, class: AwsClass, retry: u32, draw: u64, hint: Option<Duration>) -> Duration {
        let base = if class == AwsClass::Throttling { self.throttling_base } else { self.transient_base };
        let most = base.saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX)).min(self.longest);
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        let delay = Duration::from_micros(random::scale(draw, most));
        hint.map_or(delay, |hint| hint.clamp(delay, delay.saturating_add(LATEST_HINT)))
    }

    const fn cost(&self, class: AwsClass) -> u32 {
        match class {
            AwsClass::Throttling => self.throttling_cost,
            _ => self.transient_cost,
        }
    }
}

/// The retry quota of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryQuota {
    mode: StandardMode,
    left: u32,
}

impl RetryQuota {
    /// A full one.
    #[must_use]
    pub const fn new(mode: StandardMode) -> Self {
        Self { mode, left: QUOTA }
    }

    /// One with so much left.
    #[must_use]
    pub const fn with(mode: StandardMode, left: u32) -> Self {
        Self { mode, left }
    }

    /// What is left.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.left
    }

    /// Takes what a retry costs and says how much; `None` if there is not enough.
    pub fn withdraw(&mut self, class: AwsClass) -> Option<u32> {
        let cost = self.mode.cost(class);
        self.left = self.left.checked_sub(cost)?;
        Some(cost)
    }

    /// A call has succeeded, and its last retry, if any, had cost so much.
    pub fn succeed(&mut self, cost: Option<u32>) {
        self.left = self.left.saturating_add(cost.unwrap_or(NO_RETRY_INCREMENT)).min(QUOTA);
    }
}

/// A call under way.
#[derive(Clone, Copy, Debug)]
struct Under {
    lane: usize,
    attempts: u32,
    cost: Option<u32>,
    /// It has had its leave for this attempt.
    leave: bool,
}

/// One SDK client for each Region, taken by turns.
#[derive(Debug)]
pub(super) struct Sdk {
    mode: StandardMode,
    turn: usize,
    quotas: Vec<RetryQuota>,
    /// In adaptive mode.
    limiters: Option<Vec<CubicLimiter>>,
    /// Before a retry the limiter's wait takes the place of the delay, and who has waited sends without asking again, as
    /// the SDK for Rust has it; botocore asks after the delay, as before a first attempt.
    folds_waits: bool,
    calls: BTreeMap<u32, Under>,
}

impl Sdk {
    pub(super) fn standard(mode: StandardMode, lanes: usize) -> Self {
        let quotas = vec![RetryQuota::new(mode); lanes];
        Self { mode, turn: 0, quotas, limiters: None, folds_waits: false, calls: BTreeMap::new() }
    }

    pub(super) fn adaptive(mode: StandardMode, lanes: usize) -> Self {
        Self { limiters: Some(vec![CubicLimiter::default(); lanes]), ..Self::standard(mode, lanes) }
    }

    pub(super) fn adaptive_rust(lanes: usize) -> Self {
        Self { folds_waits: true, ..Self::adaptive(StandardMode::V2_0, lanes) }
    }

    /// Sends a call to the Region of this place.
    pub(super) fn start(&mut self, now: Timestamp, call: u32, lane: usize, io: &mut Io<'_>) {
        self.calls.insert(call, Under { lane, attempts: 0, cost: None, leave: false });
        self.attempt(now, call, io);
    }

    /// Sends the next attempt, or waits for the limiter's leave and asks again: whoever asks first then gets it.
    pub(super) fn attempt(&mut self, now: Timestamp, call: u32, io: &mut Io<'_>) {
        let Some(under) = self.calls.get_mut(&call) else { return };
        let limiter = self.limiters.as_mut().and_then(|limiters| limiters.get_mut(under.lane));
        if !under.leave
            && let Some(Err(wait)) = limiter.map(|limiter| limiter.acquire(now, 1))
        {
            let waking = Duration::from_micros(random::scale(io.rng.next_u64(), WAKING_US));
            return io.timer(now.saturating_add(wait).saturating_add(waking), u64::from(call));
        }
        under.leave = false;
        under.attempts += 1;
        io.send(call, under.lane, 0);
    }

    pub(super) fn forget(&mut self, call: u32) {
        self.calls.remove(&call);
    }
}

impl Client for Sdk {
    fn call(&mut self, now: Timestamp, call: &ClientCall, io: &mut Io<'_>) {
        let lane = self.turn % self.quotas.len().max(1);
        self.turn += 1;
        self.start(now, call.number, lane, io);
    }

    fn reply(&mut self, now: Timestamp, call: u32, _: u64, reply: &ClientReply, io: &mut Io<'_>) {
        let class = AwsClass::of(reply);
        let Some(under) = self.calls.get_mut(&call) else { return };
        if let Some(limiter) = self.limiters.as_mut().and_then(|limiters| limiters.get_mut(under.lane)) {
            limiter.update(now, class == AwsClass::Throttling);
        }
        let Some(quota) = self.quotas.get_mut(under.lane) else { return };
        match class {
            AwsClass::Success => quota.succeed(under.cost),
            AwsClass::Throttling | AwsClass::NotReady | AwsClass::Transient => {
                if under.attempts < self.mode.max_attempts
                    && let Some(cost) = quota.withdraw(class)
                {
                    under.cost = Some(cost);
                    under.leave = self.folds_waits;
                    let limiter = self.limiters.as_mut().and_then(|limiters| limiters.get_mut(under.lane));
                    let asks = if class == AwsClass::Throttling { RUST_THROTTLED_RETRY_COST } else { RUST_RETRY_COST };
                    if let (true, Some(limiter)) = (self.folds_waits, limiter)
                        && let Err(wait) = limiter.acquire(now, asks)
                    {
                        return io.timer(now.saturating_add(wait.min(self.mode.longest)), u64::from(call));
                    }
                    let delay = self.mode.delay(class, under.attempts - 1, io.rng.next_u64(), None);
                    return io.timer(now.saturating_add(delay), u64::from(call));
                }
            }
            AwsClass::Final => {}
        }
        self.calls.remove(&call);
        io.end(call, end_of(reply));
    }

    fn timer(&mut self, now: Timestamp, token: u64, io: &mut Io<'_>) {
        self.attempt(now, u32::try_from(token).unwrap_or(u32::MAX), io);
    }

    fn gave_up(&mut self, _: Timestamp, call: u32, _: &mut Io<'_>) {
        self.calls.remove(&call);
    }
}
