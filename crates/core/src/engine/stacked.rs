//! Notices that a caller tries again by itself what was given up here.

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use crate::defaults::{FAILURES_KEPT, STACKED_WITHIN};
use crate::time::Timestamp;

/// The calls that lately ended without an answer, by the hash of what they asked; at most [`FAILURES_KEPT`].
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    ended: BTreeMap<u64, Timestamp>,
    order: VecDeque<(Timestamp, u64)>,
}

impl Failures {
    #[inline(never)]
    pub(super) fn note(&mut self, fingerprint: u64, now: Timestamp) {
        self.ended.insert(fingerprint, now);
        self.order.push_back((now, fingerprint));
        while let Some((at, oldest)) = self.order.front().copied()
            && (self.order.len() > FAILURES_KEPT || now.saturating_since(at) > STACKED_WITHIN)
        {
            self.order.pop_front();
            if self.ended.get(&oldest) == Some(&at) {
                self.ended.remove(&oldest);
            }
        }
    }

    /// How long ago a call that asked the same ended without an answer, if that was lately. Says so once for each end.
    #[inline(never)]
    pub(super) fn again(&mut self, fingerprint: u64, now: Timestamp) -> Option<Duration> {
        let since = now.saturating_since(self.ended.remove(&fingerprint)?);
        (since <= STACKED_WITHIN).then_some(since)
    }
}
