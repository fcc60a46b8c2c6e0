//! Turns the [`sluicegate`] engine into code that waits.
//!
//! The engine decides; a [`Desk`] keeps the generator and the books of those who wait, without a clock, for whatever
//! waits in another language or runtime. With the feature `tokio` a `Gate` adds the clock and the waiting: one task sleeps
//! until the engine's next wake-up, whatever the number of calls.
//!
#![cfg_attr(feature = "tokio", doc = "```")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use std::time::Duration;
//! use sluicegate::{Outcome, Policy};
//! use sluicegate_driver::{Ended, Gate, Request};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::from_json(r#"{
//!     "pools": {"virginia": {"requests_per_minute": 60}},
//!     "endpoints": {"us-east-1": {"model": "claude", "pools": ["virginia"]}}
//! }"#)?;
//! let gate = Gate::new(policy);
//! let request = Request::new(gate.model("claude").ok_or("no such model")?, 1_500).within(Duration::from_secs(20));
//! let answer: Result<&str, Ended<&str>> = gate
//!     .run(request, |attempt| async move {
//!         // ... send it to `attempt.endpoint` ...
//!         let _ = attempt.endpoint;
//!         (Outcome::success(900), Ok("an answer"))
//!     })
//!     .await;
//! assert_eq!(answer.ok(), Some("an answer"));
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "tokio")]
mod clock;
mod desk;
#[cfg(feature = "tokio")]
mod gate;
mod generator;
mod request;
#[cfg(feature = "tokio")]
mod run;
#[cfg(feature = "tokio")]
mod ticket;

pub use desk::{Desk, DeskError};
#[cfg(feature = "tokio")]
pub use gate::{Gate, GateBuilder, Observer, Witness};
pub use generator::Generator;
pub use request::{Attempt, Ended, Request, Turn};
#[cfg(feature = "tokio")]
pub use ticket::Ticket;
