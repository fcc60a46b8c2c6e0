//! A loop around a request: up to five attempts at one Region with a sleep after each failure, and nothing learned from any.

use core::time::Duration;
use std::collections::BTreeMap;

use sluicegate::Timestamp;

use super::aws::{AwsClass, end_of};
use crate::client::{Client, ClientCall, ClientReply, Io};

const ATTEMPTS: u32 = 5;
const LONGEST: Duration = Duration::from_secs(30);

/// The sleep after a failure, counted from 0; takes one draw.
pub(super) type Sleep = fn(u32, &mut Io<'_>) -> Duration;

/// The loop of many articles: min(2^n + U(0,1), 30) s after the nth failure.
///
/// Source: the article that this project grew from (tech-reader.blog, February 2025), whose snippet retries on throttling
/// and on capacity errors by their names.
pub(super) fn article(failure: u32, io: &mut Io<'_>) -> Duration {
    let base = Duration::from_secs(1 << failure.min(5));
    base.saturating_add(io.up_to(Duration::from_secs(1))).min(LONGEST)
}

/// The AWS SDK for Python's legacy mode: up to 2^n s after the nth failure.
///
/// Source: botocore 1.44.5, `retryhandler.py` and `_retry.json`: five attempts, a delay of rand * 2^(n-1) s after the nth,
/// for throttling names, 429, 500, 502, 503, 504, 509 and broken connections; no retry quota.
pub(super) fn legacy(failure: u32, io: &mut Io<'_>) -> Duration {
    io.up_to(Duration::from_secs(1 << failure))
}

/// The loop, around clients for each Region that are taken by turns.
#[derive(Debug)]
pub(super) struct Loop {
    sleep: Sleep,
    lanes: usize,
    turn: usize,
    /// Calls under way: where to, and failures so far.
    calls: BTreeMap<u32, (usize, u32)>,
}

impl Loop {
    pub(super) const fn new(sleep: Sleep, lanes: usize) -> Self {
        Self { sleep, lanes, turn: 0, calls: BTreeMap::new() }
    }
}

impl Client for Loop {
    fn call(&mut self, _: Timestamp, call: &ClientCall, io: &mut Io<'_>) {
        let lane = self.turn % self.lanes;
        self.turn += 1;
        self.calls.insert(call.number, (lane, 0));
        io.send(call.number, lane, 0);
    }

    fn reply(&mut self, now: Timestamp, call: u32, _: u64, reply: &ClientReply, io: &mut Io<'_>) {
        let Some((_, failures)) = self.calls.get_mut(&call) else { return };
        let again = matches!(AwsClass::of(reply), AwsClass::Throttling | AwsClass::NotReady | AwsClass::Transient);
        if again && *failures + 1 < ATTEMPTS {
            let wait = (self.sleep)(*failures, io);
            *failures += 1;
            return io.timer(now.saturating_add(wait), u64::from(call));
        }
        self.calls.remove(&call);
        io.end(call, end_of(reply));
    }

    fn timer(&mut self, _: Timestamp, token: u64, io: &mut Io<'_>) {
        let call = u32::try_from(token).unwrap_or(u32::MAX);
        if let Some((lane, _)) = self.calls.get(&call) {
            io.send(call, *lane, 0);
        }
    }

    fn gave_up(&mut self, _: Timestamp, call: u32, _: &mut Io<'_>) {
        self.calls.remove(&call);
    }
}

#[cfg(test)]
mod tests {
    use sluicegate::random::Draws;

    use super::*;

    fn sleeps(sleep: Sleep, draw: u64) -> Vec<Duration> {
        let mut io = Io { actions: &mut Vec::new(), rng: &mut Draws::new([draw]) };
        (0..ATTEMPTS + 1).map(|failure| sleep(failure, &mut io)).collect()
    }

    #[test]
    fn sleeps_double_up_to_their_bounds() {
        let seconds = |seconds: [u64; 6]| seconds.map(Duration::from_secs);
        assert_eq!(sleeps(article, 0), seconds([1, 2, 4, 8, 16, 30]), "at most half a minute");
        assert_eq!(sleeps(article, u64::MAX), seconds([2, 3, 5, 9, 17, 30]), "with a second of jitter");
        assert_eq!(sleeps(legacy, 0), seconds([0; 6]));
        assert_eq!(sleeps(legacy, u64::MAX), seconds([1, 2, 4, 8, 16, 32]));
    }
}
