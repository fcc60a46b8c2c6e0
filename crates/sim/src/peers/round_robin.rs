//! Region after Region until one answers: each call starts at the next Region and tries each once, at once.
//!
//! As small packages and articles do it: bedrock-region-balancer 0.5.0 for the turn, bedrock-fallback-engine 0.3.0 for going on
//! after any error, both without their sleeps.

use std::collections::BTreeMap;

use sluicegate::Timestamp;

use super::aws::end_of;
use crate::client::{Client, ClientCall, ClientReply, Io};

/// The Regions in turn.
#[derive(Debug)]
pub(super) struct RoundRobin {
    lanes: usize,
    turn: usize,
    /// Calls under way: the Region they are at, and attempts so far.
    calls: BTreeMap<u32, (usize, usize)>,
}

impl RoundRobin {
    pub(super) const fn new(lanes: usize) -> Self {
        Self { lanes, turn: 0, calls: BTreeMap::new() }
    }
}

impl Client for RoundRobin {
    fn call(&mut self, _: Timestamp, call: &ClientCall, io: &mut Io<'_>) {
        let lane = self.turn % self.lanes;
        self.turn += 1;
        self.calls.insert(call.number, (lane, 1));
        io.send(call.number, lane, 0);
    }

    fn reply(&mut self, _: Timestamp, call: u32, _: u64, reply: &ClientReply, io: &mut Io<'_>) {
        let Some((lane, attempts)) = self.calls.get_mut(&call) else { return };
        let over = matches!(reply, ClientReply::Answer { .. } | ClientReply::Error { delivered: true, .. });
        if !over && *attempts < self.lanes {
            *attempts += 1;
            *lane = (*lane + 1) % self.lanes;
            return io.send(call, *lane, 0);
        }
        self.calls.remove(&call);
        io.end(call, end_of(reply));
    }

    fn gave_up(&mut self, _: Timestamp, call: u32, _: &mut Io<'_>) {
        self.calls.remove(&call);
    }
}
