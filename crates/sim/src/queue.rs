//! A queue by time for things that mostly come in order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use sluicegate::Timestamp;

/// What is put in no earlier than the last goes into a plain queue; the rest into a heap. Among equals of one part the
/// first in is the first out.
#[derive(Clone, Debug)]
pub(crate) struct TimeQueue<T> {
    sorted: VecDeque<(Timestamp, T)>,
    strays: BinaryHeap<Reverse<(Timestamp, u64, T)>>,
    next: u64,
    /// The time of the first, since it is asked for far more often than it changes; the end of time where there is none.
    first: Timestamp,
}

impl<T: Ord> Default for TimeQueue<T> {
    fn default() -> Self {
        Self { sorted: VecDeque::new(), strays: BinaryHeap::new(), next: 0, first: Timestamp::MAX }
    }
}

impl<T: Ord + Copy> TimeQueue<T> {
    pub(crate) fn push(&mut self, at: Timestamp, thing: T) {
        if self.sorted.back().is_none_or(|last| last.0 <= at) {
            self.sorted.push_back((at, thing));
        } else {
            self.next += 1;
            self.strays.push(Reverse((at, self.next, thing)));
        }
        self.first = self.first.min(at);
    }

    /// When the first is due; the end of time where there is none.
    pub(crate) const fn first(&self) -> Timestamp {
        self.first
    }

    pub(crate) fn pop(&mut self) -> Option<(Timestamp, T)> {
        let at = self.first;
        let thing = match self.sorted.front() {
            Some(sorted) if sorted.0 == at => self.sorted.pop_front()?.1,
            _ => self.strays.pop()?.0.2,
        };
        let sorted = self.sorted.front().map_or(Timestamp::MAX, |first| first.0);
        let stray = self.strays.peek().map_or(Timestamp::MAX, |stray| stray.0.0);
        self.first = sorted.min(stray);
        Some((at, thing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_out_in_the_order_of_their_times() {
        let mut queue = TimeQueue::default();
        for (at, thing) in [(5, 'a'), (9, 'b'), (3, 'c'), (9, 'd'), (3, 'e'), (7, 'f')] {
            queue.push(Timestamp::from_micros(at), thing);
        }
        assert_eq!(queue.first(), Timestamp::from_micros(3));
        let out: String = std::iter::from_fn(|| queue.pop()).map(|(_, thing)| thing).collect();
        assert_eq!(out, "ceafbd");
        assert_eq!(queue.first(), Timestamp::MAX);
    }
}
