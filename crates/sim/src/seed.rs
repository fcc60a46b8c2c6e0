//! The generator of the simulator: small, seeded, the same on every platform.

use core::convert::Infallible;

/// `SplitMix64` (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014): one addition
/// and three multiplications a draw, and any seed will do. For simulations only.
///
/// ```
/// use sluicegate_sim::Dice;
/// use sluicegate::Rng;
///
/// let mut dice = Dice::new(1234567);
/// assert_eq!(dice.next_u64(), 6_457_827_717_110_365_317); // the reference implementation's first number
/// ```
#[derive(Clone, Debug)]
pub struct Dice(u64);

/// The odd number next to 2^64 divided by the golden ratio.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

const fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

impl Dice {
    /// A generator that starts at `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of several generators for the same seed that have nothing to do with each other.
    #[must_use]
    pub const fn stream(seed: u64, number: u64) -> Self {
        Self(mix(mix(seed).wrapping_add(STEP.wrapping_mul(number.wrapping_add(1)))))
    }

    const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }
}

impl rand_core::TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.draw() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.draw())
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for chunk in target.chunks_mut(8) {
            let bytes = self.draw().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sluicegate::Rng;

    use super::*;

    #[test]
    fn streams_of_a_seed_differ_and_repeat() {
        let first = |seed, number| Dice::stream(seed, number).next_u64();
        assert_eq!(first(1, 2), first(1, 2));
        let all: std::collections::BTreeSet<u64> =
            (0..30).flat_map(|seed| (0..30).map(move |number| first(seed, number))).collect();
        assert_eq!(all.len(), 900);
    }

    #[test]
    fn bytes_are_the_numbers() {
        let mut bytes = [0; 11];
        Dice::new(5).fill_bytes(&mut bytes);
        assert_eq!(bytes[..8], Dice::new(5).next_u64().to_le_bytes());
    }
}
