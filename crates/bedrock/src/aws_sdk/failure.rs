//! From the SDK's errors to what the classifier reads.

use aws_sdk_bedrockruntime::config::http::HttpResponse;
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use sluicegate::Outcome;

use crate::{Failure, FailureKind, Verdict, classify, retry_after};

/// A failed attempt, in words and in the classifier's verdict.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) code: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) message: String,
    pub(super) verdict: Verdict,
    pub(super) outcome: Outcome,
}

impl Failed {
    /// Reads an error of the SDK for a request that brought no answer.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let response = error.raw_response();
        let status = response.map(|response| response.status().as_u16());
        let (code, text) = match error {
            SdkError::ServiceError(service) => (service.err().code(), service.err().message()),
            _ => (None, None),
        };
        let kind = match error {
            SdkError::TimeoutError(_) => FailureKind::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => FailureKind::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_io() => FailureKind::Connect,
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => FailureKind::Io,
            _ => FailureKind::Response,
        };
        // Without credentials the SDK gives up before it sends; that will not mend itself.
        let local = matches!(error, SdkError::ConstructionFailure(_))
            || matches!(error, SdkError::DispatchFailure(failure) if !failure.is_io() && !failure.is_timeout());
        let shown = text.map_or_else(|| chain(error), str::to_owned);
        let code = code.map(str::to_owned).or_else(|| local.then(|| LOCAL_FAILURE.to_owned()));
        let failure = Failure {
            kind: if local { FailureKind::Response } else { kind },
            code: code.as_deref(),
            status,
            message: Some(&shown),
            in_stream: false,
            delivered: false,
            original_status: original_status(response),
        };
        let headers = response.into_iter().flat_map(|response| response.headers().iter());
        let verdict = classify(&failure);
        let outcome = verdict.outcome(retry_after(headers, unix_seconds()));
        Self { code, status, message: shown, verdict, outcome }
    }
}

/// The name under which a request that the SDK could not even send is classified: it has no usable credentials.
const LOCAL_FAILURE: &str = "UnrecognizedClientException";

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// `originalStatusCode` of a `ModelErrorException`.
fn original_status(response: Option<&HttpResponse>) -> Option<u16> {
    let body: serde_json::Value = serde_json::from_slice(response?.body().bytes()?).ok()?;
    u16::try_from(body.get("originalStatusCode")?.as_u64()?).ok()
}

#[expect(clippy::disallowed_methods, reason = "an adapter owns the clock; HTTP dates are absolute")]
fn unix_seconds() -> Option<u64> {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
}
