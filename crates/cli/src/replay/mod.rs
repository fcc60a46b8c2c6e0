//! `sluicegate replay`: what another policy would have made of a log.

mod args;
mod log;
mod outcome;
mod page;
mod rebuild;

use comfy_table::{CellAlignment, Table};
use sluicegate_sim::{ClientKind, run_calls};

pub(crate) use args::{ABOUT, ReplayArgs};
use outcome::{Counts, Outcome};

use crate::exit::{Code, Failure};
use crate::files;
use crate::policy_check::{grouped, print, table, tell};

/// The heads of the figures.
const HEADS: [&str; 8] = [
    "calls",
    "answered\nthen",
    "answered\nin time now",
    "refused\nattempts then",
    "refused\nattempts now",
    "attempts\nnow",
    "waited\nover 1 s",
    "median\nwait",
];

/// Runs the command.
pub(crate) fn replay(args: &ReplayArgs) -> Result<Code, Failure> {
    let log = log::read(&args.log)?;
    let dated = log.dated;
    let rebuilt = rebuild::rebuild(args, log)?;
    let outputs = || [&args.json, &args.html].into_iter().flatten();
    outputs().try_for_each(|path| files::open(path))?;
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
    for (head, rows) in [("tenant", outcome.by_tenant()), ("hour (UTC)", outcome.by_hour())] {
        text.push_str(&format!("{}\n\n", figures(head, &rows).trim_fmt()));
    }
    if rebuilt.cut > 0 {
        text.push_str(&format!("{} answers would have been cut by --max-tokens\n", grouped(rebuilt.cut)));
    }
    rebuilt.notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
    print(text.as_bytes())?;
    outputs().for_each(|path| tell(format!("written: {}", path.display())));
    Ok(Code::Done)
}

/// What it came to, in a sentence.
fn sentence(all: &Counts) -> String {
    let ([was, _, refused_then], [would, _, refused_now]) = (all.was, all.would);
    format!(
        "Of {} calls {} were answered; under the policy {} would have been in time, and refused attempts would have been {} \
         instead of {}.",
        grouped(all.calls),
        grouped(was),
        grouped(would),
        grouped(refused_now),
        grouped(refused_then)
    )
}

/// The figures in the order of [`HEADS`].
fn cells(counts: &Counts) -> Vec<String> {
    let ([was, _, refused_then], [would, attempts, refused_now]) = (counts.was, counts.would);
    let wait = counts.wait_p50().div_ceil(100_000);
    let numbers = [counts.calls, was, would, refused_then, refused_now, attempts, counts.waited];
    let wait = format!("{}.{} s", wait / 10, wait % 10);
    numbers.into_iter().map(grouped).chain([wait]).collect()
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
