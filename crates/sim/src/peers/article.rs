//! The loop of many articles: up to five attempts, sleeping min(2^n + U(0,1), 30) s after the nth failure, n counted
//! from 0.
//!
//! Source: the article that this project grew from (tech-reader.blog, February 2025), whose snippet retries on throttling
//! and on capacity errors by their names.

use core::time::Duration;
use std::collections::BTreeMap;

use sluicegate::{Timestamp, random};

use super::aws::{AwsClass, end_of};
use crate::client::{Client, ClientCall, ClientReply, Io};

const ATTEMPTS: u32 = 5;
const LONGEST: Duration = Duration::from_secs(30);

/// The sleep after a failure, counted from 0.
fn sleep(failure: u32, draw: u64) -> Duration {
    let base = Duration::from_secs(1 << failure.min(5));
    let jitter = Duration::from_micros(random::scale(draw, 1_000_000));
    base.saturating_add(jitter).min(LONGEST)
}

/// The loop, around clients for each Region that are taken by turns.
#[derive(Debug)]
pub(super) struct Article {
    lanes: usize,
    turn: usize,
    /// Calls under way: where to, and failures so far.
    calls: BTreeMap<u32, (usize, u32)>,
}

impl Article {
    pub(super) const fn new(lanes: usize) -> Self {
        Self { lanes, turn: 0, calls: BTreeMap::new() }
    }
}

impl Client for Article {
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
            let wait = sleep(*failures, io.rng.next_u64());
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
    use super::*;

    #[test]
    fn sleeps_double_and_their_jitter_is_at_most_a_second() {
        let least: Vec<_> = (0..6).map(|failure| sleep(failure, 0).as_secs()).collect();
        assert_eq!(least, [1, 2, 4, 8, 16, 30]);
        assert_eq!(sleep(2, u64::MAX), Duration::from_secs(5));
        assert_eq!(sleep(4, u64::MAX), Duration::from_secs(17));
        assert_eq!(sleep(9, u64::MAX), LONGEST);
    }
}
