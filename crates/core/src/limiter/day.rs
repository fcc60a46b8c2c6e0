//! The tokens of a day, and a pool that the service closed for the day.

use alloc::vec::Vec;
use core::time::Duration;

use crate::defaults::DAY_PROBE;
use crate::time::{Timestamp, micros};
use crate::window::Window;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SLOT: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Debug)]
pub(super) struct DayQuota {
    /// The limit and what was taken since there is one.
    limited: Option<(u64, Window)>,
    /// What went out before is not in the window, for there was no limit. What went out at the very moment at which one
    /// came may be in it, but nobody knows which of that is.
    counts_from: Timestamp,
    closed_until: Timestamp,
    /// When the service last refused for the day, until an attempt sent later was answered: one attempt at a time asks.
    refused_at: Option<Timestamp>,
}

impl DayQuota {
    pub(super) fn new(limit: Option<u64>, now: Timestamp) -> Self {
        Self {
            limited: limit.map(|limit| (limit, Window::new(DAY, SLOT, now))),
            counts_from: Timestamp::ZERO,
            closed_until: Timestamp::ZERO,
            refused_at: None,
        }
    }

    pub(super) fn reconfigure(&mut self, now: Timestamp, limit: Option<u64>) {
        let window = self.limited.take().map(|(_, window)| window);
        if window.is_none() {
            self.counts_from = now.saturating_add(Duration::from_micros(1));
        }
        self.limited = limit.map(|limit| (limit, window.unwrap_or_else(|| Window::new(DAY, SLOT, now))));
    }

    pub(super) const fn limit(&self) -> Option<u64> {
        match &self.limited {
            Some((limit, _)) => Some(*limit),
            None => None,
        }
    }

    pub(super) fn sum(&mut self, now: Timestamp) -> u64 {
        self.limited.as_mut().map_or(0, |(_, window)| window.sum(now))
    }

    pub(super) fn earliest(&mut self, now: Timestamp, tokens: u64) -> Timestamp {
        let open = self.closed_until.max(now);
        match &mut self.limited {
            Some((limit, window)) => window.earliest(now, limit.saturating_sub(tokens)).max(open),
            None => open,
        }
    }

    /// How much may be taken before [`DayQuota::still_until`] without asking again; `None` where nothing may.
    pub(super) fn room(&mut self, now: Timestamp) -> Option<u64> {
        if self.refused_at.is_some() || self.closed_until > now {
            return None;
        }
        match &mut self.limited {
            Some((limit, window)) => limit.checked_sub(window.sum(now)),
            None => Some(u64::MAX),
        }
    }

    /// What went out before this is not to be given back.
    pub(super) const fn counts_from(&self) -> Timestamp {
        self.counts_from
    }

    pub(super) fn still_until(&self) -> Timestamp {
        self.limited.as_ref().map_or(Timestamp::MAX, |(_, window)| window.still_until())
    }

    pub(super) fn enter_slot(&mut self, now: Timestamp) -> Timestamp {
        self.limited.as_mut().map_or(Timestamp::MAX, |(_, window)| window.enter_slot(now))
    }

    pub(super) fn take(&mut self, now: Timestamp, tokens: u64) {
        if let Some((_, window)) = &mut self.limited {
            window.add(now, tokens);
        }
    }

    /// Takes `tokens` that went out since the last look at [`DayQuota::room`].
    pub(super) fn charge(&mut self, tokens: u64) {
        if let Some((_, window)) = &mut self.limited {
            window.add_here(tokens);
        }
    }

    pub(super) fn give_back(&mut self, now: Timestamp, at: Timestamp, tokens: u64) {
        if let Some((_, window)) = &mut self.limited
            && at >= self.counts_from
        {
            window.remove(now, at, tokens);
        }
    }

    /// An attempt went out. Where the day was refused it asks whether the day has turned; the others wait for its answer.
    pub(super) fn sent(&mut self, now: Timestamp) {
        if self.refused_at.is_some() {
            self.closed_until = now.saturating_add(DAY_PROBE);
        }
    }

    pub(super) fn refused(&mut self, now: Timestamp) {
        self.closed_until = self.closed_until.max(now.saturating_add(DAY_PROBE));
        self.refused_at = Some(now);
    }

    /// True where that opened the day again.
    pub(super) fn accepted(&mut self, at: Timestamp) -> bool {
        let opens = self.refused_at.is_some_and(|refused| at > refused);
        if opens {
            self.refused_at = None;
            self.closed_until = Timestamp::ZERO;
        }
        opens
    }

    /// What was taken, for how long it is closed yet, and how long ago it was refused.
    pub(super) fn save(&self, now: Timestamp) -> (Vec<(u64, u64)>, u64, Option<u64>) {
        let taken = self.limited.as_ref().map_or_else(Vec::new, |(_, window)| window.entries(now));
        let closed = micros(self.closed_until.saturating_since(now));
        (taken, closed, self.refused_at.map(|at| micros(now.saturating_since(at))))
    }

    /// What was saved `asleep` microseconds ago.
    pub(super) fn restore(
        &mut self,
        now: Timestamp,
        asleep: u64,
        (taken, closed, refused): (&[(u64, u64)], u64, Option<u64>),
    ) {
        if let Some((_, window)) = &mut self.limited {
            window.restore(now, asleep, taken);
        }
        let closed = closed.min(micros(DAY)).saturating_sub(asleep);
        self.closed_until = now.saturating_add(Duration::from_micros(closed));
        self.refused_at = refused.map(|ago| now.saturating_sub(Duration::from_micros(ago.saturating_add(asleep))));
    }
}
