//! What happened, for logs and metrics.

use pyo3::prelude::*;
use sluicegate::{
    AttemptId, BreakerState, CallId, EndReason, EndpointId, Event, EventKind, FieldKind, LabelId, ModelId,
    OutcomeClass, PoolId, Quota, Timestamp,
};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::numbers::micros;
use crate::outcome::{PyEndReason, class_name, quota_name};
use crate::words::{Word, repr};

/// What a field of the core's event is to Python.
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
    OutcomeClass => Word, class -> Word(class_name(class));
    Quota => Word, quota -> Word(quota_name(quota));
    BreakerState => Word, state -> Word(state_name(state));
    EndReason => PyEndReason, reason -> reason.into();
    Timestamp => u64, at -> at.as_micros();
    Duration => u64, duration -> micros(duration);
    u64 => u64, number -> number;
    u32 => u32, number -> number;
    bool => bool, flag -> flag;
}

/// The name of a breaker's state.
pub(crate) const fn state_name(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half_open",
    }
}

/// Makes the enum and its conversion from one list: of each field the name in the core, the name in Python, which is that of
/// the serialized form and says the unit, and the type in the core.
macro_rules! events {
    ($($(#[doc = $doc:literal])+ $variant:ident { $([$core:ident $field:ident $type:ty])+ })+) => {
        /// What happened: one of the classes within. Times are in microseconds since the origin, durations in microseconds.
        #[pyclass(frozen, eq, hash, name = "Event", module = "sluicegate")]
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum PyEvent {
            $($(#[doc = $doc])+ $variant { $($field: <$type as Plain>::As),+ },)+
        }

        impl PyEvent {
            /// `None` for a kind that this list lacks; the tests replay every kind there is.
            pub(crate) fn of(event: Event) -> Option<Self> {
                match event {
                    $(Event::$variant { $($core: $field),+ } => Some(Self::$variant { $($field: $field.plain()),+ }),)+
                    _ => None,
                }
            }
        }

        /// The classes of events, with their fields.
        const CLASSES: &[(&str, &[&str])] = &[$((stringify!($variant), &[$(stringify!($field)),+])),+];
    };
}

events! {
    /// An attempt goes out.
    Sent {
        [call call CallId]
        [attempt attempt AttemptId]
        [endpoint endpoint EndpointId]
        [number number u32]
        [waited waited_us Duration]
        [reserved_tokens reserved_tokens u64]
    }
    /// A second attempt goes out beside one that takes long. A `sent` event comes with it.
    Hedged {
        [call call CallId]
        [attempt attempt AttemptId]
        [first first EndpointId]
        [after after_us Duration]
    }
    /// An attempt ended and its permit was settled.
    Settled {
        [call call CallId]
        [attempt attempt AttemptId]
        [endpoint endpoint Option<EndpointId>]
        [class class_ OutcomeClass]
        [reserved_tokens reserved_tokens u64]
        [spent_tokens spent_tokens u64]
        [took took_us Duration]
    }
    /// A call will be tried again.
    RetryPlanned {
        [call call CallId]
        [at at Timestamp]
        [class class_ OutcomeClass]
        [bounded bounded bool]
    }
    /// A call is over.
    Ended {
        [call call CallId]
        [reason reason EndReason]
        [attempts attempts u32]
        [took took_us Duration]
    }
    /// A refusal showed that a pool's limit was wrong; this one holds now.
    LimitLearned {
        [pool pool PoolId]
        [quota quota Quota]
        [limit limit u64]
    }
    /// Refusals showed that the service counts by the clock, and when its minutes begin.
    PhaseLearned {
        [pool pool PoolId]
        [quota quota Quota]
        [begins_us begins_us u64]
        [within_us within_us u64]
    }
    /// What was taken for the beginning of the service's minutes was wrong, or no longer holds.
    PhaseLost {
        [pool pool PoolId]
        [quota quota Quota]
    }
    /// Capacity errors lowered the number of attempts that may be out at an endpoint.
    ConcurrencyLowered {
        [endpoint endpoint EndpointId]
        [limit limit u64]
    }
    /// A breaker changed its state.
    BreakerChanged {
        [endpoint endpoint EndpointId]
        [state state BreakerState]
    }
    /// A call came again soon after it had ended without an answer: whoever made it retries as well. Two who retry
    /// multiply their attempts; switch the other off.
    StackedRetry {
        [call call CallId]
        [since since_us Duration]
    }
    /// Answers need far less than their calls reserve for them.
    CapAdvised {
        [model model ModelId]
        [label label LabelId]
        [cap cap u32]
        [holds_permille holds_permille u32]
        [frees_tokens_per_minute frees_tokens_per_minute u64]
    }
    /// An answer was cut short by a cap that the engine had lowered; the call is sent again with its own.
    CapLifted {
        [call call CallId]
        [cap cap u32]
    }
    /// A call went elsewhere than where its prompt cache is.
    AffinityMoved {
        [call call CallId]
        [from from_ EndpointId]
        [to to EndpointId]
    }
    /// The service said that the endpoint cannot serve its model; it is left out for a while.
    EndpointUnusable {
        [endpoint endpoint EndpointId]
        [until until Timestamp]
    }
    /// An attempt was never reported; its permit was taken back. Its call ends unless a second attempt for it is out.
    LeaseExpired {
        [call call CallId]
        [attempt attempt AttemptId]
    }
    /// Time went backwards; the engine went on with the latest time it had seen.
    ClockBackwards {
        [by by_us Duration]
    }
    /// Nobody took the events out; the oldest were dropped.
    EventsDropped {
        [count count u64]
    }
}

/// A field of an event: its name in Python, what it is to whoever makes metrics of it, and the unit.
type Field = (&'static str, &'static str, Option<&'static str>);

/// What the fields of each class of events are, by the class's name: the event's name in the serialized form, and for each
/// field its name, "identity", "counter" or "measure", and the unit, which an identity has none of.
#[pyfunction]
pub(crate) fn event_kinds() -> BTreeMap<&'static str, (&'static str, Vec<Field>)> {
    let named = |class: &str| {
        let same = |name: &str| name.split('_').collect::<String>().eq_ignore_ascii_case(class);
        Event::KINDS.iter().find(|kind| same(kind.name))
    };
    let fields = |kind: &EventKind, names: &[&'static str]| {
        let field = |name: &&'static str| {
            // Python's own words have an underscore behind them.
            let field = kind.fields.iter().find(|field| field.name == name.trim_end_matches('_'))?;
            Some((*name, kind_name(field.kind), field.unit))
        };
        names.iter().filter_map(field).collect()
    };
    CLASSES
        .iter()
        .filter_map(|(class, names)| named(class).map(|kind| (*class, (kind.name, fields(kind, names)))))
        .collect()
}

const fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Identity => "identity",
        FieldKind::Counter => "counter",
        FieldKind::Measure => "measure",
    }
}

#[pymethods]
impl PyEvent {
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf)
    }
}
