//! A client at work, played step by step, looked at and interfered with.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use sluicegate::{BreakerState, CallId, Policy, Timestamp};

use crate::attempt::LaneId;
use crate::books::{NEVER, Record};
use crate::config::{Effect, ServiceConfig};
use crate::gate::GateError;
use crate::ledger::{Second, Totals};
use crate::report::{Report, Spread};
use crate::run::{ClientKind, Player, RunError};
use crate::scenario::Scenario;
use crate::workload::Arrival;

/// Waiting times are those of calls admitted in the last minute.
pub const WAITS_OVER_US: u64 = 60_000_000;
/// One second in microseconds.
const SECOND_US: u64 = 1_000_000;

/// A client at work. Unlike [`run`](crate::run) it stops where it is told to.
pub struct Live {
    player: Player<'static>,
    name: &'static str,
    now: Timestamp,
    /// Calls before this place are over and done with, and summed up.
    place: usize,
    done: Counts,
    samples: Vec<Sample>,
    /// Calls before this place are too old to have been admitted in the last minute.
    waited: usize,
}

impl core::fmt::Debug for Live {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Live").field("name", &self.name).field("now", &self.now).finish_non_exhaustive()
    }
}

/// How many calls there have been, and what has become of them so far. `calls` is the sum of the five after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls made.
    pub calls: u64,
    /// Not over, and no attempt is out for them.
    pub waiting: u64,
    /// An attempt is out for them.
    pub out: u64,
    /// Answered in full when the answer was due.
    pub in_time: u64,
    /// Answered later.
    pub late: u64,
    /// Over without an answer.
    pub lost: u64,
    /// Attempts that reached the service.
    pub attempts: u64,
    /// Of those, refused for quota or capacity (429, 503, 529).
    pub refused: u64,
    /// Of those, ended in another error.
    pub errors: u64,
}

/// What is known of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CallState {
    /// Its number, which is the same for every client.
    pub call: u32,
    /// Whom it was made for.
    pub tenant: u32,
    /// When it was made.
    pub made_us: u64,
    /// When its answer is due.
    pub due_us: u64,
    /// Attempts that reached the service.
    pub attempts: u32,
    /// Of those, refused for quota or capacity.
    pub refused: u32,
    /// Where its latest attempt is out.
    pub lane: Option<usize>,
    /// When an attempt was first admitted.
    pub admitted_us: Option<u64>,
    /// When the service had first answered one in full.
    pub completed_us: Option<u64>,
    /// Whether the caller has been told how it ended.
    pub ended: bool,
}

/// The end of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// All calls up to here.
    pub counts: Counts,
    /// How long those admitted in the last minute had waited.
    pub waits: Spread,
}

/// A lane as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneState {
    /// Its Region.
    pub region: String,
    /// Attempts being worked on.
    pub in_flight: u32,
    /// How many may be, where there is a limit.
    pub slots: Option<u32>,
    /// What is left of the requests per minute, in thousandths; below 0 is debt.
    pub requests_permille: Option<i64>,
    /// The same of the tokens.
    pub tokens_permille: Option<i64>,
    /// The client's breaker, if it has one.
    pub breaker: Option<BreakerState>,
    /// What is wrong.
    pub effects: Vec<Effect>,
    /// Sums so far.
    pub totals: Totals,
}

/// A client and its service as they are now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LiveState {
    /// The client's name.
    pub client: &'static str,
    /// All calls.
    pub counts: Counts,
    /// Measured calls that are over, by what their callers were told.
    pub ends: BTreeMap<String, u64>,
    /// The service's lanes.
    pub lanes: Vec<LaneState>,
}

impl Counts {
    fn add(&mut self, record: &Record, due: u64) {
        self.calls += 1;
        self.attempts += u64::from(record.attempts);
        self.refused += u64::from(record.refused);
        self.errors += u64::from(record.errors);
        let place = match record.completed {
            NEVER if record.out != NEVER => &mut self.out,
            NEVER if record.ended => &mut self.lost,
            NEVER => &mut self.waiting,
            at if at <= due => &mut self.in_time,
            _ => &mut self.late,
        };
        *place += 1;
    }
}

impl Live {
    /// A client at time zero. `arrivals` are calls known in advance, in the order of their times; more can be
    /// [offered](Self::offer).
    ///
    /// # Errors
    /// The service or the policy does not fit.
    pub fn new(scenario: &Scenario, kind: &ClientKind, arrivals: Vec<Arrival>) -> Result<Self, RunError> {
        Ok(Self {
            player: Player::new(Cow::Owned(scenario.clone()), kind, arrivals)?,
            name: kind.name(),
            now: Timestamp::ZERO,
            place: 0,
            done: Counts::default(),
            samples: Vec::new(),
            waited: 0,
        })
    }

    /// A further call, no earlier than those before it. One that is earlier than the moment played to is made then.
    pub fn offer(&mut self, arrival: Arrival) {
        self.player.books.add(arrival);
    }

    /// Plays all that happens up to a moment, that moment included; one that has passed changes nothing.
    ///
    /// # Errors
    /// The client is stuck, or there are too many calls.
    pub fn advance(&mut self, to: Timestamp) -> Result<(), RunError> {
        while let Some(second) = self.next_second().filter(|second| *second <= to) {
            self.play(second)?;
            self.sample();
        }
        if to > self.now { self.play(to) } else { Ok(()) }
    }

    fn next_second(&self) -> Option<Timestamp> {
        (self.samples.len() as u64 + 1).checked_mul(SECOND_US).map(Timestamp::from_micros)
    }

    fn play(&mut self, to: Timestamp) -> Result<(), RunError> {
        self.player.play_until(to)?;
        self.player.service.advance(to);
        self.now = to;
        let books = &self.player.books;
        for (arrival, record) in books.from(self.place).take_while(|(_, record)| record.ended && record.out == NEVER) {
            self.done.add(record, self.player.scenario.due(arrival).as_micros());
            self.place += 1;
        }
        Ok(())
    }

    fn sample(&mut self) {
        let since = self.now.as_micros().saturating_sub(WAITS_OVER_US);
        let books = &self.player.books;
        let over = |(arrival, record): &(&Arrival, &Record)| {
            record.ended && self.player.scenario.due(arrival).as_micros() < since
        };
        self.waited += books.from(self.waited).take_while(over).count();
        let waits = books.from(self.waited).filter(|(_, record)| record.admitted != NEVER && record.admitted >= since);
        let waits = waits.map(|(arrival, record)| record.admitted.saturating_sub(arrival.at.as_micros()));
        let mut waits: Vec<u64> = waits.collect();
        self.samples.push(Sample { counts: self.counts(), waits: Spread::of(&mut waits) });
    }

    /// Whether nothing is left to happen, unless further calls are offered.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.player.is_over()
    }

    /// The client's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What has become of all calls so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = self.done;
        for (arrival, record) in self.player.books.from(self.place) {
            counts.add(record, self.player.scenario.due(arrival).as_micros());
        }
        counts
    }

    /// The end of every second played, in order.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The client and its service as they are now.
    #[must_use]
    pub fn state(&self) -> LiveState {
        let service = &self.player.service;
        let client = self.player.seats.first().map(|seat| &seat.client);
        let lane = |(place, (lane, books)): (usize, (&crate::lane::Lane, &crate::ledger::LaneLedger))| {
            let mut row = Second::default();
            lane.measure(self.now, &mut row);
            LaneState {
                region: lane.config.region.clone(),
                in_flight: lane.in_flight,
                slots: lane.slots_at(self.now),
                requests_permille: row.requests_permille,
                tokens_permille: row.tokens_permille,
                breaker: client.and_then(|client| client.breaker(place)),
                effects: lane.active().to_vec(),
                totals: books.totals,
            }
        };
        LiveState {
            client: self.name,
            counts: self.counts(),
            ends: self.player.books.ends(),
            lanes: service.lanes().iter().zip(&service.ledger().lanes).enumerate().map(lane).collect(),
        }
    }

    /// What is known of a call; `None` before it is made.
    #[must_use]
    pub fn call(&self, number: u32) -> Option<CallState> {
        let (arrival, record) = self.player.books.from(number as usize).next()?;
        Some(self.call_state(number, arrival, record))
    }

    /// The calls that wait without an attempt out, the longest first; at most so many.
    #[must_use]
    pub fn waiting(&self, most: usize) -> Vec<CallState> {
        let calls = (self.place..).zip(self.player.books.from(self.place));
        let waits = |(_, (_, record)): &(usize, (&Arrival, &Record))| {
            !record.ended && record.out == NEVER && record.completed == NEVER
        };
        let state = |(number, (arrival, record)): (usize, (&Arrival, &Record))| {
            self.call_state(u32::try_from(number).unwrap_or(u32::MAX), arrival, record)
        };
        calls.filter(waits).take(most).map(state).collect()
    }

    fn call_state(&self, call: u32, arrival: &Arrival, record: &Record) -> CallState {
        let time = |us: u64| (us != NEVER).then_some(us);
        CallState {
            call,
            tenant: arrival.tenant,
            made_us: arrival.at.as_micros(),
            due_us: self.player.scenario.due(arrival).as_micros(),
            attempts: record.attempts,
            refused: record.refused,
            lane: self.player.attempts.get(record.out).map(|flight| flight.lane),
            admitted_us: time(record.admitted),
            completed_us: time(record.completed),
            ended: record.ended,
        }
    }

    /// Why a call waits or what became of it, in a line, by the engine inside; `None` where there is none, or the call is
    /// unknown to it.
    #[must_use]
    pub fn why(&self, number: u32) -> Option<String> {
        let seat = (number as usize).checked_rem(self.player.seats.len())?;
        // Asked of a copy, so that a run goes on the same whether it was looked into or not.
        let mut engine = self.player.seats.get(seat)?.client.engine()?.clone();
        let explanation = engine.explain(self.now, CallId(u64::from(number)))?;
        Some(engine.describe(self.now, &explanation))
    }

    /// Trouble from now on: see [`Service::intervene`](crate::Service::intervene).
    pub fn intervene(&mut self, lane: LaneId, effect: Effect, wanted: bool) {
        self.player.service.intervene(self.now, lane, effect, wanted);
    }

    /// Puts another policy in force, if there is one.
    ///
    /// # Errors
    /// It does not fit the scenario; the old one stays in force.
    pub fn reconfigure(&mut self, policy: &Policy) -> Result<(), GateError> {
        let now = self.now;
        (0..self.player.seats.len()).try_for_each(|seat| self.player.reconfigure(now, seat, policy))
    }

    /// The service as it turned out to be.
    #[must_use]
    pub fn service(&self) -> ServiceConfig {
        self.player.service.config()
    }

    /// The figures so far, as [`run`](crate::run) reports them at the end.
    #[must_use]
    pub fn report(&self) -> Report {
        self.player.books.report(&self.player.scenario, self.name, &self.player.service.ledger().lanes)
    }
}
