//! The service: what it admits, how long it takes, what it charges.

use core::time::Duration;
use std::collections::BTreeMap;

use sluicegate::{Rng, Timestamp, random};

use crate::attempt::{Accepted, Attempt, LaneId, Load, Prefix, Refusal, Reply, StreamError, Ticket};
use crate::config::{ConfigError, Effect, LaneConfig, ServiceConfig, WHOLE_PERMILLE};
use crate::error::{ErrorKind, RefusalClass};
use crate::lane::{Lane, REQUEST};
use crate::ledger::{End, LaneLedger, Ledger};
use crate::quota::{DAY_US, Hold, Window};
use crate::slab::Slab;

/// One second in microseconds.
const SECOND_US: u64 = 1_000_000;

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
    /// Tokens of input that are charged.
    input: u64,
    prefix: Option<Prefix>,
    tag: Option<String>,
    accepted: Accepted,
    tokens: Option<Hold>,
    day: Option<Hold>,
}

/// A simulated Amazon Bedrock: no clock, no generator, no threads. Time that goes backwards is clamped to the latest
/// seen.
#[derive(Clone, Debug)]
pub struct Service {
    now: Timestamp,
    lanes: Vec<Lane>,
    /// Region, then model id, to the index of the lane.
    index: BTreeMap<String, BTreeMap<String, usize>>,
    /// Daily tokens per Region, where any lane of it is checked.
    days: Vec<Option<Window>>,
    flights: Slab<Flight>,
    /// Before this, time passes without anything to do.
    quiet_until: Timestamp,
    day_phase_us: u64,
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
            flights: Slab::default(),
            quiet_until: Timestamp::ZERO,
            day_phase_us: config.day_phase_us,
            ledger: Ledger::default(),
        };
        let mut regions: Vec<&str> = Vec::new();
        for (at, lane) in config.lanes.iter().enumerate() {
            let region = regions.iter().position(|known| *known == lane.region).unwrap_or_else(|| {
                regions.push(&lane.region);
                let checked = config.lanes.iter().any(|one| one.region == lane.region && one.tokens_per_day.is_some());
                service.days.push(checked.then(|| Window::new(DAY_US, config.day_phase_us, Timestamp::ZERO)));
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

    /// No minute forgets a debt any more: see [`MinuteQuota::keep_debts`](crate::quota::MinuteQuota).
    pub(crate) fn keep_debts(&mut self) {
        self.lanes.iter_mut().for_each(Lane::keep_debts);
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

    /// The books, when nothing more is to come.
    pub(crate) fn into_ledger(self) -> Ledger {
        self.ledger
    }

    /// The books, to announce calls in.
    pub const fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Lets time pass to `now`; answers the time that counts, which is never before an earlier one.
    pub fn advance(&mut self, now: Timestamp) -> Timestamp {
        let now = self.pass(now);
        for (lane, books) in self.lanes.iter().zip(&mut self.ledger.lanes) {
            books.close_rows(now, |at, row| lane.measure(at, row));
            books.show(now, |at, row| lane.measure(at, row));
        }
        now
    }

    /// Trouble that nobody planned: from `now` on and until further notice a lane is in `effect`, instead of what it was in
    /// of that kind; or, unless it is wanted, no longer in any. It goes into the lane's configuration, so that a run can be
    /// played again.
    pub fn intervene(&mut self, now: Timestamp, lane: LaneId, effect: Effect, wanted: bool) {
        let now = self.pass(now);
        if let Some(lane) = self.lanes.get_mut(lane.0) {
            lane.intervene(now, effect, wanted);
            self.quiet_until = now;
            self.pass(now);
        }
    }

    /// The service as it turned out to be: with the trouble that nobody planned.
    #[must_use]
    pub fn config(&self) -> ServiceConfig {
        let lanes = self.lanes.iter().map(|lane| lane.config.clone()).collect();
        ServiceConfig { lanes, day_phase_us: self.day_phase_us }
    }

    /// The lanes at work.
    pub(crate) fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The same, but for the state of the second that is still open.
    pub(crate) fn pass(&mut self, now: Timestamp) -> Timestamp {
        let now = self.now.max(now);
        self.now = now;
        if now >= self.quiet_until {
            self.change(now);
        }
        now
    }

    /// Does what happens up to `now`, and finds out until when nothing happens.
    #[inline(never)]
    fn change(&mut self, now: Timestamp) {
        let mut quiet_until =
            Timestamp::from_micros((now.as_micros() / SECOND_US).saturating_add(1).saturating_mul(SECOND_US));
        for (lane, books) in self.lanes.iter_mut().zip(&mut self.ledger.lanes) {
            loop {
                let change = lane.next_change().filter(|at| *at <= now);
                let take = lane.next_take().filter(|at| *at <= now);
                let Some(at) = change.into_iter().chain(take).min() else { break };
                books.close_rows(at, |at, row| lane.measure(at, row));
                if change == Some(at) { lane.apply_change(at) } else { lane.take(at) }
            }
            books.close_rows(now, |at, row| lane.measure(at, row));
            quiet_until = lane.next_change().into_iter().chain(lane.next_take()).fold(quiet_until, Timestamp::min);
        }
        self.quiet_until = quiet_until;
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
        let now = self.pass(now);
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
        let now = self.pass(now);
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
        let breaks = strike(lane, &mut rng)?;
        let prefix = load.prefix;
        let load = lane.cache.resolve(now, &lane.config, load);
        let day = self.days.get_mut(lane.region).and_then(Option::as_mut);
        let reserved = lane.reservation(&load);
        if let Some(error) = check(lane, day.as_deref(), now, reserved, crowded) {
            if error.class() != RefusalClass::Other
                && let Some(quota) = &mut lane.requests
            {
                quota.charge_refusal(now, u64::from(lane.config.refusal_cost_permille));
            }
            return Err(error.into());
        }
        let draw = |rng: Option<&mut dyn Rng>| rng.map_or(u64::MAX / 2, |rng| rng.next_u64());
        let wanted = load.output_tokens.unwrap_or_else(|| lane.config.output_lengths.value(draw(rng)));
        let cap = lane.cap(&load);
        let output_tokens = wanted.min(cap);
        if let Some(quota) = &mut lane.requests {
            quota.take(now, REQUEST);
        }
        let tokens = lane.tokens.as_mut().map(|quota| quota.take(now, reserved));
        let day = day.map(|day| day.hold(now, reserved));
        let (first_token_at, finish_at) = lane.times(now, &load, output_tokens);
        let input = load.charged_input();
        lane.in_flight += 1;
        let mut accepted = Accepted {
            ticket: Ticket(0),
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
        let tag = tag.map(str::to_owned);
        accepted.ticket = Ticket(self.flights.insert(Flight { input, prefix, tag, accepted, tokens, day }));
        Ok(accepted)
    }

    /// The answer is complete, or has ended in its error: settles what was generated, and says at how many quota tokens.
    /// A ticket no longer known is ignored.
    pub fn finish(&mut self, now: Timestamp, ticket: Ticket) -> Option<u64> {
        self.end(now, ticket, |accepted, _| match accepted.stream_error {
            Some(error) => (error.after_output_tokens, End::Failed),
            None => (accepted.output_tokens, End::Completed),
        })
    }

    /// The client went away: settles the input and the output generated so far, and says at how many quota tokens. What
    /// the real service charges then is not documented. A ticket no longer known is ignored.
    pub fn abandon(&mut self, now: Timestamp, ticket: Ticket) -> Option<u64> {
        self.end(now, ticket, |accepted, now| (accepted.generated(now), End::Abandoned))
    }

    fn end(&mut self, now: Timestamp, ticket: Ticket, how: impl Fn(&Accepted, Timestamp) -> (u64, End)) -> Option<u64> {
        let now = self.pass(now);
        let flight = self.flights.remove(ticket.0)?;
        let id = flight.accepted.lane.0;
        let lane = self.lanes.get_mut(id)?;
        let (output, end) = how(&flight.accepted, now);
        let used = lane.charge(flight.input, output);
        if let (Some(quota), Some(hold)) = (&mut lane.tokens, &flight.tokens) {
            quota.settle(now, hold, used);
        }
        if let (Some(Some(day)), Some(hold)) = (self.days.get_mut(lane.region), &flight.day) {
            day.settle(now, hold, used);
        }
        if let (End::Completed, Some(prefix)) = (end, flight.prefix) {
            lane.cache.keep(now, &lane.config, prefix);
        }
        lane.in_flight = lane.in_flight.saturating_sub(1);
        self.ledger.ended(now, id, flight.tag.as_deref(), used, end);
        Some(used)
    }

    /// Whether an attempt would be admitted and answered, as of the latest [`Service::advance`] to `now`. Faults that
    /// strike only a share of the attempts are left out. Changes nothing.
    #[must_use]
    pub fn would_admit(&self, now: Timestamp, lane: LaneId, load: &Load) -> bool {
        let Some(lane) = self.lanes.get(lane.0) else { return false };
        let crowded = self.flights.len() >= MAX_IN_FLIGHT;
        let load = lane.cache.resolve(now, &lane.config, load);
        !lane.is_closed() && check(lane, self.day(lane), now, lane.reservation(&load), crowded).is_none()
    }

    fn day(&self, lane: &Lane) -> Option<&Window> {
        self.days.get(lane.region)?.as_ref()
    }

    /// The time before which no attempt like this is admitted on the lane by the passing of time alone, as of the latest
    /// [`Service::advance`] to `now`; ask again then. `None`: only the end of an attempt in flight can help, or nothing.
    #[must_use]
    pub fn earliest(&self, now: Timestamp, lane: LaneId, load: &Load) -> Option<Timestamp> {
        let lane = self.lanes.get(lane.0)?;
        let change = lane.next_change();
        let load = lane.cache.resolve(now, &lane.config, load);
        let candidate = if lane.is_closed() || !lane.has_slot() { None } else { self.refilled(now, lane, &load) };
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
        if let (Some(limit), Some(day)) = (lane.config.tokens_per_day, self.day(lane)) {
            if reserved > limit {
                return None;
            }
            if day.used_at(now).saturating_add(reserved) > limit {
                at = at.max(day.next_turn(now));
            }
        }
        Some(at)
    }

    /// What an attempt costs in quota tokens on a lane: (reserved, settled after `output` tokens). A prefix counts in
    /// full, as if no cache held it.
    #[must_use]
    pub fn cost(&self, lane: LaneId, load: &Load, output: u64) -> (u64, u64) {
        self.lanes.get(lane.0).map_or((0, 0), |lane| (lane.reservation(load), lane.settlement(load, output)))
    }

    /// When an attempt admitted on a lane at `now` is answered; the output length is the median where it is not given.
    #[must_use]
    pub fn finish_time(&self, now: Timestamp, lane: LaneId, load: &Load) -> Timestamp {
        let Some(lane) = self.lanes.get(lane.0) else { return Timestamp::MAX };
        let load = lane.cache.resolve(now, &lane.config, load);
        lane.times(now, &load, lane.output(&load)).1
    }

    /// What an attempt settles at on a lane at `now`, with the output length given, else the median, cut at the cap.
    pub(crate) fn expected_cost(&self, now: Timestamp, lane: LaneId, load: &Load) -> u64 {
        let Some(lane) = self.lanes.get(lane.0) else { return 0 };
        let load = lane.cache.resolve(now, &lane.config, load);
        lane.settlement(&load, lane.output(&load))
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
fn strike(lane: &Lane, rng: &mut Option<&mut dyn Rng>) -> Result<Option<(ErrorKind, u64)>, Turned> {
    let mut breaks = None;
    for effect in lane.active().iter().copied() {
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
fn check(lane: &Lane, day: Option<&Window>, now: Timestamp, reserved: u64, crowded: bool) -> Option<ErrorKind> {
    if crowded || !lane.has_slot() {
        return Some(ErrorKind::TooManyConnections);
    }
    if lane.requests.as_ref().is_some_and(|quota| !quota.would_admit(now, REQUEST)) {
        return Some(ErrorKind::RequestsPerMinute);
    }
    if lane.tokens.as_ref().is_some_and(|quota| !quota.would_admit(now, reserved)) {
        return Some(ErrorKind::TokensPerMinute);
    }
    let spent = |limit| day.is_some_and(|day| day.used_at(now).saturating_add(reserved) > limit);
    lane.config.tokens_per_day.is_some_and(spent).then_some(ErrorKind::TokensPerDay)
}
