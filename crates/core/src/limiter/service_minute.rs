//! What was taken since a minute of the service began.

use core::time::Duration;

use super::phase::MinutePhase;
use crate::defaults::PHASE_GUARD;
use crate::time::{Timestamp, micros};
use crate::window::Window;

const MINUTE_US: u64 = 60_000_000;

/// The present minute of a service that counts by the clock.
///
/// While the service may be in the last minute or in the next, what goes out counts to both.
#[derive(Clone, Debug)]
pub(super) struct ServiceMinute {
    /// When it has begun for certain, when the next one may begin, and when that has begun for certain.
    begun: Timestamp,
    may_end: Timestamp,
    ended: Timestamp,
    taken: u64,
    /// What of it counts to the next one too.
    next: u64,
    /// What of it the service refused.
    refused: u64,
    /// Whether the next one may have begun, since the last turn.
    unsure: bool,
}

impl ServiceMinute {
    pub(super) fn new(now: Timestamp, phase: MinutePhase, window: &Window) -> Self {
        let mut minute = Self { begun: now, may_end: now, ended: now, taken: 0, next: 0, refused: 0, unsure: false };
        minute.place(now, phase);
        minute.taken = window.since(minute.begun.saturating_sub(minute.doubt()));
        if minute.unsure {
            minute.next = window.since(minute.may_end);
        }
        minute
    }

    fn place(&mut self, now: Timestamp, phase: MinutePhase) {
        let guard = micros(PHASE_GUARD);
        let unsure = phase.within_us.saturating_add(2 * guard).min(MINUTE_US / 2);
        let begins = phase.begins_us.saturating_add(MINUTE_US - guard).saturating_add(unsure) % MINUTE_US;
        let since = (now.as_micros() % MINUTE_US + MINUTE_US - begins) % MINUTE_US;
        self.begun = now.saturating_sub(Duration::from_micros(since));
        self.ended = now.saturating_add(Duration::from_micros(MINUTE_US - since));
        self.may_end = self.ended.saturating_sub(Duration::from_micros(unsure));
        self.unsure = now >= self.may_end;
    }

    /// For how long it is not certain which of two minutes it is.
    fn doubt(&self) -> Duration {
        self.ended.saturating_since(self.may_end)
    }

    /// Goes on to the minute of `now`.
    pub(super) fn turn(&mut self, now: Timestamp, phase: MinutePhase) {
        if now < self.ended {
            self.unsure = now >= self.may_end;
            return;
        }
        let last = self.ended;
        (self.taken, self.next, self.refused) = (self.next, 0, 0);
        self.place(now, phase);
        if self.begun > last.saturating_add(Duration::from_micros(MINUTE_US / 2)) {
            self.taken = 0;
        }
    }

    /// When what is added begins to count elsewhere.
    pub(super) fn still_until(&self, now: Timestamp) -> Timestamp {
        if now < self.may_end { self.may_end } else { self.ended }
    }

    pub(super) const fn ended(&self) -> Timestamp {
        self.ended
    }

    pub(super) fn holds(&self, at: Timestamp) -> bool {
        at >= self.begun && at < self.may_end
    }

    /// What went out so far and was not refused.
    pub(super) const fn let_through(&self) -> u64 {
        self.taken.saturating_sub(self.refused)
    }

    /// Counts what is taken as of the last turn.
    pub(super) const fn add(&mut self, amount: u64) {
        self.taken = self.taken.saturating_add(amount);
        if self.unsure {
            self.next = self.next.saturating_add(amount);
        }
    }

    /// What stays taken of an attempt that was refused.
    pub(super) fn refused(&mut self, at: Timestamp, kept: u64) {
        if at >= self.begun.saturating_sub(self.doubt()) {
            self.refused = self.refused.saturating_add(kept);
        }
    }

    pub(super) fn give_back(&mut self, at: Timestamp, amount: u64) {
        if at >= self.begun.saturating_sub(self.doubt()) {
            self.taken = self.taken.saturating_sub(amount);
        }
        if at >= self.may_end {
            self.next = self.next.saturating_sub(amount);
        }
    }

    /// What may be taken at `now`: the quota is spread over the minute, and what went unused of it so far is there at
    /// once. `None` where a debt is paid.
    pub(super) fn room(&self, now: Timestamp, limit: u64, burst: u64) -> Option<u64> {
        self.line(now, limit, burst).checked_sub(self.taken)
    }

    fn line(&self, now: Timestamp, limit: u64, burst: u64) -> u64 {
        let whole = u128::from(micros(self.may_end.saturating_since(self.begun)).max(1));
        let gone = u128::from(micros(now.saturating_since(self.begun)));
        let there = u128::from(limit) * gone / whole + u128::from(burst);
        u64::try_from(there).unwrap_or(u64::MAX).min(limit)
    }

    /// When `amount` may be taken; the more of it than `burst` leaves a debt.
    pub(super) fn earliest(&self, now: Timestamp, amount: u64, limit: u64, burst: u64) -> Timestamp {
        let room = limit.saturating_sub(amount);
        let ask = amount.min(burst);
        let after = |begun: Timestamp, taken: u64| {
            let whole = u128::from(micros(self.may_end.saturating_since(self.begun)));
            let short = u128::from(taken.saturating_add(ask).min(limit).saturating_sub(burst));
            let wait = (short * whole).div_ceil(u128::from(limit.max(1)));
            begun.saturating_add(Duration::from_micros(u64::try_from(wait).unwrap_or(u64::MAX)))
        };
        if self.taken <= room {
            now.max(after(self.begun, self.taken))
        } else if self.next <= room {
            after(self.ended, self.next)
        } else {
            self.ended.saturating_add(Duration::from_micros(MINUTE_US))
        }
    }
}
