//! What the caller gets wrong, and clocks that do.

use sluicegate::random::Draws;

use super::*;

#[test]
fn an_input_that_is_wrong_changes_nothing() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 60, "concurrency": 1})));
    desk.submit(1, 10);
    desk.submit(2, 10);
    let wrong = [
        (Input::Submit(call(1, 5)), InputError::DuplicateCall(CallId(1)), "duplicate_call"),
        (Input::Submit(call(2, 5)), InputError::DuplicateCall(CallId(2)), "duplicate_call"),
        (Input::Submit(Call::new(CallId(3), ModelId(9), 5)), InputError::UnknownModel(ModelId(9)), "unknown_model"),
        (
            Input::Report { attempt: AttemptId(77), outcome: Outcome::success(5) },
            InputError::UnknownAttempt(AttemptId(77)),
            "unknown_attempt",
        ),
        (Input::Cancel(CallId(5)), InputError::UnknownCall(CallId(5)), "unknown_call"),
    ];
    for (input, expected, code) in wrong {
        let before = format!("{:?}", desk.engine);
        desk.pass(seconds(1));
        let error = desk.engine.handle(desk.now, input, &mut desk.rng).expect_err("it is wrong");
        assert_eq!((error, error.code()), (expected, code));
        assert!(!error.to_string().is_empty());
        assert_eq!(format!("{:?}", desk.engine), before, "{code}");
    }
}

#[test]
fn an_attempt_is_reported_once() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.exchange(1, 10, seconds(1), Outcome::success(10));
    let attempt = desk.last_sent().attempt;
    let again = desk.input(Input::Report { attempt, outcome: Outcome::success(10) });
    assert_eq!(again, Err(InputError::UnknownAttempt(attempt)));
}

#[test]
fn a_call_is_cancelled_once() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.submit(1, 10);
    desk.does(Input::Cancel(CallId(1)));
    assert_eq!(desk.input(Input::Cancel(CallId(1))), Err(InputError::UnknownCall(CallId(1))));
}

#[test]
fn time_that_goes_backwards_is_clamped_and_reported() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 60, "burst_permille": 1})));
    desk.now = at(100_000);
    desk.submit(0, 10);
    desk.submit(1, 10);
    let promised = desk.engine.next_wakeup();
    desk.now = at(40_000);
    desk.does(Input::Wake);
    assert!(desk.events.contains(&Event::ClockBackwards { by: seconds(60) }));
    assert_eq!((desk.sent.len(), desk.engine.next_wakeup()), (1, promised));
    desk.wake_for(WakeReason::Start);
    assert_eq!(desk.sent.len(), 2);
}

#[test]
fn decisions_that_were_not_taken_out_are_asked_for() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.engine.handle(at(5), Input::Submit(call(1, 10)), &mut desk.rng).expect("it is right");
    let wakeup = desk.engine.next_wakeup().expect("a decision waits");
    assert_eq!((wakeup.at, wakeup.reason), (at(5), WakeReason::Undrained));
    assert!(matches!(desk.engine.poll_decision(), Some(Decision::Send { .. })));
    assert_eq!(desk.engine.poll_decision(), None);
    assert_eq!(desk.engine.next_wakeup().map(|wakeup| wakeup.reason), Some(WakeReason::Lease));
}

#[test]
fn events_that_nobody_takes_out_are_dropped_and_counted() {
    let mut desk = Desk::new(&single(&json!({})));
    let kept = sluicegate::defaults::EVENTS_KEPT as u64;
    for id in 0..kept + 100 {
        desk.engine.handle(at(0), Input::Submit(call(id, 10)), &mut desk.rng).expect("it is right");
    }
    assert_eq!(desk.engine.poll_event(), Some(Event::EventsDropped { count: 100 }));
    let mut left = 0;
    while let Some(event) = desk.engine.poll_event() {
        if left == 0 {
            assert!(matches!(event, Event::Sent { call: CallId(100), .. }), "the oldest went: {event:?}");
        }
        left += 1;
    }
    assert_eq!(left, kept);
}

#[test]
fn one_draw_is_taken_for_a_choice_and_none_where_there_is_none() {
    let policy = super::pair(&json!({}), &json!({}));
    let mut desk = Desk::new(&policy);
    let mut draws = Draws::new(&[0]);
    desk.engine.handle(at(0), Input::Submit(call(1, 10)), &mut draws).expect("it is right");
    assert_eq!(draws.taken(), 1);
    desk.engine.handle(at(0), Input::Wake, &mut draws).expect("it is right");
    assert_eq!(draws.taken(), 1);
    let mut desk = Desk::new(&single(&json!({})));
    let mut draws = Draws::new(&[0]);
    desk.engine.handle(at(0), Input::Submit(call(1, 10)), &mut draws).expect("it is right");
    assert_eq!(draws.taken(), 0);
}

#[test]
fn every_wake_up_says_what_it_is_for() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 60, "burst_permille": 1})));
    assert_eq!(desk.engine.next_wakeup(), None);
    desk.submit(1, 10);
    let reason = |desk: &Desk| desk.engine.next_wakeup().map(|wakeup| wakeup.reason);
    assert_eq!(reason(&desk), Some(WakeReason::Lease));
    desk.submit(2, 10);
    assert_eq!(reason(&desk), Some(WakeReason::Start));
    desk.does(Input::Cancel(CallId(2)));
    desk.report(desk.last_sent().attempt, super::failed(sluicegate::OutcomeClass::Unavailable));
    assert_eq!(reason(&desk), Some(WakeReason::Retry));
    desk.does(Input::Cancel(CallId(1)));
    assert_eq!(desk.engine.next_wakeup(), None);

    let mut desk = Desk::new(&single(&json!({"concurrency": 1})));
    desk.submit(1, 10);
    desk.submit_within(2, 10, Duration::from_secs(1));
    assert_eq!(reason(&desk), Some(WakeReason::Deadline));
}

#[test]
fn absurd_sizes_are_refused_and_absurd_costs_are_bounded() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.submit(1, u64::MAX);
    let limit = sluicegate::defaults::MOST_TOKENS;
    let too_large = EndReason::Refused { why: sluicegate::Refusal::TooLarge { limit }, retry_at: None };
    assert_eq!(desk.end_of(1), Some(too_large));
    // Whatever others were told before.
    let mut busy = Desk::new(&single(&json!({"requests_per_minute": 1})));
    (10..13).for_each(|id| busy.submit(id, 10));
    busy.submit(14, limit + 1);
    assert_eq!(busy.end_of(14), Some(too_large));
    // One absurd report does not close the pool for good.
    desk.exchange(2, 1_000, seconds(1), Outcome::success(u64::MAX));
    desk.exchange(3, 1_000, seconds(1), failed(OutcomeClass::Throttled(sluicegate::Quota::Tokens)));
    desk.wake_until(desk.now.saturating_add(seconds(600)));
    assert!(desk.attempts(3).len() > 1, "{:?}", desk.engine.explain(desk.now, CallId(3)));
}
