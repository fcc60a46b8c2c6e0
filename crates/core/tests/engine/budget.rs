//! One budget bounds the retries of all calls.

use std::collections::BTreeSet;

use serde_json::json;
use sluicegate::{AttemptId, EndReason, Event, OutcomeClass};

use super::{Desk, at, failed, pair, seconds, single, with};

/// Fails every attempt as soon as it went out, up to `end`.
fn outage(desk: &mut Desk, end: sluicegate::Timestamp) {
    let mut reported: BTreeSet<AttemptId> = BTreeSet::new();
    for _ in 0..1_000_000 {
        let out: Vec<AttemptId> =
            desk.sent.iter().map(|sent| sent.attempt).filter(|attempt| !reported.contains(attempt)).collect();
        for attempt in out {
            reported.insert(attempt);
            desk.report(attempt, failed(OutcomeClass::Unavailable));
        }
        match desk.engine.next_wakeup() {
            Some(wakeup) if wakeup.at <= end => {
                desk.now = wakeup.at;
                desk.does(sluicegate::Input::Wake);
            }
            _ => return,
        }
    }
    panic!("the engine never comes to rest");
}

/// Lets every attempt out, so that nothing but the budget bounds the retries.
fn without_breaker(policy: serde_json::Value) -> serde_json::Value {
    with(policy, "breaker", json!({"minimum_attempts": 100_000, "window_attempts": 100_000}))
}

#[test]
fn retries_in_a_total_outage_stay_within_the_budget() {
    let policy = without_breaker(with(
        pair(&json!({}), &json!({})),
        "retry",
        json!({
            "max_attempts": 100,
            "overloaded": {"curve": "constant", "base_ms": 100},
            "budget": {"capacity": 20, "per_second": 2, "ratio_permille": 200},
        }),
    ));
    let mut desk = Desk::new(&policy);
    let calls = 500;
    for id in 0..calls {
        desk.submit_within(id, 10, seconds(30));
    }
    outage(&mut desk, at(29_000));
    let retries = desk.sent.len() as u64 - calls;
    assert!(retries <= 20 + 2 * 29, "{retries} retries");
    assert!(retries >= 50, "and it is used: {retries} retries");
    for second in 0..29 {
        let (from, to) = (at(second * 1_000), at(second * 1_000 + 1_000));
        let in_it = desk.sent[calls as usize..].iter().filter(|sent| from < sent.at && sent.at <= to).count();
        assert!(in_it <= 22, "{in_it} retries in second {second}");
    }
}

#[test]
fn a_retry_that_the_budget_holds_back_waits_for_its_turn_and_says_so() {
    let policy = without_breaker(with(
        single(&json!({})),
        "retry",
        json!({
            "overloaded": {"curve": "constant", "base_ms": 1},
            "budget": {"capacity": 1, "per_second": 1},
        }),
    ));
    let mut desk = Desk::new(&policy);
    for id in 0..4 {
        desk.submit(id, 10);
    }
    for index in 0..4 {
        desk.report(desk.sent[index].attempt, failed(OutcomeClass::Unavailable));
    }
    let planned: Vec<_> = desk
        .events
        .iter()
        .filter_map(|event| match event {
            Event::RetryPlanned { at, bounded, .. } => Some((at.as_micros(), *bounded)),
            _ => None,
        })
        .collect();
    assert_eq!(planned, [(1_000, false), (1_000_000, true), (2_000_000, true), (3_000_000, true)]);
}

#[test]
fn a_retry_that_would_come_after_the_deadline_is_not_charged() {
    let policy = without_breaker(with(
        single(&json!({})),
        "retry",
        json!({
            "overloaded": {"curve": "constant", "base_ms": 5_000},
            "budget": {"capacity": 1, "per_second": 1},
        }),
    ));
    let mut desk = Desk::new(&policy);
    desk.submit_within(1, 10, seconds(2));
    desk.submit(2, 10);
    desk.report(desk.sent[0].attempt, failed(OutcomeClass::Unavailable));
    assert_eq!(desk.end_of(1), Some(EndReason::Failed { class: OutcomeClass::Unavailable }));
    desk.report(desk.sent[1].attempt, failed(OutcomeClass::Unavailable));
    let bounded = desk.events.iter().any(|event| matches!(event, Event::RetryPlanned { bounded: true, .. }));
    assert!(!bounded, "the budget was untouched");
}

#[test]
fn a_budget_without_inflow_ends_the_call() {
    let policy = without_breaker(with(
        single(&json!({})),
        "retry",
        json!({"max_attempts": 100, "overloaded": {"preset": "aws-standard"}, "budget": {"preset": "aws-standard"}}),
    ));
    let mut desk = Desk::new(&policy);
    for id in 0..40 {
        desk.submit(id, 10);
    }
    outage(&mut desk, at(600_000));
    assert_eq!(desk.sent.len(), 40 + 500 / 14);
    assert_eq!(desk.ended.len(), 40);
    assert_eq!(desk.engine.next_wakeup(), None);
}
