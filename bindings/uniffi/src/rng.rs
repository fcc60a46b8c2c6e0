//! Random numbers as an argument.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _, TryRng};

/// The random numbers that an engine or one of its pieces takes.
#[derive(uniffi::Object)]
pub(crate) struct Rng(Mutex<Source>);

pub(crate) enum Source {
    Seeded(Box<StdRng>),
    Listed { draws: Vec<u64>, next: usize },
}

#[uniffi::export]
impl Rng {
    /// With a seed the same numbers come each time; without one, nobody can tell them.
    #[uniffi::constructor(default(seed = None))]
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let rng = seed.map_or_else(rand::make_rng, StdRng::seed_from_u64);
        Self(Mutex::new(Source::Seeded(Box::new(rng))))
    }

    /// Answers with these numbers in their order, and then with the last one again; an empty list answers 0.
    #[uniffi::constructor]
    pub(crate) fn listed(draws: Vec<u64>) -> Self {
        Self(Mutex::new(Source::Listed { draws, next: 0 }))
    }
}

impl Rng {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Source> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TryRng for Source {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        match self {
            Self::Seeded(rng) => Ok(rng.next_u32()),
            Self::Listed { .. } => self.try_next_u64().map(|draw| (draw >> 32) as u32),
        }
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        match self {
            Self::Seeded(rng) => Ok(rng.next_u64()),
            Self::Listed { draws, next } => {
                let draw = draws.get(*next).or(draws.last()).copied().unwrap_or(0);
                *next = next.saturating_add(1);
                Ok(draw)
            }
        }
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for chunk in target.chunks_mut(8) {
            let bytes = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}
