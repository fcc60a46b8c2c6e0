//! What a limiter learned and counted, as data that outlives its process.

use alloc::vec::Vec;
use core::time::Duration;

use super::left::Left;
use super::minute::MinuteQuota;
use super::phase::SavedPhase;
use super::{Limiter, LimiterConfig};
use crate::kept::record;
use crate::time::{Timestamp, micros};

/// No process sleeps longer: about 70,000 years.
const LONGEST_US: u64 = 1 << 61;
/// Ten times what a policy allows.
const LONGEST_MARGIN_US: u64 = 100_000_000;

/// All that a [`Limiter`] has learned and counted, to be kept and given to [`Limiter::restored`] later, elsewhere.
///
/// It holds no time of its own: everything is told as microseconds before or after the moment it was taken. What was
/// reserved and not yet settled stays counted in full; who made those reservations is not kept. A field that says
/// nothing is left out.
///
/// ```
/// use core::time::Duration;
/// use sluicegate::{Admission, Limiter, LimiterConfig, SavedLimiter, Quota, Timestamp};
///
/// let config = LimiterConfig { requests_per_minute: Some(1), ..LimiterConfig::unlimited() };
/// let mut limiter = Limiter::new(config, Timestamp::ZERO);
/// assert!(matches!(limiter.acquire(Timestamp::ZERO, 800), Admission::Granted(_)));
/// let json = serde_json::to_string(&limiter.save(Timestamp::ZERO)).unwrap();
///
/// // Ten seconds later, in a process whose time begins elsewhere:
/// let state: SavedLimiter = serde_json::from_str(&json).unwrap();
/// let now = Timestamp::from_micros(1_000);
/// let mut limiter = Limiter::restored(config, &state, now, Duration::from_secs(10));
/// let Admission::NotBefore(at, Quota::Requests) = limiter.acquire(now, 800) else { panic!() };
/// assert!(at >= now.saturating_add(Duration::from_secs(50)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedLimiter {
    /// How much longer than a minute the windows are.
    pub(super) margin_us: u64,
    pub(super) requests: SavedMinute,
    pub(super) tokens: SavedMinute,
    /// See [`SavedMinute::taken`].
    pub(super) day_taken: Vec<(u64, u64)>,
    /// For how long yet the day's quota is closed.
    pub(super) day_closed_us: u64,
    /// How long ago the service refused for the day.
    pub(super) day_refused_us: Option<u64>,
}

record!(SavedLimiter, closed: true, always: [], sparse: [margin_us, requests, tokens, day_taken, day_closed_us, day_refused_us]);

/// One minute quota's part. Times are microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SavedMinute {
    pub(super) declared: Option<u64>,
    pub(super) limit: Option<u64>,
    /// Levels of the two buckets: whole tokens, and the fraction of one in parts of the bucket's period.
    pub(super) pace: Option<(i64, u64)>,
    pub(super) peak: Option<(i64, u64)>,
    /// What was taken and still counts: for how long yet, and how much.
    pub(super) taken: Vec<(u64, u64)>,
    /// For how long yet a refusal keeps everything back.
    pub(super) paused_us: u64,
    pub(super) streak: u32,
    pub(super) strain: u32,
    /// What others left of the quota at refusals.
    pub(super) left: Left,
    /// How long ago the last refusal was.
    pub(super) refused_us: Option<u64>,
    /// In how long the limit is raised next.
    pub(super) raise_us: u64,
    pub(super) rest_us: u64,
    pub(super) credit_permille: u64,
    /// In how long the credit doubles next.
    pub(super) credit_us: u64,
    /// How much longer than at first the stretch is that doubles it.
    pub(super) credit_stretch_us: u64,
    /// When the service's minutes begin, as far as that shows.
    pub(super) phase: SavedPhase,
}

record!(SavedMinute, closed: true, always: [], sparse: [declared, limit, pace, peak, taken, paused_us, streak, strain, left, refused_us, raise_us, rest_us, credit_permille, credit_us, credit_stretch_us, phase]);

impl Limiter {
    /// Everything learned and counted up to `now`, for [`Limiter::restored`].
    #[must_use]
    pub fn save(&mut self, now: Timestamp) -> SavedLimiter {
        self.charge(now);
        let (day_taken, day_closed_us, day_refused_us) = self.day.save(now);
        SavedLimiter {
            margin_us: self.requests.margin(),
            requests: self.requests.save(now),
            tokens: self.tokens.save(now),
            day_taken,
            day_closed_us,
            day_refused_us,
        }
    }

    /// The limiter that was saved `asleep` ago, under limits that may have changed since: as if it had seen nothing of
    /// the world in between and were given `config` now. Nothing is in flight.
    ///
    /// Where it is not known how long ago that was, zero is always safe: it only waits longer than it must. Any state
    /// is, even one that nobody saved: numbers out of bounds are brought within them, and what is stated as taken counts
    /// as if it had been taken.
    #[must_use]
    pub fn restored(config: LimiterConfig, state: &SavedLimiter, now: Timestamp, asleep: Duration) -> Self {
        let asleep = micros(asleep).min(LONGEST_US);
        let saved_with =
            LimiterConfig { window_margin: Duration::from_micros(state.margin_us.min(LONGEST_MARGIN_US)), ..config };
        let mut limiter = Self::new(config, now);
        limiter.requests = MinuteQuota::restored(&saved_with, &state.requests, now, asleep);
        limiter.tokens = MinuteQuota::restored(&saved_with, &state.tokens, now, asleep);
        limiter.day.restore(now, asleep, (&state.day_taken, state.day_closed_us, state.day_refused_us));
        limiter.reconfigure(now, config);
        limiter
    }
}
