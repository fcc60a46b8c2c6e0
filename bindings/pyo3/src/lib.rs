//! The Python module `sluicegate._sluicegate`: the engine, its pieces and what it knows of Bedrock, in Python's types.
//!
//! Type mapping and nothing else. What waits, reads a clock or knows an SDK is in the Python package around it; what decides
//! is in the crates below.

mod appraiser;
mod clock;
mod command;
mod desk;
mod engine;
mod errors;
mod estimate;
mod event;
mod explain;
mod input;
mod numbers;
mod outcome;
mod pieces;
mod policy;
mod rng;
mod room;
mod values;
mod words;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _sluicegate {
    #[pymodule_export]
    use crate::appraiser::{PyAppraiser, PyCallOptions, PyPlan, PyStreamWatch, failed, failed_http, lowered};
    #[pymodule_export]
    use crate::command::{command, simulate};
    #[pymodule_export]
    use crate::desk::{PyAbort, PyAttempt, PyDesk, PyTicket};
    #[pymodule_export]
    use crate::engine::{PyEngine, PySnapshot};
    #[pymodule_export]
    use crate::estimate::{PyEstimate, estimate};
    #[pymodule_export]
    use crate::event::{PyEvent, event_kinds};
    #[pymodule_export]
    use crate::explain::{PyEndpointView, PyExplanation, PyPhase, PyStanding, PyTrial};
    #[pymodule_export]
    use crate::input::{PyDecision, PyInput, PyWakeup};
    #[pymodule_export]
    use crate::outcome::{PyEndReason, PyOutcome};
    #[pymodule_export]
    use crate::pieces::{
        PyAdmission, PyBackoff, PyBreaker, PyLimiter, PyPermit, PyRetryBudget, PyVerdict, PyWithdrawal,
    };
    #[pymodule_export]
    use crate::policy::{PyEndpoint, PyPolicy, policy_schema};
    #[pymodule_export]
    use crate::rng::PyRng;
    #[pymodule_export]
    use crate::room::forked;
}
