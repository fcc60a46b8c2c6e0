//! Takes a failing endpoint out and lets it prove itself before it comes back.

use alloc::collections::VecDeque;
use core::time::Duration;

use serde::{Deserialize, Serialize};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Attempts pass and are counted.
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

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    attempts: u32,
    failed: u32,
    slow: u32,
}

impl Tally {
    fn count(&mut self, failed: bool, slow: bool) {
        self.attempts += 1;
        self.failed += u32::from(failed);
        self.slow += u32::from(slow);
    }

    fn remove(&mut self, other: Self) {
        self.attempts -= other.attempts;
        self.failed -= other.failed;
        self.slow -= other.slow;
    }

    const fn reaches(part: u32, whole: u32, percent: u32) -> bool {
        part as u64 * 100 >= whole as u64 * percent as u64
    }
}

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
    /// What the window holds, oldest first: per attempt, or per second with that second's number.
    entries: VecDeque<(u64, Tally)>,
    total: Tally,
    /// Fewer than this in `total` say nothing: the probes once it is half-open, and after they opened it again.
    minimum: u32,
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
            entries: VecDeque::new(),
            total: Tally { attempts: 0, failed: 0, slow: 0 },
            minimum: config.minimum_attempts,
            open_until: Timestamp::ZERO,
            openings: 0,
            probes_out: 0,
            probes_started: 0,
        }
    }

    /// Changes the parameters; state and counts stay.
    pub(crate) fn reconfigure(&mut self, config: BreakerConfig) {
        self.config = config;
    }

    /// Whether an attempt could pass, without letting it.
    #[must_use]
    pub fn check(&self, now: Timestamp) -> BreakerVerdict {
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
    pub fn acquire(&mut self, now: Timestamp) -> BreakerVerdict {
        let verdict = self.check(now);
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
    pub fn record(&mut self, now: Timestamp, failed: bool, took: Duration, rng: &mut dyn Rng) -> Option<BreakerState> {
        let slow = self.config.slow_after.is_some_and(|limit| took >= limit);
        match self.config.mode {
            BreakerMode::Enabled => {}
            BreakerMode::MetricsOnly => {
                self.count(now, failed, slow);
                return None;
            }
            BreakerMode::Disabled | BreakerMode::ForcedOpen => return None,
        }
        match self.state {
            BreakerState::Open => None,
            BreakerState::Closed => {
                self.count(now, failed, slow);
                if self.total.attempts >= self.config.minimum_attempts && self.is_bad() {
                    self.openings = 0;
                    self.open(now, rng);
                    return Some(self.state);
                }
                None
            }
            BreakerState::HalfOpen => {
                self.total.count(failed, slow);
                self.probes_out = self.probes_out.saturating_sub(1);
                if self.total.attempts < self.config.probes {
                    return None;
                }
                if self.is_bad() {
                    self.open(now, rng);
                } else {
                    self.close();
                }
                Some(self.state)
            }
        }
    }

    /// The state, as of the last call.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        self.state
    }

    /// Share of failures in per cent, or `None` while fewer than the minimum were counted.
    #[must_use]
    pub fn failure_rate_percent(&self) -> Option<u32> {
        self.rate(self.total.failed)
    }

    /// Share of slow attempts in per cent, or `None` while fewer than the minimum were counted.
    #[must_use]
    pub fn slow_rate_percent(&self) -> Option<u32> {
        self.rate(self.total.slow)
    }

    /// Attempts in the window.
    #[must_use]
    pub const fn counted(&self) -> u32 {
        self.total.attempts
    }

    /// Opens it now, for `open_for` doubled once for each opening before that led to no closing.
    /// Takes one draw for the jitter.
    pub fn open(&mut self, now: Timestamp, rng: &mut dyn Rng) {
        let factor = 1_u32.checked_shl(self.openings).unwrap_or(u32::MAX);
        let wait = self.config.open_for.saturating_mul(factor).min(self.config.open_at_most);
        let jitter = micros(wait).saturating_mul(u64::from(self.config.open_jitter_permille)) / 1_000;
        self.open_for(now, wait.saturating_add(Duration::from_micros(scale(rng.next_u64(), jitter))));
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
        self.minimum = self.config.probes;
        self.clear();
    }

    /// Closes it now and forgets what it counted.
    pub fn close(&mut self) {
        self.state = BreakerState::Closed;
        self.minimum = self.config.minimum_attempts;
        self.openings = 0;
        self.clear();
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.total = Tally::default();
        self.probes_out = 0;
        self.probes_started = 0;
    }

    fn is_bad(&self) -> bool {
        let Tally { attempts, failed, slow } = self.total;
        Tally::reaches(failed, attempts, self.config.failure_rate_percent)
            || (self.config.slow_after.is_some() && Tally::reaches(slow, attempts, self.config.slow_rate_percent))
    }

    fn rate(&self, part: u32) -> Option<u32> {
        (self.total.attempts >= self.minimum.max(1))
            .then(|| u32::try_from(u64::from(part) * 100 / u64::from(self.total.attempts)).unwrap_or(100))
    }

    fn count(&mut self, now: Timestamp, failed: bool, slow: bool) {
        let mut one = Tally::default();
        one.count(failed, slow);
        match self.config.window {
            BreakerWindow::Attempts(size) => {
                while self.entries.len() >= size.max(1) as usize {
                    self.drop_oldest();
                }
                self.entries.push_back((0, one));
            }
            BreakerWindow::Seconds(seconds) => {
                let second = now.as_micros() / 1_000_000;
                while self.entries.front().is_some_and(|(at, _)| at + u64::from(seconds) <= second) {
                    self.drop_oldest();
                }
                match self.entries.back_mut() {
                    Some((at, tally)) if *at == second => tally.count(failed, slow),
                    _ => self.entries.push_back((second, one)),
                }
            }
        }
        self.total.count(failed, slow);
    }

    fn drop_oldest(&mut self) {
        if let Some((_, tally)) = self.entries.pop_front() {
            self.total.remove(tally);
        }
    }
}
