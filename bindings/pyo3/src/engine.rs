//! The engine itself, for those who bring their own loop.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use sluicegate::{CallId, Engine, Input, Snapshot};

use crate::errors;
use crate::event::PyEvent;
use crate::explain::PyExplanation;
use crate::input::{PyDecision, PyInput, PyWakeup};
use crate::numbers::{Whole, duration, moment};
use crate::policy::PyPolicy;
use crate::rng::PyRng;

/// The machine that decides when, where and whether each call goes out. It has no clock, waits for nothing and starts no
/// thread: times, in microseconds since an origin of your choice, and random numbers are arguments.
///
/// The loop: `handle`, then `poll_decision` and `poll_event` until None, then sleep until `next_wakeup` or the next input,
/// whichever comes first.
#[pyclass(frozen, name = "Engine", module = "sluicegate")]
pub(crate) struct PyEngine(Mutex<Engine>);

impl PyEngine {
    fn lock(&self) -> MutexGuard<'_, Engine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PyEngine {
    /// An engine with full pools under `policy`.
    #[new]
    fn new(policy: &Bound<'_, PyPolicy>, now: Whole<u64>) -> Self {
        Self(Mutex::new(Engine::new(policy.get().0.clone(), moment(now))))
    }

    /// An engine that goes on where another stopped. `asleep_us` says how many microseconds ago the snapshot was taken, 0
    /// if nobody knows, which is always safe. The origin should lie at least a day before `now`.
    #[staticmethod]
    #[pyo3(signature = (policy, snapshot, now, *, asleep_us=Whole(0)))]
    fn restore(
        policy: &Bound<'_, PyPolicy>,
        snapshot: &Bound<'_, PySnapshot>,
        now: Whole<u64>,
        asleep_us: Whole<u64>,
    ) -> Self {
        let policy = policy.get().0.clone();
        Self(Mutex::new(Engine::restore(policy, &snapshot.get().0, moment(now), duration(asleep_us))))
    }

    /// Takes one input at `now`. Raises InputError on misuse; then nothing has changed. Whatever can happen in production
    /// is a decision instead.
    fn handle(
        &self,
        py: Python<'_>,
        now: Whole<u64>,
        input: &Bound<'_, PyInput>,
        rng: &Bound<'_, PyRng>,
    ) -> PyResult<()> {
        let input = Input::from(input.get());
        let result = errors::caught(py, || self.lock().handle(moment(now), input, &mut *rng.get().lock()));
        result?.map_err(|error| errors::input(py, error))
    }

    /// The next thing to do; poll until None after every input.
    fn poll_decision(&self) -> Option<PyDecision> {
        self.lock().poll_decision().map(PyDecision::from)
    }

    /// The next thing that happened; poll until None after every input, or never.
    fn poll_event(&self) -> Option<PyEvent> {
        let mut engine = self.lock();
        std::iter::from_fn(|| engine.poll_event()).find_map(PyEvent::of)
    }

    /// When to hand in the next `Input.Wake` if nothing else happens before; None while nothing waits.
    fn next_wakeup(&self) -> Option<PyWakeup> {
        self.lock().next_wakeup().map(PyWakeup::from)
    }

    /// Puts another policy in force without losing a call. What has the same name goes on; numbers of models and tenants
    /// are those of the new policy from here on. The next wake-up is due at once.
    fn reconfigure(&self, now: Whole<u64>, policy: &Bound<'_, PyPolicy>) {
        self.lock().reconfigure(moment(now), policy.get().0.clone());
    }

    /// Saves what was learned and counted. The engine goes on as before.
    fn snapshot(&self, now: Whole<u64>) -> PySnapshot {
        PySnapshot(self.lock().snapshot(moment(now)))
    }

    /// Why a call waits, where it was sent, or how it ended. None for a call that was never submitted, or ended too many
    /// decisions ago.
    fn explain(&self, now: Whole<u64>, call: Whole<u64>) -> Option<PyExplanation> {
        self.lock().explain(moment(now), CallId(call.0)).map(PyExplanation)
    }

    /// An explanation as one line.
    fn describe(&self, now: Whole<u64>, explanation: &Bound<'_, PyExplanation>) -> String {
        self.lock().describe(moment(now), &explanation.get().0)
    }

    /// The number of calls that wait: for room, or for a retry to be due.
    #[getter]
    fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    /// The number of attempts that are out.
    #[getter]
    fn in_flight(&self) -> usize {
        self.lock().in_flight()
    }

    /// The policy in force.
    #[getter]
    fn policy(&self) -> PyPolicy {
        PyPolicy(self.lock().policy().clone())
    }
}

/// What an engine learned and counted, for an engine in this process or another one.
#[pyclass(frozen, name = "Snapshot", module = "sluicegate")]
pub(crate) struct PySnapshot(pub(crate) Snapshot);

#[pymethods]
impl PySnapshot {
    /// Reads a JSON text. Raises SnapshotError where it is no snapshot, or one of a newer version.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        Snapshot::from_json(text).map(Self).map_err(|error| errors::snapshot(py, &error))
    }

    /// Writes it as JSON: some kilobytes for each pool that was busy.
    fn to_json(&self) -> String {
        self.0.to_json()
    }
}
