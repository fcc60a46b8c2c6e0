//! What is played, as the page writes it down.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluicegate::{Policy, PolicyError};
use sluicegate_sim::{
    Arrival, ClientKind, GateError, Pattern, Peer, RunError, Scenario, SideBySide, TRACE_HEADER, Trace, log,
};

/// Faulty lines of a log that are told.
const FAULTS_SHOWN: usize = 5;
/// The name of the side that the policy is for.
const OURS: &str = "sluicegate";

/// A scenario, who plays it, and under which policy.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    scenario: Value,
    /// A peer's name, or `sluicegate`.
    sides: Vec<String>,
    policy: Value,
    /// A file of calls, in place of the scenario's own: a trace as CSV, or a log.
    #[serde(default)]
    calls: Option<String>,
}

/// What is played.
#[derive(Clone, Debug)]
pub struct Play {
    /// The scenario.
    pub scenario: Scenario,
    /// Who plays it.
    pub kinds: Vec<ClientKind>,
    /// The calls of a file.
    pub calls: Option<Vec<Arrival>>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Stable, in snake case.
    pub code: String,
    /// JSON pointer to the value.
    pub pointer: String,
    /// In words.
    pub message: String,
}

impl Fault {
    fn new(code: &str, pointer: &str, message: &str) -> Self {
        Self { code: code.to_owned(), pointer: pointer.to_owned(), message: message.to_owned() }
    }
}

impl Setup {
    /// Reads it.
    ///
    /// # Errors
    /// It is not JSON, or not this.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        serde_json::from_str(text).map_err(|error| vec![Fault::new("not_a_setup", "", &error.to_string())])
    }

    /// What is played.
    ///
    /// # Errors
    /// Every fault found in the first part that has any.
    pub fn build(&self) -> Result<Play, Vec<Fault>> {
        let mut scenario = read(self.scenario.clone())?;
        let mut calls = None;
        if let Some(text) = &self.calls {
            let multiplier = scenario.service.lanes.first().map_or(1, |lane| lane.output_multiplier);
            match Calls::read(text, multiplier)? {
                Calls::Log(own) => calls = Some(own),
                Calls::Trace(trace) => {
                    scenario.workload.arrivals = Pattern::Recorded { trace, rate_permille: 1_000, spread_us: 0 };
                }
            }
        }
        let kind = |name: &String| {
            if name == OURS {
                let policy = Policy::parse(&self.policy).map_err(|error| of_policy(error, "/policy"))?;
                return Ok(ClientKind::sluicegate(policy));
            }
            let peer = Peer::named(name);
            peer.map(ClientKind::Peer).ok_or_else(|| vec![Fault::new("unknown_side", "/sides", name)])
        };
        let kinds = self.sides.iter().map(kind).collect::<Result<_, _>>()?;
        Ok(Play { scenario, kinds, calls })
    }

    /// The run at time zero.
    ///
    /// # Errors
    /// As [`Setup::build`]; or the service or the policy does not fit.
    pub fn sides(&self) -> Result<SideBySide, Vec<Fault>> {
        let Play { scenario, kinds, calls } = self.build()?;
        let sides = match calls {
            Some(calls) => SideBySide::with_calls(&scenario, &kinds, calls),
            None => SideBySide::new(&scenario, &kinds),
        };
        sides.map_err(|error| match error {
            RunError::Service(error) => {
                let fault = |fault: &sluicegate_sim::ConfigFault| {
                    Fault::new(fault.code, &format!("/scenario/service{}", fault.path), "")
                };
                error.0.iter().map(fault).collect()
            }
            RunError::Policy(error) => vec![does_not_fit(&error, "/policy")],
            other => vec![Fault::new("run", "", &other.to_string())],
        })
    }
}

/// What a file of calls holds.
pub(crate) enum Calls {
    /// Times and lengths; all else is as the scenario's workload has it.
    Trace(Trace),
    /// Whole calls, all of them of the first tenant.
    Log(Vec<Arrival>),
}

impl Calls {
    /// Reads a trace or a log. `multiplier`: quota tokens per output token.
    pub(crate) fn read(text: &str, multiplier: u64) -> Result<Self, Vec<Fault>> {
        if text.trim_start_matches('\u{feff}').starts_with(TRACE_HEADER) {
            let faulty = |error: sluicegate_sim::TraceError| vec![Fault::new("trace", "/calls", &error.to_string())];
            return Trace::from_csv(text).map(Self::Trace).map_err(faulty);
        }
        let log = log::parse(text).map_err(|faults| {
            let fault = |(line, what): &(usize, String)| Fault::new("log", "/calls", &format!("line {line}: {what}"));
            faults.iter().take(FAULTS_SHOWN).map(fault).collect::<Vec<_>>()
        })?;
        Ok(Self::Log(log.arrivals(multiplier)))
    }

    /// How many, and how many in 1,000 seconds.
    pub(crate) fn size(&self) -> (usize, u64) {
        match self {
            Self::Trace(trace) => (trace.rows().len(), trace.mean_per_1000_s()),
            Self::Log(calls) => {
                let span = calls.last().map_or(0, |last| last.at.as_micros());
                let gaps = (calls.len() as u64).saturating_sub(1);
                (calls.len(), gaps.saturating_mul(1_000_000_000).checked_div(span).unwrap_or(0))
            }
        }
    }
}

/// Reads a scenario.
pub(crate) fn scenario(text: &str) -> Result<Scenario, Vec<Fault>> {
    read(serde_json::from_str(text).map_err(no_scenario)?)
}

fn read(value: Value) -> Result<Scenario, Vec<Fault>> {
    serde_json::from_value(value).map_err(no_scenario)
}

#[expect(clippy::needless_pass_by_value, reason = "map_err hands it over")]
fn no_scenario(error: serde_json::Error) -> Vec<Fault> {
    vec![Fault::new("scenario", "/scenario", &error.to_string())]
}

/// A policy's faults, whose pointers begin at `root`.
pub(crate) fn of_policy(error: PolicyError, root: &str) -> Vec<Fault> {
    let fault = |fault: sluicegate::Fault| Fault::new(fault.code, &format!("{root}{}", fault.pointer), &fault.message);
    error.faults.into_iter().map(fault).collect()
}

/// The fault of a policy that the scenario has no use for.
pub(crate) fn does_not_fit(error: &GateError, root: &str) -> Fault {
    let pointer = match error {
        GateError::UnknownEndpoint { endpoint } => {
            format!("{root}/endpoints/{}", endpoint.replace('~', "~0").replace('/', "~1"))
        }
        GateError::UnknownTenant { .. } => format!("{root}/tenants"),
        _ => format!("{root}/endpoints"),
    };
    Fault::new("does_not_fit", &pointer, &error.to_string())
}
