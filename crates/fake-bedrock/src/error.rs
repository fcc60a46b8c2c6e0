//! Error replies.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode, header};
use serde_json::{Value, json};
use sluicegate_sim::{ErrorKind, Refusal};

/// What Bedrock puts after the name in `x-amzn-ErrorType` (seen in aws-samples/amazon-bedrock-client-for-mac#99).
const NAMESPACE: &str = "http://internal.amazon.com/coral/com.amazon.bedrock/";

/// The body of an error.
pub(crate) fn details(error: ErrorKind, model: &str) -> Value {
    let message = error.message(model);
    match error {
        ErrorKind::Overloaded => {
            json!({"type": "error", "error": {"type": error.exception(), "message": message}})
        }
        ErrorKind::ModelError => json!({"message": message, "originalStatusCode": 500, "resourceName": model}),
        ErrorKind::ModelStreamError => {
            json!({"message": message, "originalStatusCode": 500, "originalMessage": "stream reset by the model"})
        }
        _ => json!({"message": message}),
    }
}

/// The reply to a refused attempt.
pub(crate) fn refusal(refusal: Refusal, model: &str) -> Response<Full<Bytes>> {
    let mut reply = document(refusal.error, &details(refusal.error, model));
    if let Some(wait) = refusal.retry_after {
        reply.headers_mut().insert(header::RETRY_AFTER, wait.as_secs().into());
    }
    reply
}

/// A `ValidationException` that says what is wrong.
pub(crate) fn invalid(message: &str) -> Response<Full<Bytes>> {
    document(ErrorKind::Validation, &json!({"message": message}))
}

/// A body beyond the limit.
pub(crate) fn too_large() -> Response<Full<Bytes>> {
    let mut reply = document(ErrorKind::Validation, &json!({"message": "The request body is too large."}));
    *reply.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    reply
}

fn document(error: ErrorKind, body: &Value) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::from(body.to_string()));
    *reply.status_mut() = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    // 529 comes from the model's own API, which has no such header.
    if error != ErrorKind::Overloaded
        && let Ok(value) = format!("{}:{NAMESPACE}", error.exception()).try_into()
    {
        headers.insert("x-amzn-errortype", value);
    }
    reply
}
