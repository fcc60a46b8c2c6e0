//! The engine against the service, in virtual time.

use core::time::Duration;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use sluicegate::{
    AttemptId, Call, CallId, Decision, EndReason, EndpointId, Engine, Event, Input, InputError, ModelId, Outcome,
    OutcomeClass, Rng, Spent, Timestamp,
};
use sluicegate_bedrock::{Failure, FailureKind, classify};

use crate::attempt::{LaneId, Load, Refusal, Reply, Ticket};
use crate::error::ErrorKind;
use crate::service::Service;
use crate::workload::Arrival;

/// What a run is made of, besides the engine and the service.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The calls, in the order of their times.
    pub arrivals: &'a [Arrival],
    /// How long after its arrival each call must have been answered.
    pub deadline: Duration,
    /// How long a message takes from the client to the service, and back.
    pub hop: Duration,
    /// The model that the calls ask for.
    pub model: ModelId,
    /// Only calls that arrive from the first to before the second time are entered in the ledger. The others load the
    /// service before and after, so that neither an empty nor a draining one is measured.
    pub measured: (Timestamp, Timestamp),
}

impl Run<'_> {
    /// Whether a call is entered in the ledger.
    #[must_use]
    pub fn measures(&self, arrival: &Arrival) -> bool {
        (self.measured.0..self.measured.1).contains(&arrival.at)
    }
}

/// What a run showed at the client's side. The service's side is in its ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    /// Calls by the way they ended, as the engine's text for it.
    pub ends: BTreeMap<String, u64>,
    /// Decisions, hashed in their order: two runs that decide alike agree in it.
    pub digest: u64,
    /// Events of the engine.
    pub events: u64,
}

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Arrive(usize),
    Reach(AttemptId),
    Finish(AttemptId),
    Return(AttemptId),
}

/// An attempt under way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    call: usize,
    lane: Option<LaneId>,
    ticket: Option<Ticket>,
    outcome: Outcome,
}

/// Plays a run to its end: until every call has ended and the engine sleeps for good.
///
/// Measured calls are tagged with their place in `arrivals`.
///
/// # Errors
/// The engine refused an input: a mistake in this runner or in the engine.
pub fn run(
    engine: &mut Engine,
    service: &mut Service,
    plan: &Run<'_>,
    rng: &mut dyn Rng,
) -> Result<RunReport, InputError> {
    let lanes = engine
        .policy()
        .endpoints()
        .iter()
        .map(|endpoint| service.lane(&endpoint.region, &endpoint.target))
        .collect::<Vec<_>>();
    let mut player = Player {
        plan,
        lanes,
        steps: BinaryHeap::new(),
        flights: BTreeMap::new(),
        report: RunReport { digest: 0xcbf2_9ce4_8422_2325, ..RunReport::default() },
    };
    for (index, arrival) in plan.arrivals.iter().enumerate() {
        if plan.measures(arrival) {
            service.ledger_mut().expect(index.to_string(), arrival.at, arrival.at.saturating_add(plan.deadline));
        }
        player.steps.push(Reverse((arrival.at, Step::Arrive(index))));
    }
    loop {
        let step = player.steps.peek().map(|Reverse((at, _))| *at);
        let wake = engine.next_wakeup().map(|wakeup| wakeup.at);
        let now = match (step, wake) {
            (None, None) => break,
            (Some(step), Some(wake)) if wake < step => wake,
            (Some(step), _) => step,
            (None, Some(wake)) => wake,
        };
        match step.filter(|at| *at <= now).and_then(|_| player.steps.pop()) {
            Some(Reverse((at, step))) => player.play(engine, service, at, step, rng)?,
            None => engine.handle(now, Input::Wake, rng)?,
        }
        player.drain(engine, now);
    }
    Ok(player.report)
}

struct Player<'a> {
    plan: &'a Run<'a>,
    /// By endpoint.
    lanes: Vec<Option<LaneId>>,
    steps: BinaryHeap<Reverse<(Timestamp, Step)>>,
    flights: BTreeMap<AttemptId, Flight>,
    report: RunReport,
}

impl Player<'_> {
    fn load(&self, call: usize) -> Load {
        self.plan.arrivals.get(call).map_or_else(Load::default, |arrival| Load {
            input_tokens: arrival.input_tokens,
            max_tokens: arrival.max_tokens,
            output_tokens: Some(arrival.output_tokens),
            ..Load::default()
        })
    }

    fn play(
        &mut self,
        engine: &mut Engine,
        service: &mut Service,
        now: Timestamp,
        step: Step,
        rng: &mut dyn Rng,
    ) -> Result<(), InputError> {
        match step {
            Step::Arrive(index) => {
                let load = self.load(index);
                let lane = self.lanes.iter().flatten().next().copied();
                let tokens = lane.map_or(0, |lane| service.cost(lane, &load, 0).0);
                let call = Call::new(CallId(index as u64), self.plan.model, tokens)
                    .deadline(now.saturating_add(self.plan.deadline));
                engine.handle(now, Input::Submit(call), rng)
            }
            Step::Reach(attempt) => {
                self.reach(service, now, attempt, rng);
                Ok(())
            }
            Step::Finish(attempt) => {
                if let Some(ticket) = self.flights.get_mut(&attempt).and_then(|flight| flight.ticket.take()) {
                    service.finish(now, ticket);
                }
                self.steps.push(Reverse((now.saturating_add(self.plan.hop), Step::Return(attempt))));
                Ok(())
            }
            Step::Return(attempt) => match self.flights.remove(&attempt) {
                Some(flight) => engine.handle(now, Input::Report { attempt, outcome: flight.outcome }, rng),
                None => Ok(()),
            },
        }
    }

    fn reach(&mut self, service: &mut Service, now: Timestamp, attempt: AttemptId, rng: &mut dyn Rng) {
        let Some(flight) = self.flights.get(&attempt).copied() else { return };
        let load = self.load(flight.call);
        let measured = self.plan.arrivals.get(flight.call).is_some_and(|arrival| self.plan.measures(arrival));
        let tag = measured.then(|| flight.call.to_string());
        let back = now.saturating_add(self.plan.hop);
        let mut set = |outcome, ticket| {
            if let Some(flight) = self.flights.get_mut(&attempt) {
                flight.outcome = outcome;
                flight.ticket = ticket;
            }
        };
        let Some(lane) = flight.lane else {
            set(Outcome::of(OutcomeClass::Unusable), None);
            return self.steps.push(Reverse((back, Step::Return(attempt))));
        };
        match service.admit_on(now, lane, &load, tag.as_deref(), rng) {
            Reply::Accepted(accepted) => {
                let (ends, outcome) = match accepted.stream_error {
                    Some(error) => (error.at, failed(error.error, None, Spent::Unknown)),
                    None => {
                        let (_, settled) = service.cost(lane, &load, accepted.output_tokens);
                        let output = u32::try_from(accepted.output_tokens).unwrap_or(u32::MAX);
                        (accepted.finish_at, Outcome::success(settled).output_tokens(output))
                    }
                };
                set(outcome, Some(accepted.ticket));
                self.steps.push(Reverse((ends, Step::Finish(attempt))));
            }
            Reply::Refused(Refusal { error, retry_after }) => {
                set(failed(error, retry_after, Spent::Nothing), None);
                self.steps.push(Reverse((back, Step::Return(attempt))));
            }
            Reply::Reset => {
                let failure = Failure { kind: FailureKind::Io, ..Failure::default() };
                set(classify(&failure).outcome(None), None);
                self.steps.push(Reverse((back, Step::Return(attempt))));
            }
        }
    }

    fn drain(&mut self, engine: &mut Engine, now: Timestamp) {
        while let Some(decision) = engine.poll_decision() {
            match decision {
                Decision::Send { call, attempt, endpoint, .. } | Decision::Hedge { call, attempt, endpoint, .. } => {
                    self.note(&[0, call.0, attempt.0, u64::from(endpoint.0), now.as_micros()]);
                    self.send(now, call, attempt, endpoint);
                }
                // The loser of a hedge runs to its end here, as it does at a service that does not notice.
                Decision::Abort { .. } => {}
                Decision::End { call, reason } => {
                    self.note(&[1, call.0, now.as_micros()]);
                    let key = match reason {
                        EndReason::Failed { class } => format!("failed: {class}"),
                        other => other.to_string(),
                    };
                    *self.report.ends.entry(key).or_default() += 1;
                }
            }
        }
        while let Some(event) = engine.poll_event() {
            self.report.events += match event {
                Event::EventsDropped { count } => count,
                _ => 1,
            };
        }
    }

    fn send(&mut self, now: Timestamp, call: CallId, attempt: AttemptId, endpoint: EndpointId) {
        let lane = self.lanes.get(usize::from(endpoint.0)).copied().flatten();
        let call = usize::try_from(call.0).unwrap_or(usize::MAX);
        let outcome = Outcome::of(OutcomeClass::Unavailable);
        self.flights.insert(attempt, Flight { call, lane, ticket: None, outcome });
        self.steps.push(Reverse((now.saturating_add(self.plan.hop), Step::Reach(attempt))));
    }

    /// FNV-1a over whole words.
    fn note(&mut self, words: &[u64]) {
        for word in words {
            self.report.digest = (self.report.digest ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The report on an error, by the same classifier that a real client uses.
fn failed(error: ErrorKind, retry_after: Option<Duration>, spent: Spent) -> Outcome {
    let message = error.message("the model");
    let failure = Failure::response(Some(error.exception()), Some(error.status()), Some(&message));
    Outcome { spent, ..classify(&failure).outcome(retry_after) }
}
