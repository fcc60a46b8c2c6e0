//! What is known of Amazon Bedrock: what calls will cost, what they did cost, and why they failed.

use std::time::Duration;

use serde_json::json;
use sluicegate::{Call, EndpointId, LabelId, TenantId};
use sluicegate_bedrock::{
    Affinity, Asked, CallOptions, Failure, FailureKind, FrameReader, HttpError, Operation, StreamNote, StreamSoFar,
    Told,
};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::codes::{NONE, length, number, optional, outcome_numbers};
use crate::engine::text as written;
use crate::policy::{Policy, thrown};

/// Estimates what calls will cost and reads what they did cost.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Appraiser(sluicegate_bedrock::Appraiser);

/// What is to be submitted for a call, and to be remembered until its answer.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Plan(sluicegate_bedrock::Plan);

impl Plan {
    pub(crate) const fn call(&self) -> Call {
        self.0.call
    }

    /// Negative where the policy's own deadline holds.
    pub(crate) fn within(&self) -> f64 {
        self.0.within.map_or(NONE, length)
    }
}

#[wasm_bindgen]
impl Plan {
    /// The tokens that the service will reserve.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn tokens(&self) -> f64 {
        number(self.0.call.tokens)
    }

    /// The number of the model in the policy.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn model(&self) -> u16 {
        self.0.call.model.0
    }
}

#[wasm_bindgen]
#[expect(clippy::too_many_arguments, reason = "numbers cross the border faster than objects")]
impl Appraiser {
    /// An appraiser for the endpoints of a policy.
    ///
    /// # Errors
    /// All faults of the section `data.bedrock`, as a JSON text.
    #[wasm_bindgen(constructor)]
    pub fn new(policy: &Policy) -> Result<Self, JsValue> {
        sluicegate_bedrock::Appraiser::new(&policy.0).map(Self).map_err(|faults| thrown(&faults))
    }

    /// The same with what it has learned, for another policy.
    ///
    /// # Errors
    /// All faults of the section `data.bedrock`, as a JSON text.
    pub fn reconfigure(&mut self, policy: &Policy) -> Result<(), JsValue> {
        self.0.reconfigure(&policy.0).map_err(|faults| thrown(&faults))
    }

    /// Reads a request for a model of the policy; `None` for a model that it does not have. A stream's cap cannot be
    /// lowered, and it is never sent twice at once.
    #[must_use]
    pub fn plan(
        &self,
        model: &str,
        body: &[u8],
        converse: bool,
        stream: bool,
        within: f64,
        priority: u8,
        tenant: u32,
        affinity: Option<u64>,
        label: u16,
        lone: bool,
    ) -> Option<Plan> {
        let mut asked = Asked::of_body(model, body, operation(converse));
        asked.can_lower &= !stream;
        let options = CallOptions {
            deadline: optional(within).map(Duration::from_micros),
            priority,
            tenant: TenantId(tenant),
            affinity: affinity.map(Affinity),
            label: LabelId(label),
            lone: lone || stream,
        };
        self.0.plan(model, &asked, &options).ok().map(Plan)
    }

    /// The report on an answer, as the numbers of an outcome. The headers are names and values in turn.
    pub fn answered(&mut self, plan: &Plan, endpoint: u16, body: &[u8], headers: Vec<String>) -> Vec<f64> {
        let told = Told::of_body(body, pairs(&headers));
        outcome_numbers(&self.0.answered(&plan.0, EndpointId(endpoint), &told))
    }

    /// The report on a stream that ended, or that its caller dropped before.
    pub fn streamed(&mut self, plan: &Plan, endpoint: u16, stream: &StreamReader, dropped: bool) -> Vec<f64> {
        outcome_numbers(&self.0.streamed(&plan.0, EndpointId(endpoint), &stream.so_far, dropped))
    }
}

/// What is known of a stream so far.
#[derive(Debug)]
#[wasm_bindgen]
pub struct StreamReader {
    operation: Operation,
    so_far: StreamSoFar,
    frames: FrameReader,
    /// The first error that the stream itself told.
    error: Option<(String, Option<String>)>,
    broken: bool,
}

#[wasm_bindgen]
impl StreamReader {
    /// A stream of which nothing has come.
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new(converse: bool) -> Self {
        let (so_far, frames) = Default::default();
        Self { operation: operation(converse), so_far, frames, error: None, broken: false }
    }

    /// Takes in an event as SDKs hand it out, as JSON.
    pub fn event(&mut self, text: &str) {
        let event = serde_json::from_slice(text.as_bytes()).unwrap_or_default();
        self.so_far.take_in(&StreamNote::of_event(&event, self.operation));
    }

    /// Takes in a decoded chunk of InvokeModelWithResponseStream.
    pub fn chunk(&mut self, bytes: &[u8]) {
        self.so_far.take_in(&StreamNote::of_chunk(bytes));
    }

    /// Takes in bytes of `application/vnd.amazon.eventstream`.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
        loop {
            match self.frames.next_frame() {
                Ok(Some(frame)) if frame.is_error => {
                    let message = frame.message();
                    self.error.get_or_insert((frame.name, message));
                }
                Ok(Some(frame)) => self.so_far.take_in(&frame.note(self.operation)),
                Ok(None) => return,
                Err(_) => {
                    self.broken = true;
                    return;
                }
            }
        }
    }

    /// Part of the answer has come.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn delivers(&self) -> bool {
        self.so_far.delivers
    }

    /// The answer is complete.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn completes(&self) -> bool {
        self.so_far.completes
    }

    /// What came are no frames.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn broken(&self) -> bool {
        self.broken
    }

    /// The outcome by the error that the stream itself told, if it did.
    #[must_use]
    pub fn failed(&self, delivered: bool) -> Option<Vec<f64>> {
        let (code, message) = self.error.as_ref()?;
        let failure =
            Failure { code: Some(code), message: message.as_deref(), in_stream: true, delivered, ..Failure::default() };
        Some(outcome_numbers(&sluicegate_bedrock::classify(&failure).outcome(None)))
    }
}

const fn operation(converse: bool) -> Operation {
    if converse { Operation::Converse } else { Operation::InvokeModel }
}

fn pairs(headers: &[String]) -> impl Iterator<Item = (&str, &str)> {
    headers.as_chunks().0.iter().map(|[name, value]| (name.as_str(), value.as_str()))
}

/// Why an attempt failed, as JSON: the reason, then the numbers of the outcome. With a body it is an answer over HTTP,
/// whose name and text are read from there.
#[must_use]
#[wasm_bindgen]
#[expect(clippy::too_many_arguments, reason = "an object would have to be read field by field")]
pub fn classify(
    kind: u8,
    code: Option<String>,
    status: Option<u16>,
    message: Option<String>,
    in_stream: bool,
    delivered: bool,
    original_status: Option<u16>,
    headers: Vec<String>,
    body: Option<Vec<u8>>,
    unix_seconds: f64,
) -> String {
    let read = body.map(|body| HttpError::read(status.unwrap_or_default(), pairs(&headers), &body));
    let told = Failure {
        kind: match kind {
            1 => FailureKind::Connect,
            2 => FailureKind::Timeout,
            3 => FailureKind::Io,
            4 => FailureKind::Cancelled,
            _ => FailureKind::Response,
        },
        code: code.as_deref(),
        status,
        message: message.as_deref(),
        in_stream,
        delivered,
        original_status,
    };
    let failure = read.as_ref().map_or(told, HttpError::failure);
    let verdict = sluicegate_bedrock::classify(&failure);
    let wait = sluicegate_bedrock::retry_after(pairs(&headers), optional(unix_seconds));
    written(&json!([verdict.reason, outcome_numbers(&verdict.outcome(wait))]))
}

/// The wait that an answer asks for, in microseconds; negative for none.
#[must_use]
#[wasm_bindgen(js_name = retryAfter)]
pub fn retry_after(headers: Vec<String>, unix_seconds: f64) -> f64 {
    sluicegate_bedrock::retry_after(pairs(&headers), optional(unix_seconds)).map_or(NONE, length)
}

/// The same request with another cap on its answer, where it has one that can be lowered.
#[must_use]
#[wasm_bindgen(js_name = lowerMaxTokens)]
pub fn lower_max_tokens(body: &[u8], converse: bool, cap: u32) -> Option<Vec<u8>> {
    sluicegate_bedrock::lower_max_tokens(body, operation(converse), cap)
}

/// The size of a request: bytes of text, images, pages of documents, other media, and its own maximum (negative for none).
#[must_use]
#[wasm_bindgen]
pub fn estimate(body: &[u8], converse: bool) -> Vec<f64> {
    let value = serde_json::from_slice(body).unwrap_or_default();
    let shape = sluicegate_bedrock::estimate_request(&value, operation(converse));
    vec![
        number(shape.text_bytes),
        f64::from(shape.images),
        f64::from(shape.document_pages),
        f64::from(shape.other_media),
        shape.max_tokens.map_or(NONE, number),
    ]
}
