//! The scenario: three Regions, their quotas and their trouble, the calls, and the timeline.

use std::time::Duration;

use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use sluicegate::{Policy, Timestamp};
use sluicegate_sim::{
    Arrival, Effect, Fault, LaneConfig, LaneId, MaxTokens, OracleCall, Order, Schedule, ServiceConfig, Sorted, Start,
    Workload, greedy, upper_bound,
};

use super::args::CompareArgs;
use super::clients::Kind;
use crate::exit::{Code, Failure};

/// The Regions.
pub(crate) const REGIONS: [&str; 3] = ["us-east-1", "us-east-2", "us-west-2"];
/// The model that all calls ask for.
pub(crate) const MODEL: &str = "anthropic.claude-sonnet-4-6";
/// Tokens a minute in each Region: so many that the requests bind.
pub(crate) const TOKENS_PER_MINUTE: u64 = 6_000_000;
/// Quota tokens per output token; the model's own rate.
pub(crate) const OUTPUT_MULTIPLIER: u64 = 5;
/// Time to the first token of an empty prompt, and tokens per second: a brisk model, whose answers take some two seconds
/// and seldom five. With slower ones a schedule that knows each answer's length gains more in the brownout than any
/// client can.
pub(crate) const SPEED: (u64, u64) = (1_200_000, 200);
/// What every call sends as `max_tokens`.
pub(crate) const MAX_TOKENS: u64 = 1_024;
/// Thousandths of the slots that the brownout leaves.
pub(crate) const BROWNOUT_PERMILLE: u32 = 200;
/// What the fake counts for a prompt besides its text.
const OVERHEAD_TOKENS: u64 = 4;
/// One second in microseconds.
const SECOND_US: u64 = 1_000_000;

/// A part of the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Its first second.
    pub(crate) from: u64,
    /// The second after its last.
    pub(crate) to: u64,
    /// Whether calls that arrive in it count.
    pub(crate) measured: bool,
}

/// Everything that is the same for all clients.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    args: CompareArgs,
    /// Warm-up, quotas bind, brownout, recovery, run-out; those of no length are left out.
    pub(crate) phases: Vec<Phase>,
    /// The calls, in the order of their times.
    pub(crate) arrivals: Vec<Arrival>,
}

/// What full knowledge could do with the same calls.
#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    /// Measured calls answered in time by a schedule that serves the earliest deadline first.
    pub(crate) in_time: u64,
    /// Measured calls that any schedule answers in time, at most.
    pub(crate) upper_bound: u64,
    /// Calls answered by second, measured or not.
    pub(crate) by_second: Vec<u32>,
    /// How long its measured calls wait, in microseconds.
    pub(crate) waits: Sorted,
    /// Measured calls.
    pub(crate) calls: u64,
}

impl Scenario {
    /// Lays out the timeline and draws the calls.
    pub(crate) fn new(args: CompareArgs) -> Self {
        let mut phases = Vec::new();
        let mut from = 0;
        for (name, seconds, measured) in [
            ("warm-up", args.warm_up, false),
            ("quotas bind", args.seconds, true),
            ("brownout", args.brownout, true),
            ("recovery", args.recovery, true),
            ("run-out", args.run_out.unwrap_or(args.deadline), false),
        ] {
            if seconds > 0 {
                phases.push(Phase { name, from, to: from + seconds, measured });
                from += seconds;
            }
        }
        let mut scenario = Self { args, phases, arrivals: Vec::new() };
        scenario.arrivals = scenario.draw(from);
        scenario
    }

    /// What the command was told.
    pub(crate) const fn args(&self) -> &CompareArgs {
        &self.args
    }

    /// The clients, ours last.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let ours = std::iter::once(Kind::Sluicegate);
        Kind::ALWAYS.into_iter().chain(self.args.peers()).chain(ours).collect()
    }

    /// How long after its arrival a call must have been answered.
    pub(crate) const fn deadline(&self) -> Duration {
        Duration::from_secs(self.args.deadline)
    }

    /// Calls offered a second, in thousandths: the load times what the request quotas of all Regions carry.
    pub(crate) fn calls_per_1000_s(&self) -> u64 {
        REGIONS.len() as u64 * self.args.requests_per_minute * u64::from(self.args.load) / 60
    }

    /// What the calls are drawn from.
    pub(crate) fn workload(&self) -> Workload {
        Workload::azure_conversation(self.calls_per_1000_s(), MaxTokens::Fixed(MAX_TOKENS))
    }

    fn draw(&self, seconds: u64) -> Vec<Arrival> {
        let workload = self.workload();
        let mut rng = StdRng::seed_from_u64(self.args.seed);
        let mut arrivals = workload.generate(Timestamp::ZERO, Duration::from_secs(seconds), &mut rng);
        for arrival in &mut arrivals {
            // No text is smaller than this for the fake.
            arrival.input_tokens = arrival.input_tokens.max(OVERHEAD_TOKENS + 1);
        }
        arrivals
    }

    /// The phase of this name, if it has a length.
    pub(crate) fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name == name)
    }

    /// The seconds before the brownout, in which the quotas bind.
    pub(crate) fn quota_seconds(&self) -> std::ops::Range<u64> {
        self.args.warm_up..self.args.warm_up + self.args.seconds
    }

    /// Whether a call counts.
    pub(crate) fn measures(&self, arrival: &Arrival) -> bool {
        let second = arrival.at.as_micros() / SECOND_US;
        self.phases.iter().any(|phase| phase.measured && (phase.from..phase.to).contains(&second))
    }

    /// Seconds until every call that counts has been answered or is too late, and the load is over.
    pub(crate) fn duration(&self) -> Duration {
        let measured = self.phases.iter().filter(|phase| phase.measured).map(|phase| phase.to).max().unwrap_or(0);
        let load = self.phases.last().map_or(0, |phase| phase.to);
        Duration::from_secs(load.max(measured + self.args.deadline))
    }

    /// The service, the same for every client.
    pub(crate) fn service(&self) -> ServiceConfig {
        let lane = |region: &&str| {
            let mut lane = LaneConfig::new(region, MODEL);
            lane.law = self.args.law.law();
            lane.requests_per_minute = Some(self.args.requests_per_minute);
            lane.tokens_per_minute = Some(TOKENS_PER_MINUTE);
            lane.concurrency = Some(self.args.slots);
            lane.output_multiplier = OUTPUT_MULTIPLIER;
            (lane.first_token_us, lane.tokens_per_second) = SPEED;
            lane.faults.extend(self.phase("brownout").map(|phase| Fault {
                from_us: phase.from * SECOND_US,
                to_us: phase.to * SECOND_US,
                effect: Effect::Capacity { permille: BROWNOUT_PERMILLE },
            }));
            lane
        };
        ServiceConfig::new(REGIONS.iter().map(lane).collect())
    }

    /// The policy that sluicegate gets.
    pub(crate) fn policy(&self) -> Result<Policy, Failure> {
        Policy::parse(&self.policy_document())
            .map_err(|error| Failure::new(Code::Unexpected, format!("the scenario's policy: {error}")))
    }

    /// The same as it is written down: the endpoints and their quotas, nothing about capacity, speed or trouble.
    pub(crate) fn policy_document(&self) -> Value {
        let mut pools = serde_json::Map::new();
        let mut endpoints = serde_json::Map::new();
        for region in REGIONS {
            let quotas = json!({
                "requests_per_minute": self.args.requests_per_minute,
                "tokens_per_minute": TOKENS_PER_MINUTE,
            });
            pools.insert(region.to_owned(), quotas);
            endpoints.insert(region.to_owned(), json!({"model": MODEL, "region": region, "pools": [region]}));
        }
        json!({"pools": pools, "endpoints": endpoints})
    }

    /// Works out what could be done with full knowledge.
    pub(crate) fn oracle(&self) -> Result<Oracle, Failure> {
        let unexpected = |error| Failure::new(Code::Unexpected, format!("the scenario's service: {error}"));
        let call = |arrival: &Arrival| OracleCall::new(arrival, arrival.at.saturating_add(self.deadline()));
        let config = self.service();
        let lanes: Vec<LaneId> = (0..REGIONS.len()).map(LaneId).collect();
        let calls: Vec<OracleCall> = self.arrivals.iter().map(call).collect();
        let Schedule { starts, mut by_second, .. } =
            greedy(&config, &lanes, &calls, Order::Deadline).map_err(unexpected)?;
        by_second.truncate(usize::try_from(self.duration().as_secs()).unwrap_or(usize::MAX));
        let served = starts.iter().zip(&self.arrivals).filter(|(_, arrival)| self.measures(arrival));
        let wait = |start: Start, arrival: &Arrival| start.at.as_micros().saturating_sub(arrival.at.as_micros());
        let waits: Vec<u64> = served.filter_map(|(start, arrival)| Some(wait((*start)?, arrival))).collect();
        let measured: Vec<OracleCall> =
            self.arrivals.iter().filter(|arrival| self.measures(arrival)).map(call).collect();
        let upper_bound = upper_bound(&config, &lanes, &measured).map_err(unexpected)?;
        let (in_time, calls) = (waits.len() as u64, measured.len() as u64);
        Ok(Oracle { in_time, upper_bound, by_second, waits: Sorted::new(waits), calls })
    }
}

/// Bytes of text that the fake counts as so many input tokens.
pub(crate) fn bytes(input_tokens: u64) -> usize {
    let permille = u64::from(sluicegate_sim::DEFAULT_BYTES_PER_TOKEN_PERMILLE);
    let bytes = input_tokens.saturating_sub(OVERHEAD_TOKENS) * permille / 1_000;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn scenario(more: &[&str]) -> Scenario {
        let args = ["sluicegate", "compare", "--local"].iter().chain(more);
        match Cli::parse_from(args).command {
            Command::Compare(args) => Scenario::new(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_default_timeline_measures_what_lies_between_warm_up_and_run_out() {
        let scenario = scenario(&[]);
        let phases: Vec<_> = scenario.phases.iter().map(|phase| (phase.name, phase.from, phase.to)).collect();
        assert_eq!(
            phases,
            [
                ("warm-up", 0, 60),
                ("quotas bind", 60, 150),
                ("brownout", 150, 170),
                ("recovery", 170, 190),
                ("run-out", 190, 210)
            ]
        );
        assert_eq!(scenario.duration(), Duration::from_secs(210));
        let measured = scenario.arrivals.iter().filter(|arrival| scenario.measures(arrival)).count();
        // 4.5 calls a second for 130 s.
        assert!((500..670).contains(&measured), "{measured}");
        assert!(scenario.service().faults().is_empty());
        assert_eq!(scenario.policy().unwrap().endpoints().len(), 3);
    }

    #[test]
    fn phases_of_no_length_are_left_out() {
        let scenario = scenario(&["--warm-up", "0", "--brownout", "0", "--run-out", "0", "--deadline", "7"]);
        let phases: Vec<_> = scenario.phases.iter().map(|phase| (phase.name, phase.from, phase.to)).collect();
        assert_eq!(phases, [("quotas bind", 0, 90), ("recovery", 90, 110)]);
        assert_eq!(scenario.duration(), Duration::from_secs(117));
        assert!(scenario.service().lanes[0].faults.is_empty());
    }

    #[test]
    fn texts_have_the_size_asked_for() {
        for tokens in [5, 6, 100, 1_023, 14_050] {
            let text = bytes(tokens) as u64;
            assert_eq!((text * 1_000).div_ceil(4_200) + OVERHEAD_TOKENS, tokens);
        }
    }

    #[test]
    fn the_oracle_stays_below_the_bound() {
        let scenario = scenario(&["--warm-up", "5", "--seconds", "10", "--brownout", "5", "--recovery", "5"]);
        let oracle = scenario.oracle().unwrap();
        assert!(oracle.in_time > 0 && oracle.in_time <= oracle.upper_bound, "{oracle:?}");
    }
}
