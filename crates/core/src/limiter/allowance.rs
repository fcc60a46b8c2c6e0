//! What may go out without another look at the quotas.

use crate::time::Timestamp;

/// A share of both minute quotas that is known to be there, and what went out of it so far.
///
/// One look at buckets and windows tells how much may be taken: buckets only fill and windows only empty by themselves, so
/// what fits now fits later too. Attempts are counted off here until something begins or stops counting; then, or at the
/// next look, the quotas are charged with what went out, and what is left goes on. That is never too late, and leaves less
/// in a full bucket rather than more.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowance {
    /// What went out before is not given back to it. The end of time where it is withheld.
    from: Timestamp,
    /// Zero where there is none.
    until: Timestamp,
    left: Amounts,
    given: Amounts,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Amounts {
    pub(super) requests: u64,
    pub(super) tokens: u64,
}

impl Allowance {
    pub(super) const fn new(from: Timestamp, until: Timestamp, given: Amounts) -> Self {
        Self { from, until, left: given, given }
    }

    pub(super) fn covers(&self, now: Timestamp, tokens: u64) -> bool {
        now < self.until && self.left.requests > 0 && tokens <= self.left.tokens
    }

    /// The tokens that it covers beyond its last request, which is gone.
    pub(super) fn without_requests(&self, now: Timestamp) -> Option<u64> {
        (now < self.until && self.left.requests == 0).then_some(self.left.tokens)
    }

    /// Whether its time is over but something is left.
    pub(super) fn may_go_on(&self, now: Timestamp) -> bool {
        self.left.requests > 0 && now >= self.until && self.until > Timestamp::ZERO
    }

    /// Where its time is over: what the quotas must be charged with, and when. What is left may go on.
    pub(super) const fn end_slot(&mut self) -> (Timestamp, Amounts) {
        let out = self.out();
        self.given = self.left;
        (self.until, out)
    }

    /// What is left may go out until another time.
    pub(super) const fn go_on(&mut self, from: Timestamp, until: Timestamp) {
        self.from = from;
        self.until = until;
    }

    /// Counts off one request, if it covers it.
    pub(super) fn take(&mut self, now: Timestamp, tokens: u64) -> bool {
        if now < self.until
            && let Some(requests) = self.left.requests.checked_sub(1)
            && let Some(tokens) = self.left.tokens.checked_sub(tokens)
        {
            self.left = Amounts { requests, tokens };
            return true;
        }
        false
    }

    /// Counts off tokens alone, if it covers them.
    pub(super) fn take_tokens(&mut self, now: Timestamp, tokens: u64) -> bool {
        let covered = now < self.until && tokens <= self.left.tokens;
        if covered {
            self.left.tokens -= tokens;
        }
        covered
    }

    /// Takes back what went out of it at `at`; false where it was not out of it.
    pub(super) fn give_back(&mut self, now: Timestamp, at: Timestamp, back: Amounts) -> bool {
        let out = self.out();
        let ours = at >= self.from && now < self.until && back.tokens <= out.tokens && back.requests <= out.requests;
        if ours {
            self.left.requests += back.requests;
            self.left.tokens += back.tokens;
        }
        ours
    }

    /// Whether it has ended and has not been closed.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        (now >= self.until || self.from == Timestamp::MAX) && self.until > Timestamp::ZERO
    }

    /// What went out of it and is not charged yet.
    pub(super) const fn out(&self) -> Amounts {
        Amounts { requests: self.given.requests - self.left.requests, tokens: self.given.tokens - self.left.tokens }
    }

    /// Nothing more goes out of it; what did remains to be charged.
    pub(super) const fn withhold(&mut self) {
        self.from = Timestamp::MAX;
        self.given = self.out();
        self.left = Amounts { requests: 0, tokens: 0 };
    }

    /// What the quotas must be charged with, and when; it goes on with what is left unless it has ended.
    pub(super) fn post(&mut self, now: Timestamp) -> Option<(Timestamp, Amounts)> {
        let (at, out) = (now.min(self.until), self.out());
        self.given = self.left;
        if self.is_over(now) {
            self.until = Timestamp::ZERO;
        }
        (out.requests > 0 || out.tokens > 0).then_some((at, out))
    }

    /// Ends it, after [`Allowance::post`].
    pub(super) const fn end(&mut self) {
        self.until = Timestamp::ZERO;
    }
}
