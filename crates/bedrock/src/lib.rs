//! What sluicegate knows of Amazon Bedrock, as data and pure functions.
//!
//! The core decides about costs, quota pools and outcome classes and knows no provider. This crate turns Bedrock's
//! ids, bodies, headers and errors into those terms:
//!
//! | question | answer |
//! |---|---|
//! | what is this model id, which quota does it draw on, where is it processed? | [`BedrockModel`], [`Catalogue`] |
//! | what will an attempt reserve, and what did it use? | [`Catalogue::reserve`], [`Catalogue::settle`] |
//! | how many input tokens is a request, without a tokenizer? | [`estimate_request`], [`Ratios`] |
//! | what did the service say it used? | [`usage_from_body`], [`usage_from_headers`] |
//! | can the cap on its answer be lowered, and did it cut the answer short? | [`lower_max_tokens`], [`cut_by_max_tokens`] |
//! | why did an attempt fail, and what follows from it? | [`classify`], [`HttpError`] |
//! | what does an event of a stream mean? | [`StreamNote`], [`StreamSoFar`], [`FrameReader`] |
//! | all of this for one call after the other, under a policy | [`Appraiser`] |
//! | when does the service want to be asked again? | [`retry_after`] |
//! | which tenant or label is meant by a name? | [`tenant_named`], [`label_named`] |
//!
//! Nothing here reads a clock, draws a random number or does I/O, and all arithmetic is on integers. Everything that
//! AWS changes from time to time is in one versioned data file, `data/bedrock.json`, with its sources beside it, and a
//! policy can override each figure in its section `data.bedrock`.
//!
//! ```
//! use sluicegate::{OutcomeClass, Quota};
//! use sluicegate_bedrock::{Catalogue, Failure, Operation, Ratios, classify, estimate_request, usage_from_body};
//! use serde_json::json;
//!
//! let catalogue = Catalogue::builtin();
//! let model = catalogue.model("us.anthropic.claude-sonnet-4-5-20250929-v1:0");
//! let mut ratios = Ratios::new();
//!
//! // Before the attempt: what to reserve.
//! let body = json!({
//!     "messages": [{ "role": "user", "content": [{ "text": "How tall is the Eiffel Tower?" }] }],
//!     "inferenceConfig": { "maxTokens": 500 }
//! });
//! let shape = estimate_request(&body, Operation::Converse);
//! let input = ratios.input_tokens(&catalogue, &model, &shape);
//! let reserved = catalogue.reserve(&model, input, 0, 0, shape.max_tokens);
//! assert_eq!(reserved, input + 500);
//!
//! // After an answer: what it used (every output token of this model counts five times), and what to learn from it.
//! let answer = json!({ "usage": { "inputTokens": 14, "outputTokens": 20 } });
//! let usage = usage_from_body(&answer).unwrap();
//! assert_eq!(catalogue.settle(&model, &usage), 14 + 5 * 20);
//! ratios.observe_request(&catalogue, &model, &shape, &usage);
//!
//! // After a failure: what it means.
//! let failure = Failure::response(Some("ThrottlingException"), Some(429), Some("Too many tokens, please wait."));
//! assert_eq!(classify(&failure).class, OutcomeClass::Throttled(Quota::Tokens));
//! ```

#![cfg_attr(not(feature = "aws-sdk"), no_std)]

extern crate alloc;

mod affinity;
mod appraiser;
#[cfg(feature = "aws-sdk")]
pub mod aws_sdk;
mod cap;
mod catalogue;
mod classify;
mod cost;
mod error_text;
mod frames;
mod geography;
mod http_error;
mod model;
mod names;
mod overrides;
mod pattern;
mod ratio;
mod request;
mod retry_after;
mod shape;
mod stream;
mod usage;

pub use affinity::Affinity;
pub use appraiser::{Appraiser, Asked, CallOptions, Plan, Told, UnknownModel};
pub use cap::{can_lower_max_tokens, cut_by_max_tokens, lower_max_tokens};
pub use catalogue::{Burndown, Catalogue, MaxOutput};
pub use classify::{Failure, FailureKind, Verdict, classify, reason};
pub use cost::Usage;
pub use frames::{Frame, FrameError, FrameReader, MAX_FRAME_BYTES};
pub use http_error::HttpError;
pub use model::{BedrockModel, ModelForm, QuotaScope, region_of_arn};
pub use names::{label_named, tenant_named};
pub use overrides::{MAX_OVERRIDES, OVERRIDES_POINTER, overrides_schema};
pub use ratio::{MAX_BYTES_PER_1000_TOKENS, MAX_LEARNT_MODELS, MIN_BYTES_PER_1000_TOKENS, Ratios};
pub use request::{Operation, estimate_request};
pub use retry_after::{MAX_RETRY_AFTER, retry_after};
pub use shape::{DOCUMENT_BYTES_PER_PAGE, DOCUMENT_TOKENS_PER_PAGE, MEDIA_TOKENS, RequestShape};
pub use stream::{StreamNote, StreamSoFar};
pub use usage::{usage_from_body, usage_from_headers};

/// Compiles the README's example.
#[cfg(all(doctest, feature = "aws-sdk"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
