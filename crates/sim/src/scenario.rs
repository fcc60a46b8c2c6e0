//! A service, the calls made to it, and what callers want: everything a policy is judged by.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sluicegate::{Policy, PolicyError, Rng as _, Timestamp, random};

use crate::attempt::LaneId;
use crate::config::{LaneConfig, Law, ServiceConfig, WHOLE_PERMILLE};
use crate::quota::MINUTE_US;
use crate::scale::mul_div;
use crate::seed::Dice;
use crate::workload::{Arrival, Workload};

/// Default time in which a call wants to be answered.
pub const DEFAULT_DEADLINE_US: u64 = 20_000_000;
/// Default time of a message from client to service, or back.
pub const DEFAULT_HOP_US: u64 = 20_000;
/// Default load before measuring: a minute, so that every law has forgotten its start.
pub const DEFAULT_WARM_UP_US: u64 = 60_000_000;
/// Default time in which calls are measured.
pub const DEFAULT_MEASURED_US: u64 = 300_000_000;
/// The model by the name that all calls of a scenario ask for in a policy made by [`Scenario::policy`].
pub const SCENARIO_MODEL: &str = "model";

/// Streams of random numbers, so that what one part draws does not change what another gets.
pub(crate) mod stream {
    pub(crate) const WORKLOAD: u64 = 1;
    pub(crate) const SERVICE: u64 = 2;
    pub(crate) const CLOSED_LOOP: u64 = 3;
    pub(crate) const CLIENTS: u64 = 1 << 32;
    pub(crate) const LANES: u64 = 1 << 33;
}

/// What clients are told of the quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Declared {
    /// What they are.
    #[default]
    Right,
    /// So many thousandths of what they are: at 2000 the real quota is half of the declared one.
    Permille(u32),
    /// Nothing.
    Nothing,
}

/// A service, the calls made to it, and what callers want. All calls may use all lanes.
///
/// ```
/// use sluicegate_sim::{ClientKind, LaneConfig, MaxTokens, Oracle, Peer, Scenario, ServiceConfig, Workload, run};
///
/// let mut lane = LaneConfig::new("us-east-1", "m");
/// lane.requests_per_minute = Some(60);
/// let calls = Workload::azure_conversation(1_500, MaxTokens::Fixed(1_024));
/// let scenario = Scenario::new(ServiceConfig::new(vec![lane]), calls);
///
/// let ours = run(&scenario, &ClientKind::sluicegate(scenario.policy()?))?;
/// let theirs = run(&scenario, &ClientKind::Peer(Peer::Article))?;
/// let oracle = Oracle::of(&scenario, &ours.arrivals)?;
/// let goodput = oracle.goodput_permille(&ours.report);
/// assert!(goodput > 800, "{goodput}");
/// assert!(theirs.report.all.refused_permille() > 500);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The service.
    pub service: ServiceConfig,
    /// The calls.
    pub workload: Workload,
    /// How long after a call is made its answer is due, in microseconds, where the workload does not say.
    #[serde(default = "defaults::deadline_us")]
    pub deadline_us: u64,
    /// How long a message takes from client to service, and back, in microseconds.
    #[serde(default = "defaults::hop_us")]
    pub hop_us: u64,
    /// Load before measuring, in microseconds.
    #[serde(default = "defaults::warm_up_us")]
    pub warm_up_us: u64,
    /// Calls made in so many microseconds after that are measured. Load goes on for the longest deadline, so that no
    /// draining service is measured.
    #[serde(default = "defaults::measured_us")]
    pub measured_us: u64,
    /// What clients are told of the quotas.
    #[serde(default)]
    pub declared: Declared,
    /// Whether answers are streamed, so that an attempt that breaks after its first token cannot be repeated.
    #[serde(default)]
    pub streaming: bool,
    /// Clients that know nothing of each other and take the calls by turns; at least 1.
    #[serde(default = "defaults::clients")]
    pub clients: u32,
    /// Decides all that is left to chance.
    #[serde(default)]
    pub seed: u64,
}

mod defaults {
    pub(super) const fn deadline_us() -> u64 {
        super::DEFAULT_DEADLINE_US
    }
    pub(super) const fn hop_us() -> u64 {
        super::DEFAULT_HOP_US
    }
    pub(super) const fn warm_up_us() -> u64 {
        super::DEFAULT_WARM_UP_US
    }
    pub(super) const fn measured_us() -> u64 {
        super::DEFAULT_MEASURED_US
    }
    pub(super) const fn clients() -> u32 {
        1
    }
}

impl Scenario {
    /// These calls to this service, with the default times.
    #[must_use]
    pub const fn new(service: ServiceConfig, workload: Workload) -> Self {
        Self {
            service,
            workload,
            deadline_us: DEFAULT_DEADLINE_US,
            hop_us: DEFAULT_HOP_US,
            warm_up_us: DEFAULT_WARM_UP_US,
            measured_us: DEFAULT_MEASURED_US,
            declared: Declared::Right,
            streaming: false,
            clients: 1,
            seed: 0,
        }
    }

    /// The same with another seed. It draws what is left to chance of the lanes: when their minutes turn
    /// ([`Law::FixedDrawn`]), and when others take their share.
    #[must_use]
    pub fn seeded(&self, seed: u64) -> Self {
        let mut scenario = Self { seed, ..self.clone() };
        for (number, lane) in (stream::LANES..).zip(&mut scenario.service.lanes) {
            let mut dice = Dice::stream(seed, number);
            let (phase, moments) = (dice.next_u64(), dice.next_u64());
            if lane.law == Law::FixedDrawn {
                lane.law = Law::Fixed { phase_us: random::scale(phase, MINUTE_US - 1) };
            }
            if let Some(user) = &mut lane.other_user {
                user.seed ^= moments;
            }
        }
        scenario
    }

    /// The calls, in order; none for a closed loop, whose calls depend on how they are served.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        let mut dice = Dice::stream(self.seed, stream::WORKLOAD);
        self.workload.generate(Timestamp::ZERO, Duration::from_micros(self.load_us()), &mut dice)
    }

    /// How long calls are made.
    pub(crate) fn load_us(&self) -> u64 {
        let longest = self.workload.deadline_ms.as_ref().map_or(self.deadline_us, |deadlines| {
            deadlines.value(u64::MAX).saturating_mul(1_000).saturating_add(1_000)
        });
        self.warm_up_us.saturating_add(self.measured_us).saturating_add(longest)
    }

    /// Whether a call counts.
    #[must_use]
    pub fn measures(&self, arrival: &Arrival) -> bool {
        let at = arrival.at.as_micros();
        at >= self.warm_up_us && at < self.warm_up_us.saturating_add(self.measured_us)
    }

    /// When the answer of a call is due.
    #[must_use]
    pub fn due(&self, arrival: &Arrival) -> Timestamp {
        let within = arrival.deadline_us.unwrap_or(self.deadline_us);
        Timestamp::from_micros(arrival.at.as_micros().saturating_add(within))
    }

    /// Every lane of the service.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneId> {
        (0..self.service.lanes.len()).map(LaneId).collect()
    }

    /// A quota as clients are told it.
    #[must_use]
    pub fn told(&self, quota: Option<u64>) -> Option<u64> {
        match self.declared {
            Declared::Right => quota,
            Declared::Permille(permille) => {
                quota.map(|quota| mul_div(quota, u64::from(permille), u64::from(WHOLE_PERMILLE)).max(1))
            }
            Declared::Nothing => None,
        }
    }

    /// The policy that says what clients are told and nothing else: a pool and an endpoint for each lane, and the tenants.
    ///
    /// # Errors
    /// A name or a quota of the service that no policy can hold.
    pub fn policy(&self) -> Result<Policy, PolicyError> {
        Policy::parse(&self.policy_document())
    }

    /// The same as a document, to be added to.
    #[must_use]
    pub fn policy_document(&self) -> serde_json::Value {
        let (mut pools, mut endpoints, mut tenants) = (json!({}), json!({}), json!({}));
        for (place, lane) in self.service.lanes.iter().enumerate() {
            let name = format!("{place}-{}", lane.region);
            endpoints[&name] =
                json!({"model": SCENARIO_MODEL, "target": lane.model, "region": lane.region, "pools": [name]});
            pools[&name] = self.pool(lane);
        }
        for tenant in &self.workload.tenants {
            tenants[&tenant.name] = json!({"weight": tenant.weight});
        }
        let mut document = json!({"pools": pools, "endpoints": endpoints});
        if !self.workload.tenants.is_empty() {
            document["tenants"] = tenants;
        }
        document
    }

    fn pool(&self, lane: &LaneConfig) -> serde_json::Value {
        let quotas = [
            ("requests_per_minute", lane.requests_per_minute),
            ("tokens_per_minute", lane.tokens_per_minute),
            ("tokens_per_day", lane.tokens_per_day),
        ];
        let told = quotas.into_iter().filter_map(|(name, quota)| Some((name.to_owned(), self.told(quota)?.into())));
        serde_json::Value::Object(told.collect())
    }
}
