//! What all retries and hedges together may cost, kept as a plain account beside the engine's.

use std::time::Duration;

use sluicegate::{MilliTokens, OutcomeClass, RetryBudgetConfig};

/// Millionths of a milli-token, so that what flows in each microsecond is whole.
const SCALE: i128 = 1_000_000;

#[derive(Debug)]
pub(crate) struct Budget {
    config: RetryBudgetConfig,
    /// Below zero while retries are planned for when the inflow has paid for them.
    level: i128,
}

impl Budget {
    pub(crate) fn new(config: RetryBudgetConfig) -> Self {
        Self { config, level: i128::from(config.capacity) * SCALE }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.add(self.inflow(time));
    }

    fn inflow(&self, time: Duration) -> i128 {
        time.as_micros() as i128 * i128::from(self.config.per_second)
    }

    fn add(&mut self, amount: i128) {
        self.level = (self.level + amount).min(i128::from(self.config.capacity) * SCALE);
    }

    /// Other rules; what is left stays as far as it fits.
    pub(crate) fn reconfigure(&mut self, config: RetryBudgetConfig) {
        self.config = config;
        self.add(0);
    }

    /// Another process goes on, and nothing is planned any more. It is told that `known` went by since.
    pub(crate) fn restart(&mut self, known: Duration) {
        self.level = self.level.max(0) / SCALE * SCALE;
        self.add(self.inflow(known) / SCALE * SCALE);
    }

    /// A call was answered after its last retry had cost `charged`.
    pub(crate) fn answered(&mut self, charged: Option<MilliTokens>) {
        self.add(i128::from(charged.filter(|_| self.config.refund).unwrap_or(self.config.deposit)) * SCALE);
    }

    /// A retry is planned for so much later. Returns what it costs.
    pub(crate) fn retry(&mut self, class: OutcomeClass, later: Duration) -> MilliTokens {
        let RetryBudgetConfig { throttled_cost, other_cost, .. } = self.config;
        let cost = if matches!(class, OutcomeClass::Throttled(_)) { throttled_cost } else { other_cost };
        self.charge(cost, later);
        cost
    }

    pub(crate) fn hedge(&mut self) {
        self.charge(self.config.hedge_cost, Duration::ZERO);
    }

    fn charge(&mut self, cost: MilliTokens, later: Duration) {
        self.level -= i128::from(cost) * SCALE;
        let then = self.level + self.inflow(later);
        assert!(then >= 0, "the retry budget is overdrawn by {} for something in {later:?}: {self:?}", -then);
    }
}
