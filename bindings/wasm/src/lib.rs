//! The engine as a WebAssembly module for JavaScript: types are mapped here, and nothing is decided.
//!
//! What is exported is for the npm package alone, whose TypeScript checks every argument and knows the numbers of
//! `codes`. Whatever else comes in is clamped: nothing here panics. Times are whole microseconds, ids whole numbers,
//! all below 2^53.

mod appraiser;
mod codes;
mod desk;
mod engine;
mod pieces;
mod policy;
mod random;

pub use appraiser::{Appraiser, Plan, StreamReader, classify, estimate, lower_max_tokens, retry_after};
pub use codes::names;
pub use desk::Desk;
pub use engine::Engine;
pub use pieces::{Backoff, Breaker, Limiter, RetryBudget};
pub use policy::{Policy, affinity_of, label_named};
pub use random::Random;
