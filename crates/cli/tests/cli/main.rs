//! The real command, against its own fake.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking, helpers included")]

mod bad_input;
mod fixture;
mod help;
mod large;
mod policy;
mod run;
mod service;
mod state;
mod stop;
