//! Caps on the length of answers: what answers need, what is asked for, what the difference keeps from others.

use alloc::vec::Vec;
use core::time::Duration;

use super::Engine;
use super::event::Event;
use super::io::{Call, LabelId};
use super::store::Slot;
use crate::defaults::LABELS_KEPT;
use crate::kept::record;
use crate::outcome::Outcome;
use crate::output_length::{OutputLengths, SavedOutputLengths};
use crate::policy::{ModelId, OutputCap};
use crate::time::{Timestamp, micros};

/// Caps are advised in whole multiples of this.
const ROUND: u32 = 64;
/// How many answers pass between two looks at what to advise.
const LOOK_EVERY: u32 = 64;
const MINUTE_US: u128 = 60_000_000;

/// What was learned of the answers to one kind of call.
#[derive(Clone, Debug)]
struct Kind {
    lengths: OutputLengths,
    /// The cap that calls ask for, in sixteenths of a token, exponentially weighted.
    asked: u64,
    /// The answers since then.
    answers: u32,
    since: Timestamp,
    advised: Option<u32>,
}

/// What is saved of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SavedKind {
    label: LabelId,
    lengths: SavedOutputLengths,
    /// In tokens.
    asked: u32,
    answers: u32,
    /// Microseconds in which those answers came.
    within: u64,
    advised: Option<u32>,
}

record!(SavedKind, closed: false, always: [label, lengths, asked, answers, within], sparse: [advised]);

/// A cap to ask for, and what it would free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) label: LabelId,
    pub(super) cap: u32,
    pub(super) frees_tokens_per_minute: u64,
}

type Key = (ModelId, LabelId);

/// What was learned of the length of answers, by model and label: at most [`LABELS_KEPT`] kinds.
#[derive(Clone, Debug, Default)]
pub(super) struct Lengths {
    /// In the order of their keys.
    kinds: Vec<(Key, Kind)>,
}

impl Lengths {
    fn place(&self, key: Key) -> Result<usize, usize> {
        self.kinds.binary_search_by_key(&key, |(known, _)| *known)
    }

    fn insert(&mut self, key: Key, kind: Kind) {
        match self.place(key) {
            Ok(place) => self.kinds[place].1 = kind,
            Err(place) => self.kinds.insert(place, (key, kind)),
        }
    }

    /// The kind that a call is counted with.
    fn key(&self, model: ModelId, label: LabelId) -> Key {
        let key = (model, label);
        if self.kinds.len() < LABELS_KEPT || self.place(key).is_ok() { key } else { (model, LabelId(0)) }
    }

    /// An answer of `output` tokens came to a call that asked for a cap. Returns a cap to advise, when there is a new one.
    pub(super) fn answered(
        &mut self,
        now: Timestamp,
        (model, label): Key,
        asked: u32,
        output: u32,
        cut: bool,
        policy: &OutputCap,
    ) -> Option<Advice> {
        let key = self.key(model, label);
        let place = self.place(key).unwrap_or_else(|place| {
            let (lengths, asked) = (OutputLengths::new(), u64::from(asked) * 16);
            self.kinds.insert(place, (key, Kind { lengths, asked, answers: 0, since: now, advised: None }));
            place
        });
        let (_, kind) = &mut self.kinds[place];
        kind.lengths.observe(output, cut);
        kind.asked = kind.asked - kind.asked / 16 + u64::from(asked);
        kind.answers = kind.answers.saturating_add(1);
        if !kind.answers.is_multiple_of(LOOK_EVERY) {
            return None;
        }
        let cap = kind.cap(policy)?;
        let asked = kind.asked / 16;
        let known = kind.advised.is_some_and(|before| before.abs_diff(cap) <= before / 8);
        if known || u64::from(cap) >= asked - asked / 5 {
            return None;
        }
        kind.advised = Some(cap);
        let elapsed = u128::from(micros(now.saturating_since(kind.since))).max(1);
        let freed = u128::from(asked - u64::from(cap)) * u128::from(kind.answers) * MINUTE_US / elapsed;
        let (_, label) = key;
        Some(Advice { label, cap, frees_tokens_per_minute: u64::try_from(freed).unwrap_or(u64::MAX) })
    }

    /// The cap that holds the answers to calls like this one, once enough were seen.
    pub(super) fn cap(&self, call: &Call, policy: &OutputCap) -> Option<u32> {
        let place = self.place(self.key(call.model, call.label)).ok()?;
        self.kinds[place].1.cap(policy)
    }

    pub(super) fn save(&self, model: ModelId, now: Timestamp) -> Vec<SavedKind> {
        let of_model = self.kinds.iter().filter(|((of, _), _)| *of == model);
        let saved = of_model.map(|((_, label), kind)| SavedKind {
            label: *label,
            lengths: kind.lengths.save(),
            asked: u32::try_from(kind.asked / 16).unwrap_or(u32::MAX),
            answers: kind.answers,
            within: micros(now.saturating_since(kind.since)),
            advised: kind.advised,
        });
        saved.collect()
    }

    pub(super) fn restore(&mut self, model: ModelId, saved: &[SavedKind], now: Timestamp, asleep: Duration) {
        for state in saved {
            let kind = Kind {
                lengths: OutputLengths::restored(&state.lengths),
                asked: u64::from(state.asked) * 16,
                answers: state.answers,
                since: now.saturating_sub(asleep).saturating_sub(Duration::from_micros(state.within)),
                advised: state.advised,
            };
            self.insert(self.key(model, state.label), kind);
        }
    }

    /// Models have other numbers now; what has none is forgotten.
    pub(super) fn renumber(&mut self, place: impl Fn(ModelId) -> Option<ModelId>) {
        for ((model, label), kind) in core::mem::take(&mut self.kinds) {
            if let Some(model) = place(model) {
                self.insert((model, label), kind);
            }
        }
    }
}

impl Kind {
    fn cap(&self, policy: &OutputCap) -> Option<u32> {
        if self.lengths.seen() < policy.minimum_answers {
            return None;
        }
        self.lengths.quantile(policy.holds_permille)?.checked_next_multiple_of(ROUND)
    }
}

impl Engine {
    /// Lowers the cap of a call that comes in, where the policy wants it and enough is known. Returns the cap.
    pub(super) fn lower_cap(&self, call: &mut Call) -> Option<u32> {
        let policy = self.policy.output_cap();
        // A cap that is no part of the call's tokens takes nothing off them.
        let own = call.max_tokens.filter(|own| policy.clamp && u64::from(*own) <= call.tokens)?;
        let cap = self.lengths.cap(call, policy).filter(|cap| *cap < own)?;
        call.tokens = call.tokens.saturating_sub(u64::from(own - cap));
        Some(cap)
    }

    /// Learns from the length of an answer. Where a cap that was lowered here cut it short and there is time, the call
    /// waits for another attempt with its own; then this says so.
    pub(super) fn lift_cap(&mut self, now: Timestamp, slot: Slot, outcome: &Outcome) -> bool {
        let state = &self.calls.states[slot];
        let Some(own) = state.max_tokens() else { return false };
        let (id, model, label) = (state.id, state.model, state.label);
        if let Some(cap) = state.capped().filter(|_| outcome.truncated)
            && self.latest_start(&state.call(), state.submitted).is_none_or(|latest| now <= latest)
        {
            self.calls.states[slot].lift_cap();
            self.event(Event::CapLifted { call: id, cap });
            self.enqueue(slot);
            return true;
        }
        if let Some(output) = outcome.output_tokens {
            let policy = *self.policy.output_cap();
            if let Some(advice) = self.lengths.answered(now, (model, label), own, output, outcome.truncated, &policy) {
                let Advice { label, cap, frees_tokens_per_minute } = advice;
                let holds_permille = policy.holds_permille;
                self.event(Event::CapAdvised { model, label, cap, holds_permille, frees_tokens_per_minute });
            }
        }
        false
    }
}
