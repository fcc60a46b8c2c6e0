//! The adapter for `aws-sdk-bedrockruntime`: the SDK's client with a gate in front.
//!
//! A [`Client`] has the SDK's own operations with the SDK's own arguments, answers and errors. It makes one SDK client
//! for each Region of the policy, switches the SDK's retries off, and asks the engine when and where each attempt goes
//! out.
//!
//! ```no_run
//! use aws_sdk_bedrockruntime::types::{ContentBlock, ConversationRole, Message};
//! use sluicegate::Policy;
//! use sluicegate_bedrock::aws_sdk::Client;
//!
//! # async fn example(config: aws_types::SdkConfig, policy: Policy) -> Result<(), Box<dyn std::error::Error>> {
//! // before: let client = aws_sdk_bedrockruntime::Client::new(&config);
//! let client = Client::new(policy, &config)?;
//! let question = Message::builder()
//!     .role(ConversationRole::User)
//!     .content(ContentBlock::Text("How tall is the Eiffel Tower?".into()))
//!     .build()?;
//! let answer = client.converse().model_id("anthropic.claude-sonnet-4-6").messages(question).send().await?;
//! # let _ = answer;
//! # Ok(())
//! # }
//! ```

mod capture;
mod client;
mod failure;
mod json;
mod operations;
mod shape;
mod stream;

pub use crate::{Affinity, CallOptions};
pub use client::{BuildError, Client, ClientBuilder, NotSent};
pub use json::{CallError, JsonAnswer, JsonOperation};
pub use operations::{Converse, ConverseStream, InvokeModel, InvokeModelWithResponseStream};
pub use stream::{ConverseStreamAnswer, EventStream, InvokeModelStreamAnswer, StreamError};
