//! The configuration as data, parsed once into a value that cannot be wrong.

mod read;
mod reader;
mod sections;

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::{Value, json};

pub use reader::{FAULT_CODES, Fault, Section};

use crate::backoff::Backoff;
use crate::breaker::{BreakerConfig, BreakerMode};
use crate::budget::RetryBudgetConfig;
use crate::engine::TenantId;
use crate::limiter::LimiterConfig;

/// Index of an endpoint in [`Policy::endpoints`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct EndpointId(pub u16);

/// Index of a model in [`Policy::models`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ModelId(pub u16);

/// Index of a quota pool in [`Policy::pools`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct PoolId(pub u16);

/// A quota pool: the counters a service keeps, on which several endpoints may draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name in the policy.
    pub name: String,
    /// Its limits.
    pub limits: LimiterConfig,
}

/// A place a call can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name in the policy.
    pub name: String,
    /// The model that callers ask for.
    pub model: ModelId,
    /// What is sent in the model's place: an inference profile or an ARN; the model itself unless the policy says so.
    pub target: String,
    /// The source Region.
    pub region: String,
    /// The geography in which it processes calls, for residency.
    pub geography: Option<String>,
    /// The pools it draws on.
    pub pools: Vec<PoolId>,
    /// What its breaker does.
    pub breaker: BreakerMode,
    /// Its share beside the others' where several can start a call.
    pub weight: u32,
    /// Endpoints of a later group are used while none of an earlier one can start a call.
    pub group: u8,
}

/// What may serve a model's calls in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The models, in order of preference; empty for none.
    pub models: Vec<ModelId>,
    /// How long a call waits for the model itself.
    pub after: Duration,
}

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    /// How long a call waits for an endpoint of an earlier group before one of a later group may serve it.
    pub group_wait: Duration,
    /// What reading a prompt from its cache is worth in waiting, besides the tokens it saves.
    pub affinity_wait: Duration,
    /// How long a prompt cache lives after its last use.
    pub affinity_ttl: Duration,
}

/// When a call that takes long is sent a second time, elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// The quantile of the endpoint's service times after which an attempt takes long, in thousandths.
    pub after_permille: u32,
    /// Hedges allowed per thousand calls.
    pub share_permille: u64,
    /// A pool of which more than this is used, in thousandths, serves no hedge.
    pub pool_use_at_most_permille: u64,
}

/// What is done with what is learned of the length of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputCap {
    /// Whether caps that are higher than answers need are lowered.
    pub clamp: bool,
    /// The share of answers that an advised cap holds, in thousandths.
    pub holds_permille: u32,
    /// Answers that must have been seen before a cap is advised.
    pub minimum_answers: u32,
}

/// How calls are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The most attempts a call gets, the first one included.
    pub max_attempts: u32,
    /// The delay after a capacity error or an endpoint that does not answer.
    pub overloaded: Backoff,
    /// The delay while a model is being loaded.
    pub not_ready: Backoff,
    /// The delay after anything else that is tried again.
    pub other: Backoff,
    /// Whether an attempt the service gave up on is tried again. It was probably charged.
    pub timed_out: bool,
    /// Whether an attempt on which the model failed is tried again. It was probably charged.
    pub model_error: bool,
    /// What bounds the retries of all calls together.
    pub budget: RetryBudgetConfig,
}

/// Somebody between whom and others fairness is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its name in the policy.
    pub name: String,
    /// Its share beside the others'.
    pub weight: u32,
}

/// Bounds on waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The most calls that may wait at once, of all models together. When one more comes, the tenant that holds the most
    /// of them for its weight gives way, if that is more than the newcomer's tenant would hold with it: its newest call is
    /// refused, one that was sent before last of all. Otherwise the newcomer is refused.
    pub capacity: usize,
    /// The deadline of a call that brings none, counted from its submission.
    pub deadline: Option<Duration>,
    /// How long an attempt may be out before its permit is taken back.
    pub lease: Duration,
    /// A call that would have to wait longer is refused when it comes.
    pub target_wait: Option<Duration>,
    /// How much waiting one level of priority is worth.
    pub priority_step: Duration,
}

/// A checked policy. Made by [`Policy::parse`]; it cannot hold a value that the engine would have to doubt.
///
/// ```
/// use sluicegate::Policy;
///
/// let text = r#"{
///     "pools": {"virginia": {"tokens_per_minute": 600000}},
///     "endpoints": {"virginia": {"model": "claude", "region": "us-east-1", "pools": ["virginia"]}}
/// }"#;
/// let policy = Policy::from_json(text).unwrap();
/// assert_eq!(policy.endpoints()[0].target, "claude");
///
/// let faults = Policy::from_json(r#"{"endpoint": {}, "pools": {"a": {"tokens_per_minute": 0}}}"#).unwrap_err().faults;
/// let codes: Vec<_> = faults.iter().map(|fault| (fault.code, fault.pointer.as_str())).collect();
/// assert_eq!(codes, [("out_of_range", "/pools/a/tokens_per_minute"), ("empty", "/endpoints"), ("unknown_field", "/endpoint")]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pools: Vec<Pool>,
    models: Vec<String>,
    /// For each model.
    fallbacks: Vec<Fallback>,
    endpoints: Vec<Endpoint>,
    residency: Vec<String>,
    retry: Retry,
    breaker: BreakerConfig,
    shut_at_most_percent: u8,
    router: Router,
    hedge: Option<Hedge>,
    output_cap: OutputCap,
    queue: Queue,
    tenants: Vec<Tenant>,
    data: Option<Value>,
}

/// Everything that is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Every fault, in the order of reading; never empty.
    pub faults: Vec<Fault>,
}

impl core::fmt::Display for PolicyError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let count = self.faults.len();
        write!(f, "the policy has {count} fault{}", if count == 1 { "" } else { "s" })?;
        for fault in &self.faults {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

impl core::error::Error for PolicyError {}

impl Policy {
    /// Parses a JSON text.
    ///
    /// # Errors
    /// Every fault of the text, or the one place where it stops being JSON.
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        let value: Value = serde_json::from_slice(text.as_bytes())
            .map_err(|error| PolicyError { faults: [Fault::new("not_json", "", error.to_string())].into() })?;
        Self::parse(&value)
    }

    /// Parses a document, from whatever text it came.
    ///
    /// # Errors
    /// Every fault of the document.
    pub fn parse(document: &Value) -> Result<Self, PolicyError> {
        let (policy, faults) = read::policy(document);
        if faults.is_empty() { Ok(policy) } else { Err(PolicyError { faults }) }
    }

    /// Parses one section alone: a policy of one pool and one endpoint, both named `a`, with `section` at `pointer`. For what
    /// of the engine is used by itself; faults point into the section.
    ///
    /// ```
    /// use serde_json::json;
    /// use sluicegate::Policy;
    ///
    /// let policy = Policy::parse_section("/retry", json!({"max_attempts": 5})).unwrap();
    /// assert_eq!(policy.retry().max_attempts, 5);
    /// let faults = Policy::parse_section("/pools/a", json!({"requests_per_minute": 0})).unwrap_err().faults;
    /// assert_eq!(faults[0].pointer, "/requests_per_minute");
    /// ```
    ///
    /// # Errors
    /// Every fault of the section.
    pub fn parse_section(pointer: &str, section: Value) -> Result<Self, PolicyError> {
        let mut document = json!({"pools": {"a": {}}, "endpoints": {"a": {"model": "a", "pools": ["a"]}}});
        let nested = pointer.rsplit('/').filter(|name| !name.is_empty());
        if let (Value::Object(document), Value::Object(nested)) =
            (&mut document, nested.fold(section, |inner, name| json!({name: inner})))
        {
            document.extend(nested);
        }
        Self::parse(&document).map_err(|mut error| {
            for fault in &mut error.faults {
                if let Some(within) = fault.pointer.strip_prefix(pointer).map(ToOwned::to_owned) {
                    fault.pointer = within;
                }
            }
            error
        })
    }

    /// The JSON Schema (draft 2020-12) of a policy, with every default. Needs the feature `schema`, which is on by default.
    #[cfg(feature = "schema")]
    #[must_use]
    pub fn schema() -> Value {
        read::schema()
    }

    /// The quota pools, in the order of their names.
    #[must_use]
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// The models that callers may ask for, in the order of their names.
    #[must_use]
    pub fn models(&self) -> &[String] {
        &self.models
    }

    /// The endpoints, in the order of their names.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The endpoint with this id.
    #[must_use]
    pub fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.get(usize::from(id.0))
    }

    /// The model of this name, or the one that an endpoint sends this name for.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<ModelId> {
        let index = self.models.iter().position(|model| model == name);
        index
            .and_then(|index| u16::try_from(index).ok().map(ModelId))
            .or_else(|| self.endpoints.iter().find(|endpoint| endpoint.target == name).map(|endpoint| endpoint.model))
    }

    /// The geographies calls may be processed in; empty for all.
    #[must_use]
    pub fn residency(&self) -> &[String] {
        &self.residency
    }

    /// Whether residency lets calls be processed at `endpoint`.
    #[must_use]
    pub fn allows(&self, endpoint: &Endpoint) -> bool {
        self.residency.is_empty() || endpoint.geography.as_ref().is_some_and(|place| self.residency.contains(place))
    }

    /// How calls are tried again.
    #[must_use]
    pub const fn retry(&self) -> &Retry {
        &self.retry
    }

    /// The breaker that every endpoint gets.
    #[must_use]
    pub const fn breaker(&self) -> &BreakerConfig {
        &self.breaker
    }

    /// The largest share of a model's endpoints that breakers may keep shut at once, in per cent.
    #[must_use]
    pub const fn shut_at_most_percent(&self) -> u8 {
        self.shut_at_most_percent
    }

    /// What may serve a model's calls in its place; nothing for a model that the policy does not have.
    #[must_use]
    pub fn fallback(&self, model: ModelId) -> Option<&Fallback> {
        self.fallbacks.get(usize::from(model.0))
    }

    /// How an endpoint is chosen.
    #[must_use]
    pub const fn router(&self) -> &Router {
        &self.router
    }

    /// When calls are hedged; `None` for never.
    #[must_use]
    pub const fn hedge(&self) -> Option<&Hedge> {
        self.hedge.as_ref()
    }

    /// What is done with what is learned of the length of answers.
    #[must_use]
    pub const fn output_cap(&self) -> &OutputCap {
        &self.output_cap
    }

    /// Bounds on waiting.
    #[must_use]
    pub const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The tenants that the policy names, in the order of their names.
    #[must_use]
    pub fn tenants(&self) -> &[Tenant] {
        &self.tenants
    }

    /// The tenant of this name.
    #[must_use]
    pub fn tenant(&self, name: &str) -> Option<TenantId> {
        let index = self.tenants.iter().position(|tenant| tenant.name == name)?;
        u32::try_from(index).ok().map(TenantId)
    }

    /// The weight of a tenant: 1 unless the policy says otherwise.
    #[must_use]
    pub fn weight(&self, tenant: TenantId) -> u32 {
        usize::try_from(tenant.0).ok().and_then(|index| self.tenants.get(index)).map_or(1, |tenant| tenant.weight)
    }

    /// What the policy holds for other layers, under `data`.
    #[must_use]
    pub const fn data(&self) -> Option<&Value> {
        self.data.as_ref()
    }
}
