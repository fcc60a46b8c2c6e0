//! The library behind the Kotlin module and the Swift package: the engine, its pieces and what it knows of Bedrock, in types
//! that uniffi carries across.
//!
//! Type mapping and nothing else. What waits, reads a clock or knows an SDK is in Kotlin and Swift; what decides is in the
//! crates below. Times are microseconds since an origin of the caller's choice, durations microseconds.

mod appraiser;
mod desk;
mod engine;
mod errors;
mod event;
mod explain;
mod input;
mod limiter;
mod outcome;
mod pieces;
mod policy;
mod rng;
mod stream;
#[cfg(test)]
mod tests;

uniffi::setup_scaffolding!("sluicegate");

#[cfg(not(panic = "unwind"))]
compile_error!("a panic has to end at the border, or it ends the process of whoever called");

/// The version of the library.
#[uniffi::export]
fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
