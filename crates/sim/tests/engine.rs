//! The engine against the modelled service, in virtual time: what it completes, beside what could be completed.

use std::fmt::Write as _;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use sluicegate::{Engine, ModelId, Policy, Timestamp};
use sluicegate_sim::{
    Arrival, Effect, Fault, LaneConfig, Law, MaxTokens, OracleCall, Order, Run, RunReport, Service, ServiceConfig,
    Summary, Workload, greedy, run,
};

const MODEL: &str = "m";
const REGIONS: [&str; 3] = ["us-east-1", "us-east-2", "us-west-2"];
const DEADLINE: Duration = Duration::from_secs(20);
/// A minute under load before measuring, so that every law has forgotten its start.
const WARM_UP: Duration = Duration::from_secs(60);
/// Mean settled tokens of a call: input plus five times the output, in the sizes of the workload.
const MEAN_COST: u64 = 2_230;

struct Scenario {
    lane: LaneConfig,
    /// Offered load in thousandths of what the quotas carry.
    load_permille: u64,
    duration: Duration,
    seed: u64,
}

impl Scenario {
    fn new(law: Law) -> Self {
        let mut lane = LaneConfig::new("", MODEL);
        lane.law = law;
        lane.requests_per_minute = Some(300);
        lane.tokens_per_minute = Some(450_000);
        lane.output_multiplier = 5;
        Self { lane, load_permille: 1_500, duration: Duration::from_secs(300), seed: 1 }
    }

    fn service(&self) -> ServiceConfig {
        let lanes = REGIONS.map(|region| LaneConfig { region: region.to_owned(), ..self.lane.clone() });
        ServiceConfig::new(lanes.into())
    }

    /// Calls a minute that the quotas of one Region carry.
    fn calls_per_minute(&self) -> u64 {
        self.lane.requests_per_minute.unwrap().min(self.lane.tokens_per_minute.unwrap() / MEAN_COST)
    }

    fn arrivals(&self, rng: &mut StdRng) -> Vec<Arrival> {
        let rate = 3 * self.calls_per_minute() * 1_000 / 60 * self.load_permille / 1_000;
        let workload = Workload::azure_conversation(rate, MaxTokens::Fixed(1_024));
        workload.generate(Timestamp::ZERO, WARM_UP + self.duration + DEADLINE, rng)
    }

    fn policy(&self) -> Policy {
        let mut pools = serde_json::Map::new();
        let mut endpoints = serde_json::Map::new();
        for region in REGIONS {
            pools.insert(
                region.into(),
                json!({
                    "requests_per_minute": self.lane.requests_per_minute,
                    "tokens_per_minute": self.lane.tokens_per_minute,
                }),
            );
            endpoints.insert(region.into(), json!({"model": MODEL, "pools": [region]}));
        }
        Policy::parse(&json!({"pools": pools, "endpoints": endpoints})).unwrap()
    }

    fn play(&self) -> Played {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let arrivals = self.arrivals(&mut rng);
        let config = self.service();
        let mut service = Service::new(&config).unwrap();
        let mut engine = Engine::new(self.policy(), Timestamp::ZERO);
        let from = Timestamp::ZERO.saturating_add(WARM_UP);
        let measured = (from, from.saturating_add(self.duration));
        let hop = Duration::from_millis(20);
        let plan = Run { arrivals: &arrivals, deadline: DEADLINE, hop, model: ModelId(0), measured };
        let report = run(&mut engine, &mut service, &plan, &mut rng).unwrap();
        let calls: Vec<OracleCall> =
            arrivals.iter().map(|arrival| OracleCall::new(arrival, arrival.at.saturating_add(DEADLINE))).collect();
        let lanes: Vec<_> = REGIONS.iter().map(|region| service.lane(region, MODEL).unwrap()).collect();
        let count = |order| {
            let schedule = greedy(&config, &lanes, &calls, order).unwrap();
            let started = schedule.starts.iter().zip(&arrivals);
            started.filter(|(start, arrival)| start.is_some() && plan.measures(arrival)).count() as u64
        };
        println!("  {:?}", Order::ALL.map(|order| (order, count(order))));
        Played { summary: service.ledger().summary(), report, oracle: count(Order::Deadline) }
    }
}

struct Played {
    summary: Summary,
    report: RunReport,
    oracle: u64,
}

impl Played {
    fn goodput(&self) -> f64 {
        self.summary.in_time as f64 / self.oracle as f64
    }

    fn refused(&self) -> f64 {
        self.summary.refused_permille as f64 / 1_000.0
    }

    fn describe(&self, name: &str) -> String {
        let mut line = String::new();
        let p = |permille| self.summary.waits.quantile(permille).unwrap_or(0) / 1_000;
        write!(
            line,
            "{name}: {} calls, {} in time, {} late, oracle {}, goodput {:.3}, refused {:.3}, attempts/success {}, wait p50 {} ms p99 {} ms, {:?}",
            self.summary.calls,
            self.summary.in_time,
            self.summary.late,
            self.oracle,
            self.goodput(),
            self.refused(),
            self.summary.attempts_per_success_permille,
            p(500),
            p(990),
            self.report.ends
        )
        .unwrap();
        line
    }
}

const SLIDING: Law = Law::Sliding;
const CONTINUOUS: Law = Law::Continuous { burst_permille: 100, start_permille: 1_000 };
const FULL_MINUTE: Law = Law::Continuous { burst_permille: 1_000, start_permille: 1_000 };
const FIXED: Law = Law::Fixed { phase_us: 23_000_000 };

#[test]
fn under_one_and_a_half_times_the_quota_nearly_everything_possible_is_done_and_nearly_nothing_refused() {
    for (name, law) in
        [("sliding", SLIDING), ("continuous", CONTINUOUS), ("full minute", FULL_MINUTE), ("fixed", FIXED)]
    {
        let played = Scenario::new(law).play();
        println!("{}", played.describe(name));
        let mut scenario = Scenario::new(law);
        scenario.lane.tokens_per_minute = Some(6_000_000);
        let played = scenario.play();
        println!("RPM {}", played.describe(name));
    }
}

#[test]
fn a_brownout_costs_little_more_than_the_capacity_it_takes() {
    for (name, law) in [("sliding", SLIDING), ("continuous", CONTINUOUS)] {
        let mut scenario = Scenario::new(law);
        scenario.duration = Duration::from_secs(150);
        scenario.lane.concurrency = Some(20);
        scenario.lane.tokens_per_minute = Some(6_000_000);
        scenario.lane.faults =
            vec![Fault { from_us: 120_000_000, to_us: 140_000_000, effect: Effect::Capacity { permille: 200 } }];
        let played = scenario.play();
        println!("{}", played.describe(name));
    }
}
