//! The pieces of the engine, each useful alone. Parameters come as a list of numbers; what is negative is as the core has it.

use std::time::Duration;

use sluicegate::{
    Admission, BreakerConfig, BreakerMode, BreakerState, BreakerVerdict, BreakerWindow, Curve, LimiterConfig,
    RetryBudgetConfig, RetryKind,
};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::codes::{
    NONE, Slots, class, duration, length, micros, number, number_or_none, optional, quota, quota_number, spent, time,
    whole,
};
use crate::random::Random;

/// A list of numbers of which each may be missing.
struct Given<'a>(&'a [f64]);

impl Given<'_> {
    fn whole(&self, place: usize) -> Option<u64> {
        self.0.get(place).copied().and_then(optional)
    }

    fn small(&self, place: usize) -> Option<u32> {
        self.whole(place).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    }

    fn duration(&self, place: usize) -> Option<Duration> {
        self.whole(place).map(Duration::from_micros)
    }
}

/// How long to wait before a retry.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Backoff(sluicegate::Backoff);

#[wasm_bindgen]
impl Backoff {
    /// A curve by its number, or one of the ready-made ones from 6 on.
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new(curve: u8, base: f64, cap: f64) -> Self {
        let curve = match curve {
            0 => Curve::Constant,
            1 => Curve::Exponential,
            2 => Curve::Full,
            3 => Curve::Equal,
            4 => Curve::Decorrelated,
            5 => Curve::Additive,
            6 => return Self(sluicegate::Backoff::aws_standard_throttled()),
            7 => return Self(sluicegate::Backoff::aws_standard_transient()),
            8 => return Self(sluicegate::Backoff::aws_legacy()),
            _ => return Self(sluicegate::Backoff::seed_article()),
        };
        Self(sluicegate::Backoff::new(curve, duration(base), duration(cap)))
    }

    /// The delay in microseconds before a retry; a hint below zero is none.
    pub fn delay(&self, retry: u32, previous: f64, hint: f64, random: &mut Random) -> f64 {
        length(self.0.delay(retry, duration(previous), optional(hint).map(Duration::from_micros), &mut random.0))
    }
}

/// Admission under one quota pool.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Limiter {
    limiter: sluicegate::Limiter,
    slots: Slots,
    granted: Option<sluicegate::Permit>,
}

/// A reservation, until it is settled.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Permit(Option<sluicegate::Permit>);

#[wasm_bindgen]
impl Limiter {
    /// Requests per minute, tokens per minute, tokens per day, concurrency, burst, margin.
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new(limits: &[f64], now: f64) -> Self {
        let limiter = sluicegate::Limiter::new(limiter_config(limits), time(now));
        Self { limiter, slots: Slots::new(), granted: None }
    }

    /// Where the four numbers of an answer stand in memory.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.address()
    }

    /// Puts other limits in force.
    pub fn reconfigure(&mut self, limits: &[f64], now: f64) {
        self.limiter.reconfigure(time(now), limiter_config(limits));
    }

    /// 0 if it is granted, 1 if not before a time (and because of which quota), 2 if all are out, 3 if it is larger than a
    /// limit; the numbers stand in the slots.
    pub fn acquire(&mut self, now: f64, tokens: f64) -> u32 {
        match self.limiter.acquire(time(now), whole(tokens)) {
            Admission::Granted(permit) => {
                self.granted = Some(permit);
                0
            }
            Admission::NotBefore(at, quota) => {
                self.slots.set([micros(at), quota_number(quota), NONE, NONE]);
                1
            }
            Admission::Busy => 2,
            Admission::Never(limit) => {
                self.slots.set([number(limit), NONE, NONE, NONE]);
                3
            }
        }
    }

    /// The permit that was granted last; each can be had once.
    pub fn permit(&mut self) -> Option<Permit> {
        self.granted.take().map(|permit| Permit(Some(permit)))
    }

    /// Settles a permit; `false` for one that is settled already.
    pub fn settle(&mut self, now: f64, permit: &mut Permit, cost: f64) -> bool {
        let Some(permit) = permit.0.take() else { return false };
        self.limiter.settle(time(now), permit, spent(cost, class(0)));
        true
    }

    /// The service refused an attempt, sent at a time: its quota was used up.
    pub fn refused(&mut self, now: f64, sent: f64, tokens: f64, of: u32) {
        let _ = self.limiter.refused(time(now), time(sent), whole(tokens), quota(of));
    }

    /// Grants nothing before a time.
    pub fn pause(&mut self, until: f64) {
        self.limiter.pause(time(until));
    }

    /// The limit in force; negative for none.
    #[must_use]
    pub fn limit(&self, of: u32) -> f64 {
        number_or_none(self.limiter.limit(quota(of)))
    }

    /// Permits that are not settled.
    #[must_use]
    #[wasm_bindgen(getter, js_name = inFlight)]
    pub fn in_flight(&self) -> f64 {
        number(self.limiter.in_flight())
    }
}

fn limiter_config(limits: &[f64]) -> LimiterConfig {
    let given = Given(limits);
    let unlimited = LimiterConfig::unlimited();
    LimiterConfig {
        requests_per_minute: given.whole(0),
        tokens_per_minute: given.whole(1),
        tokens_per_day: given.whole(2),
        concurrency: given.whole(3),
        burst_permille: given.whole(4).unwrap_or(unlimited.burst_permille),
        window_margin: given.duration(5).unwrap_or(unlimited.window_margin),
    }
}

/// Shuts out what keeps failing.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Breaker {
    breaker: sluicegate::Breaker,
    slots: Slots,
}

#[wasm_bindgen]
impl Breaker {
    /// Mode, failure rate, slow rate, what is slow, window in attempts, window in seconds, minimum of attempts, open for, open
    /// at most, jitter, probes.
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new(config: &[f64]) -> Self {
        let given = Given(config);
        let known = BreakerConfig::DEFAULT;
        let window = match (given.small(4), given.small(5)) {
            (Some(attempts), _) => BreakerWindow::Attempts(attempts),
            (None, Some(seconds)) => BreakerWindow::Seconds(seconds),
            (None, None) => known.window,
        };
        let config = BreakerConfig {
            mode: match given.whole(0) {
                Some(0) => BreakerMode::Enabled,
                Some(1) => BreakerMode::Disabled,
                Some(2) => BreakerMode::MetricsOnly,
                Some(_) => BreakerMode::ForcedOpen,
                None => known.mode,
            },
            failure_rate_percent: given.small(1).unwrap_or(known.failure_rate_percent),
            slow_rate_percent: given.small(2).unwrap_or(known.slow_rate_percent),
            slow_after: given.duration(3).or(known.slow_after),
            window,
            minimum_attempts: given.small(6).unwrap_or(known.minimum_attempts),
            open_for: given.duration(7).unwrap_or(known.open_for),
            open_at_most: given.duration(8).unwrap_or(known.open_at_most),
            open_jitter_permille: given.small(9).unwrap_or(known.open_jitter_permille),
            probes: given.small(10).unwrap_or(known.probes),
        };
        Self { breaker: sluicegate::Breaker::new(config), slots: Slots::new() }
    }

    /// Where the four numbers of an answer stand in memory.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.address()
    }

    /// 0 to pass, 1 to pass as a probe, 2 if shut until the time in the slots, 3 if all probes are out. To look only, or to
    /// go.
    pub fn acquire(&mut self, now: f64, look: bool) -> u32 {
        let verdict = if look { self.breaker.check(time(now)) } else { self.breaker.acquire(time(now)) };
        match verdict {
            BreakerVerdict::Pass => 0,
            BreakerVerdict::Probe => 1,
            BreakerVerdict::OpenUntil(at) => {
                self.slots.set([micros(at), NONE, NONE, NONE]);
                2
            }
            BreakerVerdict::ProbesOut => 3,
        }
    }

    /// An attempt that was let through never went.
    pub fn release(&mut self) {
        self.breaker.release();
    }

    /// How an attempt ended; answers the new state if it changed, else a negative number.
    pub fn record(&mut self, now: f64, failed: bool, took: f64, random: &mut Random) -> f64 {
        self.breaker.record(time(now), failed, duration(took), &mut random.0).map_or(NONE, state)
    }

    /// 0 closed, 1 open, 2 half open.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn state(&self) -> f64 {
        state(self.breaker.state())
    }
}

const fn state(state: BreakerState) -> f64 {
    match state {
        BreakerState::Closed => 0.0,
        BreakerState::Open => 1.0,
        BreakerState::HalfOpen => 2.0,
    }
}

/// A bound on retries and hedges.
#[derive(Debug)]
#[wasm_bindgen]
pub struct RetryBudget {
    budget: sluicegate::RetryBudget,
    slots: Slots,
}

#[wasm_bindgen]
impl RetryBudget {
    /// Starts from a ready-made budget (0 the core's own, 1 that of the AWS SDKs); then capacity, cost of a throttled retry, of
    /// any other, of a hedge, deposit, refund, inflow per second, floor, whether refused ones are charged.
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new(ready_made: u8, config: &[f64], now: f64) -> Self {
        let given = Given(config);
        let known = if ready_made == 1 { RetryBudgetConfig::AWS_STANDARD } else { RetryBudgetConfig::DEFAULT };
        let config = RetryBudgetConfig {
            capacity: given.whole(0).unwrap_or(known.capacity),
            throttled_cost: given.whole(1).unwrap_or(known.throttled_cost),
            other_cost: given.whole(2).unwrap_or(known.other_cost),
            hedge_cost: given.whole(3).unwrap_or(known.hedge_cost),
            deposit: given.whole(4).unwrap_or(known.deposit),
            refund: given.whole(5).map_or(known.refund, |flag| flag > 0),
            per_second: given.whole(6).unwrap_or(known.per_second),
            floor: given.whole(7).unwrap_or(known.floor),
            charge_refused: given.whole(8).map_or(known.charge_refused, |flag| flag > 0),
        };
        Self { budget: sluicegate::RetryBudget::new(config, time(now)), slots: Slots::new() }
    }

    /// Where the four numbers of an answer stand in memory.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.address()
    }

    /// What is left, in thousandths of a token.
    #[must_use]
    pub fn left(&self, now: f64) -> f64 {
        number(self.budget.left(time(now)))
    }

    /// What a retry (0 throttled, 1 other, 2 hedge) was charged; negative if it is not allowed, with the time from which it
    /// would be in the slots.
    pub fn withdraw(&mut self, now: f64, kind: u8) -> f64 {
        let kind = match kind {
            0 => RetryKind::Throttled,
            2 => RetryKind::Hedge,
            _ => RetryKind::Other,
        };
        match self.budget.withdraw(time(now), kind) {
            Ok(charged) => number(charged),
            Err(at) => {
                self.slots.set([at.map_or(NONE, micros), NONE, NONE, NONE]);
                NONE
            }
        }
    }

    /// A call succeeded, whose last retry was charged so much; negative for one that needed none.
    pub fn success(&mut self, now: f64, charged: f64) {
        self.budget.success(time(now), optional(charged));
    }
}
