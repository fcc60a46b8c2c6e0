//! All operations through the real SDK.

use aws_sdk_bedrockruntime::primitives::Blob;
use aws_sdk_bedrockruntime::types::{
    CachePointBlock, CachePointType, ContentBlockDelta, ConverseStreamOutput, ConverseTokensRequest, CountTokensInput,
    InvokeModelTokensRequest, ResponseStream, StopReason, SystemContentBlock,
};
use serde_json::{Value, json};

use super::{MODEL, REGION, cap, client, lane, start, user};

#[tokio::test]
async fn converse() {
    let fake = start(vec![lane(REGION)]).await;
    let request =
        client(&fake).converse().model_id(MODEL).messages(user("sixteen bytes...")).inference_config(cap(100));
    let request = request.request_metadata("sluicegate-output-tokens", "20").request_metadata("sluicegate-call", "a");
    let reply = request.clone().send().await.unwrap();
    let usage = reply.usage().unwrap();
    assert_eq!((usage.input_tokens(), usage.output_tokens(), usage.total_tokens()), (8, 20, 28));
    assert_eq!(reply.stop_reason(), &StopReason::EndTurn);
    assert!(reply.metrics().unwrap().latency_ms() >= 1);
    let text = |reply: &aws_sdk_bedrockruntime::operation::converse::ConverseOutput| {
        reply.output().unwrap().as_message().unwrap().content()[0].as_text().unwrap().clone()
    };
    assert_eq!(text(&reply).split_whitespace().count(), 20);
    let again = request.inference_config(cap(5)).send().await.unwrap();
    assert_eq!(again.stop_reason(), &StopReason::MaxTokens);
    assert!(text(&reply).starts_with(&text(&again)), "the same prompt, the same words");
    let ledger = fake.stop().await;
    assert_eq!(ledger.calls["a"].attempts, 2);
    let totals = ledger.lanes[0].totals;
    assert_eq!((totals.completed, totals.tokens_reserved, totals.tokens_settled), (2, 108 + 13, 28 + 13));
}

#[tokio::test]
async fn converse_stream() {
    let fake = start(vec![lane(REGION)]).await;
    let request = client(&fake).converse_stream().model_id(MODEL).messages(user("hello")).inference_config(cap(100));
    let mut stream = request.request_metadata("sluicegate-output-tokens", "20").send().await.unwrap().stream;
    let (mut kinds, mut text) = (Vec::new(), String::new());
    while let Some(event) = stream.recv().await.unwrap() {
        let kind = match event {
            ConverseStreamOutput::MessageStart(_) => "start",
            ConverseStreamOutput::ContentBlockDelta(event) => {
                let Some(ContentBlockDelta::Text(piece)) = event.delta else { panic!("no text") };
                text.push_str(&piece);
                "delta"
            }
            ConverseStreamOutput::ContentBlockStop(_) => "block stop",
            ConverseStreamOutput::MessageStop(event) => {
                assert_eq!(event.stop_reason, StopReason::EndTurn);
                "stop"
            }
            ConverseStreamOutput::Metadata(event) => {
                assert_eq!(event.usage.unwrap().output_tokens(), 20);
                "metadata"
            }
            other => panic!("{other:?}"),
        };
        kinds.push(kind);
    }
    assert_eq!(kinds, ["start", "delta", "delta", "delta", "block stop", "stop", "metadata"]);
    assert_eq!(text.split_whitespace().count(), 20);
    assert_eq!(fake.stop().await.lanes[0].totals.completed, 1);
}

fn anthropic() -> Value {
    json!({
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "hello"}],
    })
}

fn nova() -> Value {
    json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}], "inferenceConfig": {"maxTokens": 10}})
}

#[tokio::test]
async fn invoke_model_in_two_dialects() {
    let fake = start(vec![lane(REGION)]).await;
    for (body, output) in [(anthropic(), "/usage/output_tokens"), (nova(), "/usage/outputTokens")] {
        let request = client(&fake).invoke_model().model_id(MODEL).body(Blob::new(body.to_string())).customize();
        let request = request.mutate_request(|request| {
            request.headers_mut().insert("x-sluicegate-output-tokens", "30");
            request.headers_mut().insert("x-sluicegate-call", "invoked");
        });
        let reply: Value = serde_json::from_slice(request.send().await.unwrap().body().as_ref()).unwrap();
        assert_eq!(reply.pointer(output).unwrap(), 10);
        let stop = reply.get("stop_reason").or_else(|| reply.get("stopReason")).unwrap();
        assert_eq!(stop, "max_tokens");
    }
    assert_eq!(fake.stop().await.calls["invoked"].attempts, 2);
}

#[tokio::test]
async fn invoke_model_with_response_stream_in_two_dialects() {
    let fake = start(vec![lane(REGION)]).await;
    for (body, first, last) in [
        (anthropic(), "/message/usage/input_tokens", "/amazon-bedrock-invocationMetrics/inputTokenCount"),
        (nova(), "/messageStart/role", "/metadata/usage/outputTokens"),
    ] {
        let request = client(&fake).invoke_model_with_response_stream().model_id(MODEL);
        let mut stream = request.body(Blob::new(body.to_string())).send().await.unwrap().body;
        let mut chunks: Vec<Value> = Vec::new();
        while let Some(ResponseStream::Chunk(chunk)) = stream.recv().await.unwrap() {
            chunks.push(serde_json::from_slice(chunk.bytes.unwrap().as_ref()).unwrap());
        }
        assert!(chunks.len() >= 5);
        assert!(chunks.first().unwrap().pointer(first).is_some(), "{chunks:?}");
        assert!(chunks.last().unwrap().pointer(last).is_some(), "{chunks:?}");
    }
    assert_eq!(fake.stop().await.lanes[0].totals.completed, 2);
}

#[tokio::test]
async fn count_tokens_agrees_with_usage() {
    let fake = start(vec![lane(REGION)]).await;
    let converse = ConverseTokensRequest::builder().messages(user("hello there")).build();
    let invoke = InvokeModelTokensRequest::builder().body(Blob::new(nova().to_string())).build().unwrap();
    for (input, tokens) in [(CountTokensInput::Converse(converse), 7), (CountTokensInput::InvokeModel(invoke), 6)] {
        let reply = client(&fake).count_tokens().model_id(MODEL).input(input).send().await.unwrap();
        assert_eq!(reply.input_tokens(), tokens);
    }
    let used = client(&fake).converse().model_id(MODEL).messages(user("hello there")).send().await.unwrap();
    assert_eq!(used.usage().unwrap().input_tokens(), 7);
    assert_eq!(fake.stop().await.lanes[0].totals.attempts, 1);
}

#[tokio::test]
async fn a_cached_prefix_is_written_once_and_read_again() {
    let fake = start(vec![lane(REGION)]).await;
    let point = CachePointBlock::builder().r#type(CachePointType::Default).build().unwrap();
    let ask = |question: &'static str| {
        client(&fake)
            .converse()
            .model_id(MODEL)
            .system(SystemContentBlock::Text("a".repeat(400)))
            .system(SystemContentBlock::CachePoint(point.clone()))
            .messages(user(question))
            .inference_config(cap(10))
            .send()
    };
    let mut seen = Vec::new();
    for question in ["one?", "two?"] {
        let usage = ask(question).await.unwrap().usage.unwrap();
        seen.push((usage.input_tokens(), usage.cache_write_input_tokens(), usage.cache_read_input_tokens()));
    }
    assert_eq!(seen, [(5, Some(100), Some(0)), (5, Some(0), Some(100))]);
}
