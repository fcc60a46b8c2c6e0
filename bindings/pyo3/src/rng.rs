//! Random numbers as an argument.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use rand::Rng as _;
use rand::rngs::StdRng;
use sluicegate_driver::Generator;

use crate::numbers::Whole;

/// The random numbers that an engine or one of its pieces takes.
///
/// With a seed, 0 to 2^64 - 1, the same numbers come each time; without one, nobody can tell them. `Rng.listed` answers
/// from a list.
#[pyclass(frozen, name = "Rng", module = "sluicegate")]
pub(crate) struct PyRng(Mutex<Generator>);

#[pymethods]
impl PyRng {
    #[new]
    #[pyo3(signature = (seed=None))]
    fn new(seed: Option<Whole<u64>>) -> Self {
        let seed = seed.map_or_else(|| rand::make_rng::<StdRng>().next_u64(), |seed| seed.0);
        Self(Mutex::new(Generator::seeded(seed)))
    }

    /// Answers with these numbers of 64 bits in their order, and then with the last one again; an empty list answers 0.
    #[staticmethod]
    fn listed(draws: Vec<Whole<u64>>) -> Self {
        let draws = draws.into_iter().map(|draw| draw.0).collect();
        Self(Mutex::new(Generator::listed(draws)))
    }
}

impl PyRng {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Generator> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
