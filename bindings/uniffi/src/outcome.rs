//! How attempts and calls end.

use std::time::Duration;

use sluicegate::Timestamp;

/// One enum of ours for one of the core's that has the same cases, both ways.
macro_rules! same {
    ($(#[doc = $about:tt])+ $name:ident, $core:ident { $($(#[doc = $doc:tt])+ $variant:ident => $of:pat, $to:expr;)+ }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
        pub(crate) enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl From<sluicegate::$core> for $name {
            fn from(value: sluicegate::$core) -> Self {
                match value {
                    $($of => Self::$variant,)+
                }
            }
        }

        impl From<$name> for sluicegate::$core {
            fn from(value: $name) -> Self {
                match value {
                    $($name::$variant => $to,)+
                }
            }
        }
    };
}
pub(crate) use same;

same! {
    /// How an attempt ended, in classes the engine can act on.
    OutcomeClass, OutcomeClass {
        /// A full answer.
        Success => sluicegate::OutcomeClass::Success, Self::Success;
        /// Refused by the quota of requests a minute.
        ThrottledRequests => sluicegate::OutcomeClass::Throttled(sluicegate::Quota::Requests), Self::Throttled(sluicegate::Quota::Requests);
        /// Refused by the quota of tokens a minute.
        ThrottledTokens => sluicegate::OutcomeClass::Throttled(sluicegate::Quota::Tokens), Self::Throttled(sluicegate::Quota::Tokens);
        /// Refused by the quota of tokens a day.
        ThrottledDay => sluicegate::OutcomeClass::Throttled(sluicegate::Quota::Day), Self::Throttled(sluicegate::Quota::Day);
        /// Refused by a quota that the service did not name.
        ThrottledUnknown => sluicegate::OutcomeClass::Throttled(sluicegate::Quota::Unknown), Self::Throttled(sluicegate::Quota::Unknown);
        /// The service as a whole has too little capacity.
        Overloaded => sluicegate::OutcomeClass::Overloaded, Self::Overloaded;
        /// The service is not available.
        Unavailable => sluicegate::OutcomeClass::Unavailable, Self::Unavailable;
        /// The model is being loaded.
        NotReady => sluicegate::OutcomeClass::NotReady, Self::NotReady;
        /// No answer in time.
        TimedOut => sluicegate::OutcomeClass::TimedOut, Self::TimedOut;
        /// The model failed.
        ModelError => sluicegate::OutcomeClass::ModelError, Self::ModelError;
        /// A stream broke before any of it reached the caller.
        StreamBroken => sluicegate::OutcomeClass::StreamBroken, Self::StreamBroken;
        /// A stream broke after part of it had reached the caller.
        StreamBrokenDelivered => sluicegate::OutcomeClass::StreamBrokenDelivered, Self::StreamBrokenDelivered;
        /// The service would not have this request.
        Refused => sluicegate::OutcomeClass::Refused, Self::Refused;
        /// The endpoint cannot serve its model.
        Unusable => sluicegate::OutcomeClass::Unusable, Self::Unusable;
        /// The caller went away.
        Cancelled => sluicegate::OutcomeClass::Cancelled, Self::Cancelled;
    }
}

same! {
    /// Which counter of a pool is meant.
    Quota, Quota {
        /// Requests a minute.
        Requests => sluicegate::Quota::Requests, Self::Requests;
        /// Tokens a minute.
        Tokens => sluicegate::Quota::Tokens, Self::Tokens;
        /// Tokens a day.
        Day => sluicegate::Quota::Day, Self::Day;
        /// Nobody knows.
        Unknown => sluicegate::Quota::Unknown, Self::Unknown;
    }
}

/// What an attempt cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub(crate) enum Spent {
    /// So many quota tokens.
    Tokens {
        /// Their number.
        tokens: u64,
    },
    /// Nobody knows: the reservation stands.
    Unknown,
    /// The service saw the request and took no tokens.
    Nothing,
    /// The attempt never left.
    NeverSent,
}

impl From<sluicegate::Spent> for Spent {
    fn from(spent: sluicegate::Spent) -> Self {
        match spent {
            sluicegate::Spent::Tokens(tokens) => Self::Tokens { tokens },
            sluicegate::Spent::Unknown => Self::Unknown,
            sluicegate::Spent::Nothing => Self::Nothing,
            sluicegate::Spent::NeverSent => Self::NeverSent,
        }
    }
}

impl From<Spent> for sluicegate::Spent {
    fn from(spent: Spent) -> Self {
        match spent {
            Spent::Tokens { tokens } => Self::Tokens(tokens),
            Spent::Unknown => Self::Unknown,
            Spent::Nothing => Self::Nothing,
            Spent::NeverSent => Self::NeverSent,
        }
    }
}

/// The report on one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Record)]
pub(crate) struct Outcome {
    /// How it ended.
    pub(crate) outcome_class: OutcomeClass,
    /// What it cost.
    pub(crate) spent: Spent,
    /// The service's own word on when to come back, in microseconds from the report.
    #[uniffi(default = None)]
    pub(crate) retry_after_us: Option<u64>,
    /// Tokens of the answer, where the service said.
    #[uniffi(default = None)]
    pub(crate) output_tokens: Option<u32>,
    /// Whether the answer was cut short by the cap on its length, before any of it reached the caller.
    #[uniffi(default = false)]
    pub(crate) truncated: bool,
}

impl From<sluicegate::Outcome> for Outcome {
    fn from(outcome: sluicegate::Outcome) -> Self {
        let sluicegate::Outcome { class, spent, retry_after, output_tokens, truncated } = outcome;
        let retry_after_us = retry_after.map(micros);
        Self { outcome_class: class.into(), spent: spent.into(), retry_after_us, output_tokens, truncated }
    }
}

impl From<Outcome> for sluicegate::Outcome {
    fn from(outcome: Outcome) -> Self {
        let Outcome { outcome_class, spent, retry_after_us, output_tokens, truncated } = outcome;
        let retry_after = retry_after_us.map(Duration::from_micros);
        Self { class: outcome_class.into(), spent: spent.into(), retry_after, output_tokens, truncated }
    }
}

/// The report on an attempt that ended so, at what such an end normally costs.
#[uniffi::export]
pub(crate) fn outcome_of(outcome_class: OutcomeClass) -> Outcome {
    sluicegate::Outcome::of(outcome_class.into()).into()
}

/// The report on a full answer that settled at `tokens` quota tokens.
#[uniffi::export(default(output_tokens = None))]
pub(crate) fn outcome_success(tokens: u64, output_tokens: Option<u32>) -> Outcome {
    Outcome { output_tokens, ..sluicegate::Outcome::success(tokens).into() }
}

/// The report on an attempt that never left: nothing was taken.
#[uniffi::export]
pub(crate) fn outcome_never_sent() -> Outcome {
    sluicegate::Outcome::never_sent().into()
}

/// Why a call was not sent (again).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub(crate) enum Refusal {
    /// It could not be answered before its deadline.
    Deadline,
    /// It is larger than its pools.
    TooLarge {
        /// The largest size that fits, in tokens.
        limit: u64,
    },
    /// As many calls wait as the policy allows.
    QueueFull,
    /// It would have to wait longer than the policy wants anyone to.
    TargetWait,
    /// No endpoint for its model is usable.
    NoEndpoint,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub(crate) enum EndReason {
    /// An attempt succeeded.
    Answered,
    /// It was not sent (again), because that could not have helped.
    Refused {
        /// Why.
        why: Refusal,
        /// The earliest time at which submitting it could help, where one is known.
        retry_at: Option<u64>,
    },
    /// Its deadline passed while it waited.
    Expired,
    /// The caller cancelled it.
    Cancelled,
    /// Its last attempt failed and was not to be repeated.
    Failed {
        /// How the last attempt ended.
        outcome_class: OutcomeClass,
    },
}

impl From<sluicegate::EndReason> for EndReason {
    fn from(reason: sluicegate::EndReason) -> Self {
        match reason {
            sluicegate::EndReason::Answered => Self::Answered,
            sluicegate::EndReason::Refused { why, retry_at } => {
                let why = match why {
                    sluicegate::Refusal::Deadline => Refusal::Deadline,
                    sluicegate::Refusal::TooLarge { limit } => Refusal::TooLarge { limit },
                    sluicegate::Refusal::QueueFull => Refusal::QueueFull,
                    sluicegate::Refusal::TargetWait => Refusal::TargetWait,
                    sluicegate::Refusal::NoEndpoint => Refusal::NoEndpoint,
                };
                Self::Refused { why, retry_at: retry_at.map(Timestamp::as_micros) }
            }
            sluicegate::EndReason::Expired => Self::Expired,
            sluicegate::EndReason::Cancelled => Self::Cancelled,
            sluicegate::EndReason::Failed { class } => Self::Failed { outcome_class: class.into() },
        }
    }
}

impl From<EndReason> for sluicegate::EndReason {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Answered => Self::Answered,
            EndReason::Refused { why, retry_at } => {
                let why = match why {
                    Refusal::Deadline => sluicegate::Refusal::Deadline,
                    Refusal::TooLarge { limit } => sluicegate::Refusal::TooLarge { limit },
                    Refusal::QueueFull => sluicegate::Refusal::QueueFull,
                    Refusal::TargetWait => sluicegate::Refusal::TargetWait,
                    Refusal::NoEndpoint => sluicegate::Refusal::NoEndpoint,
                };
                Self::Refused { why, retry_at: retry_at.map(Timestamp::from_micros) }
            }
            EndReason::Expired => Self::Expired,
            EndReason::Cancelled => Self::Cancelled,
            EndReason::Failed { outcome_class } => Self::Failed { class: outcome_class.into() },
        }
    }
}

#[uniffi::export]
impl EndReason {
    /// The reason in words.
    pub(crate) fn describe(&self) -> String {
        sluicegate::EndReason::from(*self).to_string()
    }
}

/// Microseconds of a duration, at most the largest number of 64 bits.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
