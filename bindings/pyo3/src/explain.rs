//! Why a call waits, or what became of it.

use pyo3::prelude::*;
use sluicegate::{Explanation, Phase, Standing, Timestamp};

use crate::outcome::{PyEndReason, class_name, quota_name};
use crate::words::{Word, repr};

/// Where a call stands: one of the classes within.
#[pyclass(frozen, eq, hash, name = "Phase", module = "sluicegate")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PyPhase {
    /// In the queue.
    Waiting {},
    /// Put off until this time: between two attempts, or for its prompt cache.
    Delayed { until: u64 },
    /// Sent; this attempt is out.
    Out { attempt: u64 },
    /// Over.
    Ended { reason: PyEndReason },
}

/// Whether an endpoint can start a call, and if not, why: one of the classes within.
#[pyclass(frozen, eq, hash, name = "Standing", module = "sluicegate")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PyStanding {
    /// The call was sent there.
    Chosen {},
    /// It can start the call now.
    Ready {},
    /// It can start the call now, and is expected to answer too late.
    TooSlow {},
    /// It belongs to a later group or to a fallback, and one before it serves.
    InReserve {},
    /// Not before this time, because of this quota of a pool.
    Quota { quota: Word, until: u64 },
    /// Its breaker is open, it was found unusable, or it has no capacity, until this time; without one until the policy
    /// says otherwise.
    Shut { until: Option<u64> },
    /// All attempts it may carry at once are out, or another call that waits longer has its pools.
    Busy {},
    /// The call is larger than this limit of a pool, in tokens.
    TooLarge { limit: u64 },
    /// Residency does not allow it.
    Excluded {},
}

#[pymethods]
impl PyPhase {
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf)
    }
}

#[pymethods]
impl PyStanding {
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf)
    }
}

impl From<Phase> for PyPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Waiting => Self::Waiting {},
            Phase::Delayed(until) => Self::Delayed { until: until.as_micros() },
            Phase::Out(attempt) => Self::Out { attempt: attempt.0 },
            Phase::Ended(reason) => Self::Ended { reason: reason.into() },
        }
    }
}

impl From<Standing> for PyStanding {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Chosen => Self::Chosen {},
            Standing::Ready => Self::Ready {},
            Standing::TooSlow => Self::TooSlow {},
            Standing::InReserve => Self::InReserve {},
            Standing::Quota(quota, until) => Self::Quota { quota: Word(quota_name(quota)), until: until.as_micros() },
            Standing::Shut(until) => Self::Shut { until: until.map(Timestamp::as_micros) },
            Standing::Busy => Self::Busy {},
            Standing::TooLarge(limit) => Self::TooLarge { limit },
            Standing::Excluded => Self::Excluded {},
        }
    }
}

/// An endpoint as a call sees it.
#[pyclass(frozen, eq, hash, get_all, name = "EndpointView", module = "sluicegate")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PyEndpointView {
    /// The endpoint.
    endpoint: u16,
    /// Whether it can start the call.
    standing: PyStanding,
}

/// An attempt that was made for a call.
#[pyclass(frozen, eq, hash, get_all, name = "Trial", module = "sluicegate")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PyTrial {
    /// Its number.
    attempt: u64,
    /// Where it went.
    endpoint: u16,
    /// When, in microseconds since the origin.
    sent_at: u64,
    /// How it ended; None while it is out.
    class_: Option<Word>,
}

/// Why a call waits, where it was sent, or how it ended, and why each endpoint was passed over. `Engine.describe` makes a
/// line of it.
#[pyclass(frozen, name = "Explanation", module = "sluicegate")]
pub(crate) struct PyExplanation(pub(crate) Explanation);

#[pymethods]
impl PyExplanation {
    /// The call.
    #[getter]
    const fn call(&self) -> u64 {
        self.0.call.0
    }

    /// Where it stands.
    #[getter]
    fn phase(&self) -> PyPhase {
        self.0.phase.into()
    }

    /// Attempts so far.
    #[getter]
    const fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Calls of the same tenant and model before it; None unless it is in the queue.
    #[getter]
    const fn ahead(&self) -> Option<usize> {
        self.0.ahead
    }

    /// When the endpoints were as they are described, in microseconds since the origin: now for a call that waits, else
    /// when it was last decided about.
    #[getter]
    const fn as_of(&self) -> u64 {
        self.0.as_of.as_micros()
    }

    /// The endpoints for its model and its fallbacks. Of a call that does not wait: those that were considered.
    #[getter]
    fn endpoints(&self) -> Vec<PyEndpointView> {
        let view = |view: &sluicegate::EndpointView| PyEndpointView {
            endpoint: view.endpoint.0,
            standing: view.standing.into(),
        };
        self.0.endpoints.iter().map(view).collect()
    }

    /// The attempts made for it, oldest first, as far as they are remembered.
    #[getter]
    fn trials(&self) -> Vec<PyTrial> {
        let trial = |trial: &sluicegate::Trial| PyTrial {
            attempt: trial.attempt.0,
            endpoint: trial.endpoint.0,
            sent_at: trial.sent_at.as_micros(),
            class_: trial.class.map(|class| Word(class_name(class))),
        };
        self.0.trials.iter().map(trial).collect()
    }
}
