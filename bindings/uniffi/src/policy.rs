//! `Policy` and what it names.

use sluicegate_bedrock::Catalogue;

use crate::errors::PolicyError;

/// A checked policy: which endpoints there are, the quotas behind them, and how calls are treated. Models, endpoints, pools
/// and tenants are known to the engine by numbers: their places in the lists of its methods.
#[derive(uniffi::Object)]
pub(crate) struct Policy(pub(crate) sluicegate::Policy);

/// A place a call can be sent.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub(crate) struct Endpoint {
    /// Its name in the policy.
    pub(crate) name: String,
    /// The model that callers ask for, by its place in the policy's models.
    model: u16,
    /// What is sent in the model's place: an inference profile, an ARN, or the model itself.
    target: String,
    /// The source Region.
    region: String,
    /// The geography in which it processes calls, for residency.
    geography: Option<String>,
}

impl From<&sluicegate::Endpoint> for Endpoint {
    fn from(endpoint: &sluicegate::Endpoint) -> Self {
        Self {
            name: endpoint.name.clone(),
            model: endpoint.model.0,
            target: endpoint.target.clone(),
            region: endpoint.region.clone(),
            geography: endpoint.geography.clone(),
        }
    }
}

#[uniffi::export]
impl Policy {
    /// Reads a policy from a JSON text, and the facts about Bedrock within it, so that all faults are listed at once.
    #[uniffi::constructor]
    pub(crate) fn from_json(text: &str) -> Result<Self, PolicyError> {
        let policy = sluicegate::Policy::from_json(text);
        let mut faults = policy.as_ref().err().map(|error| error.faults.clone()).unwrap_or_default();
        let document: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        if let Some(facts) = document.pointer("/data/bedrock") {
            faults.extend(Catalogue::with_overrides(facts).err().unwrap_or_default());
        }
        match policy {
            Ok(policy) if faults.is_empty() => Ok(Self(policy)),
            _ => Err(faults.as_slice().into()),
        }
    }

    /// The names of the models that callers may ask for.
    pub(crate) fn models(&self) -> Vec<String> {
        self.0.models().to_vec()
    }

    /// The names of the quota pools.
    pub(crate) fn pools(&self) -> Vec<String> {
        self.0.pools().iter().map(|pool| pool.name.clone()).collect()
    }

    /// The names of the tenants.
    pub(crate) fn tenants(&self) -> Vec<String> {
        self.0.tenants().iter().map(|tenant| tenant.name.clone()).collect()
    }

    /// The endpoints, in the order of their names.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.0.endpoints().iter().map(Endpoint::from).collect()
    }

    /// The number of the model of this name, or of the one that an endpoint sends this name for.
    pub(crate) fn model(&self, name: &str) -> Option<u16> {
        self.0.model(name).map(|model| model.0)
    }

    /// The number of the tenant of this name, if the policy names it.
    pub(crate) fn tenant(&self, name: &str) -> Option<u32> {
        self.0.tenant(name).map(|tenant| tenant.0)
    }

    /// Whether it sends calls that take long a second time, elsewhere.
    pub(crate) fn hedges(&self) -> bool {
        self.0.hedge().is_some()
    }
}

/// The JSON Schema (draft 2020-12) of a policy, with every field, range and default, as JSON.
#[uniffi::export]
pub(crate) fn policy_schema() -> String {
    sluicegate::Policy::schema().to_string()
}
