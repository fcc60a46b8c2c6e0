//! What the engine is told, and what it wants done.

use sluicegate::{AttemptId, CallId, EndpointId, LabelId, ModelId, TenantId, Timestamp};

use crate::outcome::{EndReason, Outcome};

/// A call to be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, uniffi::Record)]
pub(crate) struct Call {
    /// The caller's number for it.
    pub(crate) call: u64,
    /// The model, by its place in the policy's models.
    pub(crate) model: u16,
    /// What the service reserves when it admits it, in quota tokens.
    pub(crate) tokens: u64,
    /// When it must have been answered, in microseconds since the origin.
    #[uniffi(default = None)]
    pub(crate) deadline: Option<u64>,
    /// Higher goes first among the calls of its tenant.
    #[uniffi(default = 0)]
    pub(crate) priority: u8,
    /// Whom it is made for, by its place in the policy's tenants.
    #[uniffi(default = 0)]
    pub(crate) tenant: u32,
    /// What it shares its prompt cache with.
    #[uniffi(default = None)]
    pub(crate) affinity: Option<u64>,
    /// Tokens of its prompt that the cache is expected to hold.
    #[uniffi(default = 0)]
    pub(crate) cached_tokens: u32,
    /// The cap on the answer that is part of `tokens`, where the sender can still lower it.
    #[uniffi(default = None)]
    pub(crate) max_tokens: Option<u32>,
    /// Its kind: lengths of answers are learned for each model and label.
    #[uniffi(default = 0)]
    pub(crate) label: u16,
    /// A hash of what it asks, by which the engine notices that somebody else retries as well.
    #[uniffi(default = None)]
    pub(crate) fingerprint: Option<u64>,
    /// Never to be sent twice at once.
    #[uniffi(default = false)]
    pub(crate) lone: bool,
}

/// What the engine is told. A list of times and inputs is a trace: it replays to the same decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub(crate) enum Input {
    /// A new call.
    Submit {
        /// The call.
        call: Call,
    },
    /// How an attempt ended.
    Report {
        /// The attempt.
        attempt: u64,
        /// How it ended.
        outcome: Outcome,
    },
    /// The caller no longer wants the call. Attempts that are out must still be reported.
    Cancel {
        /// The call.
        call: u64,
    },
    /// The time of the next wake-up has come. At any other time it changes nothing.
    Wake,
}

impl From<Input> for sluicegate::Input {
    fn from(input: Input) -> Self {
        match input {
            Input::Submit { call } => Self::Submit(sluicegate::Call {
                id: CallId(call.call),
                model: ModelId(call.model),
                tokens: call.tokens,
                deadline: call.deadline.map(Timestamp::from_micros),
                priority: call.priority,
                tenant: TenantId(call.tenant),
                affinity: call.affinity,
                cached_tokens: call.cached_tokens,
                max_tokens: call.max_tokens,
                label: LabelId(call.label),
                fingerprint: call.fingerprint,
                lone: call.lone,
            }),
            Input::Report { attempt, outcome } => Self::Report { attempt: AttemptId(attempt), outcome: outcome.into() },
            Input::Cancel { call } => Self::Cancel(CallId(call)),
            Input::Wake => Self::Wake,
        }
    }
}

/// What the engine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub(crate) enum Decision {
    /// Send an attempt now, and report its end.
    Send {
        /// The call.
        call: u64,
        /// The attempt.
        attempt: u64,
        /// Where to, by its place in the policy's endpoints.
        endpoint: u16,
        /// The cap on the answer to ask for in place of the call's own.
        max_tokens: Option<u32>,
    },
    /// Send a second attempt beside the one that is out, and report its end as well. The first to answer ends the call.
    Hedge {
        /// The call.
        call: u64,
        /// The attempt.
        attempt: u64,
        /// Where to, by its place in the policy's endpoints.
        endpoint: u16,
        /// The cap on the answer to ask for in place of the call's own.
        max_tokens: Option<u32>,
    },
    /// Give up this attempt: the call's other one has ended the call. Report it as cancelled.
    Abort {
        /// The call.
        call: u64,
        /// The attempt.
        attempt: u64,
    },
    /// The call is over. Comes exactly once for every submitted call.
    End {
        /// The call.
        call: u64,
        /// How it ended.
        reason: EndReason,
    },
}

impl From<sluicegate::Decision> for Decision {
    fn from(decision: sluicegate::Decision) -> Self {
        match decision {
            sluicegate::Decision::Send { call, attempt, endpoint: EndpointId(endpoint), max_tokens } => {
                Self::Send { call: call.0, attempt: attempt.0, endpoint, max_tokens }
            }
            sluicegate::Decision::Hedge { call, attempt, endpoint: EndpointId(endpoint), max_tokens } => {
                Self::Hedge { call: call.0, attempt: attempt.0, endpoint, max_tokens }
            }
            sluicegate::Decision::Abort { call, attempt } => Self::Abort { call: call.0, attempt: attempt.0 },
            sluicegate::Decision::End { call, reason } => Self::End { call: call.0, reason: reason.into() },
        }
    }
}

/// What happens at a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub(crate) enum WakeReason {
    /// Decisions or events wait to be taken out.
    Undrained,
    /// A call can start.
    Start,
    /// A retry is due.
    Retry,
    /// A deadline passes.
    Deadline,
    /// A second attempt is due.
    Hedge,
    /// The lease of an attempt expires.
    Lease,
}

/// When to hand the engine the next `Wake`, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Record)]
pub(crate) struct Wakeup {
    /// The time; it may lie in the past, meaning now.
    at: u64,
    /// What happens then.
    reason: WakeReason,
}

impl From<sluicegate::Wakeup> for Wakeup {
    fn from(wakeup: sluicegate::Wakeup) -> Self {
        let reason = match wakeup.reason {
            sluicegate::WakeReason::Undrained => WakeReason::Undrained,
            sluicegate::WakeReason::Start => WakeReason::Start,
            sluicegate::WakeReason::Retry => WakeReason::Retry,
            sluicegate::WakeReason::Deadline => WakeReason::Deadline,
            sluicegate::WakeReason::Hedge => WakeReason::Hedge,
            sluicegate::WakeReason::Lease => WakeReason::Lease,
        };
        Self { at: wakeup.at.as_micros(), reason }
    }
}
