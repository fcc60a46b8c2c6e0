//! Why a call waits.

use serde_json::json;
use sluicegate::{CallId, OutcomeClass, Phase, Quota, Standing};

use super::{Desk, at, failed, pair, seconds, single, with};

#[test]
fn every_endpoint_that_was_passed_over_says_why() {
    let policy = json!({
        "pools": {
            "slow": {"requests_per_minute": 60, "burst_permille": 1},
            "small": {"tokens_per_minute": 100},
            "busy": {"concurrency": 1},
        },
        "endpoints": {
            "a": {"model": "m", "pools": ["slow"]},
            "b": {"model": "m", "pools": ["small"]},
            "c": {"model": "m", "pools": ["busy"]},
        },
    });
    let mut desk = Desk::new(&policy);
    for id in 0..4 {
        desk.submit(id, 500);
    }
    let waiting = desk.engine.explain(desk.now, CallId(3)).expect("it is under way");
    assert_eq!((waiting.phase, waiting.ahead, waiting.attempts), (Phase::Waiting, Some(1), 0));
    let standing: Vec<Standing> = waiting.endpoints.iter().map(|view| view.standing).collect();
    let start = desk.engine.next_wakeup().expect("calls wait").at;
    assert_eq!(standing, [Standing::Quota(Quota::Requests, start), Standing::TooLarge(100), Standing::Busy]);
    let wait = start.saturating_since(desk.now).as_millis();
    assert_eq!(
        desk.engine.describe(desk.now, &waiting),
        format!(
            "call 3: waiting behind 1 others; a has no requests per minute for {wait} ms; \
             b holds at most 100 tokens; c is busy"
        )
    );
}

#[test]
fn a_call_that_is_out_or_delayed_says_so() {
    let policy = with(single(&json!({})), "retry", json!({"overloaded": {"curve": "constant", "base_ms": 800}}));
    let mut desk = Desk::new(&policy);
    desk.submit(1, 10);
    let out = desk.engine.explain(desk.now, CallId(1)).expect("it is under way");
    assert_eq!((out.phase, out.ahead), (Phase::Out(desk.last_sent().attempt), None));
    desk.report(desk.last_sent().attempt, failed(OutcomeClass::Unavailable));
    let delayed = desk.engine.explain(desk.now, CallId(1)).expect("it is under way");
    assert_eq!((delayed.phase, delayed.attempts), (Phase::Delayed(at(800)), 1));
    assert_eq!(desk.engine.describe(desk.now, &delayed), "call 1: tried again in 800 ms; e is free");
}

#[test]
fn a_shut_endpoint_says_until_when() {
    let mut desk = Desk::new(&pair(&json!({}), &json!({})));
    desk.exchange(1, 10, seconds(1), failed(OutcomeClass::Unusable));
    let explanation = desk.engine.explain(desk.now, CallId(1)).expect("it is under way");
    let shut: Vec<_> =
        explanation.endpoints.iter().filter(|view| view.standing == Standing::Shut(at(301_000))).collect();
    assert_eq!(shut.len(), 1);
}

#[test]
fn residency_is_not_explained_because_it_is_not_considered() {
    let policy = with(pair(&json!({"concurrency": 1}), &json!({})), "residency", json!(["us"]));
    let mut desk = Desk::new(&policy);
    desk.submit(1, 10);
    let explanation = desk.engine.explain(desk.now, CallId(1)).expect("it is under way");
    assert_eq!(explanation.endpoints.iter().map(|view| view.endpoint).collect::<Vec<_>>(), [desk.endpoint("east")]);
}

#[test]
fn a_call_that_has_ended_has_nothing_to_explain() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.exchange(1, 10, seconds(1), sluicegate::Outcome::success(10));
    assert_eq!(desk.engine.explain(desk.now, CallId(1)), None);
}

#[test]
fn explaining_changes_no_decision() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 60, "burst_permille": 1})));
    desk.submit(1, 10);
    desk.submit(2, 10);
    let before = desk.engine.next_wakeup();
    for ahead in 0..5 {
        let _ = desk.engine.explain(at(ahead * 200), CallId(2));
    }
    assert_eq!(desk.engine.next_wakeup(), before);
    desk.wake_until(at(1_020));
    assert_eq!(desk.attempts(2).len(), 1);
}
