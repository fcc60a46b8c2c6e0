//! What an adapter for Bedrock has to know around a call, in Python's types.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyDict, PyDictMethods};
use serde_json::{Map, Value};
use sluicegate::{Call, CallId, EndpointId, ModelId, Policy, TenantId};
use sluicegate_bedrock::{
    Affinity, Appraiser, Asked, CallOptions, Failure, FailureKind, FrameReader, HttpError, Operation, Plan, StreamNote,
    StreamSoFar, Told, classify, label_named, lower_max_tokens, retry_after, tenant_named,
};
use sluicegate_driver::Request;

use crate::numbers::{Whole, duration};
use crate::outcome::PyOutcome;
use crate::policy::PyPolicy;
use crate::words::named;
use crate::{errors, values};

const OPERATIONS: &[(&str, Operation)] = &[("converse", Operation::Converse), ("invoke_model", Operation::InvokeModel)];

/// What a caller may add to one call.
///
/// `deadline` is in microseconds from the submission. Tenants, affinities and labels are names, or numbers for those who keep
/// their own.
#[pyclass(frozen, name = "CallOptions", module = "sluicegate._sluicegate")]
pub(crate) struct PyCallOptions {
    deadline: Option<Duration>,
    priority: u8,
    tenant: Option<Tenant>,
    affinity: Option<Affinity>,
    label: sluicegate::LabelId,
}

/// A name, or the number that stands for it.
macro_rules! name_or_number {
    ($($name:ident: $number:ty),+) => {
        $(#[derive(FromPyObject)]
        enum $name {
            Name(String),
            Number(Whole<$number>),
        })+
    };
}
name_or_number!(Tenant: u32, Key: u64, Label: u16);

impl PyCallOptions {
    fn tenant(&self, policy: &Policy) -> TenantId {
        match &self.tenant {
            None => TenantId::default(),
            Some(Tenant::Name(name)) => tenant_named(policy, name),
            Some(Tenant::Number(number)) => TenantId(number.0),
        }
    }

    fn of_bedrock(&self, policy: &Policy, lone: bool) -> CallOptions {
        let Self { deadline, priority, affinity, label, .. } = *self;
        CallOptions { deadline, priority, tenant: self.tenant(policy), affinity, label, lone }
    }

    /// A request of a caller that knows its own size.
    pub(crate) fn request(&self, policy: &Policy, model: ModelId, tokens: u64) -> Request {
        let call =
            Call::new(CallId(0), model, tokens).priority(self.priority).tenant(self.tenant(policy)).label(self.label);
        let call = match self.affinity {
            Some(affinity) => call.affinity(affinity.0, 0),
            None => call,
        };
        within(Request::from(call), self.deadline)
    }
}

fn within(request: Request, deadline: Option<Duration>) -> Request {
    match deadline {
        Some(deadline) => request.within(deadline),
        None => request,
    }
}

#[pymethods]
impl PyCallOptions {
    #[new]
    #[pyo3(signature = (*, deadline=None, priority=Whole(0), tenant=None, affinity=None, label=None))]
    fn new(
        deadline: Option<Whole<u64>>,
        priority: Whole<u8>,
        tenant: Option<Tenant>,
        affinity: Option<Key>,
        label: Option<Label>,
    ) -> Self {
        let affinity = affinity.map(|affinity| match affinity {
            Key::Name(name) => Affinity::from(name),
            Key::Number(number) => Affinity(number.0),
        });
        let label = label.map_or_else(sluicegate::LabelId::default, |label| match label {
            Label::Name(name) => label_named(&name),
            Label::Number(number) => sluicegate::LabelId(number.0),
        });
        Self { deadline: deadline.map(duration), priority: priority.0, tenant, affinity, label }
    }
}

/// A call before its submission: what it asks of the engine, and what is to be remembered until its answer.
#[pyclass(frozen, name = "Plan", module = "sluicegate._sluicegate")]
pub(crate) struct PyPlan(Plan);

impl PyPlan {
    pub(crate) fn request(&self) -> Request {
        within(Request::from(self.0.call), self.0.within)
    }
}

/// Estimates what calls will cost and reads what they did cost, learning from each answer.
#[pyclass(frozen, name = "Appraiser", module = "sluicegate._sluicegate")]
pub(crate) struct PyAppraiser(Mutex<(Policy, Appraiser)>);

impl PyAppraiser {
    /// Nothing of Python's runs while this is held: it might let another thread run, which would wait for the lock for ever.
    fn lock(&self) -> MutexGuard<'_, (Policy, Appraiser)> {
        // Estimates stay usable whatever happened to whoever held them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(
        &self,
        py: Python<'_>,
        model: &str,
        mut asked: Asked,
        options: &PyCallOptions,
        stream: bool,
    ) -> PyResult<PyPlan> {
        // What a lowered cap cut short could not be asked for again once it is handed out, nor is there a choosing between
        // two streams.
        asked.can_lower &= !stream;
        let plan = {
            let inner = self.lock();
            let options = options.of_bedrock(&inner.0, stream);
            inner.1.plan(model, &asked, &options)
        };
        plan.map(PyPlan).map_err(|_| errors::unknown_model(py, model))
    }
}

#[pymethods]
impl PyAppraiser {
    #[new]
    fn new(py: Python<'_>, policy: &PyPolicy) -> PyResult<Self> {
        let appraiser = Appraiser::new(&policy.0).map_err(|faults| errors::policy(py, &faults))?;
        Ok(Self(Mutex::new((policy.0.clone(), appraiser))))
    }

    /// The same with what it has learned, for another policy.
    fn reconfigure(&self, py: Python<'_>, policy: &PyPolicy) -> PyResult<()> {
        let done = {
            let mut inner = self.lock();
            inner.1.reconfigure(&policy.0).map(|()| inner.0 = policy.0.clone())
        };
        done.map_err(|faults| errors::policy(py, &faults))
    }

    /// Plans a Converse or ConverseStream request, given as boto3's arguments.
    fn plan_converse(
        &self,
        py: Python<'_>,
        model: &str,
        request: &Bound<'_, PyDict>,
        options: &PyCallOptions,
        stream: bool,
    ) -> PyResult<PyPlan> {
        let mut body = Map::new();
        // A copy: what is read below may run code of the caller's, and nobody else can change this one.
        for (name, value) in request.copy()?.iter() {
            let name: String = name.extract()?;
            if name != "modelId" {
                body.insert(name, values::from_py(&value, blob)?);
            }
        }
        let body = Value::Object(body);
        let asked = Asked::of_json(model, &body, body.to_string().as_bytes(), Operation::Converse);
        self.plan(py, model, asked, options, stream)
    }

    /// Plans a request by its body.
    fn plan_body(
        &self,
        py: Python<'_>,
        model: &str,
        operation: &str,
        body: &[u8],
        options: &PyCallOptions,
        stream: bool,
    ) -> PyResult<PyPlan> {
        let operation = named(py, "operation", operation, OPERATIONS)?;
        self.plan(py, model, Asked::of_body(model, body, operation), options, stream)
    }

    /// The report on a Converse answer, as boto3 hands it out.
    fn answered_converse(&self, plan: &PyPlan, endpoint: u16, answer: &Bound<'_, PyDict>) -> PyResult<PyOutcome> {
        // Only what matters: the answer itself may be long.
        let mut told = Map::new();
        for name in ["usage", "stopReason"] {
            if let Some(value) = answer.get_item(name)? {
                told.insert(name.to_owned(), values::from_py(&value, blob)?);
            }
        }
        let told = Told::of_json(&Value::Object(told), []);
        Ok(PyOutcome(self.lock().1.answered(&plan.0, EndpointId(endpoint), &told)))
    }

    /// The report on an answer by its body and headers.
    fn answered_body(&self, plan: &PyPlan, endpoint: u16, body: &[u8], headers: Headers) -> PyOutcome {
        let told = Told::of_body(body, headers.iter());
        PyOutcome(self.lock().1.answered(&plan.0, EndpointId(endpoint), &told))
    }

    /// The report on a stream that came to its end, or that its caller dropped before.
    fn streamed(&self, plan: &PyPlan, endpoint: u16, stream: &PyStreamWatch, dropped: bool) -> PyOutcome {
        let so_far = stream.lock().so_far;
        PyOutcome(self.lock().1.streamed(&plan.0, EndpointId(endpoint), &so_far, dropped))
    }
}

/// Bytes within boto3's arguments as their JSON form has them; anything else that JSON does not know as its text.
pub(crate) fn blob(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Ok(bytes) = object.extract::<PyBackedBytes>() {
        return Ok(Value::String(STANDARD.encode(&bytes)));
    }
    Ok(Value::String(object.repr()?.to_string_lossy().into_owned()))
}

/// Names and values of headers.
#[derive(FromPyObject)]
#[pyo3(transparent)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A body with a lower cap on its answer; None where its form has no such number.
#[pyfunction]
pub(crate) fn lowered(py: Python<'_>, operation: &str, body: &[u8], cap: Whole<u32>) -> PyResult<Option<Vec<u8>>> {
    let operation = named(py, "operation", operation, OPERATIONS)?;
    Ok(lower_max_tokens(body, operation, cap.0))
}

const KINDS: &[(&str, FailureKind)] = &[
    ("response", FailureKind::Response),
    ("connect", FailureKind::Connect),
    ("timeout", FailureKind::Timeout),
    ("io", FailureKind::Io),
    ("cancelled", FailureKind::Cancelled),
];

/// The report on a failed attempt, from whatever its client could see.
#[pyfunction]
#[pyo3(signature = (kind, *, code=None, status=None, message=None, in_stream=false, delivered=false, original_status=None, headers=None))]
#[expect(clippy::too_many_arguments, reason = "they have names")]
pub(crate) fn failed(
    py: Python<'_>,
    kind: &str,
    code: Option<&str>,
    status: Option<u16>,
    message: Option<&str>,
    in_stream: bool,
    delivered: bool,
    original_status: Option<u16>,
    headers: Option<Headers>,
) -> PyResult<PyOutcome> {
    let kind = named(py, "kind of failure", kind, KINDS)?;
    let failure = Failure { kind, code, status, message, in_stream, delivered, original_status };
    let wait = headers.and_then(|headers| retry_after(headers.iter(), unix_seconds()));
    Ok(PyOutcome(classify(&failure).outcome(wait)))
}

/// The report on an answer with a status of 400 or more.
#[pyfunction]
pub(crate) fn failed_http(status: u16, headers: Headers, body: &[u8]) -> PyOutcome {
    let error = HttpError::read(status, headers.iter(), body);
    PyOutcome(classify(&error.failure()).outcome(retry_after(headers.iter(), unix_seconds())))
}

#[expect(clippy::disallowed_methods, reason = "an adapter owns the clock; HTTP dates are absolute")]
fn unix_seconds() -> Option<u64> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// What is known of a stream from what came so far.
#[pyclass(frozen, name = "StreamWatch", module = "sluicegate._sluicegate")]
pub(crate) struct PyStreamWatch(Mutex<Watch>);

struct Watch {
    operation: Operation,
    so_far: StreamSoFar,
    frames: FrameReader,
    error: Option<(String, Option<String>)>,
}

impl PyStreamWatch {
    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PyStreamWatch {
    #[new]
    fn new(py: Python<'_>, operation: &str) -> PyResult<Self> {
        let operation = named(py, "operation", operation, OPERATIONS)?;
        let (so_far, frames) = Default::default();
        Ok(Self(Mutex::new(Watch { operation, so_far, frames, error: None })))
    }

    /// Takes in an event as boto3 hands it out.
    fn take_event(&self, event: &Bound<'_, PyDict>) -> PyResult<()> {
        // What reads the event may run code of the caller's, so the lock is not held meanwhile.
        let operation = self.lock().operation;
        let note = match operation {
            Operation::Converse => {
                let mut light = Map::new();
                for (name, value) in event.copy()?.iter() {
                    let name: String = name.extract()?;
                    // The answer's own words do not matter.
                    let value = if name == "metadata" { values::from_py(&value, blob)? } else { Value::Null };
                    light.insert(name, value);
                }
                StreamNote::of_event(&Value::Object(light), Operation::Converse)
            }
            Operation::InvokeModel => match event.get_item("chunk")? {
                Some(chunk) => {
                    let chunk = chunk.cast::<PyDict>().map_err(|_| PyTypeError::new_err("a chunk must be a dict"))?;
                    let bytes: Option<PyBackedBytes> = chunk.get_item("bytes")?.and_then(|bytes| bytes.extract().ok());
                    StreamNote::of_chunk(bytes.as_deref().unwrap_or_default())
                }
                None => StreamNote::default(),
            },
        };
        self.lock().so_far.take_in(&note);
        Ok(())
    }

    /// Takes in bytes of `application/vnd.amazon.eventstream` in passing. Bytes of another kind count as part of the answer.
    fn take_bytes(&self, bytes: &[u8]) {
        let mut watch = self.lock();
        watch.frames.push(bytes);
        loop {
            match watch.frames.next_frame() {
                Ok(Some(frame)) if frame.is_error => {
                    let message = frame.message();
                    watch.error.get_or_insert((frame.name, message));
                }
                Ok(Some(frame)) => {
                    let note = frame.note(watch.operation);
                    watch.so_far.take_in(&note);
                }
                Ok(None) => return,
                Err(_) => {
                    watch.so_far.delivers = true;
                    return;
                }
            }
        }
    }

    /// Part of the answer has come.
    #[getter]
    fn delivers(&self) -> bool {
        self.lock().so_far.delivers
    }

    /// The answer is complete.
    #[getter]
    fn completes(&self) -> bool {
        self.lock().so_far.completes
    }

    /// Name and text of the first error frame among the bytes.
    #[getter]
    fn error(&self) -> Option<(String, Option<String>)> {
        self.lock().error.clone()
    }
}
