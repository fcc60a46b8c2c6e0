//! What the engine is told, and what it wants done.

use pyo3::prelude::*;
use sluicegate::{
    AttemptId, Call, CallId, Decision, EndpointId, Input, LabelId, ModelId, TenantId, WakeReason, Wakeup,
};

use crate::numbers::{Whole, moment};
use crate::outcome::{PyEndReason, PyOutcome};
use crate::words::{Word, repr};

/// What the engine is told: one of the classes within. A list of times and inputs is a trace: it replays to the same
/// decisions.
#[pyclass(frozen, eq, hash, name = "Input", module = "sluicegate")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PyInput {
    /// A new call. `tokens` is what the service reserves when it admits it; `deadline` is a time in microseconds since the
    /// origin; `max_tokens` is the cap on the answer that is part of `tokens`, where the sender can still lower it.
    #[pyo3(constructor = (call, model, tokens, *, deadline=None, priority=Whole(0), tenant=Whole(0), affinity=None,
        cached_tokens=Whole(0), max_tokens=None, label=Whole(0), fingerprint=None, lone=false))]
    Submit {
        call: Whole<u64>,
        model: Whole<u16>,
        tokens: Whole<u64>,
        deadline: Option<Whole<u64>>,
        priority: Whole<u8>,
        tenant: Whole<u32>,
        affinity: Option<Whole<u64>>,
        cached_tokens: Whole<u32>,
        max_tokens: Option<Whole<u32>>,
        label: Whole<u16>,
        fingerprint: Option<Whole<u64>>,
        lone: bool,
    },
    /// How an attempt ended.
    Report { attempt: Whole<u64>, outcome: PyOutcome },
    /// The caller no longer wants the call. Attempts that are out must still be reported.
    Cancel { call: Whole<u64> },
    /// The time of `Engine.next_wakeup` has come. At any other time it changes nothing.
    Wake {},
}

#[pymethods]
impl PyInput {
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf)
    }
}

impl From<&PyInput> for Input {
    fn from(input: &PyInput) -> Self {
        match *input {
            PyInput::Submit {
                call,
                model,
                tokens,
                deadline,
                priority,
                tenant,
                affinity,
                cached_tokens,
                max_tokens,
                label,
                fingerprint,
                lone,
            } => Self::Submit(Call {
                id: CallId(call.0),
                model: ModelId(model.0),
                tokens: tokens.0,
                deadline: deadline.map(moment),
                priority: priority.0,
                tenant: TenantId(tenant.0),
                affinity: affinity.map(|key| key.0),
                cached_tokens: cached_tokens.0,
                max_tokens: max_tokens.map(|cap| cap.0),
                label: LabelId(label.0),
                fingerprint: fingerprint.map(|hash| hash.0),
                lone,
            }),
            PyInput::Report { attempt, outcome } => Self::Report { attempt: AttemptId(attempt.0), outcome: outcome.0 },
            PyInput::Cancel { call } => Self::Cancel(CallId(call.0)),
            PyInput::Wake {} => Self::Wake,
        }
    }
}

/// What the engine wants done: one of the classes within.
#[pyclass(frozen, eq, hash, name = "Decision", module = "sluicegate")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PyDecision {
    /// Send an attempt for `call` to `endpoint` now, and report its end. `max_tokens` is the cap on the answer to ask for
    /// in place of the call's own, where the policy has it lowered.
    Send { call: u64, attempt: u64, endpoint: u16, max_tokens: Option<u32> },
    /// Send a second attempt beside the one that is out, to another endpoint, and report its end as well. The first to
    /// answer ends the call.
    Hedge { call: u64, attempt: u64, endpoint: u16, max_tokens: Option<u32> },
    /// Give up this attempt: the call's other one has ended the call. Report it as cancelled.
    Abort { call: u64, attempt: u64 },
    /// The call is over. Comes exactly once for every submitted call.
    End { call: u64, reason: PyEndReason },
}

#[pymethods]
impl PyDecision {
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf)
    }
}

impl From<Decision> for PyDecision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Send { call, attempt, endpoint: EndpointId(endpoint), max_tokens } => {
                Self::Send { call: call.0, attempt: attempt.0, endpoint, max_tokens }
            }
            Decision::Hedge { call, attempt, endpoint: EndpointId(endpoint), max_tokens } => {
                Self::Hedge { call: call.0, attempt: attempt.0, endpoint, max_tokens }
            }
            Decision::Abort { call, attempt } => Self::Abort { call: call.0, attempt: attempt.0 },
            Decision::End { call, reason } => Self::End { call: call.0, reason: reason.into() },
        }
    }
}

/// When to hand the engine the next `Input.Wake`, and what for.
#[pyclass(frozen, eq, hash, get_all, name = "Wakeup", module = "sluicegate")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PyWakeup {
    /// The time, in microseconds since the origin; it may lie in the past, meaning now.
    at: u64,
    /// What happens then.
    reason: Word,
}

#[pymethods]
impl PyWakeup {
    fn __repr__(&self) -> String {
        format!("Wakeup(at={}, reason={:?})", self.at, self.reason.0)
    }
}

impl From<Wakeup> for PyWakeup {
    fn from(wakeup: Wakeup) -> Self {
        let reason = match wakeup.reason {
            WakeReason::Undrained => "undrained",
            WakeReason::Start => "start",
            WakeReason::Retry => "retry",
            WakeReason::Deadline => "deadline",
            WakeReason::Hedge => "hedge",
            WakeReason::Lease => "lease",
        };
        Self { at: wakeup.at.as_micros(), reason: Word(reason) }
    }
}
