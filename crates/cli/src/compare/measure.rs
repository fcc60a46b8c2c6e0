//! From the books of the fakes to figures. Nothing here was told by a client.

use serde::Serialize;
use serde_json::{Value, json};
use sluicegate_sim::{Ledger, Second, Sorted, Summary};

use super::clients::{Kind, tag};
use super::scenario::{Oracle, REGIONS, Scenario};
use crate::policy_check::grouped;

/// The least share of the oracle's answers that sluicegate promises.
const LEAST_GOODPUT: f64 = 0.95;
/// The largest refused share of its attempts while quotas bind that it promises.
const MOST_REFUSED: f64 = 0.01;

/// One Region in the books of one client, over the whole run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct RegionCounts {
    /// The Region.
    pub(crate) region: String,
    /// Attempts that reached it.
    pub(crate) attempts: u64,
    /// Of those, answered in full.
    pub(crate) answered: u64,
    /// Of those, refused for quota.
    pub(crate) refused_quota: u64,
    /// Of those, refused for capacity.
    pub(crate) refused_capacity: u64,
    /// Of those, given up by the client.
    pub(crate) abandoned: u64,
}

/// What became of the calls of one client.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Which client.
    pub(crate) kind: Kind,
    /// The calls that count.
    pub(crate) summary: Summary,
    /// Refused attempts of those calls.
    pub(crate) refused: u64,
    /// Attempts made while quotas bind, for whatever call.
    pub(crate) quota_attempts: u64,
    /// Of those, refused.
    pub(crate) quota_refused: u64,
    /// By Region.
    pub(crate) regions: Vec<RegionCounts>,
    /// Second by second, by Region.
    pub(crate) seconds: Vec<Vec<Second>>,
    /// By how much calls went out late, in microseconds: what the machine, not a client, did to the figures.
    pub(crate) late: Sorted,
    /// The libraries that it is made of and their versions, where it is a process of its own.
    pub(crate) versions: Option<String>,
}

impl Measured {
    /// Reads the books.
    pub(crate) fn new(kind: Kind, scenario: &Scenario, ledger: &Ledger, late: Vec<u64>) -> Self {
        let mut counted = Ledger::default();
        for (index, arrival) in scenario.arrivals.iter().enumerate() {
            let tag = tag(index);
            if let Some(record) = ledger.calls.get(&tag).filter(|_| scenario.measures(arrival)) {
                counted.calls.insert(tag, *record);
            }
        }
        let quota = scenario.quota_seconds();
        let (mut quota_attempts, mut quota_refused) = (0, 0);
        let (mut regions, mut seconds) = (Vec::new(), Vec::new());
        let length = usize::try_from(scenario.duration().as_secs()).unwrap_or(usize::MAX);
        for lane in &ledger.lanes {
            for (second, row) in (lane.first_second..).zip(&lane.seconds) {
                if quota.contains(&second) {
                    quota_attempts += u64::from(row.attempts);
                    quota_refused += u64::from(row.refused);
                }
            }
            let totals = &lane.totals;
            regions.push(RegionCounts {
                region: lane.region.clone(),
                attempts: totals.attempts,
                answered: totals.completed,
                refused_quota: totals.refused_quota,
                refused_capacity: totals.refused_capacity,
                abandoned: totals.abandoned,
            });
            let before = usize::try_from(lane.first_second).unwrap_or(usize::MAX).min(length);
            let mut rows = vec![Second::default(); before];
            rows.extend(lane.seconds.iter().take(length - before));
            rows.resize(length, Second::default());
            seconds.push(rows);
        }
        let refused = counted.calls.values().map(|call| u64::from(call.refused)).sum();
        let (summary, late) = (counted.summary(), Sorted::new(late));
        Self { kind, summary, refused, quota_attempts, quota_refused, regions, seconds, late, versions: None }
    }

    /// Calls answered in time, as a share of what the oracle answers.
    pub(crate) fn goodput(&self, oracle: &Oracle) -> f64 {
        share(self.summary.in_time, oracle.in_time)
    }

    /// Attempts for each call that was answered.
    pub(crate) fn attempts_per_answer(&self) -> f64 {
        share(self.summary.attempts, self.summary.in_time + self.summary.late)
    }

    /// The refused share of the attempts.
    pub(crate) fn refused_share(&self) -> f64 {
        share(self.refused, self.summary.attempts)
    }

    /// The refused share of the attempts made while quotas bind.
    pub(crate) fn quota_refused_share(&self) -> f64 {
        share(self.quota_refused, self.quota_attempts)
    }

    /// A quantile of the time from arrival to admission, in seconds.
    pub(crate) fn wait(&self, permille: u32) -> Option<f64> {
        self.summary.waits.quantile(permille).map(|us| us as f64 / 1e6)
    }

    /// The sum of a figure over all Regions, second by second.
    pub(crate) fn per_second(&self, figure: impl Fn(&Second) -> u32) -> Vec<u32> {
        let length = self.seconds.first().map_or(0, Vec::len);
        let at = |second: usize| self.seconds.iter().filter_map(|rows| rows.get(second)).map(&figure).sum();
        (0..length).map(at).collect()
    }
}

/// One promise and whether it was kept.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Criterion {
    /// Whose promise it is.
    pub(crate) client: &'static str,
    /// What was promised.
    pub(crate) promise: String,
    /// What was measured.
    pub(crate) measured: String,
    /// Whether it was kept.
    pub(crate) holds: bool,
}

/// Holds sluicegate to what it promises: from Rust also beside the clients of others, from Python by itself.
pub(crate) fn judge(clients: &[Measured], oracle: &Oracle) -> Vec<Criterion> {
    let Some(ours) = clients.iter().find(|client| client.kind == Kind::Sluicegate) else { return Vec::new() };
    let mut criteria = promises(ours, oracle).to_vec();
    let others = clients.iter().filter(|client| !client.kind.is_ours());
    criteria.extend(others.map(|other| Criterion {
        client: ours.kind.name(),
        promise: format!("answers more in time than {}", other.kind.name()),
        measured: format!("{} against {}", grouped(ours.summary.in_time), grouped(other.summary.in_time)),
        holds: ours.summary.in_time > other.summary.in_time,
    }));
    let elsewhere = clients.iter().filter(|client| client.kind.is_ours() && client.kind != ours.kind);
    criteria.extend(elsewhere.flat_map(|client| promises(client, oracle)));
    criteria
}

/// What each client of ours promises, whoever else takes part, and whether that was kept.
fn promises(ours: &Measured, oracle: &Oracle) -> [Criterion; 2] {
    let client = ours.kind.name();
    let (goodput, refused) = (ours.goodput(oracle), ours.quota_refused_share());
    [
        Criterion {
            client,
            promise: format!("answers at least {LEAST_GOODPUT} of what the oracle answers in time"),
            measured: format!("{goodput:.3} ({} of {})", grouped(ours.summary.in_time), grouped(oracle.in_time)),
            holds: goodput >= LEAST_GOODPUT,
        },
        Criterion {
            client,
            promise: format!("has at most {:.0} % of its attempts refused while quotas bind", MOST_REFUSED * 100.0),
            measured: format!("{:.2} % ({} of {})", refused * 100.0, ours.quota_refused, ours.quota_attempts),
            holds: refused <= MOST_REFUSED,
        },
    ]
}

/// The figures for machines.
pub(crate) fn json(scenario: &Scenario, oracle: &Oracle, clients: &[Measured], criteria: &[Criterion]) -> Value {
    let args = scenario.args();
    let phase = |phase: &super::scenario::Phase| json!({"name": phase.name, "from_s": phase.from, "to_s": phase.to, "measured": phase.measured});
    let client = |client: &Measured| {
        let summary = &client.summary;
        json!({
            "client": client.kind.name(),
            "versions": client.versions,
            "calls": summary.calls,
            "in_time": summary.in_time,
            "late": summary.late,
            "never": summary.never,
            "goodput": client.goodput(oracle),
            "attempts": summary.attempts,
            "attempts_per_answer": client.attempts_per_answer(),
            "refused": client.refused,
            "refused_share": client.refused_share(),
            "quota_phase": {
                "attempts": client.quota_attempts,
                "refused": client.quota_refused,
                "refused_share": client.quota_refused_share(),
            },
            "wait_s": {"p50": client.wait(500), "p99": client.wait(990)},
            "regions": client.regions,
            "dispatched_late_us": {"p50": client.late.quantile(500), "p99": client.late.quantile(990), "max": client.late.quantile(1_000)},
            "per_second": {
                "attempts": client.per_second(|row| row.attempts),
                "refused": client.per_second(|row| row.refused),
                "in_time": client.per_second(|row| row.in_time),
            },
        })
    };
    json!({
        "scenario": {
            "seed": args.seed,
            "law": args.law.law(),
            "load_permille": args.load,
            "regions": REGIONS,
            "requests_per_minute": args.requests_per_minute,
            "slots": args.slots,
            "deadline_s": args.deadline,
            "phases": scenario.phases.iter().map(phase).collect::<Vec<_>>(),
        },
        "oracle": {"in_time": oracle.in_time, "upper_bound": oracle.upper_bound, "per_second": oracle.by_second},
        "clients": clients.iter().map(client).collect::<Vec<_>>(),
        "criteria": criteria,
        "passed": criteria.iter().all(|criterion| criterion.holds),
    })
}

/// A share of a whole; 0 of nothing.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn what_is_ours_is_held_to_the_promises_and_is_nobodys_rival() {
        let args = ["sluicegate", "compare", "--local", "--peer", "sluicegate-python", "--peer", "litellm"];
        let Command::Compare(args) = Cli::parse_from(args).command else { panic!("it is compare") };
        let scenario = Scenario::new(args);
        let measured = |kind| {
            let mut measured = Measured::new(kind, &scenario, &Ledger::default(), Vec::new());
            measured.summary.in_time = if kind == Kind::Sluicegate { 95 } else { 94 };
            measured
        };
        let clients: Vec<Measured> = scenario.kinds().into_iter().map(measured).collect();
        let oracle = Oracle { in_time: 100, ..scenario.oracle().unwrap() };
        let criteria = judge(&clients, &oracle);
        let told = |criterion: &Criterion| (criterion.client, criterion.promise.clone(), criterion.holds);
        let told: Vec<(&str, String, bool)> = criteria.iter().map(told).collect();
        let (least, most) = (
            "answers at least 0.95 of what the oracle answers in time",
            "has at most 1 % of its attempts refused while quotas bind",
        );
        let ours = "sluicegate";
        let expected = [
            (ours, least, true),
            (ours, most, true),
            (ours, "answers more in time than article", true),
            (ours, "answers more in time than sdk-standard", true),
            (ours, "answers more in time than sdk-adaptive", true),
            (ours, "answers more in time than litellm", true),
            ("sluicegate-python", least, false),
            ("sluicegate-python", most, true),
        ];
        assert_eq!(told, expected.map(|(client, promise, holds)| (client, promise.to_owned(), holds)));
    }
}
