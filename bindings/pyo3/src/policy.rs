//! `Policy` and what it names.

use pyo3::prelude::*;
use serde_json::Value;
use sluicegate::{Endpoint, Policy};
use sluicegate_bedrock::Catalogue;

use crate::{errors, values};

/// A checked policy: which endpoints there are, the quotas behind them, and how calls are treated.
///
/// It is made by `Policy.parse` or `Policy.from_json`, either of which raises `PolicyError` with every fault. Models,
/// endpoints, pools and tenants are known to the engine by numbers: their places in the tuples below.
#[pyclass(frozen, name = "Policy", module = "sluicegate")]
pub(crate) struct PyPolicy(pub(crate) Policy);

/// A place a call can be sent.
#[pyclass(frozen, get_all, eq, hash, name = "Endpoint", module = "sluicegate")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyEndpoint {
    /// Its name in the policy.
    name: String,
    /// The model that callers ask for, by its place in `Policy.models`.
    model: u16,
    /// What is sent in the model's place: an inference profile, an ARN, or the model itself.
    target: String,
    /// The source Region.
    region: String,
    /// The geography in which it processes calls, for residency.
    geography: Option<String>,
}

#[pymethods]
impl PyEndpoint {
    fn __repr__(&self) -> String {
        let Self { name, model, target, region, .. } = self;
        format!("Endpoint(name={name:?}, model={model}, target={target:?}, region={region:?})")
    }
}

impl From<&Endpoint> for PyEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            name: endpoint.name.clone(),
            model: endpoint.model.0,
            target: endpoint.target.clone(),
            region: endpoint.region.clone(),
            geography: endpoint.geography.clone(),
        }
    }
}

impl PyPolicy {
    /// Reads the policy and the facts about Bedrock within it, so that all faults are listed at once.
    fn read(py: Python<'_>, document: &Value) -> PyResult<Self> {
        let policy = Policy::parse(document);
        let mut faults = policy.as_ref().err().map(|error| error.faults.clone()).unwrap_or_default();
        if let Some(facts) = document.pointer("/data/bedrock") {
            faults.extend(Catalogue::with_overrides(facts).err().unwrap_or_default());
        }
        match policy {
            Ok(policy) if faults.is_empty() => Ok(Self(policy)),
            _ => Err(errors::policy(py, &faults)),
        }
    }
}

#[pymethods]
impl PyPolicy {
    /// Reads a policy from a mapping.
    #[staticmethod]
    fn parse(document: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::read(document.py(), &values::from_py(document, values::nothing_else)?)
    }

    /// Reads a policy from a JSON text.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        match serde_json::from_str(text) {
            Ok(document) => Self::read(py, &document),
            // The core words it.
            Err(_) => Policy::from_json(text).map(Self).map_err(|error| errors::policy(py, &error.faults)),
        }
    }

    /// The names of the models that callers may ask for, in their order.
    #[getter]
    fn models(&self) -> Vec<&str> {
        self.0.models().iter().map(String::as_str).collect()
    }

    /// The names of the quota pools, in their order.
    #[getter]
    fn pools(&self) -> Vec<&str> {
        self.0.pools().iter().map(|pool| pool.name.as_str()).collect()
    }

    /// The endpoints, in the order of their names.
    #[getter]
    fn endpoints(&self) -> Vec<PyEndpoint> {
        self.0.endpoints().iter().map(PyEndpoint::from).collect()
    }

    /// The names of the tenants, in their order.
    #[getter]
    fn tenants(&self) -> Vec<&str> {
        self.0.tenants().iter().map(|tenant| tenant.name.as_str()).collect()
    }

    /// The number of the model of this name, or of the one that an endpoint sends this name for; None if there is none.
    fn model(&self, name: &str) -> Option<u16> {
        self.0.model(name).map(|model| model.0)
    }

    /// The number of the tenant of this name; None if the policy does not name it.
    fn tenant(&self, name: &str) -> Option<u32> {
        self.0.tenant(name).map(|tenant| tenant.0)
    }

    fn __repr__(&self) -> String {
        format!("<Policy of {} models at {} endpoints>", self.0.models().len(), self.0.endpoints().len())
    }
}

/// The JSON Schema (draft 2020-12) of a policy, with every field, range and default.
#[pyfunction]
pub(crate) fn policy_schema(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    values::to_py(py, &Policy::schema())
}
