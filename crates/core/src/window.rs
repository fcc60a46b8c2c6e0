//! What was taken in the last minute, in any minute.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use crate::time::{Timestamp, micros};

/// There is room for so many more slots than the span holds, so that those that no longer count go several at a time.
const SPARE: u64 = 32;

/// A sliding sum over slots of equal width.
///
/// Something taken at `t` counts until the end of its slot lies `span` in the past, so the sum over any stretch of
/// length `span`, wherever it begins, never exceeds what [`Window::sum`] allowed at its busiest moment. It costs at
/// most one slot's width of the quota per span.
///
/// Memory: 16 bytes for each slot in which something was taken, at most `span / slot + 32` of them.
#[derive(Clone, Debug)]
pub struct Window {
    slot: u64,
    span: u64,
    /// When each slot before the present one stops counting, in order, and what it holds. Nothing is kept for a slot in
    /// which nothing was taken.
    past: VecDeque<(u64, u64)>,
    /// What the present slot holds.
    here: u64,
    /// When the present slot ends.
    ends: u64,
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
        let ends = end_of_slot(now, slot);
        Self { slot, span, past: VecDeque::new(), here: 0, ends, sum: 0, still_until: ends }
    }

    /// In microseconds.
    pub(crate) const fn span(&self) -> u64 {
        self.span
    }

    pub(crate) fn has_span(&self, span: Duration) -> bool {
        self.span == micros(span)
    }

    /// The same window with another span: what was added before the change counts for the new span.
    pub(crate) fn set_span(&mut self, now: Timestamp, span: Duration) {
        self.advance(now);
        let old = core::mem::replace(&mut self.span, micros(span).max(self.slot));
        for (expiry, _) in &mut self.past {
            *expiry = expiry.saturating_add(self.span).saturating_sub(old);
        }
        self.move_on(now);
    }

    /// What counts at `now`, oldest first: for how many microseconds yet, and how much.
    pub(crate) fn entries(&self, now: Timestamp) -> Vec<(u64, u64)> {
        let here = (self.ends.saturating_add(self.span), self.here);
        let entries = self.past.iter().copied().chain([here]);
        let left = entries.map(|(expiry, amount)| (expiry.saturating_sub(now.as_micros()), amount));
        left.filter(|(left, amount)| *left > 0 && *amount > 0).collect()
    }

    /// Puts what [`Window::entries`] told, `ago` earlier, into an empty window, in whatever order. Something may count
    /// for up to a slot longer, since slots may begin elsewhere now.
    pub(crate) fn restore(&mut self, now: Timestamp, ago: u64, entries: &[(u64, u64)]) {
        self.move_on(now);
        let last = self.ends.saturating_add(self.span);
        let mut left: Vec<(u64, u64)> = entries
            .iter()
            .map(|(left, amount)| (left.saturating_sub(ago), *amount))
            .filter(|(left, amount)| *left > 0 && *amount > 0)
            .map(|(left, amount)| {
                // Slots stop counting in steps of their width, as the present one will.
                let before = last.saturating_sub(now.as_micros().saturating_add(left));
                (last - before / self.slot * self.slot, amount)
            })
            .collect();
        left.sort_unstable();
        for (expiry, amount) in left {
            self.sum += u128::from(self.put(expiry, amount));
        }
        self.move_on(now);
    }

    /// Adds to the slot that stops counting at `expiry`, which is the last one so far or later; at most what it holds.
    fn put(&mut self, expiry: u64, amount: u64) -> u64 {
        let held = match self.past.back_mut() {
            _ if expiry == self.ends.saturating_add(self.span) => &mut self.here,
            Some((last, held)) if *last == expiry => held,
            _ => {
                self.push(expiry, amount);
                return amount;
            }
        };
        let added = amount.min(u64::MAX - *held);
        *held += added;
        added
    }

    fn push(&mut self, expiry: u64, amount: u64) {
        if self.past.len() == self.past.capacity() {
            self.grow();
        }
        self.past.push_back((expiry, amount));
    }

    /// Twice the room, up to what is ever needed.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let count = self.past.len();
        let most = usize::try_from((self.span / self.slot).saturating_add(SPARE)).unwrap_or(usize::MAX);
        self.past.reserve_exact(count.max(4).min(most.saturating_sub(count)).max(1));
    }

    /// What counts at `now`.
    pub fn sum(&mut self, now: Timestamp) -> u64 {
        self.advance(now);
        u64::try_from(self.sum).unwrap_or(u64::MAX)
    }

    /// What was added since `at`, and in the rest of its slot, and still counts.
    pub(crate) fn since(&self, at: Timestamp) -> u64 {
        let expiry = at.as_micros().saturating_add(self.span);
        let past = self.past.iter().rev().take_while(|entry| entry.0 > expiry).map(|entry| u128::from(entry.1));
        let here = if self.ends > at.as_micros() { self.here } else { 0 };
        u64::try_from(past.sum::<u128>() + u128::from(here)).unwrap_or(u64::MAX)
    }

    /// What counted at the last look.
    pub(crate) fn total(&self) -> u64 {
        u64::try_from(self.sum).unwrap_or(u64::MAX)
    }

    /// Adds `amount` at `now`.
    pub fn add(&mut self, now: Timestamp, amount: u64) {
        self.advance(now);
        self.add_here(amount);
    }

    /// Adds `amount` to the slot of the last look at the window, which is over by now or not.
    pub(crate) fn add_here(&mut self, amount: u64) {
        let added = amount.min(u64::MAX - self.here);
        self.here += added;
        self.sum += u128::from(added);
    }

    /// Takes back `amount` of what was added at `at`; no effect where that no longer counts.
    pub fn remove(&mut self, now: Timestamp, at: Timestamp, amount: u64) {
        self.advance(now);
        let at = at.as_micros();
        if at >= self.ends {
            return;
        }
        let held = if at >= self.ends - self.slot {
            &mut self.here
        } else {
            // The slot of `at` stops counting within one slot's width of this.
            let least = at.saturating_add(self.span);
            let of_slot = |entry: &(u64, u64)| entry.0 > least && entry.0 - least <= self.slot;
            // Where something was taken in every slot since, it is as many from the end as slots went by.
            let ago = usize::try_from((self.ends - 1 - at) / self.slot).unwrap_or(usize::MAX);
            let mut index = self.past.len().wrapping_sub(ago);
            if !self.past.get(index).is_some_and(of_slot) {
                index = self.past.partition_point(|(expiry, _)| *expiry <= least);
            }
            match self.past.get_mut(index) {
                Some(entry) if of_slot(entry) => &mut entry.1,
                _ => return,
            }
        };
        let back = amount.min(*held);
        *held -= back;
        self.sum -= u128::from(back);
    }

    /// The earliest time, `now` or later, at which at most `allowed` counts.
    pub fn earliest(&mut self, now: Timestamp, allowed: u64) -> Timestamp {
        self.advance(now);
        let allowed = u128::from(allowed);
        if self.sum <= allowed {
            return now;
        }
        let mut left = self.sum;
        for (expiry, amount) in &self.past {
            left -= u128::from(*amount);
            if left <= allowed {
                return now.max(Timestamp::from_micros(*expiry));
            }
        }
        now.max(Timestamp::from_micros(self.ends.saturating_add(self.span)))
    }

    /// Until then no slot begins and none stops counting, so what counts changes by adding and removing alone. Holds from
    /// one look at the window, or change, to the next.
    pub(crate) const fn still_until(&self) -> Timestamp {
        Timestamp::from_micros(self.still_until)
    }

    /// What would count at the end of a whole span if things went on as since the first that counts, which is taken to be
    /// at least a third of the span ago.
    pub(crate) fn projected(&mut self, now: Timestamp) -> u64 {
        let sum = self.sum(now);
        let first = self.past.iter().find(|(_, amount)| *amount > 0).map(|(expiry, _)| *expiry);
        let counts_for = self.span.saturating_add(self.slot);
        let expiry = first.unwrap_or_else(|| self.ends.saturating_add(self.span));
        let busy = now.as_micros().saturating_add(counts_for).saturating_sub(expiry);
        let busy = busy.clamp((self.span / 3).max(1), self.span);
        let whole = u128::from(sum) * u128::from(self.span) / u128::from(busy);
        u64::try_from(whole).unwrap_or(u64::MAX)
    }

    fn advance(&mut self, now: Timestamp) {
        if now.as_micros() >= self.still_until {
            self.move_on(now);
        }
    }

    #[cold]
    #[inline(never)]
    fn move_on(&mut self, now: Timestamp) {
        self.enter_slot(now);
        self.drop_past(now);
        let first = self.past.front().map_or(u64::MAX, |(expiry, _)| *expiry);
        self.still_until = first.min(self.ends);
    }

    /// Begins the slot of `now` and returns when it ends. What no longer counts may be left to the next look.
    #[inline(always)]
    pub(crate) fn enter_slot(&mut self, now: Timestamp) -> Timestamp {
        if now.as_micros() >= self.ends {
            if self.here > 0 {
                if self.past.len() == self.past.capacity() {
                    self.drop_past(now);
                }
                self.push(self.ends.saturating_add(self.span), self.here);
                self.here = 0;
            }
            let next = self.ends.saturating_add(self.slot);
            self.ends = if now.as_micros() < next { next } else { end_of_slot(now, self.slot) };
        }
        Timestamp::from_micros(self.ends)
    }

    /// Drops what no longer counts.
    #[cold]
    #[inline(never)]
    fn drop_past(&mut self, now: Timestamp) {
        while let Some((expiry, amount)) = self.past.front()
            && *expiry <= now.as_micros()
        {
            self.sum -= u128::from(*amount);
            self.past.pop_front();
        }
    }
}

fn end_of_slot(now: Timestamp, slot: u64) -> u64 {
    (now.as_micros() / slot).saturating_add(1).saturating_mul(slot)
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
