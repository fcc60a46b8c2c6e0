//! Where calls go: groups, fallbacks, prompt caches, weights.

use super::*;
use sluicegate::{BreakerState, Refusal};

const A_MINUTE: Duration = Duration::from_secs(60);

/// Two endpoints of 60 requests a minute for one model; `west` as given.
fn preferring_east(west: &Value) -> Value {
    let mut policy = pair(&json!({"requests_per_minute": 60}), &json!({"requests_per_minute": 60}));
    for (key, value) in west.as_object().expect("fields of an endpoint") {
        policy["endpoints"]["west"][key] = value.clone();
    }
    policy
}

/// A model with a fallback, each on its own pool of 60 requests a minute.
fn with_fallback(after_ms: u64) -> Value {
    json!({
        "pools": {"big": {"requests_per_minute": 60}, "small": {"requests_per_minute": 60}},
        "endpoints": {"big": {"model": "big", "pools": ["big"]}, "small": {"model": "small", "pools": ["small"]}},
        "models": {"big": {"fallbacks": ["small"], "fallback_after_ms": after_ms}},
    })
}

#[test]
fn a_later_group_serves_only_while_no_earlier_one_can() {
    let mut desk = Desk::new(&preferring_east(&json!({"group": 1})));
    let (east, west) = (desk.endpoint("east"), desk.endpoint("west"));
    for id in 0..3 {
        desk.submit(id, 10);
    }
    // What may go out at one moment is one request: the second goes to the later group, the third waits.
    let places: Vec<EndpointId> = desk.sent.iter().map(|sent| sent.endpoint).collect();
    assert_eq!(places, [east, west]);
    desk.wake_for(WakeReason::Start);
    assert_eq!(desk.last_sent().endpoint, east);
}

#[test]
fn a_group_is_waited_for_as_long_as_the_policy_says() {
    let policy = with(preferring_east(&json!({"group": 1})), "router", json!({"group_wait_ms": 5_000}));
    let mut desk = Desk::new(&policy);
    for id in 0..8 {
        desk.submit(id, 10);
    }
    desk.wake_until(at(20_000));
    let west = desk.endpoint("west");
    let later: Vec<&Sent> = desk.sent.iter().filter(|sent| sent.endpoint == west).collect();
    // East serves one in a little more than a second: five within the time. Who would be the sixth gets the other as
    // soon as that is known.
    let east: Vec<&Sent> = desk.sent.iter().filter(|sent| sent.endpoint != west).collect();
    assert_eq!((later[0].call, later[0].at), (5, east[4].at), "{later:?}");
    assert!(desk.sent.iter().take(5).all(|sent| sent.endpoint != west));
}

#[test]
fn a_fallback_serves_whom_the_model_would_keep_waiting() {
    let mut desk = Desk::new(&with_fallback(1_500));
    for id in 0..4 {
        desk.submit(id, 10);
    }
    desk.wake_until(at(10_000));
    let small = desk.endpoint("small");
    let served: Vec<(u64, Timestamp)> =
        desk.sent.iter().filter(|sent| sent.endpoint == small).map(|sent| (sent.call, sent.at)).collect();
    // The model starts one at once and one in a little more than a second. For the third, more than its 1.5 s would pass:
    // it does not wait for the rest of them in vain.
    assert_eq!(served, [(2, desk.attempts(1)[0].at)]);
}

#[test]
fn a_fallback_serves_at_once_what_the_model_cannot_serve_at_all() {
    let mut policy = with_fallback(60_000);
    policy["endpoints"]["big"]["breaker"] = json!("forced-open");
    let mut desk = Desk::new(&policy);
    desk.submit(1, 10);
    assert_eq!(desk.last_sent().endpoint, desk.endpoint("small"));
    let small = desk.engine.policy().model("small").expect("it is there");
    // The fallback is one of the big model for the small one: nobody said that it works the other way round.
    let mut policy = with_fallback(0);
    policy["endpoints"]["small"]["breaker"] = json!("forced-open");
    let mut desk = Desk::new(&policy);
    desk.does(Input::Submit(Call::new(CallId(1), small, 10)));
    assert_eq!(desk.end_of(1), Some(EndReason::Refused { why: Refusal::NoEndpoint, retry_at: None }));
}

#[test]
fn residency_binds_fallbacks_too() {
    let mut policy = with_fallback(0);
    policy["endpoints"]["big"]["geography"] = json!("eu");
    policy["endpoints"]["small"]["geography"] = json!("us");
    policy["endpoints"]["tiny"] = json!({"model": "small", "pools": ["small"], "geography": "eu"});
    policy["residency"] = json!(["eu"]);
    let mut desk = Desk::new(&policy);
    for id in 0..3 {
        desk.submit(id, 10);
    }
    let places: Vec<EndpointId> = desk.sent.iter().map(|sent| sent.endpoint).collect();
    assert_eq!(places, [desk.endpoint("big"), desk.endpoint("tiny")]);
}

#[test]
fn a_fallback_s_breaker_is_not_counted_with_the_model_s_own() {
    let mut policy = with_fallback(0);
    policy["breaker"] = json!({"window_attempts": 2, "minimum_attempts": 2, "shut_at_most_percent": 50});
    let mut desk = Desk::new(&policy);
    for id in 0..2 {
        desk.does(Input::Submit(Call::new(CallId(id), desk.engine.policy().model("big").expect("it is there"), 10)));
        let sent = desk.last_sent();
        assert_eq!(sent.endpoint, desk.endpoint("big"));
        desk.report(sent.attempt, failed(OutcomeClass::Unavailable));
        desk.does(Input::Cancel(CallId(id)));
        desk.pass(A_MINUTE);
    }
    // One of one endpoint is more than half of them: it stays in service.
    let opened = |event: &Event| matches!(event, Event::BreakerChanged { state: BreakerState::Open, .. });
    assert!(!desk.events.iter().any(opened), "{:?}", desk.events);
}

#[test]
fn a_conversation_stays_where_its_cache_is() {
    let mut desk = Desk::new(&pair(&json!({}), &json!({})));
    let mut homes = Vec::new();
    for key in 0..6 {
        for turn in 0..5 {
            let id = key * 10 + turn;
            desk.does(Input::Submit(call(id, 10).affinity(key, 1_000)));
            homes.push((key, desk.last_sent().endpoint));
            desk.report(desk.last_sent().attempt, Outcome::success(10));
        }
    }
    homes.dedup();
    assert_eq!(homes.len(), 6, "{homes:?}");
    assert!(homes.iter().any(|(_, home)| *home != homes[0].1), "all at one endpoint: {homes:?}");
    assert!(!desk.events.iter().any(|event| matches!(event, Event::AffinityMoved { .. })));
}

/// East holds the cache and has just used up its second; west is free.
fn caught_away_from_home(cached_tokens: u32) -> Desk {
    let pool = json!({"requests_per_minute": 60, "tokens_per_minute": 600_000});
    let policy = with(pair(&pool, &pool), "router", json!({"affinity_wait_ms": 100}));
    let mut desk = Desk::new(&policy);
    desk.does(Input::Submit(call(0, 10).affinity(7, 0)));
    desk.report(desk.last_sent().attempt, Outcome::success(10));
    desk.pass(seconds(70));
    desk.does(Input::Submit(call(1, 10).affinity(7, 0)));
    desk.does(Input::Submit(call(2, 10).affinity(7, cached_tokens)));
    desk
}

#[test]
fn a_cache_is_waited_for_as_long_as_it_is_worth() {
    // 20,000 tokens are refilled in two seconds; home is free in one.
    let mut desk = caught_away_from_home(20_000);
    assert_eq!(desk.attempts(2), []);
    assert_eq!(desk.engine.waiting(), 1);
    desk.wake_for(WakeReason::Retry);
    assert_eq!(desk.attempts(2)[0].endpoint, desk.attempts(1)[0].endpoint);

    // 2,000 are refilled in 0.2 s: not worth a second.
    let desk = caught_away_from_home(2_000);
    let (home, moved) = (desk.attempts(1)[0].endpoint, desk.attempts(2)[0]);
    assert_ne!(moved.endpoint, home);
    assert!(desk.events.contains(&Event::AffinityMoved { call: CallId(2), from: home, to: moved.endpoint }));
}

#[test]
fn a_call_waits_for_its_cache_once_and_lets_others_pass_meanwhile() {
    let mut desk = caught_away_from_home(20_000);
    let home = desk.attempts(1)[0].endpoint;
    desk.submit(3, 10);
    assert_ne!(desk.attempts(3)[0].endpoint, home, "west is free for whoever does not wait for east");
    // Something more urgent takes home's next place; the call goes where there is room.
    desk.does(Input::Submit(call(4, 10).priority(9)));
    desk.wake_until(at(80_000));
    assert_eq!(desk.attempts(2).len(), 1);
}

#[test]
fn a_cache_that_has_expired_binds_nobody() {
    let policy = with(pair(&json!({}), &json!({})), "router", json!({"affinity_ttl_ms": 1_000}));
    let mut desk = Desk::new(&policy);
    let mut places = Vec::new();
    for id in 0..20 {
        desk.does(Input::Submit(call(id, 10).affinity(7, 1_000)));
        places.push(desk.last_sent().endpoint);
        desk.report(desk.last_sent().attempt, Outcome::success(10));
        desk.pass(seconds(2));
    }
    assert!(places.iter().any(|place| *place != places[0]));
}

#[test]
fn free_endpoints_share_calls_by_weight() {
    let mut policy = pair(&json!({}), &json!({}));
    policy["endpoints"]["east"]["weight"] = json!(4);
    let mut desk = Desk::new(&policy);
    for id in 0..1_000 {
        desk.exchange(id, 10, Duration::ZERO, Outcome::success(10));
    }
    let east = desk.endpoint("east");
    let share = desk.sent.iter().filter(|sent| sent.endpoint == east).count();
    assert!((760..840).contains(&share), "{share} of 1,000 instead of 800");
}

#[test]
fn what_is_put_off_for_its_cache_can_be_cancelled_and_expires() {
    let mut desk = caught_away_from_home(20_000);
    desk.does(Input::Cancel(CallId(2)));
    assert_eq!((desk.end_of(2), desk.engine.waiting()), (Some(EndReason::Cancelled), 0));
}

#[test]
fn of_two_free_endpoints_the_one_that_is_clearly_faster_for_each_token_serves() {
    let mut desk = Desk::new(&pair(&json!({}), &json!({})));
    let west = desk.endpoint("west");
    let mut id = 0;
    let mut serve = |desk: &mut Desk, slow: u64| {
        id += 1;
        desk.submit(id, 10);
        let sent = desk.last_sent();
        desk.pass(seconds(if sent.endpoint == west { slow } else { 5 }));
        desk.report(sent.attempt, Outcome::success(10).output_tokens(500));
        sent.endpoint
    };
    let learned: Vec<EndpointId> = (0..60).map(|_| serve(&mut desk, 15)).collect();
    assert!(learned[30..].iter().all(|endpoint| *endpoint != west), "{learned:?}");
}

#[test]
fn endpoints_of_like_speed_share() {
    let mut desk = Desk::new(&pair(&json!({}), &json!({})));
    let west = desk.endpoint("west");
    let mut west_served = 0;
    for id in 0..200 {
        desk.submit(id, 10);
        let sent = desk.last_sent();
        west_served += u32::from(sent.endpoint == west);
        desk.pass(Duration::from_millis(if sent.endpoint == west { 5_500 } else { 5_000 }));
        desk.report(sent.attempt, Outcome::success(10).output_tokens(500));
    }
    assert!((70..130).contains(&west_served), "{west_served} of 200");
}
