//! The clients: each makes the same call in its own way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_bedrockruntime::Client as SdkClient;
use aws_sdk_bedrockruntime::config::Region;
use aws_sdk_bedrockruntime::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_bedrockruntime::error::ProvideErrorMetadata as _;
use aws_sdk_bedrockruntime::operation::converse::ConverseInput;
use aws_sdk_bedrockruntime::operation::converse::builders::ConverseInputBuilder;
use aws_sdk_bedrockruntime::types::{ContentBlock, ConversationRole, InferenceConfiguration, Message};
use aws_types::SdkConfig;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sluicegate::Policy;
use sluicegate_bedrock::aws_sdk::Client as Gated;
use sluicegate_sim::Arrival;
use tokio::time::{Instant, sleep, timeout_at};

use super::scenario::{MAX_TOKENS, MODEL, REGIONS, bytes};
use crate::exit::{Code, Failure};

/// Attempts that the article's loop makes.
const ARTICLE_ATTEMPTS: u32 = 5;
/// The longest sleep of the article's loop, before its jitter would exceed it, in seconds.
const ARTICLE_LONGEST: f64 = 30.0;
/// What the article's loop takes for a reason to try again.
const ARTICLE_RETRIES: [&str; 4] =
    ["ThrottlingException", "ServiceUnavailableException", "ModelNotReadyException", "InternalServerException"];
/// What prompts are made of. Nobody reads them.
pub(crate) const FILLER: &str =
    "The sluice keeper opens the gate as far as the stream below can take it, and no further. ";

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The loop of many articles.
    Article,
    /// The AWS SDK's standard retries.
    SdkStandard,
    /// The AWS SDK's adaptive mode.
    SdkAdaptive,
    /// The AWS SDK for Python in standard mode, in a process of its own.
    Boto3Standard,
    /// The same in adaptive mode.
    Boto3Adaptive,
    /// `LiteLLM`'s Router, in a process of its own.
    LiteLlm,
    /// This project's Python package around the AWS SDK for Python, in a process of its own.
    SluicegatePython,
    /// This project.
    Sluicegate,
}

impl Kind {
    /// Those that ours is always compared with.
    pub(crate) const ALWAYS: [Self; 3] = [Self::Article, Self::SdkStandard, Self::SdkAdaptive];

    /// Whether it is this project's, and so held to its promises and nobody's rival.
    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::SluicegatePython | Self::Sluicegate)
    }

    /// Its name in tables, plots and JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Article => "article",
            Self::SdkStandard => "sdk-standard",
            Self::SdkAdaptive => "sdk-adaptive",
            Self::Boto3Standard => "boto3-standard",
            Self::Boto3Adaptive => "boto3-adaptive",
            Self::LiteLlm => "litellm",
            Self::SluicegatePython => "sluicegate-python",
            Self::Sluicegate => "sluicegate",
        }
    }

    /// What it is, in a line.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Article => {
                "the loop of many articles: SDK retries off, up to 5 attempts, sleeping min(2^n + U(0,1), 30) seconds \
                 between them"
            }
            Self::SdkStandard => "the AWS SDK for Rust with RetryConfig::standard(): 3 attempts and a retry quota",
            Self::SdkAdaptive => "the AWS SDK for Rust with RetryConfig::adaptive(): the same behind a rate limiter",
            Self::Boto3Standard => {
                "boto3 in standard mode with its defaults, from a pool of 512 threads with as many connections; a thread \
                 cannot be stopped while it sleeps or reads, so a call ends when its thread next wakes after the deadline"
            }
            Self::Boto3Adaptive => "boto3 in adaptive mode, otherwise the same",
            Self::LiteLlm => {
                "LiteLLM's Router with a deployment for each Region and its defaults (simple-shuffle, 2 retries, cooldowns \
                 of 5 s), awaited in one event loop"
            }
            Self::SluicegatePython => {
                "sluicegate's Python package around a boto3 client, with the same policy as sluicegate and from as many \
                 threads as boto3; an answer on its way at the deadline is read to its end"
            }
            Self::Sluicegate => "sluicegate's client with a policy that declares each Region's quotas",
        }
    }
}

/// A client that calls can be made through.
pub(crate) enum Caller {
    /// The SDK's own, one for each Region, taken in turn by the calls.
    Sdk {
        /// By Region.
        clients: Vec<SdkClient>,
        /// Which call comes next.
        turn: AtomicUsize,
        /// The article's loop around them, with the generator of its jitter.
        article: Option<Box<Mutex<StdRng>>>,
    },
    /// Ours.
    Gated(Gated),
}

impl Caller {
    /// A client of this kind, configured for its own fake; absent for those that are processes of their own.
    pub(crate) fn new(kind: Kind, config: &SdkConfig, policy: Policy, seed: u64) -> Result<Option<Self>, Failure> {
        let sdk = |retries: &RetryConfig, article| {
            let clients = REGIONS.map(|region| sdk_client(kind, config, region, retries.clone())).into();
            Self::Sdk { clients, turn: AtomicUsize::new(0), article }
        };
        Ok(Some(match kind {
            Kind::Boto3Standard | Kind::Boto3Adaptive | Kind::LiteLlm | Kind::SluicegatePython => return Ok(None),
            Kind::Article => sdk(&RetryConfig::disabled(), Some(Box::new(Mutex::new(StdRng::seed_from_u64(seed))))),
            Kind::SdkStandard => sdk(&RetryConfig::standard(), None),
            Kind::SdkAdaptive => sdk(&RetryConfig::adaptive(), None),
            Kind::Sluicegate => {
                let built = Gated::builder(policy, config).seed(seed).build();
                Self::Gated(built.map_err(|error| Failure::new(Code::Unexpected, error.to_string()))?)
            }
        }))
    }

    /// Makes one call. What comes of it is in the fake's books; here nobody looks.
    pub(crate) async fn call(&self, index: usize, arrival: Arrival, deadline: Instant) {
        match self {
            Self::Sdk { clients, turn, article } => {
                let at = turn.fetch_add(1, Ordering::Relaxed) % clients.len().max(1);
                let Some(client) = clients.get(at) else { return };
                let call = async {
                    let input = input(index, &arrival);
                    match article {
                        Some(rng) => article_loop(client, input, rng).await,
                        None => {
                            let _ = input.send_with(client).await;
                        }
                    }
                };
                // Whoever waited is gone after the deadline; going on would only waste quota.
                let _ = timeout_at(deadline, call).await;
            }
            Self::Gated(client) => {
                let call = client
                    .converse()
                    .set_model_id(Some(MODEL.to_owned()))
                    .set_messages(message(&arrival).map(|message| vec![message]))
                    .inference_config(limits())
                    .set_request_metadata(Some(metadata(index, &arrival)))
                    .deadline(deadline.saturating_duration_since(Instant::now()));
                let _ = call.send().await;
            }
        }
    }

    /// Calls that wait in the engine, where there is one.
    pub(crate) fn waiting(&self) -> Option<usize> {
        match self {
            Self::Sdk { .. } => None,
            Self::Gated(client) => Some(client.gate().inspect(|engine, _| engine.waiting())),
        }
    }
}

/// An SDK client for one Region. Its retry partition is its own: by default all clients of a process for the same
/// service and Region share one retry quota and one rate limiter, and two of the clients here are to be compared.
fn sdk_client(kind: Kind, config: &SdkConfig, region: &'static str, retries: RetryConfig) -> SdkClient {
    let config = aws_sdk_bedrockruntime::config::Builder::from(config)
        .region(Region::new(region))
        .retry_config(retries)
        .retry_partition(RetryPartition::new(format!("compare-{}-{region}", kind.name())))
        .build();
    SdkClient::from_conf(config)
}

/// The loop as articles print it.
async fn article_loop(client: &SdkClient, input: ConverseInputBuilder, rng: &Mutex<StdRng>) {
    for n in 0..ARTICLE_ATTEMPTS {
        let Err(error) = input.clone().send_with(client).await else { return };
        if !error.code().is_some_and(|code| ARTICLE_RETRIES.contains(&code)) || n + 1 == ARTICLE_ATTEMPTS {
            return;
        }
        let jitter: f64 = rng.lock().unwrap_or_else(PoisonError::into_inner).random();
        let seconds = (2_f64.powi(n.cast_signed()) + jitter).min(ARTICLE_LONGEST);
        sleep(Duration::from_secs_f64(seconds)).await;
    }
}

fn input(index: usize, arrival: &Arrival) -> ConverseInputBuilder {
    ConverseInput::builder()
        .model_id(MODEL)
        .set_messages(message(arrival).map(|message| vec![message]))
        .inference_config(limits())
        .set_request_metadata(Some(metadata(index, arrival)))
}

/// A message of the arrival's size.
fn message(arrival: &Arrival) -> Option<Message> {
    let bytes = bytes(arrival.input_tokens);
    let mut text = FILLER.repeat(bytes.div_ceil(FILLER.len()));
    text.truncate(bytes);
    Message::builder().role(ConversationRole::User).content(ContentBlock::Text(text)).build().ok()
}

fn limits() -> InferenceConfiguration {
    InferenceConfiguration::builder().max_tokens(i32::try_from(MAX_TOKENS).unwrap_or(i32::MAX)).build()
}

/// Tells the fake which call this is, for its books, and how long the answer wants to be.
fn metadata(index: usize, arrival: &Arrival) -> std::collections::HashMap<String, String> {
    [("sluicegate-call", tag(index)), ("sluicegate-output-tokens", arrival.output_tokens.to_string())]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// What a call is called in the books.
pub(crate) fn tag(index: usize) -> String {
    index.to_string()
}

/// What is shared with whoever shows the progress.
pub(crate) struct Open {
    /// Calls that are not over.
    pub(crate) calls: Arc<AtomicUsize>,
    /// By how much calls went out late, in microseconds.
    pub(crate) late: Arc<Mutex<Vec<u64>>>,
}

/// Makes every call at its time, counted from `origin`, whatever became of those before: an open loop.
pub(crate) async fn drive(
    caller: Arc<Caller>,
    arrivals: Arc<[Arrival]>,
    origin: Instant,
    deadline: Duration,
    open: Open,
) {
    let mut calls = tokio::task::JoinSet::new();
    for (index, arrival) in arrivals.iter().copied().enumerate() {
        let at = origin + Duration::from_micros(arrival.at.as_micros());
        tokio::time::sleep_until(at).await;
        let late = u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX);
        open.late.lock().unwrap_or_else(PoisonError::into_inner).push(late);
        open.calls.fetch_add(1, Ordering::Relaxed);
        let (caller, open) = (Arc::clone(&caller), Arc::clone(&open.calls));
        calls.spawn(async move {
            caller.call(index, arrival, at + deadline).await;
            open.fetch_sub(1, Ordering::Relaxed);
        });
        while calls.try_join_next().is_some() {}
    }
    while calls.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_arrivals_size() {
        let arrival =
            Arrival { input_tokens: 1_004, output_tokens: 9, max_tokens: Some(MAX_TOKENS), ..Arrival::default() };
        let message = message(&arrival).unwrap();
        assert_eq!(message.content()[0].as_text().unwrap().len(), 4_200);
        assert_eq!(metadata(7, &arrival)["sluicegate-output-tokens"], "9");
    }
}
