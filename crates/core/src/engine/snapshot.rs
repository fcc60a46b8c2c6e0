//! What outlives a process: all that was learned and counted, by name.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::advice::SavedKind;
use super::{EndpointState, Engine};
use crate::breaker::{Breaker, BreakerConfig, SavedBreaker};
use crate::budget::{RetryBudget, SavedRetryBudget};
use crate::concurrency::{AdaptiveConcurrency, SavedConcurrency};
use crate::defaults::SNAPSHOT_VERSION;
use crate::kept::{Kept, Named, record};
use crate::limiter::{Limiter, SavedLimiter};
use crate::policy::{EndpointId, ModelId, Policy};
use crate::service_times::{SavedServiceTimes, ServiceTimes};
use crate::time::{Timestamp, micros};

/// All that an engine has learned and counted, in a form that can be kept in a file: what pools have given out and what
/// their limits were found to be, breakers, concurrency, service times, lengths of answers, prompt caches, the retry
/// budget. Things go by their names in the policy, and times by how long ago they were, so that another process with
/// another clock and another policy can go on.
///
/// It holds no calls: those that wait belong to callers who are gone. What attempts that were out had reserved stays
/// counted.
///
/// ```
/// use core::time::Duration;
/// use sluicegate::{Engine, Policy, Snapshot, Timestamp};
///
/// let policy = Policy::from_json(r#"{
///     "pools": {"virginia": {"requests_per_minute": 60}},
///     "endpoints": {"us-east-1": {"model": "claude", "pools": ["virginia"]}}
/// }"#)?;
/// let day = Timestamp::from_micros(86_400_000_000);
/// let mut engine = Engine::new(policy.clone(), day);
/// let text = engine.snapshot(day).to_json();
///
/// // Later, in another process. How long it was away is zero where nobody knows.
/// let snapshot = Snapshot::from_json(&text)?;
/// let engine = Engine::restore(policy, &snapshot, day, Duration::from_secs(30));
///
/// let newer = Snapshot::from_json(r#"{"version": 99}"#).unwrap_err();
/// assert_eq!(newer.code(), "snapshot_newer");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Snapshot {
    version: u64,
    body: Body,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Body {
    pools: Named<SavedLimiter>,
    endpoints: Named<SavedEndpoint>,
    models: Named<SavedModel>,
    budget: Option<SavedRetryBudget>,
    /// Affinity key, endpoint, microseconds since the last use.
    homes: Vec<(u64, String, u64)>,
}

record!(Body, closed: false, always: [pools, endpoints, models], sparse: [budget, homes]);

#[derive(Clone, Debug, Default, PartialEq)]
struct SavedEndpoint {
    breaker: SavedBreaker,
    concurrency: SavedConcurrency,
    service_times: SavedServiceTimes,
    /// Microseconds.
    unusable_for: u64,
}

record!(SavedEndpoint, closed: false, always: [breaker, concurrency, service_times, unusable_for], sparse: []);

#[derive(Clone, Debug, Default, PartialEq)]
struct SavedModel {
    /// Settled over reserved tokens, in thousandths.
    spent_permille: Option<u64>,
    lengths: Vec<SavedKind>,
}

record!(SavedModel, closed: false, always: [], sparse: [spent_permille, lengths]);

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut whole = self.body.store();
        whole["version"] = self.version.into();
        whole.serialize(serializer)
    }
}

/// Why a snapshot cannot be used. Nothing has changed; start with [`Engine::new`] instead, which has to learn anew.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It was written by a newer version of this library.
    Newer {
        /// The snapshot's version.
        found: u64,
        /// The newest that this library reads.
        known: u64,
    },
    /// It is no snapshot.
    Malformed {
        /// What is wrong with it.
        message: String,
    },
}

impl SnapshotError {
    /// The codes of all such errors.
    pub const CODES: &[&str] = &["snapshot_newer", "snapshot_malformed"];

    /// The stable name of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Newer { .. } => "snapshot_newer",
            Self::Malformed { .. } => "snapshot_malformed",
        }
    }
}

impl core::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Newer { found, known } => {
                write!(f, "the snapshot has version {found}, this library reads up to {known}; update it or start anew")
            }
            Self::Malformed { message } => write!(f, "this is no snapshot: {message}; start anew without it"),
        }
    }
}

impl core::error::Error for SnapshotError {}

impl TryFrom<Value> for Snapshot {
    type Error = SnapshotError;

    fn try_from(value: Value) -> Result<Self, SnapshotError> {
        let malformed = |message: String| SnapshotError::Malformed { message };
        let version = value.get("version").and_then(Value::as_u64);
        let version = version.ok_or_else(|| malformed("it has no version".to_string()))?;
        if version > SNAPSHOT_VERSION {
            return Err(SnapshotError::Newer { found: version, known: SNAPSHOT_VERSION });
        }
        let mut body = Body::default();
        body.load(&value).map_err(|error| malformed(error.to_string()))?;
        Ok(Self { version, body })
    }
}

impl Snapshot {
    /// Reads a JSON text.
    ///
    /// # Errors
    /// The text is no snapshot, or one of a newer version.
    pub fn from_json(text: &str) -> Result<Self, SnapshotError> {
        let value: Value = serde_json::from_slice(text.as_bytes())
            .map_err(|error| SnapshotError::Malformed { message: error.to_string() })?;
        value.try_into()
    }

    /// Writes it as JSON: some kilobytes for each pool that was busy.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Names, numbers and lists can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn saved(state: &EndpointState, now: Timestamp) -> SavedEndpoint {
    SavedEndpoint {
        breaker: state.breaker.save(now),
        concurrency: state.concurrency.save(now),
        service_times: state.service_times.save(),
        unusable_for: micros(state.unusable_until.saturating_since(now)),
    }
}

impl Engine {
    /// Saves what was learned and counted. The engine goes on as before.
    #[must_use]
    pub fn snapshot(&mut self, now: Timestamp) -> Snapshot {
        let now = self.now.max(now);
        let mut body = Body { budget: Some(self.budget.save(now)), ..Body::default() };
        for (pool, state) in self.policy.pools().iter().zip(&mut self.pools) {
            body.pools.insert(&pool.name, state.save(now));
        }
        for (endpoint, state) in self.policy.endpoints().iter().zip(&self.endpoints) {
            body.endpoints.insert(&endpoint.name, saved(state, now));
        }
        for (index, (name, state)) in self.policy.models().iter().zip(&self.models).enumerate() {
            let lengths = self.lengths.save(ModelId(u16::try_from(index).unwrap_or(u16::MAX)), now);
            body.models.insert(name, SavedModel { spent_permille: Some(state.spent_permille), lengths });
        }
        let ttl = self.policy.router().affinity_ttl;
        let homes = self.homes.recent(now, ttl).filter_map(|(key, endpoint, age)| {
            let name = self.policy.endpoint(endpoint)?.name.clone();
            Some((key, name, micros(age)))
        });
        body.homes = homes.collect();
        Snapshot { version: SNAPSHOT_VERSION, body }
    }

    /// An engine that goes on where another stopped.
    ///
    /// `asleep` says how long ago the snapshot was taken, zero if nobody knows, which is always safe: what was counted then
    /// counts as if it had just happened. The clock's origin should lie at least a day before `now`, or what was counted
    /// before the origin counts as if it had happened there. What has no name in `policy` is left out, what is new starts
    /// afresh, and declared limits are those of `policy`.
    #[must_use]
    pub fn restore(policy: Policy, snapshot: &Snapshot, now: Timestamp, asleep: Duration) -> Self {
        let mut engine = Self::new(policy, now);
        let body = &snapshot.body;
        for (pool, state) in engine.policy.pools().iter().zip(&mut engine.pools) {
            if let Some(saved) = body.pools.get(&pool.name) {
                *state = Limiter::restored(pool.limits, saved, now, asleep);
            }
        }
        let breaker = *engine.policy.breaker();
        for (endpoint, state) in engine.policy.endpoints().iter().zip(&mut engine.endpoints) {
            let Some(saved) = body.endpoints.get(&endpoint.name) else { continue };
            let config = BreakerConfig { mode: endpoint.breaker, ..breaker };
            let left = Duration::from_micros(saved.unusable_for).saturating_sub(asleep);
            *state = EndpointState {
                breaker: Breaker::restored(config, &saved.breaker, now, asleep),
                concurrency: AdaptiveConcurrency::restored(&saved.concurrency, now, asleep),
                service_times: ServiceTimes::restored(&saved.service_times),
                unusable_until: now.saturating_add(left),
            };
        }
        for (index, (name, state)) in engine.policy.models().iter().zip(&mut engine.models).enumerate() {
            let Some(saved) = body.models.get(name) else { continue };
            if let Some(permille) = saved.spent_permille {
                state.spent_permille = permille.min(100_000);
            }
            let model = ModelId(u16::try_from(index).unwrap_or(u16::MAX));
            engine.lengths.restore(model, &saved.lengths, now, asleep);
        }
        if let Some(saved) = &body.budget {
            engine.budget = RetryBudget::restored(engine.policy.retry().budget, saved, now, asleep);
        }
        for (key, name, age) in &body.homes {
            let found = engine.policy.endpoints().iter().position(|endpoint| endpoint.name == *name);
            if let Some(id) = found.and_then(|index| u16::try_from(index).ok()) {
                let used = now.saturating_sub(asleep).saturating_sub(Duration::from_micros(*age));
                engine.homes.moved(*key, EndpointId(id), used, Duration::MAX);
            }
        }
        engine
    }
}
