//! How many attempts an endpoint can take at once, learned from its capacity errors.

use crate::defaults::{CALM, CUT_KEEPS_PERMILLE, PROBE_PERMILLE};
use crate::time::Timestamp;

const UNIT: u64 = 1_000;

/// A limit on attempts under way, absent until the first capacity error.
///
/// A capacity error (503, 529, "overloaded") says nothing about the caller's quota, so the answer is to go back to the
/// last number of attempts that the service carried, and to grow from there slowly: AWS's user guide, "Scaling and
/// throughput best practices" for Amazon Bedrock, asks for a return to the last stable rate and concurrency.
///
/// ```
/// use sluicegate::{AdaptiveConcurrency, Timestamp};
///
/// let now = Timestamp::from_micros(1);
/// let mut concurrency = AdaptiveConcurrency::new();
/// for _ in 0..20 {
///     assert!(concurrency.admits());
///     concurrency.start();
/// }
/// concurrency.overloaded(now, now);
/// assert_eq!(concurrency.limit(), Some(15));
/// assert!(!concurrency.admits());
/// ```
#[derive(Clone, Debug, Default)]
pub struct AdaptiveConcurrency {
    in_flight: u64,
    /// In thousandths of an attempt.
    limit: Option<u64>,
    /// The limit in thousandths at which the last capacity error came.
    stable: u64,
    cut_at: Timestamp,
}

impl AdaptiveConcurrency {
    /// No limit yet, nothing under way.
    #[must_use]
    pub const fn new() -> Self {
        Self { in_flight: 0, limit: None, stable: 0, cut_at: Timestamp::ZERO }
    }

    /// Whether one more attempt may start.
    #[must_use]
    pub fn admits(&self) -> bool {
        self.limit.is_none_or(|limit| self.in_flight < limit / UNIT)
    }

    /// The limit in force, in attempts.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.limit.map(|limit| limit / UNIT)
    }

    /// Attempts under way.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// An attempt goes out.
    pub fn start(&mut self) {
        self.in_flight += 1;
    }

    /// An attempt ended in a way that says nothing about capacity.
    pub fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// An attempt was served.
    pub fn served(&mut self, now: Timestamp) {
        let bound = self.limit.is_some_and(|limit| self.in_flight + 1 >= limit / UNIT);
        self.end();
        let Some(limit) = self.limit else { return };
        // Only a limit that holds something back has reason to grow.
        if !bound {
            return;
        }
        let calm = now.saturating_since(self.cut_at) >= CALM;
        let step = if calm || limit + UNIT < self.stable { UNIT } else { PROBE_PERMILLE };
        self.limit = Some(limit + step);
    }

    /// An attempt that started at `started` met a capacity error.
    pub fn overloaded(&mut self, now: Timestamp, started: Timestamp) {
        self.end();
        // Attempts that were out already at the last cut say nothing new.
        if self.limit.is_some() && started < self.cut_at {
            return;
        }
        let carried = self.in_flight.max(1) * UNIT;
        let current = self.limit.map_or(carried, |limit| limit.min(carried + UNIT));
        self.stable = current;
        self.limit = Some((current * CUT_KEEPS_PERMILLE / 1_000).max(UNIT));
        self.cut_at = now;
    }
}
