//! Who holds how many of the places that the queue has: what decides who gives way when it is full.

use core::cmp::Ordering;

use super::calls::CallState;
use super::io::TenantId;
use super::store::{Named, Slot, Store};
use super::tree::{Links, NONE, Node, Tree};

/// How much a tenant holds for its weight. The most comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Load {
    calls: u32,
    weight: u32,
    tenant: TenantId,
}

impl Load {
    fn ratio(self, other: Self) -> Ordering {
        let across = |one: Self, other: Self| u64::from(one.calls) * u64::from(other.weight);
        across(self, other).cmp(&across(other, self))
    }
}

impl Ord for Load {
    fn cmp(&self, other: &Self) -> Ordering {
        other.ratio(*self).then(self.tenant.cmp(&other.tenant))
    }
}

impl PartialOrd for Load {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A tenant with calls that wait or are delayed, of whatever model. They are in a list, oldest first.
#[derive(Clone, Copy, Debug)]
struct Holder {
    load: Load,
    oldest: u32,
    newest: u32,
    links: Links,
}

impl Named for Holder {
    fn name(&self) -> u64 {
        u64::from(self.load.tenant.0)
    }
}

#[derive(Clone, Copy, Debug)]
struct ByLoad;

impl Node<ByLoad> for Holder {
    type Key = Load;

    fn key(&self) -> Load {
        self.load
    }

    fn links(&self) -> &Links {
        &self.links
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}

#[derive(Clone, Debug)]
pub(super) struct Holders {
    holders: Store<Holder>,
    by_load: Tree<ByLoad>,
    calls: usize,
}

impl Holders {
    pub(super) const fn new() -> Self {
        Self { holders: Store::new(), by_load: Tree::NEW, calls: 0 }
    }

    /// All calls that are held.
    pub(super) const fn len(&self) -> usize {
        self.calls
    }

    /// A call waits from here on. One that was sent before counts as older than all others.
    pub(super) fn add(&mut self, calls: &mut Store<CallState>, call: u32, weight: u32) {
        let tenant = calls[call].tenant;
        let holder = match self.holders.find(u64::from(tenant.0)) {
            Some(holder) => {
                self.by_load.rekey(&mut self.holders, holder, |holder| holder.load.calls += 1);
                holder
            }
            None => {
                let load = Load { calls: 1, weight: weight.max(1), tenant };
                let new = Holder { load, oldest: NONE, newest: NONE, links: Links::NEW };
                let holder = self.holders.insert(new);
                self.by_load.insert(&mut self.holders, holder);
                holder
            }
        };
        let state = &mut self.holders[holder];
        if calls[call].attempts == 0 {
            (calls[call].older, calls[call].newer) = (state.newest, NONE);
            match state.newest {
                NONE => state.oldest = call,
                newest => calls[newest].newer = call,
            }
            state.newest = call;
        } else {
            (calls[call].older, calls[call].newer) = (NONE, state.oldest);
            match state.oldest {
                NONE => state.newest = call,
                oldest => calls[oldest].older = call,
            }
            state.oldest = call;
        }
        self.calls += 1;
    }

    /// A call no longer waits.
    pub(super) fn remove(&mut self, calls: &mut Store<CallState>, call: u32) {
        let CallState { tenant, older, newer, .. } = calls[call];
        let Some(holder) = self.holders.find(u64::from(tenant.0)) else { return };
        let state = &mut self.holders[holder];
        match older {
            NONE => state.oldest = newer,
            older => calls[older].newer = newer,
        }
        match newer {
            NONE => state.newest = older,
            newer => calls[newer].older = older,
        }
        if state.load.calls == 1 {
            self.by_load.remove(&mut self.holders, holder);
            self.holders.remove(holder);
        } else {
            self.by_load.rekey(&mut self.holders, holder, |holder| holder.load.calls -= 1);
        }
        self.calls -= 1;
    }

    /// Who gives way to one more call of `tenant`: the newest call of whoever holds the most for its weight, if that is
    /// more than `tenant` would hold with one more.
    pub(super) fn gives_way(&self, tenant: TenantId, weight: u32) -> Option<Slot> {
        let heaviest = self.holders[self.by_load.first()?];
        let own = self.holders.get(u64::from(tenant.0)).map_or(0, |holder| holder.load.calls);
        let with_it = Load { calls: own.saturating_add(1), weight: weight.max(1), tenant };
        (heaviest.load.ratio(with_it) == Ordering::Greater).then_some(heaviest.newest)
    }
}
