//! The books of those who wait, in every order in which callers come and go.
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use sluicegate::{EndReason, Event, InputError, Outcome, Policy, PoolId, Quota, Timestamp};
use sluicegate_driver::{Attempt, Desk, DeskError, Request, Turn};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);

/// One attempt at a time.
const ONE: &str = r#"{"pools": {"p": {"requests_per_minute": 60, "concurrency": 1}}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}}"#;

fn desk() -> Desk {
    Desk::new(Policy::from_json(ONE).unwrap(), 7, NOW)
}

fn request(desk: &Desk) -> Request {
    Request::new(desk.engine().policy().model("m").unwrap(), 10)
}

fn sent(desk: &mut Desk, call: sluicegate::CallId) -> Attempt {
    match desk.turn(call) {
        Some(Turn::Send(attempt)) => attempt,
        other => unreachable!("{other:?}"),
    }
}

fn used(desk: &mut Desk) -> u64 {
    desk.engine_mut().pool_use_permille(NOW, PoolId(0), Quota::Requests).unwrap()
}

#[test]
fn a_report_sends_the_next_and_names_it() {
    let mut desk = desk();
    let request = request(&desk);
    let first = desk.submit(NOW, &request).unwrap();
    let second = desk.submit(NOW, &request).unwrap();
    let attempt = sent(&mut desk, first);
    assert_eq!((attempt.number, desk.turn(second)), (1, None));
    while desk.next_news().is_some() {}
    let later = Timestamp::from_micros(3_000_000);
    desk.report(later, first, attempt.id, Outcome::success(10)).unwrap();
    let mut news: Vec<_> = std::iter::from_fn(|| desk.next_news()).collect();
    news.sort_unstable();
    assert_eq!(news, [first, second]);
    assert_eq!(desk.turn(first), Some(Turn::End(EndReason::Answered)));
    assert_eq!(desk.turn(first), None, "nothing follows the end");
    assert!(matches!(desk.turn(second), Some(Turn::Send(_))));
}

#[test]
fn what_was_not_taken_never_left() {
    let mut desk = desk();
    let request = request(&desk);
    let call = desk.submit(NOW, &request).unwrap();
    assert!(used(&mut desk) > 0);
    desk.leave(NOW, call);
    assert_eq!((used(&mut desk), desk.engine().in_flight()), (0, 0));
    desk.leave(NOW, call);
}

#[test]
fn what_was_taken_is_given_up_and_stays_counted() {
    let mut desk = desk();
    let request = request(&desk);
    let call = desk.submit(NOW, &request).unwrap();
    let attempt = sent(&mut desk, call);
    let waiting = desk.submit(NOW, &request).unwrap();
    desk.leave(NOW, call);
    desk.leave(NOW, waiting);
    assert_eq!((desk.engine().in_flight(), desk.engine().waiting()), (0, 0));
    assert!(used(&mut desk) > 0);
    let unknown = Err(DeskError::Input(InputError::UnknownCall(call)));
    assert_eq!(desk.report(NOW, call, attempt.id, Outcome::success(1)), unknown);
}

#[test]
fn an_attempt_is_reported_once() {
    let mut desk = desk();
    let request = request(&desk);
    let call = desk.submit(NOW, &request).unwrap();
    let untaken = sluicegate::AttemptId(0);
    let not_out = Err(DeskError::Input(InputError::UnknownAttempt(untaken)));
    assert_eq!(desk.report(NOW, call, untaken, Outcome::success(1)), not_out, "it was not taken yet");
    let attempt = sent(&mut desk, call);
    desk.report(NOW, call, attempt.id, Outcome::success(1)).unwrap();
    assert_eq!(desk.report(NOW, call, attempt.id, Outcome::success(1)), not_out);
}

#[test]
fn a_closed_desk_ends_who_waits_and_lets_finish_who_is_out() {
    let mut desk = desk();
    let request = request(&desk);
    let out = desk.submit(NOW, &request).unwrap();
    let attempt = sent(&mut desk, out);
    let waiting = desk.submit(NOW, &request).unwrap();
    desk.close(NOW);
    assert_eq!(desk.turn(waiting), Some(Turn::End(EndReason::Cancelled)));
    assert_eq!(desk.submit(NOW, &request), Err(DeskError::Closed));
    desk.report(NOW, out, attempt.id, Outcome::success(1)).unwrap();
    assert_eq!(desk.turn(out), Some(Turn::End(EndReason::Answered)));
    assert!(desk.is_closed());
}

#[test]
fn events_are_kept_for_those_who_watch() {
    let mut desk = desk();
    let request = request(&desk);
    desk.submit(NOW, &request).unwrap();
    assert_eq!(desk.next_event(), None);
    desk.watch(true);
    desk.submit(NOW, &request).unwrap();
    let call = desk.submit(NOW, &request).unwrap();
    desk.leave(NOW, call);
    let ended = std::iter::from_fn(|| desk.next_event()).any(|(_, event)| matches!(event, Event::Ended { .. }));
    assert!(ended);
    desk.watch(false);
    assert_eq!(desk.next_event(), None);
}

#[test]
fn a_model_of_another_policy_changes_nothing() {
    let mut desk = desk();
    let strange = Request::new(sluicegate::ModelId(9), 10);
    assert!(matches!(desk.submit(NOW, &strange), Err(DeskError::Input(InputError::UnknownModel(_)))));
    let request = request(&desk);
    assert!(desk.submit(NOW, &request).is_ok());
}
