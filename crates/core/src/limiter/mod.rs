//! Admission under one quota pool.

mod allowance;
mod day;
mod left;
mod minute;
mod phase;
mod refusal;
mod saved;
mod service_minute;

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::outcome::{Quota, Spent};
use crate::time::Timestamp;

use allowance::{Allowance, Amounts};
use day::DayQuota;
use minute::MinuteQuota;
pub use phase::MinutePhase;
use refusal::Refusals;
pub use saved::SavedLimiter;

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
    /// with each half minute that brings no refusal.
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

/// The counters of one quota pool: requests, tokens and tokens per day, and attempts under way.
///
/// Each minute quota is kept twice. A [`Bucket`](crate::Bucket) paces what goes out, so that a service which refills
/// continuously is never ahead of us by more than the burst; a [`Window`](crate::Window) over a little more than a minute
/// holds the sum, so that a service which counts by the clock, at whatever phase, never sees more than the quota in one of
/// its minutes.
///
/// # What that costs
///
/// A pool that is always waited for gets the quota of a minute every `60 s + margin + 0.1 s`: with the default margin of
/// 0.6 s, 0.7 of every 60.7 seconds, or 1.2 % of the quota, go unused. The share is the same under each law:
///
/// - a sliding minute: the margin is what the way to the service may shift, and 0.1 s is the width of a slot;
/// - continuous refill: the pace is slower than the refill by as much;
/// - fixed minutes: their phase is not known at first, so every minute that there might be is kept within the quota.
///   Where refusals show the phase ([`Limiter::phase`]), the service's own minutes are counted instead and used in full.
///
/// A declared limit that refusals lowered, now more and now less, is shared with others. What they leave is what the service
/// lets through within a minute, so the window alone holds back then, without the pace.
///
/// A pool that nobody waits for loses nothing, and what goes unused in a short gap between calls can be made up for
/// ([`LimiterConfig::burst_permille`]).
///
/// # What an attempt costs
///
/// While a pool is far from its limits most questions are answered without looking at buckets and windows: one look
/// tells how much may go out, and each tenth of a second ends with charging what did. A full bucket may then count as
/// filled up to a tenth of a second later than it was; nothing is ever admitted that a look would not have admitted. A
/// question that was refused is answered at once when it is asked again before its time, if nothing else happened.
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
    /// What may go out before the quotas are looked at again.
    allowance: Allowance,
    /// The last answers that were no, while they hold.
    refusals: Refusals,
    in_flight: u64,
    /// The largest number where there is no limit.
    concurrency: u64,
    requests: MinuteQuota,
    tokens: MinuteQuota,
    day: DayQuota,
}

impl Limiter {
    /// A pool of which nothing is taken yet.
    #[must_use]
    pub fn new(config: LimiterConfig, now: Timestamp) -> Self {
        Self {
            allowance: Allowance::default(),
            refusals: Refusals::default(),
            in_flight: 0,
            concurrency: config.concurrency.unwrap_or(u64::MAX),
            requests: MinuteQuota::new(config.requests_per_minute, &config, now),
            tokens: MinuteQuota::new(config.tokens_per_minute, &config, now),
            day: DayQuota::new(config.tokens_per_day, now),
        }
    }

    /// Other limits from `now` on. What was taken and what was learned stay, but that the tokens of a day are counted only
    /// while they are limited.
    pub fn reconfigure(&mut self, now: Timestamp, config: LimiterConfig) {
        self.refusals.end();
        self.charge(now);
        self.requests.reconfigure(now, config.requests_per_minute, &config);
        self.tokens.reconfigure(now, config.tokens_per_minute, &config);
        self.day.reconfigure(now, config.tokens_per_day);
        self.concurrency = config.concurrency.unwrap_or(u64::MAX);
    }

    /// Asks for one request of `tokens` tokens and reserves it if it is granted.
    #[inline]
    pub fn acquire(&mut self, now: Timestamp, tokens: u64) -> Admission {
        if self.in_flight < self.concurrency {
            if self.allowance.take(now, tokens) {
                self.in_flight += 1;
                return Admission::Granted(Permit { at: now, tokens });
            }
            if let Some((at, quota)) = self.refusals.find(now, tokens) {
                return Admission::NotBefore(at, quota);
            }
        }
        self.acquire_after_a_look(now, tokens)
    }

    #[inline(never)]
    fn acquire_after_a_look(&mut self, now: Timestamp, tokens: u64) -> Admission {
        match self.look(now, tokens) {
            Ok(()) => Admission::Granted(self.reserve(now, tokens)),
            Err(admission) => admission,
        }
    }

    /// The same question, where it was answered before and the answer was no.
    #[inline]
    pub(crate) fn told(&mut self, now: Timestamp, tokens: u64) -> Option<(Timestamp, Quota)> {
        if self.in_flight >= self.concurrency || self.allowance.covers(now, tokens) {
            return None;
        }
        let told = self.refusals.find(now, tokens);
        #[cfg(feature = "audit")]
        if let Some((at, quota)) = told {
            let afresh = self.clone().look(now, tokens);
            assert_eq!(afresh, Err(Admission::NotBefore(at, quota)), "a refusal of {tokens} tokens is not ended");
        }
        told
    }

    /// The same question without reserving anything.
    ///
    /// # Errors
    /// Any answer but [`Admission::Granted`].
    #[inline]
    pub fn check(&mut self, now: Timestamp, tokens: u64) -> Result<(), Admission> {
        if self.in_flight < self.concurrency && self.allowance.covers(now, tokens) {
            return Ok(());
        }
        if let Some((at, quota)) = self.told(now, tokens) {
            return Err(Admission::NotBefore(at, quota));
        }
        self.look(now, tokens)
    }

    /// The answer where neither the allowance nor the last refusal has one.
    #[inline]
    fn look(&mut self, now: Timestamp, tokens: u64) -> Result<(), Admission> {
        if self.in_flight < self.concurrency && self.go_on(now) && self.allowance.covers(now, tokens) {
            return Ok(());
        }
        self.look_closely(now, tokens)
    }

    /// The answer from the quotas themselves; where it is yes, also how much more may go out without asking them.
    #[inline(never)]
    fn look_closely(&mut self, now: Timestamp, tokens: u64) -> Result<(), Admission> {
        if self.in_flight < self.concurrency {
            // Whose last request just went out still has the tokens that were looked at for it.
            if let Some(tokens_left) = self.allowance.without_requests(now).filter(|left| tokens <= *left) {
                self.charge(now);
                return self.earliest_request(now, tokens_left);
            }
            self.charge(now);
            if let Some(room) = self.room_of_tokens(now)
                && tokens <= room
            {
                let Some(requests) = self.requests.room(now).filter(|requests| *requests > 0) else {
                    return self.earliest_request(now, room);
                };
                let until = self.requests.still_until().min(self.tokens.still_until()).min(self.day.still_until());
                let given = Amounts { requests, tokens: room };
                self.allowance = Allowance::new(now.max(self.day.counts_from()), until, given);
                self.refusals.end();
                return Ok(());
            }
        }
        self.earliest(now, tokens)
    }

    /// Where the time of the allowance is over and something is left of it, what went out is charged and the rest goes on
    /// for another slot. False where nothing goes on.
    #[inline(never)]
    fn go_on(&mut self, now: Timestamp) -> bool {
        if !self.allowance.may_go_on(now) || now >= self.steady_until() {
            return false;
        }
        let (at, out) = self.allowance.end_slot();
        self.requests.charge(at, out.requests);
        self.tokens.charge(at, out.tokens);
        self.day.charge(out.tokens);
        let until =
            self.requests.window.enter_slot(now).min(self.tokens.window.enter_slot(now)).min(self.day.enter_slot(now));
        self.allowance.go_on(now.max(self.day.counts_from()), until);
        true
    }

    /// How many tokens there is room for.
    fn room_of_tokens(&mut self, now: Timestamp) -> Option<u64> {
        Some(self.tokens.room(now)?.min(self.day.room(now)?))
    }

    /// The exact answer where nothing but a request is missing, for whoever asks for no more tokens than there is room for.
    fn earliest_request(&mut self, now: Timestamp, room: u64) -> Result<(), Admission> {
        let at = self.requests.earliest(now, 1);
        if at <= now {
            return Ok(());
        }
        self.refusals.keep(now, room, (at, Quota::Requests), self.steady_until());
        Err(Admission::NotBefore(at, Quota::Requests))
    }

    /// The exact answer, for what there is no room for or what leaves a debt.
    fn earliest(&mut self, now: Timestamp, tokens: u64) -> Result<(), Admission> {
        let largest = self.tokens.declared.unwrap_or(u64::MAX).min(self.day.limit().unwrap_or(u64::MAX));
        if tokens > largest {
            return Err(Admission::Never(largest));
        }
        if self.in_flight >= self.concurrency {
            return Err(Admission::Busy);
        }
        let (mut at, mut quota) = (self.requests.earliest(now, 1), Quota::Requests);
        for (other, of) in
            [(self.tokens.earliest(now, tokens), Quota::Tokens), (self.day.earliest(now, tokens), Quota::Day)]
        {
            if other >= at {
                (at, quota) = (other, of);
            }
        }
        if at <= now {
            return Ok(());
        }
        self.refusals.keep(now, tokens, (at, quota), self.steady_until());
        Err(Admission::NotBefore(at, quota))
    }

    /// Takes one request of `tokens` tokens without asking.
    #[inline]
    pub fn reserve(&mut self, now: Timestamp, tokens: u64) -> Permit {
        self.in_flight += 1;
        if !self.allowance.take(now, tokens) {
            self.take(now, 1, tokens);
            self.day.sent(now);
        }
        Permit { at: now, tokens }
    }

    /// Settles a permit at what was spent. More than was reserved becomes a debt that later attempts wait for.
    #[inline]
    pub fn settle(&mut self, now: Timestamp, permit: Permit, spent: Spent) {
        let Permit { at, tokens: reserved } = permit;
        if self.in_flight >= self.concurrency {
            self.refusals.end();
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        let (requests, used) = match spent {
            Spent::Tokens(used) => (0, used),
            Spent::Unknown => (0, reserved),
            Spent::Nothing => (0, 0),
            Spent::NeverSent => (1, 0),
        };
        if used < reserved || requests > 0 {
            let back = Amounts { requests, tokens: reserved - used };
            if self.allowance.give_back(now, at, back) {
                // Who asked for more than was left of it was told before that it would have to wait.
                self.refusals.end();
            } else {
                self.give_back(now, at, back);
            }
        } else if used > reserved {
            self.refusals.end();
            if !self.allowance.take_tokens(now, used - reserved) {
                self.take(now, 0, used - reserved);
            }
        }
    }

    #[inline(never)]
    fn take(&mut self, now: Timestamp, requests: u64, tokens: u64) {
        self.refusals.end();
        self.charge(now);
        self.requests.take(now, requests);
        self.tokens.take(now, tokens);
        self.day.take(now, tokens);
    }

    #[inline(never)]
    fn give_back(&mut self, now: Timestamp, at: Timestamp, back: Amounts) {
        self.refusals.end_but_for_requests();
        self.post(now);
        if back.requests > 0 {
            self.refusals.end();
            self.requests.give_back(now, at, back.requests);
        }
        if back.tokens > 0 {
            self.tokens.give_back(now, at, back.tokens);
            self.day.give_back(now, at, back.tokens);
        }
    }

    /// Charges the quotas with what went out of the allowance, and ends it.
    fn charge(&mut self, now: Timestamp) {
        self.post(now);
        self.allowance.end();
    }

    /// Charges the quotas with what went out of the allowance, which goes on if its time is not over.
    fn post(&mut self, now: Timestamp) {
        if let Some((at, out)) = self.allowance.post(now) {
            self.requests.charge(at, out.requests);
            self.tokens.charge(at, out.tokens);
            self.day.charge(out.tokens);
        }
    }

    /// The service answered an attempt that was admitted here at `at`: the pauses after refusals start small again, and
    /// a pool closed for the day is open again if the attempt was sent after that.
    ///
    /// Returns the quota whose [`Limiter::phase`] was learned or lost by that, which is seldom.
    pub fn accepted(&mut self, at: Timestamp) -> Option<Quota> {
        let requests = self.requests.accepted(at);
        let tokens = self.tokens.accepted(at);
        if requests || tokens {
            self.refusals.end();
        }
        if self.day.accepted(at) {
            self.refusals.end_but_for_requests();
        }
        if requests { Some(Quota::Requests) } else { tokens.then_some(Quota::Tokens) }
    }

    /// The service itself said when to come back: nothing is admitted until then.
    pub fn pause(&mut self, until: Timestamp) {
        self.refusals.end();
        self.allowance.withhold();
        self.requests.pause(until);
    }

    /// The service refused an attempt of `tokens` tokens that was admitted here at `at`. Lowers the limit that was
    /// wrong and pauses until the service has refilled; returns the limit that was learned, if one was.
    ///
    /// A refusal that names no quota is held against whichever of the two minute quotas is nearer to its limit.
    pub fn refused(&mut self, now: Timestamp, at: Timestamp, tokens: u64, quota: Quota) -> Option<(Quota, u64)> {
        self.refusals.end();
        self.charge(now);
        match quota {
            Quota::Requests => self.requests.refused(now, at, 1, 1).map(|limit| (quota, limit)),
            Quota::Tokens => self.tokens.refused(now, at, tokens, 0).map(|limit| (quota, limit)),
            Quota::Day => {
                self.day.refused(now);
                None
            }
            Quota::Unknown => {
                // With what was refused, which may be settled already.
                let requests = self.use_with(now, Quota::Requests, 1);
                let nearer =
                    if self.use_with(now, Quota::Tokens, tokens) > requests { Quota::Tokens } else { Quota::Requests };
                self.refused(now, at, tokens, nearer)
            }
        }
    }

    /// How much of a limit in force is used at `now`, in thousandths; 0 where there is none.
    pub fn use_permille(&mut self, now: Timestamp, quota: Quota) -> u64 {
        self.use_with(now, quota, 0)
    }

    /// The same if `more` were taken as well.
    fn use_with(&mut self, now: Timestamp, quota: Quota, more: u64) -> u64 {
        self.post(now);
        let (used, limit) = match quota {
            Quota::Requests => (self.requests.window.sum(now), self.requests.limit),
            Quota::Tokens => (self.tokens.window.sum(now), self.tokens.limit),
            Quota::Day => (self.day.sum(now), self.day.limit()),
            Quota::Unknown => return 0,
        };
        limit.map_or(0, |limit| used.saturating_add(more).saturating_mul(1_000) / limit.max(1))
    }

    /// Raises what was lowered with the time that passed, as every question does.
    pub(crate) fn catch_up(&mut self, now: Timestamp) {
        self.requests.recover(now);
        self.tokens.recover(now);
    }

    /// The limit in force: declared, or lowered or learned after refusals.
    #[must_use]
    pub const fn limit(&self, quota: Quota) -> Option<u64> {
        match quota {
            Quota::Requests => self.requests.limit,
            Quota::Tokens => self.tokens.limit,
            Quota::Day => self.day.limit(),
            Quota::Unknown => None,
        }
    }

    /// How many attempts may be under way at once; the largest number where that is not declared.
    pub(crate) const fn slots(&self) -> u64 {
        self.concurrency
    }

    /// When the service's minutes begin, where refusals showed that it counts by the clock; `None` for the day.
    #[must_use]
    pub fn phase(&self, quota: Quota) -> Option<MinutePhase> {
        match quota {
            Quota::Requests => self.requests.phase(),
            Quota::Tokens => self.tokens.phase(),
            Quota::Day | Quota::Unknown => None,
        }
    }

    /// How often something happened that may change an answer, but for what goes out.
    pub(crate) const fn changes(&self) -> u64 {
        self.refusals.ended()
    }

    /// Before this time the answer to a question stays the same, but for what is taken, given back, refused or accepted.
    pub(crate) fn steady_until(&self) -> Timestamp {
        self.requests.raised_at().min(self.tokens.raised_at())
    }

    /// Attempts admitted and not settled.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        self.in_flight
    }
}
