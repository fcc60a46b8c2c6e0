//! Random numbers as an argument.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sluicegate_driver::Generator;

/// The random numbers that an engine or one of its pieces takes.
#[derive(uniffi::Object)]
pub(crate) struct Rng(Mutex<Generator>);

#[uniffi::export]
impl Rng {
    /// With a seed the same numbers come each time; without one, nobody can tell them.
    #[uniffi::constructor(default(seed = None))]
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(crate::desk::any);
        Self(Mutex::new(Generator::seeded(seed)))
    }

    /// Answers with these numbers in their order, and then with the last one again; an empty list answers 0.
    #[uniffi::constructor]
    pub(crate) fn listed(draws: Vec<u64>) -> Self {
        Self(Mutex::new(Generator::listed(draws)))
    }
}

impl Rng {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Generator> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
