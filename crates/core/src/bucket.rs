//! A token bucket whose rate is a fraction.

use core::time::Duration;

use crate::time::{Timestamp, micros};

/// A token bucket (GCRA in its counting form) without a clock: it refills at `amount` per `period` and holds at most
/// `burst`.
///
/// The level is kept in units of one token divided by the period's microseconds, so that the refill of every
/// microsecond is a whole number and nothing is ever rounded: 7,000,000 a minute is exactly that, for ever. It is a
/// number of 64 bits, so burst and debt end at 2^64 of these units: 300,000 million tokens for a period of a minute.
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
    /// The burst in tokens times `period`.
    full: u64,
    /// What is missing at `at` until it is full, in the same units; more than `full` where there is a debt.
    missing: u64,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket. A zero `amount`, `period` or `burst` is raised to one token or microsecond.
    #[must_use]
    pub fn new(amount: u64, period: Duration, burst: u64, now: Timestamp) -> Self {
        let period = micros(period).max(1);
        let burst = burst.max(1);
        Self { amount: amount.max(1), period, burst, full: burst.saturating_mul(period), missing: 0, at: now }
    }

    /// Whether `amount` is within the burst, so that it can be taken without debt.
    #[must_use]
    pub const fn fits(&self, amount: u64) -> bool {
        amount <= self.burst
    }

    pub(crate) const fn burst(&self) -> u64 {
        self.burst
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
        let needed = amount.saturating_mul(self.period).min(self.full);
        match self.missing_at(now).saturating_sub(self.full - needed) {
            0 => now,
            short => Timestamp::from_micros(now.as_micros().saturating_add(short.div_ceil(self.amount))),
        }
    }

    /// Takes `amount` whether it is there or not.
    pub fn take(&mut self, now: Timestamp, amount: u64) {
        self.refill(now);
        self.missing = self.missing.saturating_add(amount.saturating_mul(self.period));
    }

    /// Puts `amount` back, up to the burst.
    pub fn give(&mut self, now: Timestamp, amount: u64) {
        self.refill(now);
        self.missing = self.missing.saturating_sub(amount.saturating_mul(self.period));
    }

    /// Whole tokens there at `now`; below zero where a debt is being paid.
    #[must_use]
    pub fn level(&self, now: Timestamp) -> i64 {
        self.parts(now).0
    }

    /// Whole tokens that can be taken at `now`, and later too if nothing else is taken; `None` where a debt is being paid.
    pub(crate) fn room(&self, now: Timestamp) -> Option<u64> {
        Some(self.full.checked_sub(self.missing_at(now))? / self.period)
    }

    /// Whether there is as much as there can be.
    pub(crate) fn is_full(&self, now: Timestamp) -> bool {
        self.missing_at(now) == 0
    }

    /// The level at `now`: whole tokens, and the fraction of one in parts of `period`.
    pub(crate) fn parts(&self, now: Timestamp) -> (i64, u64) {
        let level = i128::from(self.full) - i128::from(self.missing_at(now));
        let period = i128::from(self.period);
        let tokens = level.div_euclid(period);
        let tokens = i64::try_from(tokens).unwrap_or(if tokens < 0 { i64::MIN } else { i64::MAX });
        (tokens, u64::try_from(level.rem_euclid(period)).unwrap_or(0))
    }

    /// Sets the level to what [`Bucket::parts`] told, at most to the burst.
    pub(crate) fn set_parts(&mut self, now: Timestamp, (tokens, fraction): (i64, u64)) {
        let level = i128::from(tokens) * i128::from(self.period) + i128::from(fraction.min(self.period - 1));
        let missing = (i128::from(self.full) - level).max(0);
        self.missing = u64::try_from(missing).unwrap_or(u64::MAX);
        self.at = now;
    }

    /// The same bucket refilling over another period from `now` on.
    pub(crate) fn with_period(&self, period: Duration, now: Timestamp) -> Self {
        let mut bucket = Self::new(self.amount, period, self.burst, now);
        // Whole tokens are carried over; a fraction of one is given up.
        bucket.set_parts(now, (self.level(now), 0));
        bucket
    }

    /// Changes rate and burst from `now` on; the level stays, up to the new burst.
    pub fn change(&mut self, now: Timestamp, amount: u64, burst: u64) {
        self.refill(now);
        self.amount = amount.max(1);
        self.burst = burst.max(1);
        let full = self.burst.saturating_mul(self.period);
        let before = core::mem::replace(&mut self.full, full);
        self.missing = self.missing.saturating_add(full.saturating_sub(before));
        self.missing = self.missing.saturating_sub(before.saturating_sub(full));
    }

    fn missing_at(&self, now: Timestamp) -> u64 {
        let elapsed = now.as_micros().saturating_sub(self.at.as_micros());
        self.missing.saturating_sub(elapsed.saturating_mul(self.amount))
    }

    fn refill(&mut self, now: Timestamp) {
        if now > self.at {
            self.missing = self.missing_at(now);
            self.at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_numbers_end_at_the_bounds() {
        let now = Timestamp::from_micros(5);
        for period in [Duration::ZERO, Duration::from_secs(60), Duration::MAX] {
            let mut bucket = Bucket::new(u64::MAX, period, u64::MAX, now);
            bucket.take(now, u64::MAX);
            bucket.take(now, u64::MAX);
            bucket.take(now, u64::MAX);
            assert!(bucket.earliest(now, 1) > now, "a debt remains");
            bucket.give(Timestamp::MAX, u64::MAX);
            assert_eq!(bucket.earliest(Timestamp::MAX, 1), Timestamp::MAX);
            bucket.set_parts(now, (i64::MIN, u64::MAX));
            assert!(bucket.level(now) <= 0);
            bucket.change(now, 0, 0);
            assert!(bucket.earliest(now, u64::MAX) >= now);
        }
    }
}
