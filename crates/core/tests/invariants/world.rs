//! Random policies, random lives, and a world that watches every decision.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use sluicegate::{
    AttemptId, Call, CallId, Decision, EndpointId, Engine, Event, Input, InputError, ModelId, Outcome, OutcomeClass,
    Policy, Quota, Spent, Timestamp, WakeReason,
};

use crate::ledger::Ledger;

/// A policy and the seed of the dice.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    policy: Value,
    seed: u64,
}

impl Setup {
    /// The same with one model, so that no two queues draw on one pool.
    pub(crate) fn one_model(mut self) -> Self {
        let endpoints = self.policy["endpoints"].as_object_mut().expect("it has endpoints");
        for endpoint in endpoints.values_mut() {
            endpoint["model"] = json!("a");
        }
        self
    }
}

/// What happens, in order.
pub(crate) type Life = Vec<Op>;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Submit { model: u16, tokens: u64, within_ms: u64, priority: u8 },
    Report { which: usize, outcome: Outcome },
    Cancel { which: usize },
    Jump { ms: u64 },
    Back { ms: u64 },
    NextWake,
    Misuse,
}

impl Op {
    pub(crate) const fn throttles(&self) -> bool {
        matches!(self, Self::Report { outcome: Outcome { class: OutcomeClass::Throttled(_), .. }, .. })
    }

    pub(crate) const fn goes_back(&self) -> bool {
        matches!(self, Self::Back { .. })
    }
}

fn pool() -> impl Strategy<Value = Value> {
    (
        option::of(1_u64..120),
        option::of(1_000_u64..60_000),
        option::weighted(0.2, 20_000_u64..200_000),
        option::weighted(0.4, 1_u64..5),
        1_u64..=1_000,
        0_u64..1_000,
    )
        .prop_map(|(requests, tokens, day, concurrency, burst, margin)| {
            let mut pool = json!({"burst_permille": burst, "window_margin_ms": margin});
            let limits = [
                ("requests_per_minute", requests),
                ("tokens_per_minute", tokens),
                ("tokens_per_day", day),
                ("concurrency", concurrency),
            ];
            for (key, limit) in limits.into_iter().filter_map(|(key, limit)| Some((key, limit?))) {
                pool[key] = limit.into();
            }
            pool
        })
}

pub(crate) fn setup() -> impl Strategy<Value = Setup> {
    let endpoint = (any::<bool>(), btree_set(0_usize..3, 1..=3), any::<bool>());
    (vec(pool(), 3), vec(endpoint, 1..=4), any::<bool>(), 1_u64..8, any::<u64>()).prop_map(
        |(pools, endpoints, resident, max_attempts, seed)| {
            let mut policy = json!({
                "pools": {}, "endpoints": {},
                "retry": {"max_attempts": max_attempts, "timed_out": true, "model_error": true},
                "breaker": {"window_attempts": 4, "minimum_attempts": 2},
                "queue": {"capacity": 20, "lease_ms": 90_000},
            });
            for (index, pool) in pools.into_iter().enumerate() {
                policy["pools"][format!("p{index}")] = pool;
            }
            for (index, (second_model, pools, europe)) in endpoints.into_iter().enumerate() {
                policy["endpoints"][format!("e{index}")] = json!({
                    "model": if second_model { "b" } else { "a" },
                    "pools": pools.into_iter().map(|pool| format!("p{pool}")).collect::<Vec<_>>(),
                    "geography": if europe { "eu" } else { "us" },
                });
            }
            if resident {
                let mut restricted = policy.clone();
                restricted["residency"] = json!(["eu"]);
                if Policy::parse(&restricted).is_ok() {
                    policy = restricted;
                }
            }
            Setup { policy, seed }
        },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let quota = prop_oneof![Just(Quota::Requests), Just(Quota::Tokens), Just(Quota::Day), Just(Quota::Unknown)];
    let class = prop_oneof![
        6 => Just(OutcomeClass::Success),
        3 => quota.prop_map(OutcomeClass::Throttled),
        1 => Just(OutcomeClass::Overloaded),
        1 => Just(OutcomeClass::Unavailable),
        1 => Just(OutcomeClass::NotReady),
        1 => Just(OutcomeClass::TimedOut),
        1 => Just(OutcomeClass::ModelError),
        1 => Just(OutcomeClass::StreamBroken),
        1 => Just(OutcomeClass::StreamBrokenDelivered),
        1 => Just(OutcomeClass::Refused),
        1 => Just(OutcomeClass::Unusable),
        1 => Just(OutcomeClass::Cancelled),
    ];
    let spent = prop_oneof![
        5 => (0_u64..20_000).prop_map(Spent::Tokens),
        1 => Just(Spent::Unknown),
        1 => Just(Spent::Nothing),
        1 => Just(Spent::NeverSent),
    ];
    let retry_after = option::weighted(0.1, (0_u64..20_000).prop_map(Duration::from_millis));
    (class, spent, retry_after).prop_map(|(class, spent, retry_after)| Outcome {
        spent,
        retry_after,
        ..Outcome::of(class)
    })
}

fn op() -> impl Strategy<Value = Op> {
    let tokens = prop_oneof![20 => 0_u64..9_000, 1 => 9_000_u64..70_000, 1 => Just(u64::MAX)];
    prop_oneof![
        8 => (0_u16..2, tokens, 0_u64..120_000, 0_u8..3)
            .prop_map(|(model, tokens, within_ms, priority)| Op::Submit { model, tokens, within_ms, priority }),
        8 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Op::Report { which, outcome }),
        1 => any::<usize>().prop_map(|which| Op::Cancel { which }),
        5 => (0_u64..3_000).prop_map(|ms| Op::Jump { ms }),
        1 => (0_u64..200_000).prop_map(|ms| Op::Jump { ms }),
        1 => (0_u64..5_000).prop_map(|ms| Op::Back { ms }),
        3 => Just(Op::NextWake),
        1 => Just(Op::Misuse),
    ]
}

pub(crate) fn life(longest: usize) -> impl Strategy<Value = Life> {
    vec(op(), 1..longest)
}

#[derive(Clone, Copy, Debug)]
struct Out {
    id: AttemptId,
    endpoint: EndpointId,
}

/// An engine and everything that must be true around it.
pub(crate) struct World {
    engine: Engine,
    rng: StdRng,
    now: Timestamp,
    /// The latest time that the engine was told.
    seen: Timestamp,
    /// Wake-ups to hand in before each jump in time, at times at which there is nothing to do.
    pub(crate) spurious: u32,
    next_call: u64,
    live: BTreeMap<CallId, Call>,
    ended: BTreeSet<CallId>,
    out: Vec<Out>,
    pools: Vec<Ledger>,
    pub(crate) trace: Vec<String>,
}

impl World {
    pub(crate) fn new(setup: &Setup) -> Self {
        let policy = Policy::parse(&setup.policy).unwrap_or_else(|error| panic!("{error}"));
        let pools = policy.pools().iter().map(|pool| Ledger::new(pool.limits)).collect();
        // Not at the origin, so that there is room to go back.
        let now = Timestamp::from_micros(50_000_000);
        Self {
            engine: Engine::new(policy, now),
            rng: StdRng::seed_from_u64(setup.seed),
            now,
            seen: now,
            spurious: 0,
            next_call: 0,
            live: BTreeMap::new(),
            ended: BTreeSet::new(),
            out: Vec::new(),
            pools,
            trace: Vec::new(),
        }
    }

    pub(crate) fn live(&mut self, life: &Life) {
        for op in life {
            self.act(*op);
        }
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Submit { model, tokens, within_ms, priority } => {
                let models = self.engine.policy().models().len() as u16;
                let call = Call::new(CallId(self.next_call), ModelId(model % models), tokens)
                    .deadline(self.now.saturating_add(Duration::from_millis(within_ms)))
                    .priority(priority);
                self.next_call += 1;
                self.live.insert(call.id, call);
                self.does(Input::Submit(call));
            }
            Op::Report { which, outcome } if !self.out.is_empty() => self.report(which % self.out.len(), outcome),
            Op::Cancel { which } if !self.live.is_empty() => {
                let call = self.live.keys().nth(which % self.live.len()).copied().expect("it is below the length");
                self.does(Input::Cancel(call));
                assert!(self.ended.contains(&call), "a cancelled call ends at once");
            }
            Op::Report { .. } | Op::Cancel { .. } => {}
            Op::Jump { ms } => self.jump(self.now.saturating_add(Duration::from_millis(ms))),
            Op::Back { ms } => {
                // The engine goes on with the latest time it has seen.
                let told = self.now.saturating_sub(Duration::from_millis(ms));
                self.now = told.max(self.seen);
                self.handle(told, Input::Wake).expect("a wake-up is never wrong");
            }
            Op::NextWake => {
                self.wake_next();
            }
            Op::Misuse => self.misuse(),
        }
    }

    fn report(&mut self, index: usize, outcome: Outcome) {
        let out = self.out.remove(index);
        for pool in self.engine.policy().endpoints()[usize::from(out.endpoint.0)].pools.clone() {
            self.pools[usize::from(pool.0)].settle(self.now, out.id, outcome.spent);
        }
        self.does(Input::Report { attempt: out.id, outcome });
    }

    fn jump(&mut self, to: Timestamp) {
        let quiet = self.engine.next_wakeup().map_or(to, |wakeup| wakeup.at.min(to)).saturating_since(self.now);
        let spurious = if quiet.is_zero() { 0 } else { self.spurious };
        for _ in 0..spurious {
            self.now = self.now.saturating_add(quiet / (spurious + 1));
            let before = self.trace.len();
            self.does(Input::Wake);
            assert_eq!(self.trace[before..], [""; 0], "a spurious wake-up did something");
        }
        self.now = to;
    }

    fn wake_next(&mut self) -> bool {
        let Some(wakeup) = self.engine.next_wakeup() else { return false };
        self.jump(wakeup.at.max(self.now));
        self.does(Input::Wake);
        if let Some(next) = self.engine.next_wakeup() {
            assert!(next.at > self.now, "{next:?} after {wakeup:?} makes no progress");
        }
        true
    }

    /// Everything that is out is answered, and time passes until nothing is left to do.
    pub(crate) fn rest(&mut self) {
        for _ in 0..10_000 {
            while !self.out.is_empty() {
                self.report(0, Outcome::success(100));
            }
            if !self.wake_next() {
                assert!(self.live.is_empty(), "calls that never ended: {:?}", self.live);
                assert_eq!((self.engine.waiting(), self.engine.in_flight()), (0, 0));
                assert_eq!(self.ended.len() as u64, self.next_call);
                return;
            }
        }
        panic!("the engine never comes to rest");
    }

    fn misuse(&mut self) {
        let before = format!("{:?}", self.engine);
        let attempt = AttemptId(u64::MAX);
        let mut wrong = vec![
            (Input::Report { attempt, outcome: Outcome::success(1) }, InputError::UnknownAttempt(attempt)),
            (Input::Cancel(CallId(u64::MAX)), InputError::UnknownCall(CallId(u64::MAX))),
        ];
        if let Some(call) = self.live.values().next() {
            wrong.push((Input::Submit(*call), InputError::DuplicateCall(call.id)));
        }
        for (input, error) in wrong {
            assert_eq!(self.engine.handle(self.now, input, &mut self.rng), Err(error));
        }
        assert_eq!(format!("{:?}", self.engine), before);
    }

    fn does(&mut self, input: Input) {
        self.handle(self.now, input).unwrap_or_else(|error| panic!("{error}"));
    }

    fn handle(&mut self, now: Timestamp, input: Input) -> Result<(), InputError> {
        self.engine.handle(now, input, &mut self.rng)?;
        self.seen = self.now;
        // Leases first: what they take back may be what others are then admitted on.
        let events: Vec<Event> = std::iter::from_fn(|| self.engine.poll_event()).collect();
        for event in events {
            if let Event::LeaseExpired { attempt, .. } = event {
                self.lose(attempt);
            }
        }
        while let Some(decision) = self.engine.poll_decision() {
            self.watch(decision);
        }
        let reason = self.engine.next_wakeup().map(|wakeup| wakeup.reason);
        assert_ne!(reason, Some(WakeReason::Undrained));
        Ok(())
    }

    fn lose(&mut self, attempt: AttemptId) {
        let index = self.out.iter().position(|out| out.id == attempt).expect("only what is out can be lost");
        let out = self.out.remove(index);
        for pool in &self.engine.policy().endpoints()[usize::from(out.endpoint.0)].pools {
            self.pools[usize::from(pool.0)].settle(self.now, attempt, Spent::Unknown);
        }
    }

    fn watch(&mut self, decision: Decision) {
        self.trace.push(format!("{} {decision:?}", self.now.as_micros()));
        match decision {
            Decision::Send { call, attempt, endpoint, .. } | Decision::Hedge { call, attempt, endpoint, .. } => {
                let call = *self.live.get(&call).expect("an attempt goes out for a call that lives");
                let place = self.engine.policy().endpoint(endpoint).expect("the policy has it");
                assert_eq!(place.model, call.model);
                assert!(self.engine.policy().allows(place), "residency");
                assert!(call.deadline.is_some_and(|deadline| self.now <= deadline), "too late for {call:?}");
                self.out.push(Out { id: attempt, endpoint });
                for pool in &place.pools {
                    self.pools[usize::from(pool.0)].admit(self.now, attempt, call.tokens);
                }
            }
            Decision::Abort { .. } => {}
            Decision::End { call, .. } => {
                assert!(self.live.remove(&call).is_some(), "{call:?} does not live");
                assert!(self.ended.insert(call), "{call:?} ended twice");
            }
        }
    }
}
