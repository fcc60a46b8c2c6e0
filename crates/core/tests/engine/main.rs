//! Scenarios of the engine. None sleeps: each sets the time to the next wake-up and goes on.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests may end the test")]

mod budget;
mod deadlines;
mod explain;
mod failures;
mod fairness;
mod hedging;
mod learning;
mod life;
mod misuse;
mod output;
mod overload;
mod pools;
mod reconfigure;
mod refusals;
mod routing;
mod snapshot;
mod stacked;
mod waiting;

use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use sluicegate::{
    AttemptId, Call, CallId, Decision, EndReason, EndpointId, Engine, Event, Input, InputError, ModelId, Outcome,
    OutcomeClass, Policy, Timestamp, WakeReason, Wakeup,
};

/// An attempt that went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    at: Timestamp,
    call: u64,
    attempt: AttemptId,
    endpoint: EndpointId,
    max_tokens: Option<u32>,
}

/// An engine, the present, and all that the engine has decided so far.
struct Desk {
    engine: Engine,
    now: Timestamp,
    rng: StdRng,
    sent: Vec<Sent>,
    aborted: Vec<AttemptId>,
    ended: Vec<(u64, EndReason)>,
    events: Vec<Event>,
}

impl Desk {
    fn new(policy: &Value) -> Self {
        let policy = Policy::parse(policy).unwrap_or_else(|error| panic!("{error}"));
        let now = Timestamp::ZERO;
        Self {
            engine: Engine::new(policy, now),
            now,
            rng: StdRng::seed_from_u64(1),
            sent: Vec::new(),
            aborted: Vec::new(),
            ended: Vec::new(),
            events: Vec::new(),
        }
    }

    fn input(&mut self, input: Input) -> Result<(), InputError> {
        let result = self.engine.handle(self.now, input, &mut self.rng);
        while let Some(decision) = self.engine.poll_decision() {
            match decision {
                Decision::Send { call, attempt, endpoint, max_tokens }
                | Decision::Hedge { call, attempt, endpoint, max_tokens } => {
                    self.sent.push(Sent { at: self.now, call: call.0, attempt, endpoint, max_tokens });
                }
                Decision::Abort { attempt, .. } => self.aborted.push(attempt),
                Decision::End { call, reason } => self.ended.push((call.0, reason)),
            }
        }
        while let Some(event) = self.engine.poll_event() {
            self.events.push(event);
        }
        result
    }

    /// Hands in an input that is right.
    fn does(&mut self, input: Input) {
        self.input(input).unwrap_or_else(|error| panic!("{error}"));
    }

    fn submit(&mut self, id: u64, tokens: u64) {
        self.does(Input::Submit(call(id, tokens)));
    }

    /// Submits a call that must be answered within `limit`.
    fn submit_within(&mut self, id: u64, tokens: u64, limit: Duration) {
        let deadline = self.now.saturating_add(limit);
        self.does(Input::Submit(call(id, tokens).deadline(deadline)));
    }

    fn report(&mut self, attempt: AttemptId, outcome: Outcome) {
        self.does(Input::Report { attempt, outcome });
    }

    /// Submits a call that goes out at once, and answers it with `outcome` after `took`.
    fn exchange(&mut self, id: u64, tokens: u64, took: Duration, outcome: Outcome) {
        self.submit(id, tokens);
        let sent = self.last_sent();
        assert_eq!((sent.call, sent.at), (id, self.now), "it should have gone out at once");
        self.pass(took);
        self.report(sent.attempt, outcome);
    }

    /// Submits a call and follows the wake-ups until it goes out.
    fn exchange_when_possible(&mut self, id: u64) {
        self.submit(id, 10);
        while self.attempts(id).is_empty() {
            let wakeup = self.engine.next_wakeup().expect("something to wake for");
            self.now = wakeup.at.max(self.now);
            self.does(Input::Wake);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
    }

    /// Goes to the next wake-up, which must be for `reason`.
    fn wake_for(&mut self, reason: WakeReason) {
        let Wakeup { at, reason: found } = self.engine.next_wakeup().expect("something to wake for");
        assert_eq!(found, reason, "at {at:?}");
        assert!(at > self.now, "a wake-up at {at:?} makes no progress");
        self.now = at;
        self.does(Input::Wake);
    }

    /// Follows the wake-ups to `end`, and stays there.
    fn wake_until(&mut self, end: Timestamp) {
        for _ in 0..100_000 {
            match self.engine.next_wakeup() {
                Some(wakeup) if wakeup.at <= end => {
                    assert!(wakeup.at > self.now, "{wakeup:?} makes no progress");
                    self.now = wakeup.at;
                    self.does(Input::Wake);
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("the engine never comes to rest");
    }

    fn last_sent(&self) -> Sent {
        *self.sent.last().expect("something was sent")
    }

    /// Attempts made for a call.
    fn attempts(&self, id: u64) -> Vec<Sent> {
        self.sent.iter().filter(|sent| sent.call == id).copied().collect()
    }

    fn end_of(&self, id: u64) -> Option<EndReason> {
        let ends: Vec<_> = self.ended.iter().filter(|(call, _)| *call == id).collect();
        assert!(ends.len() <= 1, "call {id} ended twice: {ends:?}");
        ends.first().map(|(_, reason)| *reason)
    }

    fn endpoint(&self, name: &str) -> EndpointId {
        let index = self.engine.policy().endpoints().iter().position(|endpoint| endpoint.name == name);
        EndpointId(u16::try_from(index.expect("the policy has it")).expect("few endpoints"))
    }
}

fn call(id: u64, tokens: u64) -> Call {
    Call::new(CallId(id), ModelId(0), tokens)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_micros(ms * 1_000)
}

/// How a pool spaces its attempts is tested with the pool; here it matters that the quota's pace is kept, roughly.
#[track_caller]
fn about(found: Timestamp, ms: u64) {
    assert!((at(ms - ms / 10)..=at(ms + ms / 40)).contains(&found), "{found:?} instead of {:?}", at(ms));
}

fn failed(class: OutcomeClass) -> Outcome {
    Outcome::of(class)
}

/// One endpoint on one pool.
fn single(pool: &Value) -> Value {
    json!({"pools": {"p": pool}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}})
}

/// Two endpoints for one model, east and west, each on a pool of its own.
fn pair(east: &Value, west: &Value) -> Value {
    json!({
        "pools": {"east": east, "west": west},
        "endpoints": {
            "east": {"model": "m", "pools": ["east"], "geography": "us"},
            "west": {"model": "m", "pools": ["west"], "geography": "eu"},
        },
    })
}

/// A policy with more in it.
fn with(mut policy: Value, key: &str, value: Value) -> Value {
    policy[key] = value;
    policy
}
