//! Sharing between tenants, priorities that age, and overload shed early.

use serde_json::{Value, json};
use sluicegate::{Call, CallId, EndReason, Input, ModelId, Outcome, OutcomeClass, Refusal, TenantId};

use super::{Desk, at, seconds, single, with};

/// One slot at a time, so that every choice of who is next can be seen.
fn one_at_a_time() -> Value {
    single(&json!({"concurrency": 1}))
}

fn submit(desk: &mut Desk, id: u64, tokens: u64, tenant: u32, priority: u8) {
    let call = Call::new(CallId(id), ModelId(0), tokens).tenant(TenantId(tenant)).priority(priority);
    desk.does(Input::Submit(call));
}

/// Answers what is out `times` times, each at what `spent` makes of its reservation, and lists the calls.
fn serve(desk: &mut Desk, times: usize, spent: impl Fn(u64) -> u64) -> Vec<u64> {
    let first = desk.sent.len() - 1;
    for _ in 0..times {
        let sent = desk.last_sent();
        desk.pass(seconds(1));
        desk.report(sent.attempt, Outcome::success(spent(sent.call)));
    }
    desk.sent[first..first + times].iter().map(|sent| sent.call).collect()
}

#[test]
fn two_busy_tenants_share_evenly_whatever_either_submits() {
    let mut desk = Desk::new(&one_at_a_time());
    for id in 0..300 {
        submit(&mut desk, id, 100, 1, 0);
    }
    for id in 1_000..1_030 {
        submit(&mut desk, id, 100, 2, 0);
    }
    let served = serve(&mut desk, 60, |_| 100);
    let light = served.iter().filter(|id| **id >= 1_000).count();
    assert!((29..=30).contains(&light), "{light} of 60");
}

#[test]
fn what_counts_is_what_was_spent_not_what_was_reserved() {
    let mut desk = Desk::new(&one_at_a_time());
    for id in 0..200 {
        submit(&mut desk, id, 100, 1, 0);
        submit(&mut desk, 1_000 + id, 100, 2, 0);
    }
    // The first tenant's answers cost three times as much as the second's.
    let served = serve(&mut desk, 120, |id| if id < 1_000 { 300 } else { 100 });
    let dear = served.iter().filter(|id| **id < 1_000).count();
    assert!((29..=32).contains(&dear), "{dear} of 120 for a quarter of the calls");
}

#[test]
fn weights_set_the_shares() {
    let policy = with(one_at_a_time(), "tenants", json!({"batch": {"weight": 1}, "web": {"weight": 3}}));
    let mut desk = Desk::new(&policy);
    for id in 0..200 {
        submit(&mut desk, id, 100, 0, 0);
        submit(&mut desk, 1_000 + id, 100, 1, 0);
    }
    let served = serve(&mut desk, 100, |_| 100);
    let web = served.iter().filter(|id| **id >= 1_000).count();
    assert!((74..=76).contains(&web), "{web} of 100 at weight 3 beside 1");
}

#[test]
fn the_service_of_two_busy_tenants_never_drifts_apart_by_more_than_their_largest_calls() {
    let mut desk = Desk::new(&one_at_a_time());
    let size = |id: u64| 10 + id * 7_919 % 500;
    for id in 0..400 {
        submit(&mut desk, id, size(id), 1, 0);
        submit(&mut desk, 1_000 + id, size(1_000 + id), 2, 0);
    }
    let (mut first, mut second) = (0_i64, 0_i64);
    for id in serve(&mut desk, 600, size) {
        let spent = i64::try_from(size(id)).unwrap();
        *(if id < 1_000 { &mut first } else { &mut second }) += spent;
        assert!((first - second).abs() <= 2 * 510, "{first} beside {second}");
    }
}

#[test]
fn a_tenant_that_was_idle_is_owed_nothing() {
    let mut desk = Desk::new(&one_at_a_time());
    for id in 0..300 {
        submit(&mut desk, id, 100, 1, 0);
    }
    serve(&mut desk, 100, |_| 100);
    for id in 1_000..1_100 {
        submit(&mut desk, id, 100, 2, 0);
    }
    let served = serve(&mut desk, 40, |_| 100);
    let late = served.iter().filter(|id| **id >= 1_000).count();
    assert!((19..=21).contains(&late), "{late} of 40 after the other had 100");
}

#[test]
fn a_light_tenant_is_not_refused_because_a_heavy_one_waits() {
    let mut desk = Desk::new(&single(&json!({"requests_per_minute": 60})));
    for id in 0..600 {
        submit(&mut desk, id, 10, 1, 0);
    }
    let light =
        Call::new(CallId(1_000), ModelId(0), 10).tenant(TenantId(2)).deadline(desk.now.saturating_add(seconds(10)));
    desk.does(Input::Submit(light));
    desk.wake_until(at(10_000));
    assert_eq!(desk.attempts(1_000).len(), 1, "{:?}", desk.end_of(1_000));
    let heavy =
        Call::new(CallId(1_001), ModelId(0), 10).tenant(TenantId(1)).deadline(desk.now.saturating_add(seconds(10)));
    desk.does(Input::Submit(heavy));
    assert!(matches!(desk.end_of(1_001), Some(EndReason::Refused { why: Refusal::Deadline, .. })));
}

#[test]
fn a_low_priority_ages_into_its_turn() {
    let policy = with(one_at_a_time(), "queue", json!({"priority_step_ms": 10_000}));
    let mut desk = Desk::new(&policy);
    submit(&mut desk, 0, 10, 0, 1);
    submit(&mut desk, 1, 10, 0, 0);
    for id in 2..100 {
        let sent = desk.last_sent();
        desk.pass(seconds(1));
        submit(&mut desk, id, 10, 0, 1);
        desk.report(sent.attempt, Outcome::success(10));
    }
    let sent = desk.attempts(1)[0].at;
    assert!((at(9_000)..=at(12_000)).contains(&sent), "one level is worth ten seconds: {sent:?}");
}

#[test]
fn with_a_target_wait_overload_is_shed_when_it_comes() {
    let policy = single(&json!({"requests_per_minute": 60}));
    let mut desk = Desk::new(&with(policy, "queue", json!({"target_wait_ms": 2_000})));
    for id in 0..20 {
        desk.submit_within(id, 10, seconds(60));
    }
    let refused = |desk: &Desk| {
        let target = |id: &u64| matches!(desk.end_of(*id), Some(EndReason::Refused { why: Refusal::TargetWait, .. }));
        (0..20).filter(target).count()
    };
    assert!(refused(&desk) >= 15, "{} of 20", refused(&desk));
    desk.wake_until(at(3_100));
    assert_eq!(desk.sent.len() + refused(&desk), 20, "all others went out within the target");
}

#[test]
fn with_a_target_wait_overload_is_shed_where_slots_bind_too() {
    let policy = single(&json!({"concurrency": 2}));
    let mut desk = Desk::new(&with(policy, "queue", json!({"target_wait_ms": 2_000})));
    for id in 100..150 {
        desk.exchange(id, 10, seconds(1), Outcome::success(10));
    }
    (0..10).for_each(|id| desk.submit(id, 10));
    let refused = |id: &u64| matches!(desk.end_of(*id), Some(EndReason::Refused { why: Refusal::TargetWait, .. }));
    // Two go out, and one more starts every half second.
    assert_eq!((0..10).find(refused), Some(6), "{:?}", desk.ended);
    assert!((6..10).all(|id| refused(&id)));
}

/// The calls that were refused because the queue was full, in the order of their refusal.
fn pushed_out(desk: &Desk) -> Vec<u64> {
    let full = |(_, reason): &&(u64, EndReason)| matches!(reason, EndReason::Refused { why: Refusal::QueueFull, .. });
    desk.ended.iter().filter(full).map(|(id, _)| *id).collect()
}

#[test]
fn in_a_full_queue_the_newest_call_of_whoever_holds_most_gives_way() {
    let mut desk = Desk::new(&with(one_at_a_time(), "queue", json!({"capacity": 6})));
    for id in 0..7 {
        submit(&mut desk, id, 10, 1, 0);
    }
    assert_eq!(pushed_out(&desk), [0_u64; 0], "one is out, six wait");
    submit(&mut desk, 7, 10, 1, 2);
    assert_eq!(pushed_out(&desk), [7], "nobody gives way to its own calls, whatever their priority");
    for id in 100..106 {
        submit(&mut desk, id, 10, 2, 0);
    }
    assert_eq!(pushed_out(&desk), [7, 6, 5, 4, 103, 104, 105], "until both hold three");
    assert_eq!(desk.engine.waiting(), 6);
    submit(&mut desk, 200, 10, 3, 0);
    assert_eq!(pushed_out(&desk)[7..], [3], "of two that hold as much, the first gives way");
    // Nobody knows when the one that is out will end.
    assert_eq!(desk.end_of(3), Some(EndReason::Refused { why: Refusal::QueueFull, retry_at: None }));
}

#[test]
fn places_in_a_full_queue_are_shared_by_weight_and_over_all_models() {
    let policy = json!({
        "pools": {"p": {"concurrency": 1}, "q": {"concurrency": 1}},
        "endpoints": {"e": {"model": "m", "pools": ["p"]}, "f": {"model": "n", "pools": ["q"]}},
        "queue": {"capacity": 8},
        "tenants": {"batch": {"weight": 1}, "web": {"weight": 3}},
    });
    let mut desk = Desk::new(&policy);
    let mut submit = |id: u64, model: u16, tenant: u32| {
        desk.does(Input::Submit(Call::new(CallId(id), ModelId(model), 10).tenant(TenantId(tenant))));
        pushed_out(&desk)
    };
    for id in 0..10 {
        assert!(submit(id, (id % 2) as u16, 0).is_empty(), "two are out, eight wait");
    }
    for id in 100..110 {
        submit(id, 0, 1);
    }
    // A weight of three to one makes six places to two, whichever model they are for.
    assert_eq!(submit(110, 1, 1), [9, 8, 7, 6, 5, 4, 106, 107, 108, 109, 110]);
}

#[test]
fn a_call_that_was_sent_before_gives_way_last() {
    let mut policy = with(one_at_a_time(), "queue", json!({"capacity": 2}));
    policy["retry"] = json!({"overloaded": {"base_ms": 60_000, "cap_ms": 60_000}});
    let mut desk = Desk::new(&policy);
    for id in 0..2 {
        submit(&mut desk, id, 10, 1, 0);
    }
    let first = desk.last_sent();
    desk.report(first.attempt, Outcome::of(OutcomeClass::Overloaded));
    submit(&mut desk, 2, 10, 1, 0);
    assert_eq!(desk.engine.waiting(), 2, "one to be tried again, one in the queue");
    submit(&mut desk, 100, 10, 2, 0);
    assert_eq!(pushed_out(&desk), [2]);
}
