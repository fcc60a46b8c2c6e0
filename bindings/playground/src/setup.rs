//! What is played, as the page writes it down.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluicegate::{Policy, PolicyError};
use sluicegate_sim::{ClientKind, GateError, Pattern, Peer, RunError, Scenario, SideBySide, Trace};

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
    /// A recording as CSV, in place of the scenario's arrivals.
    #[serde(default)]
    trace: Option<String>,
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

    /// The scenario and who plays it.
    ///
    /// # Errors
    /// Every fault found in the first part that has any.
    pub fn build(&self) -> Result<(Scenario, Vec<ClientKind>), Vec<Fault>> {
        let mut scenario = read(self.scenario.clone())?;
        if let Some(csv) = &self.trace {
            let trace =
                Trace::from_csv(csv).map_err(|error| vec![Fault::new("trace", "/trace", &error.to_string())])?;
            scenario.workload.arrivals = Pattern::Recorded { trace, rate_permille: 1_000, spread_us: 0 };
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
        Ok((scenario, kinds))
    }

    /// The run at time zero.
    ///
    /// # Errors
    /// As [`Setup::build`]; or the service or the policy does not fit.
    pub fn sides(&self) -> Result<SideBySide, Vec<Fault>> {
        let (scenario, kinds) = self.build()?;
        SideBySide::new(&scenario, &kinds).map_err(|error| match error {
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

/// Reads a recording.
pub(crate) fn trace(text: &str) -> Result<Trace, Vec<Fault>> {
    Trace::from_csv(text).map_err(|error| vec![Fault::new("trace", "/trace", &error.to_string())])
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
