//! Errors as they come over HTTP, for clients without an SDK that has read them.

use alloc::borrow::ToOwned;
use alloc::string::String;

use serde_json::Value;

use crate::Failure;

/// An answer that is an error.
///
/// ```
/// use sluicegate::{OutcomeClass, Quota};
/// use sluicegate_bedrock::{HttpError, classify};
///
/// let headers = [("x-amzn-ErrorType", "ThrottlingException:http://internal.amazon.com/coral/")];
/// let error = HttpError::read(429, headers, br#"{"message": "Too many requests, please wait before trying again."}"#);
/// assert_eq!(classify(&error.failure()).class, OutcomeClass::Throttled(Quota::Requests));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    /// The service's name for it: from `x-amzn-ErrorType`, else from the body.
    pub code: Option<String>,
    /// The HTTP status.
    pub status: u16,
    /// The error's text.
    pub message: Option<String>,
    /// `originalStatusCode` of a `ModelErrorException`.
    pub original_status: Option<u16>,
}

impl HttpError {
    /// Reads an answer with a status of 400 or more.
    pub fn read<'h>(status: u16, headers: impl IntoIterator<Item = (&'h str, &'h str)>, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |place: &str| body.pointer(place).and_then(Value::as_str).map(str::to_owned);
        let first = |places: &[&str]| places.iter().find_map(|place| text(place));
        let named = headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("x-amzn-errortype"));
        let code = named.map(|(_, code)| code.to_owned()).or_else(|| first(&["/__type", "/code", "/error/type"]));
        let message = first(&["/message", "/Message", "/error/message"]);
        let original = body.get("originalStatusCode").and_then(Value::as_u64);
        Self { code, status, message, original_status: original.and_then(|status| u16::try_from(status).ok()) }
    }

    /// What [`classify`](crate::classify) reads.
    #[must_use]
    pub fn failure(&self) -> Failure<'_> {
        Failure {
            original_status: self.original_status,
            ..Failure::response(self.code.as_deref(), Some(self.status), self.message.as_deref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_it_before_the_body() {
        let error = HttpError::read(503, [("X-Amzn-ErrorType", "A")], br#"{"__type": "B", "message": "m"}"#);
        assert_eq!((error.code.as_deref(), error.message.as_deref()), (Some("A"), Some("m")));
        let error = HttpError::read(424, [], br#"{"__type": "B", "Message": "m", "originalStatusCode": 529}"#);
        assert_eq!((error.code.as_deref(), error.original_status), (Some("B"), Some(529)));
        let error = HttpError::read(502, [], b"<html>");
        assert_eq!((error.code, error.message), (None, None));
    }
}
