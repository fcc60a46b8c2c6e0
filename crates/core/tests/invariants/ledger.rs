//! What a service would have counted for one pool.

use std::collections::BTreeMap;
use std::time::Duration;

use sluicegate::{AttemptId, LimiterConfig, Spent, Timestamp};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The list of all that was admitted, without any cleverness.
#[derive(Debug)]
pub(crate) struct Ledger {
    limits: LimiterConfig,
    requests: BTreeMap<AttemptId, Timestamp>,
    /// When, how much: reservations as they stand now, and what settlements took on top.
    tokens: Vec<(Option<AttemptId>, Timestamp, u64)>,
    out: usize,
}

impl Ledger {
    pub(crate) const fn new(limits: LimiterConfig) -> Self {
        Self { limits, requests: BTreeMap::new(), tokens: Vec::new(), out: 0 }
    }

    /// Enters an admission and checks every stretch of time that ends with it: no other can be fuller.
    pub(crate) fn admit(&mut self, now: Timestamp, attempt: AttemptId, tokens: u64) {
        self.requests.insert(attempt, now);
        self.tokens.push((Some(attempt), now, tokens));
        self.out += 1;
        let since = |span| move |at: Timestamp| now.saturating_since(at) < span;
        let sum = |span| -> u128 {
            let inside = since(span);
            self.tokens.iter().filter(|(_, at, _)| inside(*at)).map(|(_, _, tokens)| u128::from(*tokens)).sum()
        };
        let requests = self.requests.values().filter(|at| since(MINUTE)(**at)).count() as u128;
        check("requests a minute", requests, self.limits.requests_per_minute);
        check("tokens a minute", sum(MINUTE), self.limits.tokens_per_minute);
        check("tokens a day", sum(DAY), self.limits.tokens_per_day);
        check("attempts at once", self.out as u128, self.limits.concurrency);
    }

    pub(crate) fn settle(&mut self, now: Timestamp, attempt: AttemptId, spent: Spent) {
        self.out -= 1;
        let entry = self.tokens.iter_mut().find(|(id, _, _)| *id == Some(attempt)).expect("it was admitted");
        let reserved = entry.2;
        let used = match spent {
            Spent::Tokens(used) => used,
            Spent::Unknown => reserved,
            Spent::Nothing => 0,
            Spent::NeverSent => {
                self.requests.remove(&attempt);
                0
            }
        };
        entry.2 = used.min(reserved);
        if used > reserved {
            self.tokens.push((None, now, used - reserved));
        }
    }
}

fn check(what: &str, found: u128, limit: Option<u64>) {
    assert!(limit.is_none_or(|limit| found <= u128::from(limit)), "{found} {what}, and the limit is {limit:?}");
}
