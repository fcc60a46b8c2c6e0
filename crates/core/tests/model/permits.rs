//! The life of a permit in the whole engine: two calls, two endpoints on one pool that carries one attempt at a time.

use std::hash::{Hash, Hasher};

use serde_json::json;
use sluicegate::random::Draws;
use sluicegate::{
    AttemptId, Call, CallId, Decision, Engine, Input, ModelId, Outcome, OutcomeClass, Policy, PoolId, Quota, Timestamp,
};
use stateright::{Model, Property};

const CALLS: usize = 2;
const STEPS: usize = 12;

#[derive(Clone, Debug)]
struct State {
    engine: Engine,
    now: Timestamp,
    submitted: [bool; CALLS],
    ended: [u8; CALLS],
    /// The attempts that went out and were neither reported nor lost with their lease.
    out: Vec<AttemptId>,
    expired: bool,
    fault: Option<&'static str>,
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        format!("{self:?}").hash(state);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Submit(usize),
    Report(AttemptId, Outcome),
    ReportUnknown,
    Cancel(usize),
    /// Goes to the next wake-up.
    Wake,
}

struct Permits;

impl State {
    fn handle(&mut self, input: Input) {
        if self.engine.handle(self.now, input, &mut Draws::new(&[])).is_err() {
            self.fault = Some("a right input is refused");
        }
        while let Some(decision) = self.engine.poll_decision() {
            match decision {
                Decision::Send { attempt, .. } | Decision::Hedge { attempt, .. } => self.out.push(attempt),
                Decision::Abort { .. } => {}
                Decision::End { call, .. } => self.ended[call.0 as usize] += 1,
            }
        }
        while let Some(event) = self.engine.poll_event() {
            if let sluicegate::Event::LeaseExpired { attempt, .. } = event {
                self.out.retain(|out| *out != attempt);
                self.expired = true;
            }
        }
    }

    fn unknown_report_changes_nothing(&self) -> bool {
        let mut engine = self.engine.clone();
        let before = format!("{engine:?}");
        let report = Input::Report { attempt: AttemptId(1_000), outcome: Outcome::success(1) };
        engine.handle(self.now, report, &mut Draws::new(&[])).is_err() && format!("{engine:?}") == before
    }

    /// Every attempt is answered, and the wake-ups are followed: then all that was submitted has ended.
    fn comes_to_rest(mut self) -> bool {
        for _ in 0..200 {
            if let Some(attempt) = self.out.pop() {
                self.handle(Input::Report { attempt, outcome: Outcome::success(10) });
            } else if let Some(wakeup) = self.engine.next_wakeup() {
                self.now = self.now.max(wakeup.at);
                self.handle(Input::Wake);
            } else {
                let ended = self.submitted.iter().zip(self.ended).all(|(submitted, ends)| u8::from(*submitted) == ends);
                return ended && self.fault.is_none() && self.engine.pool_in_flight(PoolId(0)) == Some(0);
            }
        }
        false
    }
}

impl Model for Permits {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let policy = json!({
            "pools": {"p": {"requests_per_minute": 600, "tokens_per_minute": 60_000, "concurrency": 1}},
            "endpoints": {
                "east": {"model": "m", "pools": ["p"]},
                "west": {"model": "m", "pools": ["p"]},
            },
            "queue": {"lease_ms": 5_000},
            "retry": {"max_attempts": 2, "overloaded": {"curve": "constant", "base_ms": 1_000}},
        });
        let policy = Policy::parse(&policy).unwrap_or_else(|error| panic!("{error}"));
        let now = Timestamp::ZERO;
        let engine = Engine::new(policy, now);
        let (submitted, ended) = ([false; CALLS], [0; CALLS]);
        vec![State { engine, now, submitted, ended, out: Vec::new(), expired: false, fault: None }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for call in 0..CALLS {
            if !state.submitted[call] {
                actions.push(Action::Submit(call));
            } else if state.ended[call] == 0 {
                actions.push(Action::Cancel(call));
            }
        }
        let refused = Outcome::of(OutcomeClass::Throttled(Quota::Requests));
        for attempt in &state.out {
            for outcome in [Outcome::success(10), Outcome::of(OutcomeClass::Unavailable), refused] {
                actions.push(Action::Report(*attempt, outcome));
            }
        }
        actions.push(Action::ReportUnknown);
        if state.engine.next_wakeup().is_some() {
            actions.push(Action::Wake);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Submit(call) => {
                state.submitted[call] = true;
                state.handle(Input::Submit(Call::new(CallId(call as u64), ModelId(0), 100)));
            }
            Action::Report(attempt, outcome) => {
                state.out.retain(|out| *out != attempt);
                state.handle(Input::Report { attempt, outcome });
                let again = Input::Report { attempt, outcome };
                if state.engine.handle(state.now, again, &mut Draws::new(&[])).is_ok() {
                    state.fault = Some("an attempt is reported twice");
                }
            }
            Action::ReportUnknown => {
                if !state.unknown_report_changes_nothing() {
                    state.fault = Some("a report of an unknown attempt changes something");
                }
            }
            Action::Cancel(call) => state.handle(Input::Cancel(CallId(call as u64))),
            Action::Wake => {
                state.now = state.now.max(state.engine.next_wakeup().expect("looked at before").at);
                state.handle(Input::Wake);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no call ends twice, or unsubmitted", |_, state: &State| {
                state.submitted.iter().zip(state.ended).all(|(submitted, ends)| ends <= u8::from(*submitted))
            }),
            Property::always("no permit is settled twice or lost", |_, state: &State| {
                let out = state.out.len();
                state.engine.in_flight() == out && state.engine.pool_in_flight(PoolId(0)) == Some(out as u64)
            }),
            Property::always("no more are out than the pool carries", |_, state: &State| state.out.len() <= 1),
            Property::always("misuse is an error and changes nothing", |_, state: &State| state.fault.is_none()),
            Property::always("every call ends once", |_, state: &State| state.clone().comes_to_rest()),
            Property::sometimes("a lease expires", |_, state: &State| state.expired),
            Property::sometimes("all calls end", |_, state: &State| state.ended.iter().all(|ends| *ends == 1)),
        ]
    }
}

#[test]
fn a_permit_is_settled_once_in_every_order_of_events() {
    super::explore("permits", Permits, STEPS);
}
