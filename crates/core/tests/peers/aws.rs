//! The AWS SDKs' standard retry mode, of 2026 and of before.

use std::time::Duration;

use serde_json::Value;
use sluicegate::random::Draws;
use sluicegate::{Backoff, Curve, RetryBudget, RetryBudgetConfig, RetryKind, Timestamp};

use super::{field, list, milli, number, seconds, table, text};

const CASES_V2_1: &str = include_str!("../../../../tests/vectors/peers/aws_standard_retry_v2_1.json");
const CASES_V2_0: &str = include_str!("../../../../tests/vectors/peers/aws_standard_retry_v2_0.json");
const TABLES: &str = include_str!("../../../../tests/vectors/peers/aws_retry_quota_and_backoff.json");

/// The tables pin the jitter factor to 1.
const FULL_JITTER: &[u64] = &[u64::MAX];
const MAX_ATTEMPTS: u64 = 3;
/// Before 2026 every retry cost 5, timeouts 10. We have no price of our own for timeouts: by 2026 the SDKs had given it
/// up as well, and none of the cases has one.
const STANDARD_V2_0: RetryBudgetConfig =
    RetryBudgetConfig { throttled_cost: 5_000, other_cost: 5_000, ..RetryBudgetConfig::AWS_STANDARD };

/// What a user of the pieces writes: a budget, two curves and a number of attempts.
struct Client {
    budget: RetryBudget,
    throttled: Backoff,
    transient: Backoff,
    max_attempts: u64,
}

/// One call as the client goes through its attempts.
#[derive(Default)]
struct Invocation {
    attempts: u32,
    charged: Option<u64>,
}

#[derive(Debug, PartialEq)]
enum Step {
    Success,
    Retry(Duration),
    QuotaExceeded,
    MaxAttempts,
    Fail,
}

impl Client {
    fn on(&mut self, invocation: &mut Invocation, response: &Value) -> Step {
        let now = Timestamp::ZERO;
        invocation.attempts += 1;
        let (kind, backoff) = match (number(response, "status_code"), response.get("error_code")) {
            (200, _) => {
                self.budget.success(now, invocation.charged);
                return Step::Success;
            }
            (_, Some(_)) => (RetryKind::Throttled, self.throttled),
            (500.., None) => (RetryKind::Other, self.transient),
            _ => return Step::Fail,
        };
        if u64::from(invocation.attempts) >= self.max_attempts {
            return Step::MaxAttempts;
        }
        let Ok(charged) = self.budget.withdraw(now, kind) else { return Step::QuotaExceeded };
        invocation.charged = Some(charged);
        let hint = response.pointer("/headers/x-amz-retry-after").and_then(Value::as_str).and_then(retry_after);
        Step::Retry(backoff.delay(invocation.attempts - 1, Duration::ZERO, hint, &mut Draws::new(FULL_JITTER)))
    }

    fn v2_1(case: &Value) -> Self {
        let transient = match field(case, "given").get("max_backoff_time") {
            Some(cap) => Backoff::new(Curve::Full, Duration::from_millis(50), seconds(cap)),
            None => Backoff::aws_standard_transient(),
        };
        Self::new(case, RetryBudgetConfig::AWS_STANDARD, Backoff::aws_standard_throttled(), transient)
    }

    fn v2_0(case: &Value) -> Self {
        let cap = seconds(field(field(case, "given"), "max_backoff_time"));
        let backoff = Backoff::new(Curve::Full, Duration::from_secs(1), cap);
        Self::new(case, STANDARD_V2_0, backoff, backoff)
    }

    fn new(case: &Value, config: RetryBudgetConfig, throttled: Backoff, transient: Backoff) -> Self {
        let given = |key| field(case, "given").get(key).and_then(Value::as_u64);
        let tokens = given("initial_retry_tokens").map_or(config.capacity, |tokens| tokens * 1_000);
        let budget = RetryBudget::with_level(config, tokens, Timestamp::ZERO);
        Self { budget, throttled, transient, max_attempts: given("max_attempts").unwrap_or(MAX_ATTEMPTS) }
    }
}

fn retry_after(header: &str) -> Option<Duration> {
    header.parse().ok().map(Duration::from_millis)
}

fn check(step: &Step, client: &Client, expected: &Value, place: &str) {
    let delay = expected.get("delay").map(seconds);
    let wanted = match text(expected, "outcome") {
        "success" => Step::Success,
        "retry_request" => match (delay, step) {
            (Some(delay), _) => Step::Retry(delay),
            (None, Step::Retry(found)) => Step::Retry(*found),
            (None, _) => panic!("{place}: {step:?} instead of a retry"),
        },
        // The SDKs of polling services delay a call that gets no retry, because its caller asks again at once. We do
        // not: a call that gets no retry has ended, and when the next one goes out is decided when it is submitted.
        "retry_quota_exceeded" => Step::QuotaExceeded,
        "max_attempts_exceeded" => Step::MaxAttempts,
        "fail_request" => Step::Fail,
        other => panic!("{place}: {other}"),
    };
    assert_eq!(*step, wanted, "{place}");
    if let Some(quota) = expected.get("retry_quota") {
        assert_eq!(client.budget.left(Timestamp::ZERO), milli(quota), "{place}");
    }
}

fn replay(cases: &[Value], client: fn(&Value) -> Client) -> usize {
    let mut replayed = 0;
    for case in cases {
        let Some(steps) = case.get("steps").and_then(Value::as_array) else { continue };
        let mut client = client(case);
        let mut invocation = Invocation::default();
        for (index, step) in steps.iter().enumerate() {
            let did = client.on(&mut invocation, field(step, "response"));
            check(&did, &client, field(step, "expected"), &format!("{} step {index}", text(case, "id")));
            if did == Step::Success {
                invocation = Invocation::default();
            }
        }
        replayed += 1;
    }
    replayed
}

#[test]
fn the_standard_mode_of_2026_retries_as_the_sdks_do() {
    assert_eq!(replay(list(&table(CASES_V2_1), "cases"), Client::v2_1), 18);
}

#[test]
fn the_older_standard_mode_can_be_configured() {
    assert_eq!(replay(list(&table(CASES_V2_0), "cases"), Client::v2_0), 6);
}

#[test]
fn two_threads_share_one_budget() {
    let table = table(CASES_V2_1);
    let case = list(&table, "cases").iter().find(|case| case.get("threads").is_some()).expect("there is one");
    let threads = list(case, "threads");
    let mut client = Client::v2_1(case);
    let mut invocations = [Invocation::default(), Invocation::default()];
    let mut next = [0, 0];
    // The order in which the quotas of the table follow from each other.
    for thread in [0, 0, 1, 1, 0] {
        let step = &threads[thread][next[thread]];
        next[thread] += 1;
        let did = client.on(&mut invocations[thread], field(step, "response"));
        check(&did, &client, field(step, "expected"), &format!("thread {thread} step {}", next[thread]));
    }
    assert_eq!(next, [3, 2]);
    assert_eq!(client.budget.left(Timestamp::ZERO), number(case, "expected_final_quota") * 1_000);
}

#[test]
fn the_budget_costs_what_botocore_charges() {
    let table = table(TABLES);
    for (version, config) in [("quota_v2_1", RetryBudgetConfig::AWS_STANDARD), ("quota_v2_0", STANDARD_V2_0)] {
        let quota = field(&table, version);
        assert_eq!(config.capacity, milli(field(quota, "initial")), "{version}");
        assert_eq!(config.capacity, milli(field(quota, "cap")), "{version}");
        assert_eq!(config.throttled_cost, milli(&quota["cost"]["throttling"]), "{version}");
        assert_eq!(config.other_cost, milli(&quota["cost"]["other"]), "{version}");
        assert_eq!(config.deposit, milli(&quota["refund"]["otherwise"]), "{version}");
        assert!(config.refund, "{version}");
    }
    assert_eq!(table["quota_v2_1"]["cost"]["timeout"], table["quota_v2_1"]["cost"]["other"]);
}

#[test]
fn the_delays_are_those_of_botocore() {
    let table = table(TABLES);
    let rows = field(&table, "backoff_v2_1_jitter_1");
    let delay = |retry, hint| {
        Backoff::aws_standard_transient().delay(retry, Duration::ZERO, hint, &mut Draws::new(FULL_JITTER))
    };
    for (retry, expected) in (0..).zip(list(rows, "non_throttling_s")) {
        assert_eq!(delay(retry, None), seconds(expected), "retry {retry}");
    }
    for row in list(rows, "retry_after_ms_header_attempt_1") {
        let header = row[0].as_str().expect("a header is a text");
        assert_eq!(delay(0, retry_after(header)), seconds(&row[1]), "{header}");
    }
}

/// DynamoDB's SDKs start at 25 ms and make four attempts: the same pieces with other numbers.
#[test]
fn a_quicker_curve_is_a_matter_of_configuration() {
    let table = table(TABLES);
    let backoff = Backoff::new(Curve::Full, Duration::from_millis(25), Duration::from_secs(20));
    let mut budget = RetryBudget::new(RetryBudgetConfig::AWS_STANDARD, Timestamp::ZERO);
    for (retry, row) in (0..).zip(list(field(&table, "dynamodb_v2_1"), "rows")) {
        assert!(budget.withdraw(Timestamp::ZERO, RetryKind::Other).is_ok());
        assert_eq!(budget.left(Timestamp::ZERO), milli(field(row, "quota")));
        let delay = backoff.delay(retry, Duration::ZERO, None, &mut Draws::new(FULL_JITTER));
        assert_eq!(delay, seconds(field(row, "delay")));
    }
}
