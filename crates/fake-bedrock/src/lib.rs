//! A fake Amazon Bedrock on loopback: the model of `sluicegate-sim` behind HTTP, spoken to by the real SDKs.
//!
//! One port serves every Region over HTTP/1.1 and cleartext HTTP/2: the Region is the one the request is signed for,
//! else that of a path prefix `/region/{region}/model/...`, else that of the first lane. Signatures are not checked, but
//! there must be credentials; access key ids beginning with [`INVALID_ACCESS_KEY_PREFIX`] are refused.
//!
//! Operations: Converse, ConverseStream, InvokeModel, InvokeModelWithResponseStream (Anthropic's messages where the body
//! has `anthropic_version`, else Nova's) and CountTokens, which draws on no quota here. Image, video and document blocks
//! count as a fixed number of input tokens. The same prompt and seed get the same answer.
//!
//! # For tests
//! - `requestMetadata: {"sluicegate-call": "<tag>"}` (Converse) or the header `x-sluicegate-call` (any operation) names
//!   the call that an attempt belongs to in the [`Ledger`](sluicegate_sim::Ledger).
//! - `requestMetadata: {"sluicegate-output-tokens": "129"}` or the header `x-sluicegate-output-tokens` fixes how long
//!   the output wants to be.
//! - `GET /sluicegate/ledger` answers the ledger as JSON.
//!
//! ```
//! use sluicegate_fake_bedrock::{Fake, Options};
//! use sluicegate_sim::{LaneConfig, ServiceConfig};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let config = ServiceConfig::new(vec![LaneConfig::new("us-east-1", "anthropic.claude-sonnet-4-6")]);
//! let fake = Fake::start(config, Options::default()).await?;
//! // Point a client at fake.url() …
//! let ledger = fake.stop().await;
//! assert_eq!(ledger.lanes[0].totals.attempts, 0);
//! # Ok(())
//! # }
//! ```

mod answer;
mod clock;
mod error;
mod handler;
mod prompt;
mod route;
mod server;
mod state;
mod stream;
mod words;

pub use route::INVALID_ACCESS_KEY_PREFIX;
pub use server::{DEFAULT_MAX_CONNECTIONS, DEFAULT_SEED, Fake, Options, STOP_GRACE};
