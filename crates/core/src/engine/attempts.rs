//! The attempts that are out, and until when they may be.

use super::io::{AttemptId, CallId, TenantId};
use super::store::{Named, Slot, Store};
use super::tree::{Links, Node, Tree};
use crate::policy::{EndpointId, ModelId};
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptState {
    pub(super) id: AttemptId,
    pub(super) call: CallId,
    pub(super) tenant: TenantId,
    /// The model that was asked for.
    pub(super) model: ModelId,
    /// The call was cancelled; the report only settles.
    pub(super) abandoned: bool,
    pub(super) endpoint: EndpointId,
    pub(super) started: Timestamp,
    pub(super) tokens: u64,
    /// The cap on its answer that its call came with.
    pub(super) max_tokens: Option<u32>,
    pub(super) expires: Timestamp,
    /// It asks for a half-open breaker.
    pub(super) probe: bool,
    /// The call's other attempt, while both are out.
    pub(super) twin: Option<AttemptId>,
    /// When it has been out for so long that a second one may be sent.
    pub(super) hedge_at: Option<Timestamp>,
    pub(super) by_expiry: Links,
    pub(super) by_hedge: Links,
}

impl Named for AttemptState {
    fn name(&self) -> u64 {
        self.id.0
    }
}

#[derive(Clone, Copy, Debug)]
struct ByExpiry;

impl Node<ByExpiry> for AttemptState {
    type Key = (Timestamp, AttemptId);

    fn key(&self) -> (Timestamp, AttemptId) {
        (self.expires, self.id)
    }

    fn links(&self) -> &Links {
        &self.by_expiry
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.by_expiry
    }
}

#[derive(Clone, Copy, Debug)]
struct ByHedge;

impl Node<ByHedge> for AttemptState {
    type Key = (Option<Timestamp>, AttemptId);

    fn key(&self) -> (Option<Timestamp>, AttemptId) {
        (self.hedge_at, self.id)
    }

    fn links(&self) -> &Links {
        &self.by_hedge
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.by_hedge
    }
}

#[derive(Clone, Debug)]
pub(super) struct Attempts {
    states: Store<AttemptState>,
    leases: Tree<ByExpiry>,
    hedges: Tree<ByHedge>,
}

impl Attempts {
    pub(super) const fn new() -> Self {
        Self { states: Store::new(), leases: Tree::NEW, hedges: Tree::NEW }
    }

    pub(super) const fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn find(&self, id: AttemptId) -> Option<Slot> {
        self.states.find(id.0)
    }

    pub(super) fn get(&self, id: &AttemptId) -> Option<&AttemptState> {
        self.states.get(id.0)
    }

    pub(super) fn get_mut(&mut self, id: &AttemptId) -> Option<&mut AttemptState> {
        self.states.get_mut(id.0)
    }

    pub(super) fn insert(&mut self, state: AttemptState) {
        let slot = self.states.insert(state);
        self.leases.insert(&mut self.states, slot);
        if self.states[slot].hedge_at.is_some() {
            self.hedges.insert(&mut self.states, slot);
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) -> AttemptState {
        self.leases.remove(&mut self.states, slot);
        self.forget_hedge(slot);
        self.states.remove(slot)
    }

    /// When the first lease ends.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.leases.first().map(|slot| self.states[slot].expires)
    }

    /// Takes out an attempt whose lease has ended.
    pub(super) fn pop_expired(&mut self, now: Timestamp) -> Option<AttemptState> {
        self.next_expiry().filter(|at| *at <= now)?;
        let slot = self.leases.first()?;
        Some(self.remove(slot))
    }

    /// When the first attempt has been out for so long that a second one may be sent.
    pub(super) fn next_hedge(&self) -> Option<Timestamp> {
        self.hedges.first().and_then(|slot| self.states[slot].hedge_at)
    }

    /// The next attempt beside which a second one may be sent now; it is not named again.
    pub(super) fn pop_hedge(&mut self, now: Timestamp) -> Option<AttemptState> {
        self.next_hedge().filter(|at| *at <= now)?;
        let slot = self.hedges.first()?;
        self.forget_hedge(slot);
        Some(self.states[slot])
    }

    fn forget_hedge(&mut self, slot: u32) {
        if self.states[slot].hedge_at.is_some() {
            self.hedges.remove(&mut self.states, slot);
            self.states[slot].hedge_at = None;
        }
    }

    /// Changes all of them, but for name and expiry, in no particular order.
    pub(super) fn for_each(&mut self, mut change: impl FnMut(&mut AttemptState)) {
        self.states.for_each(|state| change(state));
    }
}
