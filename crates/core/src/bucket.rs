//! A token bucket whose rate is a fraction.

use core::time::Duration;

use crate::time::Timestamp;

/// A token bucket (GCRA in its counting form) without a clock: it refills at `amount` per `period` and holds at most
/// `burst`.
///
/// The level is kept in units of one token divided by the period's microseconds, so that the refill of every
/// microsecond is a whole number and nothing is ever rounded: 7,000,000 a minute is exactly that, for ever.
///
/// Taking more than the burst is possible when the bucket is full; the level then goes below zero and the debt is paid
/// by the refill. Whoever must not allow that asks [`Bucket::fits`] first.
///
/// ```
/// use core::time::Duration;
/// use sluicegate::{Bucket, Timestamp};
///
/// let start = Timestamp::ZERO;
/// let mut bucket = Bucket::new(2, Duration::from_secs(1), 2, start);
/// assert_eq!(bucket.try_take(start, 2), Ok(()));
/// let next = bucket.try_take(start, 1).unwrap_err();
/// assert_eq!(next, start.saturating_add(Duration::from_millis(500)));
/// assert_eq!(bucket.try_take(next, 1), Ok(()));
/// ```
#[derive(Clone, Debug)]
pub struct Bucket {
    amount: u64,
    period: u64,
    burst: u64,
    /// In tokens times `period`.
    level: i128,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket. A zero `amount`, `period` or `burst` is raised to one token or microsecond.
    #[must_use]
    pub fn new(amount: u64, period: Duration, burst: u64, now: Timestamp) -> Self {
        let period = crate::time::micros(period).max(1);
        let burst = burst.max(1);
        Self { amount: amount.max(1), period, burst, level: i128::from(burst) * i128::from(period), at: now }
    }

    /// Whether `amount` is within the burst, so that it can be taken without debt.
    #[must_use]
    pub const fn fits(&self, amount: u64) -> bool {
        amount <= self.burst
    }

    /// Takes `amount`, or says from when on it can be taken.
    ///
    /// # Errors
    /// The earliest time at which the same request succeeds if nothing else is taken until then.
    pub fn try_take(&mut self, now: Timestamp, amount: u64) -> Result<(), Timestamp> {
        let at = self.earliest(now, amount);
        if at > now {
            return Err(at);
        }
        self.take(now, amount);
        Ok(())
    }

    /// The earliest time at which `amount` can be taken: `now` or later.
    #[must_use]
    pub fn earliest(&self, now: Timestamp, amount: u64) -> Timestamp {
        let needed = i128::from(amount.min(self.burst)) * i128::from(self.period);
        let missing = needed - self.level_at(now);
        if missing <= 0 {
            return now;
        }
        // Division by 128 bits is slow, and next to never needed.
        let wait = match u64::try_from(missing) {
            Ok(missing) => missing.div_ceil(self.amount),
            Err(_) => {
                let rate = i128::from(self.amount);
                u64::try_from((missing + rate - 1) / rate).unwrap_or(u64::MAX)
            }
        };
        now.saturating_add(Duration::from_micros(wait))
    }

    /// Takes `amount` whether it is there or not.
    pub fn take(&mut self, now: Timestamp, amount: u64) {
        self.refill(now);
        self.level -= i128::from(amount) * i128::from(self.period);
    }

    /// Puts `amount` back, up to the burst.
    pub fn give(&mut self, now: Timestamp, amount: u64) {
        self.refill(now);
        self.level = (self.level + i128::from(amount) * i128::from(self.period)).min(self.full());
    }

    /// Whole tokens there at `now`; below zero where a debt is being paid.
    #[must_use]
    pub fn level(&self, now: Timestamp) -> i64 {
        let level = self.level_at(now).div_euclid(i128::from(self.period));
        i64::try_from(level).unwrap_or(if level < 0 { i64::MIN } else { i64::MAX })
    }

    /// The same bucket refilling over another period from `now` on.
    pub(crate) fn with_period(&self, period: Duration, now: Timestamp) -> Self {
        let mut bucket = Self::new(self.amount, period, self.burst, now);
        // Whole tokens are carried over; a fraction of one is given up.
        bucket.level = self.level_at(now).div_euclid(i128::from(self.period)) * i128::from(bucket.period);
        bucket
    }

    /// Changes rate and burst from `now` on; the level stays, up to the new burst.
    pub fn change(&mut self, now: Timestamp, amount: u64, burst: u64) {
        self.refill(now);
        self.amount = amount.max(1);
        self.burst = burst.max(1);
        self.level = self.level.min(self.full());
    }

    fn full(&self) -> i128 {
        i128::from(self.burst) * i128::from(self.period)
    }

    fn level_at(&self, now: Timestamp) -> i128 {
        if now <= self.at {
            return self.level;
        }
        let elapsed = now.as_micros().saturating_sub(self.at.as_micros());
        (self.level + i128::from(elapsed) * i128::from(self.amount)).min(self.full())
    }

    fn refill(&mut self, now: Timestamp) {
        self.level = self.level_at(now);
        self.at = self.at.max(now);
    }
}
