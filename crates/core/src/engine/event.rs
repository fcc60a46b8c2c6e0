//! What happened: the events, and what each of their fields is.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::io::{AttemptId, CallId, EndReason, LabelId};
use crate::breaker::BreakerState;
use crate::outcome::{OutcomeClass, Quota};
use crate::policy::{EndpointId, ModelId, PoolId};
use crate::time::{Timestamp, as_micros};

/// What a field of an event is to whoever makes metrics of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// It says which or how, and is no number to calculate with.
    Identity,
    /// It adds up: the sum over many events means something.
    Counter,
    /// It is a value of its own: look at its distribution or at the last one.
    Measure,
}

/// One field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventField {
    /// Its name in the serialized form.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// Whether it adds up.
    pub kind: FieldKind,
    /// What a number counts or is measured in; `None` for an identity.
    pub unit: Option<&'static str>,
}

/// One kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKind {
    /// Its name in the serialized form.
    pub name: &'static str,
    /// What happened.
    pub meaning: &'static str,
    /// What it comes with.
    pub fields: &'static [EventField],
}

/// Makes the enum and the table from one list, so that neither can say what the other does not.
macro_rules! events {
    ($(
        $(#[doc = $meaning:literal])+
        $variant:ident = $name:literal {
            $(
                $(#[doc = $about:literal])+
                $field:ident $(as $micros:literal)?: $type:ty => $kind:ident $($unit:literal)?,
            )+
        },
    )+) => {
        /// What happened, for logs and metrics.
        ///
        /// ```
        /// use sluicegate::{Event, FieldKind};
        ///
        /// let sent = Event::KINDS.iter().find(|kind| kind.name == "sent").unwrap();
        /// let waited = sent.fields.iter().find(|field| field.name == "waited_us").unwrap();
        /// assert_eq!((waited.kind, waited.unit), (FieldKind::Measure, Some("microseconds")));
        /// ```
        ///
        #[doc = include_str!("../../EVENTS.md")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Event {
            $(
                $(#[doc = $meaning])+
                #[serde(rename = $name)]
                $variant {
                    $(
                        $(#[doc = $about])+
                        $(#[serde(rename = $micros, with = "as_micros")])?
                        $field: $type,
                    )+
                },
            )+
        }

        impl Event {
            /// All kinds of events, with what each field is.
            pub const KINDS: &[EventKind] = &[$(
                EventKind {
                    name: $name,
                    meaning: concat!($($meaning),+).trim_ascii(),
                    fields: &[$(
                        EventField {
                            name: key!($field $($micros)?),
                            meaning: concat!($($about),+).trim_ascii(),
                            kind: FieldKind::$kind,
                            unit: unit!($($unit)?),
                        },
                    )+],
                },
            )+];

            /// The name of its kind.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name,)+
                }
            }
        }
    };
}

/// The name of a field in the serialized form: its own, but for a duration, whose name says the unit.
macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $micros:literal) => {
        $micros
    };
}

macro_rules! unit {
    () => {
        None
    };
    ($unit:literal) => {
        Some($unit)
    };
}

events! {
    /// An attempt goes out.
    Sent = "sent" {
        /// The call.
        call: CallId => Identity,
        /// The attempt.
        attempt: AttemptId => Identity,
        /// Where to.
        endpoint: EndpointId => Identity,
        /// 1 for the call's first attempt.
        number: u32 => Measure "attempts",
        /// Since the call was submitted.
        waited as "waited_us": Duration => Measure "microseconds",
        /// What it reserves.
        reserved_tokens: u64 => Counter "tokens",
    },
    /// A second attempt goes out beside one that takes long. A `sent` event comes with it.
    Hedged = "hedged" {
        /// The call.
        call: CallId => Identity,
        /// The second attempt.
        attempt: AttemptId => Identity,
        /// Where the first one is.
        first: EndpointId => Identity,
        /// Since the first one went out.
        after as "after_us": Duration => Measure "microseconds",
    },
    /// An attempt ended and its permit was settled.
    Settled = "settled" {
        /// The call.
        call: CallId => Identity,
        /// The attempt.
        attempt: AttemptId => Identity,
        /// Where it was sent; absent if the policy no longer has that endpoint.
        endpoint: Option<EndpointId> => Identity,
        /// How it ended.
        class: OutcomeClass => Identity,
        /// What it had reserved.
        reserved_tokens: u64 => Counter "tokens",
        /// What it was settled at.
        spent_tokens: u64 => Counter "tokens",
        /// Since it went out.
        took as "took_us": Duration => Measure "microseconds",
    },
    /// A call will be tried again.
    RetryPlanned = "retry_planned" {
        /// The call.
        call: CallId => Identity,
        /// Back in the queue at this time; its pools may let it out later.
        at: Timestamp => Measure "microseconds since the origin",
        /// How the last attempt ended.
        class: OutcomeClass => Identity,
        /// Whether the retry budget, not the backoff, set the time.
        bounded: bool => Identity,
    },
    /// A call is over.
    Ended = "ended" {
        /// The call.
        call: CallId => Identity,
        /// How.
        reason: EndReason => Identity,
        /// Attempts it took.
        attempts: u32 => Counter "attempts",
        /// Since it was submitted.
        took as "took_us": Duration => Measure "microseconds",
    },
    /// A refusal showed that a pool's limit was wrong; this one holds now.
    LimitLearned = "limit_learned" {
        /// The pool.
        pool: PoolId => Identity,
        /// Which of its limits.
        quota: Quota => Identity,
        /// The limit in force, in requests or tokens per minute.
        limit: u64 => Measure "requests or tokens per minute",
    },
    /// Refusals showed that the service counts by the clock, and when its minutes begin.
    PhaseLearned = "phase_learned" {
        /// The pool.
        pool: PoolId => Identity,
        /// Which of its limits.
        quota: Quota => Identity,
        /// The earliest time into a minute of the engine's clock at which one of the service's may begin.
        begins_us: u64 => Measure "microseconds",
        /// How much later it may be.
        within_us: u64 => Measure "microseconds",
    },
    /// What was taken for the beginning of the service's minutes was wrong, or no longer holds.
    PhaseLost = "phase_lost" {
        /// The pool.
        pool: PoolId => Identity,
        /// Which of its limits.
        quota: Quota => Identity,
    },
    /// Capacity errors lowered the number of attempts that may be out at an endpoint.
    ConcurrencyLowered = "concurrency_lowered" {
        /// The endpoint.
        endpoint: EndpointId => Identity,
        /// The number now.
        limit: u64 => Measure "attempts",
    },
    /// A breaker changed its state.
    BreakerChanged = "breaker_changed" {
        /// Whose.
        endpoint: EndpointId => Identity,
        /// To what.
        state: BreakerState => Identity,
    },
    /// A call came again soon after it had ended without an answer: whoever made it retries as well. Two who retry
    /// multiply their attempts; switch the other off.
    StackedRetry = "stacked_retry" {
        /// The call.
        call: CallId => Identity,
        /// Since the one before it ended.
        since as "since_us": Duration => Measure "microseconds",
    },
    /// Answers need far less than their calls reserve for them.
    CapAdvised = "cap_advised" {
        /// The model that was asked for.
        model: ModelId => Identity,
        /// The calls' label.
        label: LabelId => Identity,
        /// A cap on the answer, in tokens.
        cap: u32 => Measure "tokens",
        /// The share of answers that it holds, in thousandths.
        holds_permille: u32 => Measure "thousandths",
        /// What asking for no more would free, at the present rate of answers.
        frees_tokens_per_minute: u64 => Measure "tokens per minute",
    },
    /// An answer was cut short by a cap that the engine had lowered; the call is sent again with its own.
    CapLifted = "cap_lifted" {
        /// The call.
        call: CallId => Identity,
        /// The cap that was too low, in tokens.
        cap: u32 => Measure "tokens",
    },
    /// A call went elsewhere than where its prompt cache is.
    AffinityMoved = "affinity_moved" {
        /// The call.
        call: CallId => Identity,
        /// Where its cache is.
        from: EndpointId => Identity,
        /// Where it went.
        to: EndpointId => Identity,
    },
    /// The service said that the endpoint cannot serve its model; it is left out for a while.
    EndpointUnusable = "endpoint_unusable" {
        /// The endpoint.
        endpoint: EndpointId => Identity,
        /// Until when.
        until: Timestamp => Measure "microseconds since the origin",
    },
    /// An attempt was never reported; its permit was taken back. Its call ends unless a second attempt for it is out.
    LeaseExpired = "lease_expired" {
        /// The call.
        call: CallId => Identity,
        /// The attempt.
        attempt: AttemptId => Identity,
    },
    /// Time went backwards; the engine went on with the latest time it had seen.
    ClockBackwards = "clock_backwards" {
        /// How far.
        by as "by_us": Duration => Measure "microseconds",
    },
    /// Nobody took the events out; the oldest were dropped.
    EventsDropped = "events_dropped" {
        /// How many in all.
        count: u64 => Counter "events",
    },
}
