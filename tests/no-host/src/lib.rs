//! Plays a busy minute of the engine and answers with a digest of every decision, event and wake-up.
//!
//! Compiled twice: for the host, and for WebAssembly without std, where the module may import nothing at all. That the
//! digests agree shows that the core takes nothing from its surroundings and decides alike in both, be an address 32 or
//! 64 bits wide.
#![no_std]

extern crate alloc;

mod dice;
mod digest;
mod life;
#[cfg(target_family = "wasm")]
mod runtime;

pub use life::play;
