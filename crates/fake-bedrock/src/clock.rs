//! The one place that reads the clock.

use std::time::Instant;

use sluicegate::Timestamp;

/// Real time as microseconds since the fake was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "an adapter: here real time enters the model")]
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(crate) fn now(self) -> Timestamp {
        Timestamp::ZERO.saturating_add(self.origin.elapsed())
    }

    /// The moment as tokio's timers know it.
    pub(crate) fn instant(self, at: Timestamp) -> tokio::time::Instant {
        let since = at.saturating_since(Timestamp::ZERO);
        self.origin.checked_add(since).unwrap_or(self.origin).into()
    }

    pub(crate) async fn sleep_until(self, at: Timestamp) {
        tokio::time::sleep_until(self.instant(at)).await;
    }
}
