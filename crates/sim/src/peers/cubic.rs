//! The rate limiter of the AWS SDKs' adaptive mode.
//!
//! Source: `aws-smithy-runtime` 1.16.2, `client_rate_limiter.rs`, and botocore 1.44.5, `adaptive.py`, `throttling.py` and
//! `bucket.py`, which agree in every constant. It counts requests, not tokens, and is off until the first throttling
//! error.
#![expect(clippy::float_arithmetic, reason = "the limiter's own formulae; libm makes the root the same everywhere")]
#![expect(clippy::cast_precision_loss, reason = "microseconds of a run fit 53 bits")]
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "waits are short and never negative")]

use core::time::Duration;

use sluicegate::Timestamp;

/// What is left of the rate after a throttling error.
const BETA: f64 = 0.7;
/// How fast it grows again.
const SCALE: f64 = 0.4;
/// The weight of the latest half second in the measured rate.
const SMOOTH: f64 = 0.8;
const MIN_FILL_RATE: f64 = 0.5;
const MIN_CAPACITY: f64 = 1.0;
/// Time buckets of the measured rate, per second.
const BUCKETS_PER_SECOND: f64 = 2.0;

/// The rate that CUBIC allows so many seconds after a throttling error at `w_max`.
#[must_use]
pub fn cubic_rate(w_max: f64, since_s: f64) -> f64 {
    let time_window = libm::cbrt(w_max * (1.0 - BETA) / SCALE);
    let offset = since_s - time_window;
    SCALE * offset * offset * offset + w_max
}

/// The limiter of one client. Rates are in requests per second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CubicLimiter {
    enabled: bool,
    fill_rate: f64,
    capacity: f64,
    level: f64,
    filled_at: f64,
    measured: f64,
    bucket: f64,
    requests: f64,
    w_max: f64,
    throttled_at: f64,
}

fn seconds(now: Timestamp) -> f64 {
    now.as_micros() as f64 / 1e6
}

impl CubicLimiter {
    /// The requests per second that it has seen.
    #[must_use]
    pub const fn measured(&self) -> f64 {
        self.measured
    }

    /// The requests per second that it lets through.
    #[must_use]
    pub const fn fill_rate(&self) -> f64 {
        self.fill_rate
    }

    /// What has been saved up, in requests.
    #[must_use]
    pub const fn level(&self) -> f64 {
        self.level
    }

    /// Takes leave to send one request that costs so much (1, but for retries of the SDK for Rust); else says how long to
    /// wait.
    ///
    /// # Errors
    /// The time until there will be enough, if nobody else takes it.
    pub fn acquire(&mut self, now: Timestamp, cost: u32) -> Result<(), Duration> {
        let cost = f64::from(cost);
        if !self.enabled {
            return Ok(());
        }
        self.refill(seconds(now));
        if self.level >= cost {
            self.level -= cost;
            return Ok(());
        }
        let wait = (cost - self.level) / self.fill_rate;
        Err(Duration::from_micros((wait * 1e6).max(0.0) as u64 + 1))
    }

    /// Learns from a reply.
    pub fn update(&mut self, now: Timestamp, throttled: bool) {
        let now = seconds(now);
        self.measure(now);
        let rate = if throttled {
            let rate = if self.enabled { self.measured.min(self.fill_rate) } else { self.measured };
            self.w_max = rate;
            self.throttled_at = now;
            self.enabled = true;
            rate * BETA
        } else {
            cubic_rate(self.w_max, now - self.throttled_at)
        };
        self.refill(now);
        self.fill_rate = rate.min(2.0 * self.measured).max(MIN_FILL_RATE);
        self.capacity = self.fill_rate.max(MIN_CAPACITY);
        self.level = self.level.min(self.capacity);
    }

    fn measure(&mut self, now: f64) {
        let bucket = libm::floor(now * BUCKETS_PER_SECOND) / BUCKETS_PER_SECOND;
        self.requests += 1.0;
        if bucket > self.bucket {
            let rate = self.requests / (bucket - self.bucket);
            self.measured = rate * SMOOTH + self.measured * (1.0 - SMOOTH);
            self.requests = 0.0;
            self.bucket = bucket;
        }
    }

    fn refill(&mut self, now: f64) {
        self.level = (self.level + (now - self.filled_at) * self.fill_rate).min(self.capacity);
        self.filled_at = now;
    }
}
