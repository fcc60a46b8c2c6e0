//! The random numbers that a binding hands to the engine or to a piece of it.

use std::convert::Infallible;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _, TryRng};
use sluicegate::random::Draws;

/// A seeded generator, or a list in its place: what every language offers beside its engine.
///
/// ```
/// use sluicegate::Rng as _;
/// use sluicegate_driver::Generator;
///
/// assert_eq!(Generator::seeded(7).next_u64(), Generator::seeded(7).next_u64());
/// let mut listed = Generator::listed(vec![1, 2]);
/// assert_eq!([listed.next_u64(), listed.next_u64(), listed.next_u64()], [1, 2, 2]);
/// ```
#[derive(Debug)]
pub struct Generator(Source);

#[derive(Debug)]
enum Source {
    Seeded(Box<StdRng>),
    Listed(Draws<Vec<u64>>),
}

impl Generator {
    /// The generator of a [`Desk`](crate::Desk), from a seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Box::new(StdRng::seed_from_u64(seed))))
    }

    /// Answers with these numbers in their order, and then with the last one again; an empty list answers 0.
    #[must_use]
    pub const fn listed(draws: Vec<u64>) -> Self {
        Self(Source::Listed(Draws::new(draws)))
    }
}

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        match &mut self.0 {
            Source::Seeded(rng) => Ok(rng.next_u32()),
            Source::Listed(draws) => Ok(draws.next_u32()),
        }
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        match &mut self.0 {
            Source::Seeded(rng) => Ok(rng.next_u64()),
            Source::Listed(draws) => Ok(draws.next_u64()),
        }
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        match &mut self.0 {
            Source::Seeded(rng) => rng.fill_bytes(target),
            Source::Listed(draws) => draws.fill_bytes(target),
        }
        Ok(())
    }
}
