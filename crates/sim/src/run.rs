//! Clients against the service, in virtual time.

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;
use std::collections::VecDeque;

use sluicegate::{Policy, Timestamp};

use crate::attempt::{Accepted, LaneId, Refusal, Reply, Ticket};
use crate::books::{Books, NEVER};
use crate::client::{Action, Client, ClientCall, ClientReply, End, Io};
use crate::config::ConfigError;
use crate::error::ErrorKind;
use crate::gate::{Gate, GateError};
use crate::ledger::Ledger;
use crate::peers::Peer;
use crate::queue::TimeQueue;
use crate::report::{Fate, Report};
use crate::scenario::{Scenario, stream};
use crate::seed::Dice;
use crate::service::Service;
use crate::slab::Slab;
use crate::workload::{Arrival, ClosedLoop};

/// How often a client may want to be woken at one moment before it is taken to be stuck.
const MAX_WAKES: u32 = 100_000;

/// A policy to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// Sluicegate's engine under a policy. Calls ask for the model of the policy's first endpoint.
    Sluicegate(Box<Policy>),
    /// What others do.
    Peer(Peer),
}

impl ClientKind {
    /// Sluicegate's engine under a policy.
    #[must_use]
    pub fn sluicegate(policy: Policy) -> Self {
        Self::Sluicegate(Box::new(policy))
    }

    /// A stable name, for plans and tables.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sluicegate(_) => "sluicegate",
            Self::Peer(peer) => peer.name(),
        }
    }

    /// Whether its policy fits a scenario: its endpoints lead to lanes of the service, and it knows the tenants.
    ///
    /// # Errors
    /// What does not fit.
    pub fn fits(&self, scenario: &Scenario) -> Result<(), GateError> {
        self.build(scenario).map(drop)
    }

    fn build(&self, scenario: &Scenario) -> Result<Box<dyn Client>, GateError> {
        Ok(match self {
            Self::Sluicegate(policy) => Box::new(Gate::new((**policy).clone(), scenario)?),
            Self::Peer(peer) => peer.build(scenario),
        })
    }
}

/// Why a run came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// The service cannot be built.
    Service(ConfigError),
    /// The policy does not fit the scenario.
    Policy(GateError),
    /// A client wants to be woken again and again without time passing: a mistake in the client.
    Stuck(Timestamp),
    /// A run has at most 2^32 - 2 calls.
    TooManyCalls,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(error) => error.fmt(f),
            Self::Policy(error) => error.fmt(f),
            Self::Stuck(at) => write!(f, "the client does not get past {} µs", at.as_micros()),
            Self::TooManyCalls => write!(f, "the scenario makes too many calls for one run"),
        }
    }
}

impl core::error::Error for RunError {}

impl From<ConfigError> for RunError {
    fn from(error: ConfigError) -> Self {
        Self::Service(error)
    }
}

impl From<GateError> for RunError {
    fn from(error: GateError) -> Self {
        Self::Policy(error)
    }
}

/// A run that has come to its end.
#[derive(Clone, Debug)]
pub struct Played {
    /// The figures.
    pub report: Report,
    /// The service's books, with a row per second.
    pub ledger: Ledger,
    /// The calls as they were made.
    pub arrivals: Vec<Arrival>,
    /// What became of each of them.
    pub fates: Vec<Fate>,
}

/// Plays a scenario to its end: until every call has ended and nothing is under way.
///
/// # Errors
/// The service or the policy does not fit, or the client is stuck.
pub fn run(scenario: &Scenario, kind: &ClientKind) -> Result<Played, RunError> {
    run_calls(scenario, kind, scenario.arrivals())
}

/// The same with calls from elsewhere, in the order of their times: from a log, or drawn once for several policies.
///
/// # Errors
/// As [`run`].
pub fn run_calls(scenario: &Scenario, kind: &ClientKind, arrivals: Vec<Arrival>) -> Result<Played, RunError> {
    let mut player = Player::new(Cow::Borrowed(scenario), kind, arrivals)?;
    player.play_until(Timestamp::MAX)?;
    player.service.advance(Timestamp::ZERO);
    let ledger = player.service.into_ledger();
    let report = player.books.report(scenario, kind.name(), &ledger.lanes);
    let (arrivals, fates) = player.books.into_fates();
    Ok(Played { report, ledger, arrivals, fates })
}

/// A client and what it has to itself.
pub(crate) struct Seat {
    pub(crate) client: Box<dyn Client>,
    dice: Dice,
    wake: Option<Timestamp>,
    hangs_up: bool,
}

/// An attempt under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    call: u32,
    /// The client's name for it.
    attempt: u64,
    pub(crate) lane: usize,
    /// Instead of the call's own.
    max_tokens: Option<u64>,
    ticket: Option<Ticket>,
    reply: ClientReply,
    stage: Stage,
    /// Another attempt of the same call.
    sibling: u64,
}

/// Where an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Reaching,
    Working,
    Returning,
}

/// What happens next. Of what happens at the same moment, the first goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    End,
    Reach,
    Return,
    Due,
    Arrive,
    User,
    Timer,
    Wake,
}

pub(crate) struct Player<'a> {
    pub(crate) scenario: Cow<'a, Scenario>,
    pub(crate) service: Service,
    dice: Dice,
    hop: Duration,
    pub(crate) seats: Vec<Seat>,
    pub(crate) books: Books,
    next_arrival: usize,
    users: Option<ClosedLoop>,
    pub(crate) attempts: Slab<Flight>,
    /// On the way to the service and back: in order, since every hop takes as long.
    reaching: VecDeque<(Timestamp, u64)>,
    returning: VecDeque<(Timestamp, u64)>,
    ending: TimeQueue<u64>,
    dues: TimeQueue<u32>,
    timers: TimeQueue<(usize, u64)>,
    actions: Vec<Action>,
    now: Timestamp,
    /// When the first client wants to be woken.
    wake: Option<Timestamp>,
    /// How often in a row a client was woken at this moment.
    wakes: u32,
}

impl<'a> Player<'a> {
    pub(crate) fn new(
        scenario: Cow<'a, Scenario>,
        kind: &ClientKind,
        arrivals: Vec<Arrival>,
    ) -> Result<Self, RunError> {
        let seats = (0..u64::from(scenario.clients.max(1)))
            .map(|number| {
                let client = kind.build(&scenario)?;
                let dice = Dice::stream(scenario.seed, stream::CLIENTS.wrapping_add(number));
                Ok(Seat { hangs_up: client.is_left_at_the_deadline(), client, dice, wake: None })
            })
            .collect::<Result<Vec<_>, GateError>>()?;
        let end = Timestamp::from_micros(scenario.load_us());
        let users = Dice::stream(scenario.seed, stream::CLOSED_LOOP);
        Ok(Self {
            service: Service::new(&scenario.service)?,
            dice: Dice::stream(scenario.seed, stream::SERVICE),
            hop: Duration::from_micros(scenario.hop_us),
            seats,
            books: Books::new(arrivals),
            next_arrival: 0,
            users: ClosedLoop::new(&scenario.workload, Timestamp::ZERO, end, users),
            attempts: Slab::default(),
            reaching: VecDeque::new(),
            returning: VecDeque::new(),
            ending: TimeQueue::default(),
            dues: TimeQueue::default(),
            timers: TimeQueue::default(),
            actions: Vec::new(),
            now: Timestamp::ZERO,
            wake: None,
            wakes: 0,
            scenario,
        })
    }

    /// Plays all that happens up to a moment, that moment included.
    pub(crate) fn play_until(&mut self, end: Timestamp) -> Result<(), RunError> {
        while let Some((at, step)) = self.next().filter(|(at, _)| *at <= end) {
            self.wakes = if step == Step::Wake && at <= self.now { self.wakes + 1 } else { 0 };
            if self.wakes > MAX_WAKES {
                return Err(RunError::Stuck(self.now));
            }
            self.now = self.now.max(at);
            self.step(self.now, step)?;
        }
        Ok(())
    }

    /// Whether nothing is left to happen.
    pub(crate) fn is_over(&self) -> bool {
        self.next().is_none()
    }

    fn next(&self) -> Option<(Timestamp, Step)> {
        let (mut first, mut what) = (Timestamp::MAX, Step::End);
        // Of what happens at one moment, the first of these goes first.
        let mut look = |at: Timestamp, step| {
            (first, what) = if at < first { (at, step) } else { (first, what) };
        };
        let never = Timestamp::MAX;
        look(self.ending.first(), Step::End);
        look(self.reaching.front().map_or(never, |first| first.0), Step::Reach);
        look(self.returning.front().map_or(never, |first| first.0), Step::Return);
        look(self.dues.first(), Step::Due);
        look(self.books.arrivals.get(self.next_arrival).map_or(never, |arrival| arrival.at), Step::Arrive);
        look(self.users.as_ref().and_then(ClosedLoop::peek).unwrap_or(never), Step::User);
        look(self.timers.first(), Step::Timer);
        look(self.wake.unwrap_or(never), Step::Wake);
        (first < Timestamp::MAX).then_some((first, what))
    }

    fn step(&mut self, now: Timestamp, step: Step) -> Result<(), RunError> {
        match step {
            Step::End => {
                if let Some((_, name)) = self.ending.pop() {
                    self.end(now, name);
                }
            }
            Step::Reach => {
                if let Some((_, name)) = self.reaching.pop_front() {
                    self.reach(now, name);
                }
            }
            Step::Return => {
                if let Some((_, name)) = self.returning.pop_front()
                    && let Some(flight) = self.remove(name)
                {
                    let seat = self.seat_of(flight.call);
                    self.tell(now, seat, |client, io| {
                        client.reply(now, flight.call, flight.attempt, &flight.reply, io);
                    });
                }
            }
            Step::Due => {
                if let Some((_, call)) = self.dues.pop() {
                    self.give_up(now, call);
                }
            }
            Step::Arrive => self.arrive(now)?,
            Step::User => {
                if let Some(arrival) = self.users.as_mut().and_then(|users| users.next(&self.scenario.workload)) {
                    self.books.add(arrival);
                    self.arrive(now)?;
                }
            }
            Step::Timer => {
                if let Some((_, (seat, token))) = self.timers.pop() {
                    self.tell(now, seat, |client, io| client.timer(now, token, io));
                }
            }
            Step::Wake => {
                for seat in 0..self.seats.len() {
                    if self.seats.get(seat).is_some_and(|seat| seat.wake.is_some_and(|at| at <= now)) {
                        self.tell(now, seat, |client, io| client.wake(now, io));
                    }
                }
            }
        }
        Ok(())
    }

    fn seat_of(&self, call: u32) -> usize {
        call as usize % self.seats.len().max(1)
    }

    fn arrive(&mut self, now: Timestamp) -> Result<(), RunError> {
        let Some(arrival) = self.books.arrivals.get(self.next_arrival).copied() else { return Ok(()) };
        let number = u32::try_from(self.next_arrival).ok().filter(|number| *number < u32::MAX);
        let number = number.ok_or(RunError::TooManyCalls)?;
        self.next_arrival += 1;
        let due = self.scenario.due(&arrival);
        self.books.open();
        // All lanes have the same cap in practice; a client knows one at most.
        let (tokens, _) = self.service.cost(LaneId(0), &arrival.load(), 0);
        let call = ClientCall {
            number,
            tenant: arrival.tenant,
            conversation: arrival.prefix.map(|prefix| prefix.conversation),
            cached_tokens: arrival.prefix.map_or(0, |prefix| prefix.tokens),
            max_tokens: arrival.max_tokens,
            tokens,
            deadline: Some(due),
        };
        let seat = self.seat_of(number);
        if self.seats.get(seat).is_some_and(|seat| seat.hangs_up) {
            self.dues.push(due, number);
        }
        self.tell(now, seat, |client, io| client.call(now, &call, io));
        Ok(())
    }

    /// Lets a client act, and does what it wants.
    #[inline]
    fn tell(&mut self, now: Timestamp, seat: usize, act: impl FnOnce(&mut dyn Client, &mut Io<'_>)) {
        if let Some(seat) = self.seats.get_mut(seat) {
            act(&mut *seat.client, &mut Io { actions: &mut self.actions, rng: &mut seat.dice });
            seat.wake = seat.client.next_wake();
            self.wake = self.seats.iter().filter_map(|seat| seat.wake).min();
        }
        if !self.actions.is_empty() {
            self.carry_out(now, seat);
        }
    }

    fn carry_out(&mut self, now: Timestamp, seat: usize) {
        let mut place = 0;
        while let Some(action) = self.actions.get(place).copied() {
            place += 1;
            match action {
                Action::Send { call, lane, attempt, max_tokens } => {
                    self.books.note(&[0, u64::from(call), attempt, lane as u64, now.as_micros()]);
                    self.send(now, call, lane, attempt, max_tokens);
                }
                Action::Abort { call, attempt } => {
                    self.books.note(&[2, u64::from(call), attempt, now.as_micros()]);
                    self.abort(now, call, attempt);
                }
                Action::Timer { at, token } => self.timers.push(at.max(now), (seat, token)),
                Action::End { call, end, retry_at } => {
                    self.books.note(&[1, u64::from(call), now.as_micros()]);
                    self.over(now, call, end, retry_at);
                }
            }
        }
        self.actions.clear();
    }

    /// Puts another policy in force at one client.
    pub(crate) fn reconfigure(&mut self, now: Timestamp, seat: usize, policy: &Policy) -> Result<(), GateError> {
        let scenario = self.scenario.clone();
        let mut done = Ok(());
        self.tell(now, seat, |client, io| done = client.reconfigure(now, policy, &scenario, io));
        done
    }

    fn send(&mut self, now: Timestamp, call: u32, lane: usize, attempt: u64, max_tokens: Option<u64>) {
        let Some(record) = self.books.record_mut(call) else { return };
        let sibling = record.out;
        let reply = ClientReply::Cut;
        let flight = Flight { call, attempt, lane, max_tokens, ticket: None, reply, sibling, stage: Stage::Reaching };
        let name = self.attempts.insert(flight);
        record.out = name;
        self.reaching.push_back((now.saturating_add(self.hop), name));
    }

    /// Takes an attempt out of the list of its call.
    fn remove(&mut self, name: u64) -> Option<Flight> {
        let flight = self.attempts.remove(name)?;
        let record = self.books.record_mut(flight.call)?;
        if record.out == name {
            record.out = flight.sibling;
            return Some(flight);
        }
        let mut before = record.out;
        while let Some(other) = self.attempts.get_mut(before) {
            if other.sibling == name {
                other.sibling = flight.sibling;
                break;
            }
            before = other.sibling;
        }
        Some(flight)
    }

    /// Tells the service, or stops on the way to it, that an attempt is no longer wanted.
    fn abort(&mut self, now: Timestamp, call: u32, attempt: u64) {
        let mut name = self.books.record_mut(call).map_or(NEVER, |record| record.out);
        while let Some(flight) = self.attempts.get_mut(name) {
            if flight.attempt != attempt {
                name = flight.sibling;
                continue;
            }
            if flight.stage != Stage::Returning {
                flight.stage = Stage::Returning;
                let settled = flight.ticket.take().and_then(|ticket| self.service.abandon(now, ticket));
                flight.reply = ClientReply::Aborted { settled: settled.unwrap_or(0) };
                self.returning.push_back((now.saturating_add(self.hop), name));
            }
            return;
        }
    }

    #[inline(never)]
    fn reach(&mut self, now: Timestamp, name: u64) {
        let Some(flight) = self.attempts.get_mut(name).filter(|flight| flight.stage == Stage::Reaching) else { return };
        let mut load = self.books.load(flight.call);
        load.max_tokens = flight.max_tokens.or(load.max_tokens);
        let reply = self.service.admit_on(now, LaneId(flight.lane), &load, None, &mut self.dice);
        self.books.reached(now, flight.call, &reply);
        let (reply, ticket, ends) = match reply {
            Reply::Accepted(accepted) => {
                let reply = planned(&accepted, self.scenario.streaming);
                let ends = accepted.stream_error.map_or(accepted.finish_at, |error| error.at);
                (reply, Some(accepted.ticket), Some(ends))
            }
            Reply::Refused(Refusal { error, retry_after }) => {
                (ClientReply::Error { error, retry_after, delivered: false, charged: false }, None, None)
            }
            Reply::Reset => (ClientReply::Cut, None, None),
        };
        (flight.reply, flight.ticket) = (reply, ticket);
        flight.stage = if ends.is_some() { Stage::Working } else { Stage::Returning };
        match ends {
            Some(at) => self.ending.push(at, name),
            None => self.returning.push_back((now.saturating_add(self.hop), name)),
        }
    }

    #[inline(never)]
    fn end(&mut self, now: Timestamp, name: u64) {
        let Some(flight) = self.attempts.get_mut(name).filter(|flight| flight.stage == Stage::Working) else { return };
        flight.stage = Stage::Returning;
        let used = flight.ticket.take().and_then(|ticket| self.service.finish(now, ticket));
        if let ClientReply::Answer { settled, .. } = &mut flight.reply {
            *settled = used.unwrap_or(0);
        }
        let answered = matches!(flight.reply, ClientReply::Answer { .. });
        self.books.finished(now, flight.call, answered);
        self.returning.push_back((now.saturating_add(self.hop), name));
    }

    fn give_up(&mut self, now: Timestamp, call: u32) {
        if self.books.record_mut(call).is_none_or(|record| record.ended) {
            return;
        }
        let mut name = self.books.record_mut(call).map_or(NEVER, |record| core::mem::replace(&mut record.out, NEVER));
        while let Some(flight) = self.attempts.remove(name) {
            if let Some(ticket) = flight.ticket {
                self.service.abandon(now, ticket);
            }
            name = flight.sibling;
        }
        self.over(now, call, End::GaveUp, None);
        let seat = self.seat_of(call);
        self.tell(now, seat, |client, io| client.gave_up(now, call, io));
    }

    fn over(&mut self, now: Timestamp, call: u32, end: End, retry_at: Option<Timestamp>) {
        let measured = self.books.arrivals.get(call as usize).is_some_and(|arrival| self.scenario.measures(arrival));
        if self.books.ended(now, call, end, retry_at, measured)
            && let Some(users) = &mut self.users
        {
            users.think(&self.scenario.workload, now);
        }
    }
}

/// What comes back from an admitted attempt, but for what it settles at.
const fn planned(accepted: &Accepted, streaming: bool) -> ClientReply {
    match accepted.stream_error {
        Some(broken) => ClientReply::Error {
            error: broken.error,
            retry_after: None,
            delivered: streaming && broken.after_output_tokens > 0,
            charged: true,
        },
        None => ClientReply::Answer { settled: 0, output_tokens: accepted.output_tokens },
    }
}

/// Whether an error means that the caller sends too much: what a user sees as throttling.
pub(crate) const fn is_throttling(error: ErrorKind) -> bool {
    matches!(
        error,
        ErrorKind::RequestsPerMinute
            | ErrorKind::RequestRate
            | ErrorKind::TokensPerMinute
            | ErrorKind::TokensPerDay
            | ErrorKind::ModelOverloaded
    )
}
