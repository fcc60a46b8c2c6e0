//! Replays what other projects assert about their own limiters, breakers and retries against our pieces.
//!
//! The tables are in `tests/vectors/peers`; each names the project, file, commit and licence it comes from. Where we
//! differ on purpose, the test says why.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests may end the test")]

mod aws;
mod breaker;
mod bucket;
mod grpc;

use std::time::Duration;

use serde_json::Value;
use sluicegate::Timestamp;

/// A field that the table must have.
fn field<'v>(value: &'v Value, key: &str) -> &'v Value {
    value.get(key).unwrap_or_else(|| panic!("no {key} in {value}"))
}

fn number(value: &Value, key: &str) -> u64 {
    field(value, key).as_u64().unwrap_or_else(|| panic!("{key} of {value} is no whole number"))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    field(value, key).as_str().unwrap_or_else(|| panic!("{key} of {value} is no text"))
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    field(value, key).as_array().unwrap_or_else(|| panic!("{key} of {value} is no list"))
}

/// Seconds as the tables write them, to the microsecond.
fn seconds(value: &Value) -> Duration {
    let seconds = value.as_f64().unwrap_or_else(|| panic!("{value} is no number of seconds"));
    Duration::from_micros((seconds * 1e6).round() as u64)
}

/// Tokens as the tables write them, in thousandths.
fn milli(value: &Value) -> u64 {
    let tokens = value.as_f64().unwrap_or_else(|| panic!("{value} is no number of tokens"));
    (tokens * 1e3).round() as u64
}

fn at_ms(ms: u64) -> Timestamp {
    Timestamp::from_micros(ms * 1_000)
}

fn table(json: &str) -> Value {
    let table: Value = serde_json::from_str(json).expect("the tables are JSON");
    for key in ["repo", "path", "commit", "licence"] {
        assert!(!text(field(&table, "source"), key).is_empty(), "a table names its source");
    }
    table
}
