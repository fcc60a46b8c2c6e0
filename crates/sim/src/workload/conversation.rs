//! Conversations: turn after turn sends all that was said before.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};
use sluicegate::{Rng, Timestamp};

use super::{Arrival, MAX_ARRIVALS, Workload};
use crate::attempt::Prefix;
use crate::quantile::Quantiles;

/// How conversations go on. A turn comes some time after the one before, whether that was answered or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversations {
    /// Turns of each; at least one.
    pub turns: Quantiles,
    /// From one turn to the next, in milliseconds.
    pub pause_ms: Quantiles,
    /// What every conversation begins with (instructions, documents, tools), in tokens.
    pub head_tokens: u64,
}

/// A turn to come; they are taken in the order of their times, and of their conversations at the same time.
type Next = Reverse<(Timestamp, u64, u64, u64)>;

impl Conversations {
    /// Turns first turns into whole conversations: all turns before `end`, in order.
    pub(super) fn follow(
        &self,
        workload: &Workload,
        firsts: Vec<Arrival>,
        end: Timestamp,
        rng: &mut dyn Rng,
    ) -> Vec<Arrival> {
        let mut all = Vec::with_capacity(firsts.len());
        let mut to_come: BinaryHeap<Next> = BinaryHeap::new();
        let mut tenants = Vec::with_capacity(firsts.len());
        let mut firsts = (0_u64..).zip(firsts).peekable();
        while all.len() < MAX_ARRIVALS {
            let first = firsts.peek().map(|(_, first)| first.at);
            let next = to_come.peek().map(|Reverse((at, ..))| *at);
            let (mut turn, conversation, prefix, left) = match (first, next) {
                (None, None) => break,
                (Some(first), next) if next.is_none_or(|next| first <= next) => {
                    let Some((conversation, first)) = firsts.next() else { break };
                    tenants.push(first.tenant);
                    let turns = self.turns.value(rng.next_u64()).max(1);
                    (first, conversation, self.head_tokens, turns - 1)
                }
                _ => {
                    let Some(Reverse((at, conversation, prefix, left))) = to_come.pop() else { break };
                    (workload.call(at, rng), conversation, prefix, left - 1)
                }
            };
            turn.prefix = Some(Prefix { conversation, tokens: prefix });
            let place = usize::try_from(conversation).unwrap_or(usize::MAX);
            turn.tenant = tenants.get(place).copied().unwrap_or(turn.tenant);
            let said = prefix.saturating_add(turn.input_tokens).saturating_add(turn.output_tokens);
            let pause = self.pause_ms.value(rng.next_u64()).saturating_mul(1_000);
            let at = Timestamp::from_micros(turn.at.as_micros().saturating_add(pause));
            if left > 0 && at < end {
                to_come.push(Reverse((at, conversation, said, left)));
            }
            all.push(turn);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::seed::Dice;
    use crate::workload::MaxTokens;

    #[test]
    fn each_turn_sends_all_that_was_said_before() {
        let mut workload = Workload::azure_conversation(1_000, MaxTokens::Fixed(500));
        workload.conversations = Some(Conversations {
            turns: Quantiles::constant(4),
            pause_ms: Quantiles::new(vec![(0, 5_000), (1_000, 60_000)]),
            head_tokens: 2_000,
        });
        let arrivals = workload.generate(Timestamp::ZERO, Duration::from_secs(1_000), &mut Dice::new(1));
        assert!(arrivals.windows(2).all(|pair| pair[0].at <= pair[1].at));
        let turns =
            |conversation| arrivals.iter().filter(move |call| call.prefix.unwrap().conversation == conversation);
        for conversation in 0..100 {
            let turns: Vec<_> = turns(conversation).collect();
            assert_eq!((turns.len(), turns[0].prefix.unwrap().tokens), (4, 2_000));
            for pair in turns.windows(2) {
                let said = pair[0].prefix.unwrap().tokens + pair[0].input_tokens + pair[0].output_tokens;
                assert_eq!(pair[1].prefix.unwrap().tokens, said);
            }
        }
    }
}
