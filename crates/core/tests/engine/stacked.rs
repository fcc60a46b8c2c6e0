//! Retries of others on top of ours.

use super::*;

fn stacked(desk: &Desk) -> usize {
    desk.events.iter().filter(|event| matches!(event, Event::StackedRetry { .. })).count()
}

/// Call `id`, which asks for `what`, ends like this.
fn ends(desk: &mut Desk, id: u64, what: u64, outcome: Outcome) {
    desk.does(Input::Submit(call(id, 10).fingerprint(what)));
    desk.report(desk.last_sent().attempt, outcome);
}

#[test]
fn a_call_that_comes_again_soon_after_it_failed_is_noticed_once() {
    let mut desk = Desk::new(&single(&json!({})));
    ends(&mut desk, 1, 77, failed(OutcomeClass::Refused));
    desk.pass(seconds(3));
    ends(&mut desk, 2, 77, Outcome::success(1));
    assert!(desk.events.contains(&Event::StackedRetry { call: CallId(2), since: seconds(3) }));
    ends(&mut desk, 3, 77, Outcome::success(1));
    assert_eq!(stacked(&desk), 1);
}

#[test]
fn others_answers_and_what_is_long_ago_are_no_stacked_retries() {
    let mut desk = Desk::new(&single(&json!({})));
    ends(&mut desk, 1, 77, Outcome::success(1));
    ends(&mut desk, 2, 77, failed(OutcomeClass::Refused));
    ends(&mut desk, 3, 78, Outcome::success(1));
    desk.pass(seconds(61));
    ends(&mut desk, 4, 77, Outcome::success(1));
    assert_eq!(stacked(&desk), 0);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut desk = Desk::new(&single(&json!({})));
    let many = sluicegate::defaults::FAILURES_KEPT as u64 + 1;
    for id in 0..many {
        ends(&mut desk, id, id, failed(OutcomeClass::Refused));
    }
    ends(&mut desk, many, 0, Outcome::success(1));
    assert_eq!(stacked(&desk), 0, "the oldest made room");
    ends(&mut desk, many + 1, 1, Outcome::success(1));
    assert_eq!(stacked(&desk), 1);
}
