//! Sluicegate's engine as a simulated client.

use sluicegate::{
    AttemptId, BreakerState, Call, CallId, Decision, EndReason, Engine, Event, Input, ModelId, Outcome, OutcomeClass,
    Policy, Refusal, Spent, TenantId, Timestamp,
};
use sluicegate_bedrock::{Failure, FailureKind, classify};

use crate::client::{Client, ClientCall, ClientReply, End, Io};
use crate::error::ErrorKind;
use crate::scenario::Scenario;
use crate::workload::TenantShare;

/// The engine between the calls of one model and the lanes of a service.
#[derive(Debug)]
pub(crate) struct Gate {
    engine: Engine,
    names: Names,
    /// By endpoint, as the events tell.
    breakers: Vec<BreakerState>,
    /// The report on each kind of error, since classifying reads its text.
    errors: Vec<Outcome>,
    cut: Outcome,
}

/// What the engine's numbers mean under a policy.
#[derive(Debug)]
struct Names {
    model: ModelId,
    /// By endpoint.
    lanes: Vec<usize>,
    /// By tenant of the workload.
    tenants: Vec<TenantId>,
}

/// Why a policy does not fit a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GateError {
    /// The policy has no models.
    NoModel,
    /// An endpoint of the policy leads to no lane of the service.
    UnknownEndpoint {
        /// Its name.
        endpoint: String,
    },
    /// The policy has no such tenant.
    UnknownTenant {
        /// Its name in the workload.
        tenant: String,
    },
}

impl core::fmt::Display for GateError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoModel => write!(f, "the policy has no endpoint that calls could be sent to"),
            Self::UnknownEndpoint { endpoint } => {
                write!(f, "the service has no lane of the region and target of endpoint `{endpoint}`")
            }
            Self::UnknownTenant { tenant } => {
                write!(f, "the policy does not name tenant `{tenant}`, and its tenants are to have weights")
            }
        }
    }
}

impl core::error::Error for GateError {}

impl Names {
    /// The calls ask for the policy's first model. Tenants of the workload are looked up by name; a policy that names none
    /// takes them by number.
    fn new(policy: &Policy, scenario: &Scenario) -> Result<Self, GateError> {
        let lane = |endpoint: &sluicegate::Endpoint| {
            let serves = |lane: &crate::config::LaneConfig| {
                lane.region == endpoint.region && lane.ids().any(|id| id == endpoint.target)
            };
            let lane = scenario.service.lanes.iter().position(serves);
            lane.ok_or_else(|| GateError::UnknownEndpoint { endpoint: endpoint.name.clone() })
        };
        let lanes = policy.endpoints().iter().map(lane).collect::<Result<_, _>>()?;
        let model = policy.endpoints().first().map(|endpoint| endpoint.model).ok_or(GateError::NoModel)?;
        let tenant = |(number, share): (u32, &TenantShare)| match policy.tenant(&share.name) {
            Some(tenant) => Ok(tenant),
            None if policy.tenants().is_empty() => Ok(TenantId(number)),
            None => Err(GateError::UnknownTenant { tenant: share.name.clone() }),
        };
        let tenants = (0..).zip(&scenario.workload.tenants).map(tenant).collect::<Result<_, _>>()?;
        Ok(Self { model, lanes, tenants })
    }
}

impl Gate {
    /// An engine for the calls of the policy's first model.
    pub(crate) fn new(policy: Policy, scenario: &Scenario) -> Result<Self, GateError> {
        let names = Names::new(&policy, scenario)?;
        let breakers = vec![BreakerState::Closed; policy.endpoints().len()];
        let errors = ErrorKind::ALL.iter().map(|error| outcome(*error)).collect();
        let cut = classify(&Failure { kind: FailureKind::Io, ..Failure::default() }).outcome(None);
        Ok(Self { engine: Engine::new(policy, Timestamp::ZERO), names, breakers, errors, cut })
    }

    /// Hands one input to the engine. What it takes for misuse would be a mistake here; it then changes nothing.
    fn handle(&mut self, now: Timestamp, input: Input, io: &mut Io<'_>) {
        if self.engine.handle(now, input, io.rng).is_err() {
            return;
        }
        while let Some(decision) = self.engine.poll_decision() {
            match decision {
                Decision::Send { call, attempt, endpoint, max_tokens }
                | Decision::Hedge { call, attempt, endpoint, max_tokens } => {
                    let lane = self.names.lanes.get(usize::from(endpoint.0)).copied().unwrap_or(usize::MAX);
                    io.send_capped(number(call), lane, attempt.0, max_tokens.map(u64::from));
                }
                Decision::Abort { call, attempt } => io.abort(number(call), attempt.0),
                Decision::End { call, reason } => end(number(call), reason, io),
            }
        }
        while let Some(event) = self.engine.poll_event() {
            if let Event::BreakerChanged { endpoint, state } = event
                && let Some(breaker) = self.breakers.get_mut(usize::from(endpoint.0))
            {
                *breaker = state;
            }
        }
    }
}

fn number(call: CallId) -> u32 {
    u32::try_from(call.0).unwrap_or(u32::MAX)
}

fn end(call: u32, reason: EndReason, io: &mut Io<'_>) {
    match reason {
        EndReason::Answered => io.end(call, End::Answered),
        EndReason::Refused { why, retry_at } => io.refuse(call, refusal(why), retry_at),
        EndReason::Expired => io.refuse(call, "expired", None),
        EndReason::Cancelled => io.end(call, End::GaveUp),
        EndReason::Failed { class: OutcomeClass::Throttled(_) } => io.end(call, End::Throttled),
        EndReason::Failed { class } => io.end(call, End::Failed(failure(class))),
    }
}

const fn refusal(why: Refusal) -> &'static str {
    match why {
        Refusal::Deadline => "deadline",
        Refusal::TooLarge { .. } => "too large",
        Refusal::QueueFull => "queue full",
        Refusal::TargetWait => "target wait",
        Refusal::NoEndpoint => "no endpoint",
    }
}

const fn failure(class: OutcomeClass) -> &'static str {
    match class {
        OutcomeClass::Overloaded => "overloaded",
        OutcomeClass::Unavailable => "unavailable",
        OutcomeClass::NotReady => "not ready",
        OutcomeClass::TimedOut => "timed out",
        OutcomeClass::ModelError => "model error",
        OutcomeClass::StreamBroken | OutcomeClass::StreamBrokenDelivered => "stream broken",
        OutcomeClass::Refused => "refused by the service",
        OutcomeClass::Unusable => "endpoint unusable",
        OutcomeClass::Success | OutcomeClass::Throttled(_) | OutcomeClass::Cancelled => "other",
    }
}

/// The report on an error, by the same classifier that a real client uses.
fn outcome(error: ErrorKind) -> Outcome {
    let message = error.message("the model");
    classify(&Failure::response(Some(error.exception()), Some(error.status()), Some(&message))).outcome(None)
}

impl Client for Gate {
    fn call(&mut self, now: Timestamp, call: &ClientCall, io: &mut Io<'_>) {
        let id = CallId(u64::from(call.number));
        let tenant = usize::try_from(call.tenant).ok().and_then(|tenant| self.names.tenants.get(tenant)).copied();
        let most = |tokens| u32::try_from(tokens).unwrap_or(u32::MAX);
        let submit = Call {
            deadline: call.deadline,
            tenant: tenant.unwrap_or_default(),
            affinity: call.conversation,
            cached_tokens: most(call.cached_tokens),
            max_tokens: call.max_tokens.map(most),
            ..Call::new(id, self.names.model, call.tokens)
        };
        self.handle(now, Input::Submit(submit), io);
    }

    fn reply(&mut self, now: Timestamp, _: u32, attempt: u64, reply: &ClientReply, io: &mut Io<'_>) {
        let outcome = match *reply {
            ClientReply::Answer { settled, output_tokens } => {
                Outcome::success(settled).output_tokens(u32::try_from(output_tokens).unwrap_or(u32::MAX))
            }
            ClientReply::Aborted { settled } => {
                Outcome { spent: Spent::Tokens(settled), ..Outcome::of(OutcomeClass::Cancelled) }
            }
            ClientReply::Error { error, retry_after, delivered, charged } => {
                let known = ErrorKind::ALL.iter().position(|kind| *kind == error);
                let mut outcome =
                    known.and_then(|place| self.errors.get(place)).copied().unwrap_or_else(|| outcome(error));
                outcome.spent = if charged { Spent::Unknown } else { Spent::Nothing };
                if delivered {
                    outcome.class = OutcomeClass::StreamBrokenDelivered;
                }
                Outcome { retry_after, ..outcome }
            }
            ClientReply::Cut => self.cut,
        };
        self.handle(now, Input::Report { attempt: AttemptId(attempt), outcome }, io);
    }

    fn gave_up(&mut self, now: Timestamp, call: u32, io: &mut Io<'_>) {
        self.handle(now, Input::Cancel(CallId(u64::from(call))), io);
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.engine.next_wakeup().map(|wakeup| wakeup.at)
    }

    fn wake(&mut self, now: Timestamp, io: &mut Io<'_>) {
        self.handle(now, Input::Wake, io);
    }

    fn engine(&self) -> Option<&Engine> {
        Some(&self.engine)
    }

    fn breaker(&self, lane: usize) -> Option<BreakerState> {
        let endpoint = self.names.lanes.iter().position(|own| *own == lane)?;
        self.breakers.get(endpoint).copied()
    }

    fn reconfigure(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        scenario: &Scenario,
        io: &mut Io<'_>,
    ) -> Result<(), GateError> {
        let names = Names::new(policy, scenario)?;
        let old = self.engine.policy().endpoints();
        let state = |endpoint: &sluicegate::Endpoint| {
            let before = old.iter().position(|old| old.name == endpoint.name);
            before.and_then(|before| self.breakers.get(before)).copied().unwrap_or(BreakerState::Closed)
        };
        self.breakers = policy.endpoints().iter().map(state).collect();
        self.names = names;
        self.engine.reconfigure(now, policy.clone());
        self.handle(now, Input::Wake, io);
        Ok(())
    }

    fn is_left_at_the_deadline(&self) -> bool {
        false
    }
}
