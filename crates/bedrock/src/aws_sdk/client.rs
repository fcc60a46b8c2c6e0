//! The client: one SDK client for each Region, one gate in front of all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_bedrockruntime::Client as SdkClient;
use aws_sdk_bedrockruntime::config::Region;
use aws_sdk_bedrockruntime::config::http::HttpResponse;
use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_types::SdkConfig;
use sluicegate::{EndReason, Endpoint, EndpointId, Fault, Outcome, Policy, Snapshot};
use sluicegate_driver::{Attempt, Ended, Gate, Observer, Request, Witness};

use super::capture::{Capture, Exchange, exchanging};
use super::failure::Failed;
use crate::{Appraiser, Asked, CallOptions, Catalogue, Plan, StreamSoFar, Told, UnknownModel, Usage};

/// Why a client could not be made.
#[derive(Debug)]
pub struct BuildError {
    /// What is wrong with the policy's section `data.bedrock`.
    pub faults: Vec<Fault>,
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the policy's facts about Bedrock have faults")?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for BuildError {}

/// The source of the [`SdkError`] that a call gets when the engine ended it without an answer from the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The request names no model.
    NoModel,
    /// The policy has no endpoint for this model.
    UnknownModel(String),
    /// The engine ended the call.
    Ended(EndReason),
}

impl std::fmt::Display for NotSent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoModel => write!(f, "the request names no model; set the model id"),
            Self::UnknownModel(model) => UnknownModel(model.clone()).fmt(f),
            Self::Ended(reason) => write!(f, "sluicegate ended the call: {}", reason),
        }
    }
}

impl std::error::Error for NotSent {}

/// Builds a [`Client`].
#[derive(Debug)]
pub struct ClientBuilder {
    policy: Policy,
    config: SdkConfig,
    seed: Option<u64>,
    observer: Option<ObserverSlot>,
    witness: Option<WitnessSlot>,
    saved: Option<(Snapshot, Duration)>,
}

struct ObserverSlot(Observer);

impl std::fmt::Debug for ObserverSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

struct WitnessSlot(Witness);

impl std::fmt::Debug for WitnessSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Witness")
    }
}

impl ClientBuilder {
    /// Draws jitter from a generator with this seed instead of one seeded by the system.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Tells `observer` every event of the engine.
    #[must_use]
    pub fn observer(mut self, observer: Observer) -> Self {
        self.observer = Some(ObserverSlot(observer));
        self
    }

    /// Tells `witness` every submission and report.
    #[must_use]
    pub fn witness(mut self, witness: Witness) -> Self {
        self.witness = Some(WitnessSlot(witness));
        self
    }

    /// Goes on from what another client had learned and counted when `snapshot` was taken, `asleep` ago; see
    /// [`GateBuilder::restore`](sluicegate_driver::GateBuilder::restore).
    #[must_use]
    pub fn restore(mut self, snapshot: Snapshot, asleep: Duration) -> Self {
        self.saved = Some((snapshot, asleep));
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    /// Every fault in the policy's section `data.bedrock`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn build(self) -> Result<Client, BuildError> {
        let appraiser = Appraiser::new(&self.policy).map_err(|faults| BuildError { faults })?;
        let mut by_region: HashMap<&str, SdkClient> = HashMap::new();
        let clients = self
            .policy
            .endpoints()
            .iter()
            .map(|endpoint| {
                let client = by_region.entry(&endpoint.region).or_insert_with(|| sdk_client(&self.config, endpoint));
                client.clone()
            })
            .collect();
        let mut builder = Gate::builder(self.policy.clone());
        if let Some(seed) = self.seed {
            builder = builder.seed(seed);
        }
        if let Some(ObserverSlot(observer)) = self.observer {
            builder = builder.observer(observer);
        }
        if let Some(WitnessSlot(witness)) = self.witness {
            builder = builder.witness(witness);
        }
        if let Some((snapshot, asleep)) = self.saved {
            builder = builder.restore(snapshot, asleep);
        }
        let inner = Inner {
            policy: self.policy,
            gate: builder.open(),
            clients,
            catalogue: appraiser.catalogue().clone(),
            appraiser: Mutex::new(appraiser),
        };
        Ok(Client { inner: Arc::new(inner) })
    }
}

fn sdk_client(config: &SdkConfig, endpoint: &Endpoint) -> SdkClient {
    let config = aws_sdk_bedrockruntime::config::Builder::from(config)
        .region(Region::new(endpoint.region.clone()))
        // One retry policy is enough: two would multiply.
        .retry_config(RetryConfig::disabled())
        .interceptor(Capture)
        .build();
    SdkClient::from_conf(config)
}

/// The Bedrock client of the SDK with a gate in front. Clones share everything.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    policy: Policy,
    gate: Gate,
    /// By endpoint.
    clients: Vec<SdkClient>,
    catalogue: Catalogue,
    appraiser: Mutex<Appraiser>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("policy", &self.inner.policy).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for the endpoints of `policy`. Credentials, HTTP settings and an endpoint URL come from `config`; its
    /// Region and its retries are not used.
    ///
    /// # Errors
    /// Every fault in the policy's section `data.bedrock`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(policy: Policy, config: &SdkConfig) -> Result<Self, BuildError> {
        Self::builder(policy, config).build()
    }

    /// Builds a client with more choices.
    #[must_use]
    pub fn builder(policy: Policy, config: &SdkConfig) -> ClientBuilder {
        ClientBuilder { policy, config: config.clone(), seed: None, observer: None, witness: None, saved: None }
    }

    /// The gate in front, to look at the engine or to pass other calls through it.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.inner.gate
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    /// What the client knows of models and Regions.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.inner.catalogue
    }

    fn appraiser(&self) -> MutexGuard<'_, Appraiser> {
        // Estimates stay usable whatever happened to whoever held them.
        self.inner.appraiser.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn endpoint(&self, id: EndpointId) -> (&SdkClient, &Endpoint) {
        let index = usize::from(id.0);
        (&self.inner.clients[index], &self.inner.policy.endpoints()[index])
    }

    /// Looks the model up and estimates the cost.
    pub(super) fn plan(&self, model: Option<&str>, asked: &Asked, options: &CallOptions) -> Result<Plan, NotSent> {
        let name = model.ok_or(NotSent::NoModel)?;
        let plan = self.appraiser().plan(name, asked, options);
        plan.map_err(|UnknownModel(name)| NotSent::UnknownModel(name))
    }

    /// The report on an answer of `endpoint`, from which the estimate of the next call's size learns.
    pub(super) fn answered(&self, plan: &Plan, endpoint: EndpointId, told: &Told) -> Outcome {
        self.appraiser().answered(plan, endpoint, told)
    }

    /// The report on a stream of `endpoint` that came to its end or was dropped.
    pub(super) fn streamed(&self, plan: &Plan, endpoint: EndpointId, stream: &StreamSoFar, dropped: bool) -> Outcome {
        self.appraiser().streamed(plan, endpoint, stream, dropped)
    }

    /// Runs a call whose answer is one message: `send` makes an attempt, with a lowered cap where it is given one, and
    /// `read` reads what its answer tells.
    pub(super) async fn drive<T, E, F>(
        &self,
        plan: &Plan,
        send: impl Fn(SdkClient, String, Option<u32>) -> (Exchange, F),
        read: impl Fn(&T, &Exchange) -> Told,
    ) -> Result<Answered<T>, Ended<Refusal<E>>>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let attempt = |Attempt { endpoint: id, number, max_tokens, .. }: Attempt| {
            let (client, endpoint) = self.endpoint(id);
            let (exchange, sent) = send(client.clone(), endpoint.target.clone(), max_tokens);
            let attempt = exchanging(exchange, sent);
            let read = &read;
            async move {
                let (result, exchange) = attempt.await;
                match result {
                    Ok(answer) => {
                        let told = read(&answer, &exchange);
                        let outcome = self.answered(plan, id, &told);
                        let usage = told.usage;
                        (outcome, Ok(Answered { answer, exchange, usage, endpoint: id, attempts: number }))
                    }
                    Err(error) => {
                        let failed = Failed::of(&error);
                        (failed.outcome, Err(Refusal { error, failed, endpoint: id, attempts: number }))
                    }
                }
            }
        };
        self.inner.gate.run(request(plan), attempt).await
    }
}

/// What the gate is asked for.
pub(super) fn request(plan: &Plan) -> Request {
    let request = Request::from(plan.call);
    match plan.within {
        Some(deadline) => request.within(deadline),
        None => request,
    }
}

/// An answer and where it came from.
pub(super) struct Answered<T> {
    pub(super) answer: T,
    pub(super) exchange: Exchange,
    pub(super) usage: Option<Usage>,
    pub(super) endpoint: EndpointId,
    pub(super) attempts: u32,
}

/// A failed attempt and where it failed.
#[derive(Debug)]
pub(super) struct Refusal<E> {
    pub(super) error: SdkError<E, HttpResponse>,
    pub(super) failed: Failed,
    pub(super) endpoint: EndpointId,
    pub(super) attempts: u32,
}

/// The SDK's error for a call that ended without an answer: the service's own last word, or, where the engine had the
/// last word, an error of the SDK's kind that comes nearest, with [`NotSent`] as its source.
pub(super) fn sdk_error<E>(reason: EndReason, last: Option<SdkError<E, HttpResponse>>) -> SdkError<E, HttpResponse> {
    match (reason, last) {
        (EndReason::Failed { .. }, Some(error)) => error,
        (EndReason::Expired | EndReason::Refused { why: sluicegate::Refusal::Deadline, .. }, _) => {
            SdkError::timeout_error(NotSent::Ended(reason))
        }
        (_, Some(error)) => error,
        (_, None) => SdkError::construction_failure(NotSent::Ended(reason)),
    }
}
