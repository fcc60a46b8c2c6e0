//! Admission under one quota pool.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bucket::Bucket;
use crate::defaults::{
    CREDIT_STRETCH, DAY_PROBE, LIMIT_REST, PEAK_FACTOR, PEAK_PERMILLE, RECOVERY_PERMILLE_PER_SECOND,
    REFUSAL_KEEPS_PERMILLE, REFUSAL_PAUSE, REFUSAL_STRAIN, STRAIN_LIMIT, TRUST_FLOOR_PERMILLE,
};
use crate::outcome::{Quota, Spent};
use crate::time::{Timestamp, micros};
use crate::window::Window;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE_SLOT: Duration = Duration::from_millis(100);
const DAY_SLOT: Duration = Duration::from_secs(15 * 60);
/// A learned limit that has grown to this holds nothing back any more.
const UNLIMITED: u64 = u32::MAX as u64;

/// The limits of one quota pool; each is optional, and an absent one is learned from refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LimiterConfig {
    /// Requests in any minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens in any minute.
    pub tokens_per_minute: Option<u64>,
    /// Tokens in any 24 hours.
    pub tokens_per_day: Option<u64>,
    /// Attempts under way at once.
    pub concurrency: Option<u64>,
    /// The most that may be made up for after a quiet time, in thousandths of a minute's quota. It starts at 20 and doubles
    /// with each minute that brings no refusal.
    pub burst_permille: u64,
    /// How much longer than a minute the window is that must hold the quota: what network delay and the service's
    /// clock may shift. Costs `margin / 60 s` of the quota.
    pub window_margin: Duration,
}

impl LimiterConfig {
    /// Six seconds' worth of a minute's quota.
    pub const DEFAULT_BURST_PERMILLE: u64 = 100;
    /// 0.6 s, which costs one per cent of the quota.
    pub const DEFAULT_WINDOW_MARGIN: Duration = Duration::from_millis(600);

    /// No declared limit.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self {
            requests_per_minute: None,
            tokens_per_minute: None,
            tokens_per_day: None,
            concurrency: None,
            burst_permille: Self::DEFAULT_BURST_PERMILLE,
            window_margin: Self::DEFAULT_WINDOW_MARGIN,
        }
    }
}

/// The answer to a request for admission.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// The attempt may go out; settle the permit exactly once.
    Granted(Permit),
    /// Not before this time, because of this quota. Asking again then succeeds if nothing else was admitted.
    NotBefore(Timestamp, Quota),
    /// All concurrent attempts are out: ask again after the next settlement.
    Busy,
    /// The attempt alone is larger than this limit and will never fit.
    Never(u64),
}

/// A reservation in one pool. Not `Copy`: hand it back to [`Limiter::settle`] exactly once.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    pub(crate) at: Timestamp,
    pub(crate) tokens: u64,
}

impl Permit {
    /// When it was granted.
    #[must_use]
    pub const fn granted_at(&self) -> Timestamp {
        self.at
    }

    /// The tokens it reserves.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }
}

/// One minute quota: its declared and learned limit, its pace and its window.
#[derive(Clone, Debug)]
struct MinuteQuota {
    declared: Option<u64>,
    /// The limit in force: declared, lowered by refusals, or learned where nothing is declared.
    limit: Option<u64>,
    /// What a service that refills continuously has for us: the quota spread over the window, and the credit.
    pace: Bucket,
    /// Spreads a burst: a multiple of the quota's rate, with next to no burst of its own.
    peak: Bucket,
    window: Window,
    paused_until: Timestamp,
    /// Refusals since the last admitted attempt was answered.
    streak: u32,
    /// Grows with each refusal and shrinks with each answer: what tells a wrong limit from a stray refusal.
    strain: u32,
    refused_at: Timestamp,
    /// Up to when a lowered limit has been raised again; in the future while it is left as it is.
    raised_at: Timestamp,
    /// How long a lowered limit is left as it is before it is tried upwards.
    rest: Duration,
    /// How much may be made up for after a quiet time, in thousandths of the quota. How much the service saves up for us
    /// is not known, so it starts small, doubles with each stretch without refusals, and starts anew after one.
    credit_permille: u64,
    burst_permille: u64,
    credit_since: Timestamp,
    /// The stretch without refusals that doubles the credit; each refusal doubles the stretch.
    credit_stretch: Duration,
}

impl MinuteQuota {
    fn new(declared: Option<u64>, config: &LimiterConfig, now: Timestamp) -> Self {
        let limit = declared.unwrap_or(UNLIMITED);
        let credit_permille = PEAK_PERMILLE.min(config.burst_permille);
        let span = MINUTE + config.window_margin + MINUTE_SLOT;
        Self {
            declared,
            limit: declared,
            pace: Bucket::new(limit, span, burst_of(limit, credit_permille), now),
            peak: Bucket::new(limit.saturating_mul(PEAK_FACTOR), MINUTE, burst_of(limit, PEAK_PERMILLE), now),
            window: Window::new(MINUTE + config.window_margin, MINUTE_SLOT, now),
            paused_until: Timestamp::ZERO,
            streak: 0,
            strain: 0,
            refused_at: Timestamp::ZERO,
            raised_at: now,
            rest: LIMIT_REST.0,
            credit_permille,
            burst_permille: config.burst_permille,
            credit_since: now,
            credit_stretch: CREDIT_STRETCH.0,
        }
    }

    /// Other limits from `now` on; what was taken stays taken. What was learned holds below a declared limit.
    fn reconfigure(&mut self, now: Timestamp, declared: Option<u64>, config: &LimiterConfig) {
        self.recover(now);
        let learned = self.limit.filter(|_| self.limit != self.declared);
        self.declared = declared;
        self.burst_permille = config.burst_permille;
        self.credit_permille = self.credit_permille.min(config.burst_permille);
        let span = MINUTE + config.window_margin;
        if !self.window.has_span(span) {
            self.window = self.window.with_span(span, now);
            self.pace = self.pace.with_period(span + MINUTE_SLOT, now);
        }
        self.limit = match (declared, learned) {
            (Some(declared), Some(learned)) => Some(declared.min(learned)),
            (declared, learned) => declared.or(learned),
        };
        if let Some(limit) = self.limit {
            self.set_limit(now, limit);
        }
    }

    /// The earliest time at which `amount` may be taken.
    fn earliest(&mut self, now: Timestamp, amount: u64) -> Timestamp {
        self.recover(now);
        let paused = self.paused_until.max(now);
        let Some(limit) = self.limit else { return paused };
        // An attempt larger than a lowered limit still goes out once nothing else counts.
        let room = limit.saturating_sub(amount.min(limit));
        // A call larger than what may go out at one moment goes when that much is there, and leaves a debt.
        let ask = amount.min(burst_of(limit, PEAK_PERMILLE));
        let paced = self.pace.earliest(now, ask).max(self.peak.earliest(now, ask));
        paused.max(paced).max(self.window.earliest(now, room))
    }

    fn take(&mut self, now: Timestamp, amount: u64) {
        self.recover(now);
        self.window.add(now, amount);
        if self.limit.is_none() {
            return;
        }
        self.pace.take(now, amount);
        self.peak.take(now, amount);
    }

    fn give_back(&mut self, now: Timestamp, at: Timestamp, amount: u64) {
        self.recover(now);
        self.window.remove(now, at, amount);
        self.pace.give(now, amount);
        self.peak.give(now, amount);
    }

    /// The service refused `amount`, admitted here at `at`: its count is ahead of ours.
    fn refused(&mut self, now: Timestamp, at: Timestamp, amount: u64, floor: u64) -> Option<u64> {
        self.recover(now);
        let counted = self.window.sum(now);
        let pace = self.limit.unwrap_or(counted).max(1);
        let refill = u128::from(micros(MINUTE)) * u128::from(amount.max(1)) / u128::from(pace);
        let refill = u64::try_from(refill).unwrap_or(u64::MAX);
        let pause = refill
            .clamp(micros(REFUSAL_PAUSE.0), micros(REFUSAL_PAUSE.1))
            .saturating_mul(1 << self.streak.min(5))
            .min(micros(REFUSAL_PAUSE.1));
        self.paused_until = self.paused_until.max(now.saturating_add(Duration::from_micros(pause)));
        // What was already out at the last refusal says nothing new.
        if at < self.refused_at {
            return None;
        }
        self.streak += 1;
        self.refused_at = now;
        self.credit_since = now;
        self.credit_stretch = (self.credit_stretch * 2).min(CREDIT_STRETCH.1);
        self.set_credit(now, PEAK_PERMILLE.min(self.burst_permille));
        self.strain = self.strain.saturating_add(REFUSAL_STRAIN);
        // A settlement above its reservation can be refused once without any limit being wrong.
        if self.declared.is_some() && self.strain < STRAIN_LIMIT {
            return None;
        }
        self.strain = 0;
        // Refused again soon after it was tried upwards: it is tried less often.
        let soon = now < self.raised_at.saturating_add(LIMIT_REST.1);
        self.rest = if soon && self.limit != self.declared { (self.rest * 2).min(LIMIT_REST.1) } else { LIMIT_REST.0 };
        self.raised_at = now.saturating_add(self.rest);
        let lowest = self.declared.map_or(floor, |declared| permille(declared, TRUST_FLOOR_PERMILLE)).max(floor);
        // Where nothing was declared, what went out so far shows the rate that was too much.
        let current = self.limit.unwrap_or_else(|| self.window.projected(now));
        let limit = permille(current, REFUSAL_KEEPS_PERMILLE).max(lowest);
        let limit = self.declared.map_or(limit, |declared| limit.min(declared));
        self.set_limit(now, limit);
        Some(limit)
    }

    fn pause(&mut self, until: Timestamp) {
        self.paused_until = self.paused_until.max(until);
    }

    fn accepted(&mut self) {
        self.streak = 0;
        self.strain = self.strain.saturating_sub(1);
    }

    fn set_credit(&mut self, now: Timestamp, permille: u64) {
        if permille != self.credit_permille {
            self.credit_permille = permille;
            if let Some(limit) = self.limit {
                self.set_limit(now, limit);
            }
        }
    }

    /// Raises a lowered limit and the credit with the time that passed without a refusal.
    fn recover(&mut self, now: Timestamp) {
        while self.credit_permille < self.burst_permille {
            let next = self.credit_since.saturating_add(self.credit_stretch);
            if next > now {
                break;
            }
            self.credit_since = next;
            self.set_credit(next, (self.credit_permille * 2).min(self.burst_permille));
        }
        let Some(mut limit) = self.limit else { return };
        // Second by second, so that it makes no difference how often anyone asks.
        while limit < self.declared.unwrap_or(UNLIMITED) {
            let next = self.raised_at.saturating_add(Duration::from_secs(1));
            if next > now {
                return;
            }
            let reference = self.declared.unwrap_or(limit);
            let raised = limit.saturating_add(permille(reference, RECOVERY_PERMILLE_PER_SECOND).max(1));
            limit = self.declared.map_or(raised, |declared| raised.min(declared));
            self.raised_at = next;
            self.set_limit(next, limit);
        }
    }

    fn set_limit(&mut self, now: Timestamp, limit: u64) {
        self.limit = Some(limit);
        self.pace.change(now, limit, burst_of(limit, self.credit_permille));
        self.peak.change(now, limit.saturating_mul(PEAK_FACTOR), burst_of(limit, PEAK_PERMILLE));
    }
}

fn burst_of(limit: u64, share: u64) -> u64 {
    permille(limit, share).max(1)
}

fn permille(whole: u64, share: u64) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(share) / 1_000).unwrap_or(u64::MAX)
}

/// The counters of one quota pool: requests, tokens and tokens per day, and attempts under way.
///
/// Each minute quota is kept twice. A [`Bucket`] paces what goes out, so that a service which refills continuously is
/// never ahead of us by more than the burst; a [`Window`] over a little more than a minute holds the sum, so that a
/// service which counts by the clock, at whatever phase, never sees more than the quota in one of its minutes. The
/// price is `(margin + 0.1 s) / 60 s` of the quota: 1.2 % by default.
///
/// ```
/// use sluicegate::{Admission, Limiter, LimiterConfig, Quota, Spent, Timestamp};
///
/// let config = LimiterConfig { tokens_per_minute: Some(60_000), ..LimiterConfig::unlimited() };
/// let now = Timestamp::ZERO;
/// let mut limiter = Limiter::new(config, now);
/// let Admission::Granted(permit) = limiter.acquire(now, 1_200) else { panic!() };
/// // What may go out at one moment is spent: 60,000 over 60.7 seconds make the next 1,000 in about a second.
/// let Admission::NotBefore(at, Quota::Tokens) = limiter.acquire(now, 1_000) else { panic!() };
/// assert_eq!(at, Timestamp::from_micros(1_011_667));
/// // The answer was shorter than reserved, the rest comes back.
/// limiter.settle(now, permit, Spent::Tokens(200));
/// assert!(matches!(limiter.acquire(now, 1_000), Admission::Granted(_)));
/// assert_eq!(limiter.acquire(now, 70_000), Admission::Never(60_000));
/// ```
#[derive(Clone, Debug)]
pub struct Limiter {
    requests: MinuteQuota,
    tokens: MinuteQuota,
    day: Window,
    tokens_per_day: Option<u64>,
    day_closed_until: Timestamp,
    /// When the service last refused for the day, until an attempt sent later was answered: one attempt at a time asks.
    day_refused_at: Option<Timestamp>,
    concurrency: Option<u64>,
    in_flight: u64,
}

impl Limiter {
    /// A pool of which nothing is taken yet.
    #[must_use]
    pub fn new(config: LimiterConfig, now: Timestamp) -> Self {
        Self {
            requests: MinuteQuota::new(config.requests_per_minute, &config, now),
            tokens: MinuteQuota::new(config.tokens_per_minute, &config, now),
            day: Window::new(DAY, DAY_SLOT, now),
            tokens_per_day: config.tokens_per_day,
            day_closed_until: Timestamp::ZERO,
            day_refused_at: None,
            concurrency: config.concurrency,
            in_flight: 0,
        }
    }

    /// Other limits from `now` on. What was taken and what was learned stay.
    pub fn reconfigure(&mut self, now: Timestamp, config: LimiterConfig) {
        self.requests.reconfigure(now, config.requests_per_minute, &config);
        self.tokens.reconfigure(now, config.tokens_per_minute, &config);
        self.tokens_per_day = config.tokens_per_day;
        self.concurrency = config.concurrency;
    }

    /// Asks for one request of `tokens` tokens and reserves it if it is granted.
    pub fn acquire(&mut self, now: Timestamp, tokens: u64) -> Admission {
        match self.check(now, tokens) {
            Ok(()) => Admission::Granted(self.reserve(now, tokens)),
            Err(admission) => admission,
        }
    }

    /// The same question without reserving anything.
    ///
    /// # Errors
    /// Any answer but [`Admission::Granted`].
    pub fn check(&mut self, now: Timestamp, tokens: u64) -> Result<(), Admission> {
        if let Some(limit) = [self.tokens.declared, self.tokens_per_day].into_iter().flatten().min()
            && tokens > limit
        {
            return Err(Admission::Never(limit));
        }
        if self.concurrency.is_some_and(|limit| self.in_flight >= limit) {
            return Err(Admission::Busy);
        }
        let day = match self.tokens_per_day {
            Some(limit) => self.day.earliest(now, limit - tokens),
            None => now,
        };
        let answers = [
            (self.requests.earliest(now, 1), Quota::Requests),
            (self.tokens.earliest(now, tokens), Quota::Tokens),
            (day.max(self.day_closed_until), Quota::Day),
        ];
        let (at, quota) = answers.into_iter().max_by_key(|(at, _)| *at).unwrap_or((now, Quota::Unknown));
        if at > now { Err(Admission::NotBefore(at, quota)) } else { Ok(()) }
    }

    /// Takes one request of `tokens` tokens without asking.
    pub fn reserve(&mut self, now: Timestamp, tokens: u64) -> Permit {
        self.requests.take(now, 1);
        self.tokens.take(now, tokens);
        self.day.add(now, tokens);
        self.in_flight += 1;
        if self.day_refused_at.is_some() {
            // This one asks whether the day has turned; the others wait for its answer.
            self.day_closed_until = now.saturating_add(DAY_PROBE);
        }
        Permit { at: now, tokens }
    }

    /// Settles a permit at what was spent. More than was reserved becomes a debt that later attempts wait for.
    pub fn settle(&mut self, now: Timestamp, permit: Permit, spent: Spent) {
        let Permit { at, tokens: reserved } = permit;
        self.in_flight = self.in_flight.saturating_sub(1);
        let used = match spent {
            Spent::Tokens(used) => used,
            Spent::Unknown => reserved,
            Spent::Nothing => 0,
            Spent::NeverSent => {
                self.requests.give_back(now, at, 1);
                0
            }
        };
        if used < reserved {
            self.tokens.give_back(now, at, reserved - used);
            self.day.remove(now, at, reserved - used);
        } else if used > reserved {
            self.tokens.take(now, used - reserved);
            self.day.add(now, used - reserved);
        }
    }

    /// The service answered an attempt that was admitted here at `at`: the pauses after refusals start small again, and
    /// a pool closed for the day is open again if the attempt was sent after that.
    pub fn accepted(&mut self, at: Timestamp) {
        self.requests.accepted();
        self.tokens.accepted();
        if self.day_refused_at.is_some_and(|refused| at > refused) {
            self.day_refused_at = None;
            self.day_closed_until = Timestamp::ZERO;
        }
    }

    /// The service itself said when to come back: nothing is admitted until then.
    pub fn pause(&mut self, until: Timestamp) {
        self.requests.pause(until);
    }

    /// The service refused an attempt of `tokens` tokens that was admitted here at `at`. Lowers the limit that was
    /// wrong and pauses until the service has refilled; returns the limit that was learned, if one was.
    ///
    /// A refusal that names no quota is held against whichever of the two minute quotas is nearer to its limit.
    pub fn refused(&mut self, now: Timestamp, at: Timestamp, tokens: u64, quota: Quota) -> Option<(Quota, u64)> {
        match quota {
            Quota::Requests => self.requests.refused(now, at, 1, 1).map(|limit| (quota, limit)),
            Quota::Tokens => self.tokens.refused(now, at, tokens, tokens).map(|limit| (quota, limit)),
            Quota::Day => {
                self.day_closed_until = self.day_closed_until.max(now.saturating_add(DAY_PROBE));
                self.day_refused_at = Some(now);
                None
            }
            Quota::Unknown => {
                let nearer = if self.use_permille(now, Quota::Tokens) > self.use_permille(now, Quota::Requests) {
                    Quota::Tokens
                } else {
                    Quota::Requests
                };
                self.refused(now, at, tokens, nearer)
            }
        }
    }

    /// How much of a limit in force is used at `now`, in thousandths; 0 where there is none.
    pub fn use_permille(&mut self, now: Timestamp, quota: Quota) -> u64 {
        let (used, limit) = match quota {
            Quota::Requests => (self.requests.window.sum(now), self.requests.limit),
            Quota::Tokens => (self.tokens.window.sum(now), self.tokens.limit),
            Quota::Day => (self.day.sum(now), self.tokens_per_day),
            Quota::Unknown => return 0,
        };
        limit.map_or(0, |limit| used.saturating_mul(1_000) / limit.max(1))
    }

    /// The limit in force: declared, or lowered or learned after refusals.
    #[must_use]
    pub const fn limit(&self, quota: Quota) -> Option<u64> {
        match quota {
            Quota::Requests => self.requests.limit,
            Quota::Tokens => self.tokens.limit,
            Quota::Day => self.tokens_per_day,
            Quota::Unknown => None,
        }
    }

    /// Attempts admitted and not settled.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        self.in_flight
    }
}
