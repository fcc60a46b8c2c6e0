//! The pieces, each next to its peers. Every step is one operation on state that has reached its steady course.

use std::collections::VecDeque;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use backon::BackoffBuilder as _;
use failsafe::{CircuitBreaker as _, failure_policy};
use governor::clock::FakeRelativeClock;
use governor::{Quota, RateLimiter};
use sluicegate::{
    Admission, Backoff, Breaker, BreakerConfig, BreakerWindow, Curve, Limiter, LimiterConfig, Spent, Timestamp,
};

use super::Wyrand;

/// Longer than any window: what it takes until slots are dropped as fast as they fill.
const WARM_UP: Duration = Duration::from_secs(90);
/// Ten attempts in each of the limiter's slots of 100 ms, a hundred in each second of a breaker's window.
const STEP: Duration = Duration::from_millis(10);
const PER_MINUTE: u64 = 6_000;
const TOKENS: u64 = 1_000;

fn limiter_at(per_minute: u64) -> (Limiter, Timestamp) {
    let config = LimiterConfig {
        requests_per_minute: Some(per_minute),
        tokens_per_minute: Some(per_minute * TOKENS),
        concurrency: Some(1_000),
        ..LimiterConfig::unlimited()
    };
    (Limiter::new(config, Timestamp::ZERO), Timestamp::ZERO)
}

/// Far below the limits, a hundred attempts a second: requests, tokens and concurrency reserved and then settled at less.
pub fn limiter() -> impl FnMut() {
    limiter_every::<10_000>()
}

/// The same with a thousand attempts a second.
pub fn limiter_often() -> impl FnMut() {
    limiter_every::<1_000>()
}

/// A constant step, so that telling the time costs next to nothing, as it does for the peers.
fn limiter_every<const MICROS: u64>() -> impl FnMut() {
    let step = Duration::from_micros(MICROS);
    let (mut limiter, mut now) = limiter_at(100 * PER_MINUTE);
    let mut attempt = move || {
        now = now.saturating_add(const { Duration::from_micros(MICROS) });
        if let Admission::Granted(permit) = black_box(&mut limiter).acquire(now, black_box(TOKENS)) {
            limiter.settle(now, permit, Spent::Tokens(black_box(700)));
        }
    };
    for _ in 0..WARM_UP.as_millis() / step.as_millis() {
        attempt();
    }
    attempt
}

/// The same, but each attempt is out for two seconds, so that it is settled long after the slot in which it was admitted.
/// The permits wait in a ring, which costs a few instructions too.
pub fn limiter_late() -> impl FnMut() {
    let (mut limiter, mut now) = limiter_at(10 * PER_MINUTE);
    let mut out = VecDeque::with_capacity(256);
    let mut step = move || {
        now = now.saturating_add(STEP);
        if let Admission::Granted(permit) = black_box(&mut limiter).acquire(now, black_box(TOKENS)) {
            out.push_back(permit);
        }
        if out.len() > 200
            && let Some(permit) = out.pop_front()
        {
            limiter.settle(now, permit, Spent::Tokens(black_box(700)));
        }
    };
    for _ in 0..WARM_UP.as_millis() / STEP.as_millis() {
        step();
    }
    step
}

/// At the limits: the window is as full as it gets, and each step comes when the last one said.
pub fn limiter_full() -> impl FnMut() {
    let (mut limiter, mut now) = limiter_at(PER_MINUTE);
    let mut step = move || match black_box(&mut limiter).acquire(now, black_box(TOKENS)) {
        Admission::Granted(permit) => limiter.settle(now, permit, Spent::Tokens(black_box(TOKENS))),
        Admission::NotBefore(at, _) => now = at,
        Admission::Busy | Admission::Never(_) => {}
    };
    for _ in 0..4 * PER_MINUTE {
        step();
    }
    step
}

/// The smallest quota that new accounts get, asked ten times a second.
pub fn limiter_scarce() -> impl FnMut() {
    let (mut limiter, mut now) = limiter_at(2);
    let mut step = move || {
        now = now.saturating_add(10 * STEP);
        if let Admission::Granted(permit) = black_box(&mut limiter).acquire(now, black_box(TOKENS)) {
            limiter.settle(now, permit, Spent::Tokens(black_box(700)));
        }
    };
    for _ in 0..2_000 {
        step();
    }
    step
}

/// Nothing is left: the question is answered with the time to come back.
pub fn limiter_refuses() -> impl FnMut() {
    let (mut limiter, now) = limiter_at(PER_MINUTE);
    while matches!(limiter.acquire(now, TOKENS), Admission::Granted(_)) {}
    move || {
        black_box(black_box(&mut limiter).acquire(now, black_box(TOKENS)));
    }
}

/// One question to one cell. Its clock stands still and so costs one load; a single token, so that what fits at one moment
/// lasts for billions of steps.
pub fn governor() -> impl FnMut() {
    let limiter = governor_cell();
    move || {
        let _ = black_box(black_box(&limiter).check_n(black_box(NonZeroU32::MIN)));
    }
}

pub fn governor_refuses() -> impl FnMut() {
    let limiter = governor_cell();
    while matches!(limiter.check_n(NonZeroU32::MAX), Ok(Ok(()))) {}
    assert!(matches!(limiter.check_n(NonZeroU32::MIN), Ok(Err(_))), "it should be empty");
    move || {
        let _ = black_box(black_box(&limiter).check_n(black_box(NonZeroU32::MIN)));
    }
}

type Cell = RateLimiter<
    governor::state::NotKeyed,
    governor::state::InMemoryState,
    FakeRelativeClock,
    governor::middleware::NoOpMiddleware<governor::nanos::Nanos>,
>;

fn governor_cell() -> Cell {
    RateLimiter::direct_with_clock(Quota::per_second(NonZeroU32::MAX), FakeRelativeClock::default())
}

/// Delays of a call that is tried again and again: 1 s doubled up to 20 s, all of it random.
pub fn backoff() -> impl FnMut() {
    let backoff = Backoff::new(Curve::Full, Duration::from_secs(1), Duration::from_secs(20));
    let mut rng = Wyrand(7);
    let (mut retry, mut last) = (0_u32, Duration::ZERO);
    move || {
        last = black_box(&backoff).delay(retry, last, black_box(None), &mut rng);
        black_box(last);
        retry = (retry + 1) % RETRIES;
    }
}

const RETRIES: u32 = 6;

/// The same curve there; its state is made anew for every call, which is not counted where calls are prepared.
pub fn backon() -> impl FnMut() {
    let delays = backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_secs(20))
        .with_factor(2.0)
        .with_jitter()
        .without_max_times();
    let mut calls: Vec<_> = (0..64).map(|_| delays.build()).collect();
    let (mut call, mut retry) = (0, 0);
    move || {
        black_box(calls[call].next());
        retry += 1;
        if retry == RETRIES {
            (call, retry) = ((call + 1) % calls.len(), 0);
        }
    }
}

/// One attempt in ten fails, too few to open anything.
fn fails(count: &mut u32) -> bool {
    *count = if *count == 9 { 0 } else { *count + 1 };
    *count == 0
}

fn breaker(window: BreakerWindow) -> impl FnMut() {
    let mut breaker = Breaker::new(BreakerConfig { window, ..BreakerConfig::DEFAULT });
    let (mut now, mut count, mut rng) = (Timestamp::ZERO, 0, Wyrand(7));
    let mut step = move || {
        now = now.saturating_add(STEP);
        black_box(black_box(&mut breaker).acquire(now));
        black_box(breaker.record(now, fails(&mut count), black_box(Duration::from_secs(2)), &mut rng));
    };
    for _ in 0..WARM_UP.as_millis() / STEP.as_millis() {
        step();
    }
    step
}

pub fn breaker_attempts() -> impl FnMut() {
    breaker(BreakerWindow::Attempts(100))
}

pub fn breaker_seconds() -> impl FnMut() {
    breaker(BreakerWindow::Seconds(20))
}

pub fn recloser() -> impl FnMut() {
    let breaker = recloser::Recloser::custom().error_rate(0.5).closed_len(100).build();
    let mut count = 0;
    let mut step = move || {
        let failed = fails(&mut count);
        let _ = black_box(black_box(&breaker).call(|| if failed { Err(()) } else { Ok(()) }));
    };
    for _ in 0..1_000 {
        step();
    }
    step
}

fn failsafe_with(policy: impl failsafe::FailurePolicy) -> impl FnMut() {
    let breaker = failsafe::Config::new().failure_policy(policy).build();
    let mut count = 0;
    move || {
        let failed = fails(&mut count);
        let _ = black_box(black_box(&breaker).call(|| if failed { Err(()) } else { Ok(()) }));
    }
}

pub fn failsafe_consecutive() -> impl FnMut() {
    let waits = failsafe::backoff::constant(Duration::from_secs(2));
    failsafe_with(failure_policy::consecutive_failures(5, waits))
}

pub fn failsafe_rate() -> impl FnMut() {
    let waits = failsafe::backoff::constant(Duration::from_secs(2));
    failsafe_with(failure_policy::success_rate_over_time_window(0.5, 20, Duration::from_secs(20), waits))
}
