//! The report of a replay.

use std::fmt::Write as _;
use std::path::Path;

use plotters::prelude::RGBColor;
use sluicegate_sim::Played;

use super::outcome::Counts;
use super::rebuild::Rebuilt;
use super::scale::Scale;
use super::{HEADS, Outcome, cells, cut, sentence};
use crate::draw::{Line, QUIET, top};
use crate::exit::Failure;
use crate::page::{self, NARROW, WIDE, both, command, escape};
use crate::policy_check::grouped;

/// Refused attempts; `--bad` of the style sheet.
const BAD: RGBColor = RGBColor(0xB3, 0x26, 0x1E);
/// Answered calls; `--sluicegate`.
const ANSWERED: RGBColor = RGBColor(0x00, 0x72, 0xB2);
/// A table with more rows is folded.
const FOLDED: usize = 24;
/// Rows of a table at most.
const MOST_ROWS: usize = 2_000;
const STYLE: &str = "h1 { overflow-wrap: anywhere; }\nh3 { font-size: 1rem; margin: 28px 0 4px; }\n\
     summary { font-weight: 650; margin: 28px 0 4px; cursor: pointer; }\n\
     .plot [stroke=\"#B3261E\"] { stroke: var(--bad); }\n.plot [fill=\"#B3261E\"] { fill: var(--bad); }\n\
     .scroll { margin: 16px 0; }\ntable { font-size: 0.9rem; }\n\
     thead th { white-space: nowrap; }\nth, td { padding: 8px 7px; }\n.text { text-align: left; }\n";

/// The page.
pub(crate) fn html(rebuilt: &Rebuilt, played: &Played, outcome: &Outcome) -> Result<String, Failure> {
    let all = outcome.all();
    let mut body = String::new();
    let _ = writeln!(
        body,
        "<h1>{}</h1>\n<p class=\"lead\">{}</p>",
        escape(&format!("What {} would have done", file_name(&rebuilt.loaded.name))),
        escape(&sentence(&all))
    );
    if let Some(cut) = cut(rebuilt) {
        let _ = writeln!(body, "<p>{}</p>", escape(&cut));
    }
    let scale = Scale::new(rebuilt, played, outcome.dated);
    let clock = if outcome.dated { "UTC" } else { "hours and minutes of the log" };
    let (made, was, refused) = logged(rebuilt, &scale);
    let (answered, refusals) = simulated(rebuilt, played, &scale);
    let highest =
        top(&[scale.line(&made, QUIET, ""), scale.line(&refused, BAD, ""), scale.line(&refusals, BAD, "")]) * 1.08;
    for (head, answered, refused) in [("As it was", was, refused), ("Under the policy", answered, refusals)] {
        let lines = [
            Line { filled: true, ..scale.line(&made, QUIET, "made") },
            scale.line(&refused, BAD, "refused"),
            Line { width: 3, ..scale.line(&answered, ANSWERED, "answered") },
        ];
        let plot = |width| scale.plot(&lines, highest, width);
        let _ = writeln!(body, "<h3>{head}: calls made and answered, attempts refused, a minute ({clock})</h3>");
        body.push_str(&both(&plot(WIDE)?, &plot(NARROW)?));
    }
    let one = |rows: Vec<(String, Counts)>| rows.into_iter().map(|(name, counts)| (vec![name], counts)).collect();
    body.push_str(&table("By tenant", &["tenant"], one(outcome.by_tenant())));
    body.push_str(&table("By hour", &[outcome.hours()], one(outcome.by_hour())));
    let cross = outcome.by_hour_and_tenant().map(|(hour, tenant, counts)| (vec![hour, tenant], counts.clone()));
    body.push_str(&table("By hour and tenant", &[outcome.hours(), "tenant"], cross.collect()));
    body.push_str("<h3>What was assumed</h3>\n<ul>\n");
    for note in &rebuilt.notes {
        let _ = writeln!(body, "<li>{}</li>", escape(note));
    }
    let _ = writeln!(
        body,
        "</ul>\n<pre>{}</pre>\n<footer>sluicegate {}</footer>",
        escape(&command()),
        env!("CARGO_PKG_VERSION")
    );
    Ok(page::document("sluicegate replay", STYLE, &body))
}

/// The last part of a path: a page is not as wide as one may be long.
fn file_name(path: &str) -> String {
    Path::new(path).file_name().map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

fn table(head: &str, first: &[&str], rows: Vec<(Vec<String>, Counts)>) -> String {
    let mut text = match rows.len() > FOLDED {
        true => format!("<details><summary>{head}: {} rows</summary>\n", grouped(rows.len() as u64)),
        false => format!("<h3>{head}</h3>\n"),
    };
    text.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for (place, head) in first.iter().chain(&HEADS).enumerate() {
        let class = if place < first.len() { " class=\"text\"" } else { "" };
        let _ = write!(text, "<th{class}>{}</th>", head.replace('\n', "<br>"));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for (names, counts) in rows.iter().take(MOST_ROWS) {
        text.push_str("<tr>");
        for (place, name) in names.iter().enumerate() {
            let (open, close) = if place == 0 { ("th scope=\"row\"", "th") } else { ("td class=\"text\"", "td") };
            let _ = write!(text, "<{open}>{}</{close}>", escape(name));
        }
        for cell in cells(counts) {
            let _ = write!(text, "<td>{cell}</td>");
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table></div>\n");
    if rows.len() > MOST_ROWS {
        let _ = writeln!(text, "<p>The first {MOST_ROWS} are here; --json has all.</p>");
    }
    if rows.len() > FOLDED {
        text.push_str("</details>\n");
    }
    text
}

fn logged(rebuilt: &Rebuilt, scale: &Scale) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
    let empty = || vec![0; scale.parts()];
    let (mut made, mut answered, mut refused) = (empty(), empty(), empty());
    for call in &rebuilt.logged {
        let at = call.at_us.saturating_sub(rebuilt.origin_us);
        scale.count(&mut made, at, 1);
        scale.count(&mut refused, at, call.refused);
        if call.answered {
            scale.count(&mut answered, at.saturating_add(call.took_us.unwrap_or(0)), 1);
        }
    }
    (made, answered, refused)
}

fn simulated(rebuilt: &Rebuilt, played: &Played, scale: &Scale) -> (Vec<u64>, Vec<u64>) {
    let (mut answered, mut refused) = (vec![0; scale.parts()], vec![0; scale.parts()]);
    for (arrival, fate) in played.arrivals.iter().zip(&played.fates) {
        if let Some(at) = fate.completed.filter(|at| *at <= rebuilt.scenario.due(arrival)) {
            scale.count(&mut answered, at.as_micros(), 1);
        }
        // When each was refused is not kept; most are near the call.
        scale.count(&mut refused, arrival.at.as_micros(), u64::from(fate.refused));
    }
    (answered, refused)
}
