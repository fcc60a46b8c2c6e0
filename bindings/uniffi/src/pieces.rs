//! What the engine is made of, each useful alone. The parameters of each are the section of a policy that describes it, as
//! JSON.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use sluicegate::{Policy, Timestamp};

use crate::errors::PolicyError;
use crate::event::BreakerState;
use crate::outcome::micros;
use crate::rng::Rng;

/// Reads one section of a policy, none as an empty one. Faults point into the section.
pub(crate) fn section(pointer: &str, section: Option<&str>) -> Result<Policy, PolicyError> {
    let text = section.unwrap_or("{}");
    let Ok(section) = serde_json::from_str::<Value>(text) else {
        // The core words what is no JSON.
        return Policy::from_json(text).map_err(|error| error.faults.as_slice().into());
    };
    Policy::parse_section(pointer, section).map_err(|error| error.faults.as_slice().into())
}

pub(crate) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long to wait before trying again: a function of the number of retries made, the last delay, the service's hint and
/// one random number.
#[derive(uniffi::Object)]
pub(crate) struct Backoff(sluicegate::Backoff);

#[uniffi::export]
impl Backoff {
    /// `section` is what a policy has under `retry.other`: a `preset`, or `curve`, `base_ms` and `cap_ms`.
    #[uniffi::constructor(default(section = None))]
    pub(crate) fn new(section: Option<String>) -> Result<Self, PolicyError> {
        self::section("/retry/other", section.as_deref()).map(|policy| Self(policy.retry().other))
    }

    /// The delay in microseconds before retry number `retry` (0 for the first), after a delay of `previous_us` (0 before
    /// the first). `hint_us` is the service's own word on when to come back.
    #[uniffi::method(default(previous_us = 0, hint_us = None))]
    pub(crate) fn delay(&self, retry: u32, rng: &Rng, previous_us: u64, hint_us: Option<u64>) -> u64 {
        let previous = Duration::from_micros(previous_us);
        micros(self.0.delay(retry, previous, hint_us.map(Duration::from_micros), &mut *rng.lock()))
    }
}

/// The answer of a `Breaker` to an attempt that wants to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub(crate) enum Verdict {
    /// Pass.
    Pass,
    /// Pass as one of the probes: its end decides.
    Probe,
    /// Shut.
    OpenUntil {
        /// Until when.
        until: u64,
    },
    /// All probes are out: ask again when one has ended.
    ProbesOut,
}

/// A circuit breaker.
#[derive(uniffi::Object)]
pub(crate) struct Breaker(Mutex<sluicegate::Breaker>);

#[uniffi::export]
impl Breaker {
    /// `section` is what a policy has under `breaker`.
    #[uniffi::constructor(default(section = None))]
    pub(crate) fn new(section: Option<String>) -> Result<Self, PolicyError> {
        let policy = self::section("/breaker", section.as_deref())?;
        Ok(Self(Mutex::new(sluicegate::Breaker::new(*policy.breaker()))))
    }

    /// Asks to pass. After `Pass` or `Probe` the attempt must end in `record` or `release`.
    pub(crate) fn acquire(&self, now: u64) -> Verdict {
        match lock(&self.0).acquire(Timestamp::from_micros(now)) {
            sluicegate::BreakerVerdict::Pass => Verdict::Pass,
            sluicegate::BreakerVerdict::Probe => Verdict::Probe,
            sluicegate::BreakerVerdict::OpenUntil(until) => Verdict::OpenUntil { until: until.as_micros() },
            sluicegate::BreakerVerdict::ProbesOut => Verdict::ProbesOut,
        }
    }

    /// An attempt ended after `took_us` microseconds. Returns the new state if it changed.
    pub(crate) fn record(&self, now: u64, failed: bool, took_us: u64, rng: &Rng) -> Option<BreakerState> {
        let took = Duration::from_micros(took_us);
        lock(&self.0).record(Timestamp::from_micros(now), failed, took, &mut *rng.lock()).map(BreakerState::from)
    }

    /// An attempt that was let through ended without saying anything about the endpoint.
    pub(crate) fn release(&self) {
        lock(&self.0).release();
    }

    /// The state as of the last call.
    pub(crate) fn state(&self) -> BreakerState {
        lock(&self.0).state().into()
    }

    /// Share of failures in per cent; nothing while fewer than the minimum were counted.
    pub(crate) fn failure_rate_percent(&self) -> Option<u32> {
        lock(&self.0).failure_rate_percent()
    }
}

/// What a retry is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub(crate) enum RetryKind {
    /// After a refusal by a quota.
    Throttled,
    /// After any other failure.
    Other,
    /// A second attempt beside one that is out.
    Hedge,
}

/// What a budget says to a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub(crate) enum Withdrawal {
    /// It may go out.
    Paid {
        /// What it cost, in thousandths of a retry.
        cost: u64,
    },
    /// There is too little.
    TooLittle {
        /// The earliest time at which the inflow alone allows it; nothing where nothing flows in with time.
        until: Option<u64>,
    },
}

/// A bound on retries and hedges over all calls, so that neither failures nor slowness can multiply the load. What is left
/// and what is charged is in thousandths of a retry.
#[derive(uniffi::Object)]
pub(crate) struct RetryBudget(Mutex<sluicegate::RetryBudget>);

#[uniffi::export]
impl RetryBudget {
    /// `section` is what a policy has under `retry.budget`.
    #[uniffi::constructor(default(section = None))]
    pub(crate) fn new(now: u64, section: Option<String>) -> Result<Self, PolicyError> {
        let policy = self::section("/retry/budget", section.as_deref())?;
        Ok(Self(Mutex::new(sluicegate::RetryBudget::new(policy.retry().budget, Timestamp::from_micros(now)))))
    }

    /// Pays for one retry or hedge.
    pub(crate) fn withdraw(&self, now: u64, kind: RetryKind) -> Withdrawal {
        let kind = match kind {
            RetryKind::Throttled => sluicegate::RetryKind::Throttled,
            RetryKind::Other => sluicegate::RetryKind::Other,
            RetryKind::Hedge => sluicegate::RetryKind::Hedge,
        };
        match lock(&self.0).withdraw(Timestamp::from_micros(now), kind) {
            Ok(cost) => Withdrawal::Paid { cost },
            Err(until) => Withdrawal::TooLittle { until: until.map(Timestamp::as_micros) },
        }
    }

    /// Credits a call that succeeded; `charged` is what its last retry cost, nothing if the first attempt succeeded.
    #[uniffi::method(default(charged = None))]
    pub(crate) fn success(&self, now: u64, charged: Option<u64>) {
        lock(&self.0).success(Timestamp::from_micros(now), charged);
    }

    /// What is left at `now`.
    pub(crate) fn left(&self, now: u64) -> u64 {
        lock(&self.0).left(Timestamp::from_micros(now))
    }
}
