//! The breaker as the engine uses it: four attempts at once, each of which may end well, badly or without a word.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use sluicegate::random::Draws;
use sluicegate::{Breaker, BreakerConfig, BreakerState, BreakerVerdict, BreakerWindow, Timestamp};
use stateright::{Model, Property};

const ATTEMPTS: usize = 4;
const PROBES: usize = 2;
/// More than any of its states is away from the start.
const STEPS: usize = 200;
const SECOND: u64 = 1_000_000;
const CONFIG: BreakerConfig = BreakerConfig {
    minimum_attempts: 3,
    window: BreakerWindow::Attempts(5),
    open_for: Duration::from_secs(1),
    open_at_most: Duration::from_secs(4),
    open_jitter_permille: 0,
    probes: PROBES as u32,
    ..BreakerConfig::DEFAULT
};

#[derive(Clone, Debug)]
struct State {
    breaker: Breaker,
    now: u64,
    /// The attempts that are out, and whether each is a probe.
    out: Vec<bool>,
    /// Probes of this half-open time: those that ended well and badly.
    good: usize,
    bad: usize,
    /// Until when it must be shut, and how long it was the last time.
    shut_until: u64,
    shut_for: u64,
    has_closed_again: bool,
    fault: Option<&'static str>,
}

impl State {
    /// The time counts as far as anything depends on it.
    fn canonical(&self) -> String {
        let mut saved = self.breaker.save(Timestamp::from_micros(self.now));
        // Beyond, it is open for as long as it ever is.
        saved.openings = saved.openings.min(3);
        let left = self.shut_until.saturating_sub(self.now);
        let verdict = match self.breaker.check(Timestamp::from_micros(self.now)) {
            BreakerVerdict::OpenUntil(_) => None,
            other => Some(other),
        };
        let Self { out, good, bad, shut_for, has_closed_again, fault, .. } = self;
        format!("{saved:?} {verdict:?} {left} {out:?} {good} {bad} {shut_for} {has_closed_again} {fault:?}")
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical().hash(state);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Acquire,
    End { attempt: usize, failed: bool },
    Release(usize),
    HalfASecond,
}

struct Breakers;

impl Model for Breakers {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let breaker = Breaker::new(CONFIG);
        let (out, fault) = (Vec::new(), None);
        vec![State {
            breaker,
            now: 0,
            out,
            good: 0,
            bad: 0,
            shut_until: 0,
            shut_for: 0,
            has_closed_again: false,
            fault,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.push(Action::HalfASecond);
        if state.out.len() < ATTEMPTS {
            actions.push(Action::Acquire);
        }
        for attempt in 0..state.out.len() {
            actions.extend([false, true].map(|failed| Action::End { attempt, failed }));
            actions.push(Action::Release(attempt));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        step(&mut state, action);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "half-open herd: no more probes than configured before one has ended",
                |_, state: &State| {
                    let out = state.out.iter().filter(|probe| **probe).count();
                    out <= PROBES && out + state.good + state.bad <= PROBES
                },
            ),
            Property::always("a rule of the transitions holds", |_, state: &State| state.fault.is_none()),
            Property::always("it can always close again", |_, state: &State| can_close(state.clone())),
            Property::sometimes("it opens", |_, state: &State| state.breaker.state() == BreakerState::Open),
            Property::sometimes("it opens for longer", |_, state: &State| state.shut_for > SECOND),
            Property::sometimes("it closes again", |_, state: &State| state.has_closed_again),
        ]
    }
}

fn step(state: &mut State, action: Action) {
    let now = Timestamp::from_micros(state.now);
    let before = state.breaker.state();
    match action {
        Action::HalfASecond => state.now += SECOND / 2,
        Action::Acquire => {
            let verdict = state.breaker.acquire(now);
            match verdict {
                BreakerVerdict::Pass | BreakerVerdict::Probe => {
                    if state.now < state.shut_until {
                        state.fault = Some("something passes while it is open");
                    }
                    if before == BreakerState::Open {
                        (state.good, state.bad) = (0, 0);
                    }
                    state.out.push(verdict == BreakerVerdict::Probe);
                }
                BreakerVerdict::OpenUntil(until) if until.as_micros() != state.shut_until => {
                    state.fault = Some("it is shut for another time than its openings say");
                }
                BreakerVerdict::OpenUntil(_) | BreakerVerdict::ProbesOut => {}
            }
        }
        Action::End { attempt, failed } => {
            let probe = state.out.remove(attempt);
            // As in the engine: what was sent before it opened is no evidence of its recovery.
            if before != BreakerState::HalfOpen || probe {
                let mut no_jitter = Draws::new(&[]);
                state.breaker.record(now, failed, Duration::from_millis(1), &mut no_jitter);
            }
            if before == BreakerState::HalfOpen && probe {
                state.good += usize::from(!failed);
                state.bad += usize::from(failed);
            }
        }
        Action::Release(attempt) => {
            let probe = state.out.remove(attempt);
            if before != BreakerState::HalfOpen || probe {
                state.breaker.release();
            }
        }
    }
    match (before, state.breaker.state()) {
        (BreakerState::Open, BreakerState::Closed) => state.fault = Some("it closes without a probe"),
        (BreakerState::HalfOpen, BreakerState::Closed) => {
            if state.good < PROBES || state.bad > 0 {
                state.fault = Some("something other than successful probes closes it");
            }
            (state.good, state.bad, state.shut_until, state.shut_for) = (0, 0, 0, 0);
            state.has_closed_again = true;
        }
        (BreakerState::Closed | BreakerState::HalfOpen, BreakerState::Open) => {
            let longest = 4 * SECOND;
            state.shut_for = if before == BreakerState::Closed { SECOND } else { (2 * state.shut_for).min(longest) };
            state.shut_until = state.now + state.shut_for;
            (state.good, state.bad) = (0, 0);
        }
        _ => {}
    }
}

/// All that is out ends without a word; then every probe that passes is good. A bad one before may open it once more.
fn can_close(mut state: State) -> bool {
    while !state.out.is_empty() {
        step(&mut state, Action::Release(0));
    }
    for _ in 0..2 * (8 + PROBES) {
        if state.breaker.state() == BreakerState::Closed {
            return true;
        }
        step(&mut state, Action::Acquire);
        let then = if state.out.is_empty() { Action::HalfASecond } else { Action::End { attempt: 0, failed: false } };
        step(&mut state, then);
    }
    false
}

#[test]
fn a_breaker_keeps_its_rules_in_every_order_of_events() {
    super::explore("breaker", Breakers, STEPS);
}
