//! Tenants and labels by name, where callers have no numbers: the same in every process, version and language.

use sluicegate::{LabelId, Policy, TenantId};
use xxhash_rust::xxh3::xxh3_64;

/// The tenant of this name: the policy's, else one of weight 1 whose number is made from the XXH3-64 hash (seed 0) of the
/// name's bytes. Look it up again when the policy has changed.
///
/// ```
/// use sluicegate::{Policy, TenantId};
/// use sluicegate_bedrock::tenant_named;
///
/// let policy = Policy::from_json(r#"{
///     "pools": {"p": {"requests_per_minute": 60}}, "endpoints": {"e": {"model": "m", "pools": ["p"]}},
///     "tenants": {"batch": {"weight": 1}, "chat": {"weight": 4}}
/// }"#)?;
/// assert_eq!(tenant_named(&policy, "chat"), TenantId(1));
/// assert!(tenant_named(&policy, "somebody else").0 > 1);
/// # Ok::<(), sluicegate::PolicyError>(())
/// ```
#[must_use]
pub fn tenant_named(policy: &Policy, name: &str) -> TenantId {
    policy.tenant(name).unwrap_or_else(|| {
        let known = u32::try_from(policy.tenants().len()).unwrap_or(u32::MAX);
        // Without tenants in the policy, 0 is the one whom callers do not name.
        let first = known.max(1);
        let free = u64::from(u32::MAX - first) + 1;
        TenantId(first + u32::try_from(xxh3_64(name.as_bytes()) % free).unwrap_or(0))
    })
}

/// The label of this name, from 1 on: 0 is that of calls without one. Made from the XXH3-64 hash (seed 0) of the name's
/// bytes, so two names in some hundred share one, which makes what is learned of them less exact and nothing worse.
///
/// ```
/// use sluicegate_bedrock::label_named;
///
/// assert_eq!(label_named("summary"), label_named("summary"));
/// assert_ne!(label_named("summary"), label_named("title"));
/// ```
#[must_use]
pub fn label_named(name: &str) -> LabelId {
    LabelId(1 + u16::try_from(xxh3_64(name.as_bytes()) % u64::from(u16::MAX)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;

    #[test]
    fn names_that_no_policy_knows_never_meet_the_numbers_of_others() {
        let policy = |tenants: &str| {
            let text = format!(
                r#"{{"pools": {{"p": {{}}}}, "endpoints": {{"e": {{"model": "m", "pools": ["p"]}}}}, "tenants": {tenants}}}"#
            );
            Policy::from_json(&text).unwrap()
        };
        let (none, two) = (policy("{}"), policy(r#"{"a": {"weight": 1}, "b": {"weight": 1}}"#));
        for number in 0_u32..1_000 {
            let name = number.to_string();
            assert!(tenant_named(&none, &name).0 >= 1 && tenant_named(&two, &name).0 >= 2, "{name}");
            assert!(label_named(&name).0 >= 1);
        }
        assert_eq!(tenant_named(&two, "b"), TenantId(1));
    }
}
