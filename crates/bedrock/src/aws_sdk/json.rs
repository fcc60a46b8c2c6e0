//! Bodies passed through as they are, for callers that hold JSON.

use aws_sdk_bedrockruntime::Client as SdkClient;
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_bedrockruntime::operation::invoke_model::InvokeModelOutput;
use aws_smithy_types::Blob;
use sluicegate::{EndReason, EndpointId, OutcomeClass};
use sluicegate_driver::Ended;

use super::capture::Exchange;
use super::client::{Client, NotSent, Refusal};
use crate::{Asked, CallOptions, Operation, Told, Usage, lower_max_tokens};

/// Which operation a JSON body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonOperation {
    /// Converse.
    Converse,
    /// InvokeModel, in the model vendor's own form.
    InvokeModel,
}

/// The service's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonAnswer {
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// What it used, where the answer says so.
    pub usage: Option<Usage>,
    /// Where it came from.
    pub endpoint: EndpointId,
    /// The number of the attempt that answered, from 1.
    pub attempts: u32,
}

/// A call without an answer.
#[derive(Clone, Debug)]
pub enum CallError {
    /// The body is not a JSON object; the text says why.
    Body(String),
    /// The policy has no endpoint for this model.
    UnknownModel(String),
    /// The engine ended the call before any attempt.
    NotSent {
        /// How it ended.
        reason: EndReason,
    },
    /// Attempts were made and failed.
    Failed {
        /// How the engine ended the call.
        reason: EndReason,
        /// Where the last attempt failed.
        endpoint: EndpointId,
        /// The service's name for the error.
        code: Option<String>,
        /// The HTTP status.
        status: Option<u16>,
        /// The error's text.
        message: String,
        /// What it meant to the engine.
        class: OutcomeClass,
        /// The classifier's reason: one of [`reason::ALL`](crate::reason::ALL).
        verdict: &'static str,
        /// Attempts made.
        attempts: u32,
    },
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Body(why) => write!(f, "the request's body is no JSON object: {why}"),
            Self::UnknownModel(model) => NotSent::UnknownModel(model.clone()).fmt(f),
            Self::NotSent { reason } => NotSent::Ended(*reason).fmt(f),
            Self::Failed { reason, code, status, message, attempts, .. } => {
                let code = code.as_deref().unwrap_or("no answer");
                write!(f, "{code}")?;
                if let Some(status) = status {
                    write!(f, " ({status})")?;
                }
                write!(f, ": {message}; {attempts} attempt{}", if *attempts == 1 { "" } else { "s" })?;
                match reason {
                    EndReason::Failed { .. } => Ok(()),
                    other => write!(f, ", then {}", other),
                }
            }
        }
    }
}

impl std::error::Error for CallError {}

impl Client {
    /// Sends a JSON body and returns the JSON answer, both byte for byte: fields that the SDK does not know pass through.
    /// Where the policy has caps on answers lowered, the number of the cap in the body is all that changes.
    ///
    /// # Errors
    /// The call ended without an answer; see [`CallError`].
    pub async fn send_json(
        &self,
        operation: JsonOperation,
        model: &str,
        body: Vec<u8>,
        options: CallOptions,
    ) -> Result<JsonAnswer, CallError> {
        let value: serde_json::Value =
            serde_json::from_slice(&body).map_err(|error| CallError::Body(error.to_string()))?;
        if !value.is_object() {
            return Err(CallError::Body("it is of another type".to_owned()));
        }
        let form = match operation {
            JsonOperation::Converse => Operation::Converse,
            JsonOperation::InvokeModel => Operation::InvokeModel,
        };
        let asked = Asked::of_json(model, &value, &body, form);
        drop(value);
        let plan = self.plan(Some(model), &asked, &options).map_err(|error| match error {
            NotSent::Ended(reason) => CallError::NotSent { reason },
            NotSent::NoModel | NotSent::UnknownModel(_) => CallError::UnknownModel(model.to_owned()),
        })?;
        let body = |cap| with_cap(&body, form, cap);
        match operation {
            JsonOperation::Converse => {
                let send = |client: SdkClient, target: String, cap| {
                    let exchange = Exchange { request_body: Some(body(cap)), keep_body: true, ..Exchange::default() };
                    (exchange, async move { client.converse().model_id(target).send().await.map(drop) })
                };
                let read = |(): &(), exchange: &Exchange| told(&exchange.body, exchange);
                let answered = self.drive(&plan, send, read).await.map_err(call_error)?;
                Ok(JsonAnswer {
                    body: answered.exchange.body,
                    usage: answered.usage,
                    endpoint: answered.endpoint,
                    attempts: answered.attempts,
                })
            }
            JsonOperation::InvokeModel => {
                let send = |client: SdkClient, target: String, cap| {
                    let request = client.invoke_model().model_id(target);
                    let json = "application/json";
                    let request = request.content_type(json).accept(json).body(Blob::new(body(cap)));
                    (Exchange::default(), request.send())
                };
                let read = |output: &InvokeModelOutput, exchange: &Exchange| told(output.body().as_ref(), exchange);
                let answered = self.drive(&plan, send, read).await.map_err(call_error)?;
                Ok(JsonAnswer {
                    body: answered.answer.body.into_inner(),
                    usage: answered.usage,
                    endpoint: answered.endpoint,
                    attempts: answered.attempts,
                })
            }
        }
    }
}

/// The body with a lowered cap, or as it is.
pub(super) fn with_cap(body: &[u8], form: Operation, cap: Option<u32>) -> Vec<u8> {
    cap.and_then(|cap| lower_max_tokens(body, form, cap)).unwrap_or_else(|| body.to_vec())
}

/// What an answer tells.
pub(super) fn told(body: &[u8], exchange: &Exchange) -> Told {
    Told::of_body(body, exchange.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn call_error<E>(ended: Ended<Refusal<E>>) -> CallError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let reason = ended.reason;
    match ended.last {
        None => CallError::NotSent { reason },
        Some(Refusal { error, failed, endpoint, attempts }) => {
            drop::<SdkError<E, _>>(error);
            CallError::Failed {
                reason,
                endpoint,
                code: failed.code,
                status: failed.status,
                message: failed.message,
                class: failed.outcome.class,
                verdict: failed.verdict.reason,
                attempts,
            }
        }
    }
}
