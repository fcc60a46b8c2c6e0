//! One request, from its first byte to its reply.

use std::fmt;
use std::sync::Arc;

use aws_smithy_types::base64;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use serde_json::{Value, json};
use sluicegate_sim::{ErrorKind, Refusal, Reply};

use crate::answer::Content;
use crate::error;
use crate::prompt::{Invalid, OUTPUT_KEY, Prompt, TAG_KEY, number};
use crate::route::{Operation, Route, route};
use crate::state::{Answer, Flight, State};
use crate::stream::Paced;

/// Longest request body: InvokeModel's own limit of 25,000,000 bytes (API reference, InvokeModel).
const MAX_BODY_BYTES: usize = 25_000_000;
/// `GET` here answers the ledger as JSON, for tests that run in another process.
pub(crate) const LEDGER_PATH: &str = "/sluicegate/ledger";

pub(crate) type ReplyBody = Either<Full<Bytes>, Paced>;

/// The connection is to be cut without a reply.
#[derive(Debug)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated service cut the connection")
    }
}

impl std::error::Error for Cut {}

/// Replies to a request.
pub(crate) async fn handle(state: Arc<State>, request: Request<Incoming>) -> Result<Response<ReplyBody>, Cut> {
    let id = state.next_id();
    let mut reply = respond(&state, request).await?;
    let digits = format!("{id:032x}");
    let parts: Vec<_> = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap_or_default()).into();
    if let Ok(value) = HeaderValue::try_from(parts.join("-")) {
        reply.headers_mut().insert("x-amzn-requestid", value);
    }
    Ok(reply)
}

async fn respond(state: &Arc<State>, request: Request<Incoming>) -> Result<Response<ReplyBody>, Cut> {
    let (head, body) = request.into_parts();
    if head.method == Method::GET && head.uri.path() == LEDGER_PATH {
        let ledger = state.with(|service| serde_json::to_string(service.ledger()));
        return Ok(json_reply(ledger.unwrap_or_default()));
    }
    // The body is read before anything is said: a client that is still sending may not hear the answer.
    let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Ok(error::too_large().map(Either::Left)),
        // The client stopped sending; nobody reads a reply.
        Err(_) => return Err(Cut),
    };
    let route = match route(&head.method, head.uri.path(), &head.headers) {
        Ok(route) => route,
        Err(error) => return Ok(error::refusal(error.into(), "").map(Either::Left)),
    };
    let prompt = match read(route.operation, &head.headers, &body) {
        Ok(prompt) => prompt,
        Err(message) => return Ok(error::invalid(&message).map(Either::Left)),
    };
    let region = route.region.as_deref().unwrap_or(&state.region);
    if route.operation == Operation::CountTokens {
        return Ok(count_tokens(state, region, &route, &prompt));
    }
    let Answer { reply, input, at } = state.admit(region, &route.model, &prompt);
    let accepted = match reply {
        Reply::Accepted(accepted) => accepted,
        Reply::Refused(refusal) => return Ok(error::refusal(refusal, &route.model).map(Either::Left)),
        Reply::Reset => return Err(Cut),
    };
    let mut flight = Flight::new(Arc::clone(state), accepted);
    let latency = accepted.finish_at.saturating_since(at);
    let content = Content {
        dialect: prompt.dialect,
        input,
        output_tokens: accepted.output_tokens,
        truncated: accepted.truncated,
        latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
        draw: state.draw(&prompt),
        model: route.model,
    };
    if matches!(route.operation, Operation::ConverseStream | Operation::InvokeStream) {
        let mut reply = Response::new(Either::Right(Paced::new(&content, flight, state.clock)));
        let headers = reply.headers_mut();
        let kind = HeaderValue::from_static("application/vnd.amazon.eventstream");
        headers.insert(header::CONTENT_TYPE, kind);
        if route.operation == Operation::InvokeStream {
            headers.insert("x-amzn-bedrock-content-type", HeaderValue::from_static("application/json"));
        }
        return Ok(reply);
    }
    state.clock.sleep_until(flight.ends_at()).await;
    flight.finish();
    if let Some(broken) = accepted.stream_error {
        return Ok(error::refusal(Refusal::from(broken.error), &content.model).map(Either::Left));
    }
    let mut reply = json_reply(content.document().to_string());
    if route.operation == Operation::Invoke {
        for (name, count) in content.headers() {
            reply.headers_mut().insert(HeaderName::from_static(name), count.into());
        }
    }
    Ok(reply)
}

fn json_reply(document: String) -> Response<ReplyBody> {
    let mut reply = Response::new(Either::Left(Full::from(document)));
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

fn read(operation: Operation, headers: &HeaderMap, body: &[u8]) -> Result<Prompt, Invalid> {
    let body: Value = serde_json::from_slice(body).map_err(|error| format!("Malformed input request: {error}"))?;
    let mut prompt = match operation {
        Operation::Converse | Operation::ConverseStream => Prompt::converse(&body)?,
        Operation::Invoke | Operation::InvokeStream => Prompt::invoke(&body)?,
        Operation::CountTokens => counted(&body)?,
    };
    let header = |key| headers.get(format!("x-{key}")).and_then(|value| value.to_str().ok());
    if let Some(tag) = header(TAG_KEY) {
        prompt.tag = Some(tag.to_owned());
    }
    if let Some(text) = header(OUTPUT_KEY) {
        prompt.output_tokens = Some(number(text, OUTPUT_KEY)?);
    }
    Ok(prompt)
}

/// What CountTokens is to count: a Converse request, or an InvokeModel body in base64.
fn counted(body: &Value) -> Result<Prompt, Invalid> {
    let input = body.get("input").ok_or("input: Field required")?;
    if let Some(converse) = input.get("converse") {
        return Prompt::converse(converse);
    }
    let inner = input.pointer("/invokeModel/body").and_then(Value::as_str);
    let inner = inner.ok_or("input: converse or invokeModel.body required")?;
    let inner = base64::decode(inner).map_err(|_| "input.invokeModel.body: not base64")?;
    let inner = serde_json::from_slice(&inner).map_err(|error| format!("input.invokeModel.body: {error}"))?;
    Prompt::invoke(&inner)
}

fn count_tokens(state: &State, region: &str, route: &Route, prompt: &Prompt) -> Response<ReplyBody> {
    match state.lane(region, &route.model) {
        Some((_, lane)) => json_reply(json!({"inputTokens": prompt.tokens(&lane)}).to_string()),
        None => error::refusal(ErrorKind::ResourceNotFound.into(), &route.model).map(Either::Left),
    }
}
