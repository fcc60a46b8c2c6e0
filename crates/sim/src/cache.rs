//! A lane's prompt cache: how much of each conversation it holds, and until when.

use std::collections::BTreeMap;

use sluicegate::Timestamp;

use crate::attempt::{Load, Prefix};
use crate::config::LaneConfig;

/// Conversations held at most; the service's own bound is not known.
const MAX_CONVERSATIONS: usize = 1_000_000;

#[derive(Clone, Debug, Default)]
pub(crate) struct PromptCache {
    held: BTreeMap<u64, Held>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    tokens: u64,
    until: Timestamp,
}

impl PromptCache {
    /// The load with its prefix split into what the cache holds at `now` and what it has to take in.
    pub(crate) fn resolve(&self, now: Timestamp, config: &LaneConfig, load: &Load) -> Load {
        let Some(prefix) = load.prefix else { return *load };
        let mut load = Load { prefix: None, ..*load };
        if config.cache_ttl_us == 0 || prefix.tokens < config.cache_min_tokens {
            load.input_tokens = load.input_tokens.saturating_add(prefix.tokens);
            return load;
        }
        let held = self.held.get(&prefix.conversation).filter(|held| now < held.until);
        let read = held.map_or(0, |held| held.tokens.min(prefix.tokens));
        load.cache_read_tokens = load.cache_read_tokens.saturating_add(read);
        load.cache_write_tokens = load.cache_write_tokens.saturating_add(prefix.tokens - read);
        load
    }

    /// Keeps a prefix that was worked on.
    pub(crate) fn keep(&mut self, now: Timestamp, config: &LaneConfig, prefix: Prefix) {
        if config.cache_ttl_us == 0 || prefix.tokens < config.cache_min_tokens {
            return;
        }
        if self.held.len() >= MAX_CONVERSATIONS {
            self.held.retain(|_, held| now < held.until);
            if self.held.len() >= MAX_CONVERSATIONS {
                return;
            }
        }
        let until = Timestamp::from_micros(now.as_micros().saturating_add(config.cache_ttl_us));
        self.held.insert(prefix.conversation, Held { tokens: prefix.tokens, until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_written_once_and_read_until_it_expires() {
        let mut config = LaneConfig::new("r", "m");
        config.cache_ttl_us = 100;
        let mut cache = PromptCache::default();
        let at = Timestamp::from_micros;
        let load =
            |tokens| Load { input_tokens: 10, prefix: Some(Prefix { conversation: 1, tokens }), ..Load::default() };
        let split = |cache: &PromptCache, now, tokens| {
            let load = cache.resolve(now, &config, &load(tokens));
            (load.input_tokens, load.cache_read_tokens, load.cache_write_tokens)
        };
        assert_eq!(split(&cache, at(0), 2_000), (10, 0, 2_000));
        cache.keep(at(0), &config, Prefix { conversation: 1, tokens: 2_000 });
        assert_eq!(split(&cache, at(99), 3_000), (10, 2_000, 1_000));
        assert_eq!(split(&cache, at(100), 3_000), (10, 0, 3_000));
        assert_eq!(split(&cache, at(0), 1_000), (1_010, 0, 0), "too short to be cached");
    }
}
