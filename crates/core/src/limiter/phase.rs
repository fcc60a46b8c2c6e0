//! When the minutes of a service begin that counts by the clock, as far as its refusals show.

use core::time::Duration;

use crate::defaults::PHASE_WITHIN;
use crate::kept::record;
use crate::time::{Timestamp, micros};
use crate::window::Window;

const MINUTE_US: u64 = 60_000_000;
/// What the way to the service may shift one send time against another.
const SLACK_US: u64 = 50_000;
/// Two beginnings cannot be closer to each other, so what seems so is none.
const CLOSEST_US: u64 = 45_000_000;
/// Longer than this between a refusal and an admission says too little.
const WIDEST_US: u64 = 25_000_000;
/// Beginnings that must agree, at least and at most.
const AGREEING: (u32, u32) = (3, 8);
/// Chances are counted in parts of this.
const CERTAIN: u64 = 1_000_000_000;
/// Above this chance of mere coincidence nothing is known: at first, and after much that turned out wrong.
const DOUBT: (u64, u64) = (CERTAIN / 1_000, CERTAIN / 1_000_000);
/// Where a beginning is expected within this time, attempts are kept for it.
const NEAR_US: u64 = 5_000_000;
/// A phase that no refusal confirmed for this long must show once more, since clocks drift.
const FADES: Duration = Duration::from_secs(60 * 60);

/// When a service that counts by the clock begins its minutes.
///
/// ```
/// use sluicegate::{Limiter, LimiterConfig, Quota, Timestamp};
///
/// let limiter = Limiter::new(LimiterConfig::unlimited(), Timestamp::ZERO);
/// assert_eq!(limiter.phase(Quota::Requests), None, "nothing was refused so far");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MinutePhase {
    /// The earliest time into a minute of the caller's clock at which a minute of the service may begin, in microseconds
    /// below 60,000,000.
    pub begins_us: u64,
    /// How much later it may be, in microseconds.
    pub within_us: u64,
}

/// A stretch of the minute, which may go over its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Arc {
    start: u64,
    width: u64,
}

impl Arc {
    /// How long after its start `at` is, less than a minute.
    const fn since(self, at: Timestamp) -> u64 {
        (at.as_micros() % MINUTE_US + MINUTE_US - self.start) % MINUTE_US
    }

    /// What two arcs have in common, both less than half a minute wide.
    const fn common(self, other: Self) -> Option<Self> {
        let ahead = (other.start + MINUTE_US - self.start) % MINUTE_US;
        let behind = (MINUTE_US - ahead) % MINUTE_US;
        if ahead < self.width {
            let left = self.width - ahead;
            Some(Self { start: other.start, width: if left < other.width { left } else { other.width } })
        } else if behind < other.width {
            let left = other.width - behind;
            Some(Self { start: self.start, width: if left < self.width { left } else { self.width } })
        } else {
            None
        }
    }
}

/// What is kept of a [`Phase`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SavedPhase {
    /// How long after the moment it was saved the arc begins, and how wide it is.
    arc: Option<(u64, u64)>,
    agreeing: u32,
    chance: u64,
    refuted: u32,
    held: u64,
}

record!(SavedPhase, closed: true, always: [arc, agreeing, chance, refuted, held], sparse: []);

/// Evidence for one quota.
///
/// Between the last attempt that was refused and the first one after it that was not, a service that counts by the clock
/// began a minute, if it does. Under other laws such stretches are anywhere, or come too often, or too little went out
/// since the last one: then all that was found is given up, and more is asked for next time.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    /// When the last attempt was sent that was refused.
    refused: Timestamp,
    /// When that became known.
    told_at: Timestamp,
    /// Whether an attempt sent after a refusal was known was refused as well. A service that refills continuously lets the
    /// first one through after such a pause, however regularly its refusals come.
    stayed: bool,
    /// When the first attempt after it was sent that was not; the end of time while there is none.
    admitted: Timestamp,
    /// The last beginning that was counted.
    counted_at: Timestamp,
    /// Where all beginnings so far can have been.
    arc: Option<Arc>,
    agreeing: u32,
    /// That so much agreement is mere coincidence.
    chance: u64,
    /// How often what was found turned out wrong.
    refuted: u32,
    /// The least that the service's minute held when it was refused last.
    held: u64,
    known: bool,
}

impl Phase {
    pub(super) const fn new() -> Self {
        Self {
            refused: Timestamp::ZERO,
            told_at: Timestamp::ZERO,
            stayed: false,
            admitted: Timestamp::ZERO,
            counted_at: Timestamp::ZERO,
            arc: None,
            agreeing: 0,
            chance: CERTAIN,
            refuted: 0,
            held: 0,
            known: false,
        }
    }

    pub(super) fn known(&self) -> Option<MinutePhase> {
        self.arc.filter(|_| self.known).map(|arc| MinutePhase { begins_us: arc.start, within_us: arc.width })
    }

    /// An attempt sent at `at` was answered. Whether anything is known changes seldom; true where it did.
    #[inline]
    pub(super) fn accepted(&mut self, at: Timestamp) -> bool {
        // Of no interest unless it is the first since the last refusal.
        if at >= self.admitted || at <= self.refused { false } else { self.began_before(at) }
    }

    #[cold]
    #[inline(never)]
    fn began_before(&mut self, at: Timestamp) -> bool {
        let before = self.known;
        let first = self.admitted == Timestamp::MAX;
        self.admitted = at;
        let width = micros(at.saturating_since(self.refused)).saturating_add(2 * SLACK_US);
        if width > WIDEST_US {
            return false;
        }
        let start = (self.refused.as_micros() % MINUTE_US + MINUTE_US - SLACK_US) % MINUTE_US;
        let seen = Arc { start, width };
        let too_soon = first && micros(at.saturating_since(self.counted_at)) < CLOSEST_US;
        let old = self.arc.filter(|_| !too_soon);
        match old.and_then(|old| Some((old, old.common(seen)?))) {
            Some((old, common)) => {
                self.arc = Some(common);
                if first && self.stayed {
                    self.chance = (self.chance * (old.width + width).min(MINUTE_US) / MINUTE_US).max(1);
                    self.agreeing = self.agreeing.saturating_add(1);
                }
            }
            None => {
                self.give_up();
                (self.arc, self.agreeing) = (Some(seen), u32::from(self.stayed));
            }
        }
        if first {
            self.counted_at = at;
        }
        self.known |= self.is_enough();
        self.known != before
    }

    fn is_enough(&self) -> bool {
        let doubt = (DOUBT.0 >> (2 * self.refuted).min(20)).max(DOUBT.1);
        self.agreeing >= (AGREEING.0 + self.refuted / 2).min(AGREEING.1)
            && self.chance <= doubt
            && self.arc.is_some_and(|arc| arc.width <= micros(PHASE_WITHIN))
    }

    /// An attempt of `amount` sent at `at` was refused, of which our own count stands in `window` and `limit` is in force.
    /// True where the minute it was sent in held as much as at other times, if that is known.
    pub(super) fn refused(&mut self, now: Timestamp, at: Timestamp, amount: u64, window: &Window, limit: u64) -> bool {
        if at <= self.refused {
            return self.known;
        }
        let first = at >= self.admitted;
        self.stayed = !first && (self.stayed || at >= self.told_at);
        (self.refused, self.told_at) = (at, now);
        if !first {
            return self.known;
        }
        self.admitted = Timestamp::MAX;
        let Some(arc) = self.arc else { return false };
        let since = arc.since(at);
        // A minute that may have begun or not tells nothing.
        if since <= arc.width {
            return self.known;
        }
        let start = Duration::from_micros(since);
        let end = Duration::from_micros(since - arc.width);
        let most = window.since(at.saturating_sub(start)).saturating_add(amount);
        let least = window.since(at.saturating_sub(end)).saturating_sub(amount);
        let held = self.held;
        let little = match self.known {
            true => u128::from(most) * 100 < u128::from(held.min(limit)) * 97,
            false => {
                let most = u128::from(most);
                most * 5 < u128::from(limit.min(window.total())) * 3
                    || most * 8 < u128::from(held) * 7
                    || held > 0 && u128::from(least) * 7 > u128::from(held) * 9
            }
        };
        if little {
            self.give_up();
        }
        self.held = least;
        self.known
    }

    fn give_up(&mut self) {
        // One of a kind is no finding yet.
        self.refuted = self.refuted.saturating_add(u32::from(self.agreeing > 1)).min(10);
        (self.arc, self.agreeing, self.chance, self.held, self.known) = (None, 0, CERTAIN, 0, false);
    }

    /// Takes what was confirmed too long ago for unknown. Nothing tells of that.
    pub(super) fn fade(&mut self, now: Timestamp) {
        if self.known && now.saturating_since(self.counted_at) > FADES {
            (self.agreeing, self.known) = (AGREEING.0 - 1, false);
        }
    }

    /// When to ask next while the service refuses, so that the arc becomes half as wide.
    pub(super) fn probe_at(&self, now: Timestamp) -> Option<Timestamp> {
        let arc = self.arc.filter(|arc| self.agreeing > 1 + self.refuted.min(1) && arc.width <= 2 * NEAR_US)?;
        let since = arc.since(now);
        let middle = arc.width / 2;
        let wait = if since < middle {
            (middle - since).max(SLACK_US)
        } else if since < arc.width {
            arc.width - since + SLACK_US
        } else {
            Some(MINUTE_US - since).filter(|wait| *wait <= NEAR_US)? + middle
        };
        Some(now.saturating_add(Duration::from_micros(wait)))
    }

    /// What is known is not kept as such: how long the process slept may be told wrong, so one more beginning must agree.
    pub(super) fn save(&self, now: Timestamp) -> SavedPhase {
        let agreeing = if self.known { self.agreeing.min(AGREEING.0 - 1) } else { self.agreeing };
        let arc = self.arc.map(|arc| ((MINUTE_US - arc.since(now)) % MINUTE_US, arc.width));
        SavedPhase {
            arc,
            agreeing,
            chance: if self.chance == CERTAIN { 0 } else { self.chance },
            refuted: self.refuted,
            held: self.held,
        }
    }

    /// The reverse, `asleep` microseconds later.
    pub(super) fn restored(state: &SavedPhase, now: Timestamp, asleep: u64) -> Self {
        let arc = state.arc.map(|(start, width)| {
            let start = now.as_micros() % MINUTE_US + start % MINUTE_US + MINUTE_US - asleep % MINUTE_US;
            Arc { start: start % MINUTE_US, width: width.min(WIDEST_US) }
        });
        let chance = if state.chance == 0 { CERTAIN } else { state.chance.min(CERTAIN) };
        let agreeing = if arc.is_some() { state.agreeing } else { 0 };
        Self { arc, agreeing, chance, refuted: state.refuted.min(10), held: state.held, ..Self::new() }
    }
}
