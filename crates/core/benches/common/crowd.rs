//! Many calls of many tenants waiting for thirty endpoints whose quotas are used in full.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use sluicegate::{AttemptId, Call, CallId, Engine, Input, ModelId, Outcome, Policy, TenantId, Timestamp, Wakeup};

use super::{Wyrand, drain};

const ENDPOINTS: usize = 30;
/// Calls come from each of these in turn.
const TENANTS: u64 = 10_000;
const PER_MINUTE: u64 = 600;
const TOKENS: u64 = 1_000;
/// How long the service takes for an answer.
const SERVICE: Duration = Duration::from_secs(1);
/// Far beyond what a million calls need.
const DEADLINE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// An engine with always the same number of calls waiting, and the attempts that are out.
pub struct Crowd {
    pub engine: Engine,
    rng: Wyrand,
    now: Timestamp,
    next: u64,
    waiting: usize,
    deadlines: bool,
    out: VecDeque<(Timestamp, AttemptId)>,
}

impl Crowd {
    /// An engine that has sent all it may at once, and nobody waits.
    pub fn new(deadlines: bool) -> Self {
        let name = |index: usize| format!("e{index:02}");
        let limits = json!({"requests_per_minute": PER_MINUTE, "tokens_per_minute": PER_MINUTE * TOKENS * 2});
        let pools: Value =
            (0..ENDPOINTS).map(|index| (name(index), limits.clone())).collect::<serde_json::Map<_, _>>().into();
        let endpoints: Value = (0..ENDPOINTS)
            .map(|index| (name(index), json!({"model": "m", "pools": [name(index)]})))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let policy = json!({"pools": pools, "endpoints": endpoints, "queue": {"capacity": 2_000_000}});
        let policy = Policy::parse(&policy).expect("the policy is right");
        let now = Timestamp::ZERO;
        let engine = Engine::new(policy, now);
        let mut crowd = Self { engine, rng: Wyrand(7), now, next: 0, waiting: 0, deadlines, out: VecDeque::new() };
        while crowd.engine.waiting() == 0 {
            crowd.submit();
        }
        crowd
    }

    /// The same with `waiting` calls, after so long that the windows are full.
    pub fn busy(waiting: usize) -> Self {
        let mut crowd = Self::new(false);
        crowd.fill(waiting);
        let warm = Timestamp::ZERO.saturating_add(Duration::from_secs(70));
        while crowd.now < warm {
            crowd.live();
        }
        crowd
    }

    /// Submits until `waiting` calls wait.
    pub fn fill(&mut self, waiting: usize) {
        self.waiting = waiting;
        while self.engine.waiting() < waiting {
            self.submit();
        }
    }

    /// One call comes in and waits.
    pub fn submit(&mut self) {
        self.next += 1;
        let tenant = u32::try_from(self.next % TENANTS).expect("few tenants");
        let mut call = Call::new(CallId(self.next), ModelId(0), TOKENS).tenant(TenantId(tenant));
        if self.deadlines {
            call = call.deadline(self.now.saturating_add(DEADLINE));
        }
        self.input(Input::Submit(call));
    }

    /// The call that came last goes away.
    pub fn cancel(&mut self) {
        self.input(Input::Cancel(CallId(self.next)));
        self.next -= 1;
    }

    /// As much of life as happens until the next wake-up: calls go out, earlier ones are answered, and as many come in
    /// as went out. Returns how many ended.
    pub fn live(&mut self) -> u64 {
        if let Some(wakeup) = self.next_wakeup() {
            self.now = self.now.max(wakeup.at);
        }
        self.wake();
        self.settle()
    }

    /// Lets time pass without telling the engine.
    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
    }

    /// Hands in a wake-up and nothing else.
    pub fn wake(&mut self) {
        self.engine.handle(self.now, Input::Wake, &mut self.rng).expect("a wake-up is always right");
    }

    /// What remains to be done after a wake-up. Returns how many calls ended.
    pub fn settle(&mut self) -> u64 {
        let mut ended = self.drain();
        while let Some((due, attempt)) = self.out.front().copied()
            && due <= self.now
        {
            self.out.pop_front();
            ended += self.input(Input::Report { attempt, outcome: Outcome::success(TOKENS) });
        }
        while self.engine.waiting() < self.waiting {
            self.submit();
        }
        ended
    }

    /// Calls that left the queue since it was last filled.
    pub fn released(&self) -> u64 {
        (self.waiting - self.engine.waiting()) as u64
    }

    pub fn next_wakeup(&self) -> Option<Wakeup> {
        self.engine.next_wakeup()
    }

    fn input(&mut self, input: Input) -> u64 {
        self.engine.handle(self.now, input, &mut self.rng).expect("the input is right");
        self.drain()
    }

    fn drain(&mut self) -> u64 {
        let due = self.now.saturating_add(SERVICE);
        let out = &mut self.out;
        drain(&mut self.engine, |attempt| out.push_back((due, attempt)))
    }
}
