//! Several clients with the same calls, each at a service of its own, played step by step.

use sluicegate::{Policy, Timestamp};

use crate::attempt::LaneId;
use crate::config::{ConfigError, Effect, ServiceConfig};
use crate::gate::GateError;
use crate::live::Live;
use crate::report::Oracle;
use crate::run::{ClientKind, RunError};
use crate::scenario::Scenario;
use crate::source::Source;
use crate::workload::Arrival;

/// Several clients with the same calls, each at a service of its own. It stops where it is told to, to be looked at, and
/// load, trouble and policy can be changed on the way. Played to its end without a change, each side has the report of
/// [`run`](crate::run), however long the steps were.
///
/// ```
/// use sluicegate::Timestamp;
/// use sluicegate_sim::{
///     ClientKind, Effect, LaneConfig, LaneId, MaxTokens, Peer, Scenario, ServiceConfig, SideBySide, Workload,
/// };
///
/// let mut lane = LaneConfig::new("us-east-1", "m");
/// lane.requests_per_minute = Some(600);
/// let calls = Workload::azure_conversation(5_000, MaxTokens::Fixed(1_024));
/// let scenario = Scenario::new(ServiceConfig::new(vec![lane]), calls);
/// let kinds = [ClientKind::Peer(Peer::Article), ClientKind::sluicegate(scenario.policy()?)];
/// let mut sides = SideBySide::new(&scenario, &kinds)?;
///
/// sides.advance(Timestamp::from_micros(10_000_000))?;
/// sides.intervene(LaneId(0), Effect::Outage, true);
/// sides.advance(Timestamp::from_micros(15_000_000))?;
/// let [article, ours] = [0, 1].map(|side| sides.sides()[side].state());
/// assert_eq!(article.counts.calls, ours.counts.calls);
/// assert!(article.counts.refused > ours.counts.refused);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SideBySide {
    scenario: Scenario,
    source: Source,
    sides: Vec<Live>,
    arrivals: Vec<Arrival>,
    now: Timestamp,
}

impl core::fmt::Debug for SideBySide {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SideBySide").field("now", &self.now).field("sides", &self.sides).finish_non_exhaustive()
    }
}

impl SideBySide {
    /// At time zero, with nothing played.
    ///
    /// # Errors
    /// The service or a policy does not fit.
    pub fn new(scenario: &Scenario, kinds: &[ClientKind]) -> Result<Self, RunError> {
        let sides = kinds.iter().map(|kind| Live::new(scenario, kind, Vec::new())).collect::<Result<_, _>>()?;
        let source = Source::new(scenario);
        Ok(Self { scenario: scenario.clone(), source, sides, arrivals: Vec::new(), now: Timestamp::ZERO })
    }

    /// The same with calls from elsewhere, in the order of their times.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_calls(scenario: &Scenario, kinds: &[ClientKind], calls: Vec<Arrival>) -> Result<Self, RunError> {
        Ok(Self { source: Source::listed(scenario, calls), ..Self::new(scenario, kinds)? })
    }

    /// Plays all that happens up to a moment; one that has passed changes nothing.
    ///
    /// # Errors
    /// A client is stuck, or there are too many calls.
    pub fn advance(&mut self, to: Timestamp) -> Result<(), RunError> {
        let calls = self.source.until(to);
        for side in &mut self.sides {
            calls.iter().for_each(|call| side.offer(*call));
            side.advance(to)?;
        }
        self.arrivals.extend(calls);
        self.now = self.now.max(to);
        Ok(())
    }

    /// The moment it has been played to.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether every call has been made and has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.source.is_over(self.now) && self.sides.iter().all(Live::is_over)
    }

    /// The clients, in the order they were given.
    #[must_use]
    pub fn sides(&self) -> &[Live] {
        &self.sides
    }

    /// Calls come at so many thousandths of the workload's own rate from now on; users who wait for each other's answers
    /// (a closed loop) are not hurried.
    pub fn set_load(&mut self, permille: u32) {
        self.source.set_load(self.now, permille);
    }

    /// Puts a lane of every side's service in trouble, or ends it: see [`Service::intervene`](crate::Service::intervene).
    pub fn intervene(&mut self, lane: LaneId, effect: Effect, wanted: bool) {
        self.sides.iter_mut().for_each(|side| side.intervene(lane, effect, wanted));
    }

    /// Puts another policy in force wherever there is one.
    ///
    /// # Errors
    /// It does not fit the scenario; the old one stays in force.
    pub fn reconfigure(&mut self, policy: &Policy) -> Result<(), GateError> {
        self.sides.iter_mut().try_for_each(|side| side.reconfigure(policy))
    }

    /// The service as it turned out to be, with the trouble it was put in.
    #[must_use]
    pub fn service(&self) -> ServiceConfig {
        self.sides.first().map_or_else(|| self.scenario.service.clone(), Live::service)
    }

    /// What could have been done with the calls made so far at the service as it turned out to be: how many of the measured
    /// ones a fair queue would have had answered in time.
    ///
    /// # Errors
    /// Everything wrong with the configuration.
    pub fn fair(&self) -> Result<u64, ConfigError> {
        let scenario = Scenario { service: self.service(), ..self.scenario.clone() };
        Oracle::fair_only(&scenario, &self.arrivals)
    }
}
