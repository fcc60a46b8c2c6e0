//! The peers' pieces against the vectors that their own projects keep.

#![expect(clippy::unwrap_used, clippy::float_cmp, reason = "vectors are complete, and name exact numbers")]

use std::time::Duration;

use serde_json::Value;
use sluicegate::Timestamp;
use sluicegate_sim::{AwsClass, CubicLimiter, RetryQuota, StandardMode, cubic_rate};

const V2_1: &str = include_str!("../../../tests/vectors/peers/aws_standard_retry_v2_1.json");
const V2_0: &str = include_str!("../../../tests/vectors/peers/aws_standard_retry_v2_0.json");
const CUBIC: &str = include_str!("../../../tests/vectors/peers/aws_adaptive_cubic.json");
/// The vectors pin the jitter factor to 1.
const FULL_JITTER: u64 = u64::MAX;

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn seconds(value: &Value) -> Duration {
    Duration::from_secs_f64(value.as_f64().unwrap())
}

fn at(value: &Value) -> Timestamp {
    Timestamp::from_micros(u64::try_from(seconds(value).as_micros()).unwrap())
}

/// Replays the scripted responses of every case that has them; answers how many cases that were.
fn replay(text: &str, mode: StandardMode) -> usize {
    let cases = parse(text);
    let mut replayed = 0;
    for case in cases["cases"].as_array().unwrap() {
        let Some(steps) = case["steps"].as_array() else { continue };
        let given = |key| case["given"][key].as_u64().map(|number| u32::try_from(number).unwrap());
        let mut mode = StandardMode { max_attempts: given("max_attempts").unwrap_or(mode.max_attempts), ..mode };
        if let Some(longest) = case["given"].get("max_backoff_time") {
            mode.longest = seconds(longest);
        }
        let mut quota = RetryQuota::with(mode, given("initial_retry_tokens").unwrap_or(500));
        let (mut attempts, mut cost) = (0, None);
        for (number, step) in steps.iter().enumerate() {
            let place = format!("{} step {number}", case["id"]);
            let (response, expected) = (&step["response"], &step["expected"]);
            let class = match (response["status_code"].as_u64().unwrap(), response.get("error_code")) {
                (200, _) => AwsClass::Success,
                (_, Some(_)) => AwsClass::Throttling,
                (500.., None) => AwsClass::Transient,
                _ => AwsClass::Final,
            };
            attempts += 1;
            let hint = response["headers"]["x-amz-retry-after"].as_str().and_then(|text| text.parse().ok());
            let found = match class {
                AwsClass::Success => {
                    quota.succeed(cost.take());
                    attempts = 0;
                    "success"
                }
                AwsClass::Final => "fail_request",
                _ if attempts >= mode.max_attempts => "max_attempts_exceeded",
                _ => match quota.withdraw(class) {
                    None => "retry_quota_exceeded",
                    Some(taken) => {
                        cost = Some(taken);
                        let delay = mode.delay(class, attempts - 1, FULL_JITTER, hint.map(Duration::from_millis));
                        assert_eq!(delay, seconds(&expected["delay"]), "{place}");
                        "retry_request"
                    }
                },
            };
            assert_eq!(found, expected["outcome"], "{place}");
            if let Some(left) = expected["retry_quota"].as_u64() {
                assert_eq!(u64::from(quota.left()), left, "{place}");
            }
            if matches!(found, "fail_request" | "max_attempts_exceeded" | "retry_quota_exceeded") {
                (attempts, cost) = (0, None);
            }
        }
        replayed += 1;
    }
    replayed
}

#[test]
fn the_standard_mode_of_2026_retries_as_its_vectors_say() {
    // All but the case of several threads, which scripts no steps.
    assert_eq!(replay(V2_1, StandardMode::V2_1), 18);
}

#[test]
fn the_standard_mode_before_retries_as_its_vectors_say() {
    assert_eq!(replay(V2_0, StandardMode::V2_0), 6);
}

#[track_caller]
fn close(found: f64, wanted: &Value, what: &str) {
    let wanted = wanted.as_f64().unwrap();
    assert!((found - wanted).abs() < 1e-6, "{what}: {found} instead of {wanted}");
}

#[test]
fn cubic_grows_as_its_table_says() {
    let vectors = parse(CUBIC);
    let table = &vectors["cubic_successes"];
    let (w_max, start) =
        (table["given"]["w_max"].as_f64().unwrap(), table["given"]["t_last_throttle"].as_f64().unwrap());
    for row in table["rows"].as_array().unwrap() {
        close(cubic_rate(w_max, row["t"].as_f64().unwrap() - start), &row["rate"], &row.to_string());
    }
}

#[test]
fn the_adaptive_limiter_measures_and_fills_as_its_table_says() {
    let vectors = parse(CUBIC);
    let mut limiter = CubicLimiter::default();
    let rows = vectors["limiter_sending_rates"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 17);
    for row in rows {
        limiter.update(at(&row["t"]), row["throttled"].as_bool().unwrap());
        close(limiter.measured(), &row["measured_tx_rate"], &row.to_string());
        close(limiter.fill_rate(), &row["fill_rate"], &row.to_string());
    }
}

#[test]
fn the_rate_clock_counts_half_seconds() {
    for case in parse(CUBIC)["botocore_rate_clocker"].as_array().unwrap() {
        let mut limiter = CubicLimiter::default();
        case["updates_at"].as_array().unwrap().iter().for_each(|time| limiter.update(at(time), false));
        if let Some(measured) = case.get("measured") {
            close(limiter.measured(), measured, &case.to_string());
        }
        if let Some(about) = case.get("measured_almost") {
            assert!((limiter.measured() - about.as_f64().unwrap()).abs() < 1e-4, "{case}");
        }
        if let Some(between) = case.get("measured_between") {
            let (low, high) = (between[0].as_f64().unwrap(), between[1].as_f64().unwrap());
            assert!((low..high).contains(&limiter.measured()), "{case}: {}", limiter.measured());
        }
    }
}

/// The vectors count from a refill at the throttling error.
#[test]
fn the_adaptive_limiter_lets_wait_as_its_cases_say() {
    let vectors = parse(CUBIC);
    let mut limiter = CubicLimiter::default();
    limiter.update(Timestamp::ZERO, true);
    assert_eq!(limiter.fill_rate(), 0.5);
    let first = &vectors["limiter_waits"][0];
    for _ in 0..10 {
        let wait = limiter.acquire(at(&first["acquire"]["t"]), 1).unwrap_err();
        // A microsecond more, so that the wait is enough in whole microseconds.
        assert!(wait.abs_diff(seconds(&first["wait_s"])) <= Duration::from_micros(1), "{wait:?}");
        close(limiter.level(), &first["capacity_after"], "level");
    }
    let last = &vectors["limiter_waits"][2];
    assert_eq!(limiter.acquire(at(&last["acquire"]["t"]), 1), Ok(()));
    close(limiter.level(), &last["capacity_after"], "level");
}
