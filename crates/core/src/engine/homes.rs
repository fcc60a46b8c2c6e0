//! Where the prompt caches are.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use crate::defaults::AFFINITY_KEYS;
use crate::policy::EndpointId;
use crate::time::Timestamp;

/// The endpoint that last served each affinity key. Holds [`AFFINITY_KEYS`]; the one used longest ago makes room.
#[derive(Clone, Debug, Default)]
pub(super) struct Homes {
    keys: BTreeMap<u64, (EndpointId, Timestamp)>,
    by_use: BTreeSet<(Timestamp, u64)>,
}

impl Homes {
    /// Where the cache of `key` is, unless it was last used more than `ttl` ago.
    #[inline(never)]
    pub(super) fn get(&self, key: u64, now: Timestamp, ttl: Duration) -> Option<EndpointId> {
        let (endpoint, used) = self.keys.get(&key)?;
        (now.saturating_since(*used) <= ttl).then_some(*endpoint)
    }

    /// A call of `key` goes to `endpoint`. Returns where its cache was, if that is another and no more than `ttl` ago.
    #[inline(never)]
    pub(super) fn moved(
        &mut self,
        key: u64,
        endpoint: EndpointId,
        now: Timestamp,
        ttl: Duration,
    ) -> Option<EndpointId> {
        let home = self.get(key, now, ttl);
        let before = self.keys.insert(key, (endpoint, now));
        if let Some((_, used)) = before {
            self.by_use.remove(&(used, key));
        }
        self.by_use.insert((now, key));
        if self.keys.len() > AFFINITY_KEYS
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.keys.remove(&oldest);
        }
        home.filter(|home| *home != endpoint)
    }

    /// Keys, their endpoints and how long ago each was used, of those used within `ttl`.
    pub(super) fn recent(&self, now: Timestamp, ttl: Duration) -> impl Iterator<Item = (u64, EndpointId, Duration)> {
        let all = self.keys.iter().map(move |(key, (endpoint, used))| (*key, *endpoint, now.saturating_since(*used)));
        all.filter(move |(.., age)| *age <= ttl)
    }

    /// Endpoints have other ids now; what has none is forgotten.
    pub(super) fn renumber(&mut self, place: impl Fn(EndpointId) -> Option<EndpointId>) {
        let Self { keys, by_use } = self;
        keys.retain(|key, (endpoint, used)| match place(*endpoint) {
            Some(id) => {
                *endpoint = id;
                true
            }
            None => {
                by_use.remove(&(*used, *key));
                false
            }
        });
    }
}
