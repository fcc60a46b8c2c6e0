//! The engine against the modelled service, in virtual time: what it completes, beside what could be completed.

#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

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
const SEEDS: [u64; 3] = [1, 2, 3];

const SLIDING: Law = Law::Sliding;
const CONTINUOUS: Law = Law::Continuous { burst_permille: 100, start_permille: 1_000 };
const FIXED: Law = Law::Fixed { phase_us: 23_000_000 };

struct Scenario {
    lane: LaneConfig,
    /// Offered load in thousandths of the requests that the quotas carry.
    load_permille: u64,
    duration: Duration,
    /// Only in the first Region.
    trouble: Vec<Fault>,
    declared: bool,
}

impl Scenario {
    /// Three Regions of 300 requests a minute, half as much again offered; tokens do not bind.
    fn new(law: Law) -> Self {
        let mut lane = LaneConfig::new("", MODEL);
        lane.law = law;
        lane.requests_per_minute = Some(300);
        lane.tokens_per_minute = Some(6_000_000);
        lane.output_multiplier = 5;
        Self { lane, load_permille: 1_500, duration: Duration::from_secs(300), trouble: Vec::new(), declared: true }
    }

    fn config(&self) -> ServiceConfig {
        let mut lanes = REGIONS.map(|region| LaneConfig { region: region.to_owned(), ..self.lane.clone() });
        lanes[0].faults.extend_from_slice(&self.trouble);
        ServiceConfig::new(lanes.into())
    }

    fn policy(&self) -> Policy {
        let pool = match self.declared {
            true => json!({
                "requests_per_minute": self.lane.requests_per_minute,
                "tokens_per_minute": self.lane.tokens_per_minute,
            }),
            false => json!({}),
        };
        let mut document = json!({"pools": {}, "endpoints": {}});
        for region in REGIONS {
            document["pools"][region] = pool.clone();
            document["endpoints"][region] = json!({"model": MODEL, "pools": [region]});
        }
        Policy::parse(&document).unwrap()
    }

    fn arrivals(&self, rng: &mut StdRng) -> Vec<Arrival> {
        let per_minute = 3 * self.lane.requests_per_minute.unwrap() * self.load_permille / 1_000;
        let workload = Workload::azure_conversation(per_minute * 1_000 / 60, MaxTokens::Fixed(1_024));
        workload.generate(Timestamp::ZERO, WARM_UP + self.duration + DEADLINE, rng)
    }

    fn play(&self, seed: u64) -> Played {
        let mut rng = StdRng::seed_from_u64(seed);
        let arrivals = self.arrivals(&mut rng);
        let config = self.config();
        let mut service = Service::new(&config).unwrap();
        let mut engine = Engine::new(self.policy(), Timestamp::ZERO);
        let from = Timestamp::ZERO.saturating_add(WARM_UP);
        let measured = (from, from.saturating_add(self.duration));
        let hop = Duration::from_millis(20);
        let plan = Run { arrivals: &arrivals, deadline: DEADLINE, hop, model: ModelId(0), measured };
        let report = run(&mut engine, &mut service, &plan, &mut rng).unwrap();
        let calls: Vec<OracleCall> =
            arrivals.iter().map(|arrival| OracleCall::new(arrival, arrival.at.saturating_add(DEADLINE))).collect();
        let lanes = REGIONS.map(|region| service.lane(region, MODEL).unwrap());
        let schedule = greedy(&config, &lanes, &calls, Order::Arrival).unwrap();
        let started = schedule.starts.iter().zip(&arrivals);
        let oracle = started.filter(|(start, arrival)| start.is_some() && plan.measures(arrival)).count() as u64;
        let settled = service.ledger().lanes.iter().map(|lane| lane.totals.tokens_settled).sum();
        Played { summary: service.ledger().summary(), report, calls: arrivals.len() as u64, oracle, settled }
    }

    /// The middle one of some seeds by goodput.
    fn median(&self) -> Played {
        let mut played: Vec<Played> = SEEDS.iter().map(|seed| self.play(*seed)).collect();
        played.sort_by_key(Played::goodput_permille);
        played.swap_remove(SEEDS.len() / 2)
    }
}

struct Played {
    summary: Summary,
    report: RunReport,
    calls: u64,
    /// What the oracle answers in time of the measured calls.
    oracle: u64,
    /// Tokens settled over the whole run.
    settled: u64,
}

impl Played {
    fn goodput_permille(&self) -> u64 {
        self.summary.in_time * 1_000 / self.oracle.max(1)
    }

    #[track_caller]
    fn expect(&self, goodput_permille: u64, refused_permille: u64) {
        let (goodput, refused) = (self.goodput_permille(), self.summary.refused_permille);
        let Summary { in_time, late, attempts, .. } = &self.summary;
        let line = format!(
            "{in_time} in time and {late} late with {attempts} attempts, oracle {}: goodput {goodput}, refused {refused}, {:?}",
            self.oracle, self.report.ends
        );
        println!("{line}");
        assert!(goodput >= goodput_permille && refused <= refused_permille, "{line}");
        let ended: u64 = self.report.ends.values().sum();
        assert_eq!(ended, self.calls, "every call ends exactly once");
    }
}

#[test]
fn a_sliding_minute_is_used_in_full_and_never_exceeded() {
    Scenario::new(SLIDING).median().expect(970, 2);
}

#[test]
fn a_bucket_is_used_in_full_and_never_exceeded() {
    Scenario::new(CONTINUOUS).median().expect(965, 2);
}

#[test]
fn a_bucket_that_saves_up_one_second_s_worth_is_not_overrun() {
    for requests_per_minute in [60, 300] {
        let mut scenario = Scenario::new(Law::Continuous { burst_permille: 17, start_permille: 1_000 });
        scenario.lane.requests_per_minute = Some(requests_per_minute);
        scenario.median().expect(965, 5);
    }
}

#[test]
fn a_fixed_minute_of_unknown_phase_is_never_exceeded() {
    Scenario::new(FIXED).median().expect(950, 2);
}

#[test]
fn three_times_the_quota_is_shed_without_a_storm() {
    for law in [SLIDING, CONTINUOUS] {
        let mut scenario = Scenario::new(law);
        scenario.load_permille = 3_000;
        scenario.median().expect(970, 2);
    }
}

#[test]
fn a_token_quota_is_used_in_full_without_refusals() {
    for law in [SLIDING, CONTINUOUS] {
        let mut scenario = Scenario::new(law);
        scenario.lane.tokens_per_minute = Some(450_000);
        let played = scenario.median();
        // The oracle knows how long each answer will be and serves the short ones; no client can.
        played.expect(700, 10);
        let minutes = (WARM_UP + scenario.duration + DEADLINE).as_secs();
        let used = played.settled * 1_000 / (3 * 450_000 * minutes / 60);
        assert!(used >= 950, "{used} thousandths of the token quota used");
    }
}

#[test]
fn a_quota_of_a_few_requests_is_used_in_full() {
    let mut scenario = Scenario::new(SLIDING);
    scenario.lane.requests_per_minute = Some(6);
    scenario.duration = Duration::from_secs(900);
    scenario.median().expect(950, 10);
}

#[test]
fn a_brownout_costs_little_more_than_the_capacity_it_takes() {
    for law in [SLIDING, CONTINUOUS] {
        let mut scenario = Scenario::new(law);
        scenario.duration = Duration::from_secs(100);
        scenario.lane.concurrency = Some(40);
        let effect = Effect::Capacity { permille: 200 };
        scenario.lane.faults = vec![Fault { from_us: 120_000_000, to_us: 140_000_000, effect }];
        scenario.median().expect(900, 35);
    }
}

#[test]
fn an_outage_of_one_region_of_three_loses_nothing() {
    let mut scenario = Scenario::new(SLIDING);
    scenario.load_permille = 600;
    scenario.trouble = vec![Fault { from_us: 100_000_000, to_us: 200_000_000, effect: Effect::Outage }];
    scenario.median().expect(995, 25);
}

#[test]
fn quotas_that_nobody_declared_are_learned_from_refusals() {
    for law in [SLIDING, CONTINUOUS] {
        let mut scenario = Scenario::new(law);
        scenario.declared = false;
        scenario.duration = Duration::from_secs(600);
        scenario.median().expect(940, 15);
    }
}

#[test]
fn half_of_the_declared_quota_is_found_and_used() {
    let mut scenario = Scenario::new(SLIDING);
    let effect = Effect::QuotaFactor { permille: 500 };
    scenario.lane.faults = vec![Fault { from_us: 0, to_us: u64::MAX, effect }];
    scenario.duration = Duration::from_secs(600);
    scenario.median().expect(940, 45);
}

#[test]
fn the_same_seed_gives_the_same_decisions() {
    let scenario = Scenario::new(SLIDING);
    assert_eq!(scenario.play(7).report, scenario.play(7).report);
    assert_ne!(scenario.play(7).report.digest, scenario.play(8).report.digest);
}
