//! What the command brings along: itself, and the simulator behind `sluicegate simulate`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use serde_json::Value;
use sluicegate_cli::PlanFaults;

use crate::{errors, values};

/// How often Ctrl-C is looked for while a plan is played.
const LOOK_FOR_SIGNALS: Duration = Duration::from_millis(50);

/// Runs the `sluicegate` command with these arguments, the program's name first, and returns the code to exit with.
#[pyfunction]
pub(crate) fn command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| sluicegate_cli::main(arguments))
}

/// Plays a plan in virtual time and returns its figures, as `sluicegate simulate --json` writes them of one plan.
///
/// `plan` is a mapping, a TOML text, or the path of a file as an `os.PathLike`. What a plan names is looked for beside its
/// file, or in the working directory. Raises PlanError with every fault. Other threads run meanwhile, and Ctrl-C ends it.
#[pyfunction]
pub(crate) fn simulate<'py>(py: Python<'py>, plan: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let (path, text) = if let Ok(text) = plan.extract::<String>() {
        (PathBuf::from("plan.toml"), text)
    } else if plan.hasattr("__fspath__")? {
        let path: PathBuf = plan.extract()?;
        let text = std::fs::read_to_string(&path)?;
        (path, text)
    } else {
        let document = values::from_py(plan, values::nothing_else)?;
        let text = toml::to_string(&without_nulls(document))
            .map_err(|error| errors::plan(py, &[format!("the mapping has no form in TOML: {error}")]))?;
        (PathBuf::from("plan.toml"), text)
    };
    let figures = play(py, &path, &text)?.map_err(|PlanFaults(faults)| errors::plan(py, &faults))?;
    values::to_py(py, &figures)
}

/// TOML has no null; a field that is null is one that is left out.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Plays on a thread of its own, while this one looks for signals.
fn play(py: Python<'_>, path: &Path, text: &str) -> PyResult<Result<Value, PlanFaults>> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let stop = &stop;
        // The receiver outlives the thread.
        scope.spawn(move || drop(sender.send(sluicegate_cli::figures(path, text, stop))));
        let receiver = std::sync::Mutex::new(receiver);
        let wait =
            || receiver.lock().map_or(Err(RecvTimeoutError::Disconnected), |it| it.recv_timeout(LOOK_FOR_SIGNALS));
        loop {
            match py.detach(wait) {
                Ok(played) => return Ok(played),
                Err(RecvTimeoutError::Timeout) => {
                    py.check_signals().inspect_err(|_| stop.store(true, Ordering::Relaxed))?
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PyRuntimeError::new_err("a run of the plan was lost; please report it"));
                }
            }
        }
    })
}
