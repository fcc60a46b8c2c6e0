//! What a run says at its end.

use std::time::Duration;

use comfy_table::{CellAlignment, Table};
use sluicegate::{Policy, PoolId};

use super::pools::Pools;
use super::progress::percent;
use super::stats::{EndpointStats, Stats, Times};
use crate::policy_check::{grouped, table};

/// What became of the records.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Answered in this run.
    pub(crate) answered: u64,
    /// Ended in an error in this run.
    pub(crate) failed: u64,
    /// In the output from earlier runs.
    pub(crate) skipped: u64,
    /// Of the lines that earlier runs wrote, errors.
    pub(crate) failed_before: u64,
    /// Faulty lines.
    pub(crate) faulty: u64,
    /// Not sent, or sent without an answer that could be kept: left for the next run.
    pub(crate) left: u64,
}

/// The whole text.
pub(crate) fn text(policy: &Policy, tally: &Tally, stats: &Stats, pools: &Pools, took: Duration) -> String {
    let mut text = format!("\n{}\n", headline(tally, took));
    if stats.attempts() == 0 {
        return text;
    }
    text.push_str(&format!(
        "{} attempts, {} per call; {} refused ({})\n",
        grouped(stats.attempts()),
        ratio(stats.attempts(), stats.calls),
        grouped(stats.refused()),
        percent(stats.refused_permille()),
    ));
    if stats.service.percentile(50.0).is_none() {
        return text;
    }
    text.push_str(&format!("waited for quota {}; served in {}\n\n", spread(&stats.waited), spread(&stats.service)));
    text.push_str(&format!(
        "{}\n\n{}\n",
        endpoints(policy, stats).trim_fmt(),
        quotas(policy, stats, pools, took).trim_fmt()
    ));
    text
}

fn headline(tally: &Tally, took: Duration) -> String {
    let ended = tally.answered + tally.failed;
    let mut parts = vec![format!("{} answered", grouped(tally.answered)), format!("{} failed", grouped(tally.failed))];
    for (count, what) in [
        (tally.skipped, "in the output already"),
        (tally.faulty, if tally.faulty == 1 { "faulty line" } else { "faulty lines" }),
        (tally.left, "left for the next run"),
    ] {
        if count > 0 {
            parts.push(format!("{} {what}", grouped(count)));
        }
    }
    let rate = ended as f64 / took.as_secs_f64().max(0.001);
    match ended {
        0 => parts.join(", "),
        _ => format!("{} in {} ({rate:.1}/s)", parts.join(", "), time(Some(took))),
    }
}

fn endpoints(policy: &Policy, stats: &Stats) -> Table {
    let mut table = table(&["endpoint", "attempts", "answered", "refused", "failed", "p50", "p99", "tokens"]);
    for (endpoint, at) in policy.endpoints().iter().zip(&stats.endpoints) {
        table.add_row([
            endpoint.name.clone(),
            grouped(at.sent),
            grouped(at.answered),
            grouped(at.refused),
            grouped(at.unavailable + at.failed),
            time(at.service.percentile(50.0)),
            time(at.service.percentile(99.0)),
            grouped(at.tokens),
        ]);
    }
    if stats.endpoints.len() > 1 {
        let sum = |of: fn(&EndpointStats) -> u64| grouped(stats.endpoints.iter().map(of).sum());
        table.add_row([
            "total".to_owned(),
            sum(|at| at.sent),
            sum(|at| at.answered),
            sum(|at| at.refused),
            sum(|at| at.unavailable + at.failed),
            time(stats.service.percentile(50.0)),
            time(stats.service.percentile(99.0)),
            sum(|at| at.tokens),
        ]);
    }
    right(&mut table);
    table
}

/// Use of the quotas: in the busiest minute, and on average over the run, which counts as a minute at least.
fn quotas(policy: &Policy, stats: &Stats, pools: &Pools, took: Duration) -> Table {
    let mut table = table(&["quota pool", "requests/min", "peak", "mean", "tokens/min", "peak", "mean"]);
    for (index, (pool, used)) in policy.pools().iter().zip(pools.iter()).enumerate() {
        let of_pool = || {
            let id = PoolId(u16::try_from(index).unwrap_or(u16::MAX));
            let ours = policy.endpoints().iter().zip(&stats.endpoints);
            ours.filter(move |(endpoint, _)| endpoint.pools.contains(&id)).map(|(_, at)| at)
        };
        let requests = of_pool().map(|at| at.sent).sum();
        let tokens = of_pool().map(|at| at.tokens).sum();
        let mut row = vec![pool.name.clone()];
        for (limit, peak, total) in [
            (pool.limits.requests_per_minute, used.requests_peak, requests),
            (pool.limits.tokens_per_minute, used.tokens_peak, tokens),
        ] {
            match limit {
                Some(limit) => {
                    row.extend([grouped(limit), whole_percent(peak), whole_percent(mean(total, limit, took))])
                }
                None => row.extend(["-".to_owned(), "-".to_owned(), "-".to_owned()]),
            }
        }
        table.add_row(row);
    }
    right(&mut table);
    table
}

/// Figures stand under each other.
fn right(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Thousandths of a quota per minute that `total` took on average.
fn mean(total: u64, limit: u64, took: Duration) -> u64 {
    let minutes = (took.as_secs_f64() / 60.0).max(1.0);
    (total as f64 * 1_000.0 / (limit.max(1) as f64 * minutes)) as u64
}

fn whole_percent(permille: u64) -> String {
    format!("{} %", permille.saturating_add(5) / 10)
}

fn ratio(of: u64, per: u64) -> String {
    format!("{:.2}", of as f64 / per.max(1) as f64)
}

fn spread(times: &Times) -> String {
    format!("{} (p50), {} (p99)", time(times.percentile(50.0)), time(times.percentile(99.0)))
}

/// A time to about two digits, in the unit that suits it.
fn time(time: Option<Duration>) -> String {
    let Some(time) = time else { return "-".to_owned() };
    match time.as_millis() {
        ms @ 0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", time.as_secs_f64()),
        _ => super::progress::clock(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headline_leaves_out_what_did_not_happen() {
        let tally = Tally { answered: 1_200, failed: 3, ..Tally::default() };
        assert_eq!(headline(&tally, Duration::from_secs(60)), "1,200 answered, 3 failed in 1:00 (20.1/s)");
        let tally = Tally { skipped: 5, faulty: 1, left: 2, ..Tally::default() };
        let line = "0 answered, 0 failed, 5 in the output already, 1 faulty line, 2 left for the next run";
        assert_eq!(headline(&tally, Duration::ZERO), line);
    }

    #[test]
    fn a_short_run_counts_as_a_minute() {
        assert_eq!(mean(50, 100, Duration::from_secs(30)), 500);
        assert_eq!(mean(50, 100, Duration::from_secs(120)), 250);
    }

    #[test]
    fn times_read_well() {
        let times = [0, 999, 1_000, 59_900, 60_000].map(|ms| time(Some(Duration::from_millis(ms))));
        assert_eq!(times, ["0 ms", "999 ms", "1.0 s", "59.9 s", "1:00"]);
    }
}
