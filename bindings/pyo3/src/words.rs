//! The words that stand for what is one of a few in Rust.

use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::errors;

/// A word out of a fixed set. Python sees a `str`, which its types know as a `Literal`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Word(pub(crate) &'static str);

impl<'py> IntoPyObject<'py> for Word {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = std::convert::Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
        Ok(PyString::intern(py, self.0))
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Word {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let name: String = object.extract()?;
        WORDS
            .iter()
            .find(|known| **known == name)
            .map(|known| Self(known))
            .ok_or_else(|| errors::wrong(object.py(), "unknown_name", &format!("{name:?} is no word of the engine")))
    }
}

/// Every word that a field of a decision, an event or an end can hold.
const WORDS: &[&str] = &[
    "success",
    "throttled_requests",
    "throttled_tokens",
    "throttled_day",
    "throttled_unknown",
    "overloaded",
    "unavailable",
    "not_ready",
    "timed_out",
    "model_error",
    "stream_broken",
    "stream_broken_delivered",
    "refused",
    "unusable",
    "cancelled",
    "deadline",
    "too_large",
    "queue_full",
    "target_wait",
    "no_endpoint",
    "requests",
    "tokens",
    "day",
    "unknown",
    "closed",
    "open",
    "half_open",
];

/// What has this name in a list, or an `InputError` that says which names there are.
pub(crate) fn named<T: Copy>(py: Python<'_>, what: &str, name: &str, among: &[(&str, T)]) -> PyResult<T> {
    among.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = among.iter().map(|(known, _)| *known).collect();
        errors::wrong(py, "unknown_name", &format!("{name:?} is no {what}; there are {}", known.join(", ")))
    })
}

/// How a value of several fields is written: its class with each field, in the order in which `match` takes them.
pub(crate) fn repr<T>(object: &Bound<'_, T>) -> PyResult<String> {
    let class = object.as_any().get_type();
    let fields: Bound<'_, PyTuple> = class.getattr("__match_args__")?.extract()?;
    let mut parts = Vec::with_capacity(fields.len());
    for field in fields.iter() {
        let field: Bound<'_, PyString> = field.extract()?;
        parts.push(format!("{field}={}", object.as_any().getattr(&field)?.repr()?));
    }
    Ok(format!("{}({})", class.qualname()?, parts.join(", ")))
}
