//! One quota per minute: what is declared, what refusals taught, and what was taken.

use core::time::Duration;

use super::LimiterConfig;
use super::left::Left;
use super::phase::{MinutePhase, Phase};
use super::saved::SavedMinute;
use super::service_minute::ServiceMinute;
use crate::bucket::Bucket;
use crate::defaults::{
    CREDIT_STRETCH, LIMIT_REST, PEAK_FACTOR, PEAK_PERMILLE, RECOVERY_PERMILLE_PER_SECOND, REFUSAL_KEEPS_PERMILLE,
    REFUSAL_PAUSE, REFUSAL_STRAIN, STRAIN_LIMIT, TRUST_FLOOR_PERMILLE,
};
use crate::ratio::ratio;
use crate::time::{Timestamp, micros};
use crate::window::Window;

const MINUTE: Duration = Duration::from_secs(60);
const SLOT: Duration = Duration::from_millis(100);
/// How often a lowered limit is raised at most, and at least, however often anyone asks.
const RAISE_STEP: Duration = Duration::from_secs(1);
const LONGEST_STEP: Duration = Duration::from_secs(1_000 / RECOVERY_PERMILLE_PER_SECOND);
/// A small limit is left as it is for longer, since one request is much of it: for as many attempts like the one refused.
const REST_ATTEMPTS: u64 = 20;
/// But no longer than this.
const LONGEST_REST: Duration = Duration::from_secs(1_200);
/// A pause that is told to be longer than this is taken to be an error.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);
/// A learned limit that has grown to this holds nothing back any more.
const UNLIMITED: u64 = u32::MAX as u64;

/// One minute quota: its declared and learned limit, its pace and its window.
#[derive(Clone, Debug)]
pub(super) struct MinuteQuota {
    pub(super) declared: Option<u64>,
    /// The limit in force: declared, lowered by refusals, or learned where nothing is declared.
    pub(super) limit: Option<u64>,
    /// What a service that refills continuously has for us: the quota spread over the window, and the credit. It holds back
    /// unless the limit is [shared](Self::is_shared).
    pace: Bucket,
    /// Spreads a burst: a multiple of the quota's rate, with next to no burst of its own.
    peak: Bucket,
    pub(super) window: Window,
    paused_until: Timestamp,
    /// Refusals since the last admitted attempt was answered.
    streak: u32,
    /// Grows with each refusal and shrinks with each answer: what tells a wrong limit from a stray refusal.
    strain: u32,
    refused_at: Timestamp,
    /// What others leave of the quota.
    left: Left,
    /// When a lowered limit is raised next.
    raise_at: Timestamp,
    /// How long a lowered limit is left as it is before it is tried upwards.
    rest: Duration,
    /// How much may be made up for after a quiet time, in thousandths of the quota. How much the service saves up for us
    /// is not known, so it starts small, doubles with each stretch without refusals, and starts anew after one.
    credit_permille: u64,
    burst_permille: u64,
    /// When it doubles next.
    credit_at: Timestamp,
    /// The stretch without refusals that doubles the credit; each refusal doubles the stretch.
    credit_stretch: Duration,
    /// Before this time neither the credit nor the limit changes by itself.
    still_until: Timestamp,
    /// When the service's minutes begin, if it counts by the clock.
    phase: Phase,
    /// Its present minute, where that is known: it alone holds back then, with the peak.
    minute: Option<ServiceMinute>,
}

impl MinuteQuota {
    pub(super) fn new(declared: Option<u64>, config: &LimiterConfig, now: Timestamp) -> Self {
        let limit = declared.unwrap_or(UNLIMITED);
        let credit_permille = PEAK_PERMILLE.min(config.burst_permille);
        let (pace, peak) = buckets(limit, config, credit_permille, now);
        Self {
            declared,
            limit: declared,
            pace,
            peak,
            window: Window::new(MINUTE.saturating_add(config.window_margin), SLOT, now),
            paused_until: Timestamp::ZERO,
            streak: 0,
            strain: 0,
            refused_at: Timestamp::ZERO,
            left: Left::default(),
            raise_at: now.saturating_add(RAISE_STEP),
            rest: LIMIT_REST.0,
            credit_permille,
            burst_permille: config.burst_permille,
            credit_at: now.saturating_add(CREDIT_STRETCH.0),
            credit_stretch: CREDIT_STRETCH.0,
            still_until: Timestamp::ZERO,
            phase: Phase::new(),
            minute: None,
        }
    }

    /// Other limits from `now` on; what was taken stays taken. What was learned holds below a declared limit.
    pub(super) fn reconfigure(&mut self, now: Timestamp, declared: Option<u64>, config: &LimiterConfig) {
        self.recover(now);
        let learned = self.limit.filter(|_| self.limit != self.declared);
        self.declared = declared;
        if self.credit_permille >= self.burst_permille {
            self.credit_at = now.saturating_add(self.credit_stretch);
        }
        self.burst_permille = config.burst_permille;
        self.credit_permille = self.credit_permille.min(config.burst_permille);
        let span = MINUTE.saturating_add(config.window_margin);
        if !self.window.has_span(span) {
            self.window.set_span(now, span);
            self.pace = self.pace.with_period(span.saturating_add(SLOT), now);
        }
        self.limit = match (declared, learned) {
            (Some(declared), Some(learned)) => Some(declared.min(learned)),
            (declared, learned) => declared.or(learned),
        };
        match self.limit {
            Some(limit) => self.set_limit(now, limit),
            // Nothing is taken from the buckets then.
            None => (self.pace, self.peak) = buckets(UNLIMITED, config, self.credit_permille, now),
        }
        self.still_until = Timestamp::ZERO;
    }

    /// How much longer than a minute the window is, in microseconds.
    pub(super) fn margin(&self) -> u64 {
        self.window.span().saturating_sub(micros(MINUTE))
    }

    pub(super) fn save(&mut self, now: Timestamp) -> SavedMinute {
        self.recover(now);
        let limited = self.limit.is_some();
        let lowered = self.limit.is_some_and(|limit| limit < self.highest());
        let left = |at: Timestamp| micros(at.saturating_since(now));
        let level = |bucket: &Bucket| (limited && !bucket.is_full(now)).then(|| bucket.parts(now));
        let refused = self.refused_at > Timestamp::ZERO;
        SavedMinute {
            declared: self.declared,
            limit: self.limit.filter(|_| self.limit != self.declared),
            pace: level(&self.pace),
            peak: level(&self.peak),
            taken: self.window.entries(now),
            paused_us: left(self.paused_until),
            streak: self.streak,
            strain: self.strain,
            left: self.left,
            refused_us: refused.then(|| micros(now.saturating_since(self.refused_at))),
            raise_us: if lowered { left(self.raise_at) } else { 0 },
            rest_us: if lowered { micros(self.rest) } else { 0 },
            credit_permille: self.credit_permille,
            credit_us: if self.credit_permille < self.burst_permille { left(self.credit_at) } else { 0 },
            credit_stretch_us: micros(self.credit_stretch.saturating_sub(CREDIT_STRETCH.0)),
            phase: self.phase.save(now),
        }
    }

    /// What was saved `asleep` microseconds ago under the same configuration.
    pub(super) fn restored(config: &LimiterConfig, state: &SavedMinute, now: Timestamp, asleep: u64) -> Self {
        // The time of this process may have begun after what is told here, so it is played on a clock that began long
        // before and then moved to this one.
        let saved = Timestamp::from_micros(1 << 62);
        let woken = saved.saturating_add(Duration::from_micros(asleep));
        let after = |micros: u64, most: Duration| saved.saturating_add(Duration::from_micros(micros).min(most));

        let mut quota = Self::new(state.declared, config, saved);
        quota.rest = Duration::from_micros(state.rest_us).clamp(LIMIT_REST.0, LONGEST_REST);
        quota.raise_at = after(state.raise_us, LONGEST_REST + LONGEST_STEP);
        if state.credit_permille > 0 {
            quota.credit_permille = state.credit_permille.min(config.burst_permille);
        }
        quota.credit_stretch = CREDIT_STRETCH.1.min(CREDIT_STRETCH.0 + Duration::from_micros(state.credit_stretch_us));
        let credit_us = if state.credit_us == 0 { u64::MAX } else { state.credit_us };
        quota.credit_at = after(credit_us, quota.credit_stretch);
        quota.streak = state.streak;
        quota.strain = state.strain;
        quota.left = state.left;
        let declared = state.declared.unwrap_or(u64::MAX);
        if let Some(limit) = state.limit.or(state.declared) {
            quota.set_limit(saved, limit.min(declared).max(1));
            quota.pace.set_parts(saved, state.pace.unwrap_or((i64::MAX, 0)));
            quota.peak.set_parts(saved, state.peak.unwrap_or((i64::MAX, 0)));
        }
        quota.recover(woken);

        let here = |at: Timestamp| {
            let past = now.saturating_sub(woken.saturating_since(at));
            past.saturating_add(at.saturating_since(woken))
        };
        quota.raise_at = here(quota.raise_at);
        quota.credit_at = here(quota.credit_at);
        quota.still_until = Timestamp::ZERO;
        quota.paused_until = here(after(state.paused_us, LONGEST_PAUSE));
        quota.refused_at = state
            .refused_us
            .map_or(Timestamp::ZERO, |ago| now.saturating_sub(Duration::from_micros(ago.saturating_add(asleep))));
        quota.pace.set_parts(now, quota.pace.parts(woken));
        quota.peak.set_parts(now, quota.peak.parts(woken));
        quota.window = Window::new(MINUTE.saturating_add(config.window_margin), SLOT, now);
        quota.window.restore(now, asleep, &state.taken);
        quota.phase = Phase::restored(&state.phase, now, asleep);
        quota
    }

    /// The earliest time at which `amount` may be taken.
    pub(super) fn earliest(&mut self, now: Timestamp, amount: u64) -> Timestamp {
        self.recover(now);
        let paused = self.paused_until.max(now);
        let Some(limit) = self.limit else { return paused };
        // An attempt larger than a lowered limit still goes out once nothing else counts.
        let room = limit.saturating_sub(amount);
        // A call larger than what may go out at one moment goes when that much is there, and leaves a debt.
        let ask = self.peak.burst().min(amount);
        let peak = self.peak.earliest(now, ask);
        if let Some(minute) = &self.minute {
            let at = minute.earliest(now, amount, limit, self.pace.burst());
            return paused.max(peak).max(at);
        }
        let at = paused.max(peak).max(self.window.earliest(now, room));
        if self.is_shared() { at } else { at.max(self.pace.earliest(now, ask)) }
    }

    /// How much may be taken before [`MinuteQuota::still_until`] without asking again; `None` where nothing may, not even
    /// an attempt that takes nothing, while it is paused or pays a debt.
    pub(super) fn room(&mut self, now: Timestamp) -> Option<u64> {
        self.recover(now);
        let counted = self.window.sum(now);
        if self.paused_until > now {
            return None;
        }
        match self.limit {
            None => Some(u64::MAX),
            Some(limit) => {
                let room = match &self.minute {
                    Some(minute) => minute.room(now, limit, self.pace.burst())?,
                    None if self.is_shared() => limit.checked_sub(counted)?,
                    None => limit.checked_sub(counted)?.min(self.pace.room(now)?),
                };
                Some(room.min(self.peak.room(now)?))
            }
        }
    }

    /// When something changes by itself next but the levels, which only rise.
    pub(super) fn still_until(&self) -> Timestamp {
        self.still_until.min(self.window.still_until())
    }

    pub(super) fn take(&mut self, now: Timestamp, amount: u64) {
        self.recover(now);
        self.window.add(now, amount);
        if let Some(minute) = &mut self.minute {
            minute.add(amount);
        }
        self.take_from_buckets(now, amount);
    }

    fn take_from_buckets(&mut self, now: Timestamp, amount: u64) {
        if self.limit.is_none() {
            return;
        }
        // What goes out faster than the pace must not be paid for when it holds back again.
        if !self.is_shared() {
            self.pace.take(now, amount);
        }
        self.peak.take(now, amount);
    }

    /// Takes `amount`, which went out since the last look at [`MinuteQuota::room`], at `now`, which is no later than
    /// [`MinuteQuota::still_until`] was then.
    pub(super) fn charge(&mut self, now: Timestamp, amount: u64) {
        self.window.add_here(amount);
        if let Some(minute) = &mut self.minute {
            minute.add(amount);
        }
        self.take_from_buckets(now, amount);
    }

    pub(super) fn give_back(&mut self, now: Timestamp, at: Timestamp, amount: u64) {
        self.recover(now);
        self.window.remove(now, at, amount);
        if let Some(minute) = &mut self.minute {
            minute.give_back(at, amount);
        }
        self.pace.give(now, amount);
        self.peak.give(now, amount);
    }

    /// The service refused `amount`, admitted here at `at`: its count is ahead of ours. `kept` is what of it stays taken.
    pub(super) fn refused(&mut self, now: Timestamp, at: Timestamp, amount: u64, kept: u64) -> Option<u64> {
        self.recover(now);
        let counted = self.window.sum(now);
        let full = self.phase.refused(now, at, amount, &self.window, self.limit.unwrap_or(u64::MAX));
        if !full {
            self.lose_minute();
        }
        if let Some(minute) = &mut self.minute {
            minute.refused(at, kept);
        }
        let pace = self.limit.unwrap_or(counted).max(1);
        let refill = u128::from(micros(MINUTE)) * u128::from(amount.max(1)) / u128::from(pace);
        let refill = u64::try_from(refill).unwrap_or(u64::MAX);
        let pause = refill
            .clamp(micros(REFUSAL_PAUSE.0), micros(REFUSAL_PAUSE.1))
            .saturating_mul(1 << self.streak.min(5))
            .min(micros(REFUSAL_PAUSE.1));
        let until = now.saturating_add(Duration::from_micros(pause));
        let until = match &self.minute {
            // It stays full until the next one begins.
            Some(minute) if minute.holds(at) => minute.ended(),
            Some(_) => until,
            // A first probe shows whether the service refills by itself.
            None => self.phase.probe_at(now).filter(|_| self.streak > 0).unwrap_or(until),
        };
        self.paused_until = self.paused_until.max(until);
        // What was already out at the last refusal says nothing new.
        if at < self.refused_at {
            return None;
        }
        self.streak = self.streak.saturating_add(1);
        self.refused_at = now;
        self.left.observe(counted);
        self.credit_stretch = (self.credit_stretch * 2).min(CREDIT_STRETCH.1);
        self.credit_at = now.saturating_add(self.credit_stretch);
        self.still_until = Timestamp::ZERO;
        self.set_credit(now, PEAK_PERMILLE.min(self.burst_permille));
        self.strain = self.strain.saturating_add(REFUSAL_STRAIN);
        // A settlement above its reservation can be refused once without any limit being wrong.
        let shared = self.is_shared();
        if self.declared.is_some() && !shared && self.strain < STRAIN_LIMIT && self.minute.is_none() {
            return None;
        }
        self.strain = 0;
        // Refused again soon after it was tried upwards: it is tried less often, unless what others leave moves.
        let step = raise_step(self.declared.unwrap_or(pace));
        let longest = Duration::from_micros(refill.saturating_mul(REST_ATTEMPTS)).clamp(LIMIT_REST.1, LONGEST_REST);
        let soon = now < self.raise_at.saturating_sub(step).saturating_add(longest);
        self.rest =
            if soon && !shared && self.limit != self.declared { (self.rest * 2).min(longest) } else { LIMIT_REST.0 };
        self.raise_at = now.saturating_add(self.rest + step);
        let lowest = self.declared.map_or(amount, |declared| permille(declared, TRUST_FLOOR_PERMILLE)).max(amount);
        // Where nothing was declared, what went out so far shows the rate that was too much.
        let current = self.limit.unwrap_or_else(|| self.window.projected(now));
        // What others left is what went out, where that was less than the limit. Not below half: after a quiet time it says
        // little.
        let current = if shared && self.minute.is_none() { counted.clamp(current / 2, current) } else { current };
        let least = permille(current, REFUSAL_KEEPS_PERMILLE);
        let limit = match &self.minute {
            // What the service let through of its minute is what it lets through of each.
            Some(minute) if minute.holds(at) => minute.let_through().min(current.saturating_sub(1)).max(least),
            _ => least,
        };
        let limit = limit.max(lowest);
        let limit = self.declared.map_or(limit, |declared| limit.min(declared));
        self.set_limit(now, limit);
        Some(limit)
    }

    pub(super) fn pause(&mut self, until: Timestamp) {
        self.paused_until = self.paused_until.max(until);
    }

    /// True where that showed when the service's minutes begin, or that they do not.
    pub(super) fn accepted(&mut self, at: Timestamp) -> bool {
        self.streak = 0;
        self.strain = self.strain.saturating_sub(1);
        let changed = self.phase.accepted(at);
        if changed {
            self.still_until = Timestamp::ZERO;
        }
        changed
    }

    pub(super) fn phase(&self) -> Option<MinutePhase> {
        self.phase.known()
    }

    /// Goes on to the service's present minute, where its minutes are known.
    fn turn(&mut self, now: Timestamp) {
        self.phase.fade(now);
        match (self.phase.known(), &mut self.minute) {
            (Some(phase), Some(minute)) => minute.turn(now, phase),
            (Some(phase), None) => {
                self.window.sum(now);
                self.minute = Some(ServiceMinute::new(now, phase, &self.window));
            }
            (None, _) => self.lose_minute(),
        }
        // The pace is slower than a full minute allows, and what it fell behind must not be paid for later.
        if self.minute.is_some() && self.pace.level(now) < 0 {
            self.pace.set_parts(now, (0, 0));
        }
    }

    /// Whether others take part of a declared quota, more or less of it from second to second. What they leave shows in what
    /// the service lets through within a minute, which a pace would follow only after another minute.
    fn is_shared(&self) -> bool {
        self.left.moves() && self.declared.is_some() && self.limit != self.declared
    }

    /// The pace and the window hold back again.
    fn lose_minute(&mut self) {
        if self.minute.take().is_some() {
            self.still_until = Timestamp::ZERO;
        }
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
    pub(super) fn recover(&mut self, now: Timestamp) {
        if now >= self.still_until {
            self.raise(now);
        }
    }

    #[cold]
    #[inline(never)]
    fn raise(&mut self, now: Timestamp) {
        while self.credit_permille < self.burst_permille && self.credit_at <= now {
            self.set_credit(self.credit_at, self.credit_permille.max(1).saturating_mul(2).min(self.burst_permille));
            self.credit_at = self.credit_at.saturating_add(self.credit_stretch);
        }
        // Step by step, so that it makes no difference how often anyone asks.
        while let Some(limit) = self.limit.filter(|limit| *limit < self.highest())
            && self.raise_at <= now
        {
            let reference = self.declared.unwrap_or(limit);
            let raised = limit.saturating_add(permille(reference, RECOVERY_PERMILLE_PER_SECOND).max(1));
            self.set_limit(self.raise_at, self.declared.map_or(raised, |declared| raised.min(declared)));
            self.raise_at = self.raise_at.saturating_add(raise_step(self.declared.unwrap_or(raised)));
        }
        self.turn(now);
        let credit_grows = self.credit_permille < self.burst_permille;
        let limit_grows = self.limit.is_some_and(|limit| limit < self.highest());
        let turns = self.minute.as_ref().map(|minute| minute.still_until(now));
        let next = [credit_grows.then_some(self.credit_at), limit_grows.then_some(self.raise_at), turns];
        self.still_until = next.into_iter().flatten().min().unwrap_or(Timestamp::MAX);
    }

    /// When the limit or the credit is raised next, or a time in the past where that is not known yet.
    pub(super) const fn raised_at(&self) -> Timestamp {
        self.still_until
    }

    /// Where raising ends.
    fn highest(&self) -> u64 {
        self.declared.unwrap_or(UNLIMITED)
    }

    fn set_limit(&mut self, now: Timestamp, limit: u64) {
        self.limit = Some(limit);
        self.pace.change(now, limit, burst_of(limit, self.credit_permille));
        self.peak.change(now, limit.saturating_mul(PEAK_FACTOR), burst_of(limit, PEAK_PERMILLE));
    }
}

/// How often a limit is raised, by [`RECOVERY_PERMILLE_PER_SECOND`] of it or by one: so that a small one grows no faster.
fn raise_step(reference: u64) -> Duration {
    let one = micros(RAISE_STEP) * 1_000 / RECOVERY_PERMILLE_PER_SECOND;
    Duration::from_micros(one / reference.max(1)).max(RAISE_STEP)
}

/// Full buckets: the one for the pace and the one for the peak.
fn buckets(limit: u64, config: &LimiterConfig, credit_permille: u64, now: Timestamp) -> (Bucket, Bucket) {
    let span = MINUTE.saturating_add(config.window_margin).saturating_add(SLOT);
    let pace = Bucket::new(limit, span, burst_of(limit, credit_permille), now);
    (pace, Bucket::new(limit.saturating_mul(PEAK_FACTOR), MINUTE, burst_of(limit, PEAK_PERMILLE), now))
}

fn burst_of(limit: u64, share: u64) -> u64 {
    permille(limit, share).max(1)
}

fn permille(whole: u64, share: u64) -> u64 {
    ratio(whole, share, 1_000)
}
