//! The Python module `sluicegate._sluicegate`: the engine, its pieces and what it knows of Bedrock, in Python's types.
//!
//! Type mapping and nothing else. What waits, reads a clock or knows an SDK is in the Python package around it; what decides
//! is in the crates below.

mod errors;
mod numbers;
mod outcome;
mod policy;
mod values;
mod words;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _sluicegate {
    #[pymodule_export]
    use crate::outcome::{PyEndReason, PyOutcome};
    #[pymodule_export]
    use crate::policy::{PyEndpoint, PyPolicy, policy_schema};
}
