//! Refusals by quota: the mirror was wrong, the pool is corrected, the call goes elsewhere or waits.

use serde_json::json;
use sluicegate::{EndReason, Event, Outcome, OutcomeClass, Quota, Refusal, WakeReason};

use super::{Desk, at, failed, pair, seconds, single, with};

const REQUESTS: OutcomeClass = OutcomeClass::Throttled(Quota::Requests);
const TOKENS: OutcomeClass = OutcomeClass::Throttled(Quota::Tokens);
const DAY: OutcomeClass = OutcomeClass::Throttled(Quota::Day);

fn learned(desk: &Desk) -> Option<u64> {
    desk.events.iter().rev().find_map(|event| match event {
        Event::LimitLearned { limit, .. } => Some(*limit),
        _ => None,
    })
}

#[test]
fn a_call_throttled_at_one_endpoint_goes_to_another_at_once() {
    for quota in [Quota::Requests, Quota::Tokens, Quota::Day, Quota::Unknown] {
        let mut desk = Desk::new(&pair(&json!({}), &json!({})));
        desk.exchange(1, 10, seconds(1), failed(OutcomeClass::Throttled(quota)));
        let sent = desk.attempts(1);
        assert_eq!(sent.len(), 2, "{quota:?}");
        assert_ne!(sent[0].endpoint, sent[1].endpoint, "{quota:?}");
        assert_eq!(sent[1].at, at(1_000), "{quota:?}");
    }
}

#[test]
fn a_call_throttled_everywhere_waits_for_the_pools() {
    let mut desk = Desk::new(&pair(&json!({"requests_per_minute": 60}), &json!({"requests_per_minute": 60})));
    desk.exchange(1, 10, seconds(1), failed(REQUESTS));
    desk.report(desk.last_sent().attempt, failed(REQUESTS));
    assert_eq!(desk.attempts(1).len(), 2);
    assert_eq!(desk.end_of(1), None);
    desk.wake_for(WakeReason::Start);
    let sent = desk.attempts(1);
    assert_eq!(sent.len(), 3);
    assert!(sent[2].at > sent[1].at);
    desk.report(sent[2].attempt, Outcome::success(10));
    assert_eq!(desk.end_of(1), Some(EndReason::Answered));
}

#[test]
fn a_throttled_call_does_not_end_while_its_attempts_and_its_deadline_last() {
    let policy = with(single(&json!({"requests_per_minute": 60})), "retry", json!({"max_attempts": 100}));
    let mut desk = Desk::new(&policy);
    desk.submit_within(1, 10, seconds(600));
    while desk.end_of(1).is_none() && desk.now < at(500_000) {
        let sent = desk.last_sent();
        assert_eq!(sent.at, desk.now);
        desk.report(sent.attempt, failed(REQUESTS));
        desk.wake_for(WakeReason::Start);
    }
    assert_eq!(desk.end_of(1), None);
    assert!(desk.sent.len() < 40, "each refusal pauses the pool for longer: {}", desk.sent.len());
}

#[test]
fn a_throttled_pool_does_not_refuse_calls_that_have_time() {
    let mut desk = Desk::new(&single(&json!({"tokens_per_minute": 60_000})));
    desk.exchange(1, 1_000, seconds(1), failed(TOKENS));
    desk.submit_within(2, 1_000, seconds(120));
    desk.wake_until(at(60_000));
    assert_eq!(desk.end_of(2), None);
    assert_eq!(desk.attempts(2).len(), 1);
}

#[test]
fn refusals_lower_the_limit_and_time_raises_it_again() {
    let pool = json!({"requests_per_minute": 6_000, "burst_permille": 1_000});
    let mut desk = Desk::new(&with(single(&pool), "retry", json!({"max_attempts": 100})));
    desk.submit(0, 10);
    while learned(&desk).is_none() {
        desk.report(desk.last_sent().attempt, failed(REQUESTS));
        desk.wake_for(WakeReason::Start);
    }
    assert!(learned(&desk).is_some_and(|limit| limit < 6_000));
    desk.report(desk.last_sent().attempt, Outcome::success(10));
    // Lowered by a tenth or more; regained by a hundredth of what is declared in each second.
    desk.pass(seconds(200));
    let since = desk.now;
    for id in 1_000..9_000 {
        desk.submit(id, 10);
    }
    desk.wake_until(since.saturating_add(seconds(60)));
    let sent = desk.sent.iter().filter(|sent| sent.at >= since).count();
    assert!((5_900..=6_000).contains(&sent), "{sent}");
}

#[test]
fn attempts_that_were_out_together_lower_the_limit_at_most_once() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 6_000})));
    for id in 0..100 {
        desk.submit(id, 10);
    }
    desk.pass(seconds(1));
    for index in 0..100 {
        desk.report(desk.sent[index].attempt, failed(REQUESTS));
    }
    let lowered = desk.events.iter().filter(|event| matches!(event, Event::LimitLearned { .. })).count();
    assert!(lowered <= 1);
}

#[test]
fn an_undeclared_quota_is_learned_from_refusals() {
    let mut desk = Desk::new(&single(&json!({})));
    for id in 0..50 {
        desk.submit(id, 1_000);
    }
    desk.pass(seconds(1));
    for index in 0..50 {
        let outcome = if index < 40 { Outcome::success(1_000) } else { failed(TOKENS) };
        desk.report(desk.sent[index].attempt, outcome);
    }
    let learned = learned(&desk).expect("a limit was learned");
    // 40,000 in a moment: what a minute of that would have been is bounded at three times as much.
    assert!((30_000..=140_000).contains(&learned), "{learned}");
    let sent = desk.sent.len();
    for id in 100..200 {
        desk.submit(id, 1_000);
    }
    assert_eq!(desk.sent.len(), sent, "the pool pauses");
}

#[test]
fn a_refusal_that_names_the_day_closes_the_pool() {
    let mut desk = Desk::new(&single(&json!({"tokens_per_day": 1_000_000})));
    desk.exchange(1, 10, seconds(1), failed(DAY));
    desk.submit_within(2, 10, seconds(600));
    let Some(EndReason::Refused { why: Refusal::Deadline, retry_at: Some(retry_at) }) = desk.end_of(2) else {
        panic!("{:?}", desk.end_of(2));
    };
    assert_eq!(retry_at, at(3_601_000));
    desk.wake_for(WakeReason::Start);
    assert_eq!(desk.attempts(1).len(), 2, "a call without deadline waits for the pool to open");
    assert_eq!(desk.now, retry_at);
}

#[test]
fn a_day_that_is_used_up_by_our_own_count_closes_the_pool_too() {
    let mut desk = Desk::new(&single(&json!({"tokens_per_day": 1_000})));
    desk.exchange(1, 900, seconds(1), Outcome::success(900));
    desk.submit_within(2, 200, seconds(600));
    assert!(matches!(desk.end_of(2), Some(EndReason::Refused { why: Refusal::Deadline, .. })));
    desk.submit(3, 100);
    assert_eq!(desk.last_sent().call, 3, "what is left can be used");
    desk.submit(4, 200);
    desk.wake_until(at(26 * 3_600_000));
    assert_eq!(desk.attempts(4).len(), 1);
    assert!(desk.attempts(4)[0].at >= at(24 * 3_600_000));
}

#[test]
fn the_services_own_word_on_when_to_come_back_is_obeyed() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 6_000})));
    desk.exchange(1, 10, seconds(1), failed(REQUESTS).retry_after(seconds(7)));
    desk.wake_until(at(60_000));
    assert_eq!(desk.attempts(1)[1].at, at(8_000));
}

#[test]
fn a_model_that_is_being_loaded_is_asked_again_soon() {
    let policy = with(single(&json!({})), "retry", json!({"not_ready": {"curve": "constant", "base_ms": 500}}));
    let mut desk = Desk::new(&policy);
    desk.exchange(1, 10, seconds(1), failed(OutcomeClass::NotReady));
    desk.wake_for(WakeReason::Retry);
    assert_eq!(desk.attempts(1)[1].at, at(1_500));
}
