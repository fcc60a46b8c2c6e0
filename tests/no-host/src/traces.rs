//! The conformance traces and the digests of what comes out of them.

use alloc::string::String;

use serde_json::Value;

use crate::{replay, sha256};

/// The name and the text of every trace, in the order of their names.
pub static TRACES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/traces.rs"));

/// The SHA-256 of a trace's transcript. Panics, which is a trap in WebAssembly, unless it can be replayed.
#[must_use]
pub fn digest(trace: &str) -> String {
    let trace: Value = serde_json::from_str(trace).expect("a trace is JSON");
    let out = replay::replay(&trace).expect("a trace can be replayed");
    sha256::hex(&replay::transcript(&out))
}
