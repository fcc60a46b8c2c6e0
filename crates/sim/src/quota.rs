//! Counters of one quota, under each shape the service might give it.
//!
//! AWS does not document how a minute quota refills; its blog "Mastering Amazon Bedrock throttling and service
//! availability" speaks of a 60-second cycle and the one public experiment (gilinachum/bedrock-latency) fits several
//! shapes. So the model has all of them, and a client is only good if it does well under each.

use std::collections::VecDeque;

use sluicegate::Timestamp;

use crate::config::Law;

/// One minute in microseconds.
pub const MINUTE_US: u64 = 60_000_000;
/// One day in microseconds.
pub const DAY_US: u64 = 86_400_000_000;

/// A reservation in one counter, to be settled once.
#[derive(Clone, Debug)]
pub struct Hold {
    amount: u64,
    /// Fixed window: its index. Sliding window: the entry's number. Continuous: unused.
    place: u64,
}

impl Hold {
    /// What was reserved.
    #[must_use]
    pub const fn amount(&self) -> u64 {
        self.amount
    }
}

/// A quota per minute: so many units, refilled by one [`Law`].
///
/// Units are whatever the caller counts in (tokens, or thousandths of a request). Settling above the reservation is
/// legal and leaves a debt.
#[derive(Clone, Debug)]
pub struct MinuteQuota {
    limit: u64,
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    Continuous(Bucket),
    Fixed(Window),
    Sliding(Sliding),
}

impl MinuteQuota {
    /// A counter of `limit` units per minute that starts at `now`.
    #[must_use]
    pub fn new(law: Law, limit: u64, now: Timestamp) -> Self {
        let shape = match law {
            Law::Continuous { burst_permille, start_permille } => {
                Shape::Continuous(Bucket::new(limit, burst_permille, start_permille, now))
            }
            Law::Fixed { phase_us } => Shape::Fixed(Window::new(MINUTE_US, phase_us, now)),
            Law::FixedDrawn => Shape::Fixed(Window::new(MINUTE_US, 0, now)),
            Law::Sliding => Shape::Sliding(Sliding::default()),
        };
        Self { limit, shape }
    }

    /// Units per minute now.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Changes the limit from `now` on; what was taken stays taken.
    pub fn set_limit(&mut self, now: Timestamp, limit: u64) {
        if let Shape::Continuous(bucket) = &mut self.shape {
            bucket.refill(now, self.limit);
            bucket.capacity = Bucket::capacity_at(limit, bucket.burst_permille);
            bucket.level = bucket.level.min(bucket.capacity);
        }
        self.limit = limit;
        if let Shape::Fixed(window) = &mut self.shape
            && window.forgiven != u64::MAX
        {
            window.forgiven = limit;
        }
    }

    /// From now on a fixed window that was overdrawn hands the excess to its successor, as the other shapes do by
    /// themselves. Services do not; it is for schedules that shall keep within the quota.
    pub(crate) fn keep_debts(&mut self) {
        if let Shape::Fixed(window) = &mut self.shape {
            window.forgiven = self.limit;
        }
    }

    /// Whether `amount` fits now. Changes nothing.
    #[must_use]
    pub fn would_admit(&self, now: Timestamp, amount: u64) -> bool {
        match &self.shape {
            Shape::Continuous(bucket) => bucket.level_at(now, self.limit) >= scaled(amount),
            Shape::Fixed(window) => window.used_at(now).saturating_add(amount) <= self.limit,
            Shape::Sliding(sliding) => {
                sliding.used_at(now).saturating_add(u128::from(amount)) <= u128::from(self.limit)
            }
        }
    }

    /// The earliest moment from `now` on at which `amount` fits if nothing else happens; `None` if it never does.
    #[must_use]
    pub fn earliest(&self, now: Timestamp, amount: u64) -> Option<Timestamp> {
        if self.would_admit(now, amount) {
            return Some(now);
        }
        match &self.shape {
            Shape::Continuous(bucket) => bucket.earliest(now, self.limit, amount),
            Shape::Fixed(window) => (amount <= self.limit).then(|| window.next_turn(now)),
            Shape::Sliding(sliding) => sliding.earliest(now, self.limit, amount),
        }
    }

    /// Takes `amount` if it fits.
    pub fn reserve(&mut self, now: Timestamp, amount: u64) -> Option<Hold> {
        self.would_admit(now, amount).then(|| self.take(now, amount))
    }

    /// Takes `amount` whether it fits or not; what is missing is a debt.
    pub fn take(&mut self, now: Timestamp, amount: u64) -> Hold {
        let place = match &mut self.shape {
            Shape::Continuous(bucket) => {
                bucket.refill(now, self.limit);
                bucket.level -= scaled(amount);
                0
            }
            Shape::Fixed(window) => window.add(now, amount),
            Shape::Sliding(sliding) => sliding.push(now, amount),
        };
        Hold { amount, place }
    }

    /// Settles a reservation at what was really used: the rest comes back, or the excess becomes debt.
    ///
    /// A fixed window that has turned since gets nothing back, and its successor pays any debt. In a sliding window a
    /// refund lowers the original entry and a debt is a new entry at `now`.
    pub fn settle(&mut self, now: Timestamp, hold: &Hold, used: u64) {
        match &mut self.shape {
            Shape::Continuous(bucket) => {
                bucket.refill(now, self.limit);
                let level = bucket.level + scaled(hold.amount) - scaled(used);
                bucket.level = level.min(bucket.capacity);
            }
            Shape::Fixed(window) => window.settle(now, hold, used),
            Shape::Sliding(sliding) => {
                if used > hold.amount {
                    sliding.push(now, used - hold.amount);
                } else {
                    sliding.refund(now, hold.place, hold.amount - used);
                }
            }
        }
    }

    /// Charges a refused attempt.
    ///
    /// A bucket is never emptier than empty and a fixed window never fuller than full; a sliding window that logs
    /// refusals can hold up to twice its limit, so a client that hammers keeps it shut.
    pub fn charge_refusal(&mut self, now: Timestamp, amount: u64) {
        match &mut self.shape {
            Shape::Continuous(bucket) => {
                bucket.refill(now, self.limit);
                bucket.level -= scaled(amount).min(bucket.level.max(0));
            }
            Shape::Fixed(window) => {
                let room = self.limit.saturating_sub(window.used_at(now));
                window.add(now, amount.min(room));
            }
            Shape::Sliding(sliding) => {
                let room = (u128::from(self.limit) * 2).saturating_sub(sliding.used_at(now));
                let amount = u64::try_from(u128::from(amount).min(room)).unwrap_or(amount);
                if amount > 0 {
                    sliding.push(now, amount);
                }
            }
        }
    }

    /// What is left in thousandths of the most there can be: 1000 is full, below 0 is debt.
    #[must_use]
    pub fn level_permille(&self, now: Timestamp) -> i64 {
        let (left, full) = match &self.shape {
            Shape::Continuous(bucket) => (bucket.level_at(now, self.limit), bucket.capacity),
            Shape::Fixed(window) => (i128::from(self.limit) - i128::from(window.used_at(now)), i128::from(self.limit)),
            Shape::Sliding(sliding) => {
                let used = i128::try_from(sliding.used_at(now)).unwrap_or(i128::MAX);
                (i128::from(self.limit).saturating_sub(used), i128::from(self.limit))
            }
        };
        if full == 0 { 0 } else { i64::try_from(left.saturating_mul(1000) / full).unwrap_or(i64::MIN) }
    }
}

/// Units in sixty-millionths, so that a refill of `limit` per minute adds exactly `limit` in each microsecond.
const fn scaled(amount: u64) -> i128 {
    amount as i128 * MINUTE_US as i128
}

/// A bucket that refills evenly.
#[derive(Clone, Debug)]
struct Bucket {
    level: i128,
    at: Timestamp,
    burst_permille: u32,
    /// The size at the limit in force.
    capacity: i128,
}

impl Bucket {
    fn new(limit: u64, burst_permille: u32, start_permille: u32, now: Timestamp) -> Self {
        let capacity = Self::capacity_at(limit, burst_permille);
        Self { level: capacity / 1000 * i128::from(start_permille.min(1000)), at: now, burst_permille, capacity }
    }

    fn capacity_at(limit: u64, burst_permille: u32) -> i128 {
        scaled(limit) / 1000 * i128::from(burst_permille)
    }

    fn level_at(&self, now: Timestamp, limit: u64) -> i128 {
        let passed = now.as_micros().saturating_sub(self.at.as_micros());
        let refill = i128::try_from(u128::from(passed) * u128::from(limit)).unwrap_or(i128::MAX);
        self.level.saturating_add(refill).min(self.capacity)
    }

    fn refill(&mut self, now: Timestamp, limit: u64) {
        self.level = self.level_at(now, limit);
        self.at = self.at.max(now);
    }

    fn earliest(&self, now: Timestamp, limit: u64, amount: u64) -> Option<Timestamp> {
        let need = scaled(amount);
        if need > self.capacity || limit == 0 {
            return None;
        }
        let missing = (need - self.level_at(now, limit)).max(0);
        let rate = i128::from(limit);
        let wait = u64::try_from((missing + rate - 1) / rate).ok()?;
        now.as_micros().checked_add(wait).map(Timestamp::from_micros)
    }
}

/// A counter that is zeroed at every turn of a fixed period.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    period_us: u64,
    phase_us: u64,
    index: u64,
    used: u64,
    /// What a turn takes off the count.
    forgiven: u64,
}

impl Window {
    pub(crate) const fn new(period_us: u64, phase_us: u64, now: Timestamp) -> Self {
        let mut window = Self { period_us, phase_us: phase_us % period_us, index: 0, used: 0, forgiven: u64::MAX };
        window.index = window.index_at(now);
        window
    }

    const fn index_at(&self, now: Timestamp) -> u64 {
        now.as_micros().saturating_add(self.period_us - self.phase_us) / self.period_us
    }

    pub(crate) const fn used_at(&self, now: Timestamp) -> u64 {
        let turns = self.index_at(now).saturating_sub(self.index);
        self.used.saturating_sub(self.forgiven.saturating_mul(turns))
    }

    pub(crate) const fn next_turn(&self, now: Timestamp) -> Timestamp {
        let next = self.index_at(now).saturating_add(1).saturating_mul(self.period_us);
        Timestamp::from_micros(next.saturating_sub(self.period_us - self.phase_us))
    }

    /// Adds to the window of `now` and answers which one that is.
    pub(crate) const fn add(&mut self, now: Timestamp, amount: u64) -> u64 {
        self.used = self.used_at(now).saturating_add(amount);
        self.index = self.index_at(now);
        self.index
    }

    pub(crate) const fn hold(&mut self, now: Timestamp, amount: u64) -> Hold {
        let place = self.add(now, amount);
        Hold { amount, place }
    }

    pub(crate) const fn settle(&mut self, now: Timestamp, hold: &Hold, used: u64) {
        if used > hold.amount {
            self.add(now, used - hold.amount);
        } else if hold.place == self.index_at(now) && hold.place == self.index {
            self.used = self.used.saturating_sub(hold.amount - used);
        }
    }
}

/// The exact sum over the last 60 seconds. Holds one entry per reservation, debt or charged refusal of that minute, so
/// at most about three times the limit in units, in practice three times the attempts.
#[derive(Clone, Debug, Default)]
struct Sliding {
    entries: VecDeque<(Timestamp, u64)>,
    /// Number of the first entry still held.
    first: u64,
    used: u128,
}

impl Sliding {
    /// An entry at `at` counts in `at <= now < at + 60 s`.
    const fn expired(at: Timestamp, now: Timestamp) -> bool {
        now.as_micros().saturating_sub(at.as_micros()) >= MINUTE_US
    }

    fn used_at(&self, now: Timestamp) -> u128 {
        let gone = self.entries.iter().take_while(|(at, _)| Self::expired(*at, now));
        self.used.saturating_sub(gone.map(|(_, amount)| u128::from(*amount)).sum())
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((at, amount)) = self.entries.front().copied() {
            if !Self::expired(at, now) {
                break;
            }
            self.entries.pop_front();
            self.first += 1;
            self.used = self.used.saturating_sub(u128::from(amount));
        }
    }

    fn push(&mut self, now: Timestamp, amount: u64) -> u64 {
        self.expire(now);
        self.entries.push_back((now, amount));
        self.used += u128::from(amount);
        self.first + self.entries.len() as u64 - 1
    }

    fn refund(&mut self, now: Timestamp, place: u64, amount: u64) {
        self.expire(now);
        let Some(index) = place.checked_sub(self.first).and_then(|index| usize::try_from(index).ok()) else { return };
        if let Some(entry) = self.entries.get_mut(index) {
            let amount = amount.min(entry.1);
            entry.1 -= amount;
            self.used = self.used.saturating_sub(u128::from(amount));
        }
    }

    fn earliest(&self, now: Timestamp, limit: u64, amount: u64) -> Option<Timestamp> {
        let room = u128::from(limit.checked_sub(amount)?);
        let mut used = self.used;
        for (at, entry) in &self.entries {
            used = used.saturating_sub(u128::from(*entry));
            if used <= room {
                let free = at.as_micros().checked_add(MINUTE_US)?;
                return Some(Timestamp::from_micros(free).max(now));
            }
        }
        Some(now)
    }
}
