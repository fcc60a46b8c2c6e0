//! What an adapter has to know around a call: what to reserve before, what an answer cost after.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::Value;
use sluicegate::{Call, CallId, EndpointId, Fault, LabelId, ModelId, Outcome, OutcomeClass, Policy, TenantId};
use xxhash_rust::xxh3::Xxh3;

use crate::affinity::{Affinity, Cached};
use crate::{
    BedrockModel, Catalogue, Operation, Ratios, RequestShape, StreamSoFar, Usage, can_lower_max_tokens,
    cut_by_max_tokens, estimate_request, usage_from_body, usage_from_headers,
};

/// What a caller may add to one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// When it must have been answered, counted from its submission; else the policy's own deadline holds.
    pub deadline: Option<Duration>,
    /// Higher goes first among the calls of its tenant.
    pub priority: u8,
    /// Whom the call is made for; see [`Policy::tenant`] for those that the policy names.
    pub tenant: TenantId,
    /// What the call shares its prompt cache with. What moving elsewhere would cost is told by the last answer of the same
    /// affinity.
    pub affinity: Option<Affinity>,
    /// What kind of call it is: lengths of answers are learned for each model and label.
    pub label: LabelId,
    /// Never to be sent twice at once, whatever the policy says of hedging. Streams never are.
    pub lone: bool,
}

/// What a request says, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its size.
    pub shape: RequestShape,
    /// A hash of model, prompt and parameters.
    pub fingerprint: u64,
    /// Whether an attempt can be sent with a lower cap on its answer. Set it to `false` for a stream: what a cap cut
    /// short cannot be asked for again once it is handed out.
    pub can_lower: bool,
}

impl Asked {
    /// Reads a body of `operation`; one that is no JSON has no size, and is for the service to refuse.
    #[must_use]
    pub fn of_body(model: &str, body: &[u8], operation: Operation) -> Self {
        let value = serde_json::from_slice(body).unwrap_or_default();
        Self::of_json(model, &value, body, operation)
    }

    /// The same for a body that was read already; `bytes` is what tells it from others: its text, or any other form of it
    /// that is the same whenever the request is.
    #[must_use]
    pub fn of_json(model: &str, body: &Value, bytes: &[u8], operation: Operation) -> Self {
        let mut hash = Xxh3::new();
        for part in [model.as_bytes(), bytes] {
            hash.update(part);
            // Two texts in a row are not the same as one that joins them.
            hash.update(&[0xff]);
        }
        Self {
            shape: estimate_request(body, operation),
            fingerprint: hash.digest(),
            can_lower: can_lower_max_tokens(body, operation),
        }
    }
}

/// A call before its submission: what it asks of the engine, and what is to be remembered until its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What to submit. Its name and its deadline are the adapter's to fill in.
    pub call: Call,
    /// The deadline, counted from the submission.
    pub within: Option<Duration>,
    shape: RequestShape,
    affinity: Option<Affinity>,
}

/// What an answer tells about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What it used.
    pub usage: Option<Usage>,
    /// Whether the cap on its length cut it short.
    pub cut: bool,
}

impl Told {
    /// Reads an answer: its usage by the headers, which the service writes, else by the body, which the model's vendor writes.
    #[must_use]
    pub fn of_body<'h>(body: &[u8], headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Self {
        let body = serde_json::from_slice(body).unwrap_or_default();
        Self::of_json(&body, headers)
    }

    /// The same for a body that was read already, such as the answer to Converse as an SDK hands it out.
    #[must_use]
    pub fn of_json<'h>(body: &Value, headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Self {
        Self { usage: usage_from_headers(headers).or_else(|| usage_from_body(body)), cut: cut_by_max_tokens(body) }
    }
}

/// The policy has no endpoint for a model of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownModel(pub String);

impl core::fmt::Display for UnknownModel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the policy has no endpoint for model \"{}\"; add one under /endpoints", self.0)
    }
}

impl core::error::Error for UnknownModel {}

/// Estimates what calls will cost and reads what they did cost, learning from each answer: the part around the engine
/// that adapters for Bedrock share in every language. It does no I/O.
///
/// ```
/// use serde_json::json;
/// use sluicegate::{EndpointId, Policy};
/// use sluicegate_bedrock::{Appraiser, Asked, CallOptions, Operation, Told};
///
/// let policy = Policy::from_json(r#"{
///     "pools": {"virginia": {"requests_per_minute": 60, "tokens_per_minute": 100000}},
///     "endpoints": {"us-east-1": {"model": "anthropic.claude-sonnet-4-6", "pools": ["virginia"]}}
/// }"#)?;
/// let mut appraiser = Appraiser::new(&policy).map_err(|faults| faults[0].to_string())?;
///
/// let body = br#"{"messages": [{"role": "user", "content": [{"text": "Hello"}]}], "inferenceConfig": {"maxTokens": 500}}"#;
/// let asked = Asked::of_body("anthropic.claude-sonnet-4-6", body, Operation::Converse);
/// let plan = appraiser.plan("anthropic.claude-sonnet-4-6", &asked, &CallOptions::default())?;
/// assert!(plan.call.tokens >= 500); // ... submit `plan.call`, send it to the endpoint that the engine names ...
///
/// let answer = json!({ "usage": { "inputTokens": 9, "outputTokens": 20 }, "stopReason": "end_turn" });
/// let outcome = appraiser.answered(&plan, EndpointId(0), &Told::of_json(&answer, []));
/// assert_eq!(outcome.output_tokens, Some(20));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Appraiser {
    catalogue: Catalogue,
    ratios: Ratios,
    cached: Cached,
    /// The names that callers use.
    names: Vec<String>,
    /// By endpoint: the model that it is for, and what it really serves, also for calls to a model that it is a fallback for.
    endpoints: Vec<(ModelId, BedrockModel)>,
}

impl Appraiser {
    /// An appraiser for the endpoints of `policy`.
    ///
    /// # Errors
    /// Every fault in the policy's section `data.bedrock`.
    pub fn new(policy: &Policy) -> Result<Self, Vec<Fault>> {
        let catalogue = match policy.data().and_then(|data| data.get("bedrock")) {
            Some(section) => Catalogue::with_overrides(section)?,
            None => Catalogue::builtin(),
        };
        let endpoints =
            policy.endpoints().iter().map(|endpoint| (endpoint.model, catalogue.model(&endpoint.target))).collect();
        let (ratios, cached) = Default::default();
        Ok(Self { catalogue, ratios, cached, names: policy.models().to_vec(), endpoints })
    }

    /// The same with what it has learned, for another policy.
    ///
    /// # Errors
    /// Every fault in the policy's section `data.bedrock`; nothing has changed then.
    pub fn reconfigure(&mut self, policy: &Policy) -> Result<(), Vec<Fault>> {
        let new = Self::new(policy)?;
        let (ratios, cached) = (core::mem::take(&mut self.ratios), core::mem::take(&mut self.cached));
        *self = Self { ratios, cached, ..new };
        Ok(())
    }

    /// What is known of models and Regions.
    #[must_use]
    pub const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Looks the model up by the policy's name for it, and estimates the cost.
    ///
    /// # Errors
    /// The policy has no endpoint for it.
    pub fn plan(&self, name: &str, asked: &Asked, options: &CallOptions) -> Result<Plan, UnknownModel> {
        let index = self.names.iter().position(|model| model == name);
        let id = index.and_then(|index| u16::try_from(index).ok()).map(ModelId);
        let id = id.ok_or_else(|| UnknownModel(name.to_owned()))?;
        // The policy may call the model what it likes; what is sent for it is known to the catalogue.
        let target = self.endpoints.iter().find(|(model, _)| *model == id).map(|(_, target)| target.clone());
        let model = target.unwrap_or_else(|| self.catalogue.model(name));
        let Asked { shape, fingerprint, can_lower } = *asked;
        let input = self.ratios.input_tokens(&self.catalogue, &model, &shape);
        let tokens = self.catalogue.reserve(&model, input, 0, 0, shape.max_tokens);
        let mut call = Call::new(CallId(0), id, tokens)
            .priority(options.priority)
            .tenant(options.tenant)
            .label(options.label)
            .fingerprint(fingerprint);
        if let Some(affinity) = options.affinity {
            call = call.affinity(affinity.0, self.cached.tokens(affinity));
        }
        // Without a cap of its own it is the model's that is set aside.
        let cap = shape.max_tokens.unwrap_or_else(|| self.catalogue.max_output(&model).tokens);
        if let Some(cap) = u32::try_from(cap).ok().filter(|_| can_lower) {
            call = call.max_tokens(cap);
        }
        if options.lone {
            call = call.lone();
        }
        Ok(Plan { call, within: options.deadline, shape, affinity: options.affinity })
    }

    /// The report on an answer of `endpoint`, from which the estimate of the next call's size learns.
    pub fn answered(&mut self, plan: &Plan, endpoint: EndpointId, told: &Told) -> Outcome {
        let model = self.endpoints.get(usize::from(endpoint.0)).map(|(_, model)| model);
        let outcome = match (&told.usage, model) {
            (Some(usage), Some(model)) => {
                self.ratios.observe_request(&self.catalogue, model, &plan.shape, usage);
                if let Some(affinity) = plan.affinity {
                    self.cached.answered(affinity, usage);
                }
                let answered = Outcome::success(self.catalogue.settle(model, usage));
                answered.output_tokens(u32::try_from(usage.output).unwrap_or(u32::MAX))
            }
            _ => Outcome::of(OutcomeClass::Success),
        };
        if told.cut { outcome.truncated() } else { outcome }
    }

    /// The report on a stream that came to its end, or that its caller dropped before.
    pub fn streamed(&mut self, plan: &Plan, endpoint: EndpointId, stream: &StreamSoFar, dropped: bool) -> Outcome {
        if stream.completes {
            // What was handed out cannot be asked for again, so it does not matter whether a cap cut it short.
            return self.answered(plan, endpoint, &Told { usage: stream.usage, cut: false });
        }
        Outcome::of(match (dropped, stream.delivers) {
            (true, _) => OutcomeClass::Cancelled,
            (false, true) => OutcomeClass::StreamBrokenDelivered,
            (false, false) => OutcomeClass::StreamBroken,
        })
    }
}
