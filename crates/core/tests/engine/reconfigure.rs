//! A new policy while calls wait and attempts are out.

use serde_json::json;
use sluicegate::{Call, CallId, EndReason, Input, ModelId, Outcome, OutcomeClass, Policy, Quota, Refusal, TenantId};

use super::{Desk, at, failed, pair, seconds, single, with};

impl Desk {
    fn reconfigure(&mut self, policy: &serde_json::Value) {
        let policy = Policy::parse(policy).unwrap_or_else(|error| panic!("{error}"));
        self.engine.reconfigure(self.now, policy);
        assert_eq!(self.engine.next_wakeup().map(|wakeup| wakeup.at), Some(self.now), "a wake-up is due at once");
        self.does(Input::Wake);
    }
}

#[test]
fn waiting_calls_go_out_under_a_higher_quota() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 1})));
    for id in 0..10 {
        desk.submit(id, 10);
    }
    assert_eq!(desk.sent.len(), 1);
    desk.reconfigure(&single(&json!({"requests_per_minute": 600})));
    desk.wake_until(at(3_000));
    assert_eq!((desk.sent.len(), desk.ended.len()), (10, 0));
}

#[test]
fn what_was_taken_still_counts() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 60})));
    for id in 0..50 {
        desk.submit(id, 10);
    }
    desk.wake_until(at(30_000));
    let before = desk.sent.len();
    desk.reconfigure(&single(&json!({"requests_per_minute": 31, "window_margin_ms": 1_000})));
    desk.wake_until(at(55_000));
    assert!(before >= 29 && desk.sent.len() <= 31, "{before}, then {} in one minute", desk.sent.len());
}

#[test]
fn an_attempt_that_is_out_is_settled_where_it_was_reserved() {
    let mut desk = Desk::new(&single(&json!({"concurrency": 1})));
    desk.submit(1, 10);
    desk.submit(2, 10);
    let sent = desk.last_sent();
    // The endpoint is gone, the pool stays under another one.
    desk.reconfigure(&json!({
        "pools": {"a": {}, "p": {"concurrency": 1}},
        "endpoints": {"other": {"model": "m", "pools": ["a", "p"]}},
    }));
    assert_eq!(desk.sent.len(), 1, "its place is still taken");
    desk.report(sent.attempt, Outcome::success(10));
    assert_eq!(desk.end_of(1), Some(EndReason::Answered));
    assert_eq!(desk.sent.len(), 2, "and free again");
}

#[test]
fn a_call_whose_model_is_gone_is_refused() {
    let mut desk = Desk::new(&single(&json!({"concurrency": 1})));
    desk.submit(1, 10);
    desk.submit(2, 10);
    let sent = desk.last_sent();
    let policy = json!({"pools": {"p": {}}, "endpoints": {"e": {"model": "another", "pools": ["p"]}}});
    desk.reconfigure(&policy);
    let refused = Some(EndReason::Refused { why: Refusal::NoEndpoint, retry_at: None });
    assert_eq!((desk.end_of(1), desk.end_of(2)), (refused, refused));
    // What is out is reported all the same.
    desk.report(sent.attempt, Outcome::success(10));
    assert_eq!((desk.engine.in_flight(), desk.engine.waiting()), (0, 0));
    assert_eq!(desk.engine.next_wakeup(), None);
}

#[test]
fn models_and_tenants_are_followed_by_name() {
    let mut desk = Desk::new(&json!({
        "pools": {"p": {"concurrency": 1}},
        "endpoints": {"b": {"model": "b", "pools": ["p"]}},
        "tenants": {"web": {"weight": 2}},
    }));
    for id in 0..4 {
        desk.does(Input::Submit(Call::new(CallId(id), ModelId(0), 10).tenant(TenantId(0))));
    }
    desk.reconfigure(&json!({
        "pools": {"p": {}, "q": {}},
        "endpoints": {"a": {"model": "a", "pools": ["q"]}, "b": {"model": "b", "pools": ["p"]}},
        "tenants": {"batch": {}, "web": {"weight": 2}},
    }));
    let endpoint = desk.endpoint("b");
    assert_eq!(desk.sent.len(), 4);
    assert!(desk.sent[1..].iter().all(|sent| sent.endpoint == endpoint));
}

#[test]
fn what_was_learned_stays() {
    let mut desk = Desk::new(&pair(&json!({}), &json!({})));
    desk.exchange(1, 10, seconds(1), failed(OutcomeClass::Throttled(Quota::Requests)).retry_after(seconds(60)));
    let refused = desk.attempts(1)[0].endpoint;
    desk.reconfigure(&pair(&json!({"requests_per_minute": 6_000}), &json!({"requests_per_minute": 6_000})));
    for id in 2..20 {
        desk.submit(id, 10);
    }
    desk.wake_until(at(30_000));
    assert!(
        desk.attempts(1).len() == 2 && (2..20).all(|id| desk.attempts(id).iter().all(|sent| sent.endpoint != refused))
    );
}

#[test]
fn a_half_open_breaker_needs_no_more_probes_than_the_new_policy_allows() {
    let policy = |probes: u64| {
        let breaker = json!({"minimum_attempts": 1, "window_attempts": 1, "open_ms": 1_000, "probes": probes});
        with(with(single(&json!({})), "breaker", breaker), "retry", json!({"max_attempts": 1}))
    };
    let mut desk = Desk::new(&policy(2));
    desk.exchange(0, 10, seconds(1), failed(OutcomeClass::Unavailable));
    desk.pass(seconds(5));
    desk.exchange(1, 10, seconds(1), Outcome::success(10));
    // The second probe never comes.
    desk.reconfigure(&policy(1));
    desk.exchange(2, 10, seconds(1), Outcome::success(10));
    desk.exchange(3, 10, seconds(1), Outcome::success(10));
    assert_eq!(desk.sent.len(), 4);
}

#[test]
fn a_probe_that_ends_while_breakers_are_off_is_not_waited_for() {
    let policy = |mode: &str| {
        let breaker = json!({"minimum_attempts": 1, "window_attempts": 1, "open_ms": 1_000, "probes": 1});
        let mut policy = with(with(single(&json!({})), "breaker", breaker), "retry", json!({"max_attempts": 1}));
        for endpoint in policy["endpoints"].as_object_mut().expect("it has some").values_mut() {
            endpoint["breaker"] = json!(mode);
        }
        policy
    };
    let mut desk = Desk::new(&policy("enabled"));
    desk.exchange(0, 10, seconds(1), failed(OutcomeClass::Unavailable));
    desk.pass(seconds(5));
    desk.submit(1, 10);
    let probe = desk.last_sent();
    desk.reconfigure(&policy("disabled"));
    desk.report(probe.attempt, Outcome::success(10));
    desk.reconfigure(&policy("enabled"));
    desk.submit(2, 10);
    assert_eq!(desk.attempts(2).len(), 1);
}

#[test]
fn a_day_counts_from_when_it_is_limited() {
    let mut desk = Desk::new(&single(&json!({})));
    desk.submit(0, 900);
    let before = desk.last_sent();
    desk.pass(seconds(1));
    desk.reconfigure(&single(&json!({"tokens_per_day": 1_000})));
    desk.exchange(1, 900, seconds(1), Outcome::success(900));
    // What was never counted is not given back.
    desk.report(before.attempt, Outcome::success(0));
    desk.submit(2, 900);
    assert_eq!(desk.attempts(2).len(), 0);
}

#[test]
fn deadlines_and_retries_go_on() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 1})));
    desk.exchange(0, 10, seconds(1), failed(OutcomeClass::Unavailable));
    desk.submit_within(1, 10, seconds(300));
    desk.reconfigure(&single(&json!({"requests_per_minute": 2})));
    desk.wake_until(at(400_000));
    assert_eq!(desk.attempts(0).len(), 2);
    assert_eq!(desk.attempts(1).len(), 1);
}
