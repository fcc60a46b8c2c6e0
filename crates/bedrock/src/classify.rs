//! Why an attempt failed, in classes the engine can act on.
//!
//! A pure function of what any client can see: the error's name, the status, the text, and whether the stream had begun.
//! The name decides before the status, because inside a stream there is no status, and because one status has several
//! causes: a 429 can be requests, tokens, the day's tokens, the model's capacity or a model that is still loading. Only
//! the text tells the first four apart, and AWS promises no wording, so "unknown" is a class of its own.
//!
//! Sources: the bedrock-runtime API model of botocore 1.44.5;
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html>; the throttling names that
//! botocore, smithy-rs and smithy-typescript share (`boto/botocore`, `botocore/retries/standard.py`).

use core::time::Duration;

use sluicegate::{Outcome, OutcomeClass, Quota, Spent};

use crate::error_text;

/// How an attempt failed, as far as its client can see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The service answered, with an error or with an error frame in its stream.
    #[default]
    Response,
    /// No connection came about, so nothing was sent.
    Connect,
    /// The client gave up waiting.
    Timeout,
    /// The connection broke, or what came was not an answer.
    Io,
    /// The caller gave up.
    Cancelled,
}

/// What is known of a failed attempt. Fill in what the client at hand can see and leave the rest.
///
/// ```
/// use sluicegate::OutcomeClass;
/// use sluicegate_bedrock::{Failure, classify};
///
/// // botocore reports an error frame in a stream under the frame's own name and without a status.
/// let frame = Failure { code: Some("throttlingException"), in_stream: true, delivered: true, ..Failure::default() };
/// assert_eq!(classify(&frame).class, OutcomeClass::StreamBrokenDelivered);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failure<'a> {
    /// How it failed.
    pub kind: FailureKind,
    /// The error's name: from `x-amzn-ErrorType`, from the body's `__type` or `code`, from a frame's `:exception-type`, or
    /// from the SDK. Namespaces, addresses, the case of the first letter and a final `Exception` do not matter.
    pub code: Option<&'a str>,
    /// The HTTP status; leave it out for an error inside a stream, whose status was 200.
    pub status: Option<u16>,
    /// The error's text.
    pub message: Option<&'a str>,
    /// Whether the stream had begun.
    pub in_stream: bool,
    /// Whether anything of the stream was handed to the caller, so that the attempt cannot be repeated.
    pub delivered: bool,
    /// `originalStatusCode` of a `ModelErrorException`: what the model's host answered.
    pub original_status: Option<u16>,
}

impl<'a> Failure<'a> {
    /// An error in place of an answer.
    #[must_use]
    pub const fn response(code: Option<&'a str>, status: Option<u16>, message: Option<&'a str>) -> Self {
        Self {
            kind: FailureKind::Response,
            code,
            status,
            message,
            in_stream: false,
            delivered: false,
            original_status: None,
        }
    }
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// The class the engine acts on.
    pub class: OutcomeClass,
    /// The cause, by a stable name for logs and for rules of the user's own: one of [`reason::ALL`].
    pub reason: &'static str,
    /// What the attempt probably cost.
    pub spent: Spent,
}

impl Verdict {
    fn of(class: OutcomeClass, reason: &'static str) -> Self {
        Self { class, reason, spent: Outcome::of(class).spent }
    }

    /// The report for the engine, with the service's own word on when to come back.
    ///
    /// ```
    /// use core::time::Duration;
    /// use sluicegate_bedrock::{Failure, classify};
    ///
    /// let verdict = classify(&Failure::response(None, Some(529), None));
    /// let outcome = verdict.outcome(Some(Duration::from_secs(2)));
    /// assert_eq!(outcome.retry_after, Some(Duration::from_secs(2)));
    /// ```
    #[must_use]
    pub const fn outcome(&self, retry_after: Option<Duration>) -> Outcome {
        Outcome { spent: self.spent, retry_after, ..Outcome::of(self.class) }
    }
}

/// The causes that a [`Verdict`] names.
pub mod reason {
    macro_rules! reasons {
        ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
            $($(#[$doc])* pub const $name: &str = $text;)*
            /// Every reason.
            pub const ALL: &[&str] = &[$($name),*];
        };
    }
    reasons! {
        /// A quota is used up; the class says which.
        THROTTLED = "throttled";
        /// `ServiceQuotaExceededException`: a quota of the account, not a rate.
        SERVICE_QUOTA = "service_quota";
        /// The model or the service has no capacity.
        CAPACITY = "capacity";
        /// The model's host refused for load behind Bedrock's front.
        MODEL_OVERLOADED = "model_overloaded";
        /// The model is being loaded.
        MODEL_NOT_READY = "model_not_ready";
        /// The service failed.
        SERVICE_ERROR = "service_error";
        /// The service gave up reading the request.
        REQUEST_TIMEOUT = "request_timeout";
        /// The model ran out of time.
        MODEL_TIMEOUT = "model_timeout";
        /// The client ran out of patience.
        CLIENT_TIMEOUT = "client_timeout";
        /// The model's host failed.
        MODEL_ERROR = "model_error";
        /// The model turned the request down.
        MODEL_REJECTED = "model_rejected";
        /// The model failed amid its stream.
        MODEL_STREAM_ERROR = "model_stream_error";
        /// No connection.
        CONNECT = "connect";
        /// The connection broke.
        CONNECTION_BROKEN = "connection_broken";
        /// The caller gave up.
        CANCELLED = "cancelled";
        /// The request is not valid.
        VALIDATION = "validation";
        /// Who asks is not recognised: missing, wrong or expired credentials, or a wrong signature.
        CREDENTIALS = "credentials";
        /// The request's date is too far from the service's clock.
        CLOCK_SKEW = "clock_skew";
        /// Who asks may not use this model here.
        ACCESS_DENIED = "access_denied";
        /// The account has yet to be given access to the model: a form or an agreement is outstanding.
        MODEL_ACCESS = "model_access";
        /// There is no such model, profile or Region for this account.
        NOT_FOUND = "not_found";
        /// The model is served through inference profiles only; use a profile's id.
        NEEDS_PROFILE = "needs_profile";
        /// Nothing that is known here.
        UNRECOGNISED = "unrecognised";
    }
}

/// Says what a failure means. Never fails: what is not recognised is refused, under the reason
/// [`reason::UNRECOGNISED`], so that nothing unknown is retried in a loop.
///
/// ```
/// use sluicegate::{OutcomeClass, Quota};
/// use sluicegate_bedrock::{Failure, classify};
///
/// let class = |message| classify(&Failure::response(Some("ThrottlingException"), Some(429), Some(message))).class;
/// assert_eq!(class("Too many requests, please wait before trying again."), OutcomeClass::Throttled(Quota::Requests));
/// assert_eq!(class("Too many tokens per day, please wait before trying again."), OutcomeClass::Throttled(Quota::Day));
/// assert_eq!(class("Model x is currently overloaded. Please try again later."), OutcomeClass::Overloaded);
/// ```
#[must_use]
pub fn classify(failure: &Failure<'_>) -> Verdict {
    let mut verdict = match failure.kind {
        FailureKind::Response => of_response(failure),
        FailureKind::Connect => {
            Verdict { spent: Spent::NeverSent, ..Verdict::of(OutcomeClass::Unavailable, reason::CONNECT) }
        }
        FailureKind::Timeout => Verdict::of(OutcomeClass::TimedOut, reason::CLIENT_TIMEOUT),
        // The request may have arrived before the connection broke.
        FailureKind::Io => {
            Verdict { spent: Spent::Unknown, ..Verdict::of(OutcomeClass::Unavailable, reason::CONNECTION_BROKEN) }
        }
        FailureKind::Cancelled => Verdict::of(OutcomeClass::Cancelled, reason::CANCELLED),
    };
    if failure.in_stream && verdict.class != OutcomeClass::Cancelled {
        // The attempt was admitted and worked on, whatever ended it.
        verdict.spent = Spent::Unknown;
        if failure.delivered {
            verdict.class = OutcomeClass::StreamBrokenDelivered;
        } else if failure.kind != FailureKind::Response || verdict.reason == reason::UNRECOGNISED {
            verdict.class = OutcomeClass::StreamBroken;
        }
    }
    verdict
}

fn of_response(failure: &Failure<'_>) -> Verdict {
    let text = error_text::normal(failure.message.unwrap_or_default());
    let by_name = failure.code.and_then(|code| of_name(bare_name(code), &text, failure));
    // A frame of a stream has no status of its own; the response's says 200.
    let status = failure.status.filter(|_| !failure.in_stream);
    by_name.or_else(|| status.and_then(|status| of_status(status, &text, failure))).unwrap_or_else(|| of_text(&text))
}

/// The part of an error's name that means something: `ns#ThrottlingException:http://..` is `Throttling`.
fn bare_name(code: &str) -> &str {
    let name = code.split(':').next().unwrap_or(code);
    let name = name.rsplit('#').next().unwrap_or(name).trim();
    match name.strip_suffix("Exception") {
        Some(bare) if !bare.is_empty() => bare,
        _ => name,
    }
}

/// Whether `name` is `known` but for the case of the first letter.
fn same_name(name: &str, known: &str) -> bool {
    let (mut name, mut known) = (name.chars(), known.chars());
    match (name.next(), known.next()) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(&b) && name.as_str() == known.as_str(),
        _ => false,
    }
}

/// The names of throttling that the AWS SDKs share, without `Exception`, and Anthropic's.
const THROTTLING: &[&str] = &[
    "Throttling",
    "Throttled",
    "RequestThrottled",
    "TooManyRequests",
    "ProvisionedThroughputExceeded",
    "TransactionInProgress",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceeded",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2Throttled",
    "rate_limit_error",
];
const CAPACITY: &[&str] = &["ServiceUnavailable", "overloaded_error", "ModelProcessingCapacityReached"];
const SERVICE_ERROR: &[&str] = &[
    "InternalServer",
    "InternalServerError",
    "InternalService",
    "InternalServiceError",
    "InternalFailure",
    "api_error",
];
const REQUEST_TIMEOUT: &[&str] = &["RequestTimeout"];
const CREDENTIALS: &[&str] = &[
    "UnrecognizedClient",
    "InvalidClientTokenId",
    "ExpiredToken",
    "IncompleteSignature",
    "InvalidSignature",
    "SignatureDoesNotMatch",
    "MissingAuthenticationToken",
    "InvalidAccessKeyId",
    "NotAuthenticated",
    "authentication_error",
];
const ACCESS_DENIED: &[&str] =
    &["AccessDenied", "NotAuthorized", "UnauthorizedOperation", "OptInRequired", "permission_error"];
const CLOCK_SKEW: &[&str] = &["RequestExpired", "RequestTimeTooSkewed"];
const MODEL_ACCESS: &[&str] = &["FTUFormNotFilled", "MPAgreementBeingCreated"];
const NOT_FOUND: &[&str] = &["ResourceNotFound", "not_found_error"];
const VALIDATION: &[&str] = &["Validation", "ValidationError", "invalid_request_error", "request_too_large"];

fn of_name(name: &str, text: &str, failure: &Failure<'_>) -> Option<Verdict> {
    let is = |names: &[&str]| names.iter().any(|known| same_name(name, known));
    Some(if is(THROTTLING) {
        throttled(text)
    } else if is(&["ServiceQuotaExceeded"]) {
        Verdict::of(OutcomeClass::Throttled(error_text::quota(text)), reason::SERVICE_QUOTA)
    } else if is(&["ModelNotReady"]) {
        Verdict::of(OutcomeClass::NotReady, reason::MODEL_NOT_READY)
    } else if is(CAPACITY) {
        Verdict::of(OutcomeClass::Overloaded, reason::CAPACITY)
    } else if is(SERVICE_ERROR) {
        service_error(text)
    } else if is(&["ModelTimeout", "timeout_error"]) {
        Verdict::of(OutcomeClass::TimedOut, reason::MODEL_TIMEOUT)
    } else if is(&["ModelError"]) {
        model_error(failure.original_status)
    } else if is(&["ModelStreamError"]) {
        model_stream_error(text)
    } else if is(VALIDATION) {
        validation(text)
    } else if is(CREDENTIALS) {
        Verdict::of(OutcomeClass::Refused, reason::CREDENTIALS)
    } else if is(ACCESS_DENIED) {
        denied(text)
    } else if is(CLOCK_SKEW) {
        Verdict::of(OutcomeClass::Refused, reason::CLOCK_SKEW)
    } else if is(MODEL_ACCESS) {
        Verdict::of(OutcomeClass::Unusable, reason::MODEL_ACCESS)
    } else if is(NOT_FOUND) {
        Verdict::of(OutcomeClass::Unusable, reason::NOT_FOUND)
    } else if is(REQUEST_TIMEOUT) {
        Verdict::of(OutcomeClass::Unavailable, reason::REQUEST_TIMEOUT)
    } else {
        return None;
    })
}

fn of_status(status: u16, text: &str, failure: &Failure<'_>) -> Option<Verdict> {
    Some(match status {
        400 | 413 | 422 => validation(text),
        401 => Verdict::of(OutcomeClass::Refused, reason::CREDENTIALS),
        403 => denied(text),
        404 => Verdict::of(OutcomeClass::Unusable, reason::NOT_FOUND),
        408 => Verdict::of(OutcomeClass::TimedOut, reason::MODEL_TIMEOUT),
        424 => model_error(failure.original_status),
        429 => throttled(text),
        503 | 529 => Verdict::of(OutcomeClass::Overloaded, reason::CAPACITY),
        // A gateway that waited: the work behind it was probably begun.
        504 => Verdict { spent: Spent::Unknown, ..service_error(text) },
        500.. => service_error(text),
        // An answer that the client could not use was worked on and charged.
        200..=299 => Verdict::of(OutcomeClass::ModelError, reason::UNRECOGNISED),
        _ => return None,
    })
}

/// The last resort: neither name nor status is known.
fn of_text(text: &str) -> Verdict {
    if error_text::is_capacity(text) {
        return Verdict::of(OutcomeClass::Overloaded, reason::CAPACITY);
    }
    if error_text::is_model_timeout(text) {
        return Verdict::of(OutcomeClass::TimedOut, reason::MODEL_TIMEOUT);
    }
    if text.contains("too many") || text.contains("request rate is too high") {
        return throttled(text);
    }
    Verdict::of(OutcomeClass::Refused, reason::UNRECOGNISED)
}

fn throttled(text: &str) -> Verdict {
    if error_text::is_capacity(text) {
        return Verdict::of(OutcomeClass::Overloaded, reason::CAPACITY);
    }
    let quota: Quota = error_text::quota(text);
    Verdict::of(OutcomeClass::Throttled(quota), reason::THROTTLED)
}

fn service_error(text: &str) -> Verdict {
    if error_text::is_capacity(text) {
        return Verdict::of(OutcomeClass::Overloaded, reason::CAPACITY);
    }
    Verdict::of(OutcomeClass::Unavailable, reason::SERVICE_ERROR)
}

/// What the model's host said decides: out of capacity, failed, or (any other answer, or none told) turned the request
/// down, which would happen again. All of them were worked on.
fn model_error(original_status: Option<u16>) -> Verdict {
    let (class, reason) = match original_status {
        Some(429 | 503 | 529) => (OutcomeClass::Overloaded, reason::MODEL_OVERLOADED),
        Some(500..) => (OutcomeClass::ModelError, reason::MODEL_ERROR),
        _ => (OutcomeClass::Refused, reason::MODEL_REJECTED),
    };
    Verdict { class, reason, spent: Spent::Unknown }
}

/// AWS says to retry these. Nova Sonic ends its streams with one when the model runs out of time.
fn model_stream_error(text: &str) -> Verdict {
    if error_text::is_model_timeout(text) {
        return Verdict::of(OutcomeClass::TimedOut, reason::MODEL_TIMEOUT);
    }
    Verdict::of(OutcomeClass::StreamBroken, reason::MODEL_STREAM_ERROR)
}

fn validation(text: &str) -> Verdict {
    if error_text::needs_profile(text) {
        Verdict::of(OutcomeClass::Unusable, reason::NEEDS_PROFILE)
    } else if error_text::is_unknown_model(text) {
        Verdict::of(OutcomeClass::Unusable, reason::NOT_FOUND)
    } else {
        Verdict::of(OutcomeClass::Refused, reason::VALIDATION)
    }
}

fn denied(text: &str) -> Verdict {
    if error_text::is_credentials(text) {
        Verdict::of(OutcomeClass::Refused, reason::CREDENTIALS)
    } else {
        Verdict::of(OutcomeClass::Unusable, reason::ACCESS_DENIED)
    }
}
