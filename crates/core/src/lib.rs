//! One deterministic machine that decides **when**, **where** and **whether** a call to an LLM API goes out.
//!
//! The core does no I/O: it has no clock, no generator, no threads and no sockets, and it knows no provider. Whoever
//! embeds it says what the time is and hands in random numbers; adapters for Amazon Bedrock and for async runtimes are
//! in crates of their own. A list of `(Timestamp, Input)` replays to the same decisions on every platform.
//!
//! # The loop
//!
//! ```
//! use sluicegate::{Call, CallId, Decision, Engine, Input, Outcome, Policy, Timestamp};
//!
//! let policy = Policy::from_json(r#"{
//!     "pools": {"virginia": {"requests_per_minute": 60, "tokens_per_minute": 100000}},
//!     "endpoints": {"us-east-1": {"model": "claude", "pools": ["virginia"]}}
//! }"#)?;
//! let model = policy.model("claude").expect("the policy names it");
//! let mut rng = sluicegate::random::Draws::new(&[]); // in production: a seeded generator
//! let now = Timestamp::from_micros(0);
//!
//! let mut engine = Engine::new(policy, now);
//! engine.handle(now, Input::Submit(Call::new(CallId(1), model, 1_500)), &mut rng)?;
//! while let Some(decision) = engine.poll_decision() {
//!     match decision {
//!         Decision::Send { attempt, endpoint, .. } => {
//!             // ... send it to `endpoint`, and when it has ended:
//!             let outcome = Outcome::success(900);
//!             engine.handle(Timestamp::from_micros(2_000_000), Input::Report { attempt, outcome }, &mut rng)?;
//!         }
//!         Decision::End { call, reason } => println!("{call:?}: {reason:?}"),
//!         _ => {} // second attempts, if the policy wants any
//!     }
//! }
//! assert!(engine.next_wakeup().is_none()); // nothing waits; else sleep until then and hand in `Input::Wake`
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The pieces
//!
//! [`Backoff`], [`Limiter`], [`Breaker`], [`RetryBudget`], [`AdaptiveConcurrency`], [`ServiceTime`], [`ServiceTimes`],
//! [`Bucket`] and [`Window`] are what the engine is made of; each is useful alone and works the same way: no clock, exact integers.
#![no_std]
#![deny(clippy::float_arithmetic)] // decisions are the same on every platform

extern crate alloc;

mod backoff;
mod breaker;
mod bucket;
mod budget;
mod concurrency;
pub mod defaults;
mod engine;
mod kept;
mod limiter;
mod outcome;
mod output_length;
mod policy;
pub mod random;
mod ratio;
mod service_time;
mod service_times;
mod speed;
mod time;
mod window;

pub use backoff::{Backoff, Curve, HintRule};
pub use breaker::{
    Breaker, BreakerConfig, BreakerMode, BreakerState, BreakerVerdict, BreakerWindow, SavedBreaker, SavedCount,
};
pub use bucket::Bucket;
pub use budget::{MilliTokens, RetryBudget, RetryBudgetConfig, RetryKind, SavedRetryBudget};
pub use concurrency::{AdaptiveConcurrency, SavedConcurrency};
pub use engine::{
    AttemptId, Call, CallId, Decision, EndReason, EndpointView, Engine, Event, EventField, EventKind, Explanation,
    FieldKind, Input, InputError, LabelId, Phase, Refusal, Snapshot, SnapshotError, Standing, TenantId, Trial,
    WakeReason, Wakeup,
};
pub use limiter::{Admission, Limiter, LimiterConfig, MinutePhase, Permit, SavedLimiter};
pub use outcome::{Outcome, OutcomeClass, Quota, Spent};
pub use output_length::{OutputLengths, SavedOutputLengths};
pub use policy::{
    Endpoint, EndpointId, FAULT_CODES, Fallback, Fault, Hedge, ModelId, OutputCap, Policy, PolicyError, Pool, PoolId,
    Queue, Retry, Router, Section, Tenant,
};
pub use random::Rng;
pub use service_time::{SavedServiceTime, ServiceTime};
pub use service_times::{SavedServiceTimes, ServiceTimes};
pub use speed::SavedSpeed;
pub use time::Timestamp;
pub use window::Window;
