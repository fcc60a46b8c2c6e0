//! Random policies.

use serde_json::{Value, json};
use sluicegate::Policy;

use super::Bytes;

const CURVES: [&str; 6] = ["full", "equal", "decorrelated", "exponential", "constant", "additive"];

/// The largest quota of a minute that a policy may declare, and the longest time it may ask for.
const MOST: u64 = 1_000_000_000;
const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// The policies that are in force one after the other, and the seed of the dice.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) policies: Vec<Value>,
    pub(crate) seed: u64,
}

impl Setup {
    pub(crate) fn read(bytes: &mut Bytes<'_>) -> Self {
        let seed = bytes.raw(8);
        let policies = (0..=bytes.below(3)).map(|_| policy(bytes)).collect();
        Self { policies, seed }
    }

    /// The first policy alone with one model, so that no two queues draw on one pool.
    pub(crate) fn one_model(mut self) -> Self {
        self.policies.truncate(1);
        let endpoints = self.policies[0]["endpoints"].as_object_mut().expect("it has endpoints");
        for endpoint in endpoints.values_mut() {
            endpoint["model"] = json!("a");
        }
        self.policies[0]["models"] = json!({});
        self
    }
}

/// Either model may serve the other's calls, where there are two.
fn fallbacks(bytes: &mut Bytes<'_>, endpoints: &Value) -> Value {
    let served = |model: &str| endpoints.as_object().is_some_and(|all| all.values().any(|one| one["model"] == model));
    let (which, after) = (bytes.byte(), bytes.below(20_000));
    match which {
        200.. if served("a") && served("b") => {
            let (model, other) = if which % 2 == 0 { ("a", "b") } else { ("b", "a") };
            json!({model: {"fallbacks": [other], "fallback_after_ms": after}})
        }
        _ => json!({}),
    }
}

/// The names are few, so that two policies share some.
fn policy(bytes: &mut Bytes<'_>) -> Value {
    let mut policy = json!({"pools": {}, "endpoints": {}, "tenants": {}});
    for index in 0..3 {
        policy["pools"][format!("p{index}")] = pool(bytes);
    }
    for index in 0..=bytes.below(4) {
        policy["endpoints"][format!("e{}", (index + bytes.below(2)) % 4)] = endpoint(bytes);
    }
    for index in 0..bytes.below(3) {
        policy["tenants"][format!("t{}", index + bytes.below(2))] = json!({"weight": 1 + bytes.below(10)});
    }
    policy["models"] = fallbacks(bytes, &policy["endpoints"]);
    policy["retry"] = retry(bytes);
    policy["breaker"] = breaker(bytes);
    policy["queue"] = queue(bytes);
    policy["router"] = json!({
        "group_wait_ms": bytes.below(20_000),
        "affinity_wait_ms": bytes.below(20_000),
        "affinity_ttl_ms": bytes.below(600_000),
    });
    if bytes.chance(120) {
        policy["hedge"] = json!({
            "after_permille": 500 + bytes.below(500),
            "share_permille": 1 + bytes.below(1_000),
            "pool_use_at_most_permille": bytes.below(1_001),
        });
    }
    policy["output_cap"] = json!({"clamp": bytes.chance(100), "minimum_answers": 100});
    if bytes.chance(100) {
        let mut restricted = policy.clone();
        restricted["residency"] = json!(["eu"]);
        // Some model may have no endpoint there.
        if Policy::parse(&restricted).is_ok() {
            policy = restricted;
        }
    }
    policy
}

fn pool(bytes: &mut Bytes<'_>) -> Value {
    let mut pool = json!({"burst_permille": 1 + bytes.below(1_000), "window_margin_ms": bytes.below(1_000)});
    let limits = bytes.byte();
    if limits & 1 > 0 {
        pool["requests_per_minute"] = json!(1 + bytes.wide(120, MOST - 1));
    }
    if limits & 2 > 0 {
        pool["tokens_per_minute"] = json!(1_000 + bytes.wide(59_000, MOST - 1_000));
    }
    if limits & 12 == 12 {
        pool["tokens_per_day"] = json!(20_000 + bytes.wide(180_000, MOST));
    }
    if limits & 48 == 48 {
        pool["concurrency"] = json!(1 + bytes.wide(4, 999_999));
    }
    pool
}

fn endpoint(bytes: &mut Bytes<'_>) -> Value {
    let place = bytes.byte();
    let pools: Vec<String> =
        (0..3).filter(|pool| (1 + place % 7) >> pool & 1 > 0).map(|pool| format!("p{pool}")).collect();
    json!({
        "pools": pools,
        "model": if place & 64 > 0 { "b" } else { "a" },
        "geography": if place & 128 > 0 { "eu" } else { "us" },
        "breaker": match bytes.byte() {
            250.. => "forced-open",
            240.. => "metrics-only",
            230.. => "disabled",
            _ => "enabled",
        },
        "weight": 1 + bytes.below(5),
        "group": bytes.below(2),
    })
}

fn retry(bytes: &mut Bytes<'_>) -> Value {
    let mut backoff = || {
        let base = 1 + bytes.below(2_000);
        let cap = base + bytes.wide(60_000, WEEK_MS - base);
        json!({"curve": CURVES[bytes.below(6) as usize], "base_ms": base, "cap_ms": cap})
    };
    let (overloaded, other) = (backoff(), backoff());
    let flags = bytes.byte();
    json!({
        "max_attempts": 1 + bytes.below(8),
        "timed_out": flags & 1 == 0,
        "model_error": flags & 2 == 0,
        "overloaded": overloaded,
        "other": other,
        "budget": {
            "preset": if flags > 230 { "aws-standard" } else { "default" },
            "ratio_permille": bytes.below(1_100),
            "per_second": 1 + bytes.below(4),
            "capacity": 1 + bytes.below(6),
        },
    })
}

fn breaker(bytes: &mut Bytes<'_>) -> Value {
    let open = 1 + bytes.below(20_000);
    let mut breaker = json!({
        "failure_rate_percent": 1 + bytes.below(100),
        "minimum_attempts": 1 + bytes.below(5),
        "open_ms": open,
        "open_at_most_ms": open + bytes.wide(60_000, WEEK_MS - open),
        "open_jitter_permille": bytes.below(1_001),
        "probes": 1 + bytes.below(4),
        "shut_at_most_percent": if bytes.chance(60) { bytes.below(101) } else { 100 },
    });
    let window = 1 + bytes.below(20);
    let key = if bytes.chance(100) { "window_seconds" } else { "window_attempts" };
    breaker[key] = json!(window);
    if bytes.chance(60) {
        breaker["slow_after_ms"] = json!(1 + bytes.below(20_000));
        breaker["slow_rate_percent"] = json!(1 + bytes.below(100));
    }
    breaker
}

fn queue(bytes: &mut Bytes<'_>) -> Value {
    let mut queue = json!({
        "capacity": 1 + bytes.below(20),
        "lease_ms": 1_000 + bytes.wide(120_000, WEEK_MS - 1_000),
        "priority_step_ms": bytes.below(20_000),
    });
    if bytes.chance(100) {
        queue["deadline_ms"] = json!(1 + bytes.below(120_000));
    }
    if bytes.chance(60) {
        queue["target_wait_ms"] = json!(1 + bytes.below(60_000));
    }
    queue
}
