//! Plays a busy minute of the engine, and each conformance trace, and answers with a digest of every decision, event and
//! wake-up.
//!
//! Compiled twice: for the host, and for WebAssembly without std, where the module may import nothing at all. That the
//! digests agree shows that the core takes nothing from its surroundings and decides alike in both, be an address 32 or
//! 64 bits wide.
#![no_std]

extern crate alloc;

mod dice;
mod digest;
mod life;
mod replay;
#[cfg(target_family = "wasm")]
mod runtime;
mod sha256;
mod traces;

pub use life::play;
pub use traces::{TRACES, digest};
