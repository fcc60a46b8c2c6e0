//! Who waits for what, and when exactly it goes out.

use std::time::Duration;

use serde_json::{Value, json};
use sluicegate::{Call, CallId, Input, ModelId, Outcome, Quota, Spent, WakeReason};

use super::{Desk, about, at, call, failed, pair, seconds, single, with};

/// A request a second, and none saved up.
fn a_request_a_second() -> Value {
    single(&json!({"requests_per_minute": 60, "burst_permille": 1}))
}

#[test]
fn a_call_goes_out_at_exactly_the_promised_time() {
    let mut desk = Desk::new(&a_request_a_second());
    desk.submit(0, 10);
    desk.submit(1, 10);
    assert_eq!(desk.sent.len(), 1);
    let promised = desk.engine.next_wakeup().expect("a call waits").at;
    about(promised, 1_000);
    desk.now = promised.saturating_sub(Duration::from_micros(1));
    desk.does(Input::Wake);
    assert_eq!(desk.sent.len(), 1, "not before");
    desk.wake_for(WakeReason::Start);
    assert_eq!((desk.last_sent().call, desk.last_sent().at), (1, promised));
}

#[test]
fn waiting_calls_are_released_one_by_one() {
    let mut desk = Desk::new(&a_request_a_second());
    for id in 0..20 {
        desk.submit(id, 10);
    }
    for id in 1..20 {
        desk.wake_for(WakeReason::Start);
        assert_eq!(desk.sent.len() as u64, id + 1);
        assert_eq!(desk.last_sent().call, id);
        about(desk.now, id * 1_000);
    }
}

#[test]
fn what_was_not_spent_is_there_at_once_for_the_next_call() {
    let mut desk = Desk::new(&single(&json!({"tokens_per_minute": 60_000})));
    desk.submit(1, 6_000);
    desk.submit(2, 6_000);
    assert_eq!(desk.sent.len(), 1);
    desk.report(desk.sent[0].attempt, Outcome::success(0));
    assert_eq!(desk.last_sent().call, 2);
}

#[test]
fn an_attempt_that_never_left_gives_back_its_request_too() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 1})));
    desk.submit(1, 10);
    desk.submit(2, 10);
    let never_sent = Outcome { spent: Spent::NeverSent, ..failed(sluicegate::OutcomeClass::Cancelled) };
    desk.report(desk.sent[0].attempt, never_sent);
    assert_eq!(desk.last_sent().call, 2);
}

#[test]
fn a_settlement_above_the_reservation_is_a_debt_that_later_calls_wait_for() {
    let mut desk = Desk::new(&single(&json!({"tokens_per_minute": 60_000})));
    desk.submit(1, 1_000);
    desk.report(desk.sent[0].attempt, Outcome::success(21_000));
    desk.submit(2, 1_000);
    assert_eq!(desk.sent.len(), 1);
    desk.wake_for(WakeReason::Start);
    // 1,200 to begin with, minus 21,000, is 19,800 of debt; at 988 a second it is paid after 20 s, and the call fits after 21.
    about(desk.last_sent().at, 21_000);
}

#[test]
fn a_full_window_holds_calls_back_although_the_pace_would_let_them_go() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 60, "burst_permille": 1_000})));
    // Seven quiet minutes earn the credit for a whole minute's quota, at twice the quota's pace.
    let start = 7 * 60_000;
    desk.submit(0, 10);
    desk.wake_until(at(start));
    for id in 1..=61 {
        desk.submit(id, 10);
    }
    desk.wake_until(at(start + 59_000));
    assert_eq!(desk.sent.len(), 1 + 60);
    desk.wake_for(WakeReason::Start);
    // One minute, the margin of 0.6 s and the slot of 0.1 s that the first went out in.
    assert_eq!(desk.last_sent().at, at(start + 60_700));
}

#[test]
fn higher_priorities_go_first_and_equal_ones_in_order() {
    let mut desk = Desk::new(&single(&json!({"concurrency": 1})));
    desk.submit(0, 10);
    desk.submit(1, 10);
    desk.submit(2, 10);
    desk.does(Input::Submit(call(3, 10).priority(5)));
    desk.does(Input::Submit(call(4, 10).priority(5)));
    while let Some(sent) = desk.sent.last().filter(|sent| desk.end_of(sent.call).is_none()).copied() {
        desk.report(sent.attempt, Outcome::success(10));
    }
    let order: Vec<u64> = desk.sent.iter().map(|sent| sent.call).collect();
    assert_eq!(order, [0, 3, 4, 1, 2]);
}

#[test]
fn a_retry_goes_back_to_its_old_place() {
    let mut desk = Desk::new(&single(&json!({"concurrency": 1})));
    desk.submit(0, 10);
    desk.submit(1, 10);
    desk.submit(2, 10);
    desk.report(desk.last_sent().attempt, failed(sluicegate::OutcomeClass::Unavailable));
    assert_eq!(desk.last_sent().call, 1, "others go while it is delayed");
    desk.wake_for(WakeReason::Retry);
    desk.report(desk.last_sent().attempt, Outcome::success(10));
    assert_eq!(desk.last_sent().call, 0, "and it is the first again when its delay is over");
}

#[test]
fn a_large_call_at_the_head_is_not_starved_by_small_ones() {
    let mut desk = Desk::new(&single(&json!({"tokens_per_minute": 60_000, "burst_permille": 1_000})));
    desk.submit(0, 50_000);
    desk.submit(1, 30_000);
    for id in 2..20 {
        desk.submit(id, 100);
    }
    assert_eq!(desk.sent.len(), 1);
    desk.wake_for(WakeReason::Start);
    assert_eq!(desk.sent[1].call, 1);
}

#[test]
fn residency_is_never_broken() {
    let policy = with(pair(&json!({"concurrency": 1}), &json!({})), "residency", json!(["us"]));
    let mut desk = Desk::new(&policy);
    for id in 0..10 {
        desk.submit(id, 10);
    }
    let east = desk.endpoint("east");
    assert_eq!(desk.sent.len(), 1, "west is free and forbidden");
    for class in [sluicegate::OutcomeClass::Unavailable, sluicegate::OutcomeClass::Throttled(Quota::Requests)] {
        desk.report(desk.last_sent().attempt, failed(class));
        desk.wake_until(desk.now.saturating_add(seconds(60)));
    }
    assert!(desk.sent.len() > 2);
    assert!(desk.sent.iter().all(|sent| sent.endpoint == east));
}

#[test]
fn two_models_share_the_pool_they_both_draw_on() {
    let policy = json!({
        "pools": {"p": {"requests_per_minute": 60, "burst_permille": 1}},
        "endpoints": {"a": {"model": "a", "pools": ["p"]}, "b": {"model": "b", "pools": ["p"]}},
    });
    let mut desk = Desk::new(&policy);
    for id in 0..8 {
        desk.does(Input::Submit(Call::new(CallId(id), ModelId((id % 2) as u16), 10)));
    }
    assert_eq!(desk.sent.len(), 1);
    desk.wake_until(at(7_100));
    let order: Vec<u64> = desk.sent.iter().map(|sent| sent.call).collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 7], "in the order of submission, whatever the model");
}

#[test]
fn an_endpoint_on_two_pools_waits_for_the_slower_one() {
    let policy = json!({
        "pools": {"day": {"requests_per_minute": 10, "burst_permille": 100}, "quick": {"requests_per_minute": 600}},
        "endpoints": {"e": {"model": "m", "pools": ["day", "quick"]}},
    });
    let mut desk = Desk::new(&policy);
    desk.submit(0, 10);
    desk.submit(1, 10);
    desk.wake_for(WakeReason::Start);
    about(desk.last_sent().at, 6_000);
}

#[test]
fn an_undeclared_quota_holds_nothing_back() {
    let mut desk = Desk::new(&single(&json!({})));
    for id in 0..1_000 {
        desk.submit(id, 1_000_000);
    }
    assert_eq!(desk.sent.len(), 1_000);
}

#[test]
fn spurious_wake_ups_change_nothing() {
    let times = |spurious: u64| {
        let mut desk = Desk::new(&a_request_a_second());
        for id in 0..12 {
            desk.submit(id, 10);
        }
        while desk.engine.waiting() > 0 {
            let wakeup = desk.engine.next_wakeup().expect("calls wait");
            let step = wakeup.at.saturating_since(desk.now) / (spurious as u32 + 1);
            for _ in 0..spurious {
                desk.pass(step);
                let sent = desk.sent.len();
                desk.does(Input::Wake);
                assert_eq!((desk.sent.len(), desk.engine.next_wakeup()), (sent, Some(wakeup)));
            }
            desk.now = wakeup.at;
            desk.does(Input::Wake);
        }
        desk.sent.iter().map(|sent| sent.at).collect::<Vec<_>>()
    };
    assert_eq!(times(0), times(7));
}

#[test]
fn a_second_wake_up_at_the_same_time_changes_nothing() {
    let mut desk = Desk::new(&a_request_a_second());
    for id in 0..9 {
        desk.submit(id, 10);
    }
    desk.wake_for(WakeReason::Start);
    let (sent, next) = (desk.sent.len(), desk.engine.next_wakeup());
    desk.does(Input::Wake);
    desk.does(Input::Wake);
    assert_eq!((desk.sent.len(), desk.engine.next_wakeup()), (sent, next));
    assert!(next.is_some_and(|next| next.at > desk.now));
}

#[test]
fn what_comes_back_is_noticed_even_if_somebody_asked_for_less_in_between() {
    let mut desk = Desk::new(&single(&json!({"tokens_per_minute": 60_000})));
    for (id, tokens) in [(0, 10), (1, 10), (2, 6_000), (3, 6_000)] {
        desk.submit(id, tokens);
    }
    desk.wake_for(WakeReason::Start);
    // From here on nothing is new about how long answers take.
    desk.now = at(5_600);
    desk.report(desk.sent[0].attempt, Outcome::success(10));
    assert_eq!(desk.sent.len(), 3, "the third is not paid for yet");
    // Half of what may go out at one moment is there: enough for this one, which does not pass the other.
    desk.does(Input::Submit(call(4, 10).deadline(at(60_000))));
    assert_eq!(desk.sent.len(), 3);
    desk.report(desk.sent[2].attempt, Outcome::success(0));
    assert_eq!(desk.attempts(3).len(), 1, "at once");
}
