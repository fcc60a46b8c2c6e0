//! Plays short scenarios and answers with the bytes of their reports.
//!
//! Compiled twice: for the host, and for WebAssembly, where the module may import nothing at all. That the bytes agree
//! shows that a plan and a seed give the same report on every platform.

#[cfg(target_family = "wasm")]
mod exports;

use sluicegate_sim::{
    ClientKind, Declared, Effect, Fault, LaneConfig, Law, MaxTokens, Oracle, Peer, Scenario, ServiceConfig, Workload,
    run_calls,
};

const SECOND: u64 = 1_000_000;

/// How many scenarios there are.
pub const SCENARIOS: usize = 3;

/// Two Regions of 120 requests a minute, and half as many calls again; one scenario by the quota alone, one with a service
/// that counts by the clock, says nothing of its quotas and has a bad half minute, and one with too few slots.
fn scenario(number: usize) -> Scenario {
    let lane = |region: &str| {
        let mut lane = LaneConfig::new(region, "m");
        lane.requests_per_minute = Some(120);
        lane.tokens_per_minute = Some(400_000);
        lane.output_multiplier = 5;
        lane.law = match number {
            0 => Law::Sliding,
            1 => Law::Fixed { phase_us: 23 * SECOND },
            _ => Law::Continuous { burst_permille: 100, start_permille: 1_000 },
        };
        if number == 1 {
            let effect = Effect::Capacity { permille: 200 };
            lane.concurrency = Some(20);
            lane.faults = vec![Fault { from_us: 60 * SECOND, to_us: 90 * SECOND, effect }];
        }
        if number == 2 {
            lane.concurrency = Some(4);
        }
        lane
    };
    let service = ServiceConfig::new(["us-east-1", "us-west-2"].map(lane).into());
    let mut scenario = Scenario::new(service, Workload::azure_conversation(6_000, MaxTokens::Fixed(1_024)));
    scenario.declared = if number == 1 { Declared::Nothing } else { Declared::Right };
    scenario.warm_up_us = 20 * SECOND;
    scenario.measured_us = 100 * SECOND;
    scenario.seeded(7 + number as u64)
}

/// What came of a scenario: for each policy a line of JSON, and one for what knowledge of all would have made of it.
/// Panics, which is a trap in WebAssembly, where there is no such scenario.
#[must_use]
pub fn reports(number: usize) -> String {
    assert!(number < SCENARIOS, "there are {SCENARIOS} scenarios");
    let scenario = scenario(number);
    let policy = scenario.policy().expect("the scenario declares a policy");
    let mut text = String::new();
    let mut line = |json: serde_json::Result<String>| {
        text.push_str(&json.expect("figures are JSON"));
        text.push('\n');
    };
    for kind in [ClientKind::sluicegate(policy), ClientKind::Peer(Peer::AwsStandard21)] {
        let played = run_calls(&scenario, &kind, scenario.arrivals()).expect("the scenario can be played");
        line(serde_json::to_string(&played.report));
        line(serde_json::to_string(&played.ledger));
    }
    line(serde_json::to_string(&Oracle::of(&scenario, &scenario.arrivals()).expect("the scenario can be played")));
    text
}
