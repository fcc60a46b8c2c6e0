//! Endpoints without capacity, and endpoints that are down.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use sluicegate::{BreakerState, EndReason, EndpointId, Event, Input, Outcome, OutcomeClass, Refusal, WakeReason};

use super::{Desk, at, failed, pair, seconds, single, with};

const OVERLOADED: OutcomeClass = OutcomeClass::Overloaded;
const UNAVAILABLE: OutcomeClass = OutcomeClass::Unavailable;

/// Opens after four attempts of which half failed, for 2 s.
fn quick_breaker(policy: Value) -> Value {
    with(policy, "breaker", json!({"open_jitter_permille": 0, "minimum_attempts": 4, "window_attempts": 4}))
}

fn states(desk: &Desk, of: EndpointId) -> Vec<BreakerState> {
    let states = desk.events.iter().filter_map(|event| match event {
        Event::BreakerChanged { endpoint, state } if *endpoint == of => Some(*state),
        _ => None,
    });
    states.collect()
}

#[test]
fn capacity_errors_lower_what_may_be_out_and_it_comes_back() {
    let mut desk = Desk::new(&single(&json!({})));
    for id in 0..20 {
        desk.submit(id, 10);
    }
    desk.pass(seconds(1));
    desk.report(desk.sent[0].attempt, failed(OVERLOADED));
    let lowered = desk.events.iter().find_map(|event| match event {
        Event::ConcurrencyLowered { limit, .. } => Some(*limit),
        _ => None,
    });
    assert_eq!(lowered, Some(19), "what was carried is what can be carried");
    // Refused again at once: the capacity is still falling.
    desk.submit(50, 10);
    desk.report(desk.sent[1].attempt, Outcome::success(10));
    assert_eq!(desk.last_sent().call, 50);
    desk.report(desk.last_sent().attempt, failed(OVERLOADED));
    let lowered = desk.events.iter().rev().find_map(|event| match event {
        Event::ConcurrencyLowered { limit, .. } => Some(*limit),
        _ => None,
    });
    assert_eq!(lowered, Some(14), "four fifths of the 18 that were left");
    for index in 2..20 {
        desk.report(desk.sent[index].attempt, Outcome::success(10));
    }
    for id in 100..600 {
        desk.submit(id, 10);
    }
    assert_eq!(desk.engine.in_flight(), 14);
    let mut carried = desk.engine.in_flight();
    desk.sent.retain(|sent| sent.call >= 100);
    for _ in 0..30 {
        desk.pass(seconds(1));
        for sent in std::mem::take(&mut desk.sent) {
            desk.report(sent.attempt, Outcome::success(10));
        }
        carried = carried.max(desk.engine.in_flight());
    }
    assert!(carried > 20, "calm brings the old concurrency back: {carried}");
}

#[test]
fn capacity_errors_that_come_by_chance_keep_nobody_waiting_and_open_no_breaker() {
    let mut desk = Desk::new(&single(&json!({})));
    let mut draw = 7_u64;
    let mut two_in_five = || {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) % 5 < 2
    };
    let mut out: Vec<(u64, sluicegate::AttemptId)> = Vec::new();
    // Four calls a second, each answered after 3 s; the last 40 s count.
    let mut late = 0;
    for step in 0..2_400_u64 {
        let counts = step >= 2_240;
        if step == 2_240 {
            desk.events.clear();
        }
        desk.pass(Duration::from_millis(250));
        for (_, attempt) in out.extract_if(.., |(due, _)| *due <= step) {
            desk.report(attempt, Outcome::success(10));
        }
        desk.submit(step, 10);
        while let Some(sent) = desk.sent.pop() {
            match two_in_five() {
                true => desk.report(sent.attempt, failed(OVERLOADED)),
                false => out.push((step + 12, sent.attempt)),
            }
        }
        late += usize::from(counts && desk.engine.waiting() > 20);
    }
    let opened = desk.events.iter().filter(|event| matches!(event, Event::BreakerChanged { .. })).count();
    assert_eq!((opened, late), (0, 0), "breakers changed, and steps at which more than twenty waited");
}

/// Twenty at a time are known to be carried, and 200 calls wait. Returns how many are out after half a minute in which
/// every answer took so long.
fn carried_after_answers_of(took: Duration) -> usize {
    let mut desk = Desk::new(&single(&json!({})));
    for id in 0..40 {
        desk.exchange(id, 10, Duration::from_millis(500), Outcome::success(10).output_tokens(200));
    }
    for id in 100..121 {
        desk.submit(id, 10);
    }
    desk.report(desk.last_sent().attempt, failed(OVERLOADED));
    (200..400).for_each(|id| desk.submit(id, 10));
    let (mut taken, end) = (40, desk.now.saturating_add(seconds(30)));
    let mut carried = 0;
    while desk.now < end {
        while let Some(sent) = desk.sent.get(taken).copied()
            && sent.at.saturating_add(took) <= desk.now
        {
            taken += 1;
            // The attempt that met the capacity error is no longer out.
            let _ =
                desk.input(Input::Report { attempt: sent.attempt, outcome: Outcome::success(10).output_tokens(200) });
        }
        carried = carried.max(desk.engine.in_flight());
        desk.wake_until(desk.now.saturating_add(Duration::from_millis(100)));
    }
    carried
}

#[test]
fn a_limit_does_not_grow_while_answers_come_slowly() {
    let [usual, slow] = [500, 1_000].map(|ms| carried_after_answers_of(Duration::from_millis(ms)));
    assert!(usual >= 60, "{usual} at once");
    assert!(slow < usual * 3 / 4, "{slow} at once");
}

#[test]
fn an_overloaded_call_waits_and_then_prefers_another_endpoint() {
    let mut desk = Desk::new(&pair(&json!({}), &json!({})));
    for id in 0..20 {
        desk.exchange(id, 10, seconds(1), failed(OVERLOADED));
        desk.wake_for(WakeReason::Retry);
        let sent = desk.attempts(id);
        assert_ne!(sent[0].endpoint, sent[1].endpoint);
        desk.report(sent[1].attempt, Outcome::success(10));
        desk.pass(seconds(60));
    }
}

#[test]
fn a_breaker_shuts_a_dead_endpoint_out_and_the_others_carry_on() {
    let mut desk = Desk::new(&quick_breaker(pair(&json!({}), &json!({}))));
    let (east, west) = (desk.endpoint("east"), desk.endpoint("west"));
    let mut id = 0;
    while states(&desk, east).is_empty() {
        desk.submit(id, 10);
        id += 1;
        let sent = desk.last_sent();
        let outcome = if sent.endpoint == east { failed(UNAVAILABLE) } else { Outcome::success(10) };
        desk.report(sent.attempt, outcome);
    }
    assert_eq!(states(&desk, east), [BreakerState::Open]);
    let before = desk.sent.len();
    for id in 1_000..1_100 {
        desk.exchange(id, 10, seconds(0), Outcome::success(10));
    }
    assert!(desk.sent[before..].iter().all(|sent| sent.endpoint == west));
    assert_eq!(states(&desk, west), []);
}

#[test]
fn an_opened_breaker_lets_probes_through_and_closes_when_they_are_good() {
    let mut desk = Desk::new(&quick_breaker(single(&json!({}))));
    let endpoint = desk.endpoint("e");
    for id in 0..4 {
        desk.submit(id, 10);
    }
    for index in 0..4 {
        desk.report(desk.sent[index].attempt, failed(UNAVAILABLE));
    }
    assert_eq!(states(&desk, endpoint), [BreakerState::Open]);
    for id in 10..30 {
        desk.submit(id, 10);
    }
    assert_eq!(desk.sent.len(), 4);
    desk.wake_until(at(2_000));
    let probes: Vec<_> = desk.sent[4..].to_vec();
    assert_eq!(probes.len(), 3, "as many as the policy says, at the time the breaker said");
    assert!(probes.iter().all(|sent| sent.at == at(2_000)));
    for probe in probes {
        desk.report(probe.attempt, Outcome::success(10));
    }
    assert_eq!(states(&desk, endpoint), [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed]);
    assert_eq!(desk.engine.waiting(), 0, "all that waited is out");
}

#[test]
fn a_failed_probe_doubles_the_time_that_the_breaker_stays_open() {
    let mut desk = Desk::new(&quick_breaker(with(single(&json!({})), "retry", json!({"max_attempts": 1}))));
    let mut opened = Vec::new();
    for id in 0..100 {
        desk.submit(id, 10);
    }
    let mut reported = 0;
    while opened.len() < 4 {
        while reported < desk.sent.len() {
            desk.report(desk.sent[reported].attempt, failed(UNAVAILABLE));
            reported += 1;
        }
        desk.submit(1_000 + desk.now.as_micros(), 10);
        desk.submit(1_001 + desk.now.as_micros(), 10);
        desk.submit(1_002 + desk.now.as_micros(), 10);
        let before = desk.now;
        desk.wake_for(WakeReason::Start);
        opened.push(desk.now.saturating_since(before).as_secs());
    }
    assert_eq!(opened, [2, 4, 8, 16]);
}

#[test]
fn a_probe_that_says_nothing_frees_its_place() {
    let mut desk = Desk::new(&quick_breaker(with(single(&json!({})), "retry", json!({"max_attempts": 1}))));
    for id in 0..4 {
        desk.submit(id, 10);
    }
    for index in 0..4 {
        desk.report(desk.sent[index].attempt, failed(UNAVAILABLE));
    }
    desk.pass(seconds(2));
    for id in 10..14 {
        desk.submit(id, 10);
    }
    let probe = desk.attempts(10)[0];
    assert_eq!(desk.attempts(13), []);
    desk.report(probe.attempt, failed(OutcomeClass::Cancelled));
    assert_eq!(desk.engine.in_flight(), 3, "another call probes instead");
}

#[test]
fn throttling_does_not_open_a_breaker() {
    let pool = json!({"requests_per_minute": 6_000});
    let mut desk = Desk::new(&quick_breaker(pair(&pool, &pool)));
    for id in 0..20 {
        desk.submit(id, 10);
        let sent = desk.last_sent();
        desk.report(sent.attempt, failed(OutcomeClass::Throttled(sluicegate::Quota::Requests)));
        desk.report(desk.last_sent().attempt, Outcome::success(10));
        desk.wake_until(desk.now.saturating_add(seconds(60)));
    }
    assert!(!desk.events.iter().any(|event| matches!(event, Event::BreakerChanged { .. })));
}

#[test]
fn an_endpoint_that_cannot_serve_the_model_hands_its_calls_on() {
    let mut desk = Desk::new(&pair(&json!({}), &json!({})));
    desk.exchange(1, 10, seconds(1), failed(OutcomeClass::Unusable));
    let sent = desk.attempts(1);
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0].endpoint, sent[1].endpoint);
    assert!(desk.events.contains(&Event::EndpointUnusable { endpoint: sent[0].endpoint, until: at(301_000) }));
    for id in 10..30 {
        desk.submit(id, 10);
    }
    let used: BTreeSet<EndpointId> = desk.sent[1..].iter().map(|sent| sent.endpoint).collect();
    assert_eq!(used, BTreeSet::from([sent[1].endpoint]), "it is left out");
    desk.pass(seconds(300));
    for id in 30..60 {
        desk.submit(id, 10);
    }
    assert!(desk.sent[22..].iter().any(|other| other.endpoint == sent[0].endpoint), "and tried again later");
}

#[test]
fn the_last_endpoint_that_cannot_serve_the_model_fails_the_call() {
    let mut desk = Desk::new(&pair(&json!({}), &json!({})));
    desk.exchange(1, 10, seconds(1), failed(OutcomeClass::Unusable));
    desk.report(desk.last_sent().attempt, failed(OutcomeClass::Unusable));
    assert_eq!(desk.end_of(1), Some(EndReason::Failed { class: OutcomeClass::Unusable }));
}

#[test]
fn a_call_behind_busy_probes_goes_out_when_an_unusable_endpoint_is_tried_again() {
    let mut desk = Desk::new(&quick_breaker(with(pair(&json!({}), &json!({})), "retry", json!({"max_attempts": 1}))));
    desk.exchange(1, 10, seconds(1), failed(OutcomeClass::Unusable));
    let tried_again = at(301_000);
    desk.report(desk.last_sent().attempt, failed(UNAVAILABLE));
    desk.now = at(290_000);
    for id in 2..5 {
        desk.exchange(id, 10, seconds(0), failed(UNAVAILABLE));
    }
    desk.pass(seconds(2));
    for id in 10..14 {
        desk.submit(id, 10);
    }
    assert_eq!((desk.engine.in_flight(), desk.attempts(13)), (3, vec![]), "all probes are out");
    desk.wake_for(WakeReason::Start);
    assert_eq!((desk.now, desk.attempts(13).len()), (tried_again, 1));
}

#[test]
fn an_endpoint_that_an_operator_shut_gets_nothing() {
    let mut policy = pair(&json!({}), &json!({}));
    policy["endpoints"]["east"]["breaker"] = json!("forced-open");
    let mut desk = Desk::new(&policy);
    for id in 0..10 {
        desk.submit(id, 10);
        assert_eq!(desk.last_sent().endpoint, desk.endpoint("west"));
    }
    policy["endpoints"]["west"]["breaker"] = json!("forced-open");
    let mut desk = Desk::new(&policy);
    desk.submit(1, 10);
    assert_eq!(desk.end_of(1), Some(EndReason::Refused { why: Refusal::NoEndpoint, retry_at: None }));
}

#[test]
fn a_breaker_that_only_measures_lets_everything_pass() {
    for mode in ["metrics-only", "disabled"] {
        let mut policy = with(single(&json!({})), "retry", json!({"max_attempts": 1}));
        policy["endpoints"]["e"]["breaker"] = json!(mode);
        let mut desk = Desk::new(&policy);
        for id in 0..100 {
            desk.exchange(id, 10, seconds(1), failed(OutcomeClass::Unavailable));
        }
    }
}

#[test]
fn no_more_endpoints_are_shut_at_once_than_the_policy_allows() {
    let retry = json!({"max_attempts": 1});
    let policy = with(pair(&json!({}), &json!({})), "retry", retry);
    let breaker =
        json!({"shut_at_most_percent": 50, "minimum_attempts": 2, "open_ms": 600_000, "open_at_most_ms": 600_000});
    let mut desk = Desk::new(&with(policy, "breaker", breaker));
    for id in 0..40 {
        desk.exchange(id, 10, seconds(1), failed(OutcomeClass::Unavailable));
    }
    let opened = desk.events.iter().filter(|event| matches!(event, Event::BreakerChanged { .. })).count();
    assert_eq!(opened, 1, "one of the two stays, however bad it is");
}
