//! Why a call waits.

use sluicegate::{Phase, Quota, Standing};

use super::*;

#[test]
fn every_endpoint_that_was_passed_over_says_why() {
    let policy = json!({
        "pools": {
            "slow": {"requests_per_minute": 60, "burst_permille": 1},
            "small": {"tokens_per_minute": 100},
            "busy": {"concurrency": 1},
        },
        "endpoints": {
            "a": {"model": "m", "pools": ["slow"]},
            "b": {"model": "m", "pools": ["small"]},
            "c": {"model": "m", "pools": ["busy"]},
        },
    });
    let mut desk = Desk::new(&policy);
    for id in 0..4 {
        desk.submit(id, 500);
    }
    let waiting = desk.engine.explain(desk.now, CallId(3)).expect("it is under way");
    assert_eq!((waiting.phase, waiting.ahead, waiting.attempts), (Phase::Waiting, Some(1), 0));
    let standing: Vec<Standing> = waiting.endpoints.iter().map(|view| view.standing).collect();
    let start = desk.engine.next_wakeup().expect("calls wait").at;
    assert_eq!(standing, [Standing::Quota(Quota::Requests, start), Standing::TooLarge(100), Standing::Busy]);
    let wait = start.saturating_since(desk.now).as_millis();
    assert_eq!(
        desk.engine.describe(desk.now, &waiting),
        format!(
            "call 3: waiting behind 1 others; a has no requests per minute for {wait} ms; \
             b holds at most 100 tokens; c is busy"
        )
    );
}

#[test]
fn a_call_that_is_out_or_delayed_says_so() {
    let policy = with(single(&json!({})), "retry", json!({"overloaded": {"curve": "constant", "base_ms": 800}}));
    let mut desk = Desk::new(&policy);
    desk.submit(1, 10);
    let out = desk.engine.explain(desk.now, CallId(1)).expect("it is under way");
    assert_eq!((out.phase, out.ahead), (Phase::Out(desk.last_sent().attempt), None));
    assert_eq!(desk.engine.describe(desk.now, &out), "call 1: attempt 0 is out; sent to e");
    desk.report(desk.last_sent().attempt, failed(OutcomeClass::Unavailable));
    let delayed = desk.engine.explain(desk.now, CallId(1)).expect("it is under way");
    assert_eq!((delayed.phase, delayed.attempts), (Phase::Delayed(at(800)), 1));
    let line = desk.engine.describe(desk.now, &delayed);
    assert_eq!(line, "call 1: tried again in 800 ms; sent to e: unavailable; e is free");
}

#[test]
fn a_call_that_was_sent_says_why_the_others_were_passed_over() {
    let policy = json!({
        "pools": {"slow": {"requests_per_minute": 60}, "free": {}},
        "endpoints": {
            "a": {"model": "m", "pools": ["slow"]},
            "b": {"model": "m", "pools": ["free"]},
            "c": {"model": "m", "pools": ["free"], "group": 1},
            "d": {"model": "m", "pools": ["free"], "breaker": "forced-open"},
        },
    });
    let mut desk = Desk::new(&policy);
    for id in 0..9 {
        desk.submit(id, 10);
    }
    let explanation = desk.engine.explain(desk.now, CallId(8)).expect("it is under way");
    let line = desk.engine.describe(desk.now, &explanation);
    assert_eq!(
        line,
        "call 8: attempt 8 is out; sent to b; a has no requests per minute for 1011 ms; d is shut; \
         c is kept in reserve"
    );
    // Long after, the same is told of it, as of then.
    desk.pass(seconds(100));
    desk.report(desk.attempts(8)[0].attempt, Outcome::success(5));
    let ended = desk.engine.explain(desk.now, CallId(8)).expect("it ended just now");
    assert_eq!((ended.phase, ended.as_of), (Phase::Ended(EndReason::Answered), at(0)));
    assert_eq!(ended.endpoints, explanation.endpoints);
    assert_eq!(
        desk.engine.describe(desk.now, &ended),
        line.replace("attempt 8 is out; sent to b", "answered; sent to b: success")
    );
}

#[test]
fn a_refused_call_says_what_was_considered() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 60})));
    desk.submit(1, 10);
    desk.submit_within(2, 10, Duration::from_millis(500));
    let explanation = desk.engine.explain(desk.now, CallId(2)).expect("it ended just now");
    let line = desk.engine.describe(desk.now, &explanation);
    assert_eq!(
        line,
        "call 2: refused: it could not be answered before its deadline; e has no requests per minute for 1011 ms"
    );
    // So does one that waited for long before.
    desk.submit_within(3, 10, seconds(20));
    desk.does(Input::Cancel(CallId(3)));
    let cancelled = desk.engine.explain(desk.now, CallId(3)).expect("it ended just now");
    assert_eq!(cancelled.phase, Phase::Ended(EndReason::Cancelled));
}

#[test]
fn a_shut_endpoint_says_until_when() {
    let mut desk = Desk::new(&pair(&json!({}), &json!({})));
    desk.exchange(1, 10, seconds(1), failed(OutcomeClass::Unusable));
    let explanation = desk.engine.explain(desk.now, CallId(1)).expect("it is under way");
    let shut: Vec<_> =
        explanation.endpoints.iter().filter(|view| view.standing == Standing::Shut(Some(at(301_000)))).collect();
    assert_eq!(shut.len(), 1);
}

#[test]
fn what_residency_keeps_out_is_named() {
    let policy = with(pair(&json!({"concurrency": 1}), &json!({})), "residency", json!(["us"]));
    let mut desk = Desk::new(&policy);
    desk.submit(1, 10);
    desk.submit(2, 10);
    let explanation = desk.engine.explain(desk.now, CallId(2)).expect("it is under way");
    let line = desk.engine.describe(desk.now, &explanation);
    assert_eq!(line, "call 2: waiting behind 0 others; east is busy; west is outside the residency");
}

#[test]
fn every_attempt_is_told_and_what_is_long_past_is_forgotten() {
    let mut desk = Desk::new(&pair(&json!({}), &json!({})));
    desk.exchange(1, 10, seconds(1), failed(OutcomeClass::Unavailable));
    desk.wake_for(WakeReason::Retry);
    desk.report(desk.last_sent().attempt, Outcome::success(10));
    let explanation = desk.engine.explain(desk.now, CallId(1)).expect("it ended just now");
    let classes: Vec<_> = explanation.trials.iter().map(|trial| trial.class).collect();
    assert_eq!(classes, [Some(OutcomeClass::Unavailable), Some(OutcomeClass::Success)]);
    let calls = sluicegate::defaults::DECISIONS_KEPT as u64 / 3 + 1;
    for id in 10..10 + calls {
        desk.exchange(id, 10, Duration::ZERO, Outcome::success(10));
    }
    assert_eq!(desk.engine.explain(desk.now, CallId(1)), None);
    assert_eq!(desk.engine.explain(desk.now, CallId(5)), None, "it was never submitted");
}

#[test]
fn explaining_changes_no_decision() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 60, "burst_permille": 1})));
    desk.submit(1, 10);
    desk.submit(2, 10);
    let before = desk.engine.next_wakeup();
    for ahead in 0..5 {
        let _ = desk.engine.explain(at(ahead * 200), CallId(2));
    }
    assert_eq!(desk.engine.next_wakeup(), before);
    desk.wake_until(at(1_020));
    assert_eq!(desk.attempts(2).len(), 1);
}
