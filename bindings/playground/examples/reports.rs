//! Plays a set-up natively, from its start to its end in one go, and prints what the page must show too.
//!
//! `reports < setup.json`: the reports of all sides as one JSON line.

use std::io::Read as _;

use sluicegate_playground::{Play, Setup};
use sluicegate_sim::{Arrival, run_calls};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let play = Setup::parse(&text).and_then(|setup| setup.build()).map_err(|faults| format!("{faults:?}"))?;
    let Play { scenario, kinds, calls } = play;
    let end = scenario.warm_up_us + scenario.measured_us + scenario.deadline_us;
    let calls = calls.map(|calls| calls.into_iter().filter(|call| call.at.as_micros() < end).collect());
    let arrivals: Vec<Arrival> = calls.unwrap_or_else(|| scenario.arrivals());
    let mut reports = Vec::new();
    for kind in kinds {
        reports.push(run_calls(&scenario, &kind, arrivals.clone())?.report);
    }
    println!("{}", serde_json::to_string(&reports)?);
    Ok(())
}
