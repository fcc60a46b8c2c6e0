//! Items found by their name, in slots that keep their number while the item lives.

use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

use super::tree::NONE;

/// Where an item is in its [`Store`], for as long as it is there.
pub(super) type Slot = u32;

/// An item that a [`Store`] can hold.
pub(super) trait Named {
    /// No two items in a store have the same.
    fn name(&self) -> u64;
}

/// A slab with an index. Memory: one item and at most 21 bytes for each of the most items it ever held at once, and a
/// sixteenth in reserve. Nothing is given back before the store itself is, so it allocates nothing once it has grown.
///
/// Whoever remembers the number of a slot forgets it when the item is removed: the slot is used again.
#[derive(Clone, Debug)]
pub(super) struct Store<T> {
    items: Vec<T>,
    free: Vec<u32>,
    index: Table,
}

impl<T: Named + Copy> Store<T> {
    pub(super) const fn new() -> Self {
        Self { items: Vec::new(), free: Vec::new(), index: Table { cells: Vec::new(), used: 0 } }
    }

    pub(super) const fn len(&self) -> usize {
        self.index.used
    }

    /// The slot of the item of this name.
    pub(super) fn find(&self, name: u64) -> Option<Slot> {
        self.index.find(tag(name), |slot| self[slot].name() == name)
    }

    pub(super) fn get(&self, name: u64) -> Option<&T> {
        self.find(name).map(|slot| &self[slot])
    }

    pub(super) fn get_mut(&mut self, name: u64) -> Option<&mut T> {
        self.find(name).map(|slot| &mut self[slot])
    }

    /// Puts in an item whose name no other has.
    pub(super) fn insert(&mut self, item: T) -> Slot {
        let slot = match self.free.pop() {
            Some(slot) => {
                self[slot] = item;
                slot
            }
            None => {
                self.push(item);
                u32::try_from(self.items.len() - 1).unwrap_or(NONE)
            }
        };
        self.index.insert(tag(item.name()), slot);
        slot
    }

    #[cold]
    fn push(&mut self, item: T) {
        if self.items.len() == self.items.capacity() {
            self.items.reserve_exact((self.items.len() / 16).max(8));
        }
        self.items.push(item);
    }

    /// Takes out the item in a slot that is in use.
    pub(super) fn remove(&mut self, slot: Slot) -> T {
        let item = self[slot];
        self.index.remove(tag(item.name()), slot);
        self.free.push(slot);
        item
    }

    /// The items, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.index.slots().map(|slot| &self[slot])
    }

    /// Changes all items, but for their names, in no particular order.
    pub(super) fn for_each(&mut self, mut change: impl FnMut(&mut T)) {
        for slot in self.index.slots() {
            change(&mut self.items[slot as usize]);
        }
    }
}

impl<T> Index<u32> for Store<T> {
    type Output = T;

    fn index(&self, slot: u32) -> &T {
        &self.items[slot as usize]
    }
}

impl<T> IndexMut<u32> for Store<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        &mut self.items[slot as usize]
    }
}

/// The upper half of a name's product with 2^64 over the golden ratio, which spreads names in a row evenly (Knuth, "The Art
/// of Computer Programming", 6.4): the same in every run.
const fn tag(name: u64) -> u32 {
    ((name ^ name >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    tag: u32,
    slot: u32,
}

const EMPTY: Cell = Cell { tag: 0, slot: NONE };

/// A hash table of slots with linear probing, filled to three fifths at most, so that what
/// is looked for is next to where it would be. It grows by a quarter at a time, so that
/// it holds little room in reserve, and closes the gap of whatever is removed, so that it never has to be cleaned.
#[derive(Clone, Debug)]
struct Table {
    cells: Vec<Cell>,
    used: usize,
}

impl Table {
    fn slots(&self) -> impl Iterator<Item = u32> {
        self.cells.iter().map(|cell| cell.slot).filter(|slot| *slot != NONE)
    }

    fn find(&self, tag: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        if self.used == 0 {
            return None;
        }
        let mut at = self.home(tag);
        loop {
            let cell = self.cells[at];
            if cell.slot == NONE {
                return None;
            }
            if cell.tag == tag && is(cell.slot) {
                return Some(cell.slot);
            }
            at = self.after(at);
        }
    }

    fn insert(&mut self, tag: u32, slot: u32) {
        if (self.used + 1) * 5 > self.cells.len() * 3 {
            self.grow();
        }
        self.place(Cell { tag, slot });
        self.used += 1;
    }

    #[cold]
    fn grow(&mut self) {
        let size = (self.cells.len() + self.cells.len() / 4).max(16);
        let mut cells = Vec::new();
        cells.reserve_exact(size);
        cells.resize(size, EMPTY);
        for cell in core::mem::replace(&mut self.cells, cells) {
            if cell.slot != NONE {
                self.place(cell);
            }
        }
    }

    fn place(&mut self, cell: Cell) {
        let mut at = self.home(cell.tag);
        while self.cells[at].slot != NONE {
            at = self.after(at);
        }
        self.cells[at] = cell;
    }

    /// Takes out what is there.
    fn remove(&mut self, tag: u32, slot: u32) {
        let mut gap = self.home(tag);
        while self.cells[gap].slot != slot {
            gap = self.after(gap);
        }
        // Whatever was pushed past the gap moves into it.
        let mut at = self.after(gap);
        while self.cells[at].slot != NONE {
            if self.distance(self.home(self.cells[at].tag), at) >= self.distance(gap, at) {
                self.cells[gap] = self.cells[at];
                gap = at;
            }
            at = self.after(at);
        }
        self.cells[gap] = EMPTY;
        self.used -= 1;
    }

    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.cells.len() as u64) >> 32) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.cells.len() { 0 } else { at + 1 }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.cells.len() - from }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Item(u64, u64);

    impl Named for Item {
        fn name(&self) -> u64 {
            self.0
        }
    }

    proptest! {
        /// Few names, so that they come and go; some far apart, so that no pattern of names is spared.
        #[test]
        fn a_store_is_a_map(
            steps in proptest::collection::vec((0_u64..200, any::<bool>(), 0_u8..3), 1..1_500), shift in 0_u32..56
        ) {
            let (mut store, mut model) = (Store::new(), BTreeMap::new());
            for (step, (name, wide, remove)) in steps.into_iter().enumerate() {
                let name = if wide { name << shift } else { name };
                let item = Item(name, step as u64);
                if remove == 0 {
                    let removed = store.find(name).map(|slot| store.remove(slot));
                    prop_assert_eq!(removed, model.remove(&name));
                } else if let alloc::collections::btree_map::Entry::Vacant(vacant) = model.entry(name) {
                    vacant.insert(item);
                    let slot = store.insert(item);
                    prop_assert_eq!(store.find(name), Some(slot));
                }
                prop_assert_eq!(store.get(name), model.get(&name));
                prop_assert_eq!(store.len(), model.len());
            }
            let mut items: Vec<Item> = store.iter().copied().collect();
            items.sort_unstable();
            prop_assert_eq!(items, model.into_values().collect::<Vec<_>>());
        }
    }

    #[test]
    fn names_in_a_row_are_found_in_a_few_steps() {
        for step in [1, 2, 256, 1 << 20, 1 << 32, 1 << 40] {
            let mut store = Store::new();
            for number in 0..10_000 {
                store.insert(Item(number * step, 0));
            }
            let table = &store.index;
            let far =
                |(at, cell): (usize, &Cell)| (cell.slot != NONE).then(|| table.distance(table.home(cell.tag), at));
            let longest = table.cells.iter().enumerate().filter_map(far).max();
            assert!(longest < Some(100), "{longest:?} for every {step}");
        }
    }

    #[test]
    fn slots_are_used_again() {
        let mut store = Store::new();
        for name in 0..10_000 {
            store.insert(Item(name, name));
            if name >= 10 {
                let slot = store.find(name - 10).unwrap();
                assert_eq!(store.remove(slot), Item(name - 10, name - 10));
            }
        }
        assert_eq!(store.items.len(), 11);
        assert!(store.index.cells.len() <= 25);
    }
}
