//! How an attempt ended, in classes the engine can act on.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::optional_micros;

/// Which quota a refusal names, as far as its text tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// Requests per minute.
    Requests,
    /// Tokens per minute.
    Tokens,
    /// Tokens per day.
    Day,
    /// The refusal does not say.
    Unknown,
}

/// How an attempt ended. A classifier outside the core turns a provider's replies into these; the core knows no status
/// code and no provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeClass {
    /// Answered in full.
    Success,
    /// Refused because a quota was used up.
    Throttled(Quota),
    /// The model or the service has too little capacity; the caller's quota is not the reason.
    Overloaded,
    /// The endpoint did not answer, or answered that it is down.
    Unavailable,
    /// The model is being loaded; it will be ready soon.
    NotReady,
    /// The service gave up after working on the attempt; the work was probably charged.
    TimedOut,
    /// The model failed on the attempt; the work was probably charged.
    ModelError,
    /// The stream ended early before anything reached the caller.
    StreamBroken,
    /// The stream ended early after something reached the caller, so the attempt cannot be repeated.
    StreamBrokenDelivered,
    /// The request itself was turned down; repeating it would end the same way.
    Refused,
    /// The endpoint cannot serve this request at all: an unknown model, or a missing permission for it there.
    Unusable,
    /// The caller went away.
    Cancelled,
}

impl core::fmt::Display for OutcomeClass {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Success => "success",
            Self::Throttled(Quota::Requests) => "throttled by requests per minute",
            Self::Throttled(Quota::Tokens) => "throttled by tokens per minute",
            Self::Throttled(Quota::Day) => "throttled by tokens per day",
            Self::Throttled(Quota::Unknown) => "throttled",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::NotReady => "not ready",
            Self::TimedOut => "timed out",
            Self::ModelError => "model error",
            Self::StreamBroken | Self::StreamBrokenDelivered => "stream broken",
            Self::Refused => "refused by the service",
            Self::Unusable => "endpoint unusable",
            Self::Cancelled => "cancelled",
        })
    }
}

/// What the service took for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spent {
    /// This many quota tokens, by the usage in the answer.
    Tokens(u64),
    /// Nobody said; the reservation stands.
    Unknown,
    /// No tokens, but the request was seen by the service.
    Nothing,
    /// The attempt never left: requests, tokens and all come back.
    NeverSent,
}

/// The report on one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Outcome {
    /// How the attempt ended.
    pub class: OutcomeClass,
    /// What it cost.
    pub spent: Spent,
    /// The service's own word on when to come back, counted from the report.
    #[serde(rename = "retry_after_us", default, skip_serializing_if = "Option::is_none", with = "optional_micros")]
    pub retry_after: Option<Duration>,
    /// Tokens of the answer, where the service said: what speed and length of answers are learned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u32>,
    /// The answer was cut short by the cap on its length, and none of it reached the caller yet. Where the engine had
    /// lowered that cap, the call is sent again with its own. The sender keeps this answer until the call ends and hands it
    /// out if nothing better comes, whatever the reason of the end.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub truncated: bool,
}

impl Outcome {
    /// A full answer that settled at `tokens` quota tokens.
    #[must_use]
    pub const fn success(tokens: u64) -> Self {
        Self {
            class: OutcomeClass::Success,
            spent: Spent::Tokens(tokens),
            retry_after: None,
            output_tokens: None,
            truncated: false,
        }
    }

    /// An attempt that never left: nothing was taken.
    #[must_use]
    pub const fn never_sent() -> Self {
        Self { spent: Spent::NeverSent, ..Self::of(OutcomeClass::Cancelled) }
    }

    /// Any other end, with what it normally costs: a refusal costs no tokens, broken or timed-out work keeps its
    /// reservation.
    #[must_use]
    pub const fn of(class: OutcomeClass) -> Self {
        let spent = match class {
            OutcomeClass::Success
            | OutcomeClass::TimedOut
            | OutcomeClass::ModelError
            | OutcomeClass::StreamBroken
            | OutcomeClass::StreamBrokenDelivered
            | OutcomeClass::Cancelled => Spent::Unknown,
            OutcomeClass::Throttled(_)
            | OutcomeClass::Overloaded
            | OutcomeClass::Unavailable
            | OutcomeClass::NotReady
            | OutcomeClass::Refused
            | OutcomeClass::Unusable => Spent::Nothing,
        };
        Self { class, spent, retry_after: None, output_tokens: None, truncated: false }
    }

    /// The same outcome with the service's own word on when to come back.
    #[must_use]
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same outcome with the length of its answer in tokens.
    #[must_use]
    pub const fn output_tokens(mut self, tokens: u32) -> Self {
        self.output_tokens = Some(tokens);
        self
    }

    /// The same outcome of an answer that was cut short by its cap, before any of it reached the caller.
    #[must_use]
    pub const fn truncated(mut self) -> Self {
        self.truncated = true;
        self
    }
}
