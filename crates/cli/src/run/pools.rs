//! How much of each quota pool a run used.

use sluicegate::{Policy, PoolId, Quota};
use sluicegate_driver::Gate;

/// The use of one pool, in thousandths of its limits in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct PoolUse {
    /// Requests in the busiest minute.
    pub(crate) requests_peak: u64,
    /// Tokens in the busiest minute.
    pub(crate) tokens_peak: u64,
}

/// The use of every pool.
#[derive(Clone, Debug)]
pub(crate) struct Pools(Vec<PoolUse>);

impl Pools {
    /// Nothing used yet.
    pub(crate) fn new(policy: &Policy) -> Self {
        Self(vec![PoolUse::default(); policy.pools().len()])
    }

    /// Looks at the pools; call it about once a second, so that no busy minute is missed.
    pub(crate) fn sample(&mut self, gate: &Gate) {
        gate.inspect(|engine, now| {
            for (index, pool) in self.0.iter_mut().enumerate() {
                let id = PoolId(u16::try_from(index).unwrap_or(u16::MAX));
                let mut used = |quota| engine.pool_use_permille(now, id, quota).unwrap_or(0);
                pool.requests_peak = pool.requests_peak.max(used(Quota::Requests));
                pool.tokens_peak = pool.tokens_peak.max(used(Quota::Tokens));
            }
        });
    }

    /// The pools in the policy's order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &PoolUse> {
        self.0.iter()
    }
}
