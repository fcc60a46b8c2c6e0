//! What was taken in the last minute, in any minute.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use crate::time::{Timestamp, micros};

/// A sliding sum over slots of equal width.
///
/// Something taken at `t` counts until the end of its slot lies `span` in the past, so the sum over any stretch of
/// length `span`, wherever it begins, never exceeds what [`Window::sum`] allowed at its busiest moment. It costs at
/// most one slot's width of the quota per span.
///
/// Memory: 8 bytes for each of `span / slot + 2` slots, allocated once.
#[derive(Clone, Debug)]
pub struct Window {
    slot: u64,
    span: u64,
    taken: Vec<u64>,
    /// Number of the oldest slot that still counts.
    oldest: u64,
    /// Number of the slot that holds the present.
    newest: u64,
    /// Wide enough for whatever the slots hold.
    sum: u128,
    /// Before this time no slot begins and none stops counting, so there is nothing to move.
    still_until: u64,
}

impl Window {
    /// An empty window of length `span`, counted in slots of width `slot` (at least a microsecond, at most the span).
    #[must_use]
    pub fn new(span: Duration, slot: Duration, now: Timestamp) -> Self {
        let span = micros(span).max(1);
        let slot = micros(slot).clamp(1, span);
        let count = usize::try_from(span.div_ceil(slot) + 2).unwrap_or(usize::MAX);
        let here = now.as_micros() / slot;
        Self { slot, span, taken: vec![0; count], oldest: here, newest: here, sum: 0, still_until: 0 }
    }

    pub(crate) fn has_span(&self, span: Duration) -> bool {
        self.span == micros(span)
    }

    /// The same window with another span: what was added before the change counts for the new span.
    #[must_use]
    pub(crate) fn with_span(&self, span: Duration, now: Timestamp) -> Self {
        let mut window = Self::new(span, Duration::from_micros(self.slot), Timestamp::ZERO);
        window.oldest = self.oldest.max(now.as_micros().saturating_sub(window.span) / self.slot);
        window.newest = self.newest.max(window.oldest);
        for number in window.oldest..=self.newest {
            let (from, to) = (self.index(number), window.index(number));
            window.taken[to] = self.taken[from];
            window.sum = window.sum.saturating_add(u128::from(self.taken[from]));
        }
        window
    }

    /// What counts at `now`.
    pub fn sum(&mut self, now: Timestamp) -> u64 {
        self.advance(now);
        u64::try_from(self.sum).unwrap_or(u64::MAX)
    }

    /// Adds `amount` at `now`.
    pub fn add(&mut self, now: Timestamp, amount: u64) {
        self.advance(now);
        let index = self.index(self.newest);
        let added = amount.min(u64::MAX - self.taken[index]);
        self.taken[index] += added;
        self.sum += u128::from(added);
    }

    /// Takes back `amount` of what was added at `at`; no effect where that no longer counts.
    pub fn remove(&mut self, now: Timestamp, at: Timestamp, amount: u64) {
        self.advance(now);
        let number = at.as_micros() / self.slot;
        if number < self.oldest || number > self.newest {
            return;
        }
        let index = self.index(number);
        let back = amount.min(self.taken[index]);
        self.taken[index] -= back;
        self.sum -= u128::from(back);
    }

    /// The earliest time, `now` or later, at which at most `allowed` counts.
    pub fn earliest(&mut self, now: Timestamp, allowed: u64) -> Timestamp {
        self.advance(now);
        if self.sum <= u128::from(allowed) {
            return now;
        }
        let mut left = self.sum;
        let mut number = self.oldest;
        while left > u128::from(allowed) && number <= self.newest {
            left -= u128::from(self.taken[self.index(number)]);
            number += 1;
        }
        if number == self.oldest { now } else { now.max(self.expiry(number - 1)) }
    }

    /// What would count at the end of a whole span if things went on as since the first that counts, which is taken to be
    /// at least a third of the span ago.
    pub(crate) fn projected(&mut self, now: Timestamp) -> u64 {
        let sum = self.sum(now);
        let first = (self.oldest..=self.newest).find(|number| self.taken[self.index(*number)] > 0);
        let Some(first) = first else { return sum };
        let busy =
            now.as_micros().saturating_sub(first.saturating_mul(self.slot)).clamp(self.span / 3, self.span).max(1);
        let whole = u128::from(sum) * u128::from(self.span) / u128::from(busy);
        u64::try_from(whole).unwrap_or(u64::MAX)
    }

    /// When the slot `number` stops counting.
    fn expiry(&self, number: u64) -> Timestamp {
        Timestamp::from_micros((number + 1).saturating_mul(self.slot).saturating_add(self.span))
    }

    fn index(&self, number: u64) -> usize {
        (number % self.taken.len() as u64) as usize
    }

    fn advance(&mut self, now: Timestamp) {
        if now.as_micros() >= self.still_until {
            self.move_on(now);
        }
    }

    fn move_on(&mut self, now: Timestamp) {
        let here = (now.as_micros() / self.slot).max(self.newest);
        // The first slot that still counts at `now`: its end plus the span lies in the future.
        let first = (now.as_micros().saturating_sub(self.span) / self.slot).max(self.oldest);
        let mut number = self.oldest;
        while number < first && number <= self.newest {
            let index = self.index(number);
            self.sum -= u128::from(self.taken[index]);
            self.taken[index] = 0;
            number += 1;
        }
        self.oldest = first;
        self.newest = here.max(first);
        let begins = (self.newest + 1).saturating_mul(self.slot);
        self.still_until = begins.min(self.expiry(first).as_micros());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    #[test]
    fn counts_for_the_span_and_at_most_a_slot_more() {
        let mut window = Window::new(Duration::from_secs(60), Duration::from_millis(100), at(0));
        window.add(at(50), 10);
        assert_eq!(window.sum(at(60_050)), 10);
        assert_eq!(window.earliest(at(1_000), 5), at(60_100));
        assert_eq!(window.sum(at(60_099)), 10);
        assert_eq!(window.sum(at(60_100)), 0);
    }

    #[test]
    fn a_taken_back_amount_no_longer_counts() {
        let mut window = Window::new(Duration::from_secs(60), Duration::from_millis(100), at(0));
        window.add(at(0), 10);
        window.add(at(500), 10);
        window.remove(at(700), at(0), 4);
        assert_eq!(window.sum(at(700)), 16);
        assert_eq!(window.earliest(at(700), 10), at(60_100));
        window.remove(at(90_000), at(0), 6);
        assert_eq!(window.sum(at(90_000)), 0);
    }

    #[test]
    fn a_long_pause_leaves_an_empty_window() {
        let mut window = Window::new(Duration::from_secs(60), Duration::from_millis(100), at(0));
        window.add(at(0), 7);
        assert_eq!(window.sum(at(10_000_000)), 0);
        window.add(at(10_000_000), 3);
        assert_eq!(window.sum(at(10_000_000)), 3);
    }
}
