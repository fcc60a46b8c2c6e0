//! Random numbers as an argument.

use std::convert::Infallible;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng, TryRng};
use wasm_bindgen::prelude::wasm_bindgen;

/// A generator, or a list of numbers in its place.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Random(Source);

#[derive(Debug)]
enum Source {
    Seeded(Box<StdRng>),
    /// The last one repeats.
    Listed(Vec<u64>, usize),
}

#[wasm_bindgen]
impl Random {
    /// The generator that gates use, from a seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Box::new(StdRng::seed_from_u64(seed))))
    }

    /// These numbers in their order; the last one repeats, and an empty list gives 0.
    #[must_use]
    pub fn listed(draws: Vec<u64>) -> Self {
        Self(Source::Listed(draws, 0))
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|draw| (draw >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(match &mut self.0 {
            Source::Seeded(rng) => rng.next_u64(),
            Source::Listed(draws, next) => {
                let draw = draws.get(*next).or(draws.last()).copied().unwrap_or(0);
                *next = next.saturating_add(1);
                draw
            }
        })
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for chunk in target.chunks_mut(8) {
            let bytes = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(bytes.get(..chunk.len()).unwrap_or_default());
        }
        Ok(())
    }
}
