//! What the other side gets when it asks for what cannot be: a value, never a panic.

use std::sync::Arc;

use crate::appraiser::{Appraiser, CallOptions, Operation, estimate};
use crate::desk::{Desk, Turn};
use crate::engine::{Engine, TimedInput};
use crate::errors::{InputError, PolicyError, SnapshotError};
use crate::input::{Call, Decision, Input};
use crate::limiter::{Admission, Limiter};
use crate::outcome::{Spent, outcome_of, outcome_success};
use crate::pieces::{Backoff, Breaker, RetryBudget, RetryKind};
use crate::policy::Policy;
use crate::rng::Rng;
use crate::stream::StreamWatch;

const POLICY: &str = r#"{
    "pools": {"virginia": {"requests_per_minute": 60}},
    "endpoints": {"us-east-1": {"model": "claude", "pools": ["virginia"]}}
}"#;
const DAY: u64 = 86_400_000_000;

fn policy() -> Arc<Policy> {
    Arc::new(Policy::from_json(POLICY).unwrap())
}

fn faults(error: PolicyError) -> Vec<(String, String)> {
    let PolicyError::Faulty { faults } = error;
    faults.into_iter().map(|fault| (fault.code, fault.pointer)).collect()
}

#[test]
fn every_fault_of_a_policy_is_named() {
    let text = r#"{"pools": {"p": {"requests_per_minute": 0}}, "endpoints": {}, "data": {"bedrock": {"nothing": 1}}}"#;
    let found = faults(Policy::from_json(text).err().unwrap());
    assert!(found.iter().any(|(_, pointer)| pointer == "/pools/p/requests_per_minute"), "{found:?}");
    assert!(found.iter().any(|(_, pointer)| pointer.starts_with("/data/bedrock")), "{found:?}");
    assert_eq!(faults(Policy::from_json("{").err().unwrap()).len(), 1);
    assert_eq!(faults(Backoff::new(Some(r#"{"base_ms": -1}"#.to_owned())).err().unwrap())[0].1, "/base_ms");
    assert_eq!(faults(Breaker::new(Some("no json".to_owned())).err().unwrap()).len(), 1);
    assert!(RetryBudget::new(0, Some("[]".to_owned())).is_err());
    assert_eq!(faults(Limiter::new(r#"{"requests_per_minute": 0}"#, 0).err().unwrap())[0].1, "/requests_per_minute");
}

#[test]
fn a_call_goes_over_the_desk() {
    let desk = Desk::new(&policy(), DAY, Some(7));
    let call = desk.submit(DAY, "claude", 100, CallOptions::default(), None).unwrap();
    assert_eq!(desk.news().calls, [call]);
    let Some(Turn::Send { attempt }) = desk.turn(call) else { panic!("it would have to wait") };
    assert_eq!((attempt.endpoint.name.as_str(), attempt.number), ("us-east-1", 1));
    desk.report_success(DAY, call, attempt.id, 90).unwrap();
    assert!(matches!(desk.turn(call), Some(Turn::End { .. })));
    assert_eq!((desk.waiting(), desk.in_flight()), (0, 0));
}

#[test]
fn misuse_is_a_typed_error() {
    let desk = Desk::new(&policy(), DAY, None);
    let submit = |model| desk.submit(DAY, model, 1, CallOptions::default(), None);
    assert_eq!(submit("nobody").unwrap_err().code(), "unknown_model");
    assert_eq!(desk.submit_tokens(DAY, 9, 1).unwrap_err().code(), "unknown_model");
    assert_eq!(desk.report(DAY, 5, 0, outcome_success(1, None)), Err(InputError::UnknownCall { call: 5 }));
    let call = submit("claude").unwrap();
    assert_eq!(desk.report_success(DAY, call, 77, 1), Err(InputError::UnknownAttempt { attempt: 77 }));
    desk.leave(DAY, 1_000);
    desk.leave(DAY, call);
    assert!(desk.turn(call).is_none());
    desk.shut(DAY);
    assert_eq!(submit("claude"), Err(InputError::Closed));

    let (engine, rng) = (Engine::new(&policy(), DAY), Rng::listed(Vec::new()));
    let report = Input::Report { attempt: 3, outcome: outcome_of(crate::outcome::OutcomeClass::Success) };
    assert_eq!(engine.handle(DAY, report, &rng), Err(InputError::UnknownAttempt { attempt: 3 }));
    assert_eq!(engine.describe(DAY, 8), None);
    let error = Engine::restore(&policy(), "{}", DAY, 0).err().unwrap();
    assert!(matches!(error, SnapshotError::Unreadable { code, .. } if !code.is_empty()));
}

#[test]
fn no_time_is_too_early_or_too_late() {
    for now in [0, u64::MAX] {
        let desk = Desk::new(&policy(), now, None);
        let options = CallOptions { deadline_us: Some(u64::MAX), ..CallOptions::default() };
        let call = desk.submit(now, "claude", u64::MAX, options, Some(u32::MAX)).unwrap();
        desk.wake(u64::MAX - now);
        drop((desk.turn(call), desk.news(), desk.explain(now, call)));
        let snapshot = desk.snapshot(now);
        assert!(Desk::restore(&policy(), &snapshot, now, u64::MAX, None).is_ok());
    }
}

#[test]
fn a_permit_is_settled_once() {
    let limiter = Limiter::new(r#"{"requests_per_minute": 60}"#, DAY).unwrap();
    let Admission::Granted { permit } = limiter.acquire(DAY, 10) else { panic!("no room") };
    assert_eq!(limiter.settle(DAY, &permit, Spent::Tokens { tokens: 9 }), Ok(()));
    assert_eq!(limiter.settle(DAY, &permit, Spent::NeverSent), Err(InputError::PermitSettled));
    let budget = RetryBudget::new(DAY, None).unwrap();
    budget.withdraw(DAY, RetryKind::Other);
}

#[test]
fn the_appraiser_plans_what_the_desk_takes() {
    let policy = policy();
    let (appraiser, desk) = (Appraiser::new(&policy).unwrap(), Desk::new(&policy, DAY, None));
    let body =
        br#"{"messages": [{"role": "user", "content": [{"text": "Hi"}]}], "inferenceConfig": {"maxTokens": 50}}"#;
    let plan = appraiser.plan("claude", Operation::Converse, body.to_vec(), CallOptions::default(), false).unwrap();
    assert!(plan.tokens() > 50 && estimate("claude", Operation::Converse, body.to_vec()) > 50);
    let call = desk.submit_plan(DAY, &plan).unwrap();
    assert!(matches!(desk.turn(call), Some(Turn::Send { .. })));
    let answer = br#"{"usage": {"inputTokens": 3, "outputTokens": 4}, "stopReason": "end_turn"}"#;
    let outcome = appraiser.answered(&plan, 0, answer.to_vec(), Vec::new());
    assert!(matches!(outcome.spent, Spent::Tokens { tokens } if tokens >= 7), "{outcome:?}");
    assert!(appraiser.plan("nobody", Operation::InvokeModel, b"\xff".to_vec(), CallOptions::default(), true).is_err());
}

#[test]
fn a_batch_says_all_that_came_of_it() {
    let (engine, rng) = (Engine::new(&policy(), DAY), Rng::new(Some(1)));
    let input =
        |call| TimedInput { at: DAY, input: Input::Submit { call: Call { call, tokens: 1, ..Call::default() } } };
    let said = engine.handle_all((0..3).map(input).collect(), &rng).unwrap();
    assert!(matches!(said.decisions[0], Decision::Send { call: 0, .. }), "{said:?}");
    assert!(engine.handle_all(vec![input(9), input(9)], &rng).is_err());
    assert_eq!((engine.waiting() + engine.in_flight(), engine.drain(None).decisions.len() <= 1), (4, true));
}

#[test]
fn a_panic_ends_at_the_border() {
    let mut status = uniffi::RustCallStatus::default();
    let desk = Desk::new(&policy(), DAY, None);
    let answer: u8 = uniffi::rust_call(&mut status, || {
        let _held = desk.lock();
        panic!("a fault of ours");
    });
    assert_eq!((answer, status.code), (0, uniffi::RustCallStatusCode::UnexpectedError));
    // And whoever held the lock holds nobody up.
    assert_eq!(desk.waiting(), 0);
}

#[test]
fn events_are_cut_out_of_bytes_until_one_is_an_error() {
    let watch = StreamWatch::new(Operation::Converse);
    // One frame without a name, then what is none.
    let mut bytes = vec![0, 0, 0, 16];
    bytes.extend([0; 12]);
    assert!(watch.take_bytes(bytes[..9].to_vec()).is_empty());
    assert_eq!(watch.take_bytes(bytes[9..].to_vec()).len(), 1);
    assert!(watch.take_bytes(b"HTTP/1.1 200 OK, and so on".to_vec()).is_empty());
    assert_eq!(watch.error().map(|error| error.code), Some(None));
    assert!(watch.take_bytes(bytes).is_empty() && !watch.delivers() && !watch.completes());
}
