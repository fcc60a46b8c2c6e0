//! Every error as the real SDK sees it.

use aws_sdk_bedrockruntime::error::ProvideErrorMetadata as _;
use aws_sdk_bedrockruntime::operation::converse::ConverseError;
use aws_sdk_bedrockruntime::operation::invoke_model::InvokeModelError;
use aws_sdk_bedrockruntime::primitives::Blob;
use aws_sdk_bedrockruntime::types::ConverseStreamOutput;
use aws_sdk_bedrockruntime::types::error::{ConverseStreamOutputError, ResponseStreamError};
use sluicegate_sim::{Effect, ErrorKind};

use super::{MODEL, REGION, client, client_with, lane, start, start_with, user};

const BODY: &str = r#"{"messages": [{"role": "user", "content": "hello"}]}"#;

async fn refused_by(error: ErrorKind) -> super::Fake {
    start_with(Effect::Error { error, share_permille: 1000, retry_after_s: None }).await
}

fn is_modelled(kind: ErrorKind, error: &ConverseError) -> bool {
    match kind.exception() {
        "AccessDeniedException" => error.is_access_denied_exception(),
        "InternalServerException" => error.is_internal_server_exception(),
        "ModelErrorException" => error.is_model_error_exception(),
        "ModelNotReadyException" => error.is_model_not_ready_exception(),
        "ModelTimeoutException" => error.is_model_timeout_exception(),
        "ResourceNotFoundException" => error.is_resource_not_found_exception(),
        "ServiceUnavailableException" => error.is_service_unavailable_exception(),
        "ThrottlingException" => error.is_throttling_exception(),
        "ValidationException" => error.is_validation_exception(),
        // Not in the model of Converse: only the name can be asked for.
        _ => error.code() == Some(kind.exception()),
    }
}

#[tokio::test]
async fn every_refusal_reaches_the_sdk_as_its_exception() {
    for kind in ErrorKind::ALL.iter().copied() {
        let fake = refused_by(kind).await;
        let error = client(&fake).converse().model_id(MODEL).messages(user("hi")).send().await.unwrap_err();
        let reply = error.raw_response().unwrap();
        assert_eq!(reply.status().as_u16(), kind.status(), "{kind:?}");
        assert!(reply.headers().get("x-amzn-requestid").is_some_and(|id| id.len() == 36), "{kind:?}");
        if kind == ErrorKind::Overloaded {
            let body = String::from_utf8_lossy(reply.body().bytes().unwrap()).into_owned();
            assert!(body.contains("overloaded_error"), "{body}");
            continue;
        }
        let error = error.into_service_error();
        assert!(is_modelled(kind, &error), "{kind:?}: {error:?}");
        assert_eq!(error.message().unwrap(), kind.message(MODEL), "{kind:?}");
    }
}

#[tokio::test]
async fn errors_that_only_invoke_model_knows() {
    for kind in [ErrorKind::ServiceQuotaExceeded, ErrorKind::ModelError] {
        let fake = refused_by(kind).await;
        let request = client(&fake).invoke_model().model_id(MODEL).body(Blob::new(BODY));
        match request.send().await.unwrap_err().into_service_error() {
            InvokeModelError::ServiceQuotaExceededException(_) => assert_eq!(kind, ErrorKind::ServiceQuotaExceeded),
            InvokeModelError::ModelErrorException(error) => {
                assert_eq!((error.original_status_code(), error.resource_name()), (Some(500), Some(MODEL)));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_hint_to_come_back_is_a_header() {
    let effect = Effect::Error { error: ErrorKind::Overloaded, share_permille: 1000, retry_after_s: Some(7) };
    let fake = start_with(effect).await;
    let error = client(&fake).converse().model_id(MODEL).messages(user("hi")).send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().headers().get("retry-after"), Some("7"));
}

fn broken_stream(error: ErrorKind, after_output_tokens: u64) -> Effect {
    Effect::StreamError { error, after_output_tokens, share_permille: 1000 }
}

#[tokio::test]
async fn converse_streams_break_before_or_after_the_first_delta() {
    for (kind, after, deltas) in [
        (ErrorKind::TokensPerMinute, 0, 0),
        (ErrorKind::UnableToProcess, 5, 1),
        (ErrorKind::ModelTimeout, 20, 3),
        (ErrorKind::InternalServer, 1, 1),
        (ErrorKind::Validation, 0, 0),
    ] {
        let fake = start_with(broken_stream(kind, after)).await;
        let request = client(&fake).converse_stream().model_id(MODEL).messages(user("hi"));
        let request = request.request_metadata("sluicegate-output-tokens", "50");
        let mut stream = request.send().await.unwrap().stream;
        let mut seen = 0;
        let error = loop {
            match stream.recv().await {
                Ok(Some(ConverseStreamOutput::ContentBlockDelta(_))) => seen += 1,
                Ok(Some(_)) => {}
                Ok(None) => panic!("{kind:?} did not break the stream"),
                Err(error) => break error.into_service_error(),
            }
        };
        assert_eq!(seen, deltas, "{kind:?}");
        let expected = match &error {
            ConverseStreamOutputError::ThrottlingException(_) => ErrorKind::TokensPerMinute,
            ConverseStreamOutputError::ServiceUnavailableException(_) => ErrorKind::UnableToProcess,
            ConverseStreamOutputError::ModelStreamErrorException(_) => ErrorKind::ModelTimeout,
            ConverseStreamOutputError::InternalServerException(_) => ErrorKind::InternalServer,
            ConverseStreamOutputError::ValidationException(_) => ErrorKind::Validation,
            other => panic!("{kind:?}: {other:?}"),
        };
        assert_eq!(kind, expected);
        let totals = fake.stop().await.lanes[0].totals;
        assert_eq!((totals.failed, totals.completed, totals.tokens_settled), (1, 0, 5 + after));
    }
}

#[tokio::test]
async fn invoke_streams_break_with_their_own_exceptions() {
    for kind in [ErrorKind::ModelTimeout, ErrorKind::ModelStreamError] {
        let fake = start_with(broken_stream(kind, 0)).await;
        let request = client(&fake).invoke_model_with_response_stream().model_id(MODEL).body(Blob::new(BODY));
        let mut stream = request.send().await.unwrap().body;
        let error = stream.recv().await.expect_err("nothing comes before the error").into_service_error();
        match error {
            ResponseStreamError::ModelTimeoutException(_) => assert_eq!(kind, ErrorKind::ModelTimeout),
            ResponseStreamError::ModelStreamErrorException(error) => {
                assert_eq!(error.original_status_code(), Some(500));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_attempt_that_does_not_stream_fails_after_the_work() {
    let fake = start_with(broken_stream(ErrorKind::ModelTimeout, 20)).await;
    let request = client(&fake).converse().model_id(MODEL).messages(user("hi"));
    let error = request.request_metadata("sluicegate-output-tokens", "50").send().await.unwrap_err();
    assert!(error.into_service_error().is_model_timeout_exception());
    assert_eq!(fake.stop().await.lanes[0].totals.tokens_settled, 25);
}

#[tokio::test]
async fn a_cut_connection_is_a_dispatch_failure() {
    let fake = start_with(Effect::ConnectionReset { share_permille: 1000 }).await;
    let error = client(&fake).converse().model_id(MODEL).messages(user("hi")).send().await.unwrap_err();
    assert!(error.raw_response().is_none(), "{error:?}");
    assert_eq!(fake.stop().await.lanes[0].totals.reset, 1);
}

#[tokio::test]
async fn unknown_callers_and_models_are_refused() {
    let fake = start(vec![lane(REGION)]).await;
    let stranger = client_with(&fake, REGION, "AKIAINVALID7");
    let error = stranger.converse().model_id(MODEL).messages(user("hi")).send().await.unwrap_err();
    assert_eq!(error.into_service_error().code(), Some("UnrecognizedClientException"));
    let error = client(&fake).converse().model_id("no.such").messages(user("hi")).send().await.unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
    let empty = client(&fake).converse().model_id(MODEL).send().await.unwrap_err().into_service_error();
    assert!(empty.is_validation_exception() && empty.message().unwrap().starts_with("messages"), "{empty:?}");
}
