//! What stands on the terminal, and the same as Markdown for keeping.

use comfy_table::{CellAlignment, Table};
use sluicegate_sim::Oracle;

use super::figures::{Median, Middle};
use super::play::Outcome;
use crate::policy_check::{grouped, table};

/// One line of figures.
pub(crate) struct Line {
    /// The value of each axis.
    pub(crate) settings: Vec<String>,
    /// The policy, and whether it is the one that the goal is for.
    pub(crate) policy: String,
    /// The figures.
    pub(crate) cells: Vec<String>,
    /// What became of the goal: holds, missed, or nothing was claimed.
    pub(crate) verdict: Option<bool>,
    /// Its figures as numbers.
    pub(crate) median: Median,
}

/// The heads of the figures that every plan has.
const HEADS: [&str; 10] = [
    "goodput",
    "lowest - highest",
    "all-knowing",
    "upper bound",
    "attempts per success",
    "refused",
    "wait p50",
    "wait p99",
    "refused after p50",
    "in time of calls",
];

/// The heads of a plan's figures.
pub(crate) fn heads(outcome: &Outcome) -> Vec<String> {
    let mut heads = HEADS.map(str::to_owned).to_vec();
    heads.extend(has_shortage(outcome).then(|| "in full use after".to_owned()));
    heads.extend(outcome.plan.tenants.iter().map(|tenant| format!("{tenant} in time")));
    heads
}

fn has_shortage(outcome: &Outcome) -> bool {
    let mut medians = outcome.points.iter().flat_map(|point| &point.policies);
    medians.any(|(median, _)| median.full_after.is_some())
}

/// Every point and policy of a plan.
pub(crate) fn lines(outcome: &Outcome) -> Vec<Line> {
    let plan = &outcome.plan;
    let shortage = has_shortage(outcome);
    let mut lines = Vec::new();
    for (point, figures) in plan.points.iter().zip(&outcome.points) {
        for (place, (policy, (median, _))) in plan.policies.iter().zip(&figures.policies).enumerate() {
            let goal = plan.goal.as_ref().filter(|goal| goal.policy == place);
            lines.push(Line {
                settings: point.settings.iter().map(super::sweep::Setting::text).collect(),
                policy: policy.clone(),
                cells: cells(median, figures.oracle.as_ref(), shortage),
                verdict: goal.map(|goal| goal.check(median).iter().all(|check| check.holds)),
                median: median.clone(),
            });
        }
    }
    lines
}

fn cells(median: &Median, oracle: Option<&Oracle>, shortage: bool) -> Vec<String> {
    let nothing = || "-".to_owned();
    let admitted = median.in_time.high > 0 || median.wait_p50.high > 0;
    let wait = |wait: Middle| if admitted { seconds(wait.middle) } else { nothing() };
    // What others could answer, in the unit of goodput.
    let beside_fair = |answered: fn(&Oracle) -> Option<u64>| {
        let share = oracle.and_then(|oracle| (answered(oracle)? * 1_000).checked_div(oracle.fair));
        share.map_or_else(nothing, ratio)
    };
    let mut cells = vec![
        median.goodput.map_or_else(nothing, |goodput| ratio(goodput.middle)),
        median.goodput.map_or_else(nothing, |goodput| format!("{} - {}", ratio(goodput.low), ratio(goodput.high))),
        beside_fair(|oracle| Some(oracle.clairvoyant)),
        beside_fair(|oracle| oracle.upper_bound),
        median.attempts.map_or_else(nothing, |attempts| ratio(attempts.middle)),
        percent(median.refused.middle),
        wait(median.wait_p50),
        wait(median.wait_p99),
        if median.refusals.middle > 0 { seconds(median.refusal_p50.middle) } else { nothing() },
        format!("{} / {}", grouped(median.in_time.middle), grouped(median.calls.middle)),
    ];
    if shortage {
        cells.push(median.full_after.map_or_else(nothing, |after| seconds(after.middle)));
    }
    cells.extend(median.tenants.iter().map(|share| ratio(share.middle)));
    cells
}

/// Thousandths as `0.981`.
pub(crate) fn ratio(permille: u64) -> String {
    format!("{}.{:03}", permille / 1_000, permille % 1_000)
}

/// Thousandths as `1.5 %`.
pub(crate) fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// Microseconds as `1.2 s`, rounded up.
pub(crate) fn seconds(us: u64) -> String {
    let tenths = us.div_ceil(100_000);
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// In a word, whether a claim holds.
pub(crate) const fn word(holds: bool) -> &'static str {
    if holds { "holds" } else { "MISSED" }
}

/// What a plan claims and what of it holds, in one line; empty if it claims nothing.
pub(crate) fn verdict(outcome: &Outcome) -> String {
    let Some(goal) = &outcome.plan.goal else { return String::new() };
    let (missed, all) = super::misses(outcome);
    let first = outcome.points.first().and_then(|point| point.policies.get(goal.policy));
    let claims: Vec<String> =
        first.map_or_else(Vec::new, |(median, _)| goal.check(median).into_iter().map(|check| check.claim).collect());
    let claims = claims.join(", ");
    let policy = outcome.plan.policies.get(goal.policy).map_or("", String::as_str);
    match (missed, &goal.known_miss) {
        (0, None) => format!("holds at {}: {policy}: {claims}", points(all)),
        (0, Some(_)) => format!("holds at {}, take `known_miss` out: {policy}: {claims}", points(all)),
        (missed, None) => format!("MISSED at {missed} of {}: {policy}: {claims}", points(all)),
        (missed, Some(why)) => {
            let (why, points) = (why.trim().replace('\n', " "), points(all));
            format!("MISSED at {missed} of {points} (known: {why}): {policy}: {claims}")
        }
    }
}

fn points(number: usize) -> String {
    if number == 1 { "1 point".to_owned() } else { format!("{number} points") }
}

/// The heads on a terminal, and which of them stand where there is no room for all.
const ON_TERMINAL: [(&str, bool); 10] = [
    ("goodput", true),
    ("lowest -\nhighest", false),
    ("all-\nknowing", false),
    ("upper\nbound", false),
    ("attempts\nper success", true),
    ("refused", true),
    ("wait\np50", true),
    ("wait\np99", false),
    ("refused\nafter p50", false),
    ("in time\nof calls", true),
];

/// For a terminal, with all figures or with the main ones.
fn figures(outcome: &Outcome, all: bool) -> String {
    let plan = &outcome.plan;
    // What only some plans have is what they are about.
    let stands = |place: usize| all || ON_TERMINAL.get(place).is_none_or(|head| head.1);
    let heads: Vec<String> = (self::heads(outcome).into_iter().enumerate())
        .filter(|(place, _)| stands(*place))
        .map(|(place, head)| match ON_TERMINAL.get(place) {
            Some((head, _)) => (*head).to_owned(),
            None => head.replacen(" in ", "\nin ", 1).replacen("in full use", "in full\nuse", 1),
        })
        .collect();
    let mut header: Vec<&str> = plan.axes.iter().map(|axis| axis.name.as_str()).collect();
    header.push("policy");
    header.extend(heads.iter().map(String::as_str));
    header.push("goal");
    let mut table: Table = table(&header);
    for line in lines(outcome) {
        let verdict = line.verdict.map_or("", word).to_owned();
        let cells = line.cells.into_iter().enumerate().filter(|(place, _)| stands(*place)).map(|(_, cell)| cell);
        table.add_row(line.settings.into_iter().chain([line.policy]).chain(cells).chain([verdict]).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut().skip(plan.axes.len() + 1).take(heads.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    if !all {
        table.column_iter_mut().for_each(|column| {
            column.set_padding((0, 1));
        });
    }
    table.trim_fmt()
}

/// For a terminal of so many columns, or for a file.
pub(crate) fn text(outcome: &Outcome, width: Option<usize>) -> String {
    let plan = &outcome.plan;
    let mut table = figures(outcome, true);
    if width.is_some_and(|width| table.lines().any(|line| line.chars().count() > width)) {
        table = format!("{}\n\nA wider terminal, --html and --json show more figures.", figures(outcome, false));
    }
    let seeds = if plan.seeds == 1 { "1 seed".to_owned() } else { format!("{} seeds", plan.seeds) };
    let verdict = verdict(outcome);
    let verdict = if verdict.is_empty() { verdict } else { format!("\n{verdict}\n") };
    format!("{} ({}, {seeds})\n\n{table}\n{verdict}", plan.title, plan.name)
}

/// As Markdown.
pub(crate) fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "# Figures of the plans\n\nWritten by `sluicegate simulate --figures`; CI compares them with what the plans give \
         now. After a change of behaviour that is meant, write them anew and let the diff be read: see README.md.\n\n\
         Goodput is calls answered by their deadline over those of a fair queue that knows the service. Figures are medians \
         over the seeds; of an even number of seeds, the worse of the two in the middle. Rounded against the policy.\n\n\
         Beside it, in the same unit and for seed 1: what the best schedule answers that knows every call, answer and \
         fault beforehand, and what no schedule can exceed. README.md says how the three differ.\n",
    );
    for outcome in outcomes {
        let plan = &outcome.plan;
        text.push_str(&format!("\n## {}\n\n{}, {} seeds.\n", plan.name, plan.title.trim_end_matches('.'), plan.seeds));
        let verdict = verdict(outcome);
        if !verdict.is_empty() {
            text.push_str(&format!("\nGoal: {verdict}\n"));
        }
        text.push('\n');
        let mut heads: Vec<String> = plan.axes.iter().map(|axis| axis.name.clone()).collect();
        heads.push("policy".to_owned());
        let left = heads.len();
        heads.extend(self::heads(outcome));
        heads.push("goal".to_owned());
        text.push_str(&format!("| {} |\n", heads.join(" | ")));
        let rules = (0..heads.len()).map(|place| if place < left || place + 1 == heads.len() { "---" } else { "---:" });
        text.push_str(&format!("|{}|\n", rules.collect::<Vec<_>>().join("|")));
        for line in lines(outcome) {
            let verdict = line.verdict.map_or("", word).to_owned();
            let cells = line.settings.into_iter().chain([line.policy]).chain(line.cells).chain([verdict]);
            text.push_str(&format!("| {} |\n", cells.collect::<Vec<_>>().join(" | ")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_without_binary_fractions() {
        assert_eq!([ratio(981), ratio(1_020), ratio(12_005)], ["0.981", "1.020", "12.005"]);
        assert_eq!([percent(0), percent(15), percent(1_000)], ["0.0 %", "1.5 %", "100.0 %"]);
        assert_eq!([seconds(0), seconds(1), seconds(1_200_000)], ["0.0 s", "0.1 s", "1.2 s"]);
    }
}
