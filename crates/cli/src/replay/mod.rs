//! `sluicegate replay`: what another policy would have made of a log.

mod args;
mod log;
mod outcome;
mod page;
mod rebuild;
mod scale;

use std::path::Path;

use comfy_table::{CellAlignment, Table};
use sluicegate_sim::{ClientKind, run_calls};

pub(crate) use args::{ABOUT, ReplayArgs};
use outcome::{Counts, Outcome};

use crate::exit::{Code, Failure};
use crate::files;
use crate::policy_check::{grouped, print, table, tell};

/// The heads of the figures. Each call is in one of the three that end in "now".
const HEADS: [&str; 10] = [
    "calls",
    "answered\nthen",
    "in time\nnow",
    "late\nnow",
    "refused\nnow",
    "refused\nattempts then",
    "refused\nattempts now",
    "attempts\nnow",
    "waited\nover 1 s",
    "median\nwait",
];
/// Rows that a table has in the terminal at most.
const SHOWN: usize = 24;

/// Runs the command.
pub(crate) fn replay(args: &ReplayArgs) -> Result<Code, Failure> {
    let outputs: Vec<(&str, &Path)> = [("--json", &args.json), ("--html", &args.html)]
        .into_iter()
        .filter_map(|(flag, path)| Some((flag, path.as_deref()?)))
        .collect();
    files::apart(&[("the log", &args.log), ("the policy", &args.policy)], &outputs)?;
    let log = log::read(&args.log)?;
    let dated = log.dated;
    let rebuilt = rebuild::rebuild(args, log)?;
    outputs.iter().try_for_each(|(_, path)| files::open(path))?;
    let kind = ClientKind::sluicegate(rebuilt.loaded.policy.clone());
    let played = run_calls(&rebuilt.scenario, &kind, rebuilt.arrivals.clone()).map_err(|error| {
        Failure::new(Code::Usage, format!("{}: {error}", rebuilt.loaded.name))
            .remedy("name the log's tenants under `tenants` in the policy, or none at all")
    })?;
    let outcome = Outcome::new(&rebuilt, &played, dated);
    if let Some(path) = &args.json {
        files::write(path, &format!("{:#}\n", outcome.json(&rebuilt)))?;
    }
    if let Some(path) = &args.html {
        files::write(path, &page::html(&rebuilt, &played, &outcome)?)?;
    }
    let all = outcome.all();
    let mut text = format!("{}\n\n", sentence(&all));
    for (head, rows) in [("tenant", outcome.by_tenant()), (outcome.hours(), outcome.by_hour())] {
        let (rows, left) = busiest(rows);
        text.push_str(&format!("{}\n", figures(head, &rows).trim_fmt()));
        if left > 0 {
            text.push_str(&format!(
                "... and {} with no more calls, which --json and --html show\n",
                grouped(left as u64)
            ));
        }
        text.push('\n');
    }
    text.extend(cut(&rebuilt).map(|cut| format!("{cut}\n")));
    rebuilt.notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
    print(text.as_bytes())?;
    outputs.iter().for_each(|(_, path)| tell(format!("written: {}", path.display())));
    Ok(Code::Done)
}

/// How many answers the smaller cap cuts, in a sentence.
fn cut(rebuilt: &rebuild::Rebuilt) -> Option<String> {
    let calls = grouped(rebuilt.cut);
    (rebuilt.cut > 0).then(|| format!("{calls} of the answers given would have been cut by --max-tokens."))
}

/// The rows with most calls, in their own order, and how many others there are.
fn busiest(mut rows: Vec<(String, Counts)>) -> (Vec<(String, Counts)>, usize) {
    let left = rows.len().saturating_sub(SHOWN);
    if left > 0 {
        let mut calls: Vec<u64> = rows.iter().map(|(_, counts)| counts.calls).collect();
        calls.sort_unstable_by(|one, other| other.cmp(one));
        let least = calls.get(SHOWN - 1).copied().unwrap_or(0);
        // Of those that are equal, the first.
        let mut equal = SHOWN - calls.iter().filter(|calls| **calls > least).count();
        rows.retain(|(_, counts)| {
            let keep = counts.calls > least || (counts.calls == least && equal > 0);
            equal -= usize::from(keep && counts.calls == least);
            keep
        });
    }
    (rows, left)
}

/// What it came to, in a sentence.
fn sentence(all: &Counts) -> String {
    let ([was, _, refused_then], [would, _, refused_now]) = (all.was, all.would);
    format!(
        "Of {} calls {} were answered; under the policy {} would have been in time, {} late and {} refused, after {} refused \
         attempts instead of {}.",
        grouped(all.calls),
        grouped(was),
        grouped(would),
        grouped(all.late),
        grouped(all.given_up),
        grouped(refused_now),
        grouped(refused_then)
    )
}

/// The figures in the order of [`HEADS`].
fn cells(counts: &Counts) -> Vec<String> {
    let ([was, _, refused_then], [would, attempts, refused_now]) = (counts.was, counts.would);
    let wait = counts.wait_p50().div_ceil(100_000);
    let now = [would, counts.late, counts.given_up];
    let numbers =
        [counts.calls, was].into_iter().chain(now).chain([refused_then, refused_now, attempts, counts.waited]);
    let wait = format!("{}.{} s", wait / 10, wait % 10);
    numbers.map(grouped).chain([wait]).collect()
}

fn figures(head: &str, rows: &[(String, Counts)]) -> Table {
    let header: Vec<&str> = std::iter::once(head).chain(HEADS).collect();
    let mut table = table(&header);
    for (name, counts) in rows {
        table.add_row(std::iter::once(name.clone()).chain(cells(counts)));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_shows_the_busiest_in_their_own_order() {
        let row = |number: u64| {
            let mut counts = Counts::default();
            counts.calls = if number == 3 { 9 } else { number % 2 + 1 };
            (number.to_string(), counts)
        };
        let (rows, left) = busiest((0..30).map(row).collect());
        let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names.len(), left), (SHOWN, 6));
        assert_eq!(names[..4], ["0", "1", "2", "3"]);
        // All of those with two calls, and the first of those with one.
        assert_eq!(names[SHOWN - 6..], ["19", "21", "23", "25", "27", "29"]);
        assert_eq!(busiest((0..5).map(row).collect()).1, 0);
    }
}
