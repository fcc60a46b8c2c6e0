//! What happened, for logs and metrics.

use std::time::Duration;

use sluicegate::{AttemptId, CallId, EndpointId, LabelId, ModelId, PoolId, Timestamp};

use crate::outcome::{EndReason, OutcomeClass, Quota, micros, same};

same! {
    /// The state of a breaker.
    BreakerState, BreakerState {
        /// Attempts pass.
        Closed => sluicegate::BreakerState::Closed, Self::Closed;
        /// Nothing passes.
        Open => sluicegate::BreakerState::Open, Self::Open;
        /// Probes pass.
        HalfOpen => sluicegate::BreakerState::HalfOpen, Self::HalfOpen;
    }
}

/// What a field of the core's event is on the other side.
pub(crate) trait Plain {
    type As;
    fn plain(self) -> Self::As;
}

macro_rules! plain {
    ($($type:ty => $as:ty, $value:ident -> $plain:expr;)+) => {
        $(impl Plain for $type {
            type As = $as;
            fn plain(self) -> $as {
                let $value = self;
                $plain
            }
        })+
    };
}

plain! {
    CallId => u64, id -> id.0;
    AttemptId => u64, id -> id.0;
    EndpointId => u16, id -> id.0;
    Option<EndpointId> => Option<u16>, id -> id.map(|id| id.0);
    ModelId => u16, id -> id.0;
    PoolId => u16, id -> id.0;
    LabelId => u16, id -> id.0;
    sluicegate::OutcomeClass => OutcomeClass, class -> class.into();
    sluicegate::Quota => Quota, quota -> quota.into();
    sluicegate::BreakerState => BreakerState, state -> state.into();
    sluicegate::EndReason => EndReason, reason -> reason.into();
    Timestamp => u64, at -> at.as_micros();
    Duration => u64, duration -> micros(duration);
    u64 => u64, number -> number;
    u32 => u32, number -> number;
    bool => bool, flag -> flag;
}

/// Makes the enum and its conversion from one list: of each field the name in the core, the name here, which says the unit,
/// and the type here.
macro_rules! events {
    ($($(#[doc = $doc:tt])+ $variant:ident { $([$core:ident $field:ident $type:ty])+ })+) => {
        /// What happened. Times are in microseconds since the origin, durations in microseconds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
        pub(crate) enum Event {
            $($(#[doc = $doc])+ $variant { $($field: $type),+ },)+
        }

        impl Event {
            /// `None` for a kind that this list lacks; the tests replay every kind there is.
            pub(crate) fn of(event: sluicegate::Event) -> Option<Self> {
                match event {
                    $(sluicegate::Event::$variant { $($core: $field),+ } => Some(Self::$variant { $($field: $field.plain()),+ }),)+
                    _ => None,
                }
            }
        }
    };
}

events! {
    /// An attempt goes out.
    Sent {
        [call call u64]
        [attempt attempt u64]
        [endpoint endpoint u16]
        [number number u32]
        [waited waited_us u64]
        [reserved_tokens reserved_tokens u64]
    }
    /// A second attempt goes out beside one that takes long. A `sent` event comes with it.
    Hedged {
        [call call u64]
        [attempt attempt u64]
        [first first u16]
        [after after_us u64]
    }
    /// An attempt ended and its permit was settled.
    Settled {
        [call call u64]
        [attempt attempt u64]
        [endpoint endpoint Option<u16>]
        [class outcome_class OutcomeClass]
        [reserved_tokens reserved_tokens u64]
        [spent_tokens spent_tokens u64]
        [took took_us u64]
    }
    /// A call will be tried again.
    RetryPlanned {
        [call call u64]
        [at at u64]
        [class outcome_class OutcomeClass]
        [bounded bounded bool]
    }
    /// A call is over.
    Ended {
        [call call u64]
        [reason reason EndReason]
        [attempts attempts u32]
        [took took_us u64]
    }
    /// A refusal showed that a pool's limit was wrong; this one holds now.
    LimitLearned {
        [pool pool u16]
        [quota quota Quota]
        [limit limit u64]
    }
    /// Refusals showed that the service counts by the clock, and when its minutes begin.
    PhaseLearned {
        [pool pool u16]
        [quota quota Quota]
        [begins_us begins_us u64]
        [within_us within_us u64]
    }
    /// What was taken for the beginning of the service's minutes was wrong, or no longer holds.
    PhaseLost {
        [pool pool u16]
        [quota quota Quota]
    }
    /// Capacity errors lowered the number of attempts that may be out at an endpoint.
    ConcurrencyLowered {
        [endpoint endpoint u16]
        [limit limit u64]
    }
    /// A breaker changed its state.
    BreakerChanged {
        [endpoint endpoint u16]
        [state state BreakerState]
    }
    /// A call came again soon after it had ended without an answer: whoever made it retries as well. Two who retry
    /// multiply their attempts; switch the other off.
    StackedRetry {
        [call call u64]
        [since since_us u64]
    }
    /// Answers need far less than their calls reserve for them.
    CapAdvised {
        [model model u16]
        [label label u16]
        [cap cap u32]
        [holds_permille holds_permille u32]
        [frees_tokens_per_minute frees_tokens_per_minute u64]
    }
    /// An answer was cut short by a cap that the engine had lowered; the call is sent again with its own.
    CapLifted {
        [call call u64]
        [cap cap u32]
    }
    /// A call went elsewhere than where its prompt cache is.
    AffinityMoved {
        [call call u64]
        [from from_endpoint u16]
        [to to_endpoint u16]
    }
    /// The service said that the endpoint cannot serve its model; it is left out for a while.
    EndpointUnusable {
        [endpoint endpoint u16]
        [until until u64]
    }
    /// An attempt was never reported; its permit was taken back. Its call ends unless a second attempt for it is out.
    LeaseExpired {
        [call call u64]
        [attempt attempt u64]
    }
    /// Time went backwards; the engine went on with the latest time it had seen.
    ClockBackwards {
        [by by_us u64]
    }
    /// Nobody took the events out; the oldest were dropped.
    EventsDropped {
        [count count u64]
    }
}
