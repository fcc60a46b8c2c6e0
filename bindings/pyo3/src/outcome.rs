//! How attempts and calls end.

use pyo3::prelude::*;
use sluicegate::{EndReason, Outcome, OutcomeClass, Quota, Refusal, Spent, Timestamp};

use crate::numbers::{Whole, duration, micros};
use crate::words::{Word, named, repr};

/// Every class of outcome, by the name it has in Python.
pub(crate) const CLASSES: &[(&str, OutcomeClass)] = &[
    ("success", OutcomeClass::Success),
    ("throttled_requests", OutcomeClass::Throttled(Quota::Requests)),
    ("throttled_tokens", OutcomeClass::Throttled(Quota::Tokens)),
    ("throttled_day", OutcomeClass::Throttled(Quota::Day)),
    ("throttled_unknown", OutcomeClass::Throttled(Quota::Unknown)),
    ("overloaded", OutcomeClass::Overloaded),
    ("unavailable", OutcomeClass::Unavailable),
    ("not_ready", OutcomeClass::NotReady),
    ("timed_out", OutcomeClass::TimedOut),
    ("model_error", OutcomeClass::ModelError),
    ("stream_broken", OutcomeClass::StreamBroken),
    ("stream_broken_delivered", OutcomeClass::StreamBrokenDelivered),
    ("refused", OutcomeClass::Refused),
    ("unusable", OutcomeClass::Unusable),
    ("cancelled", OutcomeClass::Cancelled),
];

/// The name of a class.
pub(crate) const fn class_name(class: OutcomeClass) -> &'static str {
    match class {
        OutcomeClass::Success => "success",
        OutcomeClass::Throttled(Quota::Requests) => "throttled_requests",
        OutcomeClass::Throttled(Quota::Tokens) => "throttled_tokens",
        OutcomeClass::Throttled(Quota::Day) => "throttled_day",
        OutcomeClass::Throttled(Quota::Unknown) => "throttled_unknown",
        OutcomeClass::Overloaded => "overloaded",
        OutcomeClass::Unavailable => "unavailable",
        OutcomeClass::NotReady => "not_ready",
        OutcomeClass::TimedOut => "timed_out",
        OutcomeClass::ModelError => "model_error",
        OutcomeClass::StreamBroken => "stream_broken",
        OutcomeClass::StreamBrokenDelivered => "stream_broken_delivered",
        OutcomeClass::Refused => "refused",
        OutcomeClass::Unusable => "unusable",
        OutcomeClass::Cancelled => "cancelled",
    }
}

/// The name of a quota.
pub(crate) const fn quota_name(quota: Quota) -> &'static str {
    match quota {
        Quota::Requests => "requests",
        Quota::Tokens => "tokens",
        Quota::Day => "day",
        Quota::Unknown => "unknown",
    }
}

/// The report on one attempt.
///
/// `spent` is the number of quota tokens that the service took, or "unknown" (the reservation stands), "nothing" (the
/// service saw the request and took no tokens) or "never_sent" (the attempt never left). Left out, it is what such an end
/// normally costs. `retry_after_us` is the service's own word on when to come back, in microseconds from the report.
#[pyclass(frozen, eq, hash, from_py_object, name = "Outcome", module = "sluicegate")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PyOutcome(pub(crate) Outcome);

#[derive(FromPyObject)]
pub(crate) enum SpentArgument {
    Word(String),
    Tokens(Whole<u64>),
}

#[pymethods]
impl PyOutcome {
    #[new]
    #[pyo3(signature = (class_, *, spent=None, retry_after_us=None, output_tokens=None, truncated=false))]
    fn new(
        py: Python<'_>,
        class_: &str,
        spent: Option<SpentArgument>,
        retry_after_us: Option<Whole<u64>>,
        output_tokens: Option<Whole<u32>>,
        truncated: bool,
    ) -> PyResult<Self> {
        let class = named(py, "class of outcomes", class_, CLASSES)?;
        let spent = match spent {
            Some(spent) => spent.read(py)?,
            None => Outcome::of(class).spent,
        };
        let retry_after = retry_after_us.map(duration);
        let output_tokens = output_tokens.map(|tokens| tokens.0);
        Ok(Self(Outcome { class, spent, retry_after, output_tokens, truncated }))
    }

    /// A full answer that settled at `tokens` quota tokens.
    #[staticmethod]
    #[pyo3(signature = (tokens, *, output_tokens=None))]
    fn success(tokens: Whole<u64>, output_tokens: Option<Whole<u32>>) -> Self {
        Self(Outcome { output_tokens: output_tokens.map(|tokens| tokens.0), ..Outcome::success(tokens.0) })
    }

    /// An attempt that never left: nothing was taken.
    #[staticmethod]
    fn never_sent() -> Self {
        Self(Outcome::never_sent())
    }

    /// How the attempt ended.
    #[getter]
    fn class_(&self) -> &'static str {
        class_name(self.0.class)
    }

    /// What it cost: quota tokens, or one of the words of the constructor.
    #[getter]
    fn spent<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let word = match self.0.spent {
            Spent::Tokens(tokens) => return Ok(tokens.into_pyobject(py)?.into_any()),
            Spent::Unknown => "unknown",
            Spent::Nothing => "nothing",
            Spent::NeverSent => "never_sent",
        };
        Ok(word.into_pyobject(py)?.into_any())
    }

    /// The service's own word on when to come back, in microseconds from the report.
    #[getter]
    fn retry_after_us(&self) -> Option<u64> {
        self.0.retry_after.map(micros)
    }

    /// Tokens of the answer, where the service said.
    #[getter]
    fn output_tokens(&self) -> Option<u32> {
        self.0.output_tokens
    }

    /// Whether the answer was cut short by the cap on its length, before any of it reached the caller.
    #[getter]
    fn truncated(&self) -> bool {
        self.0.truncated
    }

    fn __repr__(&self) -> String {
        let Outcome { class, spent, retry_after, output_tokens, truncated } = self.0;
        let mut text = format!(
            "Outcome({:?}, spent={}",
            class_name(class),
            match spent {
                Spent::Tokens(tokens) => tokens.to_string(),
                Spent::Unknown => "'unknown'".to_owned(),
                Spent::Nothing => "'nothing'".to_owned(),
                Spent::NeverSent => "'never_sent'".to_owned(),
            }
        );
        if let Some(wait) = retry_after {
            text.push_str(&format!(", retry_after_us={}", micros(wait)));
        }
        if let Some(tokens) = output_tokens {
            text.push_str(&format!(", output_tokens={tokens}"));
        }
        text.push_str(if truncated { ", truncated=True)" } else { ")" });
        text
    }
}

/// How a call ended: one of the classes within.
#[pyclass(frozen, eq, hash, from_py_object, name = "EndReason", module = "sluicegate")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PyEndReason {
    /// An attempt succeeded.
    Answered {},
    /// It was not sent (again), because that could not have helped. `why` says why, `limit` is the largest size in tokens
    /// that fits where it is "too_large", and `retry_at` the earliest time, in microseconds since the origin, at which
    /// submitting it could help, where one is known.
    Refused {
        /// Why.
        why: Word,
        /// The largest size that fits.
        limit: Option<u64>,
        /// The earliest time at which submitting it could help.
        retry_at: Option<u64>,
    },
    /// Its deadline passed while it waited.
    Expired {},
    /// The caller cancelled it.
    Cancelled {},
    /// Its last attempt failed and was not to be repeated.
    Failed {
        /// How the last attempt ended.
        class_: Word,
    },
}

impl From<EndReason> for PyEndReason {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Answered => Self::Answered {},
            EndReason::Refused { why, retry_at } => {
                let limit = if let Refusal::TooLarge { limit } = why { Some(limit) } else { None };
                Self::Refused { why: Word(why.code()), limit, retry_at: retry_at.map(Timestamp::as_micros) }
            }
            EndReason::Expired => Self::Expired {},
            EndReason::Cancelled => Self::Cancelled {},
            EndReason::Failed { class } => Self::Failed { class_: Word(class_name(class)) },
        }
    }
}

#[pymethods]
impl PyEndReason {
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf)
    }
}
