use core::time::Duration;

use sluicegate::Timestamp;

use super::{at_s, rng};
use crate::{
    Effect, Fault, LaneConfig, LaneId, Law, Load, MaxTokens, OracleCall, Order, Reply, Schedule, Service,
    ServiceConfig, Workload, best, fair, greedy, upper_bound,
};

const DEADLINE: Duration = Duration::from_secs(30);

fn calls(per_1000_s: u64, seconds: u64, seed: u64) -> Vec<OracleCall> {
    use rand::{SeedableRng, rngs::StdRng};
    let workload = Workload::azure_conversation(per_1000_s, MaxTokens::OutputPermille(2_000));
    let mut rng = StdRng::seed_from_u64(seed);
    let arrivals = workload.generate(Timestamp::ZERO, Duration::from_secs(seconds), &mut rng);
    arrivals.iter().map(|arrival| OracleCall::new(arrival, arrival.at.saturating_add(DEADLINE))).collect()
}

fn lane_ids(config: &ServiceConfig) -> Vec<LaneId> {
    (0..config.lanes.len()).map(LaneId).collect()
}

fn one(change: impl FnOnce(&mut LaneConfig)) -> ServiceConfig {
    let mut lane = LaneConfig::new("us-east-1", "m");
    change(&mut lane);
    ServiceConfig::new(vec![lane])
}

/// Plays a schedule against a fresh service: nothing is refused, all is in time.
fn replay(config: &ServiceConfig, calls: &[OracleCall], schedule: &Schedule) {
    let mut service = Service::new(config).unwrap();
    let mut steps: Vec<_> = schedule
        .starts
        .iter()
        .enumerate()
        .filter_map(|(index, start)| start.map(|start| (start.at, 1, index)))
        .collect();
    steps.sort_unstable();
    let mut ends = std::collections::BTreeSet::new();
    for (at, _, index) in steps {
        while let Some((end, ticket)) = ends.first().copied().filter(|(end, _)| *end <= at) {
            ends.remove(&(end, ticket));
            service.finish(end, ticket);
        }
        let call = &calls[index];
        assert!(at >= call.at);
        let Some(start) = schedule.starts[index] else { unreachable!() };
        match service.admit_on(at, start.lane, &call.load, None, &mut rng()) {
            Reply::Accepted(accepted) => {
                assert!(accepted.finish_at <= call.deadline);
                ends.insert((accepted.finish_at, accepted.ticket));
            }
            other => panic!("call {index} at {at:?}: {other:?}"),
        }
    }
}

#[test]
fn without_limits_every_call_is_served_at_once() {
    let config = one(|_| {});
    let calls = calls(5_000, 60, 1);
    let schedule = best(&config, &lane_ids(&config), &calls).unwrap();
    assert_eq!(schedule.in_time, calls.len() as u64);
    assert!(schedule.starts.iter().zip(&calls).all(|(start, call)| start.unwrap().at == call.at));
    assert_eq!(u64::from(schedule.by_second.iter().sum::<u32>()), schedule.in_time);
    assert_eq!(upper_bound(&config, &lane_ids(&config), &calls).unwrap(), calls.len() as u64);
}

#[test]
fn greedy_is_feasible_and_never_above_the_bound() {
    let outage = Fault { from_us: 60_000_000, to_us: 100_000_000, effect: Effect::Outage };
    let less = Fault { from_us: 40_000_000, to_us: 120_000_000, effect: Effect::QuotaFactor { permille: 300 } };
    let brownout = Fault { from_us: 50_000_000, to_us: 110_000_000, effect: Effect::Capacity { permille: 200 } };
    let slow = Fault { from_us: 20_000_000, to_us: 90_000_000, effect: Effect::Slow { factor_permille: 9_000 } };
    let laws = [
        Law::Sliding,
        Law::Fixed { phase_us: 23_000_000 },
        Law::default(),
        Law::Continuous { burst_permille: 150, start_permille: 0 },
    ];
    for (number, law) in laws.into_iter().enumerate() {
        for faults in [vec![], vec![outage], vec![less], vec![brownout, slow]] {
            for tight in 0..3 {
                let config = one(|lane| {
                    lane.law = law;
                    lane.output_multiplier = 5;
                    lane.faults.clone_from(&faults);
                    lane.concurrency = Some(if tight == 2 { 6 } else { 400 });
                    lane.requests_per_minute = (tight == 0).then_some(90);
                    lane.tokens_per_minute = (tight == 1).then_some(180_000);
                });
                let calls = calls(3_000, 180, number as u64);
                let lanes = lane_ids(&config);
                let bound = upper_bound(&config, &lanes, &calls).unwrap();
                let mut most = 0;
                for order in Order::ALL {
                    let schedule = greedy(&config, &lanes, &calls, order).unwrap();
                    replay(&config, &calls, &schedule);
                    most = most.max(schedule.in_time);
                }
                assert_eq!(best(&config, &lanes, &calls).unwrap().in_time, most);
                assert!(most <= bound, "{law:?} {faults:?} {tight}: {most} > {bound}");
                assert!(bound < calls.len() as u64, "{law:?} {faults:?} {tight}: the bound says nothing");
                assert!(most * 2 > bound, "{law:?} {faults:?} {tight}: {most} of {bound}");
            }
        }
    }
}

#[test]
fn a_request_quota_is_used_to_the_last_unit() {
    for law in [Law::Fixed { phase_us: 0 }, Law::Sliding] {
        let config = one(|lane| {
            lane.law = law;
            lane.requests_per_minute = Some(60);
        });
        let calls = calls(3_000, 120, 3);
        let lanes = lane_ids(&config);
        let schedule = best(&config, &lanes, &calls).unwrap();
        // Two minutes of arrivals and 30 s more to wait: three windows, the last one hardly used by the sliding law.
        assert!(schedule.in_time >= 170, "{law:?} {}", schedule.in_time);
        assert!(upper_bound(&config, &lanes, &calls).unwrap() <= 180);
    }
}

#[test]
fn several_lanes_and_a_daily_limit_keep_below_the_bound() {
    for (number, law) in [Law::Sliding, Law::Fixed { phase_us: 1 }, Law::default()].into_iter().enumerate() {
        let lane = |region: &str, day| LaneConfig {
            law,
            tokens_per_minute: Some(60_000),
            tokens_per_day: day,
            concurrency: Some(30),
            output_multiplier: 5,
            ..LaneConfig::new(region, "m")
        };
        let config = ServiceConfig::new(vec![lane("a", Some(200_000)), lane("b", None), lane("c", Some(90_000))]);
        let calls = calls(4_000, 240, 40 + number as u64);
        let lanes = lane_ids(&config);
        let schedule = best(&config, &lanes, &calls).unwrap();
        replay(&config, &calls, &schedule);
        let bound = upper_bound(&config, &lanes, &calls).unwrap();
        assert!(schedule.in_time <= bound && bound < calls.len() as u64, "{} {bound}", schedule.in_time);
        let one = upper_bound(&config, &lanes[2..], &calls).unwrap();
        assert!(best(&config, &lanes[2..], &calls).unwrap().in_time <= one && one < bound);
    }
}

#[test]
fn the_cheaper_lane_is_taken_and_the_other_helps_out() {
    let mut config = one(|lane| lane.requests_per_minute = Some(1));
    config.lanes.push(LaneConfig { output_multiplier: 5, ..LaneConfig::new("us-west-2", "m") });
    let load = Load { input_tokens: 10, max_tokens: Some(10), output_tokens: Some(10), ..Load::default() };
    let calls = [OracleCall { at: at_s(0), deadline: at_s(9), load }; 2];
    let schedule = best(&config, &[LaneId(1), LaneId(0)], &calls).unwrap();
    let lanes: Vec<_> = schedule.starts.iter().map(|start| start.unwrap().lane).collect();
    assert_eq!(lanes, [LaneId(0), LaneId(1)]);
}

#[test]
fn calls_that_cannot_be_in_time_are_skipped() {
    let config = one(|lane| lane.first_token_us = 5_000_000);
    let load = Load { input_tokens: 10, output_tokens: Some(10), ..Load::default() };
    let calls =
        [OracleCall { at: at_s(0), deadline: at_s(4), load }, OracleCall { at: at_s(0), deadline: at_s(6), load }];
    let schedule = best(&config, &[LaneId(0)], &calls).unwrap();
    assert_eq!(schedule.starts.iter().filter(|start| start.is_some()).count(), 1);
    assert_eq!(upper_bound(&config, &[LaneId(0)], &calls).unwrap(), 1);
    assert!(best(&ServiceConfig::new(vec![]), &[], &calls).is_err());
    assert!(upper_bound(&ServiceConfig::new(vec![]), &[], &calls).is_err());
}

/// Three times what the tokens carry, so that most are refused: who is served must not depend on what he asks.
#[test]
fn a_fair_queue_does_not_choose_whom_it_serves() {
    for law in [Law::Sliding, Law::Continuous { burst_permille: 100, start_permille: 1_000 }] {
        let config = one(|lane| {
            lane.law = law;
            lane.output_multiplier = 5;
            lane.tokens_per_minute = Some(600_000);
        });
        let calls = calls(13_500, 600, 4);
        let lanes = lane_ids(&config);
        let schedule = fair(&config, &lanes, &calls).unwrap();
        let mean = |calls: &[&OracleCall], size: fn(&OracleCall) -> u64| {
            calls.iter().map(|call| size(call)).sum::<u64>() / calls.len() as u64
        };
        let served: Vec<&OracleCall> =
            schedule.starts.iter().zip(&calls).filter(|(start, _)| start.is_some()).map(|(_, call)| call).collect();
        let all: Vec<&OracleCall> = calls.iter().collect();
        for size in [|call: &OracleCall| call.load.input_tokens, |call: &OracleCall| call.load.output_tokens.unwrap()] {
            let (found, wanted) = (mean(&served, size), mean(&all, size));
            assert!(found.abs_diff(wanted) * 20 < wanted, "{law:?}: {found} on average instead of {wanted}");
        }
        assert!(schedule.in_time < greedy(&config, &lanes, &calls, Order::Arrival).unwrap().in_time);
        assert!(schedule.in_time <= upper_bound(&config, &lanes, &calls).unwrap());
    }
}
