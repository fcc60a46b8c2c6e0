//! What holds for runs whatever the policy.

use sluicegate_sim::{ClientKind, End, Pattern, Peer, Quantiles, run};

use crate::scene::{SECOND, SLIDING, Scene};

fn kinds(scene: &Scene) -> Vec<ClientKind> {
    let peers = Peer::ALL.into_iter().map(ClientKind::Peer);
    std::iter::once(scene.kind(&scene.scenario)).chain(peers).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let scene = Scene::requests(SLIDING, 1_500).scenario(|scenario| scenario.measured_us = 60 * SECOND);
    for kind in kinds(&scene) {
        let bytes = |seed| serde_json::to_string(&run(&scene.scenario.seeded(seed), &kind).unwrap().report).unwrap();
        assert_eq!(bytes(7), bytes(7));
        assert_ne!(bytes(7), bytes(8));
    }
}

#[test]
fn every_call_of_every_policy_ends_once() {
    let scene = Scene::slots(10, 1_500).scenario(|scenario| scenario.measured_us = 60 * SECOND);
    for kind in kinds(&scene) {
        let report = run(&scene.scenario, &kind).unwrap().report;
        assert_eq!(report.ends.values().sum::<u64>(), report.all.calls, "{}", kind.name());
        let all = report.all;
        assert_eq!(all.in_time + all.late + all.never, all.calls, "{}", kind.name());
        assert!(all.in_time > 0 && all.calls > 500, "{}: {:?}", kind.name(), report.ends);
    }
}

/// Ten users who think for ten seconds make at most one call in ten seconds each, and wait for one another's quota.
#[test]
fn users_of_a_closed_loop_wait_for_their_answers() {
    let mut scene = Scene::requests(SLIDING, 1_000);
    scene.scenario.workload.arrivals = Pattern::ClosedLoop { users: 30, think_ms: Quantiles::constant(10_000) };
    let played = run(&scene.scenario, &scene.kind(&scene.scenario)).unwrap();
    // 30 users, 13.2 s from one call to the next.
    let calls = played.report.all.calls;
    assert!((620..740).contains(&calls), "{calls}");
    assert_eq!(played.report.all.in_time, calls);
    assert!(played.report.ends.contains_key(&End::Answered.name()));
}

#[test]
fn clients_that_know_nothing_of_each_other_share_the_calls() {
    let scene = Scene::requests(SLIDING, 500).scenario(|scenario| scenario.clients = 4);
    let report = run(&scene.scenario, &scene.kind(&scene.scenario)).unwrap().report;
    assert_eq!(report.all.in_time, report.all.calls);
    assert_eq!(report.all.attempts, report.all.calls);
}
