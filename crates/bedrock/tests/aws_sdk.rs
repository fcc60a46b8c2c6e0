//! The real AWS SDK behind the gate, against the embedded fake over real sockets.
#![cfg(feature = "aws-sdk")]
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_bedrockruntime::config::BehaviorVersion;
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_bedrockruntime::primitives::Blob;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ConversationRole, ConverseStreamOutput, InferenceConfiguration, Message, ResponseStream,
};
use aws_types::SdkConfig;
use serde_json::{Value, json};
use sluicegate::{EndReason, Event, OutcomeClass, Policy, Refusal};
use sluicegate_bedrock::aws_sdk::{CallError, CallOptions, Client, JsonOperation, NotSent};
use sluicegate_fake_bedrock::{Fake, Options};
use sluicegate_sim::{Effect, ErrorKind, Fault, LaneConfig, ServiceConfig};

const MODEL: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const PROFILE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const REGIONS: [&str; 2] = ["us-east-1", "us-west-2"];

/// A quick lane without troubles.
fn lane(region: &str) -> LaneConfig {
    let mut lane = LaneConfig::new(region, PROFILE);
    lane.first_token_us = 1_000;
    lane.tokens_per_second = 100_000;
    lane.output_multiplier = 5;
    lane
}

fn always(effect: Effect) -> Vec<Fault> {
    vec![Fault { from_us: 0, to_us: u64::MAX, effect }]
}

async fn fake(lanes: Vec<LaneConfig>) -> Fake {
    Fake::start(ServiceConfig::new(lanes), Options::default()).await.unwrap()
}

fn sdk_config(url: &str, key: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(key, "secret", None, None, "test")))
        .endpoint_url(url)
        .build()
}

fn policy(regions: &[&str], extra: Value) -> Policy {
    let mut document = json!({"pools": {}, "endpoints": {}, "retry": {"overloaded": {"base_ms": 1, "cap_ms": 2}}});
    for region in regions {
        document["pools"][region] = json!({});
        document["endpoints"][region] = json!({"model": MODEL, "target": PROFILE, "pools": [region]});
    }
    if let Value::Object(extra) = extra {
        document.as_object_mut().unwrap().extend(extra);
    }
    Policy::parse(&document).unwrap()
}

type Events = Arc<Mutex<Vec<Event>>>;

fn watched(fake: &Fake, policy: Policy) -> (Client, Events) {
    let events: Events = Events::default();
    let seen = events.clone();
    let client = Client::builder(policy, &sdk_config(&fake.url(), "AKIATEST"))
        .seed(1)
        .observer(Box::new(move |_, event| seen.lock().unwrap().push(*event)))
        .build()
        .unwrap();
    (client, events)
}

fn client(fake: &Fake) -> Client {
    watched(fake, policy(&REGIONS, json!({}))).0
}

fn user(text: &str) -> Message {
    Message::builder().role(ConversationRole::User).content(ContentBlock::Text(text.into())).build().unwrap()
}

fn classes(events: &Events) -> Vec<OutcomeClass> {
    let events = events.lock().unwrap();
    events
        .iter()
        .filter_map(|event| if let Event::Settled { class, .. } = event { Some(*class) } else { None })
        .collect()
}

fn spent(events: &Events) -> Vec<u64> {
    let events = events.lock().unwrap();
    let spent =
        |event: &Event| if let Event::Settled { spent_tokens, .. } = event { Some(*spent_tokens) } else { None };
    events.iter().filter_map(spent).collect()
}

fn attempts(fake: &Fake) -> u64 {
    fake.ledger().lanes.iter().map(|lane| lane.totals.attempts).sum()
}

fn settled(fake: &Fake) -> u64 {
    fake.ledger().lanes.iter().map(|lane| lane.totals.tokens_settled).sum()
}

#[tokio::test]
async fn converse_is_answered_and_settled_by_its_usage() {
    let fake = fake(vec![lane(REGIONS[0]), lane(REGIONS[1])]).await;
    let (client, events) = watched(&fake, policy(&REGIONS, json!({})));
    let answer = client
        .converse()
        .model_id(MODEL)
        .messages(user("How tall is the Eiffel Tower?"))
        .inference_config(InferenceConfiguration::builder().max_tokens(50).build())
        .send()
        .await
        .unwrap();
    let usage = answer.usage().unwrap();
    assert!(usage.output_tokens() > 0 && usage.output_tokens() <= 50);
    let cost = u64::try_from(usage.input_tokens() + 5 * usage.output_tokens()).unwrap();
    assert_eq!((spent(&events), settled(&fake)), (vec![cost], cost));
}

#[tokio::test]
async fn a_converse_stream_is_settled_by_its_last_event() {
    let fake = fake(vec![lane(REGIONS[0]), lane(REGIONS[1])]).await;
    let (client, events) = watched(&fake, policy(&REGIONS, json!({})));
    let mut answer = client.converse_stream().model_id(MODEL).messages(user("Tell me a story.")).send().await.unwrap();
    let (mut starts, mut text, mut metadata) = (0, String::new(), 0);
    while let Some(event) = answer.stream.recv().await.unwrap() {
        match event {
            ConverseStreamOutput::MessageStart(_) => starts += 1,
            ConverseStreamOutput::ContentBlockDelta(delta) => text += delta.delta().unwrap().as_text().unwrap(),
            ConverseStreamOutput::Metadata(_) => metadata += 1,
            _ => {}
        }
    }
    assert_eq!((starts, metadata), (1, 1));
    assert!(!text.is_empty());
    assert_eq!(spent(&events), [settled(&fake)]);
    assert_eq!(classes(&events), [OutcomeClass::Success]);
}

#[tokio::test]
async fn invoke_model_is_settled_by_its_headers() {
    let fake = fake(vec![lane(REGIONS[0]), lane(REGIONS[1])]).await;
    let (client, events) = watched(&fake, policy(&REGIONS, json!({})));
    let body = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 40,
        "messages": [{"role": "user", "content": "Name three rivers."}]});
    let answer = client.invoke_model().model_id(MODEL).body(Blob::new(body.to_string())).send().await.unwrap();
    let answer: Value = serde_json::from_slice(answer.body().as_ref()).unwrap();
    assert!(answer["usage"]["output_tokens"].as_u64().unwrap() > 0);
    assert_eq!(spent(&events), [settled(&fake)]);
}

#[tokio::test]
async fn an_invoke_model_stream_is_settled_by_its_last_chunk() {
    let fake = fake(vec![lane(REGIONS[0]), lane(REGIONS[1])]).await;
    let (client, events) = watched(&fake, policy(&REGIONS, json!({})));
    let body = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 40,
        "messages": [{"role": "user", "content": "Name three rivers."}]});
    let request = client.invoke_model_with_response_stream().model_id(MODEL).body(Blob::new(body.to_string()));
    let mut answer = request.send().await.unwrap();
    let mut kinds = Vec::new();
    while let Some(event) = answer.body.recv().await.unwrap() {
        if let ResponseStream::Chunk(part) = event {
            let chunk: Value = serde_json::from_slice(part.bytes().unwrap().as_ref()).unwrap();
            kinds.push(chunk["type"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!((kinds.first().unwrap().as_str(), kinds.last().unwrap().as_str()), ("message_start", "message_stop"));
    assert_eq!(spent(&events), [settled(&fake)]);
    assert_eq!(classes(&events), [OutcomeClass::Success]);
}

#[tokio::test]
async fn an_error_frame_before_the_first_delta_is_tried_again() {
    let mut broken = lane(REGIONS[0]);
    broken.faults = always(Effect::StreamError {
        error: ErrorKind::TokensPerMinute,
        after_output_tokens: 0,
        share_permille: 1_000,
    });
    let fake = fake(vec![broken, lane(REGIONS[1])]).await;
    // Whichever Region is drawn first, every call must end up answered by the sound one.
    let (client, events) = watched(&fake, policy(&REGIONS, json!({})));
    for _ in 0..6 {
        let mut answer = client.converse_stream().model_id(MODEL).messages(user("hello")).send().await.unwrap();
        while answer.stream.recv().await.unwrap().is_some() {}
    }
    let classes = classes(&events);
    assert_eq!(classes.iter().filter(|class| **class == OutcomeClass::Success).count(), 6);
    assert!(classes.iter().any(|class| matches!(class, OutcomeClass::Throttled(_))), "{classes:?}");
}

#[tokio::test]
async fn an_error_frame_after_a_delta_reaches_the_caller() {
    let mut broken = lane(REGIONS[0]);
    broken.faults = always(Effect::StreamError {
        error: ErrorKind::TokensPerMinute,
        after_output_tokens: 20,
        share_permille: 1_000,
    });
    let fake = fake(vec![broken]).await;
    let (client, events) = watched(&fake, policy(&REGIONS[..1], json!({})));
    let body = client.converse_stream().model_id(MODEL).messages(user("hello, tell me more"));
    let mut answer = body.send().await.unwrap();
    let error = loop {
        match answer.stream.recv().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without its error"),
            Err(error) => break error,
        }
    };
    assert!(error.as_service_error().unwrap().is_throttling_exception());
    assert_eq!((attempts(&fake), classes(&events)), (1, vec![OutcomeClass::StreamBrokenDelivered]));
}

#[tokio::test]
async fn a_dropped_stream_settles_its_call() {
    let fake = fake(vec![lane(REGIONS[0])]).await;
    let (client, events) = watched(&fake, policy(&REGIONS[..1], json!({})));
    let answer = client.converse_stream().model_id(MODEL).messages(user("hello")).send().await.unwrap();
    drop(answer);
    assert_eq!(classes(&events), [OutcomeClass::Cancelled]);
    assert_eq!(client.gate().inspect(|engine, _| engine.in_flight()), 0);
}

#[tokio::test]
async fn the_sdk_makes_no_attempts_of_its_own() {
    let mut down = lane(REGIONS[0]);
    down.faults = always(Effect::Outage);
    let fake = fake(vec![down]).await;
    let (client, _) = watched(&fake, policy(&REGIONS[..1], json!({"retry": {"max_attempts": 1}})));
    let error = client.converse().model_id(MODEL).messages(user("hello")).send().await.unwrap_err();
    assert_eq!(error.into_service_error().code(), Some("ServiceUnavailableException"));
    assert_eq!(attempts(&fake), 1);
}

#[tokio::test]
async fn another_region_answers_what_one_refuses() {
    let mut down = lane(REGIONS[0]);
    down.faults = always(Effect::Outage);
    let fake = fake(vec![down, lane(REGIONS[1])]).await;
    let client = client(&fake);
    for _ in 0..10 {
        client.converse().model_id(MODEL).messages(user("hello")).send().await.unwrap();
    }
    assert!(fake.ledger().lanes[1].totals.admitted >= 10);
}

#[tokio::test]
async fn bodies_pass_through_byte_for_byte() {
    let fake = fake(vec![lane(REGIONS[0]), lane(REGIONS[1])]).await;
    let client = client(&fake);
    let body = json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}],
        "inferenceConfig": {"maxTokens": 30}, "requestMetadata": {"sluicegate-call": "seen"}});
    let send = |operation, body: Value| {
        client.send_json(operation, MODEL, body.to_string().into_bytes(), CallOptions::default())
    };
    let answer = send(JsonOperation::Converse, body).await.unwrap();
    let value: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(value["usage"]["inputTokens"].as_u64().unwrap(), answer.usage.unwrap().input);
    assert!(fake.ledger().calls["seen"].completed.is_some(), "the body's own fields reached the service");

    let body = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 30,
        "messages": [{"role": "user", "content": "hello"}]});
    let answer = send(JsonOperation::InvokeModel, body).await.unwrap();
    let value: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(value["role"], "assistant");
}

#[tokio::test]
async fn a_model_without_an_endpoint_is_an_error_of_construction() {
    let fake = fake(vec![lane(REGIONS[0])]).await;
    let client = client(&fake);
    let error = client.converse().model_id("unheard.of").messages(user("hello")).send().await.unwrap_err();
    assert!(matches!(error, SdkError::ConstructionFailure(_)));
    let source = error.into_source().unwrap();
    assert_eq!(source.downcast_ref(), Some(&NotSent::UnknownModel("unheard.of".into())));
    assert_eq!(attempts(&fake), 0);
}

#[tokio::test]
async fn a_deadline_the_queue_cannot_meet_is_a_time_out() {
    let fake = fake(vec![lane(REGIONS[0])]).await;
    let pool = json!({"pools": {"us-east-1": {"requests_per_minute": 1}}});
    let (client, _) = watched(&fake, policy(&REGIONS[..1], pool));
    client.converse().model_id(MODEL).messages(user("hello")).send().await.unwrap();
    let late = client.converse().model_id(MODEL).messages(user("hello")).deadline(Duration::from_secs(1));
    let error = late.send().await.unwrap_err();
    assert!(matches!(error, SdkError::TimeoutError(_)));
    let source = error.into_source().unwrap();
    let reason = source.downcast_ref::<NotSent>();
    assert!(
        matches!(reason, Some(NotSent::Ended(EndReason::Refused { why: Refusal::Deadline, retry_at: Some(_) }))),
        "{reason:?}"
    );
}

#[tokio::test]
async fn wrong_credentials_are_told_apart_and_not_tried_again() {
    let fake = fake(vec![lane(REGIONS[0])]).await;
    let key = format!("{}XYZ", sluicegate_fake_bedrock::INVALID_ACCESS_KEY_PREFIX);
    let client = Client::new(policy(&REGIONS[..1], json!({})), &sdk_config(&fake.url(), &key)).unwrap();
    let body = json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}]}).to_string();
    let error =
        client.send_json(JsonOperation::Converse, MODEL, body.into(), CallOptions::default()).await.unwrap_err();
    let CallError::Failed { verdict, attempts, status, .. } = error else { panic!("{error:?}") };
    assert_eq!((verdict, attempts, status), ("credentials", 1, Some(403)));
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_unavailable() {
    // A port that was free a moment ago and that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = sdk_config(&format!("http://127.0.0.1:{port}"), "AKIATEST");
    let client = Client::new(policy(&REGIONS[..1], json!({})), &config).unwrap();
    let body = json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}]}).to_string();
    let error =
        client.send_json(JsonOperation::Converse, MODEL, body.into(), CallOptions::default()).await.unwrap_err();
    let CallError::Failed { class, attempts, .. } = error else { panic!("{error:?}") };
    assert_eq!((class, attempts), (OutcomeClass::Unavailable, 6));
}

#[tokio::test]
async fn the_estimate_of_a_prompt_learns_from_the_usage_that_comes_back() {
    let mut dense = lane(REGIONS[0]);
    dense.bytes_per_token_permille = 1_500;
    let fake = fake(vec![dense]).await;
    let (client, events) = watched(&fake, policy(&REGIONS[..1], json!({})));
    let prompt = "sluice gate ".repeat(500);
    for _ in 0..20 {
        let cap = InferenceConfiguration::builder().max_tokens(10).build();
        client.converse().model_id(MODEL).messages(user(&prompt)).inference_config(cap).send().await.unwrap();
    }
    let reserved: Vec<u64> = events
        .lock()
        .unwrap()
        .iter()
        .filter_map(
            |event| if let Event::Settled { reserved_tokens, .. } = event { Some(*reserved_tokens) } else { None },
        )
        .collect();
    let truth = 6_000 * 1_000 / 1_500 + 10;
    let error = |reserved: u64| reserved.abs_diff(truth) * 100 / truth;
    assert!(error(reserved[0]) > 30, "the first guess: {reserved:?}");
    assert!(error(*reserved.last().unwrap()) < 5, "after twenty answers: {reserved:?}");
}

#[tokio::test]
async fn calls_can_be_spawned_on_other_threads() {
    let fake = fake(vec![lane(REGIONS[0]), lane(REGIONS[1])]).await;
    let client = client(&fake);
    let body = json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}]}).to_string();
    let converse = client.converse().model_id(MODEL).messages(user("hello")).send();
    let stream = client.converse_stream().model_id(MODEL).messages(user("hello")).send();
    let sender = client.clone();
    let json = async move {
        sender.send_json(JsonOperation::Converse, MODEL, body.into(), CallOptions::default()).await.map(drop)
    };
    assert!(tokio::spawn(converse).await.unwrap().is_ok());
    assert!(tokio::spawn(stream).await.unwrap().is_ok());
    assert!(tokio::spawn(json).await.unwrap().is_ok());
}

/// Converse as JSON, with an answer that wants to be so long.
fn wanting(output_tokens: u32, cap: Option<u32>) -> Vec<u8> {
    let mut body = json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}],
        "requestMetadata": {"sluicegate-output-tokens": output_tokens.to_string()}});
    if let Some(cap) = cap {
        body["inferenceConfig"] = json!({"temperature": 0.5, "maxTokens": cap});
    }
    body.to_string().into_bytes()
}

fn reserved(fake: &Fake) -> u64 {
    fake.ledger().lanes.iter().map(|lane| lane.totals.tokens_reserved).sum()
}

#[tokio::test]
async fn a_slow_region_is_hedged_and_given_up_when_the_other_answers() {
    let mut document = json!({"hedge": {"after_permille": 900, "share_permille": 1_000}});
    document["endpoints"] = json!({
        REGIONS[0]: {"model": MODEL, "target": PROFILE, "pools": [REGIONS[0]]},
        REGIONS[1]: {"model": MODEL, "target": PROFILE, "pools": [REGIONS[1]], "group": 1},
    });
    let usual = fake(vec![lane(REGIONS[0]), lane(REGIONS[1])]).await;
    let (client, _) = watched(&usual, policy(&REGIONS, document.clone()));
    let ask = |client: &Client| client.converse().model_id(MODEL).messages(user("hello"));
    for _ in 0..60 {
        ask(&client).lone().send().await.unwrap();
    }
    let snapshot = client.gate().snapshot();

    let mut slow = lane(REGIONS[0]);
    slow.first_token_us = 60_000_000;
    let fake = fake(vec![slow, lane(REGIONS[1])]).await;
    let config = sdk_config(&fake.url(), "AKIATEST");
    let policy = policy(&REGIONS, document);
    let client = Client::builder(policy, &config).seed(1).restore(snapshot, Duration::ZERO).build().unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(30), ask(&client).send()).await.unwrap().unwrap();
    assert!(answer.usage().is_some());
    let ledger = fake.ledger();
    let seen: Vec<u64> = ledger.lanes.iter().map(|lane| lane.totals.attempts).collect();
    assert_eq!((seen, ledger.lanes[1].totals.completed), (vec![1, 1], 1));
    assert_eq!(client.gate().inspect(|engine, _| engine.in_flight()), 0);
}

/// A client that lowers caps and has seen a hundred answers of 50 tokens.
async fn lowering() -> (Fake, Client, Events) {
    let fake = fake(vec![lane(REGIONS[0])]).await;
    let clamp = json!({"output_cap": {"clamp": true, "minimum_answers": 100}});
    let (client, events) = watched(&fake, policy(&REGIONS[..1], clamp));
    for _ in 0..100 {
        let body = wanting(50, Some(4_000));
        client.send_json(JsonOperation::Converse, MODEL, body, CallOptions::default()).await.unwrap();
    }
    (fake, client, events)
}

#[tokio::test]
async fn a_lowered_cap_reaches_the_service_and_is_lifted_for_an_answer_that_it_cuts_short() {
    let (fake, client, events) = lowering().await;
    let send = |body| client.send_json(JsonOperation::Converse, MODEL, body, CallOptions::default());
    let before = reserved(&fake);
    let answer = send(wanting(50, Some(4_000))).await.unwrap();
    let input = answer.usage.unwrap().input;
    let lowered = reserved(&fake) - before - input;
    assert!((50..500).contains(&lowered), "{lowered}");

    // Those that need more get it, with the cap that they had, or with the model's as they had none.
    for (wants, cap, own) in [(2_000, Some(4_000), 4_000), (6_000, None, 8_192)] {
        let before = reserved(&fake);
        let answer = send(wanting(wants, cap)).await.unwrap();
        let value: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((&value["stopReason"], answer.usage.unwrap().output), (&json!("end_turn"), u64::from(wants)));
        let seen = reserved(&fake) - before - 2 * input;
        assert!(seen >= own + lowered && seen < own + 2_500, "{seen}");
    }
    let lifted = events.lock().unwrap().iter().filter(|event| matches!(event, Event::CapLifted { .. })).count();
    assert_eq!(lifted, 2);
}

#[tokio::test]
async fn typed_operations_and_vendors_bodies_are_lowered_too_and_streams_and_thinking_are_not() {
    let (fake, client, _) = lowering().await;
    let cap = InferenceConfiguration::builder().max_tokens(4_000).temperature(0.5).build();
    let before = reserved(&fake);
    let request = client.converse().model_id(MODEL).messages(user("hello")).inference_config(cap.clone());
    request.request_metadata("sluicegate-output-tokens", "50").send().await.unwrap();
    assert!(reserved(&fake) - before < 500);

    let before = reserved(&fake);
    let request = client.converse_stream().model_id(MODEL).messages(user("hello")).inference_config(cap);
    let mut answer = request.send().await.unwrap();
    while answer.stream.recv().await.unwrap().is_some() {}
    assert!((4_000..4_050).contains(&(reserved(&fake) - before)));

    let mut body = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 4_000,
        "messages": [{"role": "user", "content": "hello"}], "thinking": {"type": "enabled", "budget_tokens": 2_000}});
    let invoke = |body: &Value| client.invoke_model().model_id(MODEL).body(Blob::new(body.to_string())).send();
    let before = reserved(&fake);
    invoke(&body).await.unwrap();
    assert!((4_000..4_050).contains(&(reserved(&fake) - before)));

    body.as_object_mut().unwrap().remove("thinking");
    let before = reserved(&fake);
    invoke(&body).await.unwrap();
    // Lowered, and lifted if this answer wants to be longer.
    let seen = reserved(&fake) - before;
    assert!(!(500..=4_050).contains(&seen), "{seen}");
}

#[tokio::test]
async fn a_conversation_stays_in_one_region() {
    let fake = fake(vec![lane(REGIONS[0]), lane(REGIONS[1])]).await;
    let client = client(&fake);
    let mut homes = Vec::new();
    for key in 0..6 {
        let before: Vec<u64> = fake.ledger().lanes.iter().map(|lane| lane.totals.attempts).collect();
        for turn in 0..5 {
            let ask = client.converse().model_id(MODEL).messages(user(&format!("turn {turn}")));
            ask.affinity(format!("conversation {key}")).send().await.unwrap();
        }
        let lanes = fake.ledger().lanes;
        let turns: Vec<u64> = lanes.iter().zip(before).map(|(lane, before)| lane.totals.attempts - before).collect();
        assert!(turns == [5, 0] || turns == [0, 5], "{turns:?}");
        homes.push(turns[0]);
    }
    assert!(homes.contains(&0) && homes.contains(&5), "conversations are spread: {homes:?}");
}

#[tokio::test]
async fn a_fallback_model_serves_and_is_settled_by_its_own_rates_while_the_first_is_shut() {
    let small = "amazon.nova-micro-v1:0";
    let mut micro = LaneConfig::new(REGIONS[0], small);
    micro.first_token_us = 1_000;
    micro.tokens_per_second = 100_000;
    let fake = fake(vec![lane(REGIONS[0]), micro]).await;
    let document = json!({
        "endpoints": {
            "big": {"model": MODEL, "target": PROFILE, "region": REGIONS[0], "pools": [REGIONS[0]], "breaker": "forced-open"},
            "small": {"model": small, "region": REGIONS[0], "pools": [REGIONS[0]]},
        },
        "models": {MODEL: {"fallbacks": [small]}},
    });
    let (client, events) = watched(&fake, policy(&REGIONS[..1], document));
    let answer = client.converse().model_id(MODEL).messages(user("hello")).send().await.unwrap();
    let usage = answer.usage().unwrap();
    let cost = u64::try_from(usage.input_tokens() + usage.output_tokens()).unwrap();
    assert_eq!((spent(&events), settled(&fake)), (vec![cost], cost));
    assert_eq!(fake.ledger().lanes[1].totals.attempts, 1);
}

#[tokio::test]
async fn a_refused_call_that_comes_again_is_somebody_elses_retry() {
    let fake = fake(vec![lane(REGIONS[0])]).await;
    let (client, events) = watched(&fake, policy(&REGIONS[..1], json!({})));
    let stacked = || events.lock().unwrap().iter().filter(|event| matches!(event, Event::StackedRetry { .. })).count();
    let body =
        |text: &str| json!({"messages": [{"role": "pilot", "content": [{"text": text}]}]}).to_string().into_bytes();
    for text in ["one", "two", "one"] {
        let send = client.send_json(JsonOperation::Converse, MODEL, body(text), CallOptions::default());
        assert!(send.await.is_err());
    }
    assert_eq!(stacked(), 1);
    for text in ["one", "two", "one"] {
        let pilot = Message::builder().role("pilot".into()).content(ContentBlock::Text(text.into())).build().unwrap();
        let ask = client.converse().model_id(MODEL).messages(pilot).request_metadata("a", "b");
        assert!(ask.request_metadata("c", "d").send().await.is_err());
    }
    assert_eq!(stacked(), 2);
}
