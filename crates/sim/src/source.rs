//! The calls of a workload as time goes by, at a load that can be changed.

use core::time::Duration;

use sluicegate::{Rng as _, Timestamp};

use crate::config::WHOLE_PERMILLE;
use crate::scale::mul_div;
use crate::scenario::{Scenario, stream};
use crate::seed::Dice;
use crate::workload::{Arrival, MAX_ARRIVALS, Pattern, Workload};

/// Makes the calls that [`Scenario::arrivals`] makes, as long as nobody changes the load.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    workload: Workload,
    dice: Dice,
    /// No calls from here on.
    end: Timestamp,
    permille: u32,
    kind: Kind,
    made: usize,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Calls are drawn one by one; this one is next.
    Drawn { pattern: Pattern, next: Option<Arrival> },
    /// Calls are known from the start, by times of their own. `since` and `from` are the same moment here and there.
    Listed { calls: Vec<Arrival>, place: usize, since: Timestamp, from: Timestamp },
}

impl Source {
    /// With calls from elsewhere, in the order of their times.
    pub(crate) fn listed(scenario: &Scenario, calls: Vec<Arrival>) -> Self {
        let kind = Kind::Listed { calls, place: 0, since: Timestamp::ZERO, from: Timestamp::ZERO };
        Self { kind, ..Self::new(scenario) }
    }

    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut dice = Dice::stream(scenario.seed, stream::WORKLOAD);
        let workload = scenario.workload.clone();
        let end = Timestamp::from_micros(scenario.load_us());
        let recorded = matches!(workload.arrivals, Pattern::Recorded { .. });
        let kind = if recorded || workload.conversations.is_some() {
            // A recording may have more than fits at its own rate.
            let most = if workload.conversations.is_some() { scenario.load_us() } else { u64::MAX };
            let calls = workload.generate(Timestamp::ZERO, Duration::from_micros(most), &mut dice);
            Kind::Listed { calls, place: 0, since: Timestamp::ZERO, from: Timestamp::ZERO }
        } else {
            Kind::Drawn { pattern: workload.arrivals.clone(), next: None }
        };
        let mut source = Self { workload, dice, end, permille: WHOLE_PERMILLE, kind, made: 0 };
        source.draw(Timestamp::ZERO);
        source
    }

    /// Changes the load, in thousandths of the workload's own.
    pub(crate) fn set_load(&mut self, now: Timestamp, permille: u32) {
        match &mut self.kind {
            Kind::Drawn { pattern, .. } => *pattern = self.workload.arrivals.at_load(permille),
            Kind::Listed { since, from, .. } => {
                let passed = now.as_micros().saturating_sub(since.as_micros());
                let passed = mul_div(passed, u64::from(self.permille), u64::from(WHOLE_PERMILLE));
                *from = from.saturating_add(Duration::from_micros(passed));
                *since = now;
            }
        }
        self.permille = permille;
        // Poisson gaps have no memory, so a new one from here is as good as what is left of the old one.
        self.draw(now);
    }

    /// The calls up to a moment, that moment included.
    pub(crate) fn until(&mut self, now: Timestamp) -> Vec<Arrival> {
        let mut calls = Vec::new();
        while let Some(arrival) = self.peek().filter(|arrival| arrival.at <= now) {
            calls.push(arrival);
            self.made += 1;
            if let Kind::Listed { place, .. } = &mut self.kind {
                *place += 1;
            }
            self.draw(arrival.at);
        }
        calls
    }

    /// Whether all calls have been made.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.end || (matches!(self.kind, Kind::Listed { .. }) && self.permille > 0 && self.peek().is_none())
    }

    fn peek(&self) -> Option<Arrival> {
        let next = match &self.kind {
            Kind::Drawn { next, .. } => *next,
            Kind::Listed { calls, place, since, from } if self.permille > 0 => calls.get(*place).map(|call| {
                let passed = call.at.as_micros().saturating_sub(from.as_micros());
                let passed = mul_div(passed, u64::from(WHOLE_PERMILLE), u64::from(self.permille));
                Arrival { at: since.saturating_add(Duration::from_micros(passed)), ..*call }
            }),
            Kind::Listed { .. } => None,
        };
        next.filter(|arrival| arrival.at < self.end && self.made < MAX_ARRIVALS)
    }

    fn draw(&mut self, after: Timestamp) {
        if let Kind::Drawn { pattern, next } = &mut self.kind {
            let at = pattern.next(after.as_micros(), self.end.as_micros(), self.dice.next_u64());
            *next = at.map(|at| self.workload.call(Timestamp::from_micros(at), &mut self.dice));
        }
    }
}
