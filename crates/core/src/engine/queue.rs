//! The calls that wait for one model: fair between tenants, by priority and age within one.

use alloc::collections::{BTreeMap, BTreeSet};

use super::io::{CallId, TenantId};
use crate::time::Timestamp;

/// What a tenant's service is counted in: tokens times this, divided by the tenant's weight.
const UNIT: u64 = 1_000;

/// Where a call stands among those of its tenant: by the time of its submission, shifted by its priority, then by the
/// order of submission.
pub(super) type Place = (u64, u64);

/// What the queue knows of a waiting call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) id: CallId,
    pub(super) tenant: TenantId,
    pub(super) weight: u32,
    pub(super) place: Place,
    pub(super) tokens: u64,
    pub(super) deadline: Option<Timestamp>,
}

#[derive(Debug)]
struct Tenant {
    weight: u32,
    /// Tokens served, over the weight. Charged when a call is sent, corrected when it is settled.
    served: u64,
    /// Attempts sent and not settled.
    out: u32,
    calls: BTreeMap<Place, CallId>,
    tokens: u64,
}

/// A queue after the virtual token counter of Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024):
/// the tenant that was served least, by weight, goes next, and a tenant that comes back from idleness starts where the
/// least served one stands, so that it neither owes nor is owed for that time.
///
/// Between two tenants that always have calls waiting, the weighted tokens served differ by at most the largest call of
/// each, plus what is reserved for calls that are out. Memory: one entry for each tenant that waits, is out, or was
/// served more than the least served one.
#[derive(Debug, Default)]
pub(super) struct Queue {
    tenants: BTreeMap<TenantId, Tenant>,
    /// The tenants with waiting calls, by what they were served.
    turns: BTreeSet<(u64, TenantId)>,
    /// The tenants without waiting calls, likewise.
    idle: BTreeSet<(u64, TenantId)>,
    /// The waiting calls that have a deadline.
    by_deadline: BTreeSet<(Timestamp, CallId)>,
    /// What the least served tenant stood at when last looked at.
    floor: u64,
    calls: usize,
    tokens: u64,
    /// Sum of the weights of the tenants with waiting calls.
    weights: u64,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.calls
    }

    /// Calls and tokens that will be served before one more call of `tenant`: all that wait, or, where that is less,
    /// its own together with the share of the others meanwhile.
    pub(super) fn ahead(&self, tenant: TenantId, weight: u32) -> (u128, u128) {
        let (own_calls, own_tokens, active) = match self.tenants.get(&tenant) {
            Some(state) if !state.calls.is_empty() => (state.calls.len() as u64, state.tokens, self.weights),
            _ => (0, 0, self.weights + u64::from(weight)),
        };
        let share = |own: u64, all: u64| {
            let shared = u128::from(own) * u128::from(active) / u128::from(weight.max(1));
            shared.min(u128::from(all))
        };
        (share(own_calls, self.calls as u64), share(own_tokens, self.tokens))
    }

    /// How many calls of the same tenant wait before this place.
    pub(super) fn before(&self, tenant: TenantId, place: Place) -> usize {
        self.tenants.get(&tenant).map_or(0, |state| state.calls.range(..place).count())
    }

    /// The call that is next.
    pub(super) fn head(&self) -> Option<CallId> {
        let (_, tenant) = self.turns.first()?;
        let (_, id) = self.tenants.get(tenant)?.calls.first_key_value()?;
        Some(*id)
    }

    /// The most urgent call whose deadline is at or after `due`.
    pub(super) fn due_from(&self, due: Timestamp) -> Option<CallId> {
        self.by_deadline.range((due, CallId(0))..).next().map(|(_, id)| *id)
    }

    pub(super) fn insert(&mut self, entry: &Entry) {
        let floor = self.floor();
        let state = self.tenants.entry(entry.tenant).or_insert_with(|| Tenant {
            weight: entry.weight.max(1),
            served: floor,
            out: 0,
            calls: BTreeMap::new(),
            tokens: 0,
        });
        if state.calls.is_empty() {
            self.idle.remove(&(state.served, entry.tenant));
            state.served = state.served.max(floor);
            state.weight = entry.weight.max(1);
            self.turns.insert((state.served, entry.tenant));
            self.weights += u64::from(state.weight);
        }
        state.calls.insert(entry.place, entry.id);
        state.tokens = state.tokens.saturating_add(entry.tokens);
        self.calls += 1;
        self.tokens = self.tokens.saturating_add(entry.tokens);
        self.by_deadline.extend(entry.deadline.map(|deadline| (deadline, entry.id)));
    }

    /// Takes a call out, whether it is sent or ended.
    pub(super) fn remove(&mut self, entry: &Entry) {
        let Some(state) = self.tenants.get_mut(&entry.tenant) else { return };
        if state.calls.remove(&entry.place).is_none() {
            return;
        }
        state.tokens = state.tokens.saturating_sub(entry.tokens);
        self.calls -= 1;
        self.tokens = self.tokens.saturating_sub(entry.tokens);
        entry.deadline.map(|deadline| self.by_deadline.remove(&(deadline, entry.id)));
        if state.calls.is_empty() {
            self.turns.remove(&(state.served, entry.tenant));
            self.idle.insert((state.served, entry.tenant));
            self.weights -= u64::from(state.weight);
            self.forget();
        }
    }

    /// An attempt of `tenant` goes out with `tokens` reserved.
    pub(super) fn sent(&mut self, tenant: TenantId, weight: u32, tokens: u64) {
        let floor = self.floor();
        if !self.tenants.contains_key(&tenant) {
            let state = Tenant { weight: weight.max(1), served: floor, out: 0, calls: BTreeMap::new(), tokens: 0 };
            self.idle.insert((floor, tenant));
            self.tenants.insert(tenant, state);
        }
        self.count(tenant, |state| {
            state.out += 1;
            state.served = state.served.saturating_add(state.units(tokens));
        });
    }

    /// An attempt of `tenant` that had reserved `reserved` was settled at `spent`.
    pub(super) fn settled(&mut self, tenant: TenantId, reserved: u64, spent: u64) {
        self.count(tenant, |state| {
            state.out = state.out.saturating_sub(1);
            let (back, more) = (state.units(reserved), state.units(spent));
            state.served = state.served.saturating_sub(back).saturating_add(more);
        });
        self.forget();
    }

    /// Changes what a tenant was served and puts it in its new place.
    fn count(&mut self, tenant: TenantId, change: impl FnOnce(&mut Tenant)) {
        let Some(state) = self.tenants.get_mut(&tenant) else { return };
        let set = if state.calls.is_empty() { &mut self.idle } else { &mut self.turns };
        set.remove(&(state.served, tenant));
        change(state);
        set.insert((state.served, tenant));
    }

    /// What the least served waiting tenant stands at; it never goes back.
    fn floor(&mut self) -> u64 {
        if let Some((served, _)) = self.turns.first() {
            self.floor = self.floor.max(*served);
        }
        self.floor
    }

    /// Drops the tenants about whom there is nothing to remember: they would start at the floor anyway.
    fn forget(&mut self) {
        let floor = if self.turns.is_empty() { u64::MAX } else { self.floor() };
        while let Some((served, tenant)) = self.idle.first().copied()
            && served <= floor
        {
            if self.tenants.get(&tenant).is_some_and(|state| state.out > 0) {
                // Its settlement is still to come. The others behind it are looked at then.
                return;
            }
            self.idle.remove(&(served, tenant));
            self.tenants.remove(&tenant);
        }
    }
}

impl Tenant {
    fn units(&self, tokens: u64) -> u64 {
        tokens.saturating_mul(UNIT) / u64::from(self.weight)
    }
}
