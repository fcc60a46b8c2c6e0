//! How fast the simulator is: `cargo run --release -p sluicegate-sim --example speed`.
//!
//! Prints attempts per second of one core, for a simulated hour below and above the quota, and for a day at 30 requests a
//! second. On Linux the time is that on the processor, so that whatever else runs matters less; elsewhere it is wall time.
//!
//! Found on 2026-11-23, the best of two, with a load of 8 on two cores (`--profile bench`: thin LTO, one codegen unit):
//!
//! | load | attempts a second, sluicegate | round robin |
//! |---|---:|---:|
//! | 1 h, half the quota | 944,000 | 2,506,000 |
//! | 1 h, 1.5 times the quota | 521,000 | 4,211,000 |
//! | 24 h, 0.83 of the quota | 918,000 | 2,154,000 |
//!
//! A million a second was promised and is missed. By callgrind an attempt takes 12,100 instructions at half the quota and
//! 19,900 at 1.5 times, with drawing and sorting; there, three calls are handled for every two attempts.

#![expect(clippy::disallowed_methods, reason = "this program measures time")]
#![expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "figures for people")]

use std::time::Instant;

use sluicegate_sim::{
    ClientKind, LaneConfig, Law, MaxTokens, Oracle, Peer, Scenario, ServiceConfig, Workload, run_calls,
};

const SECOND: u64 = 1_000_000;

struct Watch(Instant, Option<f64>);

impl Watch {
    fn start() -> Self {
        Self(Instant::now(), on_processor())
    }

    fn seconds(&self) -> f64 {
        match (self.1, on_processor()) {
            (Some(before), Some(after)) => after - before,
            _ => self.0.elapsed().as_secs_f64(),
        }
    }
}

/// Seconds that this program has been on a processor.
fn on_processor() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<u64>().ok()? as f64 / 1e9)
}

/// Three Regions of so many requests a minute.
fn scenario(requests_per_minute: u64, per_1000_s: u64, measured_s: u64) -> Scenario {
    let lane = |region: &str| {
        let mut lane = LaneConfig::new(region, "m");
        lane.law = Law::Continuous { burst_permille: 100, start_permille: 1_000 };
        lane.requests_per_minute = Some(requests_per_minute);
        lane.tokens_per_minute = Some(requests_per_minute * 20_000);
        lane.output_multiplier = 5;
        lane
    };
    let service = ServiceConfig::new(["us-east-1", "us-east-2", "us-west-2"].map(lane).into());
    let mut scenario = Scenario::new(service, Workload::azure_conversation(per_1000_s, MaxTokens::Fixed(1_024)));
    scenario.measured_us = measured_s * SECOND;
    scenario
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{:<34} {:<18} {:>9} {:>9} {:>8} {:>12}", "scenario", "client", "calls", "attempts", "s", "attempts/s");
    let plans = [
        ("1 h, 30/s, quota for 60/s", scenario(1_200, 30_000, 3_600)),
        ("1 h, 30/s, quota for 20/s", scenario(400, 30_000, 3_600)),
        ("24 h, 30/s, quota for 36/s", scenario(720, 30_000, 86_400)),
    ];
    for (name, scenario) in &plans {
        let ours = ClientKind::sluicegate(scenario.policy()?);
        let start = Watch::start();
        let arrivals = scenario.arrivals();
        println!("{name:<34} {:<18} {:>9} {:>9} {:>8.2}", "(drawing calls)", arrivals.len(), 0, start.seconds());
        for kind in [ours, ClientKind::Peer(Peer::RoundRobin), ClientKind::Peer(Peer::AwsStandard21)] {
            let arrivals = arrivals.clone();
            let start = Watch::start();
            let report = run_calls(scenario, &kind, arrivals)?.report;
            let seconds = start.seconds();
            let attempts: u64 = report.lanes.iter().map(|lane| lane.attempts).sum();
            let rate = attempts as f64 / seconds;
            println!(
                "{name:<34} {:<18} {:>9} {attempts:>9} {seconds:>8.2} {rate:>12.0}",
                kind.name(),
                report.all.calls
            );
        }
        let start = Watch::start();
        let fair = Oracle::fair_only(scenario, &arrivals)?;
        println!("{name:<34} {:<18} {:>9} {fair:>9} {:>8.2}", "(fair oracle)", arrivals.len(), start.seconds());
    }
    Ok(())
}
