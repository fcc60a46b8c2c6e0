//! A model of Amazon Bedrock in virtual time: what it admits, refuses, charges and breaks, and how fast it is.
//!
//! Time and randomness are arguments, so a day is simulated in a moment and two runs agree bit for bit. How the real
//! service refills its quotas is not documented; the model knows three laws (see [`Law`]) and a client should do well
//! under each.
//!
//! ```
//! use sluicegate::Timestamp;
//! use sluicegate_sim::{LaneConfig, Load, Reply, Service, ServiceConfig};
//! # use rand::{SeedableRng, rngs::StdRng};
//!
//! let mut lane = LaneConfig::new("us-east-1", "m");
//! lane.requests_per_minute = Some(1);
//! let mut service = Service::new(&ServiceConfig::new(vec![lane]))?;
//! let lane = service.lane("us-east-1", "m").unwrap();
//! let load = Load { input_tokens: 26, max_tokens: Some(100), output_tokens: Some(40), ..Load::default() };
//! # let mut rng = StdRng::seed_from_u64(1);
//! let Reply::Accepted(accepted) = service.admit_on(Timestamp::ZERO, lane, &load, None, &mut rng) else { panic!() };
//! assert!(matches!(service.admit_on(Timestamp::ZERO, lane, &load, None, &mut rng), Reply::Refused(_)));
//! service.finish(accepted.finish_at, accepted.ticket);
//! assert_eq!(service.ledger().lanes[0].totals.tokens_settled, 66);
//! # Ok::<(), sluicegate_sim::ConfigError>(())
//! ```

#![warn(clippy::float_arithmetic)]

mod attempt;
mod books;
mod bound;
mod cache;
mod client;
mod config;
mod error;
mod gap;
mod gate;
mod lane;
mod ledger;
mod live;
pub mod log;
mod oracle;
mod peers;
mod quantile;
mod queue;
mod quota;
mod report;
mod run;
mod scale;
mod scenario;
mod seed;
mod service;
mod side_by_side;
mod slab;
mod source;
#[cfg(test)]
mod tests;
mod workload;

pub use attempt::{Accepted, Attempt, LaneId, Load, Prefix, Refusal, Reply, StreamError, Ticket};
pub use bound::{MAX_GRID, upper_bound};
pub use client::{Client, ClientCall, ClientReply, End, Io};
pub use config::{
    ConfigError, ConfigFault, DEFAULT_BURST_PERMILLE, DEFAULT_BYTES_PER_TOKEN_PERMILLE, DEFAULT_CACHE_MIN_TOKENS,
    DEFAULT_CACHE_TTL_US, DEFAULT_FIRST_TOKEN_US, DEFAULT_MAX_OUTPUT_TOKENS, DEFAULT_OUTPUT_MULTIPLIER,
    DEFAULT_PER_INPUT_TOKEN_NS, DEFAULT_START_PERMILLE, DEFAULT_TAKES_PER_MINUTE, DEFAULT_TOKENS_PER_SECOND, Effect,
    Fault, LaneConfig, Law, OtherUser, ServiceConfig, WHOLE_PERMILLE,
};
pub use error::{ErrorKind, RefusalClass};
pub use gate::GateError;
pub use ledger::{CallRecord, LaneLedger, Ledger, MAX_CALLS, MAX_SECONDS, Second, Sorted, Summary, Totals};
pub use live::{CallState, Counts, LaneState, Live, LiveState, Sample, WAITS_OVER_US};
pub use oracle::{LOOKAHEAD, OracleCall, Order, Schedule, Start, best, fair, greedy};
pub use peers::{AwsClass, CubicLimiter, Peer, RetryQuota, StandardMode, cubic_rate};
pub use quantile::{Quantiles, azure_conversation_input, azure_conversation_output};
pub use quota::{DAY_US, Hold, MINUTE_US, MinuteQuota};
pub use report::{Fate, Figures, MAX_BOUND_CALLS, Oracle, Report, Spread};
pub use run::{ClientKind, Played, RunError, run, run_calls};
pub use scenario::{
    DEFAULT_DEADLINE_US, DEFAULT_HOP_US, DEFAULT_MEASURED_US, DEFAULT_WARM_UP_US, Declared, SCENARIO_MODEL, Scenario,
};
pub use seed::Dice;
pub use service::{MAX_IN_FLIGHT, Service};
pub use side_by_side::SideBySide;
pub use workload::{
    Arrival, Conversations, MAX_ARRIVALS, MAX_ROWS, MaxTokens, Pattern, TRACE_HEADER, TenantShare, Trace, TraceError,
    TraceFault, TraceRow, Workload,
};
