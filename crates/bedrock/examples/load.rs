//! Makes calls through a gated SDK client, each at its time: what `python/benches/load.py` does from Python.
//!
//! It is told in a line of JSON where the fake is, the policy and the calls, and says in another how late calls went out and
//! what the gate held at the end. All other figures come from the fake's books.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_bedrockruntime::config::BehaviorVersion;
use aws_sdk_bedrockruntime::types::{ContentBlock, ConversationRole, InferenceConfiguration, Message};
use aws_types::SdkConfig;
use serde_json::{Value, json};
use sluicegate::Policy;
use sluicegate_bedrock::aws_sdk::Client;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let job: Value = serde_json::from_str(&line)?;
    let times: Vec<f64> = job["at_s"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let deadline = Duration::from_secs_f64(job["deadline_s"].as_f64().unwrap_or_default());
    let client = Client::new(Policy::parse(&job["policy"])?, &config(job["url"].as_str().unwrap_or_default()))?;

    let (origin, mut late, mut calls) = (Instant::now(), Duration::ZERO, JoinSet::new());
    for (number, at) in times.into_iter().enumerate() {
        let at = origin + Duration::from_secs_f64(at);
        sleep_until(at).await;
        late = late.max(at.elapsed());
        calls.spawn(call(client.clone(), number, deadline));
    }
    calls.join_all().await;
    let (in_flight, waiting) = client.gate().inspect(|engine, _| (engine.in_flight(), engine.waiting()));
    println!("{}", json!({"late_s": late.as_secs_f64(), "in_flight": in_flight, "waiting": waiting}));
    Ok(())
}

async fn call(client: Client, number: usize, deadline: Duration) {
    let text = ContentBlock::Text("The sluice keeper opens the gate. ".repeat(4));
    let call = client
        .converse()
        .model_id("claude")
        .set_messages(Message::builder().role(ConversationRole::User).content(text).build().ok().map(|one| vec![one]))
        .inference_config(InferenceConfiguration::builder().max_tokens(64).build())
        .request_metadata("sluicegate-call", number.to_string())
        .request_metadata("sluicegate-output-tokens", "32")
        .deadline(deadline);
    // What comes of it is in the fake's books.
    drop(call.send().await);
}

/// The fake's address, and keys that it does not look at.
fn config(url: &str) -> SdkConfig {
    let keys = Credentials::new("sluicegate-local", "sluicegate-local", None, None, "load");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .endpoint_url(url)
        .build()
}
