//! The engine as a WebAssembly module for JavaScript: types are mapped here, and nothing is decided.

use wasm_bindgen::prelude::wasm_bindgen;

/// The JSON Schema of policies.
#[must_use]
#[wasm_bindgen(js_name = policySchema)]
pub fn policy_schema() -> String {
    sluicegate::Policy::schema().to_string()
}
