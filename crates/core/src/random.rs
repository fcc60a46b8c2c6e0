//! Randomness as an argument.
//!
//! The one name through which the core knows a generator is [`Rng`]; each jittered value takes exactly one 64-bit draw
//! and is made from it by integer arithmetic, so that every language and platform turns the same draw into the same
//! number.

pub use rand_core::Rng;

/// Scales one draw to the whole numbers `0..=max`, as the high half of a 128-bit product.
///
/// A draw of 0 gives 0 and a draw of `u64::MAX` gives `max`. The bias is below `max / 2^64`.
#[must_use]
pub const fn scale(draw: u64, max: u64) -> u64 {
    ((draw as u128 * (max as u128 + 1)) >> 64) as u64
}

/// A generator that answers from a list and then repeats its last number: for examples, conformance vectors and tests.
#[derive(Clone, Debug)]
pub struct Draws<D> {
    draws: D,
    next: usize,
}

impl<D: AsRef<[u64]>> Draws<D> {
    /// Answers with `draws` in their order; an empty list answers 0.
    #[must_use]
    pub const fn new(draws: D) -> Self {
        Self { draws, next: 0 }
    }

    /// How many draws were taken.
    #[must_use]
    pub const fn taken(&self) -> usize {
        self.next
    }
}

impl<D: AsRef<[u64]>> rand_core::TryRng for Draws<D> {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.try_next_u64().map(|draw| (draw >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let draws = self.draws.as_ref();
        let draw = draws.get(self.next).or(draws.last()).copied().unwrap_or(0);
        self.next = self.next.saturating_add(1);
        Ok(draw)
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in target.chunks_mut(8) {
            let bytes = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}
