//! From a document to a policy, and to the schema of it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::{Value, json};

use super::{Endpoint, Fault, ModelId, Policy, Pool, PoolId, Queue, Retry, Section, Tenant};
use crate::backoff::{Backoff, Curve};
use crate::breaker::{BreakerConfig, BreakerMode, BreakerWindow};
use crate::budget::RetryBudgetConfig;
use crate::defaults::*;
use crate::limiter::LimiterConfig;

/// Far above any quota a service grants: the fastest published are some tens of millions of tokens a minute.
const MOST_PER_MINUTE: u64 = 1_000_000_000;
const MOST_PER_DAY: u64 = 1_000_000_000_000;
const MOST_MS: u64 = 7 * 24 * 60 * 60 * 1_000;
const MOST_NAMES: usize = 4_096;

const BREAKER_MODES: &[(&str, BreakerMode)] = &[
    ("enabled", BreakerMode::Enabled),
    ("disabled", BreakerMode::Disabled),
    ("metrics-only", BreakerMode::MetricsOnly),
    ("forced-open", BreakerMode::ForcedOpen),
];

/// An endpoint as written, before its names are looked up.
struct WrittenEndpoint {
    model: String,
    target: Option<String>,
    region: Option<String>,
    geography: Option<String>,
    pools: Vec<String>,
    breaker: BreakerMode,
    pointer: String,
}

pub(super) fn policy(document: &Value) -> (Policy, Vec<Fault>) {
    let mut top = Section::new(Some(document), "");
    let policy = read(&mut top);
    (policy, top.close().0)
}

pub(super) fn schema() -> Value {
    let mut top = Section::new(None, "");
    read(&mut top);
    let mut schema = top.close().1;
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("sluicegate policy");
    schema["required"] = json!(["endpoints"]);
    // What `read` and `resolve` check after the fields, as far as a schema can say it.
    schema["properties"]["endpoints"]["minProperties"] = json!(1);
    let endpoint = &mut schema["properties"]["endpoints"]["additionalProperties"];
    endpoint["required"] = json!(["model", "pools"]);
    endpoint["properties"]["pools"]["minItems"] = json!(1);
    schema
}

fn read(top: &mut Section<'_>) -> Policy {
    top.integer("version", POLICY_VERSION..=POLICY_VERSION, POLICY_VERSION, "The version of this form.");
    let pools = pools(top);
    let written = top.entries("endpoints", "The places calls can be sent, by name.", |_, section| endpoint(section));
    let residency = top.texts("residency", "The geographies calls may be processed in. All, if absent.");
    let retry = top.section("retry", "How calls are tried again.", retry);
    let (breaker, shut_at_most_percent) =
        top.section("breaker", "When a failing endpoint is taken out.", |section| (breaker(section), shut(section)));
    let queue = top.section("queue", "Bounds on waiting.", queue);
    let tenants = top.entries("tenants", "Between whom the quota is shared fairly, by name.", |_, tenant| {
        small(tenant.integer("weight", 1..=1_000, 1, "The tenant's share beside the others'."))
    });
    let tenants = tenants.into_iter().map(|(name, weight)| Tenant { name, weight }).collect();
    let data =
        top.opaque("data", "Facts about services that override the built-in ones; each layer reads its own part.");

    if written.is_empty() {
        top.fault("empty", top.pointer_to("endpoints"), "a policy needs at least one endpoint");
    }
    if written.len() > MOST_NAMES || pools.len() > MOST_NAMES {
        top.fault("out_of_range", String::new(), format!("more than {MOST_NAMES} endpoints or pools"));
    }
    let (models, endpoints) = resolve(top, written, &pools);
    let policy =
        Policy { pools, models, endpoints, residency, retry, breaker, shut_at_most_percent, queue, tenants, data };
    check_residency(top, &policy);
    policy
}

fn pools(top: &mut Section<'_>) -> Vec<Pool> {
    let entries = top.entries("pools", "The quota pools that endpoints draw on, by name.", |_, pool| LimiterConfig {
        requests_per_minute: pool.optional_integer(
            "requests_per_minute",
            1..=MOST_PER_MINUTE,
            "Requests in any minute. Learned from refusals, if absent.",
        ),
        tokens_per_minute: pool.optional_integer(
            "tokens_per_minute",
            1..=MOST_PER_MINUTE,
            "Tokens in any minute, in the service's own counting. Learned from refusals, if absent.",
        ),
        tokens_per_day: pool.optional_integer("tokens_per_day", 1..=MOST_PER_DAY, "Tokens in any 24 hours."),
        concurrency: pool.optional_integer("concurrency", 1..=1_000_000, "Attempts under way at once."),
        burst_permille: pool.integer(
            "burst_permille",
            1..=1_000,
            LimiterConfig::DEFAULT_BURST_PERMILLE,
            "The most that is made up for after a quiet time, in thousandths of a minute's quota.",
        ),
        window_margin: milliseconds(
            pool,
            "window_margin_ms",
            0,
            10_000,
            LimiterConfig::DEFAULT_WINDOW_MARGIN,
            "How much longer than a minute the window is that holds the quota. Each 600 ms cost one per cent of it.",
        ),
    });
    entries.into_iter().map(|(name, limits)| Pool { name, limits }).collect()
}

fn endpoint(section: &mut Section<'_>) -> WrittenEndpoint {
    WrittenEndpoint {
        model: section.text("model", "The model that callers ask for."),
        target: section.optional_text("target", "What is sent instead: an inference profile or an ARN."),
        region: section.optional_text("region", "The source Region. The endpoint's name, if absent."),
        geography: section.optional_text("geography", "The geography it processes calls in, for residency."),
        pools: section.texts("pools", "The pools it draws on, by name; at least one."),
        breaker: section
            .choice("breaker", BREAKER_MODES, "enabled", "What its breaker does: \"forced-open\" takes it out.")
            .unwrap_or(BreakerMode::Enabled),
        pointer: section.pointer_to(""),
    }
}

fn resolve(
    top: &mut Section<'_>,
    written: Vec<(String, WrittenEndpoint)>,
    pools: &[Pool],
) -> (Vec<String>, Vec<Endpoint>) {
    let mut models: Vec<String> = written.iter().map(|(_, endpoint)| endpoint.model.clone()).collect();
    models.sort();
    models.dedup();
    let mut endpoints = Vec::with_capacity(written.len());
    for (name, endpoint) in written {
        let place = endpoint.pointer.trim_end_matches('/');
        if endpoint.pools.is_empty() {
            top.fault("empty", format!("{place}/pools"), "an endpoint draws on at least one pool; name it here");
        }
        let mut found = Vec::with_capacity(endpoint.pools.len());
        for (index, pool) in endpoint.pools.iter().enumerate() {
            match pools.iter().position(|candidate| candidate.name == *pool) {
                Some(index) => found.push(PoolId(u16::try_from(index).unwrap_or(u16::MAX))),
                None => top.fault(
                    "unknown_pool",
                    format!("{place}/pools/{index}"),
                    format!("there is no pool \"{pool}\" under /pools"),
                ),
            }
        }
        let model = models.iter().position(|model| *model == endpoint.model).unwrap_or(0);
        endpoints.push(Endpoint {
            model: ModelId(u16::try_from(model).unwrap_or(u16::MAX)),
            target: endpoint.target.unwrap_or(endpoint.model),
            region: endpoint.region.unwrap_or_else(|| name.clone()),
            geography: endpoint.geography,
            pools: found,
            breaker: endpoint.breaker,
            name,
        });
    }
    (models, endpoints)
}

fn check_residency(top: &mut Section<'_>, policy: &Policy) {
    for (index, model) in policy.models.iter().enumerate() {
        let mut of_model = policy.endpoints.iter().filter(|endpoint| usize::from(endpoint.model.0) == index);
        if !of_model.any(|endpoint| policy.allows(endpoint)) {
            top.fault(
                "residency_excludes_all",
                "/residency".to_string(),
                format!("no endpoint for \"{model}\" has a \"geography\" in this list"),
            );
        }
    }
}

fn retry(section: &mut Section<'_>) -> Retry {
    let max_attempts =
        section.integer("max_attempts", 1..=100, MAX_ATTEMPTS, "Attempts a call gets, the first included.");
    let overloaded = section.section("overloaded", "The delay after a capacity error.", |section| {
        backoff(section, OVERLOADED_BASE_MS, OVERLOADED_CAP_MS)
    });
    let not_ready = section.section("not_ready", "The delay while a model is being loaded.", |section| {
        backoff(section, NOT_READY_BASE_MS, NOT_READY_CAP_MS)
    });
    let other = section
        .section("other", "The delay after anything else.", |section| backoff(section, OTHER_BASE_MS, OTHER_CAP_MS));
    let budget = section.section("budget", "What bounds the retries of all calls together.", |section| {
        let preset = section.choice(
            "preset",
            &[("default", RetryBudgetConfig::DEFAULT), ("aws-standard", RetryBudgetConfig::AWS_STANDARD)],
            "default",
            "A known budget: \"aws-standard\" is what the AWS SDKs keep. The fields below belong to \"default\".",
        );
        let ratio = section.integer(
            "ratio_permille",
            0..=10_000,
            BUDGET_RATIO_PERMILLE,
            "Retries per thousand calls that succeed at once.",
        );
        let per_second = section.integer("per_second", 1..=100_000, BUDGET_PER_SECOND, "Retries allowed a second.");
        let capacity = section.integer("capacity", 1..=1_000_000, BUDGET_CAPACITY, "Retries that can be saved up.");
        match preset {
            Some(RetryBudgetConfig::AWS_STANDARD) => RetryBudgetConfig::AWS_STANDARD,
            _ => RetryBudgetConfig {
                capacity: capacity * 1_000,
                deposit: ratio,
                per_second: per_second * 1_000,
                ..RetryBudgetConfig::DEFAULT
            },
        }
    });
    Retry {
        max_attempts: u32::try_from(max_attempts).unwrap_or(u32::MAX),
        overloaded,
        not_ready,
        other,
        timed_out: section.boolean("timed_out", false, "Try again what the service gave up on; it was charged."),
        model_error: section.boolean("model_error", false, "Try again what the model failed on; it was charged."),
        budget,
    }
}

fn backoff(section: &mut Section<'_>, base_ms: u64, cap_ms: u64) -> Backoff {
    const CURVES: &[(&str, Curve)] = &[
        ("full", Curve::Full),
        ("equal", Curve::Equal),
        ("decorrelated", Curve::Decorrelated),
        ("exponential", Curve::Exponential),
        ("constant", Curve::Constant),
        ("additive", Curve::Additive),
    ];
    const PRESETS: &[(&str, Option<Backoff>)] = &[
        ("none", None),
        ("aws-standard", Some(Backoff::aws_standard_transient())),
        ("aws-standard-throttled", Some(Backoff::aws_standard_throttled())),
        ("aws-legacy", Some(Backoff::aws_legacy())),
        ("seed-article", Some(Backoff::seed_article())),
    ];
    let preset = section.choice("preset", PRESETS, "none", "A known curve, used instead of the fields below.");
    let curve = section.choice("curve", CURVES, "full", "The shape of the delay.");
    let base = section.integer("base_ms", 1..=MOST_MS, base_ms, "The first delay, in milliseconds.");
    let cap = section.integer("cap_ms", 1..=MOST_MS, cap_ms, "The longest delay, in milliseconds, jitter included.");
    if base > cap {
        let message = format!("base_ms ({base}) is above cap_ms ({cap})");
        section.fault("inconsistent", section.pointer_to("base_ms"), message);
    }
    preset.flatten().unwrap_or_else(|| {
        Backoff::new(curve.unwrap_or(Curve::Full), Duration::from_millis(base), Duration::from_millis(cap))
    })
}

/// With 100, all may be shut: whatever the endpoints do, none is stormed.
fn shut(section: &mut Section<'_>) -> u8 {
    let percent = section.integer(
        "shut_at_most_percent",
        0..=100,
        SHUT_AT_MOST_PERCENT,
        "The largest share of a model's endpoints that may be shut at once.",
    );
    u8::try_from(percent).unwrap_or(100)
}

fn breaker(section: &mut Section<'_>) -> BreakerConfig {
    let default = BreakerConfig::DEFAULT;
    let failure_rate = section.integer(
        "failure_rate_percent",
        1..=100,
        u64::from(default.failure_rate_percent),
        "Opens when at least this share of the attempts failed.",
    );
    let slow_rate = section.integer(
        "slow_rate_percent",
        1..=100,
        u64::from(default.slow_rate_percent),
        "Opens when at least this share of the attempts was slow.",
    );
    let slow_after = section.optional_integer(
        "slow_after_ms",
        1..=MOST_MS,
        "What counts as slow, in milliseconds. Nothing, if absent.",
    );
    let attempts = section.optional_integer("window_attempts", 1..=100_000, "Measure over the last so many attempts.");
    let seconds = section.optional_integer("window_seconds", 1..=3_600, "Measure over the last so many seconds.");
    if attempts.is_some() && seconds.is_some() {
        let place = section.pointer_to("window_seconds");
        section.fault("inconsistent", place, "window_attempts and window_seconds exclude each other; keep one");
    }
    let window = match (attempts, seconds) {
        (Some(attempts), _) => BreakerWindow::Attempts(small(attempts)),
        (None, Some(seconds)) => BreakerWindow::Seconds(small(seconds)),
        (None, None) => default.window,
    };
    let minimum = section.integer(
        "minimum_attempts",
        1..=100_000,
        u64::from(default.minimum_attempts),
        "Fewer attempts than this decide nothing.",
    );
    let open_for = milliseconds(section, "open_ms", 1, MOST_MS, default.open_for, "How long it stays open at first.");
    let open_at_most =
        milliseconds(section, "open_at_most_ms", 1, MOST_MS, default.open_at_most, "The longest it stays open.");
    let probes = section.integer("probes", 1..=1_000, u64::from(default.probes), "Probes that must be good to close.");
    let jitter = section.integer(
        "open_jitter_permille",
        0..=1_000,
        u64::from(default.open_jitter_permille),
        "How much longer it may stay open at random, in thousandths.",
    );
    BreakerConfig {
        mode: default.mode,
        failure_rate_percent: small(failure_rate),
        slow_rate_percent: small(slow_rate),
        slow_after: slow_after.map(Duration::from_millis),
        window,
        minimum_attempts: small(minimum),
        open_for,
        open_at_most,
        open_jitter_permille: small(jitter),
        probes: small(probes),
    }
}

fn queue(section: &mut Section<'_>) -> Queue {
    let capacity = section.integer("capacity", 1..=10_000_000, QUEUE_CAPACITY, "Calls that may wait at once.");
    let deadline = section.optional_integer(
        "deadline_ms",
        1..=MOST_MS,
        "The deadline of a call that brings none, in milliseconds from its submission.",
    );
    let lease = milliseconds(
        section,
        "lease_ms",
        1_000,
        MOST_MS,
        Duration::from_millis(LEASE_MS),
        "How long an attempt may be out before its permit is taken back.",
    );
    let target_wait = section.optional_integer(
        "target_wait_ms",
        1..=MOST_MS,
        "Refuse at once what would have to wait longer, in milliseconds, so that overload is shed early.",
    );
    let priority_step = milliseconds(
        section,
        "priority_step_ms",
        0,
        3_600_000,
        Duration::from_millis(PRIORITY_STEP_MS),
        "How much waiting one level of priority is worth, so that low priorities are served in the end.",
    );
    Queue {
        capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
        deadline: deadline.map(Duration::from_millis),
        lease,
        target_wait: target_wait.map(Duration::from_millis),
        priority_step,
    }
}

fn milliseconds(
    section: &mut Section<'_>,
    key: &'static str,
    least: u64,
    most: u64,
    default: Duration,
    doc: &str,
) -> Duration {
    let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(section.integer(key, least..=most, default, doc))
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
