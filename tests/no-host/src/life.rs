//! Callers and a moody service around one engine.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt::Write as _;
use core::time::Duration;

use sluicegate::random::{Rng as _, scale};
use sluicegate::{
    AttemptId, Call, CallId, Decision, Engine, Input, ModelId, Outcome, OutcomeClass, Policy, Quota, Spent, Timestamp,
};

use crate::dice::Dice;
use crate::digest::Digest;

/// Narrow enough that calls wait, are refused, expire and move to the other endpoint.
const POLICY: &str = r#"{
    "pools": {
        "east": {"requests_per_minute": 20, "tokens_per_minute": 40000, "concurrency": 3},
        "west": {"tokens_per_minute": 15000, "tokens_per_day": 60000}
    },
    "endpoints": {
        "east": {"model": "m", "region": "us-east-1", "pools": ["east"], "geography": "us"},
        "west": {"model": "m", "region": "us-west-2", "pools": ["west"], "geography": "us"}
    },
    "residency": ["us"],
    "retry": {"max_attempts": 4, "model_error": true},
    "breaker": {"window_attempts": 8, "minimum_attempts": 4},
    "queue": {"capacity": 40, "deadline_ms": 90000, "lease_ms": 30000}
}"#;
const CALLS: u64 = 96;
const MINUTE: u64 = 60_000_000;
/// Far more than the calls need; exceeded only by an engine that wakes for nothing.
const STEPS: u64 = 10_000;

/// What is going to happen outside the engine, in order.
type Future = BTreeMap<(Timestamp, u64), Input>;

/// Plays with the dice started at `seed`. Panics, which is a trap in WebAssembly, unless every call ends exactly once.
#[must_use]
pub fn play(seed: u64) -> u64 {
    let mut dice = Dice::new(seed);
    let mut digest = Digest::new();
    let mut engine = Engine::new(Policy::from_json(POLICY).expect("the policy above is right"), Timestamp::ZERO);
    let mut future = callers(&mut dice);
    let mut ended = BTreeSet::new();
    for step in 0.. {
        let happens = future.first_key_value().map(|((at, _), _)| *at);
        let wakes = engine.next_wakeup();
        note(&mut digest, &wakes);
        let (now, input) = match (happens, wakes) {
            (None, None) => break,
            (_, wakes) if step > STEPS => panic!("the engine never comes to rest: {wakes:?}"),
            (Some(at), None) => (at, next(&mut future)),
            (Some(at), Some(wakeup)) if at <= wakeup.at => (at, next(&mut future)),
            (_, Some(wakeup)) => (wakeup.at, Input::Wake),
        };
        // A caller may cancel what has ended, and report what is no longer out: the errors are part of the life.
        note(&mut digest, &engine.handle(now, input, &mut dice));
        while let Some(decision) = engine.poll_decision() {
            note(&mut digest, &decision);
            match decision {
                Decision::Send { attempt, .. } | Decision::Hedge { attempt, .. } => {
                    future.extend(
                        service(now, attempt, &mut dice).map(|(at, input)| ((at, CALLS * 2 + attempt.0), input)),
                    );
                }
                Decision::Abort { .. } => {}
                Decision::End { call, .. } => assert!(ended.insert(call), "a call ended twice"),
            }
        }
        while let Some(event) = engine.poll_event() {
            note(&mut digest, &event);
        }
    }
    assert_eq!(ended.len() as u64, CALLS, "a call did not end");
    digest.finish()
}

fn next(future: &mut Future) -> Input {
    future.pop_first().map_or(Input::Wake, |(_, input)| input)
}

fn note(digest: &mut Digest, what: &impl core::fmt::Debug) {
    // A digest takes any text.
    let _ = write!(digest, "{what:?};");
}

/// All submissions and some cancellations, over a minute.
fn callers(dice: &mut Dice) -> Future {
    let mut future = Future::new();
    for number in 0..CALLS {
        let at = Timestamp::from_micros(scale(dice.next_u64(), MINUTE));
        // Every 31st is larger than any pool.
        let tokens = if number % 31 == 30 { 1_000_000 } else { 100 + scale(dice.next_u64(), 4_000) };
        let mut call = Call::new(CallId(number), ModelId(0), tokens);
        if number % 3 == 0 {
            call = call.deadline(at.saturating_add(Duration::from_micros(scale(dice.next_u64(), MINUTE))));
        }
        if number % 5 == 0 {
            call = call.priority(1);
        }
        future.insert((at, number), Input::Submit(call));
        if number % 7 == 0 {
            let later = at.saturating_add(Duration::from_micros(scale(dice.next_u64(), MINUTE / 4)));
            future.insert((later, CALLS + number), Input::Cancel(CallId(number)));
        }
    }
    future
}

/// How an attempt ends, and when. One in sixteen is never heard of again.
fn service(now: Timestamp, attempt: AttemptId, dice: &mut Dice) -> Option<(Timestamp, Input)> {
    let tokens = 50 + scale(dice.next_u64(), 6_000);
    let outcome = match scale(dice.next_u64(), 15) {
        0 => return None,
        1 => Outcome::of(OutcomeClass::Throttled(Quota::Tokens)).retry_after(Duration::from_secs(2)),
        2 => Outcome::of(OutcomeClass::Throttled(Quota::Unknown)),
        3 => Outcome::of(OutcomeClass::Overloaded),
        4 => Outcome::of(OutcomeClass::Unavailable),
        5 => Outcome::of(OutcomeClass::NotReady),
        6 => Outcome { spent: Spent::Tokens(tokens), ..Outcome::of(OutcomeClass::ModelError) },
        7 => Outcome::of(OutcomeClass::StreamBroken),
        8 => Outcome::of(OutcomeClass::Refused),
        _ => Outcome::success(tokens),
    };
    let took = Duration::from_micros(200_000 + scale(dice.next_u64(), 8_000_000));
    Some((now.saturating_add(took), Input::Report { attempt, outcome }))
}
