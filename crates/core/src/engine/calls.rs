//! The calls under way, packed, and when those that wait are to be looked at again.

use core::time::Duration;

use super::holders::Holders;
use super::io::{AttemptId, Call, CallId, LabelId, TenantId};
use super::queue::Place;
use super::store::{Named, Slot, Store};
use super::tree::{Links, NONE, Node, Tree};
use crate::budget::MilliTokens;
#[cfg(doc)]
use crate::defaults::MOST_TOKENS;
use crate::policy::{EndpointId, ModelId};
use crate::time::{Timestamp, micros};

/// Which of a call's optional fields are there.
const DEADLINE: u8 = 1;
const AFFINITY: u8 = 2;
const MAX_TOKENS: u8 = 4;
const FINGERPRINT: u8 = 8;
const LONE: u8 = 16;
const CHARGED: u8 = 32;
/// It is counted among what its tenant holds.
const HELD: u8 = 64;
/// It has waited for its prompt cache already.
const PARKED: u8 = 128;

/// Stands for no endpoint.
const NOWHERE: EndpointId = EndpointId(u16::MAX);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallPhase {
    Waiting,
    Delayed(Timestamp),
    Out(AttemptId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Delayed,
    Out,
}

/// A call and what became of it so far. A million of them may wait, so this is kept small: 160 bytes. What a search through
/// a tree looks at is side by side, since each node of a large one has to be fetched from far.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct CallState {
    pub(super) place: Place,
    in_order: Links,
    /// The neighbours among what its tenant holds: this and `newer`.
    pub(super) older: u32,
    /// While it waits: from when on it is too late to be started, or the end of time. While it is delayed: until when.
    /// While it is out: its attempt.
    about: u64,
    by_time: Links,
    pub(super) newer: u32,
    pub(super) id: CallId,
    by_deadline: Links,
    charged: u32,
    deadline: Timestamp,
    pub(super) submitted: Timestamp,
    affinity: u64,
    fingerprint: u64,
    delay: u64,
    /// Nobody may wait with more than [`MOST_TOKENS`], which is far less than fits.
    tokens: u32,
    /// The cap on its answer that it is sent with, where that is lower than its own; 0 for none.
    capped: u32,
    pub(super) tenant: TenantId,
    pub(super) cached_tokens: u32,
    max_tokens: u32,
    pub(super) attempts: u32,
    /// Of those, refused by quota.
    pub(super) throttled: u32,
    failed_at: EndpointId,
    pub(super) model: ModelId,
    pub(super) label: LabelId,
    priority: u8,
    has: u8,
    stage: Stage,
}

impl CallState {
    pub(super) fn new(call: &Call, submitted: Timestamp, place: Place, capped: Option<u32>) -> Self {
        let Call {
            id,
            model,
            tokens,
            deadline,
            priority,
            tenant,
            affinity,
            cached_tokens,
            max_tokens,
            label,
            fingerprint,
            lone,
        } = *call;
        let flag = |there: bool, flag: u8| if there { flag } else { 0 };
        Self {
            id,
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            deadline: deadline.unwrap_or_default(),
            affinity: affinity.unwrap_or_default(),
            fingerprint: fingerprint.unwrap_or_default(),
            submitted,
            place,
            about: u64::MAX,
            delay: 0,
            charged: 0,
            capped: capped.unwrap_or_default(),
            tenant,
            cached_tokens,
            max_tokens: max_tokens.unwrap_or_default(),
            attempts: 0,
            throttled: 0,
            in_order: Links::NEW,
            by_deadline: Links::NEW,
            by_time: Links::NEW,
            older: NONE,
            newer: NONE,
            failed_at: NOWHERE,
            model,
            label,
            priority,
            has: flag(deadline.is_some(), DEADLINE)
                | flag(affinity.is_some(), AFFINITY)
                | flag(max_tokens.is_some(), MAX_TOKENS)
                | flag(fingerprint.is_some(), FINGERPRINT)
                | flag(lone, LONE),
            // In no queue yet.
            stage: Stage::Out,
        }
    }

    pub(super) const fn call(&self) -> Call {
        Call {
            id: self.id,
            model: self.model,
            tokens: self.tokens(),
            deadline: self.deadline(),
            priority: self.priority,
            tenant: self.tenant,
            affinity: self.affinity(),
            cached_tokens: self.cached_tokens,
            max_tokens: self.max_tokens(),
            label: self.label,
            fingerprint: self.fingerprint(),
            lone: self.has(LONE),
        }
    }

    /// The tokens that it is admitted with.
    pub(super) const fn tokens(&self) -> u64 {
        self.tokens as u64
    }

    /// Where the last attempt failed: other endpoints are tried first.
    pub(super) fn failed_at(&self) -> Option<EndpointId> {
        (self.failed_at != NOWHERE).then_some(self.failed_at)
    }

    pub(super) fn set_failed_at(&mut self, endpoint: Option<EndpointId>) {
        self.failed_at = endpoint.unwrap_or(NOWHERE);
    }

    /// Whether it has waited for its prompt cache already.
    pub(super) const fn parked(&self) -> bool {
        self.has(PARKED)
    }

    pub(super) const fn set_parked(&mut self) {
        self.has |= PARKED;
    }

    pub(super) const fn fingerprint(&self) -> Option<u64> {
        if self.has(FINGERPRINT) { Some(self.fingerprint) } else { None }
    }

    pub(super) const fn affinity(&self) -> Option<u64> {
        if self.has(AFFINITY) { Some(self.affinity) } else { None }
    }

    pub(super) const fn max_tokens(&self) -> Option<u32> {
        if self.has(MAX_TOKENS) { Some(self.max_tokens) } else { None }
    }

    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        if self.has(DEADLINE) { Some(self.deadline) } else { None }
    }

    pub(super) const fn phase(&self) -> CallPhase {
        match self.stage {
            Stage::Waiting => CallPhase::Waiting,
            Stage::Delayed => CallPhase::Delayed(Timestamp::from_micros(self.about)),
            Stage::Out => CallPhase::Out(AttemptId(self.about)),
        }
    }

    /// An attempt goes out for it.
    pub(super) const fn out(&mut self, attempt: AttemptId) {
        self.stage = Stage::Out;
        self.about = attempt.0;
    }

    /// How long its last retry was put off.
    pub(super) const fn delay(&self) -> Duration {
        Duration::from_micros(self.delay)
    }

    pub(super) fn set_delay(&mut self, delay: Duration) {
        self.delay = micros(delay);
    }

    /// What the last retry cost the budget.
    pub(super) const fn charged(&self) -> Option<MilliTokens> {
        if self.has(CHARGED) { Some(self.charged as MilliTokens) } else { None }
    }

    pub(super) fn set_charged(&mut self, cost: MilliTokens) {
        self.has |= CHARGED;
        self.charged = u32::try_from(cost).unwrap_or(u32::MAX);
    }

    /// The cap on its answer that it is sent with, where that is lower than its own.
    pub(super) const fn capped(&self) -> Option<u32> {
        if self.capped == 0 { None } else { Some(self.capped) }
    }

    /// It is sent with its own cap from now on.
    pub(super) fn lift_cap(&mut self) {
        self.tokens = self.tokens.saturating_add(self.max_tokens.saturating_sub(self.capped));
        self.capped = 0;
    }

    const fn has(&self, flag: u8) -> bool {
        self.has & flag != 0
    }
}

impl Named for CallState {
    fn name(&self) -> u64 {
        self.id.0
    }
}

/// Among the calls of its tenant.
#[derive(Clone, Copy, Debug)]
pub(super) struct InOrder;

/// Among the calls of its model.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByDeadline;

/// Among all that are to be looked at again at some time.
#[derive(Clone, Copy, Debug)]
struct ByTime;

impl Node<InOrder> for CallState {
    type Key = Place;

    fn key(&self) -> Place {
        self.place
    }

    fn links(&self) -> &Links {
        &self.in_order
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.in_order
    }
}

impl Node<ByDeadline> for CallState {
    type Key = (Timestamp, CallId);

    fn key(&self) -> (Timestamp, CallId) {
        (self.deadline, self.id)
    }

    fn links(&self) -> &Links {
        &self.by_deadline
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.by_deadline
    }
}

impl Node<ByTime> for CallState {
    type Key = (u64, CallId);

    fn key(&self) -> (u64, CallId) {
        (self.about, self.id)
    }

    fn links(&self) -> &Links {
        &self.by_time
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.by_time
    }
}

/// All calls under way.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    pub(super) states: Store<CallState>,
    delayed: Tree<ByTime>,
    /// From when on each waiting call is too late to be started.
    too_late: Tree<ByTime>,
    pub(super) holders: Holders,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self { states: Store::new(), delayed: Tree::default(), too_late: Tree::default(), holders: Holders::new() }
    }

    pub(super) fn get(&self, id: &CallId) -> Option<&CallState> {
        self.states.get(id.0)
    }

    pub(super) fn find(&self, id: &CallId) -> Option<Slot> {
        self.states.find(id.0)
    }

    /// Those that wait or are delayed, in no particular order.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &CallState> {
        self.states.iter().filter(|state| state.stage != Stage::Out)
    }

    /// The call waits; after `too_late_at` it need not be started.
    pub(super) fn wait(&mut self, slot: Slot, too_late_at: Option<Timestamp>, weight: u32) {
        self.states[slot].stage = Stage::Waiting;
        self.hold(slot, weight);
        self.watch(slot, too_late_at);
    }

    /// The call waits for another time; it is in no queue.
    pub(super) fn delay(&mut self, slot: Slot, until: Timestamp, weight: u32) {
        let state = &mut self.states[slot];
        state.stage = Stage::Delayed;
        state.about = until.as_micros();
        self.hold(slot, weight);
        self.delayed.insert(&mut self.states, slot);
    }

    /// Notes from when on a waiting call is too late to be started.
    pub(super) fn watch(&mut self, slot: Slot, too_late_at: Option<Timestamp>) {
        self.states[slot].about = too_late_at.map_or(u64::MAX, Timestamp::as_micros);
        if self.states[slot].about < u64::MAX {
            self.too_late.insert(&mut self.states, slot);
        }
    }

    /// Nothing is to be done about the call at any time any more.
    pub(super) fn unwatch(&mut self, slot: Slot) {
        match self.states[slot].stage {
            Stage::Waiting if self.states[slot].about < u64::MAX => {
                self.too_late.remove(&mut self.states, slot);
                self.states[slot].about = u64::MAX;
            }
            Stage::Delayed => {
                self.delayed.remove(&mut self.states, slot);
            }
            Stage::Waiting | Stage::Out => {}
        }
    }

    pub(super) fn next_delayed(&self) -> Option<Timestamp> {
        self.delayed.first().map(|slot| Timestamp::from_micros(self.states[slot].about))
    }

    pub(super) fn next_too_late(&self) -> Option<Timestamp> {
        self.too_late.first().map(|slot| Timestamp::from_micros(self.states[slot].about))
    }

    /// The next delayed call whose time has come, which is delayed no longer.
    pub(super) fn pop_delayed(&mut self, now: Timestamp) -> Option<Slot> {
        self.next_delayed().filter(|at| *at <= now)?;
        let slot = self.delayed.first()?;
        self.delayed.remove(&mut self.states, slot);
        Some(slot)
    }

    /// The next waiting call that is too late to be started, which is no longer watched.
    pub(super) fn pop_too_late(&mut self, now: Timestamp) -> Option<Slot> {
        self.next_too_late().filter(|at| *at <= now)?;
        let slot = self.too_late.first()?;
        self.too_late.remove(&mut self.states, slot);
        self.states[slot].about = u64::MAX;
        Some(slot)
    }

    /// Counts the call among what its tenant holds, if it is not.
    pub(super) fn hold(&mut self, slot: Slot, weight: u32) {
        if !self.states[slot].has(HELD) {
            self.states[slot].has |= HELD;
            self.holders.add(&mut self.states, slot, weight);
        }
    }

    /// The call no longer waits: it goes out, or it ends.
    pub(super) fn release(&mut self, slot: Slot) {
        if self.states[slot].has(HELD) {
            self.states[slot].has &= !HELD;
            self.holders.remove(&mut self.states, slot);
        }
    }

    /// All waits as if they had not begun, but for the delays: who waits is to be made to wait again.
    pub(super) fn forget_waits(&mut self) {
        self.too_late = Tree::default();
        self.holders = Holders::new();
        self.states.for_each(|state| {
            state.has &= !HELD;
            if state.stage == Stage::Waiting {
                state.about = u64::MAX;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_survives_its_packing_in_160_bytes() {
        assert_eq!(size_of::<CallState>(), 160);
        let bare = Call::new(CallId(7), ModelId(3), 900).tenant(TenantId(5)).priority(2).label(LabelId(4));
        let zero = bare.deadline(Timestamp::ZERO).affinity(0, 11).max_tokens(0).fingerprint(0).lone();
        for call in [bare, zero] {
            assert_eq!(CallState::new(&call, Timestamp::ZERO, (0, 0), None).call(), call);
        }
    }
}
