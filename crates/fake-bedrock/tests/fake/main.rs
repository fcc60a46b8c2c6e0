//! The fake as real clients see it. One binary, because linking the SDK takes longer than all tests.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may end the test")]

mod errors;
mod operations;
mod raw;
mod service;

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::config::Region;
use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::types::{ContentBlock, ConversationRole, InferenceConfiguration, Message};
use aws_sdk_bedrockruntime::{Client, Config};
use sluicegate_fake_bedrock::{Fake, Options};
use sluicegate_sim::{Effect, Fault, LaneConfig, ServiceConfig};

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const MODEL: &str = "anthropic.claude-sonnet-4-6";

/// A lane that answers within milliseconds.
pub(crate) fn lane(region: &str) -> LaneConfig {
    LaneConfig {
        first_token_us: 1_000,
        per_input_token_ns: 0,
        tokens_per_second: 100_000,
        bytes_per_token_permille: 4_000,
        ..LaneConfig::new(region, MODEL)
    }
}

pub(crate) async fn start(lanes: Vec<LaneConfig>) -> Fake {
    Fake::start(ServiceConfig::new(lanes), Options::default()).await.unwrap()
}

/// A fake that goes wrong in one way, always.
pub(crate) async fn start_with(effect: Effect) -> Fake {
    let fault = Fault { from_us: 0, to_us: u64::MAX, effect };
    start(vec![LaneConfig { faults: vec![fault], ..lane(REGION) }]).await
}

pub(crate) fn client_with(fake: &Fake, region: &str, access_key: &str) -> Client {
    let config = Config::builder()
        .behavior_version_latest()
        .region(Region::new(region.to_owned()))
        .endpoint_url(fake.url())
        .credentials_provider(Credentials::from_keys(access_key, "secret", None))
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

pub(crate) fn client(fake: &Fake) -> Client {
    client_with(fake, REGION, "AKIDEXAMPLE")
}

pub(crate) fn user(text: &str) -> Message {
    let content = ContentBlock::Text(text.to_owned());
    Message::builder().role(ConversationRole::User).content(content).build().unwrap()
}

pub(crate) fn cap(max_tokens: i32) -> InferenceConfiguration {
    InferenceConfiguration::builder().max_tokens(max_tokens).build()
}

/// Lets the fake work until `done` holds.
pub(crate) async fn until(mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("nothing happened");
}
