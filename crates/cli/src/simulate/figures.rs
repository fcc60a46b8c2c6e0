//! The figures of runs, and their medians over the seeds. All are whole numbers, so that they are the same everywhere.

use serde_json::{Value, json};
use sluicegate_sim::{Figures, Report};

/// One run of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// The seed.
    pub(crate) seed: u64,
    /// What became of the measured calls.
    pub(crate) all: Figures,
    /// Measured calls that a fair queue with full knowledge of the service answers in time.
    pub(crate) fair: u64,
    /// Measured calls that ended, before their deadline, in an error that says that the caller sends too much.
    pub(crate) throttled: u64,
    /// Median time from a call to its refusal by the policy itself, in microseconds.
    pub(crate) refusal_p50: u64,
    /// Calls that the policy itself refused, and those of them that were told when to come back.
    pub(crate) refusals: (u64, u64),
    /// By tenant, in the plan's order: calls, and those answered in time.
    pub(crate) tenants: Vec<(u64, u64)>,
    /// From the end of a shortage of capacity until the service was used in full again, in microseconds.
    pub(crate) full_after: Option<u64>,
    /// Hash of all decisions.
    pub(crate) digest: u64,
    /// Attempts of the whole run, measured or not.
    pub(crate) simulated: u64,
}

impl Row {
    pub(crate) fn new(seed: u64, report: &Report, fair: u64, full_after: Option<u64>) -> Self {
        Self {
            seed,
            all: report.all,
            fair,
            throttled: report.throttled,
            refusal_p50: report.refusals.p50,
            refusals: (report.refusals.count, report.refusals_with_time),
            tenants: report.tenants.iter().map(|(_, figures)| (figures.calls, figures.in_time)).collect(),
            full_after,
            digest: report.digest,
            simulated: report.lanes.iter().map(|lane| lane.attempts).sum(),
        }
    }

    /// Calls answered in time over those of the fair queue, in thousandths, rounded down; none where it answers none.
    pub(crate) fn goodput(&self) -> Option<u64> {
        (self.all.in_time * 1_000).checked_div(self.fair)
    }

    /// Attempts for each call that was answered, in thousandths, rounded up; none where none was.
    pub(crate) fn attempts(&self) -> Option<u64> {
        let answered = self.all.in_time + self.all.late;
        (answered > 0).then(|| (self.all.attempts * 1_000).div_ceil(answered))
    }

    /// The share of attempts refused for quota or capacity, in thousandths, rounded up.
    pub(crate) fn refused(&self) -> u64 {
        (self.all.refused * 1_000).div_ceil(self.all.attempts.max(1))
    }

    /// The share of refusals with a time to come back at, in thousandths, rounded down; 1000 where there are none.
    fn with_time(&self) -> u64 {
        let (refusals, with_time) = self.refusals;
        (with_time * 1_000).checked_div(refusals).unwrap_or(1_000)
    }

    fn json(&self) -> Value {
        json!({
            "seed": self.seed,
            "calls": self.all.calls,
            "in_time": self.all.in_time,
            "late": self.all.late,
            "never": self.all.never,
            "fair": self.fair,
            "attempts": self.all.attempts,
            "refused": self.all.refused,
            "errors": self.all.errors,
            "throttled": self.throttled,
            "refusals": self.refusals.0,
            "wait_p50_us": self.all.waits.p50,
            "wait_p99_us": self.all.waits.p99,
            "full_after_us": self.full_after,
            "digest": format!("{:016x}", self.digest),
        })
    }
}

/// A figure over the seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Middle {
    /// The lowest.
    pub(crate) low: u64,
    /// The median; of an even number, the worse of the two in the middle.
    pub(crate) middle: u64,
    /// The highest.
    pub(crate) high: u64,
}

/// Which of two values is the worse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worse {
    Low,
    High,
}

impl Middle {
    fn of(values: impl Iterator<Item = u64>, worse: Worse) -> Self {
        let mut values: Vec<u64> = values.collect();
        values.sort_unstable();
        let middle = match worse {
            Worse::Low => values.len().saturating_sub(1) / 2,
            Worse::High => values.len() / 2,
        };
        let at = |place: usize| values.get(place).copied().unwrap_or(0);
        Self { low: at(0), middle: at(middle), high: at(values.len().saturating_sub(1)) }
    }

    /// The same where some seeds have no such figure: then there is none.
    fn of_all(values: impl Iterator<Item = Option<u64>>, worse: Worse) -> Option<Self> {
        let values: Vec<u64> = values.collect::<Option<_>>()?;
        Some(Self::of(values.into_iter(), worse))
    }

    fn json(self) -> Value {
        json!({"median": self.middle, "min": self.low, "max": self.high})
    }
}

/// The figures of one policy at one point. Shares and ratios in thousandths, times in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Median {
    /// Where the fair queue answers anything.
    pub(crate) goodput: Option<Middle>,
    /// Where anything is answered.
    pub(crate) attempts: Option<Middle>,
    pub(crate) refused: Middle,
    pub(crate) throttled: Middle,
    pub(crate) wait_p50: Middle,
    pub(crate) wait_p99: Middle,
    pub(crate) refusal_p50: Middle,
    pub(crate) refusals: Middle,
    pub(crate) with_time: Middle,
    /// Where there is a shortage of capacity that ends.
    pub(crate) full_after: Option<Middle>,
    pub(crate) calls: Middle,
    pub(crate) in_time: Middle,
    /// The share of each tenant's calls that was answered in time.
    pub(crate) tenants: Vec<Middle>,
}

impl Median {
    pub(crate) fn of(rows: &[Row]) -> Self {
        let over = |figure: &dyn Fn(&Row) -> u64, worse| Middle::of(rows.iter().map(figure), worse);
        let share = |place: usize| {
            move |row: &Row| row.tenants.get(place).map_or(0, |(calls, in_time)| in_time * 1_000 / (*calls).max(1))
        };
        let tenants = rows.first().map_or(0, |row| row.tenants.len());
        Self {
            goodput: Middle::of_all(rows.iter().map(Row::goodput), Worse::Low),
            attempts: Middle::of_all(rows.iter().map(Row::attempts), Worse::High),
            refused: over(&Row::refused, Worse::High),
            throttled: over(&|row| row.throttled, Worse::High),
            wait_p50: over(&|row| row.all.waits.p50, Worse::High),
            wait_p99: over(&|row| row.all.waits.p99, Worse::High),
            refusal_p50: over(&|row| row.refusal_p50, Worse::High),
            refusals: over(&|row| row.refusals.0, Worse::High),
            with_time: over(&Row::with_time, Worse::Low),
            full_after: Middle::of_all(rows.iter().map(|row| row.full_after), Worse::High),
            calls: over(&|row| row.all.calls, Worse::Low),
            in_time: over(&|row| row.all.in_time, Worse::Low),
            tenants: (0..tenants).map(|place| over(&share(place), Worse::Low)).collect(),
        }
    }

    /// The figures and the runs they are from.
    pub(crate) fn json(&self, policy: &str, rows: &[Row]) -> Value {
        json!({
            "policy": policy,
            "goodput_permille": self.goodput.map(Middle::json),
            "attempts_per_success_permille": self.attempts.map(Middle::json),
            "refused_permille": self.refused.json(),
            "throttled": self.throttled.json(),
            "wait_p50_us": self.wait_p50.json(),
            "wait_p99_us": self.wait_p99.json(),
            "refusal_p50_us": self.refusal_p50.json(),
            "refusals_with_time_permille": self.with_time.json(),
            "full_after_us": self.full_after.map(Middle::json),
            "tenants_in_time_permille": self.tenants.iter().map(|tenant| tenant.json()).collect::<Vec<_>>(),
            "runs": rows.iter().map(Row::json).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_in_the_middle_the_worse_one_counts() {
        let over = |values: &[u64], worse| Middle::of(values.iter().copied(), worse);
        assert_eq!(over(&[4, 1, 3, 2], Worse::Low), Middle { low: 1, middle: 2, high: 4 });
        assert_eq!(over(&[4, 1, 3, 2], Worse::High), Middle { low: 1, middle: 3, high: 4 });
        assert_eq!(over(&[5, 1, 3], Worse::Low).middle, 3);
        assert_eq!(over(&[], Worse::High), Middle::default());
    }

    #[test]
    fn ratios_are_rounded_against_the_policy() {
        let all = Figures { calls: 10, in_time: 6, late: 1, never: 3, attempts: 8, refused: 1, ..Figures::default() };
        let row = Row { all, fair: 7, ..Row::default() };
        assert_eq!((row.goodput(), row.attempts(), row.refused()), (Some(857), Some(1_143), 125));
        let nothing = Row::default();
        assert_eq!((nothing.goodput(), nothing.attempts(), nothing.refused()), (None, None, 0));
        assert_eq!(Median::of(&[row, nothing]).goodput, None, "of one seed there is none");
    }
}
