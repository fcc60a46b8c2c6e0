//! The gate on tokio's paused clock: it jumps to the next wake-up, so nothing here waits for real.

#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluicegate::{EndReason, Event, Input, Outcome, OutcomeClass, Policy, Quota, Refusal};
use sluicegate_driver::{Gate, Request, Turn};
use tokio::time::Instant;

fn gate(requests_per_minute: u64) -> Gate {
    let text = format!(
        r#"{{"pools": {{"p": {{"requests_per_minute": {requests_per_minute}, "burst_permille": 1}}}},
            "endpoints": {{"e": {{"model": "m", "pools": ["p"]}}}}}}"#
    );
    Gate::builder(Policy::from_json(&text).unwrap()).seed(7).open()
}

fn request(gate: &Gate) -> Request {
    Request::new(gate.model("m").unwrap(), 10)
}

async fn answer(gate: &Gate) -> Result<(), EndReason> {
    let done = gate.run(request(gate), |_| async { (Outcome::success(10), Ok::<(), ()>(())) }).await;
    done.map_err(|ended| ended.reason)
}

#[tokio::test(start_paused = true)]
async fn calls_go_out_at_the_pace_of_the_quota() {
    let gate = gate(60);
    let start = Instant::now();
    for _ in 0..10 {
        answer(&gate).await.unwrap();
    }
    let took = start.elapsed();
    // Nine gaps of a second and the share of the margin in each.
    assert!(took >= Duration::from_secs(9) && took < Duration::from_millis(9_150), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_waiting_calls_share_one_timer() {
    let gate = gate(600_000);
    let calls: Vec<_> = (0..10_000)
        .map(|_| {
            tokio::spawn({
                let gate = gate.clone();
                async move { answer(&gate).await }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(gate.inspect(|engine, _| (engine.waiting(), engine.in_flight())), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn dropping_a_waiting_call_cancels_it() {
    let gate = gate(60);
    answer(&gate).await.unwrap();
    let waiting = gate.submit(request(&gate));
    assert_eq!(gate.inspect(|engine, _| engine.waiting()), 1);
    drop(waiting);
    assert_eq!(gate.inspect(|engine, _| engine.waiting()), 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_whose_turn_was_not_taken_gives_everything_back() {
    let gate = gate(60);
    drop(gate.submit(request(&gate)));
    assert_eq!(gate.inspect(|engine, _| engine.in_flight()), 0);
    let used = gate.inspect(|engine, now| engine.pool_use_permille(now, sluicegate::PoolId(0), Quota::Requests));
    assert_eq!(used, Some(0));
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_that_is_out_keeps_its_reservation_and_frees_its_place() {
    let gate = gate(60);
    let mut ticket = gate.submit(request(&gate));
    assert!(matches!(ticket.turn().await, Turn::Send(_)));
    drop(ticket);
    assert_eq!(gate.inspect(|engine, _| engine.in_flight()), 0);
    let used = gate.inspect(|engine, now| engine.pool_use_permille(now, sluicegate::PoolId(0), Quota::Requests));
    assert_eq!(used, Some(1_000 / 60));
}

#[tokio::test(start_paused = true)]
async fn a_refused_attempt_is_tried_again_and_the_last_error_reaches_the_caller() {
    let gate = gate(60);
    let mut attempts = 0;
    let ended = gate
        .run(request(&gate), |attempt| {
            attempts = attempt.number;
            async move { (Outcome::of(OutcomeClass::Unavailable), Err::<(), u32>(attempt.number)) }
        })
        .await
        .unwrap_err();
    assert_eq!(ended.reason, EndReason::Failed { class: OutcomeClass::Unavailable });
    assert_eq!((ended.last, attempts), (Some(6), 6));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_cannot_be_met_is_refused_at_once() {
    let gate = gate(60);
    answer(&gate).await.unwrap();
    let start = Instant::now();
    let late = request(&gate).within(Duration::from_millis(100));
    let ended = gate.run(late, |_| async { (Outcome::success(1), Ok::<(), ()>(())) }).await.unwrap_err();
    assert!(matches!(ended.reason, EndReason::Refused { why: Refusal::Deadline, retry_at: Some(_) }));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_goes_out_under_another_policy() {
    let gate = gate(1);
    answer(&gate).await.unwrap();
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { answer(&gate).await }
    });
    tokio::task::yield_now().await;
    let text = r#"{"pools": {"p": {}}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}}"#;
    let start = Instant::now();
    gate.reconfigure(Policy::from_json(text).unwrap());
    waiting.await.unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_witness_is_told_what_goes_in_before_the_events_that_follow() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (events, inputs) = (Arc::clone(&told), Arc::clone(&told));
    let policy = r#"{"pools": {"p": {}}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}}"#;
    let gate = Gate::builder(Policy::from_json(policy).unwrap())
        .observer(Box::new(move |_, event: &Event| {
            let name = match event {
                Event::Sent { call, .. } => format!("sent {}", call.0),
                Event::Settled { .. } => "settled".to_owned(),
                Event::Ended { .. } => "ended".to_owned(),
                other => format!("{other:?}"),
            };
            events.lock().unwrap().push(name);
        }))
        .witness(Box::new(move |_, input: &Input| {
            let name = match input {
                Input::Submit(call) => format!("submit {} of {}", call.id.0, call.tokens),
                Input::Report { outcome, .. } => format!("report {}", outcome.output_tokens.unwrap()),
                other => format!("{other:?}"),
            };
            inputs.lock().unwrap().push(name);
        }))
        .open();
    let answer = |_| async { (Outcome::success(10).output_tokens(3), Ok::<(), ()>(())) };
    gate.run(request(&gate), answer).await.unwrap();
    assert_eq!(*told.lock().unwrap(), ["submit 0 of 10", "sent 0", "report 3", "settled", "ended"]);
}
