//! Random numbers as an argument.

use sluicegate_driver::Generator;
use wasm_bindgen::prelude::wasm_bindgen;

/// A generator, or a list of numbers in its place.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Random(pub(crate) Generator);

#[wasm_bindgen]
impl Random {
    /// The generator that gates use, from a seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Generator::seeded(seed))
    }

    /// These numbers in their order; the last one repeats, and an empty list gives 0.
    #[must_use]
    pub fn listed(draws: Vec<u64>) -> Self {
        Self(Generator::listed(draws))
    }
}
