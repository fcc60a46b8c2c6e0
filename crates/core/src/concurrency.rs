//! How many attempts an endpoint can take at once, learned from its capacity errors.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::defaults::{
    CAPACITY_CAREFUL_STEPS, CAPACITY_HOLD, CAPACITY_KEEPS_PERMILLE, CAPACITY_PLATEAU, CAPACITY_STEP,
};
use crate::time::{Timestamp, micros};

/// A limit on attempts under way, absent until the first capacity error.
///
/// A capacity error (503, 529, "overloaded") says nothing about the caller's quota. It says that what the endpoint
/// carried at that moment is what it can carry, so that becomes the limit: AWS's user guide, "Scaling and throughput best
/// practices" for Amazon Bedrock, asks for a return to the last stable rate and concurrency. If that is refused as well,
/// the capacity is still falling, and a fifth is taken off.
///
/// Such errors come back at once, so growth need not wait for answers: after [`CAPACITY_PLATEAU`] without one the limit
/// grows every [`CAPACITY_STEP`], first by one, then by a quarter, as far as it is used.
///
/// ```
/// use core::time::Duration;
/// use sluicegate::{AdaptiveConcurrency, Timestamp};
///
/// let now = Timestamp::from_micros(10_000_000);
/// let mut concurrency = AdaptiveConcurrency::new();
/// for _ in 0..20 {
///     assert!(concurrency.admits(now));
///     concurrency.start();
/// }
/// concurrency.overloaded(now, now);
/// assert_eq!(concurrency.limit(now), Some(19));
/// assert!(!concurrency.admits(now));
/// assert!(concurrency.admits(now.saturating_add(Duration::from_secs(3))));
/// ```
#[derive(Clone, Debug)]
pub struct AdaptiveConcurrency {
    in_flight: u64,
    /// What was carried at the last capacity error.
    carried: Option<u64>,
    cut_at: Timestamp,
    plateau: Duration,
}

/// What an [`AdaptiveConcurrency`] remembers beyond the life of its process; what was under way died with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct AdaptiveConcurrencyState {
    /// What was carried at the last capacity error, in attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carried: Option<u64>,
    /// How long ago that was, in microseconds.
    pub age_us: u64,
    /// How long the limit was to stay there, in microseconds.
    pub plateau_us: u64,
}

impl Default for AdaptiveConcurrency {
    fn default() -> Self {
        Self::new()
    }
}

impl AdaptiveConcurrency {
    /// No limit yet, nothing under way.
    #[must_use]
    pub const fn new() -> Self {
        Self { in_flight: 0, carried: None, cut_at: Timestamp::ZERO, plateau: CAPACITY_PLATEAU.0 }
    }

    /// What is worth remembering at `now`.
    #[must_use]
    pub fn save(&self, now: Timestamp) -> AdaptiveConcurrencyState {
        let Some(carried) = self.carried else { return AdaptiveConcurrencyState::default() };
        AdaptiveConcurrencyState {
            carried: Some(carried),
            age_us: micros(now.saturating_since(self.cut_at)),
            plateau_us: micros(self.plateau),
        }
    }

    /// Goes on at `now` from what was saved `asleep` ago, with nothing under way. No state is invalid: at least one
    /// attempt is let out, and the limit stays no longer than it ever does.
    #[must_use]
    pub fn restored(state: &AdaptiveConcurrencyState, now: Timestamp, asleep: Duration) -> Self {
        let age = Duration::from_micros(state.age_us).saturating_add(asleep);
        Self {
            in_flight: 0,
            carried: state.carried.map(|carried| carried.max(1)),
            cut_at: now.saturating_sub(age),
            plateau: Duration::from_micros(state.plateau_us).clamp(CAPACITY_PLATEAU.0, CAPACITY_PLATEAU.1),
        }
    }

    /// Whether one more attempt may start at `now`.
    #[must_use]
    pub fn admits(&self, now: Timestamp) -> bool {
        self.limit(now).is_none_or(|limit| self.in_flight < limit)
    }

    /// The limit in force at `now`, in attempts.
    #[must_use]
    pub fn limit(&self, now: Timestamp) -> Option<u64> {
        let carried = self.carried?;
        let calm = now.saturating_since(self.cut_at);
        let Some(growing) = calm.checked_sub(self.plateau) else { return Some(carried) };
        let steps = micros(growing) / micros(CAPACITY_STEP) + 1;
        // As far as it is used: what nobody needs teaches nothing.
        let most = carried.max(self.in_flight.saturating_mul(2).saturating_add(2));
        let mut limit = carried;
        for step in 1..=steps {
            if limit >= most {
                return Some(most);
            }
            limit += if step <= CAPACITY_CAREFUL_STEPS { 1 } else { (limit / 4).max(1) };
        }
        Some(limit.min(most))
    }

    /// When the limit of `now` next grows, where it holds something back.
    #[must_use]
    pub fn grows_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.carried?;
        let since = self.cut_at.saturating_add(self.plateau);
        if now < since {
            return Some(since);
        }
        let steps = micros(now.saturating_since(since)) / micros(CAPACITY_STEP) + 1;
        Some(since.saturating_add(Duration::from_micros(steps.saturating_mul(micros(CAPACITY_STEP)))))
    }

    /// Attempts under way.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// An attempt goes out.
    pub fn start(&mut self) {
        self.in_flight += 1;
    }

    /// An attempt ended without a capacity error.
    pub fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// An attempt that started at `started` met a capacity error. Returns the limit, if it was lowered.
    pub fn overloaded(&mut self, now: Timestamp, started: Timestamp) -> Option<u64> {
        self.end();
        // Attempts that were out already at the last cut say nothing new.
        if self.carried.is_some() && started < self.cut_at {
            return None;
        }
        let falling = self.carried.is_some() && now.saturating_since(self.cut_at) < CAPACITY_HOLD;
        let keeps = if falling { CAPACITY_KEEPS_PERMILLE } else { 1_000 };
        let limit = (self.in_flight.saturating_mul(keeps) / 1_000).max(1);
        // The same answer twice: it is asked less often.
        let same = self.carried.is_some_and(|before| before.abs_diff(limit) <= before / 4 + 1);
        self.plateau = if same { CAPACITY_PLATEAU.1 } else { CAPACITY_PLATEAU.0 };
        self.carried = Some(limit);
        self.cut_at = now;
        Some(limit)
    }
}
