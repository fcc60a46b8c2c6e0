//! The policy's reader: every fault, every default, and the schema that says the same.
#![expect(clippy::expect_used, reason = "helpers of tests may end the test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sluicegate::defaults::*;
use sluicegate::{
    Backoff, BreakerConfig, Curve, EndpointId, FAULT_CODES, LimiterConfig, ModelId, Policy, Queue, Retry,
    RetryBudgetConfig,
};

/// Whether a schema can see the fault, or only whoever compares one place with another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    ByTheSchemaToo,
    ByTheReaderOnly,
}
use Seen::{ByTheReaderOnly, ByTheSchemaToo};

fn smallest() -> Value {
    json!({"pools": {"p": {}}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}})
}

/// The smallest policy with one thing changed.
fn changed(pointer: &str, value: Value) -> Value {
    let mut policy = smallest();
    let mut place = &mut policy;
    for key in pointer.split('/').skip(1) {
        let fields = place.as_object_mut().expect("the pointer leads through objects");
        place = fields.entry(key).or_insert_with(|| json!({}));
    }
    *place = value;
    policy
}

fn without(pointer: &str, key: &str) -> Value {
    let mut policy = smallest();
    policy
        .pointer_mut(pointer)
        .and_then(Value::as_object_mut)
        .and_then(|fields| fields.remove(key))
        .expect("it was there");
    policy
}

/// One fault each: its code, where it is, who sees it.
fn faulty() -> Vec<(&'static str, &'static str, Seen, Value)> {
    let endpoints: Map<String, Value> =
        (0..4_097).map(|index| (format!("e{index:04}"), json!({"model": "m", "pools": ["p"]}))).collect();
    vec![
        ("unknown_field", "/endpoint", ByTheSchemaToo, changed("/endpoint", json!({}))),
        ("unknown_field", "/pools/p/rpm", ByTheSchemaToo, changed("/pools/p/rpm", json!(5))),
        ("unknown_field", "/retry/budget/a~1b~0c", ByTheSchemaToo, changed("/retry/budget", json!({"a/b~c": 1}))),
        ("unknown_model", "/models/x", ByTheReaderOnly, changed("/models/x", json!({}))),
        ("unknown_model", "/models/m/fallbacks/0", ByTheReaderOnly, changed("/models/m/fallbacks", json!(["x"]))),
        ("inconsistent", "/models/m/fallbacks/0", ByTheReaderOnly, changed("/models/m/fallbacks", json!(["m"]))),
        ("out_of_range", "/hedge/after_permille", ByTheSchemaToo, changed("/hedge/after_permille", json!(1_000))),
        ("out_of_range", "/endpoints/e/weight", ByTheSchemaToo, changed("/endpoints/e/weight", json!(0))),
        ("wrong_type", "/queue", ByTheSchemaToo, changed("/queue", json!([]))),
        ("wrong_type", "/retry", ByTheSchemaToo, changed("/retry", json!(6))),
        ("wrong_type", "/data", ByTheSchemaToo, changed("/data", json!(6))),
        ("wrong_type", "/pools/p/concurrency", ByTheSchemaToo, changed("/pools/p/concurrency", json!("10"))),
        ("wrong_type", "/retry/timed_out", ByTheSchemaToo, changed("/retry/timed_out", json!("yes"))),
        ("wrong_type", "/retry/other/curve", ByTheSchemaToo, changed("/retry/other/curve", json!(1))),
        ("wrong_type", "/endpoints/e/model", ByTheSchemaToo, changed("/endpoints/e/model", json!(null))),
        ("wrong_type", "/endpoints/e/pools/1", ByTheSchemaToo, changed("/endpoints/e/pools", json!(["p", 1]))),
        ("out_of_range", "/version", ByTheSchemaToo, changed("/version", json!(2))),
        ("out_of_range", "/pools/p/tokens_per_minute", ByTheSchemaToo, changed("/pools/p/tokens_per_minute", json!(0))),
        ("out_of_range", "/pools/p/concurrency", ByTheSchemaToo, changed("/pools/p/concurrency", json!(-1))),
        ("out_of_range", "/queue/lease_ms", ByTheSchemaToo, changed("/queue/lease_ms", json!(1_000.5))),
        ("out_of_range", "", ByTheReaderOnly, changed("/endpoints", Value::Object(endpoints))),
        ("unknown_choice", "/retry/other/curve", ByTheSchemaToo, changed("/retry/other/curve", json!("steep"))),
        ("unknown_choice", "/retry/budget/preset", ByTheSchemaToo, changed("/retry/budget/preset", json!("aws"))),
        ("missing", "/endpoints/e/model", ByTheSchemaToo, without("/endpoints/e", "model")),
        ("empty", "/endpoints/e/pools", ByTheSchemaToo, without("/endpoints/e", "pools")),
        ("empty", "/endpoints/e/pools", ByTheSchemaToo, changed("/endpoints/e/pools", json!([]))),
        ("empty", "/endpoints/e/region", ByTheSchemaToo, changed("/endpoints/e/region", json!(""))),
        ("empty", "/endpoints", ByTheSchemaToo, changed("/endpoints", json!({}))),
        ("empty", "/endpoints", ByTheSchemaToo, without("", "endpoints")),
        ("empty", "/pools/", ByTheSchemaToo, changed("/pools", json!({"": {}, "p": {}}))),
        ("unknown_pool", "/endpoints/e/pools/1", ByTheReaderOnly, changed("/endpoints/e/pools", json!(["p", "q"]))),
        ("repeated", "/endpoints/e/pools/1", ByTheSchemaToo, changed("/endpoints/e/pools", json!(["p", "p"]))),
        ("inconsistent", "/retry/other/base_ms", ByTheReaderOnly, changed("/retry/other/base_ms", json!(600_000))),
        (
            "inconsistent",
            "/breaker/window_seconds",
            ByTheReaderOnly,
            changed("/breaker", json!({"window_attempts": 5, "window_seconds": 5})),
        ),
        ("residency_excludes_all", "/residency", ByTheReaderOnly, changed("/residency", json!(["eu"]))),
    ]
}

fn found(policy: &Value) -> Vec<(&'static str, String)> {
    let faults = Policy::parse(policy).map_or_else(|error| error.faults, |_| Vec::new());
    assert!(faults.iter().all(|fault| !fault.message.is_empty()));
    faults.into_iter().map(|fault| (fault.code, fault.pointer)).collect()
}

#[test]
fn every_fault_is_named_by_code_and_place() {
    for (code, pointer, _, policy) in faulty() {
        assert_eq!(found(&policy), [(code, pointer.to_owned())], "{policy:#}");
    }
}

#[test]
fn a_document_that_is_no_object_is_of_the_wrong_type() {
    let found = found(&json!([]));
    assert_eq!(found.first(), Some(&("wrong_type", String::new())));
}

#[test]
fn every_code_has_a_case() {
    let mut covered: BTreeSet<&str> = faulty().iter().map(|(code, ..)| *code).collect();
    let not_json = Policy::from_json("{\"endpoints\": ").expect_err("it ends too early");
    assert_eq!(not_json.faults.len(), 1);
    covered.insert(not_json.faults[0].code);
    assert_eq!(covered, FAULT_CODES.iter().copied().collect());
}

#[test]
fn a_policy_with_seven_faults_names_all_seven() {
    let policy = json!({
        "pool": {},
        "pools": {"p": {"tokens_per_minute": 0, "concurrency": "ten"}},
        "endpoints": {"e": {"pools": ["p", "q", "p"]}},
        "retry": {"overloaded": {"curve": "steep"}},
    });
    let faults: BTreeSet<_> = found(&policy).into_iter().collect();
    let expected = [
        ("missing", "/endpoints/e/model"),
        ("out_of_range", "/pools/p/tokens_per_minute"),
        ("repeated", "/endpoints/e/pools/2"),
        ("unknown_choice", "/retry/overloaded/curve"),
        ("unknown_field", "/pool"),
        ("unknown_pool", "/endpoints/e/pools/1"),
        ("wrong_type", "/pools/p/concurrency"),
    ];
    assert_eq!(faults, expected.into_iter().map(|(code, pointer)| (code, pointer.to_owned())).collect());
    let error = Policy::parse(&policy).expect_err("it has faults");
    assert!(error.to_string().starts_with("the policy has 7 faults\n"), "{error}");
}

#[test]
fn what_is_left_out_is_the_named_default() {
    let policy = Policy::parse(&smallest()).expect("it is right");
    let full = |base, cap| Backoff::new(Curve::Full, Duration::from_millis(base), Duration::from_millis(cap));
    let retry = Retry {
        max_attempts: u32::try_from(MAX_ATTEMPTS).expect("it is small"),
        overloaded: full(OVERLOADED_BASE_MS, OVERLOADED_CAP_MS),
        not_ready: full(NOT_READY_BASE_MS, NOT_READY_CAP_MS),
        other: full(OTHER_BASE_MS, OTHER_CAP_MS),
        timed_out: false,
        model_error: false,
        budget: RetryBudgetConfig::DEFAULT,
    };
    assert_eq!(policy.retry(), &retry);
    assert_eq!(RetryBudgetConfig::DEFAULT.capacity, BUDGET_CAPACITY * 1_000);
    assert_eq!(RetryBudgetConfig::DEFAULT.per_second, BUDGET_PER_SECOND * 1_000);
    assert_eq!(RetryBudgetConfig::DEFAULT.deposit, BUDGET_RATIO_PERMILLE);
    assert_eq!(policy.breaker(), &BreakerConfig::DEFAULT);
    let capacity = usize::try_from(QUEUE_CAPACITY).expect("it is small");
    assert_eq!(
        policy.queue(),
        &Queue {
            capacity,
            deadline: None,
            lease: Duration::from_millis(LEASE_MS),
            target_wait: None,
            priority_step: Duration::from_millis(PRIORITY_STEP_MS)
        }
    );
    assert_eq!(policy.pools()[0].limits, LimiterConfig::unlimited());
    assert_eq!((policy.residency(), policy.data()), (&[][..], None));
    let endpoint = policy.endpoint(EndpointId(0)).expect("it has one");
    assert_eq!((endpoint.target.as_str(), endpoint.region.as_str()), ("m", "e"), "the model and the name");
    assert_eq!(endpoint.geography, None);
}

#[test]
fn what_is_written_is_read() {
    let policy = Policy::parse(&full()).expect("it is right");
    assert_eq!(policy.models(), ["claude", "nova"]);
    assert_eq!(policy.model("nova"), Some(ModelId(1)));
    assert_eq!(policy.model("eu.claude"), Some(ModelId(0)), "what is sent names the model too");
    assert_eq!(policy.model("other"), None);
    let names: Vec<&str> = policy.endpoints().iter().map(|endpoint| endpoint.name.as_str()).collect();
    assert_eq!(names, ["frankfurt", "stockholm"]);
    assert!(policy.endpoints().iter().all(|endpoint| policy.allows(endpoint)));
    assert_eq!(policy.retry().budget, RetryBudgetConfig::AWS_STANDARD);
    assert_eq!(policy.retry().overloaded, Backoff::seed_article());
    assert_eq!(policy.retry().max_attempts, 3);
    assert_eq!(policy.queue().deadline, Some(Duration::from_secs(60)));
    assert_eq!(policy.breaker().slow_after, Some(Duration::from_secs(30)));
    assert_eq!(policy.data(), Some(&json!({"bedrock": {"models": {}}})));
}

/// One of everything.
fn full() -> Value {
    json!({
        "version": 1,
        "pools": {
            "a": {
                "requests_per_minute": 100, "tokens_per_minute": 200_000, "tokens_per_day": 10_000_000,
                "concurrency": 20, "burst_permille": 50, "window_margin_ms": 0,
            },
            "b": {},
        },
        "endpoints": {
            "frankfurt": {
                "model": "claude", "target": "eu.claude", "region": "eu-central-1", "geography": "eu",
                "pools": ["a", "b"],
            },
            "stockholm": {"model": "nova", "geography": "eu", "pools": ["b"]},
        },
        "residency": ["eu"],
        "retry": {
            "max_attempts": 3, "timed_out": true, "model_error": true,
            "overloaded": {"preset": "seed-article"},
            "not_ready": {"curve": "constant", "base_ms": 100, "cap_ms": 100},
            "budget": {"preset": "aws-standard"},
        },
        "breaker": {
            "failure_rate_percent": 60, "slow_rate_percent": 80, "slow_after_ms": 30_000, "window_attempts": 50,
            "minimum_attempts": 10, "open_ms": 1_000, "open_at_most_ms": 10_000, "probes": 2,
        },
        "queue": {"capacity": 100, "deadline_ms": 60_000, "lease_ms": 120_000},
        "data": {"bedrock": {"models": {}}},
    })
}

#[test]
fn the_schema_accepts_what_the_reader_accepts() {
    let schema = jsonschema::validator_for(&Policy::schema()).expect("it is a schema");
    for policy in [smallest(), full()] {
        assert!(Policy::parse(&policy).is_ok());
        let errors: Vec<String> = schema.iter_errors(&policy).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0]);
    }
}

#[test]
fn the_schema_refuses_what_is_wrong_in_form() {
    let schema = jsonschema::validator_for(&Policy::schema()).expect("it is a schema");
    for (code, pointer, seen, policy) in faulty() {
        assert_eq!(schema.is_valid(&policy), seen == ByTheReaderOnly, "{code} at {pointer}");
    }
}

/// The schema is committed, so that editors can use it and reviewers see it change. `SLUICEGATE_BLESS=1` writes it.
#[test]
fn the_committed_schema_is_the_one_of_the_reader() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/policy.schema.json");
    let schema = serde_json::to_string_pretty(&Policy::schema()).expect("a value can be written") + "\n";
    if std::env::var_os("SLUICEGATE_BLESS").is_some() {
        std::fs::write(&path, &schema).unwrap_or_else(|error| panic!("{error}"));
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == schema, "tests/policy.schema.json is stale; run this test with SLUICEGATE_BLESS=1");
}
