//! How long answers are, learned from what was answered.

use alloc::vec::Vec;

use crate::kept::record;

/// Buckets per doubling: neighbouring bounds differ by an eighth at most.
const STEPS: u32 = 8;
/// The first bucket ends at 2^4 tokens; the last begins above a million.
const FIRST_OCTAVE: u32 = 4;
const OCTAVES: u32 = 17;
const BUCKETS: usize = (OCTAVES * STEPS) as usize;
/// Answers remembered; then all counts are halved.
const MEMORY: u32 = 20_000;

/// The distribution of the lengths of answers, in tokens: a histogram on a logarithmic scale that forgets by halves.
///
/// A service reserves the whole cap on an answer's length when it admits a call, so a cap far above what answers need
/// keeps quota from other calls. This says what they need.
///
/// ```
/// use sluicegate::OutputLengths;
///
/// let mut lengths = OutputLengths::new();
/// assert_eq!(lengths.quantile(999), None);
/// for tokens in 1..=1_000 {
///     lengths.observe(tokens, false);
/// }
/// let holds = lengths.quantile(999).unwrap();
/// assert!((1_000..1_125).contains(&holds));
/// // Answers that were cut short may have needed anything.
/// for _ in 0..10 {
///     lengths.observe(400, true);
/// }
/// assert_eq!(lengths.quantile(999), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputLengths {
    counts: [u16; BUCKETS],
    /// Answers that were cut short.
    cut: u16,
    total: u32,
}

/// What [`OutputLengths`] remember beyond the life of their process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SavedOutputLengths {
    /// For each bucket that is not empty, its number and its count.
    pub counts: Vec<(u32, u16)>,
    /// Answers that were cut short.
    pub cut: u16,
}

record!(SavedOutputLengths, closed: false, always: [counts, cut], sparse: []);

impl Default for OutputLengths {
    fn default() -> Self {
        Self::new()
    }
}

impl OutputLengths {
    /// Nothing seen yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { counts: [0; BUCKETS], cut: 0, total: 0 }
    }

    /// An answer had `tokens` tokens; `cut` says that its cap ended it.
    pub fn observe(&mut self, tokens: u32, cut: bool) {
        let count = if cut { &mut self.cut } else { &mut self.counts[bucket(tokens)] };
        *count = count.saturating_add(1);
        self.total += 1;
        if self.total >= MEMORY {
            self.halve();
        }
    }

    /// What is to be kept.
    #[must_use]
    pub fn save(&self) -> SavedOutputLengths {
        let counts = (0..).zip(self.counts).filter(|(_, count)| *count > 0).collect();
        SavedOutputLengths { counts, cut: self.cut }
    }

    /// Goes on where another stopped. Any state is safe to go on from.
    #[must_use]
    pub fn restored(state: &SavedOutputLengths) -> Self {
        let mut lengths = Self { cut: state.cut, total: u32::from(state.cut), ..Self::new() };
        for (bucket, count) in &state.counts {
            let Some(place) = usize::try_from(*bucket).ok().and_then(|bucket| lengths.counts.get_mut(bucket)) else {
                continue;
            };
            let added = (*count).min(u16::MAX - *place);
            *place += added;
            lengths.total = lengths.total.saturating_add(u32::from(added));
        }
        while lengths.total >= MEMORY {
            lengths.halve();
        }
        lengths
    }

    fn halve(&mut self) {
        self.counts.iter_mut().chain([&mut self.cut]).for_each(|count| *count /= 2);
        self.total = self.counts.iter().chain([&self.cut]).map(|count| u32::from(*count)).sum();
    }

    /// Answers that count.
    #[must_use]
    pub const fn seen(&self) -> u32 {
        self.total
    }

    /// A length that at least `permille` thousandths of the answers do not exceed, at most an eighth above the least such
    /// length. `None` before the first answer, and where so many were cut short that nobody knows.
    #[must_use]
    pub fn quantile(&self, permille: u32) -> Option<u32> {
        let rank = (u64::from(self.total) * u64::from(permille.min(1_000))).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return Some(upper_bound(index));
            }
        }
        None
    }
}

fn bucket(tokens: u32) -> usize {
    let octave = tokens.max(1).ilog2();
    if octave < FIRST_OCTAVE {
        return 0;
    }
    let step = (tokens >> (octave - 3)) & (STEPS - 1);
    ((octave - FIRST_OCTAVE) * STEPS + step).min(BUCKETS as u32 - 1) as usize
}

/// Lengths of the bucket are at most this.
fn upper_bound(index: usize) -> u32 {
    let index = index as u32;
    let octave = FIRST_OCTAVE + index / STEPS;
    (1 << octave) + (index % STEPS + 1) * (1 << (octave - 3)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_within_its_bucket_and_not_far_below_its_end() {
        for tokens in (0..20).flat_map(|shift| [(1_u32 << shift) - 1, 1 << shift, (1 << shift) * 3 / 2]) {
            let bound = upper_bound(bucket(tokens));
            assert!(tokens <= bound, "{tokens} up to {bound}");
            assert!(tokens < 16 || bound - tokens <= tokens / 8, "{tokens} up to {bound}");
        }
    }

    #[test]
    fn it_forgets_what_is_long_past() {
        let mut lengths = OutputLengths::new();
        for _ in 0..1_000 {
            lengths.observe(8_000, false);
        }
        for _ in 0..200_000 {
            lengths.observe(100, false);
        }
        assert!(lengths.quantile(999).is_some_and(|length| length < 120));
        assert!(lengths.seen() <= MEMORY);
    }
}
