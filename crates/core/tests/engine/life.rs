//! From submit to the one end of a call.

use serde_json::json;
use sluicegate::{CallId, EndReason, Event, Input, Outcome, OutcomeClass, Spent, WakeReason};

use super::{Desk, failed, pair, seconds, single, with};

#[test]
fn a_call_is_sent_answered_and_ended_once() {
    let mut desk = Desk::new(&single(&json!({"tokens_per_minute": 60_000})));
    desk.submit(7, 1_000);
    let sent = desk.last_sent();
    assert_eq!(desk.engine.in_flight(), 1);
    assert_eq!(desk.end_of(7), None);
    desk.pass(seconds(2));
    desk.report(sent.attempt, Outcome::success(400));
    assert_eq!(desk.end_of(7), Some(EndReason::Answered));
    assert_eq!((desk.engine.in_flight(), desk.engine.waiting()), (0, 0));
    assert_eq!(desk.engine.next_wakeup(), None);
    let settled = desk.events.iter().find_map(|event| match event {
        Event::Settled { reserved_tokens, spent_tokens, took, .. } => Some((*reserved_tokens, *spent_tokens, *took)),
        _ => None,
    });
    assert_eq!(settled, Some((1_000, 400, seconds(2))));
    assert!(matches!(desk.events.last(), Some(Event::Ended { attempts: 1, .. })));
}

#[test]
fn a_name_can_be_used_again_after_its_call_has_ended() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.exchange(1, 10, seconds(1), Outcome::success(10));
    desk.exchange(2, 10, seconds(1), Outcome::success(10));
    assert!(desk.input(Input::Submit(super::call(1, 10))).is_ok());
}

#[test]
fn a_request_that_was_turned_down_is_not_repeated() {
    for class in [OutcomeClass::Refused, OutcomeClass::StreamBrokenDelivered] {
        let mut desk = Desk::new(&pair(&json!({}), &json!({})));
        desk.exchange(1, 10, seconds(1), failed(class));
        assert_eq!(desk.end_of(1), Some(EndReason::Failed { class }));
        assert_eq!(desk.sent.len(), 1);
        assert_eq!(desk.engine.next_wakeup(), None);
    }
}

#[test]
fn charged_work_is_repeated_only_where_the_policy_says_so() {
    for (class, key) in [(OutcomeClass::TimedOut, "timed_out"), (OutcomeClass::ModelError, "model_error")] {
        let mut desk = Desk::new(&single(&json!({})));
        desk.exchange(1, 10, seconds(1), failed(class));
        assert_eq!(desk.end_of(1), Some(EndReason::Failed { class }));

        let mut desk = Desk::new(&with(single(&json!({})), "retry", json!({key: true})));
        desk.exchange(1, 10, seconds(1), failed(class));
        assert_eq!(desk.end_of(1), None);
        desk.wake_for(WakeReason::Retry);
        assert_eq!(desk.attempts(1).len(), 2);
    }
}

#[test]
fn a_stream_that_broke_before_anything_was_handed_out_is_repeated() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.exchange(1, 10, seconds(1), failed(OutcomeClass::StreamBroken));
    desk.wake_for(WakeReason::Retry);
    assert_eq!(desk.attempts(1).len(), 2);
}

#[test]
fn the_last_attempt_ends_the_call() {
    let mut desk = Desk::new(&with(single(&json!({})), "retry", json!({"max_attempts": 2})));
    desk.exchange(1, 10, seconds(1), failed(OutcomeClass::Unavailable));
    desk.wake_for(WakeReason::Retry);
    desk.report(desk.last_sent().attempt, failed(OutcomeClass::StreamBroken));
    assert_eq!(desk.end_of(1), Some(EndReason::Failed { class: OutcomeClass::StreamBroken }));
    assert_eq!(desk.sent.len(), 2);
}

#[test]
fn a_waiting_call_can_be_cancelled() {
    let mut desk = Desk::new(&single(&json!({"concurrency": 1})));
    desk.submit(1, 10);
    desk.submit(2, 10);
    desk.does(Input::Cancel(CallId(2)));
    assert_eq!(desk.end_of(2), Some(EndReason::Cancelled));
    desk.report(desk.last_sent().attempt, Outcome::success(10));
    assert_eq!(desk.sent.len(), 1, "the cancelled call is not sent");
}

#[test]
fn a_call_between_two_attempts_can_be_cancelled() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.exchange(1, 10, seconds(1), failed(OutcomeClass::Unavailable));
    desk.does(Input::Cancel(CallId(1)));
    assert_eq!(desk.end_of(1), Some(EndReason::Cancelled));
    assert_eq!(desk.engine.next_wakeup(), None);
}

#[test]
fn a_call_cancelled_in_flight_still_settles_when_it_is_reported() {
    let mut desk = Desk::new(&single(&json!({"tokens_per_minute": 1_000, "burst_permille": 1_000, "concurrency": 1})));
    desk.submit(1, 1_000);
    let sent = desk.last_sent();
    desk.does(Input::Cancel(CallId(1)));
    assert_eq!(desk.end_of(1), Some(EndReason::Cancelled));
    assert_eq!(desk.engine.in_flight(), 1, "its permit is still held");
    desk.submit(2, 900);
    assert_eq!(desk.sent.len(), 1);
    desk.pass(seconds(1));
    desk.report(sent.attempt, Outcome { spent: Spent::Tokens(50), ..failed(OutcomeClass::Cancelled) });
    desk.wake_until(super::at(10_000));
    assert_eq!(desk.last_sent().call, 2, "what it did not spend is there for others within the minute");
    assert_eq!(desk.ended.len(), 1, "the report ends nothing a second time");
}

#[test]
fn a_caller_that_went_away_ends_the_call() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.exchange(1, 10, seconds(1), failed(OutcomeClass::Cancelled));
    assert_eq!(desk.end_of(1), Some(EndReason::Cancelled));
}

#[test]
fn a_permit_that_nobody_settles_comes_back_when_its_lease_expires() {
    let policy = with(single(&json!({"concurrency": 1})), "queue", json!({"lease_ms": 30_000}));
    let mut desk = Desk::new(&policy);
    desk.submit(1, 10);
    desk.submit(2, 10);
    let lost = desk.last_sent();
    desk.wake_for(WakeReason::Lease);
    assert_eq!(desk.now, super::at(30_000));
    assert_eq!(desk.end_of(1), Some(EndReason::Failed { class: OutcomeClass::TimedOut }));
    assert!(desk.events.contains(&Event::LeaseExpired { call: CallId(1), attempt: lost.attempt }));
    assert_eq!(desk.last_sent().call, 2, "the place it held is free");
    assert!(desk.input(Input::Report { attempt: lost.attempt, outcome: Outcome::success(10) }).is_err());
}

#[test]
fn a_report_that_comes_before_the_wake_up_of_its_lease_counts() {
    let policy = with(single(&json!({})), "queue", json!({"lease_ms": 30_000}));
    let mut desk = Desk::new(&policy);
    desk.exchange(1, 10, seconds(31), Outcome::success(10));
    assert_eq!(desk.end_of(1), Some(EndReason::Answered));
}
