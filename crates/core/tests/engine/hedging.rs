//! A second attempt beside a slow one.

use super::*;

fn hedged() -> Value {
    let pool = json!({"requests_per_minute": 6_000});
    with(pair(&pool, &pool), "hedge", json!({"after_permille": 900, "share_permille": 1_000}))
}

/// A hundred answers of a second have been seen everywhere.
fn warm(policy: &Value) -> Desk {
    let mut desk = Desk::new(policy);
    for id in 1_000..1_200 {
        desk.exchange(id, 10, seconds(1), Outcome::success(10));
    }
    desk
}

/// Submits call 1 and lets it take so long that it is hedged.
fn two_out(desk: &mut Desk) -> (Sent, Sent) {
    desk.submit(1, 10);
    desk.wake_for(WakeReason::Hedge);
    let [first, second] = desk.attempts(1)[..] else { panic!("{:?}", desk.attempts(1)) };
    (first, second)
}

#[test]
fn it_is_off_unless_the_policy_wants_it() {
    let mut policy = hedged();
    policy["hedge"] = json!({});
    let mut desk = warm(&policy);
    desk.submit(1, 10);
    assert_eq!(desk.engine.next_wakeup().map(|wakeup| wakeup.reason), Some(WakeReason::Lease));
}

#[test]
fn what_takes_longer_than_the_quantile_is_sent_a_second_time_elsewhere() {
    let mut desk = warm(&hedged());
    let (first, second) = two_out(&mut desk);
    let after = second.at.saturating_since(first.at);
    assert!(after >= seconds(1) && after < Duration::from_millis(1_130), "{after:?}");
    assert_ne!(first.endpoint, second.endpoint);
    let hedged = Event::Hedged { call: CallId(1), attempt: second.attempt, first: first.endpoint, after };
    assert!(desk.events.contains(&hedged));
    assert_eq!(desk.engine.in_flight(), 2);
}

#[test]
fn the_first_answer_ends_the_call_and_the_other_is_given_up_and_settled() {
    for winner in [0, 1] {
        let mut desk = warm(&hedged());
        let (first, second) = two_out(&mut desk);
        let (winner, loser) = if winner == 0 { (first, second) } else { (second, first) };
        desk.report(winner.attempt, Outcome::success(10));
        assert_eq!(desk.aborted, [loser.attempt]);
        assert_eq!(desk.end_of(1), Some(EndReason::Answered));
        desk.report(loser.attempt, failed(OutcomeClass::Cancelled));
        assert_eq!(desk.engine.in_flight(), 0);
        assert_eq!(desk.ended.iter().filter(|(call, _)| *call == 1).count(), 1);
    }
}

#[test]
fn a_failure_of_one_leaves_the_call_to_the_other() {
    let mut desk = warm(&hedged());
    let (first, second) = two_out(&mut desk);
    desk.report(first.attempt, failed(OutcomeClass::Unavailable));
    assert_eq!((desk.end_of(1), desk.attempts(1).len()), (None, 2));
    desk.report(second.attempt, Outcome::success(10));
    assert_eq!((desk.end_of(1), desk.aborted.len()), (Some(EndReason::Answered), 0));

    // If the other fails as well, the call is tried again like any other.
    let mut desk = warm(&hedged());
    let (first, second) = two_out(&mut desk);
    desk.report(second.attempt, failed(OutcomeClass::Unavailable));
    desk.report(first.attempt, failed(OutcomeClass::Unavailable));
    desk.wake_for(WakeReason::Retry);
    assert_eq!(desk.attempts(1).len(), 3);
}

#[test]
fn an_end_that_repeating_cannot_mend_gives_up_the_other() {
    let mut desk = warm(&hedged());
    let (first, second) = two_out(&mut desk);
    desk.report(second.attempt, failed(OutcomeClass::Refused));
    assert_eq!(desk.aborted, [first.attempt]);
    assert_eq!(desk.end_of(1), Some(EndReason::Failed { class: OutcomeClass::Refused }));
}

#[test]
fn cancelling_and_expired_leases_leave_nothing_behind() {
    let mut desk = warm(&hedged());
    let (first, second) = two_out(&mut desk);
    desk.does(Input::Cancel(CallId(1)));
    desk.report(first.attempt, failed(OutcomeClass::Cancelled));
    desk.report(second.attempt, Outcome::success(10));
    assert_eq!((desk.engine.in_flight(), desk.end_of(1)), (0, Some(EndReason::Cancelled)));

    let mut desk = warm(&hedged());
    let _ = two_out(&mut desk);
    desk.wake_until(desk.now.saturating_add(seconds(2_000)));
    assert_eq!(desk.engine.in_flight(), 0);
    assert_eq!(desk.end_of(1), Some(EndReason::Failed { class: OutcomeClass::TimedOut }));
}

/// What call 1 gets when it takes long: the number of its attempts.
fn attempts_of_a_slow_call(desk: &mut Desk, call: Call) -> usize {
    desk.does(Input::Submit(call));
    desk.wake_until(desk.now.saturating_add(seconds(5)));
    desk.attempts(1).len()
}

#[test]
fn nothing_is_hedged_without_need_room_or_budget() {
    assert_eq!(attempts_of_a_slow_call(&mut warm(&hedged()), call(1, 10)), 2);
    assert_eq!(attempts_of_a_slow_call(&mut warm(&hedged()), call(1, 10).lone()), 1, "not to be sent twice");
    assert_eq!(attempts_of_a_slow_call(&mut Desk::new(&hedged()), call(1, 10)), 1, "nothing is known of its time");

    let mut policy = hedged();
    policy["retry"] = json!({"budget": {"ratio_permille": 0, "per_second": 1, "capacity": 1}});
    let mut desk = warm(&policy);
    for id in [2, 3] {
        desk.exchange(id, 10, Duration::ZERO, failed(OutcomeClass::Unavailable));
    }
    assert_eq!(attempts_of_a_slow_call(&mut desk, call(1, 10)), 1, "the retry budget is used up");

    let mut policy = hedged();
    policy["hedge"]["share_permille"] = json!(1);
    assert_eq!(attempts_of_a_slow_call(&mut warm(&policy), call(1, 10)), 1, "one in a thousand calls");
}

#[test]
fn a_pool_that_is_tight_serves_no_hedge() {
    let pool = json!({"requests_per_minute": 6_000, "tokens_per_minute": 1_000_000});
    let policy = with(pair(&pool, &pool), "hedge", json!({"after_permille": 900, "share_permille": 1_000}));
    let mut desk = warm(&policy);
    assert_eq!(attempts_of_a_slow_call(&mut desk, call(1, 10)), 2);
    let mut desk = warm(&policy);
    for id in 2_000..2_170 {
        desk.exchange(id, 10_000, Duration::from_millis(300), Outcome::success(10_000));
    }
    assert_eq!(attempts_of_a_slow_call(&mut desk, call(1, 10)), 1);
}

#[test]
fn a_call_that_a_quota_refused_is_not_hedged() {
    let mut desk = warm(&hedged());
    desk.submit(1, 10);
    desk.report(desk.last_sent().attempt, failed(OutcomeClass::Throttled(sluicegate::Quota::Requests)));
    desk.wake_until(desk.now.saturating_add(seconds(30)));
    assert_eq!(desk.attempts(1).len(), 2, "the retry, and nothing beside it");
}
