//! How long an endpoint takes to serve, learned from what it served.

use alloc::vec::Vec;
use core::time::Duration;

use serde_json::Value;

use crate::defaults::{SERVICE_TIME_LEAST_PERMILLE, SERVICE_TIME_MEMORY, SERVICE_TIME_PERMILLE};
use crate::kept::{self, Kept, Unfit};
use crate::time::micros;

/// Buckets per doubling: neighbouring bounds differ by an eighth at most.
const STEPS: u32 = 8;
/// The smallest bucket ends at 2^10 µs, about a millisecond; the largest begins above an hour.
const FIRST_OCTAVE: u32 = 10;
const OCTAVES: u32 = 22;
const BUCKETS: usize = (OCTAVES * STEPS) as usize;

/// The distribution of service times: a histogram on a logarithmic scale that forgets by halves.
///
/// It answers with a high quantile instead of a mean and deviations, because generation times have a long tail: what is
/// allowed for must be steady, or each long answer would shed the calls that wait.
///
/// ```
/// use core::time::Duration;
/// use sluicegate::ServiceTime;
///
/// let mut time = ServiceTime::new();
/// assert_eq!(time.allowance(), Duration::ZERO);
/// for _ in 0..100 {
///     time.observe(Duration::from_secs(2));
/// }
/// let allowance = time.allowance();
/// assert!(allowance >= Duration::from_secs(2) && allowance < Duration::from_millis(2_300));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTime {
    counts: [u16; BUCKETS],
    total: u32,
    usual: Mark,
    least: Mark,
}

/// Where a quantile lies that every waiting call is held against. It moves with each time that is seen, by a bucket or two.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    permille: u32,
    /// Its bucket, and how many times lie below.
    at: usize,
    below: u32,
    /// The end of that bucket in microseconds; zero before the first time.
    bound: u64,
}

impl Mark {
    const fn new(permille: u32) -> Self {
        Self { permille, at: 0, below: 0, bound: 0 }
    }

    fn seek(&mut self, counts: &[u16; BUCKETS], total: u32) {
        let rank = (total * self.permille).div_ceil(1_000).max(1);
        while self.below >= rank {
            self.at -= 1;
            self.below -= u32::from(counts[self.at]);
        }
        while self.below + u32::from(counts[self.at]) < rank {
            self.below += u32::from(counts[self.at]);
            self.at += 1;
        }
        self.bound = upper_bound(self.at);
    }
}

/// What a [`ServiceTime`] remembers beyond the life of its process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SavedServiceTime {
    /// The buckets that hold anything, each as its number and how many service times fell into it.
    pub counts: Vec<(u32, u32)>,
}

impl Kept for SavedServiceTime {
    fn store(&self) -> Value {
        self.counts.store()
    }

    fn load(&mut self, value: &Value) -> Result<(), Unfit> {
        self.counts.load(value)
    }

    fn is_blank(&self) -> bool {
        self.counts.is_blank()
    }
}

kept::serde!(SavedServiceTime);

impl Default for ServiceTime {
    fn default() -> Self {
        Self::new()
    }
}

impl ServiceTime {
    /// Nothing seen yet: no time is allowed for.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            counts: [0; BUCKETS],
            total: 0,
            usual: Mark::new(SERVICE_TIME_PERMILLE),
            least: Mark::new(SERVICE_TIME_LEAST_PERMILLE),
        }
    }

    /// One attempt was served in `took`. Returns whether one of the allowances moved.
    pub fn observe(&mut self, took: Duration) -> bool {
        let before = (self.usual.bound, self.least.bound);
        let index = bucket(micros(took));
        self.counts[index] += 1;
        self.total += 1;
        for mark in [&mut self.usual, &mut self.least] {
            mark.below += u32::from(index < mark.at);
        }
        self.forget();
        self.seek();
        before != (self.usual.bound, self.least.bound)
    }

    /// What is worth remembering.
    #[must_use]
    pub fn save(&self) -> SavedServiceTime {
        let counts = (0..).zip(&self.counts).filter(|(_, count)| **count > 0);
        SavedServiceTime { counts: counts.map(|(index, count)| (index, u32::from(*count))).collect() }
    }

    /// Goes on from what was saved. No state is invalid: buckets that do not exist are left out, and more than is ever
    /// remembered is halved until it fits.
    #[must_use]
    pub fn restored(state: &SavedServiceTime) -> Self {
        let mut time = Self::new();
        for (index, count) in &state.counts {
            let Some(slot) = usize::try_from(*index).ok().and_then(|index| time.counts.get_mut(index)) else {
                continue;
            };
            *slot = slot.saturating_add(u16::try_from(*count).unwrap_or(u16::MAX));
        }
        time.recount();
        while time.total >= SERVICE_TIME_MEMORY {
            time.forget();
        }
        if time.total > 0 {
            time.seek();
        }
        time
    }

    /// Halves all counts once they are as many as are remembered.
    fn forget(&mut self) {
        if self.total >= SERVICE_TIME_MEMORY {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.recount();
        }
    }

    fn recount(&mut self) {
        let sum = |counts: &[u16]| counts.iter().map(|count| u32::from(*count)).sum();
        self.total = sum(&self.counts);
        for mark in [&mut self.usual, &mut self.least] {
            mark.below = sum(&self.counts[..mark.at]);
        }
    }

    fn seek(&mut self) {
        self.usual.seek(&self.counts, self.total);
        self.least.seek(&self.counts, self.total);
    }

    /// Times that count.
    #[must_use]
    pub const fn seen(&self) -> u32 {
        self.total
    }

    /// What must be allowed for so that nearly every attempt ends within it.
    #[must_use]
    pub const fn allowance(&self) -> Duration {
        Duration::from_micros(self.usual.bound)
    }

    /// The same in microseconds.
    pub(crate) const fn allowance_us(&self) -> u64 {
        self.usual.bound
    }

    /// What must be allowed for so that most attempts end within it, where there is no time for more.
    #[must_use]
    pub const fn least_allowance(&self) -> Duration {
        Duration::from_micros(self.least.bound)
    }

    /// The same in microseconds.
    pub(crate) const fn least_allowance_us(&self) -> u64 {
        self.least.bound
    }

    /// The mean of the recent service times, at most a sixteenth off; zero before the first.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let sum = self.counts.iter().enumerate().map(|(index, count)| {
            let (bound, width) = (upper_bound(index), bucket_width(index));
            u64::from(*count) * (bound - width / 2)
        });
        Duration::from_micros(sum.sum::<u64>() / u64::from(self.total.max(1)))
    }

    /// A bound that at least `permille` thousandths of the recent service times do not exceed, at most an eighth above
    /// the least such bound; zero before the first.
    #[must_use]
    pub fn quantile(&self, permille: u32) -> Duration {
        let rank = (u64::from(self.total) * u64::from(permille.min(1_000))).div_ceil(1_000);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank && seen > 0 {
                return Duration::from_micros(upper_bound(index));
            }
        }
        Duration::ZERO
    }
}

fn bucket(micros: u64) -> usize {
    let octave = micros.max(1).ilog2();
    if octave < FIRST_OCTAVE {
        return 0;
    }
    let step = (micros >> (octave - 3)) & u64::from(STEPS - 1);
    let index = u64::from((octave - FIRST_OCTAVE) * STEPS) + step;
    usize::try_from(index).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

fn upper_bound(index: usize) -> u64 {
    let steps = u64::try_from(index).unwrap_or(u64::MAX) % u64::from(STEPS);
    bucket_width(index) * (u64::from(STEPS) + steps + 1)
}

fn bucket_width(index: usize) -> u64 {
    let octave = FIRST_OCTAVE + u32::try_from(index).unwrap_or(u32::MAX) / STEPS;
    1 << (octave - 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_falls_below_its_bucket_s_bound_and_not_far_below() {
        for micros in (0..40).flat_map(|shift| [(1_u64 << shift) - 1, 1 << shift, (1 << shift) * 3 / 2]) {
            let bound = upper_bound(bucket(micros));
            if (1_024..1 << 32).contains(&micros) {
                assert!(micros < bound && bound - micros <= micros / 8 + 1, "{micros} below {bound}");
            }
        }
    }

    #[test]
    fn the_mean_is_at_most_a_sixteenth_off() {
        let mut time = ServiceTime::new();
        assert_eq!(time.mean(), Duration::ZERO);
        for micros in (1..1_000_u64).map(|step| 1_100 + step * 7_919_777 % 9_000_000) {
            time.observe(Duration::from_micros(micros));
        }
        let exact = (1..1_000_u64).map(|step| 1_100 + step * 7_919_777 % 9_000_000).sum::<u64>() / 999;
        let off = micros(time.mean()).abs_diff(exact);
        assert!(off <= exact / 16, "{:?} for {exact}", time.mean());
    }

    #[test]
    fn what_is_allowed_for_is_the_quantile() {
        let mut time = ServiceTime::new();
        for step in 0..10_000_u64 {
            time.observe(Duration::from_micros(1_000 + step * 7_919_777 % 9_000_000));
            assert_eq!(time.allowance(), time.quantile(SERVICE_TIME_PERMILLE));
            assert_eq!(time.least_allowance(), time.quantile(SERVICE_TIME_LEAST_PERMILLE));
        }
    }

    #[test]
    fn what_is_allowed_for_follows_a_change() {
        let mut time = ServiceTime::new();
        for _ in 0..5_000 {
            time.observe(Duration::from_secs(1));
        }
        for _ in 0..1_000 {
            time.observe(Duration::from_secs(8));
        }
        assert!(time.allowance() >= Duration::from_secs(8));
        for _ in 0..5_000 {
            time.observe(Duration::from_secs(1));
        }
        assert!(time.allowance() < Duration::from_secs(2));
    }
}
