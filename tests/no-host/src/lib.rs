//! Plays the life of a call and answers with a digest of every decision.
//!
//! Compiled twice: for the host, and for WebAssembly without std, where the module may import nothing at all. That the
//! digests agree shows that the core takes nothing from its surroundings and decides alike in both.
#![no_std]

mod dice;
mod digest;
#[cfg(target_family = "wasm")]
mod runtime;

use core::fmt::Write as _;
use core::time::Duration;

use sluicegate::random::{Rng as _, scale};
use sluicegate::{Outcome, OutcomeClass, Quota, Timestamp};

use crate::dice::Dice;
use crate::digest::Digest;

/// Plays one life with the dice started at `seed`.
#[must_use]
#[expect(unsafe_code, reason = "an export has a name of its own, which the linker cannot check")]
#[unsafe(no_mangle)]
pub extern "C" fn play(seed: u64) -> u64 {
    let mut dice = Dice::new(seed);
    let mut digest = Digest::new();
    let mut now = Timestamp::ZERO;
    for class in [OutcomeClass::Throttled(Quota::Tokens), OutcomeClass::Overloaded, OutcomeClass::Success] {
        now = now.saturating_add(Duration::from_micros(scale(dice.next_u64(), 5_000_000)));
        let outcome = Outcome::of(class).retry_after(now.saturating_since(Timestamp::ZERO));
        // A digest takes any text.
        let _ = write!(digest, "{now:?} {outcome:?}");
    }
    digest.finish()
}
