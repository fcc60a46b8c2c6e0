//! How fast the simulator is: `cargo run --profile bench -p sluicegate-sim --example speed`.
//!
//! Prints attempts and calls per second of one core, for a simulated hour below and above the quota, and for a day at 30
//! requests a second. On Linux the time is that on the processor, so that whatever else runs matters less; elsewhere it is wall
//! time.
//!
//! Found on 2026-11-29 on two x86-64 cores with nothing else at work (`--profile bench`: fat LTO, one codegen unit), the
//! middle one of three runs, and of five above the quota, where they gave 1,025,000 to 1,057,000; nine runs of another link of
//! the same code had given 985,000 to 1,061,000 there:
//!
//! | load | attempts a second, sluicegate | round robin | calls a second of the fair queue |
//! |---|---:|---:|---:|
//! | 1 h, half the quota | 1,492,000 | 3,950,000 | 5,410,000 |
//! | 1 h, 1.5 times the quota | 1,053,000 (1,596,000 calls, three in ten of them refused) | 5,770,000 | 953,000 |
//! | 24 h, 0.83 of the quota | 1,370,000 (1.9 s) | 3,232,000 | 4,445,000 |
//!
//! Above the quota three calls are decided about for every two attempts. By callgrind an attempt takes 13,300 instructions
//! then (`--toggle-collect='*run_calls*'`, thin LTO, line tables on), three quarters of them the engine's. They are spread
//! over more code than a processor's first cache holds: where the linker puts what moves the figures by 2 %, and what is
//! seldom run is best kept out of line. What an attempt allocates is held by `tests/allocations.rs`.

#![expect(clippy::disallowed_methods, reason = "this program measures time")]
#![expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "figures for people")]

use std::time::Instant;

use sluicegate_sim::{
    Arrival, ClientKind, LaneConfig, Law, MaxTokens, Oracle, Peer, Scenario, ServiceConfig, Workload, run_calls,
};

const SECOND: u64 = 1_000_000;

/// Each case is played so often and the mean counts, since the processor's clock counts in steps of 4 ms.
const ROUNDS: u32 = 15;

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

/// Plays a case a few times with calls of its own; answers what it made and the mean of the seconds that took.
fn timed<T>(arrivals: &[Arrival], mut play: impl FnMut(Vec<Arrival>) -> T) -> (T, f64) {
    let mut seconds = 0.0;
    let mut round = 0;
    loop {
        let own = arrivals.to_vec();
        let start = Watch::start();
        let made = play(own);
        seconds += start.seconds();
        round += 1;
        if round == ROUNDS {
            return (made, seconds / f64::from(ROUNDS));
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |row: &str| words.is_empty() || words.iter().any(|word| row.contains(word.as_str()));
    println!(
        "{:<27} {:<17} {:>9} {:>9} {:>7} {:>11} {:>11}",
        "scenario", "client", "calls", "attempts", "s", "attempts/s", "calls/s"
    );
    let plans = [
        ("1 h, 30/s, quota for 60/s", scenario(1_200, 30_000, 3_600)),
        ("1 h, 30/s, quota for 20/s", scenario(400, 30_000, 3_600)),
        ("24 h, 30/s, quota for 36/s", scenario(720, 30_000, 86_400)),
    ];
    for (name, scenario) in &plans {
        let print = |what: &str, calls: u64, attempts: u64, seconds: f64| {
            let (attempted, decided) = (attempts as f64 / seconds, calls as f64 / seconds);
            println!("{name:<27} {what:<17} {calls:>9} {attempts:>9} {seconds:>7.3} {attempted:>11.0} {decided:>11.0}");
        };
        let kinds = [
            ClientKind::sluicegate(scenario.policy()?),
            ClientKind::Peer(Peer::RoundRobin),
            ClientKind::Peer(Peer::AwsStandard21),
        ];
        for kind in kinds.into_iter().filter(|kind| wanted(&format!("{name}: {}", kind.name()))) {
            let arrivals = scenario.arrivals();
            let (played, seconds) =
                timed(&arrivals, |calls| run_calls(scenario, &kind, calls).map(|played| played.report));
            let report = played?;
            let attempts = report.lanes.iter().map(|lane| lane.attempts).sum();
            print(kind.name(), arrivals.len() as u64, attempts, seconds);
        }
        if wanted(&format!("{name}: drawing")) {
            let (arrivals, seconds) = timed(&[], |_| scenario.arrivals());
            print("(drawing calls)", arrivals.len() as u64, 0, seconds);
            let (fair, seconds) = timed(&[], |_| Oracle::fair_only(scenario, &arrivals));
            print("(fair oracle)", arrivals.len() as u64, fair?, seconds);
        }
    }
    Ok(())
}
