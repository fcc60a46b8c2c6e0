//! What outlives a process.

use super::*;
use sluicegate::{BreakerState, LabelId, Quota, Snapshot, SnapshotError};

const DAY: Timestamp = Timestamp::from_micros(86_400_000_000);

/// A desk whose clock stands a day after its origin, so that a restart leaves room for what was before.
fn desk(policy: &Value) -> Desk {
    let mut desk = Desk::new(policy);
    desk.now = DAY;
    desk
}

/// The same in a new process, `asleep` later; the text is what was kept.
fn restarted(desk: &mut Desk, policy: &Value, asleep: Duration) -> Desk {
    let text = desk.engine.snapshot(desk.now).to_json();
    let snapshot = Snapshot::from_json(&text).expect("it reads what it wrote");
    assert_eq!(snapshot.to_json(), text);
    let policy = Policy::parse(policy).unwrap_or_else(|error| panic!("{error}"));
    let mut fresh = self::desk(&json!({"pools": {"p": {}}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}}));
    // Another clock: the new process knows nothing of the old one's.
    fresh.now = Timestamp::from_micros(2 * DAY.as_micros() + 12_345);
    fresh.engine = Engine::restore(policy, &snapshot, fresh.now, asleep);
    fresh
}

/// Sends as many calls as go out at once.
fn drain(desk: &mut Desk, first: u64) -> usize {
    let before = desk.sent.len();
    for id in first..first + 200 {
        desk.submit(id, 10);
    }
    desk.sent.len() - before
}

#[test]
fn what_was_taken_from_a_pool_stays_taken() {
    let policy = single(&json!({"requests_per_minute": 100, "burst_permille": 1_000}));
    let mut before = desk(&policy);
    let end = before.now.saturating_add(seconds(50));
    for id in 0..200 {
        before.submit(id, 10);
    }
    before.wake_until(end);
    let used = before.sent.len();
    assert!(used > 70, "{used}");
    let mut after = restarted(&mut before, &policy, Duration::ZERO);
    let start = after.now;
    drain(&mut after, 1_000);
    after.wake_until(start.saturating_add(seconds(9)));
    // In the minute around the restart no more than the quota went out.
    assert!(used + after.sent.len() <= 100, "{used} before and {} after", after.sent.len());
    after.wake_until(start.saturating_add(seconds(90)));
    assert!(after.sent.len() > 100, "it goes on: {}", after.sent.len());
}

#[test]
fn what_happened_longer_ago_counts_as_longer_ago() {
    let policy = single(&json!({"requests_per_minute": 100}));
    let sent_at_once = |asleep: Duration| {
        let mut before = desk(&policy);
        for id in 0..200 {
            before.submit(id, 10);
        }
        before.wake_until(before.now.saturating_add(seconds(100)));
        let mut after = restarted(&mut before, &policy, asleep);
        drain(&mut after, 1_000)
    };
    assert_eq!(sent_at_once(Duration::ZERO), 0);
    assert!(sent_at_once(seconds(3_600)) >= 2);
}

#[test]
fn learned_limits_and_closed_days_are_remembered() {
    let policy = single(&json!({"requests_per_minute": 600}));
    let mut before = desk(&policy);
    for id in 0..40 {
        before.submit(id, 10);
        if let Some(sent) = before.attempts(id).first().copied() {
            before.report(sent.attempt, failed(OutcomeClass::Throttled(Quota::Requests)));
        }
        before.pass(seconds(2));
        before.does(Input::Wake);
    }
    let learned = before.events.iter().rev().find_map(|event| match event {
        Event::LimitLearned { limit, .. } => Some(*limit),
        _ => None,
    });
    let learned = learned.expect("the limit was lowered");
    let mut after = restarted(&mut before, &policy, Duration::ZERO);
    after.exchange_when_possible(1_000);
    after.report(after.last_sent().attempt, failed(OutcomeClass::Throttled(Quota::Day)));
    let found = after.engine.pool_use_permille(after.now, sluicegate::PoolId(0), Quota::Requests).unwrap_or(0);
    assert!(found >= 1_000 / learned, "one request is a larger share of the lowered limit: {found} of {learned}");
    // The day is closed now, and still is after another restart.
    let mut again = restarted(&mut after, &policy, seconds(600));
    again.submit(2_000, 10);
    assert_eq!(again.attempts(2_000), []);
    let wakeup = again.engine.next_wakeup().expect("it waits for the day");
    let wait = wakeup.at.saturating_since(again.now);
    assert!(wait > seconds(2_900) && wait <= seconds(3_000), "{wait:?}");
}

#[test]
fn an_open_breaker_stays_open_for_what_is_left() {
    let policy = with(
        single(&json!({})),
        "breaker",
        json!({"window_attempts": 2, "minimum_attempts": 2, "open_ms": 10_000, "open_jitter_permille": 0}),
    );
    let mut before = desk(&policy);
    for id in 0..2 {
        before.exchange(id, 10, Duration::ZERO, failed(OutcomeClass::Unavailable));
    }
    let opened = |event: &Event| matches!(event, Event::BreakerChanged { state: BreakerState::Open, .. });
    assert!(before.events.iter().any(opened));
    let mut after = restarted(&mut before, &policy, seconds(4));
    after.submit(9, 10);
    assert_eq!(after.engine.next_wakeup().map(|wakeup| wakeup.at), Some(after.now.saturating_add(seconds(6))));
}

#[test]
fn caches_and_lengths_of_answers_are_remembered() {
    let policy = with(pair(&json!({}), &json!({})), "output_cap", json!({"clamp": true, "minimum_answers": 100}));
    let mut before = desk(&policy);
    for id in 0..128 {
        let call = call(id, 8_500).max_tokens(8_000).label(LabelId(3)).affinity(id, 100);
        before.does(Input::Submit(call));
        before.report(before.last_sent().attempt, Outcome::success(300).output_tokens(200));
    }
    let mut after = restarted(&mut before, &policy, seconds(60));
    for key in 0..128 {
        let call = call(1_000 + key, 8_500).max_tokens(8_000).label(LabelId(3)).affinity(key, 100);
        after.does(Input::Submit(call));
        let (old, new) = (before.attempts(key)[0], after.last_sent());
        assert_eq!((new.endpoint, new.max_tokens), (old.endpoint, Some(256)));
    }
    // Five minutes later the caches are cold: about half of the conversations move.
    let mut later = restarted(&mut before, &policy, seconds(600));
    let mut moved = 0;
    // Another draw first, so that not the same choices are made.
    later.submit(1, 10);
    for key in 0..128 {
        later.does(Input::Submit(call(1_000 + key, 10).affinity(key, 100)));
        moved += u32::from(later.last_sent().endpoint != before.attempts(key)[0].endpoint);
    }
    assert!((30..100).contains(&moved), "{moved}");
}

#[test]
fn names_lead_not_places() {
    let old = pair(&json!({"requests_per_minute": 100}), &json!({"requests_per_minute": 100}));
    let mut before = desk(&old);
    for id in 0..200 {
        before.submit(id, 10);
    }
    before.wake_until(before.now.saturating_add(seconds(50)));
    // One more endpoint comes first, west is gone.
    let new = json!({
        "pools": {"east": {"requests_per_minute": 100}, "alps": {"requests_per_minute": 100}},
        "endpoints": {"alps": {"model": "m", "pools": ["alps"]}, "east": {"model": "m", "pools": ["east"]}},
    });
    let mut after = restarted(&mut before, &new, Duration::ZERO);
    let alps = after.endpoint("alps");
    assert!(drain(&mut after, 1_000) >= 1);
    assert!(after.sent.iter().all(|sent| sent.endpoint == alps), "east has given what it has: {:?}", after.sent);
}

#[test]
fn it_holds_no_calls_and_leaves_the_engine_as_it_was() {
    let policy = single(&json!({"requests_per_minute": 60}));
    let mut before = desk(&policy);
    for id in 0..5 {
        before.submit(id, 10);
    }
    let state = format!("{:?}", before.engine);
    let after = restarted(&mut before, &policy, Duration::ZERO);
    assert_eq!((after.engine.waiting(), after.engine.in_flight()), (0, 0));
    assert_eq!(after.engine.next_wakeup(), None);
    assert_eq!(format!("{:?}", before.engine), state);
}

#[test]
fn what_cannot_be_read_is_an_error_with_a_code() {
    let code = |text: &str| Snapshot::from_json(text).map_err(|error| error.code());
    assert_eq!(code(r#"{"version": 2}"#), Err("snapshot_newer"));
    for text in ["", "[]", "{}", r#"{"version": "1"}"#, r#"{"version": 1, "pools": 5}"#] {
        assert_eq!(code(text), Err("snapshot_malformed"), "{text}");
    }
    assert_eq!(SnapshotError::CODES, ["snapshot_newer", "snapshot_malformed"]);
    assert!(code(r#"{"version": 1}"#).is_ok(), "one that knows nothing");
    let embedded: Result<Snapshot, _> = serde_json::from_value(json!({"version": 7}));
    assert!(embedded.expect_err("it is newer").to_string().contains("version 7"));
}
