//! Stopping, looking and interfering: what it changes, and what it must not.
#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use sluicegate::{Policy, Timestamp};
use sluicegate_sim::{
    ClientKind, Effect, LaneConfig, LaneId, Law, MaxTokens, Peer, Scenario, ServiceConfig, SideBySide, Workload, run,
    run_calls,
};

const SECOND: u64 = 1_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * SECOND)
}

fn scenario() -> Scenario {
    let lanes = ["us-east-1", "us-east-2", "us-west-2"].map(|region| {
        let mut lane = LaneConfig::new(region, "m");
        lane.requests_per_minute = Some(300);
        lane.tokens_per_minute = Some(6_000_000);
        lane.law = Law::Sliding;
        lane
    });
    let calls = Workload::azure_conversation(22_500, MaxTokens::Fixed(1_024));
    let mut scenario = Scenario::new(ServiceConfig::new(lanes.to_vec()), calls).seeded(7);
    (scenario.warm_up_us, scenario.measured_us) = (0, 90 * SECOND);
    scenario
}

fn kinds(scenario: &Scenario) -> Vec<ClientKind> {
    let ours = ClientKind::sluicegate(scenario.policy().unwrap());
    vec![ClientKind::Peer(Peer::Article), ClientKind::Peer(Peer::AwsAdaptive), ours]
}

fn play_on(sides: &mut SideBySide, step_us: u64) {
    while !sides.is_over() {
        sides.advance(Timestamp::from_micros(sides.now().as_micros() + step_us)).unwrap();
        assert!(sides.now() < at(1_000));
    }
}

#[test]
fn steps_of_any_length_and_looking_change_nothing() {
    let scenario = scenario();
    let kinds = kinds(&scenario);
    for step_us in [16_667, 7 * SECOND] {
        let mut sides = SideBySide::new(&scenario, &kinds).unwrap();
        while !sides.is_over() {
            sides.advance(Timestamp::from_micros(sides.now().as_micros() + step_us)).unwrap();
            for side in sides.sides() {
                let waiting = side.waiting(3);
                assert!(waiting.iter().all(|call| side.why(call.call).is_some() == (side.name() == "sluicegate")));
            }
        }
        for (side, kind) in sides.sides().iter().zip(&kinds) {
            let counts = side.counts();
            assert_eq!(side.report(), run(&scenario, kind).unwrap().report, "{} by {step_us} µs", side.name());
            assert_eq!(counts.calls, counts.in_time + counts.late + counts.lost);
        }
    }
}

#[test]
fn a_changed_run_can_be_played_again() {
    let scenario = scenario();
    let kinds = kinds(&scenario);
    let mut sides = SideBySide::new(&scenario, &kinds).unwrap();
    sides.advance(at(20)).unwrap();
    sides.intervene(LaneId(0), Effect::Outage, true);
    sides.intervene(LaneId(1), Effect::QuotaFactor { permille: 500 }, true);
    sides.advance(at(30)).unwrap();
    assert_eq!(sides.sides()[2].state().lanes[0].effects, [Effect::Outage]);
    sides.intervene(LaneId(1), Effect::QuotaFactor { permille: 250 }, true);
    sides.advance(at(50)).unwrap();
    sides.intervene(LaneId(0), Effect::Outage, false);
    sides.intervene(LaneId(1), Effect::QuotaFactor { permille: 250 }, false);
    play_on(&mut sides, SECOND);

    let again = Scenario { service: sides.service(), ..scenario.clone() };
    for (side, kind) in sides.sides().iter().zip(&kinds) {
        let arrivals = scenario.arrivals();
        assert_eq!(side.report(), run_calls(&again, kind, arrivals).unwrap().report, "{}", side.name());
        assert_ne!(side.report(), run(&scenario, kind).unwrap().report);
    }
    assert!(sides.fair().unwrap() > 0);
}

#[test]
fn what_was_put_on_and_taken_back_at_one_moment_leaves_no_trace() {
    let mut sides = SideBySide::new(&scenario(), &kinds(&scenario())).unwrap();
    sides.advance(at(3)).unwrap();
    sides.intervene(LaneId(2), Effect::Outage, true);
    sides.intervene(LaneId(2), Effect::Outage, false);
    assert_eq!(sides.service(), scenario().service);
    assert!(sides.sides()[0].state().lanes[2].effects.is_empty());
}

#[test]
fn the_load_follows_the_slider() {
    let mut sides = SideBySide::new(&scenario(), &kinds(&scenario())).unwrap();
    let mut made = |permille, until| {
        let before = sides.sides()[0].counts().calls;
        sides.set_load(permille);
        sides.advance(at(until)).unwrap();
        sides.sides()[0].counts().calls - before
    };
    assert!(made(1_000, 20).abs_diff(450) < 80);
    assert!(made(3_000, 40).abs_diff(1_350) < 140);
    assert_eq!(made(0, 60), 0);
    assert!(made(200, 80).abs_diff(90) < 35);
}

#[test]
fn a_recording_runs_faster_and_slower() {
    let rows: String = (0..1_000).map(|row| format!("\n{},10,10", row * 100)).collect();
    let csv = format!("{}{rows}", sluicegate_sim::TRACE_HEADER);
    let scenario = Scenario { workload: Workload::from_csv(&csv, MaxTokens::Omitted).unwrap(), ..scenario() };
    let mut sides = SideBySide::new(&scenario, &[ClientKind::Peer(Peer::Article)]).unwrap();
    let mut calls = |permille, until| {
        sides.set_load(permille);
        sides.advance(Timestamp::from_micros(until * SECOND - 1)).unwrap();
        sides.sides()[0].counts().calls
    };
    assert!(calls(1_000, 10).abs_diff(100) <= 1);
    assert!(calls(2_000, 20).abs_diff(300) <= 1);
    assert!(calls(0, 30).abs_diff(300) <= 1);
    assert!(calls(500, 40).abs_diff(350) <= 1);
    play_on(&mut sides, SECOND);
}

#[test]
fn another_policy_takes_over_and_one_that_does_not_fit_is_refused() {
    let scenario = scenario();
    let mut sides = SideBySide::new(&scenario, &kinds(&scenario)).unwrap();
    sides.advance(at(10)).unwrap();
    let mut document = scenario.policy_document();
    document["endpoints"]["0-us-east-1"]["breaker"] = "forced-open".into();
    sides.reconfigure(&Policy::parse(&document).unwrap()).unwrap();
    sides.advance(at(11)).unwrap();
    let before = sides.sides()[2].state().lanes[0].totals.attempts;
    sides.advance(at(30)).unwrap();
    let state = sides.sides()[2].state();
    assert_eq!(state.lanes[0].totals.attempts, before);
    assert!(state.lanes[1].totals.attempts > before);

    document["endpoints"]["0-us-east-1"]["region"] = "mars-north-1".into();
    let error = sides.reconfigure(&Policy::parse(&document).unwrap()).unwrap_err();
    assert!(error.to_string().contains("0-us-east-1"), "{error}");
}

#[test]
fn a_breaker_is_seen_to_open() {
    let scenario = scenario();
    let mut sides = SideBySide::new(&scenario, &kinds(&scenario)).unwrap();
    sides.intervene(LaneId(0), Effect::Outage, true);
    sides.advance(at(20)).unwrap();
    let breakers = |side: usize| sides.sides()[side].state().lanes.iter().map(|lane| lane.breaker).collect::<Vec<_>>();
    assert_eq!(breakers(0), [None; 3]);
    assert_ne!(breakers(2)[0], Some(sluicegate::BreakerState::Closed));
    assert_eq!(breakers(2)[1], Some(sluicegate::BreakerState::Closed));
}
