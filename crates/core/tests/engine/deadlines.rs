//! Calls that must be answered in time.

use std::time::Duration;

use serde_json::json;
use sluicegate::{EndReason, Input, Outcome, OutcomeClass, Quota, Refusal, TenantId, WakeReason};

use super::{Desk, at, call, failed, pair, seconds, single, with};

#[test]
fn a_call_that_cannot_start_in_time_is_refused_at_once_and_told_when_it_could() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 60, "burst_permille": 1})));
    desk.submit(0, 10);
    for id in 1..=30 {
        desk.submit(id, 10);
    }
    desk.submit_within(99, 10, seconds(5));
    let Some(EndReason::Refused { why: Refusal::Deadline, retry_at: Some(retry_at) }) = desk.end_of(99) else {
        panic!("{:?}", desk.end_of(99));
    };
    assert!(retry_at >= at(30_000), "30 calls are before it: {retry_at:?}");
    desk.wake_until(retry_at);
    desk.submit_within(100, 10, seconds(5));
    assert_eq!(desk.end_of(100), None, "now it can");
    desk.wake_until(retry_at.saturating_add(seconds(5)));
    assert_eq!(desk.attempts(100).len(), 1);
}

#[test]
fn a_refused_deadline_names_a_time_that_works_after_a_pause_of_the_pool() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 60, "burst_permille": 1})));
    // Refused by the service: the pool pauses, and calls queue up behind the pause.
    let refused = failed(OutcomeClass::Throttled(Quota::Requests)).retry_after(seconds(600));
    desk.exchange(0, 10, seconds(1), refused);
    for id in 1..=10 {
        desk.submit(id, 10);
    }
    desk.submit_within(99, 10, seconds(5));
    let Some(EndReason::Refused { why: Refusal::Deadline, retry_at: Some(retry_at) }) = desk.end_of(99) else {
        panic!("{:?}", desk.end_of(99));
    };
    desk.wake_until(retry_at);
    desk.submit_within(100, 10, seconds(5));
    desk.wake_until(retry_at.saturating_add(seconds(5)));
    assert_eq!(desk.attempts(100).len(), 1, "{:?}", desk.end_of(100));
}

#[test]
fn a_call_refused_in_the_queue_is_told_a_time_that_works() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 60, "concurrency": 1})));
    desk.exchange(100, 10, seconds(2), Outcome::success(10));
    desk.submit(0, 10);
    let sent = desk.last_sent();
    desk.submit(1, 10);
    desk.submit_within(2, 10, seconds(20));
    assert_eq!(desk.end_of(2), None);
    desk.report(sent.attempt, failed(OutcomeClass::Throttled(Quota::Day)));
    desk.wake_until(at(60_000));
    let Some(EndReason::Refused { why: Refusal::Deadline, retry_at: Some(retry_at) }) = desk.end_of(2) else {
        panic!("{:?}", desk.end_of(2));
    };
    assert!(retry_at >= at(3_600_000), "the pool is closed for an hour: {retry_at:?}");
}

#[test]
fn a_call_whose_deadline_has_passed_expires_at_once() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.pass(seconds(5));
    desk.does(Input::Submit(call(1, 10).deadline(at(5_000))));
    assert_eq!(desk.end_of(1), Some(EndReason::Expired));
    assert!(desk.sent.is_empty());
}

#[test]
fn a_waiting_call_expires_when_its_deadline_passes() {
    let mut desk = Desk::new(&single(&json!({"concurrency": 1})));
    desk.submit(1, 10);
    desk.submit_within(2, 10, seconds(3));
    desk.wake_for(WakeReason::Deadline);
    assert_eq!(desk.end_of(2), Some(EndReason::Expired));
    assert!(desk.now.saturating_since(at(3_000)) <= Duration::from_micros(1));
}

#[test]
fn the_policy_gives_a_deadline_to_calls_that_bring_none() {
    let policy = with(single(&json!({"concurrency": 1})), "queue", json!({"deadline_ms": 3_000}));
    let mut desk = Desk::new(&policy);
    desk.submit(1, 10);
    desk.submit(2, 10);
    desk.wake_for(WakeReason::Deadline);
    assert_eq!(desk.end_of(2), Some(EndReason::Expired));
    assert_eq!(desk.end_of(1), None, "what is out is the caller's to end");
}

#[test]
fn a_call_leaves_room_for_the_time_that_its_endpoint_takes() {
    let mut desk = Desk::new(&single(&json!({"concurrency": 1})));
    for id in 0..40 {
        desk.exchange(id, 10, seconds(2), Outcome::success(10));
    }
    desk.submit(100, 10);
    desk.submit_within(101, 10, seconds(5));
    desk.wake_for(WakeReason::Deadline);
    assert!(matches!(desk.end_of(101), Some(EndReason::Refused { why: Refusal::Deadline, .. })), "not only expired");
    let left = at(85_000).saturating_since(desk.now);
    assert!((seconds(2)..Duration::from_millis(2_100)).contains(&left), "{left:?}");
}

#[test]
fn one_slow_answer_does_not_shut_out_calls_for_ever() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.exchange(0, 10, seconds(20), Outcome::success(10));
    // The allowance is now longer than what the callers have; only more answers can teach the engine better.
    for id in 1..=20 {
        desk.submit_within(id, 10, seconds(5));
        assert_eq!(desk.attempts(id).len(), 1, "a call on its own may try");
        if id == 1 {
            desk.submit_within(100, 10, seconds(5));
            assert_eq!(desk.attempts(100).len(), 0, "but not a second one at the same time");
        }
        desk.pass(seconds(2));
        desk.report(desk.attempts(id)[0].attempt, Outcome::success(10));
    }
}

#[test]
fn a_deadline_that_no_time_can_meet_names_none() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.exchange(0, 10, seconds(20), Outcome::success(10));
    desk.submit(1, 10);
    desk.submit_within(2, 10, seconds(5));
    let refused = Some(EndReason::Refused { why: Refusal::Deadline, retry_at: None });
    assert_eq!(desk.end_of(2), refused, "waiting makes the endpoint no quicker");
}

#[test]
fn a_slow_endpoint_that_is_free_does_not_hide_a_quick_one_that_will_be() {
    let mut desk = Desk::new(&pair(&json!({}), &json!({"requests_per_minute": 60, "burst_permille": 1})));
    let (east, west) = (desk.endpoint("east"), desk.endpoint("west"));
    for id in 0..20 {
        desk.submit(id, 10);
        let sent = desk.last_sent();
        desk.pass(if sent.endpoint == east { seconds(10) } else { seconds(1) });
        desk.report(sent.attempt, Outcome::success(10));
    }
    desk.pass(seconds(60));
    // Both are busy with one call, so that west is free again in a second.
    let mut id = 20;
    while desk.sent.iter().filter(|sent| sent.at == desk.now).count() < 2
        || desk.sent.iter().filter(|sent| sent.at == desk.now && sent.endpoint == west).count() < 1
    {
        desk.submit(id, 10);
        id += 1;
    }
    let started = desk.now;
    desk.submit_within(99, 10, seconds(5));
    assert_eq!(desk.end_of(99), None);
    desk.wake_for(WakeReason::Start);
    let sent = desk.attempts(99);
    assert_eq!(sent.iter().map(|sent| sent.endpoint).collect::<Vec<_>>(), [west]);
    assert!(desk.now.saturating_since(started) <= Duration::from_millis(1_020));
}

/// An exchange with a cap on the answer, which takes so long.
fn answered(desk: &mut Desk, id: u64, max_tokens: u32, took: Duration) {
    desk.does(Input::Submit(call(id, 10).max_tokens(max_tokens)));
    let sent = desk.last_sent();
    desk.pass(took);
    desk.report(sent.attempt, Outcome::success(10));
}

#[test]
fn short_answers_are_still_taken_where_long_ones_would_come_too_late() {
    let mut desk = Desk::new(&single(&json!({})));
    for id in 0..40 {
        answered(&mut desk, 2 * id, 100, seconds(1));
        answered(&mut desk, 2 * id + 1, 4_000, seconds(30));
    }
    // Something is under way, so that nothing is sent only to learn.
    desk.submit(100, 10);
    let deadline = desk.now.saturating_add(seconds(10));
    desk.does(Input::Submit(call(101, 10).deadline(deadline).max_tokens(200)));
    assert_eq!(desk.attempts(101).len(), 1, "{:?}", desk.end_of(101));
    desk.does(Input::Submit(call(102, 10).deadline(deadline).max_tokens(3_000)));
    assert!(matches!(desk.end_of(102), Some(EndReason::Refused { why: Refusal::Deadline, .. })));
    desk.does(Input::Submit(call(103, 10).deadline(deadline)));
    assert_eq!(desk.attempts(103).len(), 1, "it may be short: half of them are");
}

#[test]
fn calls_that_leave_no_time_for_most_answers_get_the_chance_that_they_have() {
    let mut desk = Desk::new(&single(&json!({"concurrency": 2})));
    for id in 0..100 {
        desk.exchange(id, 10, seconds(if id % 2 == 0 { 3 } else { 9 }), Outcome::success(10));
    }
    // Something is under way, so that nothing is sent only to learn.
    desk.submit(200, 10);
    desk.submit_within(201, 10, seconds(8));
    assert_eq!(desk.attempts(201).len(), 1, "one of two is answered within 8 s: {:?}", desk.end_of(201));
    let started = desk.now;
    desk.submit_within(202, 10, seconds(8));
    desk.submit_within(203, 10, seconds(2));
    assert!(matches!(desk.end_of(203), Some(EndReason::Refused { why: Refusal::Deadline, .. })), "none within 2 s");
    while desk.end_of(202).is_none() {
        desk.wake_for(WakeReason::Deadline);
    }
    assert_eq!(desk.now.saturating_since(started), Duration::from_micros(1_000_001), "an eighth of its time");
}

#[test]
fn a_short_answer_may_pass_a_long_one_at_an_endpoint_that_is_too_slow_for_that() {
    // West is quick and busy; east is free and takes 30 s for a long answer.
    let mut desk = Desk::new(&pair(&json!({}), &json!({"concurrency": 1})));
    let (east, west) = (desk.endpoint("east"), desk.endpoint("west"));
    let mut id = 0;
    while [east, west].iter().any(|endpoint| desk.sent.iter().filter(|sent| sent.endpoint == *endpoint).count() < 60) {
        let (max_tokens, long) = if id % 2 == 0 { (100, 1) } else { (4_000, 30) };
        desk.does(Input::Submit(call(id, 10).max_tokens(max_tokens)));
        let sent = desk.last_sent();
        desk.pass(seconds(if sent.endpoint == east { long } else { 1 }));
        desk.report(sent.attempt, Outcome::success(10));
        id += 1;
    }
    let busy = |desk: &Desk, endpoint| desk.sent.iter().any(|sent| sent.at == desk.now && sent.endpoint == endpoint);
    while !busy(&desk, west) || !busy(&desk, east) {
        desk.submit(id, 10);
        id += 1;
    }
    let deadline = desk.now.saturating_add(seconds(10));
    desk.does(Input::Submit(call(1_000, 10).deadline(deadline).max_tokens(4_000)));
    assert_eq!((desk.attempts(1_000).len(), desk.end_of(1_000)), (0, None), "it waits for west");
    let later = deadline.saturating_add(seconds(5));
    desk.does(Input::Submit(call(1_001, 10).deadline(later).max_tokens(100)));
    assert_eq!(desk.attempts(1_001).iter().map(|sent| sent.endpoint).collect::<Vec<_>>(), [east]);
}

#[test]
fn a_few_slow_answers_leave_calls_time_to_wait() {
    let mut desk = Desk::new(&single(&json!({"concurrency": 1})));
    for id in 0..100 {
        desk.exchange(id, 10, seconds(if id % 20 == 0 { 19 } else { 4 }), Outcome::success(10));
    }
    desk.submit(200, 10);
    desk.submit(199, 10);
    // Somebody has waited for longer than any of those who come now has in all.
    desk.pass(seconds(61));
    for (id, limit) in [(201, 20), (202, 60), (203, 5)] {
        // Each of another tenant, so that none waits for those before it.
        let deadline = desk.now.saturating_add(seconds(limit));
        desk.does(Input::Submit(call(id, 10).deadline(deadline).tenant(TenantId(id as u32))));
        assert_eq!(desk.end_of(id), None);
    }
    let started = desk.now;
    let mut waited = |id| {
        while desk.end_of(id).is_none() {
            desk.wake_for(WakeReason::Deadline);
        }
        desk.now.saturating_since(started).as_millis()
    };
    assert!((500..1_000).contains(&waited(203)), "nine of ten are answered within 4.5 s");
    assert_eq!(waited(201), 5_000, "a quarter of its time");
    assert!((38_000..41_000).contains(&waited(202)), "it has time enough for the slow ones");
}

#[test]
fn while_the_queue_is_young_calls_wait_as_long_as_nine_of_ten_would_be_answered() {
    let mut desk = Desk::new(&single(&json!({"concurrency": 1})));
    for id in 0..100 {
        desk.exchange(id, 10, seconds(if id % 20 == 0 { 8 } else { 4 }), Outcome::success(10));
    }
    desk.submit(200, 10);
    let started = desk.now;
    desk.submit(201, 10);
    desk.submit_within(202, 10, seconds(20));
    desk.wake_for(WakeReason::Deadline);
    let waited = desk.now.saturating_since(started).as_millis();
    assert!((15_000..16_000).contains(&waited) && desk.end_of(202).is_some(), "nine of ten take 4.5 s: {waited}");
    desk.pass(seconds(20));
    let started = desk.now;
    desk.submit_within(203, 10, seconds(20));
    desk.wake_for(WakeReason::Deadline);
    let waited = desk.now.saturating_since(started).as_millis();
    assert!((11_000..12_000).contains(&waited) && desk.end_of(203).is_some(), "nearly all take 9 s: {waited}");
}

#[test]
fn where_slots_have_long_been_short_a_call_is_refused_at_once_and_told_when_it_could_come() {
    let mut desk = Desk::new(&single(&json!({"concurrency": 2})));
    for id in 0..100 {
        desk.exchange(id, 10, seconds(4), Outcome::success(10));
    }
    // Two go out, ten wait: one of them starts every 2 s.
    (200..212).for_each(|id| desk.submit(id, 10));
    desk.submit_within(300, 10, seconds(20));
    assert_eq!(desk.end_of(300), None, "there may soon be more slots");
    desk.pass(seconds(41));
    desk.submit_within(301, 10, seconds(20));
    let Some(EndReason::Refused { why: Refusal::Deadline, retry_at: Some(retry_at) }) = desk.end_of(301) else {
        panic!("{:?}", desk.end_of(301));
    };
    let after = retry_at.saturating_since(desk.now).as_millis();
    assert!((18_000..23_000).contains(&after), "{after} ms");
    desk.submit_within(302, 10, seconds(27));
    assert_eq!(desk.end_of(302), None, "this one has the time");
}

#[test]
fn an_endpoint_that_was_too_slow_is_tried_again_while_calls_wait_for_others() {
    let mut desk = Desk::new(&pair(&json!({}), &json!({"requests_per_minute": 60, "burst_permille": 1})));
    let east = desk.endpoint("east");
    for id in 0..60 {
        desk.exchange_when_possible(id);
        let sent = desk.last_sent();
        desk.pass(seconds(if sent.endpoint == east { 30 } else { 1 }));
        desk.report(sent.attempt, Outcome::success(10));
    }
    // Somebody always waits for west, which takes one call a second; now east is quick again.
    let mut id = 100;
    let until = desk.now.saturating_add(seconds(240));
    let mut by_east = 0;
    while desk.now < until {
        for _ in 0..2 {
            desk.submit_within(id, 10, seconds(10));
            id += 1;
        }
        desk.wake_until(desk.now.saturating_add(seconds(1)));
        for sent in desk.sent.clone() {
            if sent.call >= 100 && sent.at < desk.now && desk.end_of(sent.call).is_none() {
                desk.report(sent.attempt, Outcome::success(10));
                by_east += u64::from(sent.endpoint == east);
            }
        }
    }
    assert!(by_east > 100, "{by_east} of {id}");
}
