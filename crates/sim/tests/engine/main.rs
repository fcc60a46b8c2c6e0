//! What the engine does in the scenarios that it is promised for, beside what could be done, and beside its peers.
//!
//! Every test prints its figures: `cargo test -p sluicegate-sim --test engine -- --nocapture`.

#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

mod peers;
mod phase;
mod promises;
mod scene;
mod table;
