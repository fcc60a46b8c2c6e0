//! An ordered set whose nodes live in a [`Store`], so that it allocates nothing.

use core::marker::PhantomData;

use super::store::Store;

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// Stands for the parent of a node that is in no tree.
const OUT: u32 = u32::MAX - 1;

/// What a tree keeps in each of its nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    children: [u32; 2],
    parent: u32,
}

impl Links {
    pub(super) const NEW: Self = Self { children: [NONE; 2], parent: OUT };
}

/// An item that can be in a tree of the order `O`; its key stays the same while it is.
pub(super) trait Node<O> {
    type Key: Ord;
    fn key(&self) -> Self::Key;
    fn links(&self) -> &Links;
    fn links_mut(&mut self) -> &mut Links;
}

/// A treap: ordered by key from left to right and by rank from the top down, where a node's rank is a hash of its number.
/// So its shape is that of a tree built in random order, whatever the order of insertion, and the same in every run.
///
/// `first` and `last` take constant time. So do, on average, taking a node out and putting one in before or after all
/// others, which is most of what happens; all else takes time in the logarithm of the size. No two nodes may have the same
/// key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree<O> {
    root: u32,
    first: u32,
    last: u32,
    order: PhantomData<O>,
}

/// The place of a child: below a node, to its left or right, or at the root.
type Hole = (u32, usize);

const ROOT: Hole = (NONE, 0);
const LEFT: usize = 0;
const RIGHT: usize = 1;

impl<O> Default for Tree<O> {
    fn default() -> Self {
        Self::NEW
    }
}

/// Both halves of a product with an odd constant, of which the lower one alone gives every number a value of its own.
const fn rank(node: u32) -> u64 {
    let product = (node as u64 ^ 0x2545_f491).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 32
}

impl<O> Tree<O> {
    pub(super) const NEW: Self = Self { root: NONE, first: NONE, last: NONE, order: PhantomData };

    pub(super) const fn is_empty(&self) -> bool {
        self.root == NONE
    }

    /// The node with the least key.
    pub(super) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// The node with the greatest key.
    pub(super) fn last(&self) -> Option<u32> {
        (self.last != NONE).then_some(self.last)
    }

    /// Puts a node in that is in no tree of this order.
    pub(super) fn insert<T: Node<O>>(&mut self, nodes: &mut Store<T>, node: u32) {
        if self.root == NONE {
            *nodes[node].links_mut() = Links { children: [NONE; 2], parent: NONE };
            (self.root, self.first, self.last) = (node, node, node);
            return;
        }
        let key = nodes[node].key();
        if nodes[self.last].key() < key {
            self.extend(nodes, self.last, node, RIGHT);
            self.last = node;
        } else if key < nodes[self.first].key() {
            self.extend(nodes, self.first, node, LEFT);
            self.first = node;
        } else {
            self.insert_between(nodes, node, &key);
        }
    }

    /// Puts a node in beyond the outermost one of this side.
    fn extend<T: Node<O>>(&mut self, nodes: &mut Store<T>, outermost: u32, node: u32, side: usize) {
        let rank_of_node = rank(node);
        let (mut below, mut at) = (NONE, outermost);
        while at != NONE && rank(at) < rank_of_node {
            (below, at) = (at, nodes[at].links().parent);
        }
        nodes[node].links_mut().children[side] = NONE;
        self.put(nodes, (node, 1 - side), below);
        self.put(nodes, if at == NONE { ROOT } else { (at, side) }, node);
    }

    fn insert_between<T: Node<O>>(&mut self, nodes: &mut Store<T>, node: u32, key: &T::Key) {
        let rank_of_node = rank(node);
        let (mut hole, mut at) = (ROOT, self.root);
        while at != NONE && rank(at) > rank_of_node {
            let side = usize::from(nodes[at].key() < *key);
            hole = (at, side);
            at = child(nodes, at, side);
        }
        self.put(nodes, hole, node);
        // What was there is split between the two sides of the node.
        let (mut below, mut above) = ((node, LEFT), (node, RIGHT));
        while at != NONE {
            if nodes[at].key() < *key {
                self.put(nodes, below, at);
                below = (at, RIGHT);
                at = child(nodes, at, RIGHT);
            } else {
                self.put(nodes, above, at);
                above = (at, LEFT);
                at = child(nodes, at, LEFT);
            }
        }
        self.put(nodes, below, NONE);
        self.put(nodes, above, NONE);
    }

    /// Takes a node out; says whether it was in.
    pub(super) fn remove<T: Node<O>>(&mut self, nodes: &mut Store<T>, node: u32) -> bool {
        let Links { children: [mut below, mut above], parent } = *nodes[node].links();
        let mut hole = match parent {
            OUT => return false,
            NONE => ROOT,
            parent => (parent, usize::from(child(nodes, parent, RIGHT) == node)),
        };
        // Nothing is beyond the first and the last, so the next one is the nearest on the inner side, or the one above.
        if node == self.first {
            self.first = if above == NONE { parent } else { outermost(nodes, above, LEFT) };
        }
        if node == self.last {
            self.last = if below == NONE { parent } else { outermost(nodes, below, RIGHT) };
        }
        while below != NONE && above != NONE {
            if rank(below) > rank(above) {
                self.put(nodes, hole, below);
                hole = (below, RIGHT);
                below = child(nodes, below, RIGHT);
            } else {
                self.put(nodes, hole, above);
                hole = (above, LEFT);
                above = child(nodes, above, LEFT);
            }
        }
        self.put(nodes, hole, if below == NONE { above } else { below });
        nodes[node].links_mut().parent = OUT;
        true
    }

    /// Changes the key of a node that is in.
    pub(super) fn rekey<T: Node<O>>(&mut self, nodes: &mut Store<T>, node: u32, change: impl FnOnce(&mut T)) {
        // Nobody else is there to be before or after.
        if self.first == self.last {
            return change(&mut nodes[node]);
        }
        self.remove(nodes, node);
        change(&mut nodes[node]);
        self.insert(nodes, node);
    }

    /// The node with the least key that is not below `key`.
    pub(super) fn at_or_after<T: Node<O>>(&self, nodes: &Store<T>, key: &T::Key) -> Option<u32> {
        let (mut found, mut at) = (None, self.root);
        while at != NONE {
            let below = nodes[at].key() < *key;
            if !below {
                found = Some(at);
            }
            at = child(nodes, at, usize::from(below));
        }
        found
    }

    /// How many keys are below `key`; takes time in that number.
    pub(super) fn count_below<T: Node<O>>(&self, nodes: &Store<T>, key: &T::Key) -> usize {
        let (mut count, mut at) = (0, self.root);
        while at != NONE {
            let below = nodes[at].key() < *key;
            if below {
                count += 1 + size(nodes, child(nodes, at, LEFT));
            }
            at = child(nodes, at, usize::from(below));
        }
        count
    }

    fn put<T: Node<O>>(&mut self, nodes: &mut Store<T>, hole: Hole, node: u32) {
        match hole {
            ROOT => self.root = node,
            (parent, side) => nodes[parent].links_mut().children[side] = node,
        }
        if node != NONE {
            nodes[node].links_mut().parent = hole.0;
        }
    }
}

fn child<O, T: Node<O>>(nodes: &Store<T>, node: u32, side: usize) -> u32 {
    nodes[node].links().children[side]
}

/// The one farthest to this side below `node`, or itself.
fn outermost<O, T: Node<O>>(nodes: &Store<T>, mut node: u32, side: usize) -> u32 {
    loop {
        match child(nodes, node, side) {
            NONE => return node,
            next => node = next,
        }
    }
}

fn size<O, T: Node<O>>(nodes: &Store<T>, node: u32) -> usize {
    if node == NONE {
        return 0;
    }
    1 + size(nodes, child(nodes, node, LEFT)) + size(nodes, child(nodes, node, RIGHT))
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::store::Named;

    #[derive(Clone, Copy, Debug)]
    struct Item {
        name: u64,
        key: (u8, u64),
        links: Links,
    }

    #[derive(Debug)]
    struct ByKey;

    impl Named for Item {
        fn name(&self) -> u64 {
            self.name
        }
    }

    impl Node<ByKey> for Item {
        type Key = (u8, u64);

        fn key(&self) -> (u8, u64) {
            self.key
        }

        fn links(&self) -> &Links {
            &self.links
        }

        fn links_mut(&mut self) -> &mut Links {
            &mut self.links
        }
    }

    fn depth(nodes: &Store<Item>, node: u32) -> usize {
        if node == NONE {
            return 0;
        }
        1 + depth(nodes, child(nodes, node, LEFT)).max(depth(nodes, child(nodes, node, RIGHT)))
    }

    proptest! {
        #[test]
        fn a_tree_is_an_ordered_map(steps in proptest::collection::vec((0_u64..60, any::<u8>(), 0_u8..3), 1..400)) {
            let (mut nodes, mut tree, mut model) = (Store::new(), Tree::<ByKey>::default(), BTreeMap::new());
            for (name, key, step) in steps {
                let key = (key, name);
                match nodes.find(name) {
                    None => {
                        let node = nodes.insert(Item { name, key, links: Links::NEW });
                        tree.insert(&mut nodes, node);
                        model.insert(key, node);
                    }
                    Some(node) if step > 0 => {
                        model.remove(&nodes[node].key);
                        prop_assert!(tree.remove(&mut nodes, node));
                        prop_assert!(!tree.remove(&mut nodes, node));
                        nodes.remove(node);
                    }
                    Some(node) => {
                        model.remove(&nodes[node].key);
                        tree.rekey(&mut nodes, node, |item| item.key = key);
                        model.insert(key, node);
                    }
                }
                prop_assert_eq!(tree.first(), model.values().next().copied());
                prop_assert_eq!(tree.last(), model.values().next_back().copied());
                prop_assert_eq!(tree.is_empty(), model.is_empty());
                prop_assert_eq!(tree.at_or_after(&nodes, &key), model.range(key..).next().map(|(_, node)| *node));
                prop_assert_eq!(tree.count_below(&nodes, &key), model.range(..key).count());
            }
            let drained: Vec<u32> = core::iter::from_fn(|| {
                let node = tree.first()?;
                tree.remove(&mut nodes, node).then_some(node)
            })
            .collect();
            prop_assert_eq!(drained, model.into_values().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_tree_filled_in_order_is_not_deep() {
        let (mut nodes, mut tree) = (Store::new(), Tree::<ByKey>::default());
        for name in 0..100_000 {
            let node = nodes.insert(Item { name, key: (0, name), links: Links::NEW });
            tree.insert(&mut nodes, node);
        }
        assert!(depth(&nodes, tree.root) < 50, "{}", depth(&nodes, tree.root));
    }
}
