//! What stands on the terminal at the end.

use comfy_table::{Cell, CellAlignment, Table};

use super::measure::{Criterion, Measured};
use super::scenario::Oracle;
use crate::policy_check::{grouped, table};

/// The table of clients, the table of Regions and the verdict.
pub(crate) fn text(oracle: &Oracle, clients: &[Measured], criteria: &[Criterion]) -> String {
    let versions = clients.iter().filter_map(|client| Some((client.kind.name(), client.versions.as_deref()?)));
    let versions: String = versions.map(|(name, versions)| format!("{name}: {versions}\n")).collect();
    let (clients, regions) = (by_client(oracle, clients).trim_fmt(), by_region(clients).trim_fmt());
    format!("{clients}\n\n{regions}\n\n{versions}{}", verdict(criteria))
}

fn by_client(oracle: &Oracle, clients: &[Measured]) -> Table {
    let mut table = table(&[
        "client",
        "answered\nin time",
        "goodput\n(oracle = 1)",
        "attempts\nper answer",
        "refused\nin all",
        "refused while\nquotas bind",
        "wait\np50",
        "wait\np99",
    ]);
    for client in clients {
        table.add_row(cells(client, oracle));
    }
    let mut row = |name: &str, count: u64| {
        let ratio = count as f64 / oracle.in_time.max(1) as f64;
        table.add_row([name.to_owned(), grouped(count), format!("{ratio:.3}")]);
    };
    row("oracle", oracle.in_time);
    row("upper bound", oracle.upper_bound);
    right(&mut table);
    table
}

/// The figures of one client, in the order of the table's columns.
pub(crate) fn cells(client: &Measured, oracle: &Oracle) -> [String; 8] {
    let wait = |permille| client.wait(permille).map_or_else(|| "-".to_owned(), |wait| format!("{wait:.1} s"));
    [
        client.kind.name().to_owned(),
        grouped(client.summary.in_time),
        format!("{:.3}", client.goodput(oracle)),
        format!("{:.2}", client.attempts_per_answer()),
        percent(client.refused_share()),
        percent(client.quota_refused_share()),
        wait(500),
        wait(990),
    ]
}

fn by_region(clients: &[Measured]) -> Table {
    let regions = clients.first().map(|client| client.regions.as_slice()).unwrap_or_default();
    let head = regions.iter().map(|counts| format!("{}\nanswered / attempts", counts.region));
    let header: Vec<String> = std::iter::once("client".to_owned()).chain(head).collect();
    let mut table = table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    for client in clients {
        let counts =
            client.regions.iter().map(|counts| format!("{} / {}", grouped(counts.answered), grouped(counts.attempts)));
        table.add_row(std::iter::once(client.kind.name().to_owned()).chain(counts).map(Cell::new));
    }
    right(&mut table);
    table
}

fn right(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn verdict(criteria: &[Criterion]) -> String {
    let mut text = String::new();
    for Criterion { client, promise, measured, holds } in criteria {
        let word = if *holds { "PASS" } else { "MISS" };
        text.push_str(&format!("{word}  {client} {promise}: {measured}\n"));
    }
    text
}

/// A share as `1.23 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}
