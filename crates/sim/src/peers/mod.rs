//! What others do, as simulated clients. Each is written from facts: documentation, source code read, or an article; the
//! file of each names them. Tests hold them against vectors and formulae.
//!
//! What all share: a caller who has waited until his deadline hangs up, and any number of calls may be under way. Those
//! that know one Region only take the Regions by turns, call by call, as an application with one SDK client for each
//! would.

mod aws;
mod cooldown;
mod cubic;
mod loops;
mod paced;
mod round_robin;
mod standard;

use serde::{Deserialize, Serialize};

pub use self::aws::AwsClass;
pub use self::cubic::{CubicLimiter, cubic_rate};
pub use self::standard::{RetryQuota, StandardMode};
use crate::client::Client;
use crate::scenario::Scenario;

/// What others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// The loop of many articles: five attempts, sleeping min(2^n + U(0,1), 30) s between them.
    Article,
    /// The AWS SDK for Python's legacy mode: five attempts and full jitter.
    AwsLegacy,
    /// The AWS SDKs' standard mode before November 2026: three attempts and a retry quota.
    AwsStandard20,
    /// The same as of November 2026.
    AwsStandard21,
    /// The AWS SDKs' adaptive mode: the standard mode behind a rate limiter that learns by CUBIC. As botocore has it: who
    /// has waited for the limiter asks again.
    AwsAdaptive,
    /// The same as the SDK for Rust has it before November 2026: a retry waits for five or ten permits in place of its
    /// delay, and then sends without asking again.
    AwsAdaptiveRust,
    /// One request after the other at the declared rate, then the standard mode.
    RequestLimiter,
    /// A bucket of the declared tokens that is charged the reservation and never gets anything back, then the standard mode.
    TokenLimiter,
    /// `LiteLLM`'s router: a random deployment of those that do not cool down.
    Cooldown,
    /// Region after Region until one answers, each once.
    RoundRobin,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Article,
        Self::AwsLegacy,
        Self::AwsStandard20,
        Self::AwsStandard21,
        Self::AwsAdaptive,
        Self::AwsAdaptiveRust,
        Self::RequestLimiter,
        Self::TokenLimiter,
        Self::Cooldown,
        Self::RoundRobin,
    ];

    /// Its name in plans and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Article => "article",
            Self::AwsLegacy => "aws-legacy",
            Self::AwsStandard20 => "aws-standard-2.0",
            Self::AwsStandard21 => "aws-standard-2.1",
            Self::AwsAdaptive => "aws-adaptive",
            Self::AwsAdaptiveRust => "aws-adaptive-rust",
            Self::RequestLimiter => "request-limiter",
            Self::TokenLimiter => "token-limiter",
            Self::Cooldown => "litellm-cooldown",
            Self::RoundRobin => "round-robin",
        }
    }

    /// The peer of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|peer| peer.name() == name)
    }

    pub(crate) fn build(self, scenario: &Scenario) -> Box<dyn Client> {
        let lanes = scenario.service.lanes.len().max(1);
        let told = |quota: fn(&crate::config::LaneConfig) -> Option<u64>| {
            scenario.service.lanes.iter().map(|lane| scenario.told(quota(lane))).collect::<Vec<_>>()
        };
        match self {
            Self::Article => Box::new(loops::Loop::new(loops::article, lanes)),
            Self::AwsLegacy => Box::new(loops::Loop::new(loops::legacy, lanes)),
            Self::AwsStandard20 => Box::new(standard::Sdk::standard(StandardMode::V2_0, lanes)),
            Self::AwsStandard21 => Box::new(standard::Sdk::standard(StandardMode::V2_1, lanes)),
            Self::AwsAdaptive => Box::new(standard::Sdk::adaptive(StandardMode::V2_1, lanes)),
            Self::AwsAdaptiveRust => Box::new(standard::Sdk::adaptive_rust(lanes)),
            Self::RequestLimiter => Box::new(paced::Paced::requests(&told(|lane| lane.requests_per_minute))),
            Self::TokenLimiter => Box::new(paced::Paced::tokens(&told(|lane| lane.tokens_per_minute))),
            Self::Cooldown => Box::new(cooldown::Cooldown::new(lanes)),
            Self::RoundRobin => Box::new(round_robin::RoundRobin::new(lanes)),
        }
    }
}
