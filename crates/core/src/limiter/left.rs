//! What others leave of a quota, as far as refusals show.

use crate::kept::record;

/// Whole units are counted in parts of this.
const PART: u64 = 1 << 10;
/// More is taken for so much: a thousand times the largest quota.
const MOST: u64 = 1 << 40;
/// The share of what is left, as its inverse, by which it must be off the usual to move.
const MOVES: u64 = 33;

/// What had gone out within a minute when an attempt was refused: the mean and the mean deviation, smoothed as RFC 6298
/// does it with round trips.
///
/// A quota of which nobody else takes anything ends at about the same count each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    usual: u64,
    off: u64,
}

record!(Left, closed: true, always: [usual, off], sparse: []);

impl Left {
    /// An attempt was refused after `counted` had gone out within a minute.
    pub(super) fn observe(&mut self, counted: u64) {
        let counted = counted.min(MOST) * PART;
        if *self == Self::default() {
            self.usual = counted;
            return;
        }
        // What is restored may be any number.
        let usual = self.usual.min(MOST * PART);
        self.off = self.off.min(MOST * PART) / 4 * 3 + counted.abs_diff(usual) / 4;
        self.usual = usual / 8 * 7 + counted / 8;
    }

    /// Whether it is more at one time and less at another, by more than one request.
    pub(super) fn moves(&self) -> bool {
        self.off > PART && self.off > self.usual / MOVES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(counts: impl IntoIterator<Item = u64>) -> Left {
        let mut left = Left::default();
        counts.into_iter().for_each(|count| left.observe(count));
        left
    }

    #[test]
    fn it_moves_where_refusals_come_at_counts_that_differ() {
        assert!(left([180, 160, 200, 190, 150]).moves());
        assert!(left([20_000, 18_000, 22_000]).moves());
        assert!(!left([300, 302, 299, 301, 300]).moves(), "by less than a thirtieth");
        assert!(!left([30, 31, 30, 31, 30, 31]).moves(), "by a single request");
        assert!(!left([500]).moves(), "one of a kind");
        assert!(!left([180, 160, 200].into_iter().chain([170; 12])).moves(), "no longer");
    }

    #[test]
    fn whatever_is_restored_is_borne() {
        let mut left = Left { usual: u64::MAX, off: u64::MAX };
        (0..200).for_each(|_| left.observe(u64::MAX));
        (0..400).for_each(|_| left.observe(0));
        assert!(!left.moves());
    }
}
