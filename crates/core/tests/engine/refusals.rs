//! Calls that are turned away when they come in.

use serde_json::json;
use sluicegate::{EndReason, OutcomeClass, Refusal};

use super::{Desk, at, failed, pair, seconds, single, with};

fn too_large(limit: u64) -> Option<EndReason> {
    Some(EndReason::Refused { why: Refusal::TooLarge { limit }, retry_at: None })
}

#[test]
fn a_call_larger_than_any_pool_is_told_the_largest_size_that_fits() {
    let mut desk = Desk::new(&pair(&json!({"tokens_per_minute": 5_000}), &json!({"tokens_per_minute": 8_000})));
    desk.submit(1, 8_001);
    assert_eq!(desk.end_of(1), too_large(8_000));
    desk.submit(2, 8_000);
    assert_eq!(desk.last_sent().endpoint, desk.endpoint("west"), "the only one that holds it");
}

#[test]
fn the_size_that_fits_is_that_of_the_smallest_pool_of_an_endpoint() {
    let policy = json!({
        "pools": {"a": {"tokens_per_minute": 10_000}, "b": {"tokens_per_minute": 5_000}},
        "endpoints": {"e": {"model": "m", "pools": ["a", "b"]}},
    });
    let mut desk = Desk::new(&policy);
    desk.submit(1, 20_000);
    assert_eq!(desk.end_of(1), too_large(5_000));
}

#[test]
fn the_size_that_fits_is_that_of_the_smaller_quota_of_a_pool() {
    let mut desk = Desk::new(&single(&json!({"tokens_per_minute": 10_000, "tokens_per_day": 5_000})));
    desk.submit(1, 20_000);
    assert_eq!(desk.end_of(1), too_large(5_000));
}

#[test]
fn a_call_larger_than_the_burst_goes_out_when_the_bucket_is_full() {
    let mut desk = Desk::new(&single(&json!({"tokens_per_minute": 10_000})));
    desk.submit(1, 10_000);
    assert_eq!(desk.sent.len(), 1);
}

#[test]
fn a_full_queue_refuses_the_next_call() {
    let policy = with(single(&json!({"requests_per_minute": 60})), "queue", json!({"capacity": 2}));
    let mut desk = Desk::new(&policy);
    for id in 0..4 {
        desk.submit(id, 10);
    }
    assert_eq!(desk.engine.waiting(), 2);
    let Some(EndReason::Refused { why: Refusal::QueueFull, retry_at: Some(retry_at) }) = desk.end_of(3) else {
        panic!("{:?}", desk.end_of(3))
    };
    desk.wake_until(retry_at);
    desk.submit(4, 10);
    assert_eq!(desk.end_of(4), None);
}

#[test]
fn a_call_is_refused_while_no_endpoint_for_its_model_is_usable() {
    let mut desk = Desk::new(&single(&json!({"concurrency": 1})));
    desk.submit(0, 10);
    desk.submit(1, 10);
    desk.pass(seconds(1));
    desk.report(desk.sent[0].attempt, failed(OutcomeClass::Unusable));
    let refused = Some(EndReason::Refused { why: Refusal::NoEndpoint, retry_at: Some(at(301_000)) });
    assert_eq!(desk.end_of(0), Some(EndReason::Failed { class: OutcomeClass::Unusable }));
    assert_eq!(desk.end_of(1), refused, "what waited for it");
    desk.submit(2, 10);
    assert_eq!(desk.end_of(2), refused, "and what comes in");
    desk.now = at(301_000);
    desk.submit(3, 10);
    assert_eq!(desk.last_sent().call, 3, "the time it was told works");
}
