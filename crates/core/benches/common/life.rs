//! The whole life of a call through an engine of three endpoints whose limits hold nothing back.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;
use sluicegate::{AttemptId, Call, CallId, Engine, Input, ModelId, Outcome, Policy, Timestamp};

use super::{Wyrand, drain};

const STEP: Duration = Duration::from_millis(1);

/// An engine, and the attempts that are out at any time.
pub struct Life {
    engine: Engine,
    rng: Wyrand,
    now: Timestamp,
    next: u64,
    out: VecDeque<AttemptId>,
}

impl Life {
    /// With `out` other attempts under way, and windows that have filled.
    pub fn new(out: usize) -> Self {
        let limits =
            json!({"requests_per_minute": 1_000_000, "tokens_per_minute": 1_000_000_000, "concurrency": 1_000});
        let endpoint = |pool: &str| json!({"model": "m", "pools": [pool]});
        let policy = Policy::parse(&json!({
            "pools": {"a": limits, "b": limits, "c": limits},
            "endpoints": {"a": endpoint("a"), "b": endpoint("b"), "c": endpoint("c")},
        }))
        .expect("the policy is right");
        let now = Timestamp::ZERO;
        let engine = Engine::new(policy, now);
        let mut life = Self { engine, rng: Wyrand(7), now, next: 0, out: VecDeque::with_capacity(out + 1) };
        for _ in 0..out {
            life.submit();
        }
        for _ in 0..Duration::from_secs(180).as_millis() / STEP.as_millis() / 2 {
            life.step();
        }
        life
    }

    /// One call is submitted and goes out at once; the oldest attempt is answered and its call ends.
    pub fn step(&mut self) {
        self.submit();
        if let Some(attempt) = self.out.pop_front() {
            self.now = self.now.saturating_add(STEP);
            self.engine
                .handle(self.now, Input::Report { attempt, outcome: Outcome::success(700) }, &mut self.rng)
                .expect("it is out");
            assert_eq!(drain(&mut self.engine, |_| ()), 1, "the call ends");
        }
    }

    fn submit(&mut self) {
        self.now = self.now.saturating_add(STEP);
        self.next += 1;
        let call = Call::new(CallId(self.next), ModelId(0), 1_000);
        self.engine.handle(self.now, Input::Submit(call), &mut self.rng).expect("a new call");
        let out = &mut self.out;
        drain(&mut self.engine, |attempt| out.push_back(attempt));
    }
}
