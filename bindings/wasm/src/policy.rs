//! Policies, and what JavaScript has to know of one.

use serde_json::{Value, json};
use sluicegate::Fault;
use sluicegate_bedrock::Affinity;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::text;

/// A policy that was read without a fault.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Policy(pub(crate) sluicegate::Policy);

#[wasm_bindgen]
impl Policy {
    /// Reads a JSON text.
    ///
    /// # Errors
    /// All faults, as a JSON text.
    #[wasm_bindgen(constructor)]
    pub fn new(text: &str) -> Result<Self, JsValue> {
        sluicegate::Policy::from_json(text).map(Self).map_err(|error| thrown(&error.faults))
    }

    /// Its names in the order of their numbers, and where its endpoints are, as JSON.
    #[must_use]
    pub fn shape(&self) -> String {
        let endpoints = self.0.endpoints().iter().map(|endpoint| {
            json!({
                "name": endpoint.name,
                "model": endpoint.model.0,
                "target": endpoint.target,
                "region": endpoint.region,
                "geography": endpoint.geography,
            })
        });
        text(&json!({
            "models": self.0.models(),
            "endpoints": endpoints.collect::<Value>(),
            "pools": self.0.pools().iter().map(|pool| pool.name.as_str()).collect::<Value>(),
            "tenants": self.0.tenants().iter().map(|tenant| tenant.name.as_str()).collect::<Value>(),
        }))
    }

    /// The number of the tenant of this name, whether or not the policy names it.
    #[must_use]
    #[wasm_bindgen(js_name = tenantNamed)]
    pub fn tenant_named(&self, name: &str) -> u32 {
        sluicegate_bedrock::tenant_named(&self.0, name).0
    }
}

/// The number of a label.
#[must_use]
#[wasm_bindgen(js_name = labelNamed)]
pub fn label_named(name: &str) -> u16 {
    sluicegate_bedrock::label_named(name).0
}

/// Faults as they are thrown: a JSON text, of which the package makes an error of its own.
pub(crate) fn thrown(faults: &[Fault]) -> JsValue {
    let faults =
        faults.iter().map(|fault| json!({ "code": fault.code, "pointer": fault.pointer, "message": fault.message }));
    JsValue::from_str(&text(&faults.collect::<Value>()))
}

/// The number of an affinity key, the same in every language.
#[must_use]
#[wasm_bindgen(js_name = affinityOf)]
pub fn affinity_of(key: &str) -> u64 {
    Affinity::from(key).0
}
