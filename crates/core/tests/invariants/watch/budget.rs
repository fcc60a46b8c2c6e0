//! What all retries and hedges together may have cost, from what was decided and reported alone.

use std::time::Duration;

use sluicegate::{MilliTokens, OutcomeClass, RetryBudgetConfig};

/// Millionths of a milli-token, so that what flows in each microsecond is whole.
const SCALE: u128 = 1_000_000;

/// What came in and what went out.
#[derive(Debug)]
pub(crate) struct Budget {
    came_in: u128,
    went_out: u128,
}

impl Budget {
    pub(crate) fn new(config: &RetryBudgetConfig) -> Self {
        Self { came_in: u128::from(config.capacity) * SCALE, went_out: 0 }
    }

    pub(crate) fn pass(&mut self, config: &RetryBudgetConfig, time: Duration) {
        self.came_in += time.as_micros() * u128::from(config.per_second);
    }

    pub(crate) fn answered(&mut self, config: &RetryBudgetConfig, charged: Option<MilliTokens>) {
        let credit = charged.filter(|_| config.refund).unwrap_or(config.deposit);
        self.came_in += u128::from(credit) * SCALE;
    }

    pub(crate) fn charge(&mut self, cost: MilliTokens) {
        self.went_out += u128::from(cost) * SCALE;
        assert!(self.went_out <= self.came_in, "the retry budget is overdrawn: {self:?}");
    }
}

/// What a retry after such an end costs. A call that an endpoint cannot serve at all goes elsewhere for nothing.
pub(crate) fn cost(config: &RetryBudgetConfig, class: OutcomeClass) -> Option<MilliTokens> {
    match class {
        OutcomeClass::Unusable => None,
        OutcomeClass::Throttled(_) => Some(config.throttled_cost),
        _ => Some(config.other_cost),
    }
}
