//! The service: what it admits, how long it takes, what it charges.

use core::time::Duration;
use std::collections::BTreeMap;

use sluicegate::{Rng, Timestamp, random};

use crate::attempt::{Accepted, Attempt, LaneId, Load, Refusal, Reply, StreamError, Ticket};
use crate::config::{ConfigError, Effect, LaneConfig, ServiceConfig, WHOLE_PERMILLE};
use crate::error::{ErrorKind, RefusalClass};
use crate::lane::{Lane, REQUEST};
use crate::ledger::{End, LaneLedger, Ledger};
use crate::quota::{DAY_US, Hold, Window};

/// Attempts in flight at most over all lanes; one more is refused with 503 so that no caller can fill the memory.
pub const MAX_IN_FLIGHT: usize = 1 << 20;

/// How an attempt was turned down.
enum Turned {
    Refused(Refusal),
    Reset,
}

impl From<ErrorKind> for Turned {
    fn from(error: ErrorKind) -> Self {
        Self::Refused(error.into())
    }
}

#[derive(Clone, Debug)]
struct Flight {
    lane: usize,
    load: Load,
    tag: Option<String>,
    accepted: Accepted,
    tokens: Option<Hold>,
    day: Hold,
}

/// A simulated Amazon Bedrock: no clock, no generator, no threads. Time that goes backwards is clamped to the latest
/// seen.
#[derive(Clone, Debug)]
pub struct Service {
    now: Timestamp,
    lanes: Vec<Lane>,
    /// Region, then model id, to the index of the lane.
    index: BTreeMap<String, BTreeMap<String, usize>>,
    /// Daily tokens per Region.
    days: Vec<Window>,
    flights: BTreeMap<Ticket, Flight>,
    tickets: u64,
    ledger: Ledger,
}

impl Service {
    /// Builds the service; its time starts at [`Timestamp::ZERO`].
    ///
    /// # Errors
    /// Everything wrong with the configuration.
    pub fn new(config: &ServiceConfig) -> Result<Self, ConfigError> {
        let faults = config.faults();
        if !faults.is_empty() {
            return Err(ConfigError(faults));
        }
        let mut service = Self {
            now: Timestamp::ZERO,
            lanes: Vec::new(),
            index: BTreeMap::new(),
            days: Vec::new(),
            flights: BTreeMap::new(),
            tickets: 0,
            ledger: Ledger::default(),
        };
        let mut regions: Vec<&str> = Vec::new();
        for (at, lane) in config.lanes.iter().enumerate() {
            let region = regions.iter().position(|known| *known == lane.region).unwrap_or_else(|| {
                regions.push(&lane.region);
                service.days.push(Window::new(DAY_US, config.day_phase_us, Timestamp::ZERO));
                regions.len() - 1
            });
            let models = service.index.entry(lane.region.clone()).or_default();
            models.extend(lane.ids().map(|id| (id.to_owned(), at)));
            service.lanes.push(Lane::new(lane, region));
            let (region, model) = (lane.region.clone(), lane.model.clone());
            service.ledger.lanes.push(LaneLedger { region, model, ..LaneLedger::default() });
        }
        service.advance(Timestamp::ZERO);
        Ok(service)
    }

    /// The lane that serves `model` in `region`.
    #[must_use]
    pub fn lane(&self, region: &str, model: &str) -> Option<LaneId> {
        self.index.get(region)?.get(model).copied().map(LaneId)
    }

    /// The configuration of a lane.
    #[must_use]
    pub fn lane_config(&self, lane: LaneId) -> Option<&LaneConfig> {
        self.lanes.get(lane.0).map(|lane| &lane.config)
    }

    /// How many lanes there are.
    #[must_use]
    pub const fn lane_count(&self) -> usize {
        self.lanes.len()
    }

    /// The books up to the latest [`Service::advance`].
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The books, to announce calls in.
    pub const fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Lets time pass to `now`; answers the time that counts, which is never before an earlier one.
    pub fn advance(&mut self, now: Timestamp) -> Timestamp {
        let now = self.now.max(now);
        for (lane, books) in self.lanes.iter_mut().zip(&mut self.ledger.lanes) {
            while let Some(at) = lane.next_change().filter(|at| *at <= now) {
                books.close_rows(at, |at, row| lane.measure(at, row));
                lane.apply_change(at);
            }
            books.close_rows(now, |at, row| lane.measure(at, row));
        }
        self.now = now;
        now
    }

    /// Answers an attempt.
    ///
    /// Checks in this order: Region and model, faults, slots, requests, tokens, day. Takes one draw per fault in force
    /// that strikes a share of the attempts, and one for an output length that is not given.
    pub fn admit(&mut self, now: Timestamp, attempt: &Attempt, rng: &mut dyn Rng) -> Reply {
        let tag = attempt.tag.as_deref();
        if let Some(lane) = self.lane(&attempt.region, &attempt.model) {
            return self.admit_on(now, lane, &attempt.load, tag, rng);
        }
        let now = self.advance(now);
        self.ledger.attempt(now, None, tag);
        self.ledger.refused(now, None, tag, Some(ErrorKind::ResourceNotFound));
        Reply::Refused(ErrorKind::ResourceNotFound.into())
    }

    /// The same for a lane already looked up.
    pub fn admit_on(
        &mut self,
        now: Timestamp,
        lane: LaneId,
        load: &Load,
        tag: Option<&str>,
        rng: &mut dyn Rng,
    ) -> Reply {
        self.place(now, lane, load, tag, Some(rng))
    }

    /// Without a generator, faults that strike a share of the attempts strike none, and an output length that is not
    /// given is the median: what an all-knowing client gets.
    pub(crate) fn place(
        &mut self,
        now: Timestamp,
        lane: LaneId,
        load: &Load,
        tag: Option<&str>,
        rng: Option<&mut dyn Rng>,
    ) -> Reply {
        let now = self.advance(now);
        self.ledger.attempt(now, Some(lane.0), tag);
        let turned = match self.decide(now, lane.0, load, tag, rng) {
            Ok(accepted) => return Reply::Accepted(accepted),
            Err(turned) => turned,
        };
        let error = match &turned {
            Turned::Refused(refusal) => Some(refusal.error),
            Turned::Reset => None,
        };
        self.ledger.refused(now, Some(lane.0), tag, error);
        match turned {
            Turned::Refused(refusal) => Reply::Refused(refusal),
            Turned::Reset => Reply::Reset,
        }
    }

    fn decide(
        &mut self,
        now: Timestamp,
        id: usize,
        load: &Load,
        tag: Option<&str>,
        mut rng: Option<&mut dyn Rng>,
    ) -> Result<Accepted, Turned> {
        let crowded = self.flights.len() >= MAX_IN_FLIGHT;
        let lane = self.lanes.get_mut(id).ok_or(ErrorKind::ResourceNotFound)?;
        let breaks = strike(lane, now, &mut rng)?;
        if let Some(error) = self.days.get(lane.region).and_then(|day| check(lane, day, now, load, crowded)) {
            if error.class() != RefusalClass::Other
                && let Some(quota) = &mut lane.requests
            {
                quota.charge_refusal(now, u64::from(lane.config.refusal_cost_permille));
            }
            return Err(error.into());
        }
        let draw = |rng: Option<&mut dyn Rng>| rng.map_or(u64::MAX / 2, |rng| rng.next_u64());
        let wanted = load.output_tokens.unwrap_or_else(|| lane.config.output_lengths.value(draw(rng)));
        let cap = lane.cap(load);
        let output_tokens = wanted.min(cap);
        let reserved = lane.reservation(load);
        if let Some(quota) = &mut lane.requests {
            quota.reserve(now, REQUEST);
        }
        let tokens = lane.tokens.as_mut().and_then(|quota| quota.reserve(now, reserved));
        let day = self.days.get_mut(lane.region).ok_or(ErrorKind::InternalServer)?.hold(now, reserved);
        let (first_token_at, finish_at) = lane.times(now, load, output_tokens);
        lane.in_flight += 1;
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        let mut accepted = Accepted {
            ticket,
            lane: LaneId(id),
            first_token_at,
            finish_at,
            output_tokens,
            truncated: wanted > cap,
            stream_error: None,
        };
        accepted.stream_error = breaks.map(|(error, after)| {
            let after_output_tokens = after.min(output_tokens);
            StreamError { at: accepted.token_at(after_output_tokens), after_output_tokens, error }
        });
        self.ledger.admitted(now, id, tag, reserved);
        self.flights
            .insert(ticket, Flight { lane: id, load: *load, tag: tag.map(str::to_owned), accepted, tokens, day });
        Ok(accepted)
    }

    /// The answer is complete, or has ended in its error: settles what was generated. A ticket no longer known is
    /// ignored.
    pub fn finish(&mut self, now: Timestamp, ticket: Ticket) {
        self.end(now, ticket, |accepted, _| match accepted.stream_error {
            Some(error) => (error.after_output_tokens, End::Failed),
            None => (accepted.output_tokens, End::Completed),
        });
    }

    /// The client went away: settles the input and the output generated so far. What the real service charges then is
    /// not documented. A ticket no longer known is ignored.
    pub fn abandon(&mut self, now: Timestamp, ticket: Ticket) {
        self.end(now, ticket, |accepted, now| (accepted.generated(now), End::Abandoned));
    }

    fn end(&mut self, now: Timestamp, ticket: Ticket, how: impl Fn(&Accepted, Timestamp) -> (u64, End)) {
        let now = self.advance(now);
        let Some(flight) = self.flights.remove(&ticket) else { return };
        let Some(lane) = self.lanes.get_mut(flight.lane) else { return };
        let (output, end) = how(&flight.accepted, now);
        let used = lane.settlement(&flight.load, output);
        if let (Some(quota), Some(hold)) = (&mut lane.tokens, &flight.tokens) {
            quota.settle(now, hold, used);
        }
        if let Some(day) = self.days.get_mut(lane.region) {
            day.settle(now, &flight.day, used);
        }
        lane.in_flight = lane.in_flight.saturating_sub(1);
        self.ledger.ended(now, flight.lane, flight.tag.as_deref(), used, end);
    }

    /// Whether an attempt would be admitted and answered, as of the latest [`Service::advance`] to `now`. Faults that
    /// strike only a share of the attempts are left out. Changes nothing.
    #[must_use]
    pub fn would_admit(&self, now: Timestamp, lane: LaneId, load: &Load) -> bool {
        let Some(lane) = self.lanes.get(lane.0) else { return false };
        let crowded = self.flights.len() >= MAX_IN_FLIGHT;
        !lane.is_closed(now)
            && self.days.get(lane.region).is_some_and(|day| check(lane, day, now, load, crowded).is_none())
    }

    /// The time before which no attempt like this is admitted on the lane by the passing of time alone, as of the latest
    /// [`Service::advance`] to `now`; ask again then. `None`: only the end of an attempt in flight can help, or nothing.
    #[must_use]
    pub fn earliest(&self, now: Timestamp, lane: LaneId, load: &Load) -> Option<Timestamp> {
        let lane = self.lanes.get(lane.0)?;
        let change = lane.next_change();
        let candidate = if lane.is_closed(now) || !lane.has_slot(now) { None } else { self.refilled(now, lane, load) };
        match (candidate, change) {
            (Some(candidate), Some(change)) => Some(candidate.min(change)),
            (candidate, change) => candidate.or(change),
        }
    }

    fn refilled(&self, now: Timestamp, lane: &Lane, load: &Load) -> Option<Timestamp> {
        let reserved = lane.reservation(load);
        let mut at = now;
        if let Some(quota) = &lane.requests {
            at = at.max(quota.earliest(now, REQUEST)?);
        }
        if let Some(quota) = &lane.tokens {
            at = at.max(quota.earliest(now, reserved)?);
        }
        if let (Some(limit), Some(day)) = (lane.config.tokens_per_day, self.days.get(lane.region)) {
            if reserved > limit {
                return None;
            }
            if day.used_at(now).saturating_add(reserved) > limit {
                at = at.max(day.next_turn(now));
            }
        }
        Some(at)
    }

    /// What an attempt costs in quota tokens on a lane: (reserved, settled after `output` tokens).
    #[must_use]
    pub fn cost(&self, lane: LaneId, load: &Load, output: u64) -> (u64, u64) {
        self.lanes.get(lane.0).map_or((0, 0), |lane| (lane.reservation(load), lane.settlement(load, output)))
    }

    /// When an attempt admitted on a lane at `now` is answered; the output length is the median where it is not given.
    #[must_use]
    pub fn finish_time(&self, now: Timestamp, lane: LaneId, load: &Load) -> Timestamp {
        self.lanes.get(lane.0).map_or(Timestamp::MAX, |lane| lane.times(now, load, lane.output(load)).1)
    }

    /// The same for the expected output: the given length, else the median, cut at the cap.
    pub(crate) fn expected_cost(&self, lane: LaneId, load: &Load) -> (u64, u64) {
        let output = self.lanes.get(lane.0).map_or(0, |lane| lane.output(load));
        self.cost(lane, load, output)
    }

    /// A time before which no attempt admitted at `now` or later is answered, whatever faults end or begin.
    pub(crate) fn soonest_finish(&self, now: Timestamp, lane: LaneId, load: &Load) -> Timestamp {
        let Some(lane) = self.lanes.get(lane.0) else { return Timestamp::MAX };
        let micros = now.as_micros().saturating_add(lane.least_duration(load));
        Timestamp::from_micros(micros)
    }

    /// When the next fault of a lane begins or ends.
    pub(crate) fn next_change(&self, lane: LaneId) -> Option<Timestamp> {
        self.lanes.get(lane.0)?.next_change()
    }
}

/// Lets the faults in force strike: a refusal, a cut, or an error to come.
fn strike(lane: &Lane, now: Timestamp, rng: &mut Option<&mut dyn Rng>) -> Result<Option<(ErrorKind, u64)>, Turned> {
    let mut breaks = None;
    for effect in lane.effects(now) {
        let mut hit = |share: u32| match rng {
            Some(rng) => random::scale(rng.next_u64(), u64::from(WHOLE_PERMILLE) - 1) < u64::from(share),
            None => share >= WHOLE_PERMILLE,
        };
        match effect {
            Effect::Outage => return Err(ErrorKind::TemporarilyUnavailable.into()),
            Effect::Error { error, share_permille, retry_after_s } if hit(share_permille) => {
                let retry_after = retry_after_s.map(|seconds| Duration::from_secs(u64::from(seconds)));
                return Err(Turned::Refused(Refusal { error, retry_after }));
            }
            Effect::ConnectionReset { share_permille } if hit(share_permille) => return Err(Turned::Reset),
            Effect::StreamError { error, after_output_tokens, share_permille } if hit(share_permille) => {
                breaks.get_or_insert((error, after_output_tokens));
            }
            _ => {}
        }
    }
    Ok(breaks)
}

/// Why slots and quotas do not let an attempt in, if they do not.
fn check(lane: &Lane, day: &Window, now: Timestamp, load: &Load, crowded: bool) -> Option<ErrorKind> {
    if crowded || !lane.has_slot(now) {
        return Some(ErrorKind::TooManyConnections);
    }
    if lane.requests.as_ref().is_some_and(|quota| !quota.would_admit(now, REQUEST)) {
        return Some(ErrorKind::RequestsPerMinute);
    }
    let reserved = lane.reservation(load);
    if lane.tokens.as_ref().is_some_and(|quota| !quota.would_admit(now, reserved)) {
        return Some(ErrorKind::TokensPerMinute);
    }
    let spent = |limit| day.used_at(now).saturating_add(reserved) > limit;
    lane.config.tokens_per_day.is_some_and(spent).then_some(ErrorKind::TokensPerDay)
}
