//! What a service would have counted for one pool.

use std::time::Duration;

use sluicegate::defaults::MOST_SPENT;
use sluicegate::{AttemptId, LimiterConfig, Spent, Timestamp};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The list of all that was admitted, without any cleverness.
#[derive(Debug)]
pub(crate) struct Ledger {
    limits: LimiterConfig,
    /// What is in `tokens` before this was taken when no day was limited, and a day is counted from when it is.
    day_from: usize,
    requests: Vec<(Option<AttemptId>, Timestamp)>,
    /// When, how much: reservations as they stand now, and what settlements took on top.
    tokens: Vec<(Option<AttemptId>, Timestamp, u64)>,
    out: usize,
}

impl Ledger {
    pub(crate) const fn new(limits: LimiterConfig) -> Self {
        Self { limits, day_from: 0, requests: Vec::new(), tokens: Vec::new(), out: 0 }
    }

    /// Other limits from now on.
    pub(crate) fn reconfigure(&mut self, limits: LimiterConfig) {
        if self.limits.tokens_per_day.is_none() || limits.tokens_per_day.is_none() {
            self.day_from = self.tokens.len();
        }
        self.limits = limits;
    }

    /// Enters an admission and checks every stretch of time that ends with it: no other can be fuller.
    pub(crate) fn admit(&mut self, now: Timestamp, attempt: AttemptId, tokens: u64) {
        self.requests.push((Some(attempt), now));
        self.tokens.push((Some(attempt), now, tokens));
        self.out += 1;
        let since = |span| move |at: Timestamp| now.saturating_since(at) < span;
        let sum = |from: usize, span| -> u128 {
            let inside = since(span);
            self.tokens[from..].iter().filter(|(_, at, _)| inside(*at)).map(|(_, _, tokens)| u128::from(*tokens)).sum()
        };
        let requests = self.requests.iter().filter(|(_, at)| since(MINUTE)(*at)).count() as u128;
        check("requests a minute", requests, self.limits.requests_per_minute);
        check("attempts at once", self.out as u128, self.limits.concurrency);
        check("tokens a minute", sum(0, MINUTE), self.limits.tokens_per_minute);
        check("tokens a day", sum(self.day_from, DAY), self.limits.tokens_per_day);
    }

    pub(crate) fn settle(&mut self, now: Timestamp, attempt: AttemptId, spent: Spent) {
        self.out -= 1;
        let entry = self.tokens.iter_mut().find(|(id, _, _)| *id == Some(attempt)).expect("it was admitted");
        let reserved = entry.2;
        let used = match spent {
            Spent::Tokens(used) => used.min(MOST_SPENT),
            Spent::Unknown => reserved,
            Spent::Nothing => 0,
            Spent::NeverSent => {
                self.requests.retain(|(id, _)| *id != Some(attempt));
                0
            }
        };
        entry.2 = used.min(reserved);
        if used > reserved {
            self.tokens.push((None, now, used - reserved));
        }
    }

    /// Whoever held the permits that are out is gone: what they reserved stays taken, and names begin anew.
    pub(crate) fn forget_out(&mut self) {
        self.out = 0;
        self.requests.iter_mut().for_each(|(id, _)| *id = None);
        self.tokens.iter_mut().for_each(|(id, _, _)| *id = None);
    }

    /// All that was ever taken and not given back.
    pub(crate) fn taken(&self) -> u128 {
        self.tokens.iter().map(|(_, _, tokens)| u128::from(*tokens)).sum()
    }
}

fn check(what: &str, found: u128, limit: Option<u64>) {
    assert!(limit.is_none_or(|limit| found <= u128::from(limit)), "{found} {what}, and the limit is {limit:?}");
}
