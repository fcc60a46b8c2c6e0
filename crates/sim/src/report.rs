//! What a run showed, in figures: from the service's side, with what the callers were told beside it.

use std::collections::BTreeMap;

use serde::Serialize;
use sluicegate::Timestamp;

use crate::bound::upper_bound;
use crate::config::ConfigError;
use crate::ledger::{Totals, place_of};
use crate::oracle::{OracleCall, best, fair};
use crate::scenario::Scenario;
use crate::workload::Arrival;

/// Calls for which an upper bound is worked out at most: its cost grows with their number times that of the spans.
pub const MAX_BOUND_CALLS: usize = 200_000;

/// A few quantiles of durations in microseconds; 0 where there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// The median.
    pub p50: u64,
    /// Nine tenths are at most this.
    pub p90: u64,
    /// All but one in a hundred are at most this.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

impl Spread {
    /// Of values in any order, which come out in another.
    pub(crate) fn of(values: &mut [u64]) -> Self {
        let count = values.len();
        // From the largest to the smallest, each among those below the one before: that is less work than sorting them.
        let mut rest = values;
        let mut quantile = |permille| {
            let place = place_of(permille, count);
            if place >= rest.len() {
                return 0;
            }
            let (_, value, _) = rest.select_nth_unstable(place);
            let value = *value;
            rest = &mut core::mem::take(&mut rest)[..=place];
            value
        };
        let (max, p99, p90, p50) = (quantile(1_000), quantile(990), quantile(900), quantile(500));
        Self { count: count as u64, p50, p90, p99, max }
    }
}

/// What became of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// Attempts that reached the service.
    pub attempts: u32,
    /// Of those, refused for quota or capacity.
    pub refused: u32,
    /// When an attempt was first admitted.
    pub admitted: Option<Timestamp>,
    /// When the service had first answered one in full.
    pub completed: Option<Timestamp>,
}

/// Figures on some calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// How many.
    pub calls: u64,
    /// Of those, answered in full by the service when the answer was due.
    pub in_time: u64,
    /// Answered later.
    pub late: u64,
    /// Never answered.
    pub never: u64,
    /// Attempts that reached the service.
    pub attempts: u64,
    /// Of those, refused for quota or capacity (429, 503, 529).
    pub refused: u64,
    /// Of those, ended in another error, at once or on the way.
    pub errors: u64,
    /// From a call to the first admission of an attempt.
    pub waits: Spread,
    /// From there to the answer.
    pub services: Spread,
}

impl Figures {
    /// Attempts per call answered, in thousandths; 0 if none was.
    #[must_use]
    pub fn attempts_per_success_permille(&self) -> u64 {
        (self.attempts * 1_000).checked_div(self.in_time + self.late).unwrap_or(0)
    }

    /// Attempts refused for quota or capacity, in thousandths of all.
    #[must_use]
    pub fn refused_permille(&self) -> u64 {
        (self.refused * 1_000).checked_div(self.attempts).unwrap_or(0)
    }
}

/// What one policy did in one scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The policy.
    pub client: String,
    /// All measured calls.
    pub all: Figures,
    /// The same by tenant, in the order of the workload; empty for one tenant.
    pub tenants: Vec<(String, Figures)>,
    /// Measured calls by what their callers were told.
    pub ends: BTreeMap<String, u64>,
    /// Of those, told before their deadline that they send too much.
    pub throttled: u64,
    /// From a call to its refusal by the client itself, in microseconds.
    pub refusals: Spread,
    /// Of those, refused with a time at which another try could help.
    pub refusals_with_time: u64,
    /// Sums by lane, over the whole run.
    pub lanes: Vec<Totals>,
    /// Decisions, hashed in their order: two runs that decide alike agree in it.
    pub digest: u64,
}

/// What could have been done with the measured calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Oracle {
    /// Measured calls.
    pub calls: u64,
    /// Answered in time by a fair queue that knows the service but not the answers ([`fair`]). Goodput is measured against it.
    pub fair: u64,
    /// Answered in time by the best greedy schedule that knows everything ([`best`]). Where tokens are scarce it serves
    /// short answers instead of long ones, which no client can.
    pub clairvoyant: u64,
    /// Answered in time at most, whatever the schedule ([`upper_bound`]); absent for more than [`MAX_BOUND_CALLS`].
    pub upper_bound: Option<u64>,
}

impl Oracle {
    /// Works it out for the calls of a scenario.
    ///
    /// # Errors
    /// Everything wrong with the service's configuration.
    pub fn of(scenario: &Scenario, arrivals: &[Arrival]) -> Result<Self, ConfigError> {
        let lanes = scenario.lanes();
        let call = |arrival: &Arrival| OracleCall::new(arrival, scenario.due(arrival));
        let calls: Vec<OracleCall> = arrivals.iter().map(call).collect();
        let measured: Vec<OracleCall> =
            arrivals.iter().filter(|arrival| scenario.measures(arrival)).map(call).collect();
        let count = |starts: &[Option<crate::oracle::Start>]| {
            let served = starts.iter().zip(arrivals).filter(|(start, _)| start.is_some());
            served.filter(|(_, arrival)| scenario.measures(arrival)).count() as u64
        };
        let fair = count(&fair(&scenario.service, &lanes, &calls)?.starts);
        let clairvoyant = count(&best(&scenario.service, &lanes, &calls)?.starts);
        let small = measured.len() <= MAX_BOUND_CALLS;
        let bound = if small { Some(upper_bound(&scenario.service, &lanes, &measured)?) } else { None };
        Ok(Self { calls: measured.len() as u64, fair, clairvoyant, upper_bound: bound })
    }

    /// The fair queue alone: all that goodput needs, and much the fastest part.
    ///
    /// # Errors
    /// Everything wrong with the service's configuration.
    pub fn fair_only(scenario: &Scenario, arrivals: &[Arrival]) -> Result<u64, ConfigError> {
        let calls: Vec<OracleCall> =
            arrivals.iter().map(|arrival| OracleCall::new(arrival, scenario.due(arrival))).collect();
        let starts = fair(&scenario.service, &scenario.lanes(), &calls)?.starts;
        let served = starts.iter().zip(arrivals).filter(|(start, _)| start.is_some());
        Ok(served.filter(|(_, arrival)| scenario.measures(arrival)).count() as u64)
    }

    /// Calls that a policy had answered in time, in thousandths of those that the fair queue had; 1000 where there was
    /// nothing to be had. Can be a little above 1000, since a fair queue is not the best there is.
    #[must_use]
    pub fn goodput_permille(&self, report: &Report) -> u64 {
        (report.all.in_time * 1_000).checked_div(self.fair).unwrap_or(1_000)
    }

    /// The same beside the schedule that knows everything.
    #[must_use]
    pub fn clairvoyant_permille(&self, report: &Report) -> u64 {
        (report.all.in_time * 1_000).checked_div(self.clairvoyant).unwrap_or(1_000)
    }
}
