//! Users who wait for one call to end before they make the next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use sluicegate::{Rng, Timestamp};

use super::{Arrival, Pattern, Workload};
use crate::seed::Dice;

/// The users at their work. Which of them makes a call does not matter, so they have no names.
#[derive(Clone, Debug)]
pub(crate) struct ClosedLoop {
    dice: Dice,
    end: Timestamp,
    /// When those who think will have thought.
    thinking: BinaryHeap<Reverse<Timestamp>>,
}

impl ClosedLoop {
    /// All of them thinking, from `from` on and until `end`; `None` if the workload is no closed loop.
    pub(crate) fn new(workload: &Workload, from: Timestamp, end: Timestamp, dice: Dice) -> Option<Self> {
        let Pattern::ClosedLoop { users, .. } = &workload.arrivals else { return None };
        let mut users_at_work = Self { dice, end, thinking: BinaryHeap::new() };
        for _ in 0..*users {
            users_at_work.think(workload, from);
        }
        Some(users_at_work)
    }

    /// When the next call is made, if one is.
    pub(crate) fn peek(&self) -> Option<Timestamp> {
        self.thinking.peek().map(|Reverse(at)| *at)
    }

    /// Makes it.
    pub(crate) fn next(&mut self, workload: &Workload) -> Option<Arrival> {
        let Reverse(at) = self.thinking.pop()?;
        Some(workload.call(at, &mut self.dice))
    }

    /// A call has ended, and its user begins to think.
    pub(crate) fn think(&mut self, workload: &Workload, now: Timestamp) {
        let Pattern::ClosedLoop { think_ms, .. } = &workload.arrivals else { return };
        let think = think_ms.value(self.dice.next_u64()).saturating_mul(1_000);
        let at = Timestamp::from_micros(now.as_micros().saturating_add(think));
        if at < self.end {
            self.thinking.push(Reverse(at));
        }
    }
}
