//! How long an endpoint takes to serve, learned from what it served.

use core::time::Duration;

use crate::time::micros;

/// Mean and mean deviation of service times, exponentially weighted, in the way of TCP's retransmission timer
/// (RFC 6298): gains of 1/8 and 1/4, and an allowance of four deviations.
///
/// ```
/// use core::time::Duration;
/// use sluicegate::ServiceTime;
///
/// let mut time = ServiceTime::new();
/// assert_eq!(time.allowance(), Duration::ZERO);
/// time.observe(Duration::from_secs(2));
/// assert_eq!(time.allowance(), Duration::from_secs(6));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceTime {
    mean: u64,
    deviation: u64,
}

impl ServiceTime {
    /// Nothing seen yet: no time is allowed for.
    #[must_use]
    pub const fn new() -> Self {
        Self { mean: 0, deviation: 0 }
    }

    /// One attempt was served in `took`.
    pub fn observe(&mut self, took: Duration) {
        let took = micros(took);
        if self.mean == 0 && self.deviation == 0 {
            self.mean = took;
            self.deviation = took / 2;
            return;
        }
        let gap = took.abs_diff(self.mean);
        self.deviation = self.deviation - self.deviation / 4 + gap / 4;
        self.mean = self.mean - self.mean / 8 + took / 8;
    }

    /// The mean.
    #[must_use]
    pub const fn mean(&self) -> Duration {
        Duration::from_micros(self.mean)
    }

    /// What must be allowed for so that nearly every attempt ends within it: the mean and four deviations.
    #[must_use]
    pub const fn allowance(&self) -> Duration {
        Duration::from_micros(self.mean + 4 * self.deviation)
    }
}
