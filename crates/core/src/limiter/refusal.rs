//! An answer that holds until a time.

use crate::outcome::Quota;
use crate::time::Timestamp;

/// When what was asked for may go out: known until then, if nothing is taken, given back or learned meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    from: Timestamp,
    /// Zero where there is none.
    until: Timestamp,
    tokens: u64,
    answer: (Timestamp, Quota),
}

impl Default for Refusal {
    fn default() -> Self {
        Self { from: Timestamp::ZERO, until: Timestamp::ZERO, tokens: 0, answer: (Timestamp::ZERO, Quota::Unknown) }
    }
}

impl Refusal {
    /// The answer at `now` to who asked for `tokens`; before `steady_until` no quota changes by itself.
    pub(super) fn new(now: Timestamp, tokens: u64, answer: (Timestamp, Quota), steady_until: Timestamp) -> Self {
        Self { from: now, until: answer.0.min(steady_until), tokens, answer }
    }

    /// The answer to the same question again.
    pub(super) fn answers(&self, now: Timestamp, tokens: u64) -> Option<(Timestamp, Quota)> {
        (now < self.until && tokens == self.tokens && now >= self.from).then_some(self.answer)
    }

    /// Something changed.
    pub(super) const fn end(&mut self) {
        self.until = Timestamp::ZERO;
    }
}
