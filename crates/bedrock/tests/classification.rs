//! The classifier against what AWS's own clients and documents say.
//!
//! The first two tables are the cases of another client's tests; where this classifier answers otherwise the row says
//! why. The rest is what Bedrock's model, documents and sightings list.

use sluicegate::{OutcomeClass, Quota, Spent};
use sluicegate_bedrock::{Failure, FailureKind, Verdict, classify, reason};

use OutcomeClass::{
    Cancelled, ModelError, NotReady, Overloaded, Refused, StreamBroken, StreamBrokenDelivered, Throttled, TimedOut,
    Unavailable, Unusable,
};

fn response(code: Option<&str>, status: u16, message: &str) -> Verdict {
    classify(&Failure::response(code, Some(status), Some(message)))
}

fn frame(code: &str, message: &str, delivered: bool) -> Verdict {
    classify(&Failure { code: Some(code), message: Some(message), in_stream: true, delivered, ..Failure::default() })
}

/// Status and name, and whether botocore takes it for throttling.
///
/// From boto/botocore, `tests/unit/retries/test_standard.py`, commit 0e6e2404b85dc336dd2889814e089bde7d1a4c55
/// (Apache-2.0); the values only.
const BOTOCORE_THROTTLING: &[(u16, Option<&str>, bool)] = &[
    (400, Some("Throttling"), true),
    (400, Some("ThrottlingException"), true),
    (400, Some("ThrottledException"), true),
    (400, Some("RequestThrottledException"), true),
    (400, Some("TooManyRequestsException"), true),
    (400, Some("ProvisionedThroughputExceededException"), true),
    (400, Some("TransactionInProgressException"), true),
    (503, Some("RequestLimitExceeded"), true),
    (509, Some("BandwidthLimitExceeded"), true),
    (400, Some("LimitExceededException"), true),
    (403, Some("RequestThrottled"), true),
    (503, Some("SlowDown"), true),
    (400, Some("PriorRequestNotComplete"), true),
    (502, Some("EC2ThrottledException"), true),
    (400, Some("NotAThrottlingError"), false),
    (500, Some("InternalServerError"), false),
    (400, None, false),
    (500, None, false),
    (200, None, false),
];

#[test]
fn throttling_as_botocore_has_it() {
    for (status, code, throttling) in BOTOCORE_THROTTLING {
        let verdict = classify(&Failure::response(*code, Some(*status), None));
        assert_eq!(matches!(verdict.class, Throttled(_)), *throttling, "{status} {code:?}: {verdict:?}");
    }
}

/// Status and name, whether botocore takes it for transient, and why this classifier does not say the same, if so.
///
/// Source as above.
const BOTOCORE_TRANSIENT: &[(u16, Option<&str>, bool, Option<&str>)] = &[
    (400, Some("RequestTimeout"), true, None),
    (400, Some("RequestTimeoutException"), true, None),
    (
        400,
        Some("PriorRequestNotComplete"),
        true,
        Some("botocore has it in both lists; here a failure has one class, and throttling waits longer"),
    ),
    (500, None, true, None),
    (502, None, true, None),
    (503, None, true, None),
    (504, None, true, None),
    (500, Some("InternalServiceError"), true, None),
    (502, Some("BadError"), true, None),
    (200, None, false, None),
    (400, Some("Throttling"), false, None),
    (400, None, false, None),
];

#[test]
fn transient_as_botocore_has_it() {
    for (status, code, transient, difference) in BOTOCORE_TRANSIENT {
        let verdict = classify(&Failure::response(*code, Some(*status), None));
        let same = matches!(verdict.class, Overloaded | Unavailable) == *transient;
        assert_eq!(same, difference.is_none(), "{status} {code:?}: {verdict:?}, {difference:?}");
    }
    for kind in [FailureKind::Connect, FailureKind::Io] {
        assert_eq!(classify(&Failure { kind, ..Failure::default() }).class, Unavailable);
    }
}

/// Where the SDKs' common rules lose what Bedrock needs told apart: status, name, what the SDKs do, what is done here.
#[test]
fn where_bedrock_needs_more_than_the_sdks_tell() {
    // botocore and Rust retry a 429 under an unknown name or not, depending on the SDK; here it is throttling always.
    assert_eq!(response(Some("Surprise"), 429, "").class, Throttled(Quota::Unknown));
    // No SDK retries 529. It is the model's capacity.
    assert_eq!(response(None, 529, "").class, Overloaded);
    assert_eq!(response(Some("overloaded_error"), 529, "Overloaded").class, Overloaded);
    // JS takes a model that is loading for throttling; that would slow the whole pool down.
    assert_eq!(response(Some("ModelNotReadyException"), 429, "").class, NotReady);
    // The SDKs end on these at once; here the policy may decide, since each has its class.
    assert_eq!(response(Some("ModelTimeoutException"), 408, "").class, TimedOut);
    assert_eq!(response(Some("ServiceQuotaExceededException"), 400, "").class, Throttled(Quota::Unknown));
}

/// Each exception of the bedrock-runtime API model (2023-09-30, in botocore 1.44.5), with its status.
#[test]
fn every_modelled_exception() {
    for (code, status, class, why) in [
        ("AccessDeniedException", 403, Unusable, reason::ACCESS_DENIED),
        ("ValidationException", 400, Refused, reason::VALIDATION),
        ("ResourceNotFoundException", 404, Unusable, reason::NOT_FOUND),
        ("ServiceQuotaExceededException", 400, Throttled(Quota::Unknown), reason::SERVICE_QUOTA),
        ("ThrottlingException", 429, Throttled(Quota::Unknown), reason::THROTTLED),
        ("ModelNotReadyException", 429, NotReady, reason::MODEL_NOT_READY),
        ("ModelTimeoutException", 408, TimedOut, reason::MODEL_TIMEOUT),
        ("ModelErrorException", 424, Refused, reason::MODEL_REJECTED),
        ("ModelStreamErrorException", 424, StreamBroken, reason::MODEL_STREAM_ERROR),
        ("InternalServerException", 500, Unavailable, reason::SERVICE_ERROR),
        ("ServiceUnavailableException", 503, Overloaded, reason::CAPACITY),
    ] {
        let verdict = response(Some(code), status, "");
        assert_eq!((verdict.class, verdict.reason), (class, why), "{code}");
        // The name alone says as much.
        let by_name = classify(&Failure::response(Some(code), None, None));
        assert_eq!(by_name, verdict, "{code} without status");
    }
}

/// Documented at <https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html> and by the
/// common error types of AWS APIs, but not modelled.
#[test]
fn every_documented_error_outside_the_model() {
    for (code, status, class, why) in [
        ("FTUFormNotFilled", 404, Unusable, reason::MODEL_ACCESS),
        ("MPAgreementBeingCreated", 403, Unusable, reason::MODEL_ACCESS),
        ("IncompleteSignature", 400, Refused, reason::CREDENTIALS),
        ("RequestExpired", 400, Refused, reason::CLOCK_SKEW),
        ("InvalidClientTokenId", 403, Refused, reason::CREDENTIALS),
        ("UnrecognizedClientException", 403, Refused, reason::CREDENTIALS),
        ("ExpiredTokenException", 403, Refused, reason::CREDENTIALS),
        ("InvalidSignatureException", 403, Refused, reason::CREDENTIALS),
        ("MissingAuthenticationTokenException", 403, Refused, reason::CREDENTIALS),
        ("overloaded_error", 529, Overloaded, reason::CAPACITY),
        ("rate_limit_error", 429, Throttled(Quota::Unknown), reason::THROTTLED),
        ("invalid_request_error", 400, Refused, reason::VALIDATION),
        ("authentication_error", 401, Refused, reason::CREDENTIALS),
        ("permission_error", 403, Unusable, reason::ACCESS_DENIED),
        ("not_found_error", 404, Unusable, reason::NOT_FOUND),
        ("api_error", 500, Unavailable, reason::SERVICE_ERROR),
    ] {
        let verdict = response(Some(code), status, "");
        assert_eq!((verdict.class, verdict.reason), (class, why), "{code}");
    }
}

/// Texts seen in the wild. Sources row by row: the re:Post article `bedrock-throttling-error`;
/// i-dot-ai/caddy-chatbot#97; anthropics/claude-code#1466; RooCode#5050; minorun365/agent-book#29; AWS Machine Learning
/// Blog, 11 February 2026; claude-code#562, onyx#6368, langchain-aws#968; bedrust#47, fmbench#247.
#[test]
fn every_text_seen_in_the_wild() {
    let throttling = Some("ThrottlingException");
    for (code, status, text, class) in [
        (throttling, 429, "Too many requests, please wait before trying again.", Throttled(Quota::Requests)),
        (
            throttling,
            429,
            "Too many requests, please wait before trying again. You have sent too many requests. Wait before trying again.",
            Throttled(Quota::Requests),
        ),
        (
            throttling,
            429,
            "Your request rate is too high. Reduce the frequency of requests.",
            Throttled(Quota::Requests),
        ),
        (throttling, 429, "Too many tokens, please wait before trying again.", Throttled(Quota::Tokens)),
        (throttling, 429, "Too many tokens per day, please wait before trying again.", Throttled(Quota::Day)),
        (throttling, 429, "Model some.model is currently overloaded. Please try again later.", Overloaded),
        (
            Some("ServiceUnavailableException"),
            503,
            "Too many connections, please wait before trying again.",
            Overloaded,
        ),
        (Some("ServiceUnavailableException"), 503, "Bedrock is unable to process your request.", Overloaded),
        (Some("ServiceUnavailableException"), 503, "Service temporarily unavailable, please try again.", Overloaded),
        (Some("ModelTimeoutException"), 408, "Model has timed out in processing the request.", TimedOut),
        (
            Some("InternalServerException"),
            500,
            "The system encountered an unexpected error during processing.",
            Unavailable,
        ),
        // Circulates without a sighting, and is understood at no cost.
        (throttling, 429, "Model Processing Capacity Reached", Overloaded),
        (throttling, 429, "Rate exceeded", Throttled(Quota::Unknown)),
    ] {
        assert_eq!(response(code, status, text).class, class, "{text}");
        assert_eq!(response(None, status, text).class, class, "{text}, without a name");
        assert_eq!(response(code, status, &text.to_uppercase()).class, class, "{text}, in capitals");
    }
    // With neither name nor status the text still tells the ones that say enough.
    let text_only = |text| classify(&Failure { message: Some(text), ..Failure::default() }).class;
    assert_eq!(text_only("Too many tokens, please wait before trying again."), Throttled(Quota::Tokens));
    assert_eq!(text_only("Too many connections, please wait before trying again."), Overloaded);
    assert_eq!(text_only("Model has timed out in processing the request."), TimedOut);
    assert_eq!(text_only("Something else."), Refused);
}

#[test]
fn a_model_without_on_demand_throughput_needs_a_profile() {
    let text = "Invocation of model ID anthropic.claude-sonnet-4-5-20250929-v1:0 with on-demand throughput isn\u{2019}t \
                supported. Retry your request with the ID or ARN of an inference profile that contains this model.";
    let verdict = response(Some("ValidationException"), 400, text);
    assert_eq!((verdict.class, verdict.reason), (Unusable, reason::NEEDS_PROFILE));
    let verdict = response(Some("ValidationException"), 400, "The provided model identifier is invalid.");
    assert_eq!((verdict.class, verdict.reason), (Unusable, reason::NOT_FOUND));
    let verdict = response(Some("ValidationException"), 400, "Input is too long for requested model.");
    assert_eq!((verdict.class, verdict.reason), (Refused, reason::VALIDATION));
}

#[test]
fn a_denial_for_who_asks_does_not_close_the_endpoint() {
    let verdict = response(None, 403, "The security token included in the request is expired");
    assert_eq!((verdict.class, verdict.reason), (Refused, reason::CREDENTIALS));
    let verdict = response(None, 403, "You don't have access to the model with the specified model ID.");
    assert_eq!((verdict.class, verdict.reason), (Unusable, reason::ACCESS_DENIED));
}

#[test]
fn a_models_error_goes_by_what_its_host_answered() {
    for (original_status, class, why) in [
        (Some(429), Overloaded, reason::MODEL_OVERLOADED),
        (Some(503), Overloaded, reason::MODEL_OVERLOADED),
        (Some(529), Overloaded, reason::MODEL_OVERLOADED),
        (Some(500), ModelError, reason::MODEL_ERROR),
        (Some(502), ModelError, reason::MODEL_ERROR),
        (Some(400), Refused, reason::MODEL_REJECTED),
        (None, Refused, reason::MODEL_REJECTED),
    ] {
        for code in [Some("ModelErrorException"), None] {
            let failure = Failure { original_status, ..Failure::response(code, Some(424), None) };
            let verdict = classify(&failure);
            assert_eq!((verdict.class, verdict.reason), (class, why), "{original_status:?}");
            assert_eq!(verdict.spent, Spent::Unknown, "the model worked on it");
        }
    }
}

#[test]
fn a_status_alone_is_enough() {
    for (status, class) in [
        (400, Refused),
        (401, Refused),
        (403, Unusable),
        (404, Unusable),
        (408, TimedOut),
        (413, Refused),
        (422, Refused),
        (424, Refused),
        (429, Throttled(Quota::Unknown)),
        (500, Unavailable),
        (502, Unavailable),
        (503, Overloaded),
        (504, Unavailable),
        (509, Unavailable),
        (529, Overloaded),
        (599, Unavailable),
        (200, ModelError),
        (302, Refused),
        (418, Refused),
    ] {
        let verdict = classify(&Failure::response(None, Some(status), None));
        assert_eq!(verdict.class, class, "{status}");
        assert_eq!(classify(&Failure::response(Some(""), Some(status), Some(""))).class, class, "{status}");
    }
    assert_eq!(classify(&Failure::default()).reason, reason::UNRECOGNISED);
}

#[test]
fn names_arrive_in_every_spelling() {
    for code in [
        "ThrottlingException",
        "throttlingException",
        "Throttling",
        "throttling",
        "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
        "com.amazon.bedrock#ThrottlingException",
        "com.amazon.bedrock#ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
        " ThrottlingException ",
    ] {
        let verdict = classify(&Failure::response(Some(code), None, None));
        assert_eq!(verdict.class, Throttled(Quota::Unknown), "{code}");
    }
    for code in ["Exception", "#", ":", "", "ThrottlingExceptionally", "NotThrottling"] {
        assert_eq!(classify(&Failure::response(Some(code), None, None)).reason, reason::UNRECOGNISED, "{code}");
    }
}

/// The exception frames of InvokeModelWithResponseStream and ConverseStream (`:exception-type` is in lower camel case).
#[test]
fn frames_go_by_name_and_by_what_was_delivered() {
    for (code, text, class) in [
        ("internalServerException", "", Unavailable),
        ("modelStreamErrorException", "", StreamBroken),
        ("validationException", "", Refused),
        ("throttlingException", "Too many tokens, please wait before trying again.", Throttled(Quota::Tokens)),
        ("modelTimeoutException", "", TimedOut),
        ("serviceUnavailableException", "Bedrock is unable to process your request.", Overloaded),
        // Nova Sonic after some eight minutes.
        ("modelStreamErrorException", "Model has timed out in processing the request.", TimedOut),
        ("somethingNewException", "", StreamBroken),
    ] {
        let before = frame(code, text, false);
        assert_eq!(before.class, class, "{code}");
        let after = frame(code, text, true);
        assert_eq!(after.class, StreamBrokenDelivered, "{code}");
        assert_eq!(after.reason, before.reason, "{code}: the cause stays known");
        assert_eq!((before.spent, after.spent), (Spent::Unknown, Spent::Unknown), "{code}: it was admitted");
    }
}

/// One `throttlingException` frame, as each SDK was seen to report it (botocore 1.44.5, JS client 3.1164.0, Rust client
/// 1.153.0): no status in the first two, and in Rust no code from `code()` either, so its adapter gives the variant.
#[test]
fn one_frame_as_each_sdk_reports_it() {
    let botocore = Failure { code: Some("throttlingException"), in_stream: true, ..Failure::default() };
    let javascript = Failure { code: Some("ThrottlingException"), in_stream: true, ..Failure::default() };
    let rust = Failure { code: Some("Throttling"), status: Some(200), in_stream: true, ..Failure::default() };
    // A gateway that turned the frame into a 400.
    let gateway =
        Failure { code: Some("throttlingException"), status: Some(400), in_stream: true, ..Failure::default() };
    for failure in [botocore, javascript, rust, gateway] {
        let verdict = classify(&failure);
        assert_eq!((verdict.class, verdict.reason), (Throttled(Quota::Unknown), reason::THROTTLED), "{failure:?}");
    }
}

#[test]
fn a_stream_can_end_without_a_frame() {
    let ended = |kind, delivered| classify(&Failure { kind, in_stream: true, delivered, ..Failure::default() });
    for kind in [FailureKind::Io, FailureKind::Timeout] {
        assert_eq!(ended(kind, false).class, StreamBroken);
        assert_eq!(ended(kind, true).class, StreamBrokenDelivered);
        assert_eq!(ended(kind, true).spent, Spent::Unknown);
    }
    assert_eq!(ended(FailureKind::Cancelled, true).class, Cancelled);
}

#[test]
fn what_never_left_costs_nothing_at_all() {
    let spent = |kind| classify(&Failure { kind, ..Failure::default() }).spent;
    assert_eq!(spent(FailureKind::Connect), Spent::NeverSent);
    assert_eq!(spent(FailureKind::Io), Spent::Unknown);
    assert_eq!(spent(FailureKind::Timeout), Spent::Unknown);
    assert_eq!(spent(FailureKind::Cancelled), Spent::Unknown);
    assert_eq!(response(Some("ThrottlingException"), 429, "").spent, Spent::Nothing);
}

#[test]
fn every_reason_is_unique_and_snake_case() {
    let mut names: Vec<_> = reason::ALL.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), reason::ALL.len());
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
}
