//! How many attempts an endpoint can take at once, learned from its capacity errors.

use core::time::Duration;

use crate::defaults::{
    CAPACITY_CAREFUL_STEPS, CAPACITY_CHANCE, CAPACITY_CHANCE_ATTEMPTS, CAPACITY_CHANCE_PERMILLE, CAPACITY_HOLD,
    CAPACITY_KEEPS_PERMILLE, CAPACITY_LATELY, CAPACITY_PLATEAU, CAPACITY_STEP, STRAIN_HOLDS,
};
use crate::kept::record;
use crate::speed::{SavedSpeed, Speed};
use crate::time::{Timestamp, micros};

/// A limit on attempts under way, absent until the first capacity error.
///
/// A capacity error (503, 529, "overloaded") says nothing about the caller's quota. It says that what the endpoint
/// carried at that moment is what it can carry, so that becomes the limit: AWS's user guide, "Scaling and throughput best
/// practices" for Amazon Bedrock, asks for a return to the last stable rate and concurrency. If that is refused as well,
/// the capacity is still falling, and a fifth is taken off. What was out at the first error and is refused as well was not
/// carried either, and is taken off.
///
/// Such errors come back at once, so growth need not wait for answers: after [`CAPACITY_PLATEAU`] without one the limit
/// grows every [`CAPACITY_STEP`], first by one, then by half, up to twice what was under way when an attempt was answered.
///
/// Where half of what once was under way still meets as many errors, they come by chance, because others use the endpoint as
/// well: then they set no limit for a while, unless most attempts meet one.
///
/// Rising time per output token announces such an error. While answers come well below the usual speed, growth stands
/// still at what is carried, and an error then leads back to what was carried at the usual speed. Slowness alone sets no
/// limit: an endpoint may be slow and still take all there is.
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
    /// The most that was under way since then when an attempt was answered.
    held: u64,
    plateau: Duration,
    speed: Speed,
    /// What was under way when answers last came at the usual speed.
    steady: u64,
    strain: Option<Strain>,
    /// How long growth has stood still since the last capacity error, but for the strain that lasts.
    stood: Duration,
    chance: Chance,
}

/// Whether capacity errors come by chance: because others use the endpoint as well, and not because of what is under way here.
///
/// A limit that is right brings next to no errors. Where half of what once was under way still meets as many, attempt after
/// attempt, lower limits have shown that they change nothing, and would only keep calls waiting.
#[derive(Clone, Copy, Debug)]
struct Chance {
    /// The share of capacity errors among attempts of late, in 65,536ths.
    refused: u32,
    /// Attempts in a row at whose end that was neither next to none nor most of them: a crowd that is too large meets nothing
    /// but errors until it is small enough, and then next to none.
    some: u32,
    /// The most that was under way at an error since there is a limit.
    top: u64,
    /// Until then errors set no limit.
    until: Timestamp,
    /// For how long that was.
    lasts: Duration,
}

impl Chance {
    const WHOLE: u32 = 1 << 16;

    const fn new() -> Self {
        Self { refused: 0, some: 0, top: 0, until: Timestamp::ZERO, lasts: CAPACITY_CHANCE.0 }
    }

    const fn permille(&self) -> u32 {
        self.refused / (Self::WHOLE / 1_000)
    }

    const fn count(&mut self, refused: bool) {
        let now = if refused { Self::WHOLE } else { 0 };
        self.refused = self.refused - self.refused / CAPACITY_LATELY + now / CAPACITY_LATELY;
        let (least, most) = CAPACITY_CHANCE_PERMILLE;
        let some = least <= self.permille() && self.permille() <= most;
        self.some = if some { self.some.saturating_add(1) } else { 0 };
    }

    /// Whether an error is chance that comes while no more than `limit` are under way.
    fn shows(&mut self, now: Timestamp, limit: u64) -> bool {
        self.top = self.top.max(limit);
        if self.some < CAPACITY_CHANCE_ATTEMPTS || limit > self.top / 2 {
            return false;
        }
        let again = now.saturating_since(self.until) < self.lasts;
        self.lasts = if again { (self.lasts * 2).min(CAPACITY_CHANCE.1) } else { CAPACITY_CHANCE.0 };
        self.until = now.saturating_add(self.lasts);
        self.top = 0;
        true
    }

    /// Whether errors are taken for chance at `now`; not where most attempts meet one.
    const fn holds(&self, now: Timestamp) -> bool {
        now.as_micros() < self.until.as_micros() && self.permille() <= CAPACITY_CHANCE_PERMILLE.1
    }
}

/// A time in which growth stands still.
#[derive(Clone, Copy, Debug)]
struct Strain {
    since: Timestamp,
    until: Timestamp,
    /// What was carried when it began.
    carried: u64,
}

/// What an [`AdaptiveConcurrency`] remembers beyond the life of its process; what was under way died with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SavedConcurrency {
    /// What was carried at the last capacity error, in attempts.
    pub carried: Option<u64>,
    /// How long ago that was, in microseconds, without the time in which growth stood still.
    pub age_us: u64,
    /// How long the limit was to stay there, in microseconds.
    pub plateau_us: u64,
    /// How fast answers came.
    pub speed: Option<SavedSpeed>,
}

record!(SavedConcurrency, closed: false, always: [age_us, plateau_us], sparse: [carried, speed]);

impl Default for AdaptiveConcurrency {
    fn default() -> Self {
        Self::new()
    }
}

impl AdaptiveConcurrency {
    /// No limit yet, nothing under way.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            in_flight: 0,
            carried: None,
            cut_at: Timestamp::ZERO,
            held: 0,
            plateau: CAPACITY_PLATEAU.0,
            speed: Speed::new(),
            steady: 1,
            strain: None,
            stood: Duration::ZERO,
            chance: Chance::new(),
        }
    }

    /// What is worth remembering at `now`.
    #[must_use]
    pub fn save(&self, now: Timestamp) -> SavedConcurrency {
        let speed = self.speed.save();
        let Some(carried) = self.carried else {
            return SavedConcurrency { speed, ..SavedConcurrency::default() };
        };
        SavedConcurrency {
            carried: Some(carried),
            age_us: micros(self.calm(now)),
            plateau_us: micros(self.plateau),
            speed,
        }
    }

    /// Goes on at `now` from what was saved `asleep` ago, with nothing under way. No state is invalid: at least one
    /// attempt is let out, and the limit stays no longer than it ever does.
    #[must_use]
    pub fn restored(state: &SavedConcurrency, now: Timestamp, asleep: Duration) -> Self {
        let age = Duration::from_micros(state.age_us).saturating_add(asleep);
        let carried = state.carried.map(|carried| carried.max(1));
        Self {
            carried,
            held: carried.unwrap_or(0),
            cut_at: now.saturating_sub(age),
            plateau: Duration::from_micros(state.plateau_us).clamp(CAPACITY_PLATEAU.0, CAPACITY_PLATEAU.1),
            speed: Speed::restored(state.speed, now),
            ..Self::new()
        }
    }

    /// Whether there is a limit at all.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.carried.is_some()
    }

    /// Whether one more attempt may start at `now`.
    #[must_use]
    pub fn admits(&self, now: Timestamp) -> bool {
        self.limit(now).is_none_or(|limit| self.in_flight < limit)
    }

    /// The limit in force at `now`, in attempts.
    #[must_use]
    #[inline]
    pub fn limit(&self, now: Timestamp) -> Option<u64> {
        self.carried.map(|carried| self.grown(now, carried))
    }

    /// What a limit has grown to at `now` that was set at what was carried.
    #[inline(never)]
    fn grown(&self, now: Timestamp, carried: u64) -> u64 {
        let most = carried.max(match self.strain_at(now) {
            Some(strain) => strain.carried,
            // As far as it was used: what nobody needed teaches nothing, and time alone must not let a crowd in.
            None => self.held.saturating_mul(2).saturating_add(2),
        });
        let Some(growing) = self.calm(now).checked_sub(self.plateau) else { return carried };
        let steps = micros(growing) / micros(CAPACITY_STEP) + 1;
        let mut limit = carried;
        for step in 1..=steps {
            if limit >= most {
                return most;
            }
            limit = limit.saturating_add(if step <= CAPACITY_CAREFUL_STEPS { 1 } else { (limit / 2).max(1) });
        }
        limit.min(most)
    }

    /// When the limit of `now` next grows, where it holds something back.
    #[must_use]
    pub fn grows_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.carried?;
        if let Some(strain) = self.strain_at(now) {
            return Some(strain.until);
        }
        let calm = self.calm(now);
        let wait = match calm.checked_sub(self.plateau) {
            None => self.plateau - calm,
            Some(growing) => {
                let step = micros(CAPACITY_STEP);
                Duration::from_micros(step - micros(growing) % step)
            }
        };
        Some(now.saturating_add(wait))
    }

    /// Whether answers come so slowly at `now` that the limit does not grow.
    #[must_use]
    pub fn strained(&self, now: Timestamp) -> bool {
        self.strain_at(now).is_some()
    }

    /// Microseconds for each token of the answers of late; `None` before the first that is long enough to tell.
    #[must_use]
    pub fn per_token(&self) -> Option<u64> {
        self.speed.per_token()
    }

    /// An attempt, still counted as under way, was answered in `took` with `output_tokens` tokens.
    pub fn observe(&mut self, now: Timestamp, took: Duration, output_tokens: u32) {
        if !self.speed.observe(now, took, output_tokens) {
            return;
        }
        let until = now.saturating_add(STRAIN_HOLDS);
        match &mut self.strain {
            Some(strain) if now < strain.until && self.speed.strained() => strain.until = until,
            _ => {
                self.stood = self.stood(now);
                self.strain = None;
                if self.speed.strained() {
                    self.strain = Some(Strain { since: now, until, carried: self.in_flight });
                }
            }
        }
        if self.speed.steady() {
            self.steady = self.in_flight;
        }
    }

    fn strain_at(&self, now: Timestamp) -> Option<Strain> {
        self.strain.filter(|strain| now < strain.until)
    }

    fn stood(&self, now: Timestamp) -> Duration {
        let strain = self.strain.map(|strain| now.min(strain.until).saturating_since(strain.since));
        self.stood.saturating_add(strain.unwrap_or(Duration::ZERO))
    }

    /// How long growth has been under way since the last capacity error.
    fn calm(&self, now: Timestamp) -> Duration {
        now.saturating_since(self.cut_at).saturating_sub(self.stood(now))
    }

    /// Whether capacity errors are taken for chance at `now`: they set no limit.
    #[must_use]
    pub const fn meets_chance(&self, now: Timestamp) -> bool {
        self.chance.holds(now)
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
        self.held = self.held.max(self.in_flight);
        self.in_flight = self.in_flight.saturating_sub(1);
        self.chance.count(false);
    }

    /// An attempt that started at `started` met a capacity error. Returns the limit, if it was lowered.
    pub fn overloaded(&mut self, now: Timestamp, started: Timestamp) -> Option<u64> {
        self.in_flight = self.in_flight.saturating_sub(1);
        // What was sent to see whether more is carried by now was likely to be refused, and says nothing.
        if self.chance.holds(now) || self.carried.is_none_or(|carried| self.in_flight < carried) {
            self.chance.count(true);
        }
        if self.chance.holds(now) {
            return None;
        }
        // What was out already at the last cut was counted as carried, and was not.
        if let Some(carried) = self.carried.filter(|_| started < self.cut_at) {
            let limit = carried.saturating_sub(1).max(1);
            self.carried = Some(limit);
            self.held = self.held.saturating_sub(1).max(limit);
            return Some(limit).filter(|limit| *limit < carried);
        }
        if self.chance.shows(now, self.in_flight) {
            let Self { in_flight, speed, steady, chance, .. } = *self;
            *self = Self { in_flight, speed, steady, chance, ..Self::new() };
            return None;
        }
        let falling = self.carried.is_some() && now.saturating_since(self.cut_at) < CAPACITY_HOLD;
        let keeps = if falling { CAPACITY_KEEPS_PERMILLE } else { 1_000 };
        let mut limit = (self.in_flight.saturating_mul(keeps) / 1_000).max(1);
        if let Some(mut strain) = self.strain_at(now) {
            // Not below half: the usual speed may have been seen last when there was little to do.
            limit = self.steady.clamp(limit.div_ceil(2), limit);
            strain.since = now;
            self.strain = Some(strain);
        } else {
            self.strain = None;
        }
        self.stood = Duration::ZERO;
        // The same answer twice: it is asked less often.
        let same = self.carried.is_some_and(|before| before.abs_diff(limit) <= before / 4 + 1);
        self.plateau = if same { CAPACITY_PLATEAU.1 } else { CAPACITY_PLATEAU.0 };
        self.carried = Some(limit);
        self.held = limit;
        self.cut_at = now;
        Some(limit)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::defaults::SPEED_LEARNS;

    const TOKENS: u32 = 200;
    const USUAL: Duration = Duration::from_secs(2);
    const SLOW: Duration = Duration::from_secs(4);

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    fn answers(concurrency: &mut AdaptiveConcurrency, ms: u64, took: Duration, count: u32) {
        (0..count).for_each(|_| concurrency.observe(at(ms), took, TOKENS));
    }

    /// So many attempts under way at `ms`, and the usual speed known.
    fn carrying(attempts: u64, ms: u64) -> AdaptiveConcurrency {
        let mut concurrency = AdaptiveConcurrency::new();
        (0..attempts).for_each(|_| concurrency.start());
        answers(&mut concurrency, ms, USUAL, SPEED_LEARNS);
        concurrency
    }

    /// A service that answers in 2 s as long as it has at most 30 attempts at once, ever more slowly beyond, and refuses
    /// the 61st. Its caller has one more to send at once with each second. Returns the time of the first refusal after
    /// the one at the start.
    fn ramp(tells_lengths: bool, end: u64) -> Option<u64> {
        let mut concurrency = carrying(21, 1_000);
        concurrency.overloaded(at(1_000), at(1_000));
        let mut out: Vec<(u64, u64)> = (0..20).map(|index| (1_000, 3_000 + index * 100)).collect();
        for now in (1_000..end).step_by(10) {
            for (started, _) in out.extract_if(.., |(_, ends)| *ends <= now) {
                if tells_lengths {
                    concurrency.observe(at(now), Duration::from_millis(now - started), TOKENS);
                }
                concurrency.end();
            }
            while (out.len() as u64) < 19 + now / 1_000 && concurrency.admits(at(now)) {
                concurrency.start();
                if out.len() == 60 {
                    return Some(now);
                }
                let slower = (out.len() as u64 + 1).max(30);
                out.push((now, now + 2_000 * slower / 30));
            }
        }
        None
    }

    #[test]
    fn growth_stops_at_slower_answers_before_the_service_refuses() {
        let blind = ramp(false, 600_000).unwrap_or(u64::MAX);
        assert!((40_000..45_000).contains(&blind), "refused after {blind} ms");
        let seeing = ramp(true, 600_000).unwrap_or(u64::MAX);
        assert!(seeing >= blind * 3 / 2, "refused after {seeing} ms");
    }

    #[test]
    fn a_capacity_error_among_slow_answers_leads_back_to_the_last_stable_level() {
        let mut concurrency = carrying(30, 1_000);
        (30..45).for_each(|_| concurrency.start());
        answers(&mut concurrency, 2_000, SLOW, 8);
        assert!(concurrency.strained(at(2_000)));
        assert_eq!(concurrency.overloaded(at(2_100), at(2_100)), Some(30));
        let mut concurrency = carrying(45, 1_000);
        assert_eq!(concurrency.overloaded(at(2_100), at(2_100)), Some(44), "at the usual speed: what was carried");
        let mut concurrency = carrying(2, 1_000);
        (2..45).for_each(|_| concurrency.start());
        answers(&mut concurrency, 2_000, SLOW, 8);
        assert_eq!(concurrency.overloaded(at(2_100), at(2_100)), Some(22), "at most half is taken off");
    }

    #[test]
    fn of_a_crowd_what_was_not_refused_is_what_was_carried() {
        let mut concurrency = AdaptiveConcurrency::new();
        (0..120).for_each(|_| concurrency.start());
        let limits: Vec<_> = (0..100).map(|_| concurrency.overloaded(at(1_000), at(900))).collect();
        assert_eq!((limits[0], limits[99]), (Some(119), Some(20)));
        assert_eq!(concurrency.overloaded(at(1_000), at(900)), Some(19), "one at a time");
        for _ in 0..30 {
            concurrency.overloaded(at(1_000), at(900));
        }
        assert_eq!(concurrency.limit(at(1_000)), Some(1), "one is always let out");
    }

    /// A caller who sends what it may, four times a second and no more than ten at once, each of which is answered after 3 s
    /// unless `refuses` says at once that it is not. Returns how many of the last minute's milliseconds had a limit.
    fn limited_ms(end: u64, mut refuses: impl FnMut(u64, usize) -> bool) -> u64 {
        let mut concurrency = AdaptiveConcurrency::new();
        let (mut out, mut limited): (Vec<u64>, u64) = (Vec::new(), 0);
        for now in (0..end).step_by(250) {
            out.extract_if(.., |ends| *ends <= now).for_each(|_| concurrency.end());
            if out.len() < 10 && concurrency.admits(at(now)) {
                concurrency.start();
                if refuses(now, out.len()) {
                    concurrency.overloaded(at(now), at(now));
                } else {
                    out.push(now + 3_000);
                }
            }
            limited += if concurrency.is_limited() && now + 60_000 >= end { 250 } else { 0 };
        }
        limited
    }

    #[test]
    fn errors_that_come_by_chance_set_no_limit_for_long() {
        let mut state = 7_u64;
        let one_in_three = |_, _| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33).is_multiple_of(3)
        };
        let limited = limited_ms(300_000, one_in_three);
        assert!(limited < 20_000, "{limited} of 60,000 ms");
    }

    #[test]
    fn a_lack_of_slots_is_no_chance() {
        // It carries ten, then two from the first minute on.
        let limited = limited_ms(300_000, |now, out| out >= if now < 60_000 { 10 } else { 2 });
        assert_eq!(limited, 60_000);
    }

    #[test]
    fn a_quiet_time_lets_no_crowd_in() {
        let mut concurrency = carrying(21, 1_000);
        concurrency.overloaded(at(1_000), at(1_000));
        (0..20).for_each(|_| concurrency.end());
        let crowd = |concurrency: &mut AdaptiveConcurrency| {
            let before = concurrency.in_flight();
            (0..1_000).for_each(|_| {
                if concurrency.admits(at(60_000)) {
                    concurrency.start();
                }
            });
            concurrency.in_flight() - before
        };
        assert_eq!(crowd(&mut concurrency), 42, "twice what was carried");
        concurrency.end();
        assert_eq!(crowd(&mut concurrency), 45, "and twice that once it was");
    }

    #[test]
    fn slowness_alone_sets_no_limit() {
        let mut concurrency = carrying(30, 1_000);
        answers(&mut concurrency, 2_000, 10 * SLOW, 100);
        assert!(concurrency.strained(at(2_000)));
        assert_eq!((concurrency.limit(at(2_000)), concurrency.grows_at(at(2_000))), (None, None));
    }

    #[test]
    fn growth_goes_on_where_it_stopped() {
        let limited = || {
            let mut concurrency = carrying(21, 1_000);
            concurrency.overloaded(at(1_000), at(1_000));
            concurrency
        };
        let mut concurrency = limited();
        // The plateau ends at 2 s; the limit has grown well beyond what is carried when answers become slow.
        answers(&mut concurrency, 3_750, SLOW, 8);
        for ms in [3_750, 5_000, 13_749] {
            assert_eq!(concurrency.limit(at(ms)), Some(20), "what is carried, after {ms} ms");
            assert_eq!(concurrency.grows_at(at(ms)), Some(at(13_750)));
        }
        let untroubled = limited();
        for ms in [0, 250, 500, 1_000, 1_500] {
            assert_eq!(concurrency.limit(at(13_750 + ms)), untroubled.limit(at(3_750 + ms)), "{ms} ms later");
        }
        // And at once where answers are quick again.
        answers(&mut concurrency, 13_750, SLOW, 1);
        assert!(concurrency.strained(at(14_750)));
        answers(&mut concurrency, 14_750, USUAL, 20);
        assert!(!concurrency.strained(at(14_750)));
        assert_eq!(concurrency.limit(at(14_750)), untroubled.limit(at(3_750)));
    }

    #[test]
    fn an_endpoint_that_stays_slow_is_not_strained_for_ever() {
        let mut concurrency = carrying(30, 1_000);
        let calm = (1..200).find(|second| {
            answers(&mut concurrency, 1_000 + second * 1_000, SLOW, 5);
            *second > 1 && !concurrency.strained(at(1_000 + second * 1_000))
        });
        assert!(calm.is_some_and(|second| (90..120).contains(&second)), "{calm:?} s");
    }

    #[test]
    fn short_answers_say_nothing_about_speed() {
        let mut concurrency = carrying(30, 1_000);
        (0..100).for_each(|_| concurrency.observe(at(2_000), SLOW, 20));
        concurrency.observe(at(2_000), SLOW, 0);
        assert!(!concurrency.strained(at(2_000)));
        assert_eq!(concurrency.per_token(), Some(10_000));
        assert_eq!(AdaptiveConcurrency::new().per_token(), None);
    }
}
