//! `Desk` and what comes over it: tickets and attempts. `sluicegate.Gate` is made of these.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use sluicegate::{AttemptId, CallId, EndReason, Policy};
use sluicegate_driver::{Attempt, Desk, DeskError, Turn};

use crate::appraiser::{PyCallOptions, PyPlan};
use crate::clock::Clock;
use crate::engine::PySnapshot;
use crate::errors;
use crate::explain::PyExplanation;
use crate::numbers::{Whole, duration};
use crate::outcome::{PyEndReason, PyOutcome};
use crate::policy::{PyEndpoint, PyPolicy};
use crate::room::Room;

/// The engine with a clock, a generator and a place where threads and event loops wait.
#[pyclass(frozen, name = "Desk", module = "sluicegate._sluicegate")]
pub(crate) struct PyDesk {
    room: Arc<Room>,
    endpoints: Arc<Endpoints>,
}

/// The endpoints of the policy in force, as Python sees them.
struct Endpoints(Mutex<Vec<Arc<Py<PyEndpoint>>>>);

impl Endpoints {
    fn of(py: Python<'_>, policy: &Policy) -> PyResult<Vec<Arc<Py<PyEndpoint>>>> {
        policy.endpoints().iter().map(|endpoint| Ok(Arc::new(Py::new(py, PyEndpoint::from(endpoint))?))).collect()
    }

    fn get(&self, index: u16) -> Option<Arc<Py<PyEndpoint>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(usize::from(index)).cloned()
    }
}

/// An attempt that is to be made now.
#[pyclass(frozen, name = "Attempt", module = "sluicegate")]
pub(crate) struct PyAttempt {
    attempt: Attempt,
    endpoint: Arc<Py<PyEndpoint>>,
    hedge: bool,
}

#[pymethods]
impl PyAttempt {
    /// The engine's name for it.
    #[getter]
    fn id(&self) -> u64 {
        self.attempt.id.0
    }

    /// Where to send it.
    #[getter]
    fn endpoint(&self, py: Python<'_>) -> Py<PyEndpoint> {
        self.endpoint.clone_ref(py)
    }

    /// The endpoint's place in `Policy.endpoints`.
    #[getter]
    fn endpoint_id(&self) -> u16 {
        self.attempt.endpoint.0
    }

    /// 1 for the call's first attempt.
    #[getter]
    fn number(&self) -> u32 {
        self.attempt.number
    }

    /// The cap on the answer, in tokens, to ask for in place of the request's own; None for its own.
    #[getter]
    fn max_tokens(&self) -> Option<u32> {
        self.attempt.max_tokens
    }

    /// Whether it goes out beside one that is out already.
    #[getter]
    fn hedge(&self) -> bool {
        self.hedge
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let endpoint = self.endpoint.bind(py).repr()?;
        Ok(format!("<Attempt {} at {endpoint}>", self.attempt.number))
    }
}

/// Give this attempt up: the other one has ended the call.
#[pyclass(frozen, get_all, name = "Abort", module = "sluicegate._sluicegate")]
pub(crate) struct PyAbort {
    attempt: u64,
}

#[pymethods]
impl PyDesk {
    /// A desk under `policy`. `restore` is what `snapshot` gave, `asleep` microseconds ago. `observer` is called with a list of
    /// `(micros, event)` after each operation that caused any; `on_stacked` once, when somebody else was first seen to retry as well.
    #[new]
    #[pyo3(signature = (policy, *, seed, on_stacked, restore=None, asleep=Whole(0), observer=None))]
    fn new(
        py: Python<'_>,
        policy: &PyPolicy,
        seed: Whole<u64>,
        on_stacked: Py<PyAny>,
        restore: Option<&PySnapshot>,
        asleep: Whole<u64>,
        observer: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let clock = Clock::start();
        let policy = policy.0.clone();
        let endpoints = Endpoints::of(py, &policy)?;
        let desk = match restore {
            Some(snapshot) => Desk::restore(policy, seed.0, clock.now(), &snapshot.0, duration(asleep)),
            None => Desk::new(policy, seed.0, clock.now()),
        };
        let room = Room::new(desk, clock, observer, on_stacked);
        Ok(Self { room: Arc::new(room), endpoints: Arc::new(Endpoints(Mutex::new(endpoints))) })
    }

    /// Submits a call of `tokens` tokens to the model of this name.
    #[pyo3(signature = (model, tokens, options, *, max_tokens=None, lone=false))]
    fn submit(
        &self,
        py: Python<'_>,
        model: &str,
        tokens: Whole<u64>,
        options: &PyCallOptions,
        max_tokens: Option<Whole<u32>>,
        lone: bool,
    ) -> PyResult<PyTicket> {
        let submitted = self.room.at_desk(py, |desk, now| {
            let policy = desk.engine().policy();
            let model = policy.model(model)?;
            let mut request = options.request(policy, model, tokens.0);
            if let Some(cap) = max_tokens {
                request = request.max_tokens(cap.0);
            }
            if lone {
                request = request.lone();
            }
            Some(desk.submit(now, &request))
        })?;
        match submitted {
            None => Err(errors::unknown_model(py, model)),
            Some(call) => self.ticket(py, call),
        }
    }

    /// Submits a call that the appraiser has planned.
    #[pyo3(signature = (plan, *, lone=false))]
    fn submit_plan(&self, py: Python<'_>, plan: &PyPlan, lone: bool) -> PyResult<PyTicket> {
        let mut request = plan.request();
        if lone {
            request = request.lone();
        }
        let call = self.room.at_desk(py, |desk, now| desk.submit(now, &request))?;
        self.ticket(py, call)
    }

    /// Calls that wait.
    #[getter]
    fn waiting(&self, py: Python<'_>) -> PyResult<usize> {
        self.room.look(py, |desk, _| desk.engine().waiting())
    }

    /// Attempts that are out.
    #[getter]
    fn in_flight(&self, py: Python<'_>) -> PyResult<usize> {
        self.room.look(py, |desk, _| desk.engine().in_flight())
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> PyResult<bool> {
        self.room.look(py, |desk, _| desk.is_closed())
    }

    /// Whether the policy in force sends calls that take long a second time, elsewhere.
    #[getter]
    fn hedges(&self, py: Python<'_>) -> PyResult<bool> {
        self.room.look(py, |desk, _| desk.engine().policy().hedge().is_some())
    }

    /// The present time, in microseconds since the Unix epoch.
    fn now(&self) -> u64 {
        self.room.clock.now().as_micros()
    }

    /// The time of the next wake-up has come.
    fn wake(&self, py: Python<'_>) -> PyResult<()> {
        self.room.at_desk(py, Desk::wake)
    }

    /// Lets nothing more in and cancels every call that waits.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.room.at_desk(py, Desk::close)
    }

    /// Cancels every call that waits.
    fn cancel_waiting(&self, py: Python<'_>) -> PyResult<()> {
        self.room.at_desk(py, Desk::cancel_waiting)
    }

    /// Puts another policy in force.
    fn reconfigure(&self, py: Python<'_>, policy: &PyPolicy) -> PyResult<()> {
        let endpoints = Endpoints::of(py, &policy.0)?;
        let policy = policy.0.clone();
        let old = self.room.at_desk(py, |desk, now| {
            // Within the same operation: whoever is sent to an endpoint by the new policy finds it here.
            let old =
                std::mem::replace(&mut *self.endpoints.0.lock().unwrap_or_else(PoisonError::into_inner), endpoints);
            desk.reconfigure(now, policy);
            old
        })?;
        drop(old);
        Ok(())
    }

    /// What was learned and counted.
    fn snapshot(&self, py: Python<'_>) -> PyResult<PySnapshot> {
        self.room.look(py, |desk, now| desk.engine_mut().snapshot(now)).map(PySnapshot)
    }

    /// Why a call waits, where it was sent or how it ended; None for one that is not remembered.
    fn explain(&self, py: Python<'_>, call: Whole<u64>) -> PyResult<Option<PyExplanation>> {
        let explanation = self.room.look(py, |desk, now| desk.engine_mut().explain(now, CallId(call.0)))?;
        Ok(explanation.map(PyExplanation))
    }

    /// An explanation as one line.
    fn describe(&self, py: Python<'_>, explanation: &PyExplanation) -> PyResult<String> {
        self.room.look(py, |desk, now| desk.engine().describe(now, &explanation.0))
    }

    /// The calls that wait, by their numbers.
    fn waiting_calls(&self, py: Python<'_>) -> PyResult<Vec<u64>> {
        self.room.look(py, |desk, _| desk.engine().waiting_calls().map(|call| call.0).collect())
    }

    /// Opens a keeper of the time for an event loop; `poke` is called, from any thread, where `arm_keeper` is to be.
    fn open_keeper(&self, py: Python<'_>, poke: Py<PyAny>) -> PyResult<u64> {
        self.room.open_keeper(py, poke)
    }

    /// Seconds until the desk is to be woken; None where there is nothing to wait for.
    fn arm_keeper(&self, py: Python<'_>, keeper: u64) -> PyResult<Option<f64>> {
        Ok(self.room.arm_keeper(py, keeper)?.map(|wait: Duration| wait.as_secs_f64()))
    }

    /// Closes a keeper.
    fn close_keeper(&self, keeper: u64) {
        self.room.close_keeper(keeper);
    }
}

impl PyDesk {
    fn ticket(&self, py: Python<'_>, call: Result<CallId, DeskError>) -> PyResult<PyTicket> {
        let call = call.map_err(|error| errors::desk(py, error))?;
        Ok(PyTicket {
            room: Arc::clone(&self.room),
            endpoints: Arc::clone(&self.endpoints),
            call,
            left: AtomicBool::new(false),
            end: OnceLock::new(),
        })
    }
}

/// A submitted call. Whoever holds it takes its turns and reports its attempts. Leaving it, or its end as an object, settles
/// what is left.
#[pyclass(frozen, name = "Ticket", module = "sluicegate._sluicegate")]
pub(crate) struct PyTicket {
    room: Arc<Room>,
    endpoints: Arc<Endpoints>,
    call: CallId,
    left: AtomicBool,
    /// How it ended, in words.
    end: OnceLock<String>,
}

impl PyTicket {
    fn turn_to_py(&self, py: Python<'_>, turn: Turn) -> PyResult<Py<PyAny>> {
        let (attempt, hedge) = match turn {
            Turn::Send(attempt) => (attempt, false),
            Turn::Hedge(attempt) => (attempt, true),
            Turn::Abort(attempt) => return Ok(Py::new(py, PyAbort { attempt: attempt.0 })?.into_any()),
            Turn::End(reason) => {
                if reason != EndReason::Answered {
                    let _ = self.end.set(reason.to_string());
                }
                return Ok(PyEndReason::from(reason).into_pyobject(py)?.into_any().unbind());
            }
        };
        let endpoint = self.endpoints.get(attempt.endpoint.0).ok_or_else(|| errors::unknown_model(py, ""))?;
        Ok(Py::new(py, PyAttempt { attempt, endpoint, hedge })?.into_any())
    }
}

#[pymethods]
impl PyTicket {
    /// The call's number.
    #[getter]
    fn call(&self) -> u64 {
        self.call.0
    }

    /// How it ended without an answer, in words; None before that.
    #[getter]
    fn end(&self) -> Option<&str> {
        self.end.get().map(String::as_str)
    }

    /// Waits for what is next, on this thread: an `Attempt`, an `Abort` or an `EndReason`.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let turn = self.room.wait(py, self.call)?;
        self.turn_to_py(py, turn)
    }

    /// What is next, if anything is.
    fn turn(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let turn = self.room.turn(py, self.call)?;
        turn.map(|turn| self.turn_to_py(py, turn)).transpose()
    }

    /// What is next; where nothing is, `wake` is called once, from any thread, as soon as something is.
    fn park(&self, py: Python<'_>, wake: Py<PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let turn = self.room.park(py, self.call, wake)?;
        turn.map(|turn| self.turn_to_py(py, turn)).transpose()
    }

    /// Reports how an attempt ended. One that is reported already, or whose lease has expired, is left as it is.
    fn report(&self, py: Python<'_>, attempt: u64, outcome: &PyOutcome) -> PyResult<()> {
        // Those who hold tickets report no attempt twice.
        let _ = self.room.at_desk(py, |desk, now| desk.report(now, self.call, AttemptId(attempt), outcome.0))?;
        Ok(())
    }

    /// Settles whatever is left.
    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        if self.left.swap(true, Ordering::Relaxed) { Ok(()) } else { self.room.leave(py, self.call) }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.leave(py)
    }
}

impl Drop for PyTicket {
    fn drop(&mut self) {
        if !*self.left.get_mut() {
            // At the end of the interpreter nobody waits any more.
            let _ = Python::try_attach(|py| {
                if let Err(error) = self.room.leave(py, self.call) {
                    error.write_unraisable(py, None);
                }
            });
        }
    }
}
