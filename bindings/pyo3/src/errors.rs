//! Errors of Rust as the exceptions of `sluicegate._errors`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use sluicegate::{Fault, InputError, SnapshotError};
use sluicegate_bedrock::UnknownModel;
use sluicegate_driver::DeskError;

const MODULE: &str = "sluicegate._errors";

/// An exception of the package, made from `arguments`. Should the package be broken, the error that says so.
fn raise<'py, A>(py: Python<'py>, class: &PyOnceLock<Py<PyType>>, name: &str, arguments: A) -> PyErr
where
    A: pyo3::call::PyCallArgs<'py>,
{
    match class.import(py, MODULE, name).and_then(|class| class.call1(arguments)) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// `PolicyError` with every fault.
pub(crate) fn policy(py: Python<'_>, faults: &[Fault]) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let faults: Vec<_> = faults.iter().map(|fault| (fault.code, &fault.pointer, &fault.message)).collect();
    raise(py, &CLASS, "PolicyError", (faults,))
}

/// `InputError`: misuse that the engine names.
pub(crate) fn input(py: Python<'_>, error: InputError) -> PyErr {
    wrong(py, error.code(), &error.to_string())
}

/// `InputError`: misuse with a code of the binding's own.
pub(crate) fn wrong(py: Python<'_>, code: &str, message: &str) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    raise(py, &CLASS, "InputError", (message, code))
}

/// `SnapshotError`.
pub(crate) fn snapshot(py: Python<'_>, error: &SnapshotError) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    raise(py, &CLASS, "SnapshotError", (error.to_string(), error.code()))
}

/// `Closed`, or `InputError`.
pub(crate) fn desk(py: Python<'_>, error: DeskError) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match error {
        DeskError::Input(error) => input(py, error),
        _ => raise(py, &CLASS, "Closed", (error.to_string(),)),
    }
}

/// `InputError` of code `unknown_model`, for one that was asked for by name.
pub(crate) fn unknown_model(py: Python<'_>, name: &str) -> PyErr {
    wrong(py, "unknown_model", &UnknownModel(name.to_owned()).to_string())
}

/// `Forked`.
pub(crate) fn forked(py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    raise(py, &CLASS, "Forked", ())
}

/// What `work` gives. A panic in it is a fault of ours, raised as `SluicegateError` of code `internal`: PyO3's own exception
/// for it would pass by all who catch `Exception`.
pub(crate) fn caught<T>(py: Python<'_>, work: impl FnOnce() -> T) -> PyResult<T> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    // Whatever it left half done is behind a lock that is taken over as it stands.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let message = format!("a fault of sluicegate's own, please report it: {}", text.unwrap_or("without a word"));
        raise(py, &CLASS, "SluicegateError", (message, "internal"))
    })
}

/// `PlanError` with every fault.
pub(crate) fn plan(py: Python<'_>, faults: &[String]) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    raise(py, &CLASS, "PlanError", (faults,))
}
