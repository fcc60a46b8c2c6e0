//! Plays a set-up natively, from its start to its end in one go, and prints what the page must show too.
//!
//! `reports < setup.json`: the reports of all sides as one JSON line.

use std::io::Read as _;

use sluicegate_playground::Setup;
use sluicegate_sim::run_calls;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let (scenario, kinds) =
        Setup::parse(&text).and_then(|setup| setup.build()).map_err(|faults| format!("{faults:?}"))?;
    let arrivals = scenario.arrivals();
    let mut reports = Vec::new();
    for kind in kinds {
        reports.push(run_calls(&scenario, &kind, arrivals.clone())?.report);
    }
    println!("{}", serde_json::to_string(&reports)?);
    Ok(())
}
