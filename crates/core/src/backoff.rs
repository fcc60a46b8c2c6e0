//! How long to wait before trying again.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::random::{Rng, scale};
use crate::time::micros;

/// The shape of a growing delay.
///
/// With `base` and `cap` of the [`Backoff`], `n` the number of retries already made (0 for the first), `e = base * 2^n`
/// and `U(a, b)` a whole number of microseconds drawn uniformly from `a..=b`:
///
/// | curve | delay | source |
/// |---|---|---|
/// | `constant` | `min(base, cap)` | |
/// | `exponential` | `min(e, cap)` | |
/// | `full` | `U(0, min(e, cap))` | AWS Architecture Blog, "Exponential backoff and jitter" |
/// | `equal` | `c/2 + U(0, c/2)` with `c = min(e, cap)` | the same |
/// | `decorrelated` | `min(cap, U(base, max(base, 3 * previous)))` | the same |
/// | `additive` | `min(e + U(0, 1 s), cap)` | the loop that many articles print |
///
/// The cap holds after the jitter in every one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// The same delay each time, without jitter.
    Constant,
    /// Doubling, without jitter.
    Exponential,
    /// Anything from nothing to the doubled delay.
    Full,
    /// Half of the doubled delay for certain, the other half drawn.
    Equal,
    /// Grown from the delay before it instead of the number of retries.
    Decorrelated,
    /// Doubling, with up to one second added.
    Additive,
}

/// What a service's own word on when to come back does to the computed delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HintRule {
    /// Wait at least as long as the service says. The cap does not shorten what the service asked for.
    AtLeast,
    /// Wait as long as the service says, but no less than the computed delay and at most five seconds more, as the AWS
    /// SDKs do since 2026.
    WithinFiveSeconds,
}

const SECOND: u64 = 1_000_000;

/// A backoff curve with its base and cap: a pure function of the number of retries, the last delay, the service's hint
/// and one random draw.
///
/// ```
/// use core::time::Duration;
/// use sluicegate::{Backoff, Curve};
///
/// let backoff = Backoff::new(Curve::Exponential, Duration::from_secs(1), Duration::from_secs(20));
/// let mut rng = sluicegate::random::Draws::new(&[]);
/// assert_eq!(backoff.delay(0, Duration::ZERO, None, &mut rng), Duration::from_secs(1));
/// assert_eq!(backoff.delay(3, Duration::ZERO, None, &mut rng), Duration::from_secs(8));
/// assert_eq!(backoff.delay(9, Duration::ZERO, None, &mut rng), Duration::from_secs(20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Backoff {
    curve: Curve,
    base: Duration,
    cap: Duration,
    hint: HintRule,
}

impl Backoff {
    /// A curve from `base` up to `cap`; a service's hint is a lower bound.
    #[must_use]
    pub const fn new(curve: Curve, base: Duration, cap: Duration) -> Self {
        Self { curve, base, cap, hint: HintRule::AtLeast }
    }

    /// The AWS SDKs' standard mode of 2026 for refusals by quota: full jitter from 1 s, at most 20 s.
    #[must_use]
    pub const fn aws_standard_throttled() -> Self {
        Self::aws(Duration::from_secs(1))
    }

    /// The AWS SDKs' standard mode of 2026 for everything else: full jitter from 50 ms, at most 20 s.
    #[must_use]
    pub const fn aws_standard_transient() -> Self {
        Self::aws(Duration::from_millis(50))
    }

    const fn aws(base: Duration) -> Self {
        Self { curve: Curve::Full, base, cap: Duration::from_secs(20), hint: HintRule::WithinFiveSeconds }
    }

    /// botocore's legacy mode: full jitter from 1 s, doubling without a stated cap (its five attempts end at 8 s).
    #[must_use]
    pub const fn aws_legacy() -> Self {
        Self::new(Curve::Full, Duration::from_secs(1), Duration::from_secs(3600))
    }

    /// The loop that articles print, `min(2^n + U(0, 1), 30)` seconds.
    #[must_use]
    pub const fn seed_article() -> Self {
        Self::new(Curve::Additive, Duration::from_secs(1), Duration::from_secs(30))
    }

    /// The delay before retry number `retry` (0 for the first), after a delay of `previous` (zero before the first).
    ///
    /// Takes exactly one draw from `rng` for a curve with jitter and none otherwise. Exact to the microsecond.
    pub fn delay(&self, retry: u32, previous: Duration, hint: Option<Duration>, rng: &mut dyn Rng) -> Duration {
        let base = micros(self.base);
        let cap = micros(self.cap);
        let grown = base.saturating_mul(1_u64.checked_shl(retry).unwrap_or(u64::MAX));
        let ceiling = grown.min(cap);
        let own = match self.curve {
            Curve::Constant => base.min(cap),
            Curve::Exponential => ceiling,
            Curve::Full => scale(rng.next_u64(), ceiling),
            Curve::Equal => {
                let half = ceiling / 2;
                (ceiling - half) + scale(rng.next_u64(), half)
            }
            Curve::Decorrelated => {
                let high = micros(previous).saturating_mul(3).max(base);
                (base + scale(rng.next_u64(), high - base)).min(cap)
            }
            Curve::Additive => grown.saturating_add(scale(rng.next_u64(), SECOND)).min(cap),
        };
        let micros = match (hint.map(micros), self.hint) {
            (None, _) => own,
            (Some(hint), HintRule::AtLeast) => hint.max(own),
            (Some(hint), HintRule::WithinFiveSeconds) => hint.clamp(own, own.saturating_add(5 * SECOND)),
        };
        Duration::from_micros(micros)
    }
}
