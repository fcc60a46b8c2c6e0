//! Whole numbers from Python, whose own have no largest.

use std::time::Duration;

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use sluicegate::Timestamp;

use crate::errors;

/// A whole number that fits `T`. One that does not is an `InputError` of code `out_of_range`, anything but a whole number a
/// `TypeError`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Whole<T>(pub(crate) T);

/// A whole number with a largest value.
pub(crate) trait Bounded: Sized {
    const MOST: u64;
}

macro_rules! bounded {
    ($($type:ty),+) => {
        $(impl Bounded for $type {
            const MOST: u64 = <$type>::MAX as u64;
        })+
    };
}
bounded!(u8, u16, u32, u64);

impl<'a, 'py, T> FromPyObject<'a, 'py> for Whole<T>
where
    T: Bounded + FromPyObject<'a, 'py, Error = PyErr>,
{
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        T::extract(object).map(Self).map_err(|error| {
            let py = object.py();
            if error.is_instance_of::<PyOverflowError>(py) {
                let message = format!("{} is out of range: from 0 to {}", &*object, T::MOST);
                errors::wrong(py, "out_of_range", &message)
            } else {
                error
            }
        })
    }
}

impl<'py, T: IntoPyObject<'py>> IntoPyObject<'py> for Whole<T> {
    type Target = T::Target;
    type Output = T::Output;
    type Error = T::Error;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
        self.0.into_pyobject(py)
    }
}

/// A moment in microseconds since the caller's origin.
pub(crate) const fn moment(micros: Whole<u64>) -> Timestamp {
    Timestamp::from_micros(micros.0)
}

/// A duration in microseconds.
pub(crate) const fn duration(micros: Whole<u64>) -> Duration {
    Duration::from_micros(micros.0)
}

/// Microseconds of a duration, at most the largest number of 64 bits.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
