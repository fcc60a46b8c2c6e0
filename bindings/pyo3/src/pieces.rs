//! What the engine is made of, each useful alone. The parameters of each are the section of a policy that describes it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use serde_json::json;
use sluicegate::{
    Admission, Backoff, Breaker, BreakerVerdict, Limiter, Permit, Policy, Quota, RetryBudget, RetryKind, Spent,
};

use crate::errors;
use crate::event::state_name;
use crate::numbers::{Whole, duration, micros, moment};
use crate::outcome::{SpentArgument, quota_name};
use crate::rng::PyRng;
use crate::values;
use crate::words::{Word, named, repr};

/// Reads one section of a policy, none as an empty one. Faults point into the section.
fn section(pointer: &str, section: Option<&Bound<'_, PyAny>>, py: Python<'_>) -> PyResult<Policy> {
    let section = section.map_or(Ok(json!({})), |section| values::from_py(section, values::nothing_else))?;
    Policy::parse_section(pointer, section).map_err(|error| errors::policy(py, &error.faults))
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long to wait before trying again: a function of the number of retries made, the last delay, the service's hint and
/// one random number.
///
/// `section` is what a policy has under `retry.other`: a `preset`, or `curve`, `base_ms` and `cap_ms`.
#[pyclass(frozen, name = "Backoff", module = "sluicegate")]
pub(crate) struct PyBackoff(Backoff);

#[pymethods]
impl PyBackoff {
    #[new]
    #[pyo3(signature = (section=None))]
    fn new(py: Python<'_>, section: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        self::section("/retry/other", section, py).map(|policy| Self(policy.retry().other))
    }

    /// The delay in microseconds before retry number `retry` (0 for the first), after a delay of `previous_us` (0 before
    /// the first). `hint_us` is the service's own word on when to come back.
    #[pyo3(signature = (retry, rng, *, previous_us=Whole(0), hint_us=None))]
    fn delay(
        &self,
        retry: Whole<u32>,
        rng: &Bound<'_, PyRng>,
        previous_us: Whole<u64>,
        hint_us: Option<Whole<u64>>,
    ) -> u64 {
        micros(self.0.delay(retry.0, duration(previous_us), hint_us.map(duration), &mut *rng.get().lock()))
    }
}

/// The answer of a `Limiter`: one of the classes within.
#[pyclass(frozen, name = "Admission", module = "sluicegate")]
pub(crate) enum PyAdmission {
    /// The attempt may go out; settle the permit exactly once.
    Granted { permit: Py<PyPermit> },
    /// Not before this time, because of this quota. Asking again then succeeds if nothing else was admitted.
    NotBefore { at: u64, quota: Word },
    /// All concurrent attempts are out: ask again after the next settlement.
    Busy {},
    /// The attempt alone is larger than this limit and will never fit.
    Never { limit: u64 },
}

#[pymethods]
impl PyAdmission {
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf)
    }
}

/// A reservation in one `Limiter`. Hand it back to `Limiter.settle` exactly once.
#[pyclass(frozen, name = "Permit", module = "sluicegate")]
pub(crate) struct PyPermit {
    /// None once it is settled.
    permit: Mutex<Option<Permit>>,
    /// When it was granted, in microseconds since the origin.
    #[pyo3(get)]
    granted_at: u64,
    /// The tokens it reserves.
    #[pyo3(get)]
    tokens: u64,
}

/// The counters of one quota pool: requests, tokens and tokens per day, and attempts under way.
///
/// `section` is what a policy has for a pool: `requests_per_minute`, `tokens_per_minute`, `tokens_per_day`, `concurrency`,
/// `burst_permille`, `window_margin_ms`.
#[pyclass(frozen, name = "Limiter", module = "sluicegate")]
pub(crate) struct PyLimiter(Mutex<Limiter>);

const QUOTAS: &[(&str, Quota)] =
    &[("requests", Quota::Requests), ("tokens", Quota::Tokens), ("day", Quota::Day), ("unknown", Quota::Unknown)];

fn quota(py: Python<'_>, name: &str) -> PyResult<Quota> {
    named(py, "quota", name, QUOTAS)
}

#[pymethods]
impl PyLimiter {
    #[new]
    fn new(py: Python<'_>, section: &Bound<'_, PyAny>, now: Whole<u64>) -> PyResult<Self> {
        let policy = self::section("/pools/a", Some(section), py)?;
        let limits = policy.pools().first().map(|pool| pool.limits);
        let limits = limits.ok_or_else(|| errors::wrong(py, "empty", "the pool is gone"))?;
        Ok(Self(Mutex::new(Limiter::new(limits, moment(now)))))
    }

    /// Asks for one request of `tokens` tokens and reserves it if it is granted.
    fn acquire(&self, py: Python<'_>, now: Whole<u64>, tokens: Whole<u64>) -> PyResult<PyAdmission> {
        let admission = lock(&self.0).acquire(moment(now), tokens.0);
        Ok(match admission {
            Admission::Granted(permit) => {
                let (granted_at, tokens) = (permit.granted_at().as_micros(), permit.tokens());
                let permit = PyPermit { permit: Mutex::new(Some(permit)), granted_at, tokens };
                PyAdmission::Granted { permit: Py::new(py, permit)? }
            }
            Admission::NotBefore(at, quota) => {
                PyAdmission::NotBefore { at: at.as_micros(), quota: Word(quota_name(quota)) }
            }
            Admission::Busy => PyAdmission::Busy {},
            Admission::Never(limit) => PyAdmission::Never { limit },
        })
    }

    /// Settles a permit at what was spent: quota tokens, "unknown" (the reservation stands), "nothing" or "never_sent".
    /// More than was reserved becomes a debt that later attempts wait for. Raises InputError if it is settled already.
    fn settle(
        &self,
        py: Python<'_>,
        now: Whole<u64>,
        permit: &Bound<'_, PyPermit>,
        spent: SpentArgument,
    ) -> PyResult<()> {
        let spent = spent.read(py)?;
        let permit = lock(&permit.get().permit).take();
        let permit = permit.ok_or_else(|| {
            errors::wrong(py, "permit_settled", "the permit is settled already; settle each exactly once")
        })?;
        lock(&self.0).settle(moment(now), permit, spent);
        Ok(())
    }

    /// The service answered an attempt that was admitted here at `at`.
    fn accepted(&self, at: Whole<u64>) {
        // What was learned of the service's minutes shows in what is granted.
        let _ = lock(&self.0).accepted(moment(at));
    }

    /// The service refused an attempt of `tokens` tokens that was admitted here at `at`. Lowers the limit that was wrong
    /// and pauses until the service has refilled. Returns which limit was learned and what it is now, if one was.
    fn refused(
        &self,
        py: Python<'_>,
        now: Whole<u64>,
        at: Whole<u64>,
        tokens: Whole<u64>,
        quota: &str,
    ) -> PyResult<Option<(Word, u64)>> {
        let quota = self::quota(py, quota)?;
        let learned = lock(&self.0).refused(moment(now), moment(at), tokens.0, quota);
        Ok(learned.map(|(quota, limit)| (Word(quota_name(quota)), limit)))
    }

    /// The service itself said when to come back: nothing is admitted until then.
    fn pause(&self, until: Whole<u64>) {
        lock(&self.0).pause(moment(until));
    }

    /// How much of a limit in force is used at `now`, in thousandths; 0 where there is none.
    fn use_permille(&self, py: Python<'_>, now: Whole<u64>, quota: &str) -> PyResult<u64> {
        let quota = self::quota(py, quota)?;
        Ok(lock(&self.0).use_permille(moment(now), quota))
    }

    /// The limit in force: declared, or lowered or learned after refusals.
    fn limit(&self, py: Python<'_>, quota: &str) -> PyResult<Option<u64>> {
        let quota = self::quota(py, quota)?;
        Ok(lock(&self.0).limit(quota))
    }

    /// Attempts under way.
    #[getter]
    fn in_flight(&self) -> u64 {
        lock(&self.0).in_flight()
    }
}

/// The answer of a `Breaker` to an attempt that wants to pass: one of the classes within.
#[pyclass(frozen, eq, hash, name = "Verdict", module = "sluicegate")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PyVerdict {
    /// Pass.
    Pass {},
    /// Pass as one of the probes: its end decides.
    Probe {},
    /// Shut until this time, in microseconds since the origin.
    OpenUntil { until: u64 },
    /// All probes are out: ask again when one has ended.
    ProbesOut {},
}

#[pymethods]
impl PyVerdict {
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf)
    }
}

/// A circuit breaker.
///
/// `section` is what a policy has under `breaker`.
#[pyclass(frozen, name = "Breaker", module = "sluicegate")]
pub(crate) struct PyBreaker(Mutex<Breaker>);

#[pymethods]
impl PyBreaker {
    #[new]
    #[pyo3(signature = (section=None))]
    fn new(py: Python<'_>, section: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        self::section("/breaker", section, py).map(|policy| Self(Mutex::new(Breaker::new(*policy.breaker()))))
    }

    /// Asks to pass. After `Verdict.Pass` or `Verdict.Probe` the attempt must end in `record` or `release`.
    fn acquire(&self, now: Whole<u64>) -> PyVerdict {
        match lock(&self.0).acquire(moment(now)) {
            BreakerVerdict::Pass => PyVerdict::Pass {},
            BreakerVerdict::Probe => PyVerdict::Probe {},
            BreakerVerdict::OpenUntil(until) => PyVerdict::OpenUntil { until: until.as_micros() },
            BreakerVerdict::ProbesOut => PyVerdict::ProbesOut {},
        }
    }

    /// An attempt ended after `took_us` microseconds. Returns the new state if it changed.
    fn record(&self, now: Whole<u64>, failed: bool, took_us: Whole<u64>, rng: &Bound<'_, PyRng>) -> Option<Word> {
        let changed = lock(&self.0).record(moment(now), failed, duration(took_us), &mut *rng.get().lock());
        changed.map(|state| Word(state_name(state)))
    }

    /// An attempt that was let through ended without saying anything about the endpoint.
    fn release(&self) {
        lock(&self.0).release();
    }

    /// "closed", "open" or "half_open", as of the last call.
    #[getter]
    fn state(&self) -> Word {
        Word(state_name(lock(&self.0).state()))
    }

    /// Share of failures in per cent, or None while fewer than the minimum were counted.
    #[getter]
    fn failure_rate_percent(&self) -> Option<u32> {
        lock(&self.0).failure_rate_percent()
    }
}

/// A bound on retries and hedges over all calls, so that neither failures nor slowness can multiply the load.
///
/// `section` is what a policy has under `retry.budget`. What is left and what is charged is in thousandths of a retry.
#[pyclass(frozen, name = "RetryBudget", module = "sluicegate")]
pub(crate) struct PyRetryBudget(Mutex<RetryBudget>);

/// What a budget says to a retry: one of the classes within.
#[pyclass(frozen, eq, hash, name = "Withdrawal", module = "sluicegate")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PyWithdrawal {
    /// It may go out, and cost so much.
    Paid { cost: u64 },
    /// There is too little. `until` is the earliest time, in microseconds since the origin, at which the inflow alone
    /// allows it; None where nothing flows in with time.
    TooLittle { until: Option<u64> },
}

#[pymethods]
impl PyWithdrawal {
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf)
    }
}

#[pymethods]
impl PyRetryBudget {
    #[new]
    fn new(py: Python<'_>, section: Option<&Bound<'_, PyAny>>, now: Whole<u64>) -> PyResult<Self> {
        let policy = self::section("/retry/budget", section, py)?;
        Ok(Self(Mutex::new(RetryBudget::new(policy.retry().budget, moment(now)))))
    }

    /// Pays for one retry or hedge: `kind` is "throttled", "other" or "hedge".
    fn withdraw(&self, py: Python<'_>, now: Whole<u64>, kind: &str) -> PyResult<PyWithdrawal> {
        let kinds = [("throttled", RetryKind::Throttled), ("other", RetryKind::Other), ("hedge", RetryKind::Hedge)];
        let kind = named(py, "kind of retries", kind, &kinds)?;
        Ok(match lock(&self.0).withdraw(moment(now), kind) {
            Ok(cost) => PyWithdrawal::Paid { cost },
            Err(until) => PyWithdrawal::TooLittle { until: until.map(|until| until.as_micros()) },
        })
    }

    /// Credits a call that succeeded; `charged` is what its last retry cost, None if the first attempt succeeded.
    #[pyo3(signature = (now, charged=None))]
    fn success(&self, now: Whole<u64>, charged: Option<Whole<u64>>) {
        lock(&self.0).success(moment(now), charged.map(|cost| cost.0));
    }

    /// What is left at `now`.
    fn left(&self, now: Whole<u64>) -> u64 {
        lock(&self.0).left(moment(now))
    }
}

impl SpentArgument {
    /// What was spent, by a number of tokens or by a word.
    pub(crate) fn read(self, py: Python<'_>) -> PyResult<Spent> {
        let words = [("unknown", Spent::Unknown), ("nothing", Spent::Nothing), ("never_sent", Spent::NeverSent)];
        match self {
            Self::Word(word) => named(py, "word for what was spent", &word, &words),
            Self::Tokens(tokens) => Ok(Spent::Tokens(tokens.0)),
        }
    }
}
