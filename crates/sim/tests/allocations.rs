//! What a simulated attempt costs in allocations: a measure of the simulator's speed that is the same on every machine.

#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use std::alloc::System;

use sluicegate_sim::{ClientKind, LaneConfig, Law, MaxTokens, Scenario, ServiceConfig, Workload, run};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Three Regions of 20 requests a second together, at so many calls in 1000 s.
fn scenario(per_1000_s: u64, measured_s: u64) -> Scenario {
    let lane = |region: &str| {
        let mut lane = LaneConfig::new(region, "m");
        lane.law = Law::Continuous { burst_permille: 100, start_permille: 1_000 };
        lane.requests_per_minute = Some(400);
        lane.tokens_per_minute = Some(8_000_000);
        lane
    };
    let service = ServiceConfig::new(["us-east-1", "us-east-2", "us-west-2"].map(lane).into());
    let mut scenario = Scenario::new(service, Workload::azure_conversation(per_1000_s, MaxTokens::Fixed(1_024)));
    scenario.measured_us = measured_s * 1_000_000;
    scenario
}

/// Allocations of a whole run, and its attempts.
fn allocations(scenario: &Scenario, kind: &ClientKind) -> (usize, u64) {
    let region = Region::new(ALLOCATOR);
    let report = run(scenario, kind).unwrap().report;
    let change = region.change();
    (change.allocations + change.reallocations, report.lanes.iter().map(|lane| lane.attempts).sum())
}

/// One test, since the allocator counts for all threads.
#[test]
fn an_attempt_allocates_nothing_once_everything_has_grown() {
    for per_1000_s in [10_000, 30_000] {
        let kind = ClientKind::sluicegate(scenario(0, 0).policy().unwrap());
        let (short, few) = allocations(&scenario(per_1000_s, 300), &kind);
        let (long, many) = allocations(&scenario(per_1000_s, 1_200), &kind);
        // Books and queues double a few times more.
        assert!(many > few * 3 && long <= short + 40, "{short} for {few} attempts, {long} for {many}");
    }
}
