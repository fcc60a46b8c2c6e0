//! What keeps a conversation where its prompt cache is.

use alloc::collections::BTreeMap;
use alloc::string::String;

use sluicegate::defaults::AFFINITY_KEYS;
use xxhash_rust::xxh3::xxh3_64;

use crate::Usage;

/// Calls of one affinity are kept on one endpoint, so that they find their prompt cache there: one for each conversation,
/// or for each long system prompt.
///
/// It is the XXH3-64 hash (seed 0) of the key's bytes, so it stays the same in every process, version and language.
///
/// ```
/// use sluicegate_bedrock::Affinity;
///
/// assert_eq!(Affinity::from("conversation 17"), Affinity(0x9bcf_c122_99f6_162b));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Affinity(pub u64);

impl From<&str> for Affinity {
    fn from(key: &str) -> Self {
        Self(xxh3_64(key.as_bytes()))
    }
}

impl From<String> for Affinity {
    fn from(key: String) -> Self {
        Self::from(key.as_str())
    }
}

/// How many tokens of a prompt the cache of each affinity held at its last answer, for as many as the engine remembers;
/// the one that was used longest ago makes room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cached {
    /// Tokens, and the key's place in `order`.
    keys: BTreeMap<u64, (u32, u64)>,
    order: BTreeMap<u64, u64>,
    next: u64,
}

impl Cached {
    pub(crate) fn tokens(&self, affinity: Affinity) -> u32 {
        self.keys.get(&affinity.0).map_or(0, |(tokens, _)| *tokens)
    }

    pub(crate) fn answered(&mut self, affinity: Affinity, usage: &Usage) {
        let tokens = usage.cache_read.saturating_add(usage.cache_write);
        let entry = (u32::try_from(tokens).unwrap_or(u32::MAX), self.next);
        if let Some((_, place)) = self.keys.insert(affinity.0, entry) {
            self.order.remove(&place);
        }
        self.order.insert(self.next, affinity.0);
        self.next += 1;
        if self.keys.len() > AFFINITY_KEYS
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.keys.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_usage_counts_and_the_oldest_makes_room() {
        let mut cached = Cached::default();
        let usage = |cache_read, cache_write| Usage { cache_read, cache_write, ..Usage::default() };
        cached.answered(Affinity(0), &usage(0, 900));
        cached.answered(Affinity(0), &usage(900, 50));
        assert_eq!((cached.tokens(Affinity(0)), cached.tokens(Affinity(1))), (950, 0));
        let full = AFFINITY_KEYS as u64;
        for key in 1..full {
            cached.answered(Affinity(key), &usage(1, 0));
        }
        cached.answered(Affinity(0), &usage(7, 0));
        cached.answered(Affinity(full), &usage(1, 0));
        assert_eq!((cached.tokens(Affinity(0)), cached.tokens(Affinity(1)), cached.tokens(Affinity(2))), (7, 0, 1));
        assert_eq!((cached.keys.len(), cached.order.len()), (AFFINITY_KEYS, AFFINITY_KEYS));
    }
}
