//! The calls that wait for one model: fair between tenants, by priority and age within one.

use super::calls::{ByDeadline, CallState, InOrder};
use super::io::{CallId, TenantId};
use super::store::{Named, Slot, Store};
use super::tree::{Links, Node, Tree};
use crate::ratio::ratio;
use crate::time::Timestamp;

/// What a tenant's service is counted in: tokens times this, divided by the tenant's weight.
const UNIT: u64 = 1_000;

/// Where a call stands among those of its tenant: by the time of its submission, shifted by its priority, then by the
/// order of submission.
pub(super) type Place = (u64, u64);

#[derive(Clone, Copy, Debug)]
struct Tenant {
    id: TenantId,
    weight: u32,
    /// Tokens served, over the weight. Charged when a call is sent, corrected when it is settled.
    served: u64,
    /// Sum over its waiting calls.
    tokens: u64,
    /// Attempts sent and not settled.
    out: u32,
    waiting: u32,
    calls: Tree<InOrder>,
    turn: Links,
}

impl Tenant {
    fn new(id: TenantId, weight: u32, served: u64) -> Self {
        let (calls, turn) = (Tree::NEW, Links::NEW);
        Self { id, weight: weight.max(1), served, tokens: 0, out: 0, waiting: 0, calls, turn }
    }

    fn units(&self, tokens: u64) -> u64 {
        let units = tokens.saturating_mul(UNIT);
        // Most weigh 1, and a division takes as long as all the rest.
        if self.weight == 1 { units } else { units / u64::from(self.weight) }
    }
}

impl Named for Tenant {
    fn name(&self) -> u64 {
        u64::from(self.id.0)
    }
}

/// What is served before a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    pub(super) calls: u64,
    pub(super) tokens: u64,
}

#[derive(Clone, Copy, Debug)]
struct ByService;

impl Node<ByService> for Tenant {
    type Key = (u64, TenantId);

    fn key(&self) -> (u64, TenantId) {
        (self.served, self.id)
    }

    fn links(&self) -> &Links {
        &self.turn
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.turn
    }
}

/// A queue after the virtual token counter of Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024):
/// the tenant that was served least, by weight, goes next, and a tenant that comes back from idleness starts where the
/// least served one stands, so that it neither owes nor is owed for that time.
///
/// Between two tenants that always have calls waiting, the weighted tokens served differ by at most the largest call of
/// each, plus what is reserved for calls that are out. Memory: one entry for each tenant that waits, is out, or was
/// served more than the least served one. The calls themselves are elsewhere, and are named by their slot there.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    tenants: Store<Tenant>,
    /// The tenants with waiting calls, by what they were served.
    turns: Tree<ByService>,
    /// The tenants without waiting calls, likewise.
    idle: Tree<ByService>,
    /// The waiting calls that have a deadline.
    by_deadline: Tree<ByDeadline>,
    /// What the least served tenant stood at when last looked at.
    floor: u64,
    calls: usize,
    /// When the first call came that found nobody waiting; since then somebody has waited.
    since: Timestamp,
    tokens: u64,
    /// Sum of the weights of the tenants with waiting calls.
    weights: u64,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self {
            tenants: Store::new(),
            turns: Tree::NEW,
            idle: Tree::NEW,
            by_deadline: Tree::NEW,
            floor: 0,
            calls: 0,
            since: Timestamp::ZERO,
            tokens: 0,
            weights: 0,
        }
    }

    /// What will be served before one more call of `tenant`: all that wait, or, where that is less,
    /// its own together with the share of the others meanwhile.
    pub(super) fn ahead(&self, tenant: TenantId, weight: u32) -> Ahead {
        let (own_calls, own_tokens, active) = match self.tenants.get(u64::from(tenant.0)) {
            Some(state) if state.waiting > 0 => (u64::from(state.waiting), state.tokens, self.weights),
            _ => (0, 0, self.weights + u64::from(weight)),
        };
        let weight = u64::from(weight);
        let share = |own: u64, all: u64| if active == weight { own } else { ratio(own, active, weight).min(all) };
        Ahead { calls: share(own_calls, self.calls as u64), tokens: share(own_tokens, self.tokens) }
    }

    /// How many calls of the same tenant wait before this place.
    pub(super) fn before(&self, calls: &Store<CallState>, tenant: TenantId, place: Place) -> usize {
        self.tenants.get(u64::from(tenant.0)).map_or(0, |state| state.calls.count_below(calls, &place))
    }

    /// The call that is next.
    pub(super) fn head(&self) -> Option<u32> {
        self.tenants[self.turns.first()?].calls.first()
    }

    /// The most urgent call whose deadline is at or after `due`.
    pub(super) fn due_from(&self, calls: &Store<CallState>, due: Timestamp) -> Option<u32> {
        self.by_deadline.at_or_after(calls, &(due, CallId(0)))
    }

    /// Whether nobody waited at some time in the `within` microseconds before `at`.
    pub(super) fn was_empty(&self, at: Timestamp, within: u64) -> bool {
        self.calls == 0 || at.micros_since(self.since) < within
    }

    /// The least urgent call of those that have a deadline.
    pub(super) fn due_last(&self) -> Option<u32> {
        self.by_deadline.last()
    }

    pub(super) fn insert(&mut self, calls: &mut Store<CallState>, call: u32, weight: u32) {
        let (tenant, tokens) = (calls[call].tenant, calls[call].tokens());
        let floor = self.floor();
        let slot = match self.tenants.find(u64::from(tenant.0)) {
            Some(slot) => {
                if self.tenants[slot].waiting == 0 {
                    self.idle.remove(&mut self.tenants, slot);
                }
                slot
            }
            None => self.tenants.insert(Tenant::new(tenant, weight, floor)),
        };
        let state = &mut self.tenants[slot];
        state.calls.insert(calls, call);
        state.tokens = state.tokens.saturating_add(tokens);
        state.waiting += 1;
        if state.waiting == 1 {
            state.served = state.served.max(floor);
            state.weight = weight.max(1);
            self.weights += u64::from(state.weight);
            self.turns.insert(&mut self.tenants, slot);
        }
        if self.calls == 0 {
            self.since = calls[call].submitted;
        }
        self.calls += 1;
        self.tokens = self.tokens.saturating_add(tokens);
        if calls[call].deadline().is_some() {
            self.by_deadline.insert(calls, call);
        }
    }

    /// Takes a call out, whether it is sent or ended.
    pub(super) fn remove(&mut self, calls: &mut Store<CallState>, call: u32) {
        let (tenant, tokens) = (calls[call].tenant, calls[call].tokens());
        let Some(slot) = self.tenants.find(u64::from(tenant.0)) else { return };
        let state = &mut self.tenants[slot];
        if !state.calls.remove(calls, call) {
            return;
        }
        state.tokens = state.tokens.saturating_sub(tokens);
        state.waiting -= 1;
        self.calls -= 1;
        self.tokens = self.tokens.saturating_sub(tokens);
        if calls[call].deadline().is_some() {
            self.by_deadline.remove(calls, call);
        }
        if self.tenants[slot].waiting == 0 {
            self.turns.remove(&mut self.tenants, slot);
            self.idle.insert(&mut self.tenants, slot);
            self.weights -= u64::from(self.tenants[slot].weight);
            self.forget();
        }
    }

    /// An attempt of `tenant` goes out with `tokens` reserved.
    pub(super) fn sent(&mut self, tenant: TenantId, weight: u32, tokens: u64) {
        let floor = self.floor();
        let slot = self.tenants.find(u64::from(tenant.0)).unwrap_or_else(|| {
            let slot = self.tenants.insert(Tenant::new(tenant, weight, floor));
            self.idle.insert(&mut self.tenants, slot);
            slot
        });
        self.count(slot, |state| {
            state.out += 1;
            state.served = state.served.saturating_add(state.units(tokens));
        });
    }

    /// An attempt of `tenant` that had reserved `reserved` was settled at `spent`.
    pub(super) fn settled(&mut self, tenant: TenantId, reserved: u64, spent: u64) {
        let Some(slot) = self.tenants.find(u64::from(tenant.0)) else { return };
        self.count(slot, |state| {
            state.out = state.out.saturating_sub(1);
            let (back, more) = (state.units(reserved), state.units(spent));
            state.served = state.served.saturating_sub(back).saturating_add(more);
        });
        self.forget();
    }

    /// Changes what a tenant was served and puts it in its new place.
    fn count(&mut self, slot: Slot, change: impl FnOnce(&mut Tenant)) {
        let tree = if self.tenants[slot].waiting == 0 { &mut self.idle } else { &mut self.turns };
        tree.rekey(&mut self.tenants, slot, change);
    }

    /// What the least served waiting tenant stands at; it never goes back.
    fn floor(&mut self) -> u64 {
        if let Some(slot) = self.turns.first() {
            self.floor = self.floor.max(self.tenants[slot].served);
        }
        self.floor
    }

    /// Drops the tenants about whom there is nothing to remember: they would start at the floor anyway.
    fn forget(&mut self) {
        let floor = if self.turns.is_empty() { u64::MAX } else { self.floor() };
        while let Some(slot) = self.idle.first() {
            let Tenant { served, out, .. } = self.tenants[slot];
            // Where its settlement is still to come, the others behind it are looked at then.
            if served > floor || out > 0 {
                return;
            }
            self.idle.remove(&mut self.tenants, slot);
            self.tenants.remove(slot);
        }
    }
}
