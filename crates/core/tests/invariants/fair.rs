//! The bound that the queue states, between tenants who always have calls waiting.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::json;
use sluicegate::{
    AttemptId, Call, CallId, Decision, Engine, Input, ModelId, Outcome, OutcomeClass, Policy, Quota, Spent, TenantId,
    Timestamp,
};

/// Tenants whose queue never runs dry; the last of all comes and goes.
const BUSY: usize = 3;
/// So many calls of each wait at least.
const WAITING: usize = 12;

#[derive(Clone, Copy, Debug)]
struct Step {
    later_ms: u64,
    /// Of a call that comes in: what it reserves, and what it costs when it is answered, in thousandths of that.
    tokens: u64,
    cost_permille: u64,
    which: usize,
    class: OutcomeClass,
    visitor: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let class = prop_oneof![
        8 => Just(OutcomeClass::Success),
        1 => Just(OutcomeClass::Throttled(Quota::Tokens)),
        1 => Just(OutcomeClass::Unavailable),
        1 => Just(OutcomeClass::Refused),
    ];
    let size = prop_oneof![3 => 1_u64..500, 1 => 500_u64..9_000];
    (0_u64..4_000, size, 0_u64..3_000, any::<usize>(), class, any::<bool>()).prop_map(
        |(later_ms, tokens, cost_permille, which, class, visitor)| Step {
            later_ms,
            tokens,
            cost_permille,
            which,
            class,
            visitor,
        },
    )
}

#[derive(Clone, Copy, Debug)]
struct Known {
    tenant: usize,
    tokens: u64,
    cost: u64,
    sent: bool,
}

impl Known {
    /// The most that it may add to what its tenant was served.
    fn most(self) -> u64 {
        self.tokens.max(self.cost)
    }
}

struct Desk {
    engine: Engine,
    rng: StdRng,
    now: Timestamp,
    calls: Vec<Known>,
    out: Vec<(AttemptId, usize)>,
    served: [u64; BUSY + 1],
    /// The most that was out at once.
    most_out: [u64; BUSY + 1],
}

impl Desk {
    fn does(&mut self, input: Input) {
        self.engine.handle(self.now, input, &mut self.rng).expect("every input is right");
        while let Some(decision) = self.engine.poll_decision() {
            if let Decision::Send { call, attempt, .. } = decision {
                let index = call.0 as usize;
                self.calls[index].sent = true;
                self.out.push((attempt, index));
                let tenant = self.calls[index].tenant;
                let calls = &self.calls;
                let of_tenant = self.out.iter().map(|(_, index)| calls[*index]).filter(|call| call.tenant == tenant);
                self.most_out[tenant] = self.most_out[tenant].max(of_tenant.map(Known::most).sum());
            }
        }
    }

    fn submit(&mut self, tenant: usize, step: &Step) {
        let id = CallId(self.calls.len() as u64);
        let cost = step.tokens * step.cost_permille / 1_000;
        self.calls.push(Known { tenant, tokens: step.tokens, cost, sent: false });
        self.does(Input::Submit(Call::new(id, ModelId(0), step.tokens).tenant(TenantId(tenant as u32))));
    }

    fn report(&mut self, step: &Step) {
        let (attempt, index) = self.out.remove(step.which % self.out.len());
        let Known { tenant, cost, .. } = self.calls[index];
        let spent = if step.class == OutcomeClass::Success { Spent::Tokens(cost) } else { Spent::Nothing };
        self.served[tenant] += if step.class == OutcomeClass::Success { cost } else { 0 };
        self.does(Input::Report { attempt, outcome: Outcome { spent, ..Outcome::of(step.class) } });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn tenants_who_always_wait_are_served_by_weight_within_the_bound(
        weights in vec(1_u64..10, BUSY),
        concurrency in 1_u64..5,
        tokens_per_minute in 20_000_u64..200_000,
        steps in vec(step(), 500..900),
        seed in any::<u64>(),
    ) {
        let tenants = weights.iter().enumerate().map(|(index, weight)| (format!("t{index}"), json!({"weight": weight})));
        let policy = json!({
            "pools": {"p": {"tokens_per_minute": tokens_per_minute, "concurrency": concurrency}, "q": {"concurrency": 2}},
            "endpoints": {"e": {"model": "m", "pools": ["p"]}, "f": {"model": "m", "pools": ["p", "q"]}},
            "tenants": tenants.collect::<serde_json::Map<_, _>>(),
        });
        let now = Timestamp::from_micros(50_000_000);
        let policy = Policy::parse(&policy).expect("it is right");
        let mut desk = Desk {
            engine: Engine::new(policy, now),
            rng: StdRng::seed_from_u64(seed),
            now,
            calls: Vec::new(),
            out: Vec::new(),
            served: [0; BUSY + 1],
            most_out: [0; BUSY + 1],
        };
        let mut weights = weights;
        weights.push(1);
        for (index, step) in steps.iter().enumerate() {
            let mut more = steps.iter().cycle().skip(index);
            for tenant in 0..BUSY {
                while desk.calls.iter().filter(|call| call.tenant == tenant && !call.sent).count() < WAITING {
                    desk.submit(tenant, more.next().expect("it cycles"));
                }
            }
            if step.visitor && index / 50 % 2 == 0 {
                desk.submit(BUSY, step);
            }
            desk.now = desk.now.saturating_add(Duration::from_millis(step.later_ms));
            desk.does(Input::Wake);
            if !desk.out.is_empty() {
                desk.report(step);
            }
            let by_weight = |tokens: &[u64; BUSY + 1], tenant: usize| tokens[tenant] / weights[tenant];
            let largest = |tenant: usize| {
                let of_tenant = desk.calls.iter().filter(|call| call.tenant == tenant);
                of_tenant.map(|call| call.most()).max().unwrap_or(0) / weights[tenant]
            };
            for (one, other) in [(0, 1), (0, 2), (1, 2)] {
                let apart = by_weight(&desk.served, one).abs_diff(by_weight(&desk.served, other));
                let out = by_weight(&desk.most_out, one) + by_weight(&desk.most_out, other);
                let bound = largest(one) + largest(other) + out + 4;
                prop_assert!(apart <= bound, "{apart} tokens apart by weight, and the bound is {bound}");
            }
        }
        let all: u64 = desk.served.iter().sum();
        prop_assert!(all > 0, "somebody is served");
    }
}
