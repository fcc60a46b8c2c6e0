//! Takes a failing endpoint out and lets it prove itself before it comes back.

mod window;

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::window::{Tally, Window};
use crate::kept::{Kept, Unfit, record};
use crate::random::{Rng, scale};
use crate::time::{Timestamp, micros};

/// Over what the failure rate is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerWindow {
    /// The last so many attempts.
    Attempts(u32),
    /// The attempts of the last so many seconds, counted in whole seconds.
    Seconds(u32),
}

/// What a [`Breaker`] does with what it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerMode {
    /// Opens, probes and closes.
    Enabled,
    /// Measures nothing and lets everything pass.
    Disabled,
    /// Measures and lets everything pass.
    MetricsOnly,
    /// Lets nothing pass, for an operator who wants an endpoint out.
    ForcedOpen,
}

/// The parameters of a [`Breaker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BreakerConfig {
    /// What it does with what it measures.
    pub mode: BreakerMode,
    /// Opens when at least this share of the attempts failed, in per cent (1 to 100).
    pub failure_rate_percent: u32,
    /// Opens when at least this share of the attempts took [`slow_after`](Self::slow_after) or longer, in per cent.
    pub slow_rate_percent: u32,
    /// What counts as slow; `None` for nothing.
    pub slow_after: Option<Duration>,
    /// Over what the rates are measured.
    pub window: BreakerWindow,
    /// Fewer attempts than this in the window decide nothing.
    pub minimum_attempts: u32,
    /// How long it stays open the first time; doubles with each opening that follows a failed probe.
    pub open_for: Duration,
    /// The longest it stays open, before jitter.
    pub open_at_most: Duration,
    /// How much longer it may stay open, drawn uniformly up to this many thousandths, so that many processes do not
    /// probe at one moment.
    pub open_jitter_permille: u32,
    /// How many probes a half-open breaker lets through; their rates decide.
    pub probes: u32,
}

impl BreakerConfig {
    /// Half of at least 20 attempts in 20 seconds failed: shut out for 2 s, doubling up to 60 s, with a tenth of jitter;
    /// three probes.
    pub const DEFAULT: Self = Self {
        mode: BreakerMode::Enabled,
        failure_rate_percent: 50,
        slow_rate_percent: 100,
        slow_after: None,
        window: BreakerWindow::Seconds(20),
        minimum_attempts: 20,
        open_for: Duration::from_secs(2),
        open_at_most: Duration::from_secs(60),
        open_jitter_permille: 100,
        probes: 3,
    };
}

/// The state of a [`Breaker`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Attempts pass and are counted.
    #[default]
    Closed,
    /// Nothing passes.
    Open,
    /// A bounded number of probes passes; the breaker closes only when they were good.
    HalfOpen,
}

/// The answer of a [`Breaker`] to an attempt that wants to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerVerdict {
    /// Pass.
    Pass,
    /// Pass as one of the probes: its end decides.
    Probe,
    /// Shut until this time.
    OpenUntil(Timestamp),
    /// All probes are out: ask again when one has ended.
    ProbesOut,
}

/// Attempts that ended at about the same time, as a [`SavedBreaker`] holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SavedCount {
    /// How long ago, in whole seconds; 0 where the window counts attempts.
    pub age_s: u32,
    /// How many.
    pub attempts: u32,
    /// Of those, failed.
    pub failed: u32,
    /// Of those, slow.
    pub slow: u32,
}

impl Kept for BreakerState {
    fn store(&self) -> Value {
        let name = match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        };
        Value::from(name)
    }

    fn load(&mut self, value: &Value) -> Result<(), Unfit> {
        *self = match value.as_str() {
            Some("closed") => Self::Closed,
            Some("open") => Self::Open,
            Some("half_open") => Self::HalfOpen,
            _ => return Err(Unfit::default()),
        };
        Ok(())
    }

    fn is_blank(&self) -> bool {
        *self == Self::default()
    }
}

record!(SavedCount, closed: false, always: [age_s, attempts, failed, slow], sparse: []);

/// What a [`Breaker`] remembers beyond the life of its process; the probes that were out died with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SavedBreaker {
    /// Closed, open or half-open.
    pub state: BreakerState,
    /// How much longer it was to stay open, in microseconds.
    pub open_left_us: u64,
    /// How often it opened since it was last closed.
    pub openings: u32,
    /// What the window of a closed breaker held, oldest first.
    pub counts: Vec<SavedCount>,
}

record!(SavedBreaker, closed: false, always: [state, open_left_us, openings, counts], sparse: []);

/// A circuit breaker without a clock.
///
/// ```
/// use core::time::Duration;
/// use sluicegate::{Breaker, BreakerConfig, BreakerState, BreakerVerdict, Timestamp};
///
/// let now = Timestamp::ZERO;
/// let mut breaker = Breaker::new(BreakerConfig { minimum_attempts: 2, ..BreakerConfig::DEFAULT });
/// let mut rng = sluicegate::random::Draws::new(&[]); // draws 0: no jitter
/// for _ in 0..2 {
///     assert_eq!(breaker.acquire(now), BreakerVerdict::Pass);
///     breaker.record(now, true, Duration::from_millis(5), &mut rng);
/// }
/// let reopens = now.saturating_add(Duration::from_secs(2));
/// assert_eq!(breaker.acquire(now), BreakerVerdict::OpenUntil(reopens));
/// assert_eq!(breaker.acquire(reopens), BreakerVerdict::Probe);
/// assert_eq!(breaker.state(), BreakerState::HalfOpen);
/// ```
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: BreakerState,
    /// What is counted while it is closed; of the probes, the sum alone.
    window: Window,
    /// What was counted last are probes.
    probed: bool,
    open_until: Timestamp,
    openings: u32,
    probes_out: u32,
    probes_started: u32,
}

impl Breaker {
    /// A closed breaker that has seen nothing.
    #[must_use]
    pub const fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: BreakerState::Closed,
            window: Window::new(config.window),
            probed: false,
            open_until: Timestamp::ZERO,
            openings: 0,
            probes_out: 0,
            probes_started: 0,
        }
    }

    /// Changes the parameters; state and counts stay. Where probing goes on by other rules it begins anew: the probes so
    /// far may be all that the new rules allow, and no end of theirs may be left to wait for.
    pub(crate) fn reconfigure(&mut self, now: Timestamp, config: BreakerConfig) {
        let other_rules = (config.mode, config.probes) != (self.config.mode, self.config.probes);
        if config.window != self.config.window {
            let total = self.window.total;
            self.window = Window::restored(config.window, &self.save(now).counts, now, Duration::ZERO);
            if self.state != BreakerState::Closed {
                self.window.total = total;
            }
        }
        self.config = config;
        if other_rules && self.state == BreakerState::HalfOpen {
            self.half_open();
        }
    }

    /// What is worth remembering at `now`.
    #[must_use]
    pub fn save(&self, now: Timestamp) -> SavedBreaker {
        let closed = self.state == BreakerState::Closed;
        SavedBreaker {
            state: self.state,
            open_left_us: match self.state {
                BreakerState::Open => micros(self.open_until.saturating_since(now)),
                BreakerState::Closed | BreakerState::HalfOpen => 0,
            },
            openings: self.openings,
            counts: if closed { self.window.save(now) } else { Vec::new() },
        }
    }

    /// Goes on at `now` from what was saved `asleep` ago: an open breaker stays open for what is left, a half-open one
    /// has all its probes unused. No state is invalid: none stays open longer than `config` allows, and counts that
    /// contradict each other are cut.
    #[must_use]
    pub fn restored(config: BreakerConfig, saved: &SavedBreaker, now: Timestamp, asleep: Duration) -> Self {
        let mut breaker = Self::new(config);
        match saved.state {
            BreakerState::Closed => {
                breaker.window = Window::restored(config.window, &saved.counts, now, asleep);
            }
            BreakerState::Open => {
                let left = Duration::from_micros(saved.open_left_us.min(breaker.open_at_most_us()));
                breaker.open_for(now, left.saturating_sub(asleep));
            }
            BreakerState::HalfOpen => breaker.half_open(),
        }
        breaker.openings = saved.openings;
        breaker
    }

    /// Whether an attempt could pass, without letting it.
    #[must_use]
    #[inline]
    pub fn check(&self, now: Timestamp) -> BreakerVerdict {
        if self.lets_all_pass() { BreakerVerdict::Pass } else { self.check_otherwise(now) }
    }

    /// Its usual condition: closed, and not told to do anything else.
    #[inline]
    pub(crate) fn lets_all_pass(&self) -> bool {
        self.state == BreakerState::Closed && self.config.mode == BreakerMode::Enabled
    }

    #[inline(never)]
    fn check_otherwise(&self, now: Timestamp) -> BreakerVerdict {
        match self.config.mode {
            BreakerMode::Enabled => {}
            BreakerMode::Disabled | BreakerMode::MetricsOnly => return BreakerVerdict::Pass,
            BreakerMode::ForcedOpen => return BreakerVerdict::OpenUntil(Timestamp::MAX),
        }
        match self.state {
            BreakerState::Closed => BreakerVerdict::Pass,
            BreakerState::Open if now < self.open_until => BreakerVerdict::OpenUntil(self.open_until),
            BreakerState::Open => BreakerVerdict::Probe,
            BreakerState::HalfOpen if self.probes_started < self.config.probes => BreakerVerdict::Probe,
            BreakerState::HalfOpen => BreakerVerdict::ProbesOut,
        }
    }

    /// Asks to pass. After [`BreakerVerdict::Pass`] or [`BreakerVerdict::Probe`] the attempt must end in
    /// [`record`](Self::record) or [`release`](Self::release).
    #[inline]
    pub fn acquire(&mut self, now: Timestamp) -> BreakerVerdict {
        if self.lets_all_pass() { BreakerVerdict::Pass } else { self.acquire_otherwise(now) }
    }

    #[inline(never)]
    fn acquire_otherwise(&mut self, now: Timestamp) -> BreakerVerdict {
        let verdict = self.check_otherwise(now);
        if verdict == BreakerVerdict::Probe {
            if self.state == BreakerState::Open {
                self.half_open();
            }
            self.probes_out += 1;
            self.probes_started += 1;
        }
        verdict
    }

    /// An attempt that was let through ended without saying anything about the endpoint: a probe's place is free again.
    pub fn release(&mut self) {
        if self.state == BreakerState::HalfOpen && self.probes_out > 0 {
            self.probes_out -= 1;
            self.probes_started -= 1;
        }
    }

    /// An attempt ended after `took`. Returns the new state if it changed.
    ///
    /// What ends while the breaker is open was let through before it opened and decides nothing. Takes one draw where
    /// the breaker opens.
    #[inline]
    pub fn record(&mut self, now: Timestamp, failed: bool, took: Duration, rng: &mut dyn Rng) -> Option<BreakerState> {
        let slow = self.config.slow_after.is_some_and(|limit| took >= limit);
        if !self.lets_all_pass() {
            return self.record_otherwise(now, failed, slow, rng);
        }
        self.window.count(now, failed, slow);
        if self.window.total.attempts < self.config.minimum_attempts || !self.is_bad() {
            return None;
        }
        self.openings = 0;
        self.open(now, rng);
        Some(BreakerState::Open)
    }

    #[cold]
    #[inline(never)]
    fn record_otherwise(
        &mut self,
        now: Timestamp,
        failed: bool,
        slow: bool,
        rng: &mut dyn Rng,
    ) -> Option<BreakerState> {
        match (self.config.mode, self.state) {
            (BreakerMode::Enabled, BreakerState::HalfOpen) => {}
            (BreakerMode::MetricsOnly, _) => {
                self.window.count(now, failed, slow);
                return None;
            }
            _ => return None,
        }
        self.window.total.count(failed, slow);
        self.probes_out = self.probes_out.saturating_sub(1);
        if self.window.total.attempts < self.config.probes {
            return None;
        }
        if self.is_bad() {
            self.open(now, rng);
        } else {
            self.close();
        }
        Some(self.state)
    }

    /// The state, as of the last call.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        self.state
    }

    /// Share of failures in per cent, or `None` while fewer than the minimum were counted.
    #[must_use]
    pub fn failure_rate_percent(&self) -> Option<u32> {
        self.rate(self.window.total.failed)
    }

    /// Share of slow attempts in per cent, or `None` while fewer than the minimum were counted.
    #[must_use]
    pub fn slow_rate_percent(&self) -> Option<u32> {
        self.rate(self.window.total.slow)
    }

    /// Attempts in the window.
    #[must_use]
    pub const fn counted(&self) -> u32 {
        self.window.total.attempts
    }

    /// Opens it now, for `open_for` doubled once for each opening before that led to no closing.
    /// Takes one draw for the jitter.
    #[cold]
    #[inline(never)]
    pub fn open(&mut self, now: Timestamp, rng: &mut dyn Rng) {
        let factor = 1_u32.checked_shl(self.openings).unwrap_or(u32::MAX);
        let wait = self.config.open_for.saturating_mul(factor).min(self.config.open_at_most);
        let jitter = scale(rng.next_u64(), self.jitter_us(wait));
        self.open_for(now, wait.saturating_add(Duration::from_micros(jitter)));
    }

    /// The longest jitter of a `wait`.
    fn jitter_us(&self, wait: Duration) -> u64 {
        micros(wait).saturating_mul(u64::from(self.config.open_jitter_permille)) / 1_000
    }

    fn open_at_most_us(&self) -> u64 {
        let most = self.config.open_at_most;
        micros(most).saturating_add(self.jitter_us(most))
    }

    /// Opens it now for exactly `wait`.
    pub fn open_for(&mut self, now: Timestamp, wait: Duration) {
        self.state = BreakerState::Open;
        self.openings = self.openings.saturating_add(1);
        self.open_until = now.saturating_add(wait);
        self.probes_out = 0;
        self.probes_started = 0;
    }

    /// Makes it half-open now, with all its probes unused.
    pub fn half_open(&mut self) {
        self.state = BreakerState::HalfOpen;
        self.probed = true;
        self.probes_out = 0;
        self.probes_started = 0;
        self.clear();
    }

    /// Closes it now and forgets what it counted.
    pub fn close(&mut self) {
        self.state = BreakerState::Closed;
        self.probed = false;
        self.openings = 0;
        self.clear();
    }

    fn clear(&mut self) {
        self.window.clear();
        self.probes_out = 0;
        self.probes_started = 0;
    }

    #[inline]
    fn is_bad(&self) -> bool {
        let Tally { attempts, failed, slow } = self.window.total;
        reaches(failed, attempts, self.config.failure_rate_percent)
            || (self.config.slow_after.is_some() && reaches(slow, attempts, self.config.slow_rate_percent))
    }

    fn rate(&self, part: u32) -> Option<u32> {
        let minimum = if self.probed { self.config.probes } else { self.config.minimum_attempts };
        let attempts = self.window.total.attempts;
        (attempts >= minimum.max(1)).then(|| u32::try_from(u64::from(part) * 100 / u64::from(attempts)).unwrap_or(100))
    }
}

const fn reaches(part: u32, whole: u32, percent: u32) -> bool {
    part as u64 * 100 >= whole as u64 * percent as u64
}
