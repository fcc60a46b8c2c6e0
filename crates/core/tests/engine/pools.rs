//! What refusals do to pools, and pools that several models share.

use serde_json::json;
use sluicegate::{Call, CallId, EndReason, Input, ModelId, OutcomeClass, Quota, WakeReason};

use super::{Desk, at, failed, pair, seconds, single};

#[test]
fn small_calls_of_one_model_do_not_starve_a_large_one_of_another() {
    let mut desk = Desk::new(&json!({
        "pools": {"p": {"tokens_per_minute": 60_000}},
        "endpoints": {"a": {"model": "a", "pools": ["p"]}, "b": {"model": "b", "pools": ["p"]}},
    }));
    let submit = |desk: &mut Desk, id: u64, model: u16, tokens: u64| {
        desk.does(Input::Submit(Call::new(CallId(id), ModelId(model), tokens)));
    };
    for id in 0..4 {
        submit(&mut desk, id, 1, 1_000);
    }
    submit(&mut desk, 100, 0, 20_000);
    // Half the quota's worth of small calls keeps coming.
    for step in 1..=120 {
        desk.wake_until(at(step * 500));
        submit(&mut desk, 100 + step, 1, 250);
    }
    assert_eq!(desk.attempts(100).len(), 1, "the large one went out");
    let before = desk.sent.iter().take_while(|sent| sent.call != 100).count();
    assert!(before < 20, "and did not wait for {before} small ones behind it");
}

#[test]
fn the_service_s_word_closes_the_pool_and_another_endpoint_takes_the_call_at_once() {
    let mut desk = Desk::new(&pair(&json!({}), &json!({})));
    let refused = failed(OutcomeClass::Throttled(Quota::Requests)).retry_after(seconds(30));
    desk.exchange(1, 10, seconds(1), refused);
    let [first, second] = desk.attempts(1)[..] else { panic!("{:?}", desk.attempts(1)) };
    assert_eq!(second.at, at(1_000));
    assert_ne!(first.endpoint, second.endpoint);
    // The pool that refused takes nothing for as long as the service said.
    for id in 2..20 {
        desk.submit(id, 10);
        assert_eq!(desk.last_sent().endpoint, second.endpoint);
    }
}

#[test]
fn a_pool_closed_for_the_day_is_asked_with_one_call_at_a_time() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.exchange(0, 10, seconds(1), failed(OutcomeClass::Throttled(Quota::Day)));
    for id in 1..=5 {
        desk.submit(id, 10);
    }
    desk.wake_for(WakeReason::Start);
    assert_eq!(desk.now, at(3_601_000), "an hour after the refusal");
    assert_eq!(desk.sent.len(), 2, "one asks, the others wait for its answer");
    let sent = desk.last_sent();
    desk.pass(seconds(1));
    desk.report(sent.attempt, failed(OutcomeClass::Throttled(Quota::Day)));
    assert_eq!(desk.sent.len(), 2, "still closed");
    desk.wake_for(WakeReason::Start);
    let sent = desk.last_sent();
    desk.pass(seconds(1));
    desk.report(sent.attempt, sluicegate::Outcome::success(10));
    desk.wake_until(desk.now.saturating_add(seconds(60)));
    assert_eq!(desk.sent.len(), 3 + 5, "open again for all");
}

/// Refuses every attempt of call 1 until `enough` were made or the call has ended.
fn refuse(desk: &mut Desk, enough: usize) {
    for refused in 0..enough {
        let Some(sent) = desk.sent.get(refused).copied() else { break };
        desk.report(sent.attempt, failed(OutcomeClass::Throttled(Quota::Requests)));
        if desk.end_of(1).is_none() {
            // One request a minute is the least that is learned.
            desk.wake_until(desk.now.saturating_add(seconds(61)));
        }
    }
}

#[test]
fn refusals_by_quota_do_not_use_up_the_attempts_of_a_call_that_has_a_deadline() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.submit_within(1, 10, seconds(3_600));
    refuse(&mut desk, 30);
    assert_eq!((desk.attempts(1).len(), desk.end_of(1)), (31, None));
}

#[test]
fn a_call_without_a_deadline_is_not_refused_for_ever() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.submit(1, 10);
    refuse(&mut desk, 30);
    assert_eq!(desk.attempts(1).len(), 20);
    assert_eq!(desk.end_of(1), Some(EndReason::Failed { class: OutcomeClass::Throttled(Quota::Requests) }));
}
