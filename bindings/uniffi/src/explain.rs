//! Why a call waits, or what became of it.

use sluicegate::Timestamp;

use crate::outcome::{EndReason, OutcomeClass, Quota};

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub(crate) enum Phase {
    /// In the queue.
    Waiting,
    /// Put off: between two attempts, or for its prompt cache.
    Delayed {
        /// Until when.
        until: u64,
    },
    /// Sent.
    Out {
        /// The attempt that is out.
        attempt: u64,
    },
    /// Over.
    Ended {
        /// How.
        reason: EndReason,
    },
}

/// Whether an endpoint can start a call, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub(crate) enum Standing {
    /// The call was sent there.
    Chosen,
    /// It can start the call now.
    Ready,
    /// It can start the call now, and is expected to answer too late.
    TooSlow,
    /// It belongs to a later group or to a fallback, and one before it serves.
    InReserve,
    /// Its pool has no room.
    Quota {
        /// Which of its quotas.
        quota: Quota,
        /// Until when.
        until: u64,
    },
    /// Its breaker is open, it was found unusable, or it has no capacity.
    Shut {
        /// Until when; without a time until the policy says otherwise.
        until: Option<u64>,
    },
    /// All attempts it may carry at once are out, or another call that waits longer has its pools.
    Busy,
    /// The call is larger than a limit of its pool.
    TooLarge {
        /// The limit, in tokens.
        limit: u64,
    },
    /// Residency does not allow it.
    Excluded,
}

/// An endpoint as a call sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Record)]
pub(crate) struct EndpointView {
    /// The endpoint, by its place in the policy's endpoints.
    endpoint: u16,
    /// Whether it can start the call.
    standing: Standing,
}

/// An attempt that was made for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Record)]
pub(crate) struct Trial {
    /// Its number.
    attempt: u64,
    /// Where it went.
    endpoint: u16,
    /// When.
    sent_at: u64,
    /// How it ended; nothing while it is out.
    outcome_class: Option<OutcomeClass>,
}

/// Why a call waits, where it was sent, or how it ended, and why each endpoint was passed over.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub(crate) struct Explanation {
    /// The call.
    call: u64,
    /// Where it stands.
    phase: Phase,
    /// Attempts so far.
    attempts: u32,
    /// Calls of the same tenant and model before it, if it is in the queue.
    ahead: Option<u64>,
    /// When the endpoints were as they are described.
    as_of: u64,
    /// The endpoints for its model and its fallbacks. Of a call that does not wait: those that were considered.
    endpoints: Vec<EndpointView>,
    /// The attempts made for it, oldest first, as far as they are remembered.
    trials: Vec<Trial>,
}

impl From<sluicegate::Phase> for Phase {
    fn from(phase: sluicegate::Phase) -> Self {
        match phase {
            sluicegate::Phase::Waiting => Self::Waiting,
            sluicegate::Phase::Delayed(until) => Self::Delayed { until: until.as_micros() },
            sluicegate::Phase::Out(attempt) => Self::Out { attempt: attempt.0 },
            sluicegate::Phase::Ended(reason) => Self::Ended { reason: reason.into() },
        }
    }
}

impl From<sluicegate::Standing> for Standing {
    fn from(standing: sluicegate::Standing) -> Self {
        match standing {
            sluicegate::Standing::Chosen => Self::Chosen,
            sluicegate::Standing::Ready => Self::Ready,
            sluicegate::Standing::TooSlow => Self::TooSlow,
            sluicegate::Standing::InReserve => Self::InReserve,
            sluicegate::Standing::Quota(quota, until) => Self::Quota { quota: quota.into(), until: until.as_micros() },
            sluicegate::Standing::Shut(until) => Self::Shut { until: until.map(Timestamp::as_micros) },
            sluicegate::Standing::Busy => Self::Busy,
            sluicegate::Standing::TooLarge(limit) => Self::TooLarge { limit },
            sluicegate::Standing::Excluded => Self::Excluded,
        }
    }
}

impl From<sluicegate::Explanation> for Explanation {
    fn from(explanation: sluicegate::Explanation) -> Self {
        let view = |view: &sluicegate::EndpointView| EndpointView {
            endpoint: view.endpoint.0,
            standing: view.standing.into(),
        };
        let trial = |trial: &sluicegate::Trial| Trial {
            attempt: trial.attempt.0,
            endpoint: trial.endpoint.0,
            sent_at: trial.sent_at.as_micros(),
            outcome_class: trial.class.map(OutcomeClass::from),
        };
        Self {
            call: explanation.call.0,
            phase: explanation.phase.into(),
            attempts: explanation.attempts,
            ahead: explanation.ahead.map(|ahead| ahead as u64),
            as_of: explanation.as_of.as_micros(),
            endpoints: explanation.endpoints.iter().map(view).collect(),
            trials: explanation.trials.iter().map(trial).collect(),
        }
    }
}
