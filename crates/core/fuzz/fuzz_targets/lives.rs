//! Whole lives of the engine, read from bytes, in the world that `tests/invariants` watches as well.
#![no_main]
#![allow(dead_code, reason = "the property tests use more of the world than a fuzzer does")]

#[path = "../../tests/invariants/watch/mod.rs"]
mod watch;

use std::sync::atomic::{AtomicU64, Ordering};

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;

/// So that `cargo fuzz fmt` can print it.
#[derive(Debug)]
struct Fate(watch::Fate);

impl<'a> Arbitrary<'a> for Fate {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let all = bytes.len();
        Ok(Self(watch::Fate::read(bytes.bytes(all)?)))
    }

    fn arbitrary_take_rest(bytes: Unstructured<'a>) -> Result<Self> {
        Ok(Self(watch::Fate::read(bytes.take_rest())))
    }
}

/// In all lives so far.
static OPERATIONS: AtomicU64 = AtomicU64::new(0);
const MILLION: u64 = 1_000_000;

fuzz_target!(|fate: Fate| {
    let lived = fate.0.live().operations;
    let before = OPERATIONS.fetch_add(lived, Ordering::Relaxed);
    if before / MILLION < (before + lived) / MILLION {
        eprintln!("{} million operations", (before + lived) / MILLION);
    }
});
