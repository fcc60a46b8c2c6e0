//! How long an endpoint takes for each token of its answers: of late, and as a rule.

use core::time::Duration;

use crate::defaults::{
    SPEED_LATELY, SPEED_LEARNS, SPEED_STEADY_PERMILLE, SPEED_STRAINED_PERMILLE, SPEED_TOKENS_AT_LEAST, SPEED_USUALLY,
    SPEED_USUALLY_STEP,
};
use crate::kept::record;
use crate::time::{Timestamp, micros};

/// Two averages of the time per output token, in nanoseconds, which are exact enough for the fastest models.
///
/// One follows within some answers, the other within minutes: it is what the endpoint does while nothing strains it, and
/// an endpoint that has become slow for good is not strained for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Speed {
    lately: u64,
    usually: u64,
    answers: u32,
    /// When the usual one last moved.
    moved_at: Timestamp,
}

/// What is remembered of the time an endpoint takes for each token of its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SavedSpeed {
    /// Of late, in nanoseconds per output token.
    pub lately_ns: u64,
    /// As a rule, in nanoseconds per output token.
    pub usually_ns: u64,
    /// From how many answers, up to as many as are needed.
    pub answers: u32,
}

record!(SavedSpeed, closed: false, always: [lately_ns, usually_ns, answers], sparse: []);

/// Moves by one part in so many: the first number where it falls, the second where it rises.
fn toward(from: u64, to: u64, parts: (u64, u64)) -> u64 {
    if to > from { from + (to - from) / parts.1 } else { from - (from - to) / parts.0 }
}

impl Speed {
    pub(crate) const fn new() -> Self {
        Self { lately: 0, usually: 0, answers: 0, moved_at: Timestamp::ZERO }
    }

    /// An answer of `tokens` tokens took this long. Returns whether it says anything: in a short answer the wait for the
    /// first token hides the speed.
    pub(crate) fn observe(&mut self, now: Timestamp, took: Duration, tokens: u32) -> bool {
        if tokens < SPEED_TOKENS_AT_LEAST {
            return false;
        }
        let each = micros(took).saturating_mul(1_000) / u64::from(tokens);
        if self.answers < SPEED_LEARNS {
            self.answers += 1;
            self.lately = toward(self.lately, each, (self.answers.into(), self.answers.into()));
            self.usually = self.lately;
            self.moved_at = now;
            return true;
        }
        self.lately = toward(self.lately, each, (SPEED_LATELY, SPEED_LATELY));
        if now.saturating_since(self.moved_at) >= SPEED_USUALLY_STEP {
            self.usually = toward(self.usually, self.lately, SPEED_USUALLY);
            self.moved_at = now;
        }
        true
    }

    /// Whether answers come well below the usual speed.
    pub(crate) fn strained(&self) -> bool {
        !self.within(SPEED_STRAINED_PERMILLE)
    }

    /// Whether they come at it.
    pub(crate) fn steady(&self) -> bool {
        self.within(SPEED_STEADY_PERMILLE)
    }

    fn within(&self, permille: u64) -> bool {
        u128::from(self.lately) * 1_000 <= u128::from(self.usually) * u128::from(permille)
    }

    /// Microseconds per output token of late.
    pub(crate) fn per_token(&self) -> Option<u64> {
        (self.answers > 0).then_some(self.lately / 1_000)
    }

    pub(crate) fn save(&self) -> Option<SavedSpeed> {
        let Self { lately, usually, answers, .. } = *self;
        (answers > 0).then_some(SavedSpeed { lately_ns: lately, usually_ns: usually, answers })
    }

    pub(crate) fn restored(state: Option<SavedSpeed>, now: Timestamp) -> Self {
        let Some(SavedSpeed { lately_ns, usually_ns, answers }) = state else { return Self::new() };
        Self { lately: lately_ns, usually: usually_ns, answers: answers.min(SPEED_LEARNS), moved_at: now }
    }
}
