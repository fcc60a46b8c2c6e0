//! Answers that hold until a time.

use crate::outcome::Quota;
use crate::time::Timestamp;

/// When what was asked for may go out: known until then, if nothing is taken, given back or learned meanwhile.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    from: Timestamp,
    /// Zero where there is none.
    until: Timestamp,
    /// Who is told so: whoever asks for as many, or, where requests are what is missing, for no more than these.
    tokens: u64,
    at: Timestamp,
    quota: Quota,
}

impl Refusal {
    const NONE: Self =
        Self { from: Timestamp::ZERO, until: Timestamp::ZERO, tokens: 0, at: Timestamp::ZERO, quota: Quota::Unknown };

    fn is_for(&self, now: Timestamp, tokens: u64) -> bool {
        now < self.until
            && now >= self.from
            && (tokens == self.tokens || self.quota == Quota::Requests && tokens < self.tokens)
    }
}

/// The last two refusals: most questions are about the call that waits at the head of a queue, and some about one that
/// comes in.
#[derive(Clone, Debug)]
pub(super) struct Refusals {
    last: [Refusal; 2],
    /// Which of them was asked for last.
    latest: usize,
    /// How often they were ended.
    ended: u64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { last: [Refusal::NONE; 2], latest: 0, ended: 0 }
    }
}

impl Refusals {
    /// The answer at `now` to who asked for `tokens`, and to who asks for fewer where it is for want of requests; before
    /// `steady_until` no quota changes by itself.
    pub(super) fn keep(
        &mut self,
        now: Timestamp,
        tokens: u64,
        (at, quota): (Timestamp, Quota),
        steady_until: Timestamp,
    ) {
        self.latest = 1 - self.latest;
        let old = &mut self.last[self.latest];
        // What waits for tokens must not be forgotten beside what is not ended by them.
        if quota == Quota::Requests && old.quota != Quota::Requests && old.until > Timestamp::ZERO {
            self.ended = self.ended.wrapping_add(1);
        }
        *old = Refusal { from: now, until: at.min(steady_until), tokens, at, quota };
    }

    /// The answer to the same question again.
    #[inline]
    pub(super) fn find(&mut self, now: Timestamp, tokens: u64) -> Option<(Timestamp, Quota)> {
        if !self.last[self.latest].is_for(now, tokens) {
            if !self.last[1 - self.latest].is_for(now, tokens) {
                return None;
            }
            self.latest = 1 - self.latest;
        }
        let found = &self.last[self.latest];
        Some((found.at, found.quota))
    }

    /// Something changed.
    pub(super) const fn end(&mut self) {
        self.last[0].until = Timestamp::ZERO;
        self.last[1].until = Timestamp::ZERO;
        self.ended = self.ended.wrapping_add(1);
    }

    /// There is more of all but requests than there was.
    pub(super) fn end_but_for_requests(&mut self) {
        for refusal in &mut self.last {
            if refusal.quota != Quota::Requests && refusal.until > Timestamp::ZERO {
                refusal.until = Timestamp::ZERO;
                self.ended = self.ended.wrapping_add(1);
            }
        }
    }

    /// How often they were ended.
    pub(super) const fn ended(&self) -> u64 {
        self.ended
    }
}
