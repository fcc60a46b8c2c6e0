//! What an adapter for Bedrock has to know around a call.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluicegate::{Call, CallId, EndpointId, LabelId};
use sluicegate_bedrock::{
    Affinity, Asked, Catalogue, FailureKind, HttpError, Ratios, Told, estimate_request, label_named, lower_max_tokens,
    tenant_named,
};

use crate::errors::{InputError, PolicyError};
use crate::outcome::Outcome;
use crate::pieces::lock;
use crate::policy::Policy;
use crate::stream::StreamWatch;

/// Which of Bedrock's operations a body belongs to; with or without a stream is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub(crate) enum Operation {
    /// Converse and ConverseStream.
    Converse,
    /// InvokeModel and InvokeModelWithResponseStream.
    InvokeModel,
}

impl From<Operation> for sluicegate_bedrock::Operation {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Converse => Self::Converse,
            Operation::InvokeModel => Self::InvokeModel,
        }
    }
}

/// What a caller may add to one call.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub(crate) struct CallOptions {
    /// When it must have been answered, in microseconds from its submission; else the policy's own deadline holds.
    #[uniffi(default = None)]
    pub(crate) deadline_us: Option<u64>,
    /// Higher goes first among the calls of its tenant.
    #[uniffi(default = 0)]
    pub(crate) priority: u8,
    /// Whom it is made for.
    #[uniffi(default = None)]
    pub(crate) tenant: Option<String>,
    /// What it shares its prompt cache with.
    #[uniffi(default = None)]
    pub(crate) affinity: Option<String>,
    /// Its kind: lengths of answers are learned for each model and label.
    #[uniffi(default = None)]
    pub(crate) label: Option<String>,
    /// Never to be sent twice at once, whatever the policy says.
    #[uniffi(default = false)]
    pub(crate) lone: bool,
}

impl CallOptions {
    pub(crate) fn label(&self) -> LabelId {
        self.label.as_deref().map(label_named).unwrap_or_default()
    }

    pub(crate) fn of_bedrock(&self, policy: &sluicegate::Policy) -> sluicegate_bedrock::CallOptions {
        sluicegate_bedrock::CallOptions {
            deadline: self.deadline_us.map(Duration::from_micros),
            priority: self.priority,
            tenant: self.tenant.as_deref().map(|name| tenant_named(policy, name)).unwrap_or_default(),
            affinity: self.affinity.clone().map(Affinity::from),
            label: self.label(),
            lone: self.lone,
        }
    }

    /// A request of a caller that knows its own size.
    pub(crate) fn request(
        &self,
        policy: &sluicegate::Policy,
        model: &str,
        tokens: u64,
        max_tokens: Option<u32>,
    ) -> Result<sluicegate_driver::Request, InputError> {
        let options = self.of_bedrock(policy);
        let unknown = || InputError::UnknownModel { model: format!("\"{model}\"") };
        let model = policy.model(model).ok_or_else(unknown)?;
        let mut call = Call::new(CallId(0), model, tokens).priority(options.priority).tenant(options.tenant);
        call = call.label(options.label);
        if let Some(affinity) = options.affinity {
            call = call.affinity(affinity.0, 0);
        }
        if let Some(cap) = max_tokens {
            call = call.max_tokens(cap);
        }
        if options.lone {
            call = call.lone();
        }
        Ok(within(sluicegate_driver::Request::from(call), options.deadline))
    }
}

pub(crate) fn within(request: sluicegate_driver::Request, deadline: Option<Duration>) -> sluicegate_driver::Request {
    match deadline {
        Some(deadline) => request.within(deadline),
        None => request,
    }
}

/// A call before its submission: what it asks of the engine, and what is to be remembered until its answer.
#[derive(uniffi::Object)]
pub(crate) struct Plan(sluicegate_bedrock::Plan);

impl Plan {
    pub(crate) fn request(&self) -> sluicegate_driver::Request {
        within(sluicegate_driver::Request::from(self.0.call), self.0.within)
    }
}

#[uniffi::export]
impl Plan {
    /// What the service is expected to reserve, in quota tokens.
    pub(crate) fn tokens(&self) -> u64 {
        self.0.call.tokens
    }
}

/// One header of HTTP.
#[derive(Clone, Debug, uniffi::Record)]
pub(crate) struct Header {
    /// Its name, in any case.
    name: String,
    /// Its value.
    value: String,
}

pub(crate) fn pairs(headers: &[Header]) -> impl Iterator<Item = (&str, &str)> {
    headers.iter().map(|header| (header.name.as_str(), header.value.as_str()))
}

/// Estimates what calls will cost and reads what they did cost, learning from each answer.
#[derive(uniffi::Object)]
pub(crate) struct Appraiser(Mutex<(sluicegate::Policy, sluicegate_bedrock::Appraiser)>);

#[uniffi::export]
impl Appraiser {
    /// An appraiser for the endpoints of `policy`.
    #[uniffi::constructor]
    pub(crate) fn new(policy: &Policy) -> Result<Self, PolicyError> {
        let appraiser = sluicegate_bedrock::Appraiser::new(&policy.0);
        let appraiser = appraiser.map_err(|faults| PolicyError::from(faults.as_slice()))?;
        Ok(Self(Mutex::new((policy.0.clone(), appraiser))))
    }

    /// The same with what it has learned, for another policy.
    pub(crate) fn reconfigure(&self, policy: &Policy) -> Result<(), PolicyError> {
        let mut inner = lock(&self.0);
        inner.1.reconfigure(&policy.0).map_err(|faults| PolicyError::from(faults.as_slice()))?;
        inner.0 = policy.0.clone();
        Ok(())
    }

    /// Plans a request by its body, in the form that goes over the wire.
    pub(crate) fn plan(
        &self,
        model: &str,
        operation: Operation,
        body: Vec<u8>,
        options: CallOptions,
        stream: bool,
    ) -> Result<Arc<Plan>, InputError> {
        let mut asked = Asked::of_body(model, &body, operation.into());
        // What a lowered cap cut short could not be asked for again once it is handed out, nor is there a choosing between
        // two streams.
        asked.can_lower &= !stream;
        let inner = lock(&self.0);
        let mut options = options.of_bedrock(&inner.0);
        options.lone |= stream;
        let unknown = |_| InputError::UnknownModel { model: format!("\"{model}\"") };
        inner.1.plan(model, &asked, &options).map(|plan| Arc::new(Plan(plan))).map_err(unknown)
    }

    /// The report on an answer by its body and headers.
    pub(crate) fn answered(&self, plan: &Plan, endpoint: u16, body: Vec<u8>, headers: Vec<Header>) -> Outcome {
        let told = Told::of_body(&body, pairs(&headers));
        lock(&self.0).1.answered(&plan.0, EndpointId(endpoint), &told).into()
    }

    /// The report on a stream that came to its end, or that its caller dropped before.
    pub(crate) fn streamed(&self, plan: &Plan, endpoint: u16, watch: &StreamWatch, dropped: bool) -> Outcome {
        let so_far = watch.so_far();
        lock(&self.0).1.streamed(&plan.0, EndpointId(endpoint), &so_far, dropped).into()
    }
}

/// The quota tokens that Bedrock reserves for a request, by the built-in table of models; learning improves on it in an
/// `Appraiser`.
#[uniffi::export]
pub(crate) fn estimate(model: &str, operation: Operation, body: Vec<u8>) -> u64 {
    let catalogue = Catalogue::builtin();
    let model = catalogue.model(model);
    let shape = estimate_request(&serde_json::from_slice(&body).unwrap_or_default(), operation.into());
    let input = Ratios::new().input_tokens(&catalogue, &model, &shape);
    catalogue.reserve(&model, input, 0, 0, shape.max_tokens)
}

/// A body with a lower cap on its answer; nothing where its form has no such number.
#[uniffi::export]
pub(crate) fn lowered(operation: Operation, body: Vec<u8>, cap: u32) -> Option<Vec<u8>> {
    lower_max_tokens(&body, operation.into(), cap)
}

/// The stage at which an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub(crate) enum FailedAt {
    /// The service answered with an error.
    Response,
    /// No connection came about.
    Connect,
    /// No answer in time.
    Timeout,
    /// The connection broke.
    Io,
    /// The caller went away.
    Cancelled,
}

/// A failed attempt, as far as its client could see.
#[derive(Clone, Debug, uniffi::Record)]
pub(crate) struct Failure {
    /// The stage.
    at: FailedAt,
    /// The service's name for the error, such as `ThrottlingException`.
    #[uniffi(default = None)]
    code: Option<String>,
    /// The HTTP status.
    #[uniffi(default = None)]
    status: Option<u16>,
    /// The error's text.
    #[uniffi(default = None)]
    text: Option<String>,
    /// Whether the stream had begun.
    #[uniffi(default = false)]
    in_stream: bool,
    /// Whether part of the answer had reached the caller.
    #[uniffi(default = false)]
    delivered: bool,
    /// `originalStatusCode` of a `ModelErrorException`.
    #[uniffi(default = None)]
    original_status: Option<u16>,
    /// The headers of the answer, for the service's own word on when to come back.
    #[uniffi(default = [])]
    headers: Vec<Header>,
}

/// The report on a failed attempt. `now` is in microseconds since the Unix epoch, for headers that name a time of day.
#[uniffi::export]
pub(crate) fn classify(failure: Failure, now: u64) -> Outcome {
    let kind = match failure.at {
        FailedAt::Response => FailureKind::Response,
        FailedAt::Connect => FailureKind::Connect,
        FailedAt::Timeout => FailureKind::Timeout,
        FailedAt::Io => FailureKind::Io,
        FailedAt::Cancelled => FailureKind::Cancelled,
    };
    let known = sluicegate_bedrock::Failure {
        kind,
        code: failure.code.as_deref(),
        status: failure.status,
        message: failure.text.as_deref(),
        in_stream: failure.in_stream,
        delivered: failure.delivered,
        original_status: failure.original_status,
    };
    sluicegate_bedrock::classify(&known).outcome(retry_after(&failure.headers, now)).into()
}

/// The report on an answer with a status of 400 or more. `now` is as for `classify`.
#[uniffi::export]
pub(crate) fn classify_http(status: u16, headers: Vec<Header>, body: Vec<u8>, now: u64) -> Outcome {
    let error = HttpError::read(status, pairs(&headers), &body);
    sluicegate_bedrock::classify(&error.failure()).outcome(retry_after(&headers, now)).into()
}

pub(crate) fn retry_after(headers: &[Header], now: u64) -> Option<Duration> {
    sluicegate_bedrock::retry_after(pairs(headers), Some(Duration::from_micros(now).as_secs()))
}
