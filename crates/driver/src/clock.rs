//! The gate's clock.

use std::time::Duration;

use sluicegate::Timestamp;
use tokio::time::Instant;

/// The engine's origin lies at least so long before the first moment: what a restored snapshot counted before its restart
/// needs a past to lie in.
const PAST: Duration = Duration::from_secs(24 * 60 * 60);

/// Microseconds since the Unix epoch, by the system's clock at the start and by the runtime's monotonic one from then on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    start: Timestamp,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let past = since_epoch().max(PAST);
        Self { origin: Instant::now(), start: Timestamp::ZERO.saturating_add(past) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.start.saturating_add(self.origin.elapsed())
    }

    /// When the runtime's clock will say `at`; `None` where it cannot count so far.
    pub(crate) fn instant(&self, at: Timestamp) -> Option<Instant> {
        self.origin.checked_add(at.saturating_since(self.start))
    }
}

#[expect(clippy::disallowed_methods, reason = "a driver owns the clock")]
fn since_epoch() -> Duration {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}
