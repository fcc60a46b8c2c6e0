//! The AWS SDK for Python's legacy mode.
//!
//! Source: botocore 1.44.5, `retryhandler.py` and `_retry.json`: five attempts, a delay of rand * 2^(n-1) s after the nth,
//! for throttling names, 429, 500, 502, 503, 504, 509 and broken connections; no retry quota.

use core::time::Duration;
use std::collections::BTreeMap;

use sluicegate::Timestamp;

use super::aws::{AwsClass, end_of};
use crate::client::{Client, ClientCall, ClientReply, Io};

const ATTEMPTS: u32 = 5;

/// The longest delay after an attempt, counted from 1.
const fn longest(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.saturating_sub(1))
}

/// One client for each Region, taken by turns.
#[derive(Debug)]
pub(super) struct Legacy {
    lanes: usize,
    turn: usize,
    /// Calls under way: where to, and attempts so far.
    calls: BTreeMap<u32, (usize, u32)>,
}

impl Legacy {
    pub(super) const fn new(lanes: usize) -> Self {
        Self { lanes, turn: 0, calls: BTreeMap::new() }
    }
}

impl Client for Legacy {
    fn call(&mut self, _: Timestamp, call: &ClientCall, io: &mut Io<'_>) {
        let lane = self.turn % self.lanes;
        self.turn += 1;
        self.calls.insert(call.number, (lane, 1));
        io.send(call.number, lane, 0);
    }

    fn reply(&mut self, now: Timestamp, call: u32, _: u64, reply: &ClientReply, io: &mut Io<'_>) {
        let Some((_, attempts)) = self.calls.get_mut(&call) else { return };
        let again = matches!(AwsClass::of(reply), AwsClass::Throttling | AwsClass::NotReady | AwsClass::Transient);
        if again && *attempts < ATTEMPTS {
            let wait = io.up_to(longest(*attempts));
            *attempts += 1;
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
    use super::*;

    #[test]
    fn delays_double_from_one_second() {
        let longest: Vec<_> = (1..5).map(|attempt| longest(attempt).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8]);
    }
}
