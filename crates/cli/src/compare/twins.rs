//! Each client's simulated twin in the same scenario: the same service and the same calls, in virtual time.

use serde_json::{Value, json};
use sluicegate_sim::{ClientKind, Peer, Scenario as Simulated, run_calls};

use super::clients::Kind;
use super::measure::Measured;
use super::scenario::{Oracle, Scenario};
use crate::exit::{Code, Failure};
use crate::policy_check::table;

/// One second in microseconds.
const SECOND_US: u64 = 1_000_000;
/// A message on loopback, signed and read.
const HOP_US: u64 = 2_000;
/// Seeds whose median is taken.
const SEEDS: u64 = 11;
/// How far a twin may be off, in goodput.
pub(crate) const NEAR: f64 = 0.05;

/// A client and its simulated twin.
pub(crate) struct Twins {
    kind: Kind,
    /// What the simulator calls it.
    name: &'static str,
    /// Goodput against the oracle of the comparison.
    real: f64,
    /// The median of the seeds, and the least and most.
    simulated: f64,
    range: (f64, f64),
    /// Attempts for each answer of the real one, and the median of the twin's.
    attempts: (f64, f64),
}

impl Twins {
    fn off(&self) -> f64 {
        self.simulated - self.real
    }
}

/// Which simulated client is written after which real one; ours is simulated by the engine itself.
const fn peer(kind: Kind) -> Option<Peer> {
    match kind {
        Kind::Article => Some(Peer::Article),
        Kind::SdkStandard => Some(Peer::AwsStandard20),
        Kind::SdkAdaptive => Some(Peer::AwsAdaptiveRust),
        Kind::Boto3Standard => Some(Peer::AwsStandard21),
        Kind::Boto3Adaptive => Some(Peer::AwsAdaptive),
        Kind::LiteLlm => Some(Peer::Cooldown),
        Kind::SluicegatePython | Kind::Sluicegate => None,
    }
}

/// Plays each client's twin.
pub(crate) fn play(scenario: &Scenario, oracle: &Oracle, clients: &[Measured]) -> Result<Vec<Twins>, Failure> {
    clients.iter().map(|client| twins(scenario, oracle, client)).collect()
}

fn twins(scenario: &Scenario, oracle: &Oracle, client: &Measured) -> Result<Twins, Failure> {
    let unexpected =
        |error: String| Failure::new(Code::Unexpected, format!("the simulated {}: {error}", client.kind.name()));
    let (kind, name) = match peer(client.kind) {
        Some(peer) => (ClientKind::Peer(peer), peer.name()),
        None => (ClientKind::sluicegate(scenario.policy()?), Kind::Sluicegate.name()),
    };
    let mut results = Vec::new();
    for seed in 1..=SEEDS {
        let mut simulated = Simulated::new(scenario.service(), scenario.workload()).seeded(seed);
        simulated.hop_us = HOP_US;
        simulated.deadline_us = scenario.args().deadline * SECOND_US;
        simulated.warm_up_us = scenario.args().warm_up * SECOND_US;
        let measured = scenario.phases.iter().filter(|phase| phase.measured);
        simulated.measured_us = measured.map(|phase| (phase.to - phase.from) * SECOND_US).sum();
        let played = run_calls(&simulated, &kind, scenario.arrivals.clone());
        let figures = played.map_err(|error| unexpected(error.to_string()))?.report.all;
        let goodput = figures.in_time as f64 / oracle.in_time.max(1) as f64;
        results.push((goodput, figures.attempts_per_success_permille() as f64 / 1e3));
    }
    let sorted = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values
    };
    let goodputs = sorted(results.iter().map(|(goodput, _)| *goodput).collect());
    let attempts = sorted(results.iter().map(|(_, attempts)| *attempts).collect());
    let median = |values: &[f64]| values.get(values.len() / 2).copied().unwrap_or(0.0);
    let end = |value: Option<&f64>| value.copied().unwrap_or(0.0);
    Ok(Twins {
        kind: client.kind,
        name,
        real: client.goodput(oracle),
        simulated: median(&goodputs),
        range: (end(goodputs.first()), end(goodputs.last())),
        attempts: (client.attempts_per_answer(), median(&attempts)),
    })
}

/// The table of twins.
pub(crate) fn text(twins: &[Twins]) -> String {
    let mut table = table(&[
        "client",
        "its twin in\nthe simulator",
        "goodput,\nreal",
        "goodput,\nsimulated",
        "off by",
        "attempts per\nanswer, real",
        "attempts per\nanswer, simulated",
    ]);
    for pair in twins {
        table.add_row([
            pair.kind.name().to_owned(),
            pair.name.to_owned(),
            format!("{:.3}", pair.real),
            format!("{:.3} ({:.3} to {:.3})", pair.simulated, pair.range.0, pair.range.1),
            format!("{:+.3}{}", pair.off(), if pair.off().abs() > NEAR { " FAR" } else { "" }),
            format!("{:.2}", pair.attempts.0),
            format!("{:.2}", pair.attempts.1),
        ]);
    }
    format!("{}\n\nTwins: the median of {SEEDS} seeds (least to most); FAR: off by more than {NEAR}.", table.trim_fmt())
}

/// The same for machines.
pub(crate) fn json(twins: &[Twins]) -> Value {
    let pair = |pair: &Twins| {
        json!({
            "client": pair.kind.name(),
            "twin": pair.name,
            "goodput": {"real": pair.real, "simulated": pair.simulated, "least": pair.range.0, "most": pair.range.1, "off": pair.off()},
            "attempts_per_answer": {"real": pair.attempts.0, "simulated": pair.attempts.1},
        })
    };
    json!({"seeds": SEEDS, "near": NEAR, "clients": twins.iter().map(pair).collect::<Vec<_>>()})
}
