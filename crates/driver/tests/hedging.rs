//! Two attempts at once, caps that are lifted, and restarts, on tokio's paused clock.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its set-up fails")]

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::time::Duration;

use sluicegate::{AttemptId, EndReason, EndpointId, Outcome, OutcomeClass, Policy, PoolId, Quota};
use sluicegate_driver::{Attempt, Ended, Gate, Request, Turn};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Two endpoints that answer within a second; what takes longer than most is hedged.
const HEDGED: &str = r#"{
    "pools": {"p": {"requests_per_minute": 100000}},
    "endpoints": {"east": {"model": "m", "pools": ["p"]}, "west": {"model": "m", "pools": ["p"]}},
    "hedge": {"after_permille": 900, "share_permille": 1000}
}"#;

fn request(gate: &Gate) -> Request {
    Request::new(gate.model("m").unwrap(), 10)
}

async fn warm() -> Gate {
    let gate = Gate::builder(Policy::from_json(HEDGED).unwrap()).seed(7).open();
    for _ in 0..200 {
        let answer = |_| async {
            sleep(SECOND).await;
            (Outcome::success(10), Ok::<(), ()>(()))
        };
        gate.run(request(&gate), answer).await.unwrap();
    }
    gate
}

fn in_flight(gate: &Gate) -> usize {
    gate.inspect(|engine, _| engine.in_flight())
}

/// Counts the futures that were dropped before their end.
struct Dropped<'c>(&'c Cell<u32>);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Runs a call whose first and second attempt take so long, if they end at all. Returns the number of the attempt that
/// answered, the endpoints, how long it took and how many attempts were dropped.
async fn race(gate: &Gate, times: [Option<Duration>; 2]) -> (u32, Vec<EndpointId>, Duration, u32) {
    let (start, dropped, places) = (Instant::now(), Cell::new(0), RefCell::new(Vec::new()));
    let attempt = |attempt: Attempt| {
        places.borrow_mut().push(attempt.endpoint);
        let guard = Dropped(&dropped);
        async move {
            match times[attempt.number as usize - 1] {
                Some(time) => sleep(time).await,
                None => pending().await,
            }
            std::mem::forget(guard);
            (Outcome::success(10), Ok::<u32, ()>(attempt.number))
        }
    };
    let winner = gate.run(request(gate), attempt).await.unwrap();
    (winner, places.take(), start.elapsed(), dropped.get())
}

#[tokio::test(start_paused = true)]
async fn the_second_attempt_wins_and_the_first_is_dropped_and_settled() {
    let gate = warm().await;
    let (winner, places, took, dropped) = race(&gate, [None, Some(SECOND)]).await;
    assert_eq!((winner, dropped, in_flight(&gate)), (2, 1, 0));
    assert_ne!(places[0], places[1]);
    assert!(took > 2 * SECOND && took < Duration::from_millis(2_200), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_attempt_wins_and_the_second_is_dropped_and_settled() {
    let gate = warm().await;
    let (winner, places, took, dropped) = race(&gate, [Some(2 * SECOND), None]).await;
    assert_eq!((winner, places.len(), dropped, in_flight(&gate)), (1, 2, 1, 0));
    assert_eq!(took.as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn both_ending_at_once_is_one_answer() {
    let gate = warm().await;
    let hedged_after = {
        let (_, _, took, _) = race(&gate, [None, Some(SECOND)]).await;
        took - SECOND
    };
    let (_, places, took, dropped) = race(&gate, [Some(hedged_after + SECOND), Some(SECOND)]).await;
    assert_eq!((places.len(), dropped, in_flight(&gate)), (2, 1, 0));
    assert!(took <= hedged_after + SECOND + Duration::from_millis(200), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_leaves_the_call_to_the_other() {
    let gate = warm().await;
    let attempt = |attempt: Attempt| async move {
        match attempt.number {
            1 => {
                sleep(3 * SECOND).await;
                (Outcome::success(10), Ok::<u32, u32>(1))
            }
            number => (Outcome::of(OutcomeClass::Unavailable), Err(number)),
        }
    };
    assert_eq!(gate.run(request(&gate), attempt).await.unwrap(), 1);
    assert_eq!(in_flight(&gate), 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_with_two_attempts_out_settles_both() {
    let gate = warm().await;
    let dropped = Cell::new(0);
    let attempt = |_| {
        let guard = Dropped(&dropped);
        async move {
            pending::<()>().await;
            drop(guard);
            (Outcome::success(10), Ok::<(), ()>(()))
        }
    };
    let given_up = tokio::time::timeout(3 * SECOND, async {
        let _ = gate.run(request(&gate), attempt).await;
    });
    tokio::join!(
        async {
            assert!(given_up.await.is_err());
        },
        async {
            sleep(2 * SECOND).await;
            assert_eq!(in_flight(&gate), 2);
        }
    );
    assert_eq!((dropped.get(), in_flight(&gate)), (2, 0));
    assert_eq!(gate.inspect(|engine, _| engine.waiting()), 0);
}

/// A call of which two attempts are out, by hand.
async fn two_out(gate: &Gate) -> (sluicegate_driver::Ticket, AttemptId, AttemptId) {
    let mut ticket = gate.submit(request(gate));
    let Turn::Send(first) = ticket.turn().await else { panic!("nothing was sent") };
    let Turn::Hedge(second) = ticket.turn().await else { panic!("nothing was hedged") };
    assert_eq!((first.number, second.number), (1, 2));
    (ticket, first.id, second.id)
}

#[tokio::test(start_paused = true)]
async fn a_ticket_reports_by_attempt_and_says_which_to_give_up() {
    let gate = warm().await;
    let (mut ticket, first, second) = two_out(&gate).await;
    ticket.report(second, Outcome::success(10));
    assert_eq!(ticket.turn().await, Turn::Abort(first));
    assert_eq!((ticket.turn().await, ticket.turn().await), (Turn::End(EndReason::Answered), ticket.turn().await));
    assert_eq!(in_flight(&gate), 1, "the loser still holds its permit");
    ticket.report(first, Outcome::of(OutcomeClass::Cancelled));
    assert_eq!(in_flight(&gate), 0);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_crosses_the_turn_leaves_nothing_to_give_up() {
    let gate = warm().await;
    let (mut ticket, first, second) = two_out(&gate).await;
    ticket.report(second, Outcome::success(10));
    ticket.report(first, Outcome::success(10));
    assert_eq!(ticket.turn().await, Turn::End(EndReason::Answered));
    assert_eq!(in_flight(&gate), 0);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_dropped_with_two_out_or_after_its_end_loses_no_permit() {
    let gate = warm().await;
    let (ticket, ..) = two_out(&gate).await;
    drop(ticket);
    assert_eq!(in_flight(&gate), 0);

    let (mut ticket, first, _) = two_out(&gate).await;
    ticket.report(first, Outcome::success(10));
    drop(ticket);
    assert_eq!(in_flight(&gate), 0);

    // The hedge was decided and never taken: it never left.
    let mut ticket = gate.submit(request(&gate));
    assert!(matches!(ticket.turn().await, Turn::Send(_)));
    sleep(2 * SECOND).await;
    assert_eq!(in_flight(&gate), 2);
    drop(ticket);
    assert_eq!(in_flight(&gate), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lone_call_is_never_sent_twice() {
    let gate = warm().await;
    let mut ticket = gate.submit(request(&gate).lone());
    let Turn::Send(first) = ticket.turn().await else { panic!("nothing was sent") };
    assert!(tokio::time::timeout(10 * SECOND, ticket.turn()).await.is_err());
    ticket.report(first.id, Outcome::success(10));
    assert_eq!(ticket.turn().await, Turn::End(EndReason::Answered));
}

/// A gate that lowers caps, after 200 answers of 100 tokens to calls that allow 8,000.
async fn lowering(rest: &str) -> Gate {
    let text = format!(
        r#"{{"pools": {{"p": {{"tokens_per_minute": 1000000000}}}}, "endpoints": {{"e": {{"model": "m", "pools": ["p"]}}}},
            "output_cap": {{"clamp": true, "minimum_answers": 100}}{rest}}}"#
    );
    let gate = Gate::builder(Policy::from_json(&text).unwrap()).seed(7).open();
    for _ in 0..200 {
        let answer = |_| async { (Outcome::success(100).output_tokens(100), Ok::<(), ()>(())) };
        gate.run(capped(&gate), answer).await.unwrap();
    }
    gate
}

fn capped(gate: &Gate) -> Request {
    Request::new(gate.model("m").unwrap(), 8_010).max_tokens(8_000)
}

/// An answer that wants 5,000 tokens; the second attempt fails if it is told to.
async fn long_answer(gate: &Gate, second: OutcomeClass) -> (Result<u32, Ended<()>>, Vec<Option<u32>>) {
    let caps = RefCell::new(Vec::new());
    let attempt = |attempt: Attempt| {
        caps.borrow_mut().push(attempt.max_tokens);
        async move {
            match attempt.max_tokens {
                Some(cap) => (Outcome::success(u64::from(cap)).output_tokens(cap).truncated(), Ok(cap)),
                None if second == OutcomeClass::Success => (Outcome::success(5_000).output_tokens(5_000), Ok(5_000)),
                None => (Outcome::of(second), Err(())),
            }
        }
    };
    let ended = gate.run(capped(gate), attempt).await;
    (ended, caps.take())
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_lowered_cap_cut_short_is_asked_for_again() {
    let gate = lowering("").await;
    let (answer, caps) = long_answer(&gate, OutcomeClass::Success).await;
    assert_eq!((answer.unwrap(), caps.len(), caps[1]), (5_000, 2, None));
    assert!(caps[0].is_some_and(|cap| cap < 1_000), "{caps:?}");
    assert_eq!(in_flight(&gate), 0);
}

#[tokio::test(start_paused = true)]
async fn the_short_answer_is_returned_if_nothing_better_comes() {
    let gate = lowering("").await;
    let (answer, caps) = long_answer(&gate, OutcomeClass::Refused).await;
    assert_eq!((Some(answer.unwrap()), caps[1]), (caps[0], None));
    assert_eq!(in_flight(&gate), 0);
}

#[tokio::test(start_paused = true)]
async fn a_restored_gate_remembers_what_was_sent() {
    let policy = r#"{"pools": {"p": {"requests_per_minute": 60}}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}}"#;
    let policy = || Policy::from_json(policy).unwrap();
    let gate = Gate::builder(policy()).seed(7).open();
    for _ in 0..30 {
        gate.run(request(&gate), |_| async { (Outcome::success(1), Ok::<(), ()>(())) }).await.unwrap();
    }
    let used =
        |gate: &Gate| gate.inspect(|engine, now| engine.pool_use_permille(now, PoolId(0), Quota::Requests)).unwrap();
    let before = used(&gate);
    assert!(before >= 450, "{before}");
    let snapshot = gate.snapshot();
    assert_eq!(used(&Gate::builder(policy()).restore(snapshot.clone(), Duration::ZERO).open()), before);
    assert_eq!(used(&Gate::builder(policy()).restore(snapshot, 120 * SECOND).open()), 0);
}

#[tokio::test(start_paused = true)]
async fn the_loser_is_dropped_before_a_short_answer_is_asked_for_again() {
    let mut document: serde_json::Value = serde_json::from_str(HEDGED).unwrap();
    document["output_cap"] = serde_json::json!({"clamp": true, "minimum_answers": 100});
    let gate = Gate::builder(Policy::parse(&document).unwrap()).seed(7).open();
    for _ in 0..400 {
        let answer = |_| async {
            sleep(SECOND).await;
            (Outcome::success(100).output_tokens(100), Ok::<(), ()>(()))
        };
        gate.run(capped(&gate), answer).await.unwrap();
    }
    let dropped = Cell::new(0);
    let attempt = |attempt: Attempt| {
        let (guard, dropped) = (Dropped(&dropped), &dropped);
        async move {
            let outcome = match (attempt.number, attempt.max_tokens) {
                (1, Some(_)) => pending().await,
                (2, Some(cap)) => Outcome::success(100).output_tokens(cap).truncated(),
                _ => {
                    sleep(Duration::from_millis(10)).await;
                    Outcome::success(5_000).output_tokens(5_000)
                }
            };
            std::mem::forget(guard);
            (outcome, Ok::<_, ()>((attempt.number, dropped.get())))
        }
    };
    assert_eq!(gate.run(capped(&gate), attempt).await.unwrap(), (3, 1));
    assert_eq!(in_flight(&gate), 0);
}
