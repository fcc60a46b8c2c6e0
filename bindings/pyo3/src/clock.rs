//! The gate's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sluicegate::Timestamp;

/// The engine's origin lies at least so long before the first moment: what a restored snapshot counted before its restart
/// needs a past to lie in.
const PAST: Duration = Duration::from_secs(24 * 60 * 60);

/// Microseconds since the Unix epoch, by the system's clock at the start and by the monotonic one from then on.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
    start: Timestamp,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "a driver owns the clock")]
    pub(crate) fn start() -> Self {
        let past = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().max(PAST);
        Self { origin: Instant::now(), start: Timestamp::ZERO.saturating_add(past) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.start.saturating_add(self.origin.elapsed())
    }
}
