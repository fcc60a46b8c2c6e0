//! What a breaker counts: the outcomes of the last attempts, or of the last seconds.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use super::{BreakerWindow, SavedCount};
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) attempts: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

impl Tally {
    pub(super) const ZERO: Self = Self { attempts: 0, failed: 0, slow: 0 };

    #[inline]
    pub(super) fn count(&mut self, failed: bool, slow: bool) {
        // Neither of the parts exceeds the whole.
        let Some(attempts) = self.attempts.checked_add(1) else { return };
        self.attempts = attempts;
        self.failed += u32::from(failed);
        self.slow += u32::from(slow);
    }

    fn add(&mut self, other: Self) {
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.failed = self.failed.saturating_add(other.failed);
        self.slow = self.slow.saturating_add(other.slow);
    }

    fn remove(&mut self, other: Self) {
        self.attempts = self.attempts.saturating_sub(other.attempts);
        self.failed = self.failed.saturating_sub(other.failed);
        self.slow = self.slow.saturating_sub(other.slow);
    }
}

const SECOND: u64 = 1_000_000;
/// Outcomes of two bits each, 32 to a word.
const PER_WORD: u32 = 32;
/// More than any window holds, and far from the largest number.
const MOST_RESTORED: u32 = u32::MAX / 2;
const FAILED: u64 = 0b01;
const SLOW: u64 = 0b10;

/// The last `size` outcomes, written over in turn. Words are added as the first turn reaches them; what was not yet
/// written reads as neither failed nor slow.
#[derive(Clone, Debug)]
struct Ring {
    size: u32,
    next: u32,
    words: Vec<u64>,
}

impl Ring {
    /// Writes an outcome and returns the one it replaces.
    #[inline]
    fn replace(&mut self, outcome: u64) -> u64 {
        let word = (self.next / PER_WORD) as usize;
        let shift = self.next % PER_WORD * 2;
        self.next = if self.next + 1 < self.size { self.next + 1 } else { 0 };
        if let Some(word) = self.words.get_mut(word) {
            let old = (*word >> shift) & (FAILED | SLOW);
            *word ^= (old ^ outcome) << shift;
            old
        } else {
            self.grow(outcome << shift);
            0
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, word: u64) {
        self.words.push(word);
    }

    /// The last `count` outcomes, oldest first.
    fn last(&self, count: u32) -> impl Iterator<Item = u64> {
        let start = u64::from(self.next) + u64::from(self.size) - u64::from(count.min(self.size));
        (0..u64::from(count.min(self.size))).map(move |index| {
            let place = (start + index) % u64::from(self.size);
            let word = usize::try_from(place / u64::from(PER_WORD)).ok().and_then(|word| self.words.get(word));
            word.map_or(0, |word| (word >> (place % u64::from(PER_WORD) * 2)) & (FAILED | SLOW))
        })
    }
}

#[derive(Clone, Debug)]
enum Entries {
    Attempts(Ring),
    Seconds(Seconds),
}

/// The seconds in which attempts ended. What happens in the last of them is counted apart, and costs no look at the rest.
#[derive(Clone, Debug)]
struct Seconds {
    seconds: u32,
    /// When the last second ends, in microseconds.
    ends: u64,
    last: Tally,
    /// The number of the last second.
    second: u64,
    /// Oldest first.
    past: VecDeque<(u64, Tally)>,
}

impl Seconds {
    /// Begins the second of `now`.
    #[cold]
    #[inline(never)]
    fn turn(&mut self, now: Timestamp, total: &mut Tally) {
        if self.last.attempts > 0 {
            self.past.push_back((self.second, self.last));
            self.last = Tally::ZERO;
        }
        self.second = second(now);
        self.ends = (now.as_micros() / SECOND).saturating_add(1).saturating_mul(SECOND);
        while let Some((at, tally)) = self.past.front().copied()
            && at + u64::from(self.seconds) <= self.second
        {
            self.past.pop_front();
            total.remove(tally);
        }
    }

    fn each(&self) -> impl Iterator<Item = (u64, Tally)> {
        let last = (self.last.attempts > 0).then_some((self.second, self.last));
        self.past.iter().copied().chain(last)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Window {
    entries: Entries,
    pub(super) total: Tally,
}

/// The number of a second. It leaves room below the origin, so that what was counted before it keeps its age.
const fn second(now: Timestamp) -> u64 {
    now.as_micros() / SECOND + (1 << 32)
}

impl Window {
    pub(super) const fn new(window: BreakerWindow) -> Self {
        let entries = match window {
            BreakerWindow::Attempts(0) => Entries::Attempts(Ring { size: 1, next: 0, words: Vec::new() }),
            BreakerWindow::Attempts(size) => Entries::Attempts(Ring { size, next: 0, words: Vec::new() }),
            BreakerWindow::Seconds(seconds) => {
                Entries::Seconds(Seconds { seconds, ends: 0, last: Tally::ZERO, second: 0, past: VecDeque::new() })
            }
        };
        Self { entries, total: Tally::ZERO }
    }

    pub(super) fn clear(&mut self) {
        self.total = Tally::ZERO;
        match &mut self.entries {
            Entries::Attempts(ring) => {
                ring.next = 0;
                ring.words.clear();
            }
            Entries::Seconds(seconds) => {
                seconds.ends = 0;
                seconds.last = Tally::ZERO;
                seconds.past.clear();
            }
        }
    }

    #[inline]
    pub(super) fn count(&mut self, now: Timestamp, failed: bool, slow: bool) {
        let total = &mut self.total;
        match &mut self.entries {
            Entries::Attempts(ring) => {
                let outcome = u64::from(failed) | (u64::from(slow) << 1);
                let old = ring.replace(outcome);
                total.attempts += u32::from(total.attempts < ring.size);
                total.failed = total.failed - u32::from(old & FAILED != 0) + u32::from(failed);
                total.slow = total.slow - u32::from(old & SLOW != 0) + u32::from(slow);
            }
            Entries::Seconds(seconds) => {
                if now.as_micros() >= seconds.ends {
                    seconds.turn(now, total);
                }
                seconds.last.count(failed, slow);
                total.count(failed, slow);
            }
        }
    }

    /// What it holds, oldest first: neighbours of one outcome together, or each second.
    pub(super) fn save(&self, now: Timestamp) -> Vec<SavedCount> {
        let mut saved: Vec<SavedCount> = Vec::new();
        match &self.entries {
            Entries::Attempts(ring) => {
                for outcome in ring.last(self.total.attempts) {
                    let (failed, slow) = (u32::from(outcome & FAILED != 0), u32::from(outcome & SLOW != 0));
                    match saved.last_mut() {
                        Some(last) if last.failed == failed * last.attempts && last.slow == slow * last.attempts => {
                            *last = SavedCount {
                                age_s: 0,
                                attempts: last.attempts + 1,
                                failed: last.failed + failed,
                                slow: last.slow + slow,
                            };
                        }
                        _ => saved.push(SavedCount { age_s: 0, attempts: 1, failed, slow }),
                    }
                }
            }
            Entries::Seconds(seconds) => {
                let second = second(now);
                saved.extend(seconds.each().map(|(at, tally)| SavedCount {
                    age_s: u32::try_from(second.saturating_sub(at)).unwrap_or(u32::MAX),
                    attempts: tally.attempts,
                    failed: tally.failed,
                    slow: tally.slow,
                }));
            }
        }
        saved
    }

    /// What was saved, as far as it still counts. Counts that contradict each other are cut.
    pub(super) fn restored(window: BreakerWindow, saved: &[SavedCount], now: Timestamp, asleep: Duration) -> Self {
        let mut restored = Self::new(window);
        match &mut restored.entries {
            Entries::Attempts(ring) => {
                let all = saved.iter().fold(0, |sum: u64, count| sum.saturating_add(u64::from(count.attempts)));
                let mut skip = all.saturating_sub(u64::from(ring.size));
                for count in saved {
                    let skipped = u32::try_from(skip).unwrap_or(u32::MAX).min(count.attempts);
                    skip -= u64::from(skipped);
                    for index in skipped..count.attempts {
                        restored.count(now, count.spread(count.failed, index), count.spread(count.slow, index));
                    }
                }
            }
            Entries::Seconds(Seconds { seconds, past, .. }) => {
                let age = |count: &SavedCount| u64::from(count.age_s).saturating_add(asleep.as_secs());
                let mut counts: Vec<SavedCount> =
                    saved.iter().filter(|count| age(count) < u64::from(*seconds)).copied().collect();
                counts.sort_by_key(|count| Reverse(count.age_s));
                for count in counts {
                    let attempts = count.attempts.min(MOST_RESTORED - restored.total.attempts);
                    let tally = Tally { attempts, failed: count.failed.min(attempts), slow: count.slow.min(attempts) };
                    let at = second(now) - age(&count);
                    match past.back_mut() {
                        Some((last, tallied)) if *last == at => tallied.add(tally),
                        _ => past.push_back((at, tally)),
                    }
                    restored.total.add(tally);
                }
            }
        }
        restored
    }
}

impl SavedCount {
    /// Whether attempt number `index` is one of `part`, with these spread evenly over all.
    fn spread(&self, part: u32, index: u32) -> bool {
        let (part, attempts, index) = (u64::from(part), u64::from(self.attempts.max(1)), u64::from(index));
        index * part / attempts != (index + 1) * part / attempts
    }
}
