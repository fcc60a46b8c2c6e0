//! From a document to a policy, and to the schema of it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::Value;
#[cfg(feature = "schema")]
use serde_json::json;

use super::sections::{MOST_MS, breaker, hedge, milliseconds, output_cap, queue, retry, router, shut, small};
use super::{Endpoint, Fallback, Fault, ModelId, Policy, Pool, PoolId, Section, Tenant};
use crate::breaker::BreakerMode;
use crate::defaults::*;
use crate::limiter::LimiterConfig;

/// Far above any quota a service grants: the fastest published are some tens of millions of tokens a minute.
const MOST_PER_MINUTE: u64 = MOST_TOKENS;
const MOST_PER_DAY: u64 = 1_000_000_000_000;
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
    weight: u32,
    group: u8,
    pointer: String,
}

/// What may serve a model instead, as written.
struct WrittenFallback {
    models: Vec<String>,
    after: Duration,
    pointer: String,
}

pub(super) fn policy(document: &Value) -> (Policy, Vec<Fault>) {
    let mut top = Section::new(Some(document), "");
    let policy = read(&mut top);
    (policy, top.close().0)
}

#[cfg(feature = "schema")]
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
    let fallbacks = top.entries("models", "What may serve a model's calls in its place, by model.", |_, model| {
        let models = model.texts("fallbacks", "Models that may serve instead, the best first. None, if absent.");
        let after = milliseconds(
            model,
            "fallback_after_ms",
            0,
            MOST_MS,
            Duration::from_millis(FALLBACK_AFTER_MS),
            "How long a call waits for the model itself, unless that cannot serve it at all.",
        );
        WrittenFallback { models, after, pointer: model.pointer_to("") }
    });
    let residency = top.texts("residency", "The geographies calls may be processed in. All, if absent.");
    let retry = top.section("retry", "How calls are tried again.", retry);
    let (breaker, shut_at_most_percent) =
        top.section("breaker", "When a failing endpoint is taken out.", |section| (breaker(section), shut(section)));
    let router = top.section("router", "How an endpoint is chosen.", router);
    let hedge = top.section("hedge", "When a call that takes long is sent a second time, elsewhere.", hedge);
    let output_cap = top.section("output_cap", "What is done with the learned length of answers.", output_cap);
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
    let fallbacks = resolve_fallbacks(top, fallbacks, &models);
    let policy = Policy {
        pools,
        models,
        fallbacks,
        endpoints,
        residency,
        retry,
        breaker,
        shut_at_most_percent,
        router,
        hedge,
        output_cap,
        queue,
        tenants,
        data,
    };
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
        weight: small(section.integer(
            "weight",
            1..=1_000,
            1,
            "Its share beside the others' where several can start a call.",
        )),
        group: u8::try_from(section.integer(
            "group",
            0..=255,
            0,
            "Endpoints of a later group serve while none of an earlier one can start a call.",
        ))
        .unwrap_or(u8::MAX),
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
            weight: endpoint.weight,
            group: endpoint.group,
            name,
        });
    }
    (models, endpoints)
}

fn resolve_fallbacks(
    top: &mut Section<'_>,
    written: Vec<(String, WrittenFallback)>,
    models: &[String],
) -> Vec<Fallback> {
    let none = Fallback { models: Vec::new(), after: Duration::from_millis(FALLBACK_AFTER_MS) };
    let mut fallbacks = vec![none; models.len()];
    let find = |name: &str| models.iter().position(|model| model == name);
    for (name, fallback) in written {
        let place = fallback.pointer.trim_end_matches('/');
        let Some(of) = find(&name) else {
            top.fault("unknown_model", place.to_string(), format!("no endpoint under /endpoints serves \"{name}\""));
            continue;
        };
        fallbacks[of].after = fallback.after;
        for (index, model) in fallback.models.iter().enumerate() {
            let place = format!("{place}/fallbacks/{index}");
            match find(model) {
                Some(same) if same == of => top.fault("inconsistent", place, "a model is no fallback for itself"),
                Some(other) => fallbacks[of].models.push(ModelId(u16::try_from(other).unwrap_or(u16::MAX))),
                None => {
                    top.fault("unknown_model", place, format!("no endpoint under /endpoints serves \"{model}\""));
                }
            }
        }
    }
    fallbacks
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
