//! Admission under one quota pool.

use std::sync::{Arc, Mutex};

use sluicegate::Timestamp;

use crate::errors::{InputError, PolicyError};
use crate::outcome::{Quota, Spent};
use crate::pieces::{lock, section};

/// The answer of a `Limiter`.
#[derive(uniffi::Enum)]
pub(crate) enum Admission {
    /// The attempt may go out.
    Granted {
        /// Settle it exactly once.
        permit: Arc<Permit>,
    },
    /// Not yet. Asking again then succeeds if nothing else was admitted.
    NotBefore {
        /// When to ask again.
        at: u64,
        /// Because of this quota.
        quota: Quota,
    },
    /// All concurrent attempts are out: ask again after the next settlement.
    Busy,
    /// The attempt alone is too large and will never fit.
    Never {
        /// The limit, in tokens.
        limit: u64,
    },
}

/// A reservation in one `Limiter`. Hand it back to its `settle` exactly once.
#[derive(uniffi::Object)]
pub(crate) struct Permit {
    /// Nothing once it is settled.
    permit: Mutex<Option<sluicegate::Permit>>,
    granted_at: u64,
    tokens: u64,
}

#[uniffi::export]
impl Permit {
    /// When it was granted, in microseconds since the origin.
    pub(crate) fn granted_at(&self) -> u64 {
        self.granted_at
    }

    /// The tokens it reserves.
    pub(crate) fn tokens(&self) -> u64 {
        self.tokens
    }
}

/// A limit that was learned from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Record)]
pub(crate) struct LearnedLimit {
    /// Of which quota.
    quota: Quota,
    /// What it is now.
    limit: u64,
}

/// The counters of one quota pool: requests, tokens and tokens per day, and attempts under way.
#[derive(uniffi::Object)]
pub(crate) struct Limiter(Mutex<sluicegate::Limiter>);

#[uniffi::export]
impl Limiter {
    /// `section` is what a policy has for a pool: `requests_per_minute`, `tokens_per_minute`, `tokens_per_day`,
    /// `concurrency`, `burst_permille`, `window_margin_ms`.
    #[uniffi::constructor]
    pub(crate) fn new(section: &str, now: u64) -> Result<Self, PolicyError> {
        let policy = self::section("/pools/a", Some(section))?;
        let limits = policy.pools().first().map(|pool| pool.limits);
        let limits = limits.ok_or(PolicyError::Faulty { faults: Vec::new() })?;
        Ok(Self(Mutex::new(sluicegate::Limiter::new(limits, Timestamp::from_micros(now)))))
    }

    /// Asks for one request of `tokens` tokens and reserves it if it is granted.
    pub(crate) fn acquire(&self, now: u64, tokens: u64) -> Admission {
        match lock(&self.0).acquire(Timestamp::from_micros(now), tokens) {
            sluicegate::Admission::Granted(permit) => {
                let (granted_at, tokens) = (permit.granted_at().as_micros(), permit.tokens());
                let permit = Arc::new(Permit { permit: Mutex::new(Some(permit)), granted_at, tokens });
                Admission::Granted { permit }
            }
            sluicegate::Admission::NotBefore(at, quota) => {
                Admission::NotBefore { at: at.as_micros(), quota: quota.into() }
            }
            sluicegate::Admission::Busy => Admission::Busy,
            sluicegate::Admission::Never(limit) => Admission::Never { limit },
        }
    }

    /// Settles a permit at what was spent. More than was reserved becomes a debt that later attempts wait for. It is misuse
    /// to settle one twice.
    pub(crate) fn settle(&self, now: u64, permit: &Permit, spent: Spent) -> Result<(), InputError> {
        let permit = lock(&permit.permit).take().ok_or(InputError::PermitSettled)?;
        lock(&self.0).settle(Timestamp::from_micros(now), permit, spent.into());
        Ok(())
    }

    /// The service answered an attempt that was admitted here at `at`.
    pub(crate) fn accepted(&self, at: u64) {
        // What was learned of the service's minutes shows in what is granted.
        let _ = lock(&self.0).accepted(Timestamp::from_micros(at));
    }

    /// The service refused an attempt of `tokens` tokens that was admitted here at `at`. Lowers the limit that was wrong and
    /// pauses until the service has refilled. Returns the limit that was learned, if one was.
    pub(crate) fn refused(&self, now: u64, at: u64, tokens: u64, quota: Quota) -> Option<LearnedLimit> {
        let (now, at) = (Timestamp::from_micros(now), Timestamp::from_micros(at));
        let learned = lock(&self.0).refused(now, at, tokens, quota.into());
        learned.map(|(quota, limit)| LearnedLimit { quota: quota.into(), limit })
    }

    /// The service itself said when to come back: nothing is admitted until then.
    pub(crate) fn pause(&self, until: u64) {
        lock(&self.0).pause(Timestamp::from_micros(until));
    }

    /// How much of a limit in force is used at `now`, in thousandths; 0 where there is none.
    pub(crate) fn use_permille(&self, now: u64, quota: Quota) -> u64 {
        lock(&self.0).use_permille(Timestamp::from_micros(now), quota.into())
    }

    /// The limit in force: declared, or lowered or learned after refusals.
    pub(crate) fn limit(&self, quota: Quota) -> Option<u64> {
        lock(&self.0).limit(quota.into())
    }

    /// Attempts under way.
    pub(crate) fn in_flight(&self) -> u64 {
        lock(&self.0).in_flight()
    }
}
