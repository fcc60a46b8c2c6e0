//! Three Regions and what is offered to them.

use sluicegate_sim::{
    ClientKind, Effect, Fault, LaneConfig, Law, MaxTokens, Oracle, Pattern, Played, Scenario, ServiceConfig, Workload,
    run_calls,
};

pub(crate) const REGIONS: [&str; 3] = ["us-east-1", "us-east-2", "us-west-2"];
pub(crate) const SLIDING: Law = Law::Sliding;
pub(crate) const CONTINUOUS: Law = Law::Continuous { burst_permille: 100, start_permille: 1_000 };
pub(crate) const FIXED: Law = Law::Fixed { phase_us: 23_000_000 };
pub(crate) const SECOND: u64 = 1_000_000;
/// Requests per minute of a Region, where they bind.
pub(crate) const REQUESTS: u64 = 300;
/// Tokens per minute of a Region, where they bind.
pub(crate) const TOKENS: u64 = 600_000;
/// What an answered call settles at on average: 1,155 tokens of input, and five times 211 of output.
pub(crate) const MEAN_SETTLED: u64 = 2_210;
/// How long it takes on average, in milliseconds.
pub(crate) const MEAN_SERVICE_MS: u64 = 3_200;
const SEEDS: [u64; 3] = [1, 2, 3];

/// A scenario that can be changed lane by lane before it is played.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) scenario: Scenario,
    /// Added to the policy.
    pub(crate) policy: serde_json::Value,
}

/// Calls of one size distribution at `permille` thousandths of a rate per minute.
pub(crate) fn calls(per_minute: u64, permille: u64) -> Workload {
    Workload::azure_conversation(per_minute * permille / 60, MaxTokens::Fixed(1_024))
}

impl Scene {
    pub(crate) fn new(workload: Workload, change: impl Fn(usize, &mut LaneConfig)) -> Self {
        let lane = |(place, region): (usize, &&str)| {
            let mut lane = LaneConfig::new(region, "m");
            lane.output_multiplier = 5;
            change(place, &mut lane);
            lane
        };
        let service = ServiceConfig::new(REGIONS.iter().enumerate().map(lane).collect());
        Self { scenario: Scenario::new(service, workload), policy: serde_json::json!({}) }
    }

    /// Requests bind.
    pub(crate) fn requests(law: Law, permille: u64) -> Self {
        Self::new(calls(3 * REQUESTS, permille), |_, lane| {
            lane.law = law;
            lane.requests_per_minute = Some(REQUESTS);
            lane.tokens_per_minute = Some(6_000_000);
        })
    }

    /// Tokens bind.
    pub(crate) fn tokens(law: Law, permille: u64) -> Self {
        Self::new(calls(3 * TOKENS / MEAN_SETTLED, permille), |_, lane| {
            lane.law = law;
            lane.tokens_per_minute = Some(TOKENS);
        })
    }

    /// Slots bind, so many in each Region.
    pub(crate) fn slots(slots: u32, permille: u64) -> Self {
        Self::new(calls(3 * u64::from(slots) * 60_000 / MEAN_SERVICE_MS, permille), |_, lane| {
            lane.law = SLIDING;
            lane.requests_per_minute = Some(6_000);
            lane.tokens_per_minute = Some(60_000_000);
            lane.concurrency = Some(slots);
        })
    }

    pub(crate) fn each_lane(mut self, change: impl Fn(usize, &mut LaneConfig)) -> Self {
        self.scenario.service.lanes.iter_mut().enumerate().for_each(|(place, lane)| change(place, lane));
        self
    }

    pub(crate) fn scenario(mut self, change: impl FnOnce(&mut Scenario)) -> Self {
        change(&mut self.scenario);
        self
    }

    /// The same trouble in some Regions.
    pub(crate) fn trouble(self, places: &[usize], from_s: u64, to_s: u64, effect: Effect) -> Self {
        let to_us = to_s.saturating_mul(SECOND);
        self.each_lane(|place, lane| {
            if places.contains(&place) {
                lane.faults.push(Fault { from_us: from_s * SECOND, to_us, effect });
            }
        })
    }

    pub(crate) fn kind(&self, scenario: &Scenario) -> ClientKind {
        let mut document = scenario.policy_document();
        for (key, value) in self.policy.as_object().unwrap() {
            document[key] = value.clone();
        }
        ClientKind::sluicegate(sluicegate::Policy::parse(&document).unwrap())
    }

    /// One run of a client, with what a fair queue could have done.
    fn play(&self, seed: u64, kind: Option<&ClientKind>) -> Result {
        let scenario = self.scenario.seeded(seed);
        let ours = self.kind(&scenario);
        let played = run_calls(&scenario, kind.unwrap_or(&ours), scenario.arrivals()).unwrap();
        let fair = Oracle::fair_only(&scenario, &played.arrivals).unwrap();
        Result { seed, played, oracle: Oracle { fair, ..Oracle::default() } }
    }

    /// The middle one of some seeds by goodput, with all that could have been done.
    pub(crate) fn median(&self, kind: Option<&ClientKind>) -> Result {
        let mut results: Vec<Result> = SEEDS.iter().map(|seed| self.play(*seed, kind)).collect();
        results.sort_by_key(Result::goodput);
        let mut middle = results.swap_remove(SEEDS.len() / 2);
        middle.oracle = Oracle::of(&self.scenario.seeded(middle.seed), &middle.played.arrivals).unwrap();
        middle
    }
}

pub(crate) struct Result {
    seed: u64,
    pub(crate) played: Played,
    pub(crate) oracle: Oracle,
}

impl Result {
    pub(crate) fn goodput(&self) -> u64 {
        self.oracle.goodput_permille(&self.played.report)
    }

    pub(crate) fn attempts(&self) -> u64 {
        self.played.report.all.attempts_per_success_permille()
    }

    pub(crate) fn refused(&self) -> u64 {
        self.played.report.all.refused_permille()
    }

    pub(crate) fn line(&self, name: &str) -> String {
        let (report, oracle) = (&self.played.report, &self.oracle);
        let all = &report.all;
        format!(
            "{name:<44} goodput {:>4} (clairvoyant {:>4}) attempts {:>5} refused {:>3} | {} of {} in time, {} late; fair {}, \
             clairvoyant {}, at most {}; wait p50 {} p99 {} ms; told no after p50 {} ms; {:?}",
            self.goodput(),
            oracle.clairvoyant_permille(report),
            self.attempts(),
            self.refused(),
            all.in_time,
            all.calls,
            all.late,
            oracle.fair,
            oracle.clairvoyant,
            oracle.upper_bound.unwrap_or(0),
            all.waits.p50 / 1_000,
            all.waits.p99 / 1_000,
            report.refusals.p50 / 1_000,
            report.ends,
        )
    }

    /// Every promise that holds for all scenarios, and the scenario's own: goodput at least, attempts at most. `promised` is
    /// what the project wants, `held` what is found and must not be lost.
    #[track_caller]
    pub(crate) fn expect(&self, name: &str, promised: (u64, u64), held: (u64, u64)) {
        let line = self.line(name);
        let verdict = if self.goodput() >= promised.0 && self.attempts() <= promised.1 { "holds" } else { "MISSED" };
        println!("{verdict:<6} {promised:?} {line}");
        assert!(self.oracle.fair <= self.oracle.upper_bound.unwrap_or(u64::MAX), "{line}");
        assert!(self.played.report.all.in_time <= self.oracle.upper_bound.unwrap_or(u64::MAX), "{line}");
        assert_eq!(self.played.report.ends.values().sum::<u64>(), self.played.report.all.calls, "{line}");
        assert_eq!(self.played.report.throttled, 0, "no call ends as a throttling error: {line}");
        assert!(self.goodput() >= held.0 && self.attempts() <= held.1, "{line}");
    }
}

pub(crate) fn bursts(per_minute: u64, on: u64, off: u64, seconds: u64) -> Workload {
    let mut workload = calls(per_minute, 1_000);
    workload.arrivals = Pattern::OnOff {
        on_per_1000_s: per_minute * on / 60,
        off_per_1000_s: per_minute * off / 60,
        on_us: seconds * SECOND,
        off_us: seconds * SECOND,
    };
    workload
}
