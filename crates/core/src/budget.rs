//! How many retries and hedges all calls together may make.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::kept::record;
use crate::time::{Timestamp, micros};

/// Thousandths of a token: what the budget counts in, so that a ratio such as 0.2 is exact.
pub type MilliTokens = u64;

/// What an attempt beyond a call's first is made for; the kinds may cost differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryKind {
    /// A retry after a refusal by quota.
    Throttled,
    /// A retry after anything else.
    Other,
    /// A second attempt next to one that is still out. Nothing has failed, so one that is not allowed costs nothing.
    Hedge,
}

/// The parameters of a [`RetryBudget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RetryBudgetConfig {
    /// The most that can be saved up.
    pub capacity: MilliTokens,
    /// What a retry after a refusal by quota costs.
    pub throttled_cost: MilliTokens,
    /// What any other retry costs.
    pub other_cost: MilliTokens,
    /// What a hedge costs.
    pub hedge_cost: MilliTokens,
    /// What a call that succeeds at its first attempt gives.
    pub deposit: MilliTokens,
    /// Whether a call that succeeds at a later attempt gives back what its last retry cost (instead of `deposit`).
    pub refund: bool,
    /// What flows in with time, per second, whatever the calls do.
    pub per_second: MilliTokens,
    /// A retry is allowed only while more than this is left after it was charged.
    pub floor: MilliTokens,
    /// Whether a failure is charged even where its retry is not allowed.
    pub charge_refused: bool,
}

impl RetryBudgetConfig {
    /// One retry for every five calls, ten a second in any case: the defaults of Finagle's retry budget, with credits
    /// that stop growing after ten seconds' worth.
    pub const DEFAULT: Self = Self {
        capacity: 100_000,
        throttled_cost: 1_000,
        other_cost: 1_000,
        hedge_cost: 1_000,
        deposit: 200,
        refund: false,
        per_second: 10_000,
        floor: 0,
        charge_refused: false,
    };

    /// The AWS SDKs' standard mode of 2026: 500 tokens, 5 for a throttled retry and 14 for any other, given back on
    /// success. The SDKs do not hedge; one that did would put the same load on the service as a retry of the dear kind.
    pub const AWS_STANDARD: Self = Self {
        capacity: 500_000,
        throttled_cost: 5_000,
        other_cost: 14_000,
        hedge_cost: 14_000,
        deposit: 1_000,
        refund: true,
        per_second: 0,
        floor: 0,
        charge_refused: false,
    };

    /// gRPC's retry throttling (gRFC A6): one token a failure, `ratio` thousandths back for each success, retries only
    /// above half of `max_tokens`. So are hedges; they cost nothing there until they fail.
    #[must_use]
    pub const fn grpc(max_tokens: u64, ratio: MilliTokens) -> Self {
        Self {
            capacity: max_tokens.saturating_mul(1_000),
            throttled_cost: 1_000,
            other_cost: 1_000,
            hedge_cost: 0,
            deposit: ratio,
            refund: false,
            per_second: 0,
            floor: max_tokens.saturating_mul(500),
            charge_refused: true,
        }
    }
}

/// A bound on retries and hedges over all calls and endpoints, so that neither failures nor slowness can multiply the
/// load.
///
/// ```
/// use sluicegate::{RetryBudget, RetryBudgetConfig, RetryKind, Timestamp};
///
/// let now = Timestamp::ZERO;
/// let mut budget = RetryBudget::new(RetryBudgetConfig::AWS_STANDARD, now);
/// let charged = budget.withdraw(now, RetryKind::Other).unwrap();
/// assert_eq!(budget.left(now), 486_000);
/// budget.success(now, Some(charged));
/// assert_eq!(budget.left(now), 500_000);
/// ```
#[derive(Clone, Debug)]
pub struct RetryBudget {
    config: RetryBudgetConfig,
    /// In milli-tokens times a million, so that each microsecond's share is whole. Below zero where retries were
    /// promised that the inflow has not paid yet.
    level: i128,
    at: Timestamp,
}

const SCALE: i128 = 1_000_000;

/// What a [`RetryBudget`] remembers beyond the life of its process. Retries that were promised have died with it, so
/// there is no debt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SavedRetryBudget {
    /// What was left.
    pub left: MilliTokens,
}

record!(SavedRetryBudget, closed: false, always: [left], sparse: []);

impl RetryBudget {
    /// A full budget.
    #[must_use]
    pub fn new(config: RetryBudgetConfig, now: Timestamp) -> Self {
        Self::with_level(config, config.capacity, now)
    }

    /// A budget with `level` left.
    #[must_use]
    pub fn with_level(config: RetryBudgetConfig, level: MilliTokens, now: Timestamp) -> Self {
        Self { config, level: i128::from(level.min(config.capacity)) * SCALE, at: now }
    }

    /// Changes the parameters; what is left stays, as far as it fits, and so does what was promised.
    pub(crate) fn reconfigure(&mut self, now: Timestamp, config: RetryBudgetConfig) {
        self.refill(now);
        self.config = config;
        self.level = self.level_at(now);
    }

    /// What is worth remembering at `now`.
    #[must_use]
    pub fn save(&self, now: Timestamp) -> SavedRetryBudget {
        SavedRetryBudget { left: self.left(now) }
    }

    /// A budget that goes on at `now` from what was saved `asleep` ago; meanwhile the inflow went on. No state is
    /// invalid: more than fits is cut off.
    #[must_use]
    pub fn restored(config: RetryBudgetConfig, state: &SavedRetryBudget, now: Timestamp, asleep: Duration) -> Self {
        let inflow = u128::from(micros(asleep)) * u128::from(config.per_second) / SCALE.unsigned_abs();
        let level = state.left.saturating_add(u64::try_from(inflow).unwrap_or(u64::MAX));
        Self::with_level(config, level, now)
    }

    /// What is left at `now`.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> MilliTokens {
        u64::try_from(self.level_at(now).max(0) / SCALE).unwrap_or(u64::MAX)
    }

    /// Pays for one retry or hedge and returns what it cost.
    ///
    /// # Errors
    /// When there is too little: the earliest time at which the inflow alone allows it, or `None` where nothing
    /// flows in with time.
    pub fn withdraw(&mut self, now: Timestamp, kind: RetryKind) -> Result<MilliTokens, Option<Timestamp>> {
        let cost = self.cost(kind);
        self.refill(now);
        let price = i128::from(cost) * SCALE;
        let floor = i128::from(self.config.floor) * SCALE;
        // With a floor, strictly more than it must be left; without one, paying the last token is fine.
        let needed = if floor == 0 { price } else { price + floor + 1 };
        if self.level >= needed {
            self.level -= price;
            return Ok(cost);
        }
        let missing = needed - self.level;
        if self.config.charge_refused && kind != RetryKind::Hedge {
            self.level = (self.level - price).max(self.level.min(0));
        }
        if self.config.per_second == 0 {
            return Err(None);
        }
        let inflow = i128::from(self.config.per_second);
        let wait = (missing + inflow - 1) / inflow;
        Err(Some(now.saturating_add(Duration::from_micros(u64::try_from(wait).unwrap_or(u64::MAX)))))
    }

    /// Pays on credit for a retry that [`withdraw`](Self::withdraw) put off, and returns what it costs: from the time it
    /// named the retry may go out without asking again, and the next one put off is told a later time.
    pub fn promise(&mut self, now: Timestamp, kind: RetryKind) -> MilliTokens {
        let cost = self.cost(kind);
        self.refill(now);
        self.level = self.level.saturating_sub(i128::from(cost) * SCALE);
        cost
    }

    /// Credits a call that succeeded; `charged` is what its last retry cost, `None` if the first attempt succeeded.
    pub fn success(&mut self, now: Timestamp, charged: Option<MilliTokens>) {
        let credit = match charged {
            Some(cost) if self.config.refund => cost,
            _ => self.config.deposit,
        };
        self.refill(now);
        self.level = (self.level + i128::from(credit) * SCALE).min(i128::from(self.config.capacity) * SCALE);
    }

    const fn cost(&self, kind: RetryKind) -> MilliTokens {
        match kind {
            RetryKind::Throttled => self.config.throttled_cost,
            RetryKind::Other => self.config.other_cost,
            RetryKind::Hedge => self.config.hedge_cost,
        }
    }

    fn refill(&mut self, now: Timestamp) {
        self.level = self.level_at(now);
        self.at = self.at.max(now);
    }

    fn level_at(&self, now: Timestamp) -> i128 {
        let elapsed = now.as_micros().saturating_sub(self.at.as_micros());
        let inflow = i128::from(elapsed).saturating_mul(i128::from(self.config.per_second));
        self.level.saturating_add(inflow).min(i128::from(self.config.capacity) * SCALE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::ZERO;

    #[test]
    fn hedges_and_retries_draw_on_one_budget() {
        let config = RetryBudgetConfig { capacity: 3_000, ..RetryBudgetConfig::DEFAULT };
        let mut budget = RetryBudget::new(config, NOW);
        assert_eq!(budget.withdraw(NOW, RetryKind::Hedge), Ok(1_000));
        assert_eq!(budget.withdraw(NOW, RetryKind::Other), Ok(1_000));
        assert_eq!(budget.withdraw(NOW, RetryKind::Hedge), Ok(1_000));
        let refilled = Timestamp::from_micros(100_000);
        assert_eq!(budget.withdraw(NOW, RetryKind::Hedge), Err(Some(refilled)));
        assert_eq!(budget.withdraw(NOW, RetryKind::Throttled), Err(Some(refilled)));
    }

    #[test]
    fn a_hedge_may_cost_another_price_than_a_retry() {
        let config = RetryBudgetConfig { hedge_cost: 2_500, ..RetryBudgetConfig::DEFAULT };
        let mut budget = RetryBudget::new(config, NOW);
        assert_eq!(budget.withdraw(NOW, RetryKind::Hedge), Ok(2_500));
        assert_eq!(budget.left(NOW), 97_500);
    }

    /// gRFC A6: hedges go out only above the threshold, and only attempts that fail are charged.
    #[test]
    fn grpc_holds_hedges_back_with_the_retries() {
        let mut budget = RetryBudget::new(RetryBudgetConfig::grpc(4, 100), NOW);
        assert_eq!(budget.withdraw(NOW, RetryKind::Other), Ok(1_000));
        assert_eq!(budget.withdraw(NOW, RetryKind::Hedge), Ok(0));
        assert_eq!(budget.withdraw(NOW, RetryKind::Other), Err(None));
        assert_eq!(budget.left(NOW), 2_000, "that failure is charged, and leaves the threshold itself");
        assert_eq!(budget.withdraw(NOW, RetryKind::Hedge), Err(None));
        assert_eq!(budget.left(NOW), 2_000, "a hedge that is held back costs nothing");
    }

    #[test]
    fn a_hedge_that_is_held_back_is_no_failure() {
        let config = RetryBudgetConfig { hedge_cost: 1_000, ..RetryBudgetConfig::grpc(2, 100) };
        let mut budget = RetryBudget::with_level(config, 1_000, NOW);
        assert_eq!(budget.withdraw(NOW, RetryKind::Hedge), Err(None));
        assert_eq!(budget.left(NOW), 1_000);
    }
}
