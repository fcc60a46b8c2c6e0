//! The report of a replay.

use std::fmt::Write as _;

use plotters::prelude::*;
use sluicegate_sim::Played;

use super::outcome::Counts;
use super::rebuild::Rebuilt;
use super::{HEADS, Outcome, cells, sentence};
use crate::draw::{FINE, Line, QUIET, Sheet, draw, mesh, svg, top};
use crate::exit::Failure;
use crate::page::{self, NARROW, WIDE, both, command, escape};

/// Refused attempts; `--bad` of the style sheet.
const BAD: RGBColor = RGBColor(0xB3, 0x26, 0x1E);
/// Answered calls; `--sluicegate`.
const ANSWERED: RGBColor = RGBColor(0x00, 0x72, 0xB2);
/// Points of a line at most.
const MOST_POINTS: u64 = 120;
/// Calls that a point of a line stands for, at least on average.
const LEAST_CALLS: u64 = 6;
const STYLE: &str = "h3 { font-size: 1rem; margin: 28px 0 4px; }\n.plot [stroke=\"#B3261E\"] { stroke: var(--bad); }\n\
     .plot [fill=\"#B3261E\"] { fill: var(--bad); }\n.scroll { margin: 16px 0; }\ntable { font-size: 0.9rem; }\n";

/// The page.
pub(crate) fn html(rebuilt: &Rebuilt, played: &Played, outcome: &Outcome) -> Result<String, Failure> {
    let all = outcome.all();
    let mut body = String::new();
    let _ = writeln!(
        body,
        "<h1>{}</h1>\n<p class=\"lead\">{}</p>",
        escape(&format!("What {} would have done", rebuilt.loaded.name)),
        escape(&sentence(&all))
    );
    let scale = Scale::new(rebuilt);
    let (made, was, refused) = logged(rebuilt, &scale);
    let (answered, refusals) = simulated(rebuilt, played, &scale);
    let highest =
        top(&[line(&scale, &made, QUIET, ""), line(&scale, &refused, BAD, ""), line(&scale, &refusals, BAD, "")])
            * 1.08;
    for (head, answered, refused) in [("As it was", was, refused), ("Under the policy", answered, refusals)] {
        let lines = [
            Line { filled: true, ..line(&scale, &made, QUIET, "made") },
            line(&scale, &refused, BAD, "refused"),
            Line { width: 3, ..line(&scale, &answered, ANSWERED, "answered") },
        ];
        let plot = |width| scale.plot(&lines, highest, width);
        let _ = writeln!(body, "<h3>{head}: calls made and answered, attempts refused, a minute</h3>");
        body.push_str(&both(&plot(WIDE)?, &plot(NARROW)?));
    }
    body.push_str(&table("By tenant", "tenant", &outcome.by_tenant()));
    body.push_str(&table("By hour", "hour (UTC)", &outcome.by_hour()));
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

fn table(head: &str, first: &str, rows: &[(String, Counts)]) -> String {
    let mut text = format!("<h3>{head}</h3>\n<div class=\"scroll\"><table>\n<thead><tr><th>{first}</th>");
    for head in HEADS {
        let _ = write!(text, "<th>{}</th>", head.replace('\n', "<br>"));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for (name, counts) in rows {
        let _ = write!(text, "<tr><th scope=\"row\">{}</th>", escape(name));
        for cell in cells(counts) {
            let _ = write!(text, "<td>{cell}</td>");
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table></div>\n");
    text
}

/// Time cut into equal parts.
struct Scale {
    part_us: u64,
    parts: usize,
}

impl Scale {
    fn new(rebuilt: &Rebuilt) -> Self {
        let span = rebuilt.scenario.measured_us;
        let calls = (rebuilt.logged.len() as u64 / LEAST_CALLS).clamp(1, MOST_POINTS);
        let part_us = (span / calls).max(1_000_000);
        Self { part_us, parts: usize::try_from(span / part_us).unwrap_or(0) + 1 }
    }

    fn count(&self, counts: &mut [u64], at_us: u64, number: u64) {
        let part = usize::try_from(at_us / self.part_us).unwrap_or(usize::MAX).min(self.parts - 1);
        if let Some(count) = counts.get_mut(part) {
            *count += number;
        }
    }

    fn plot(&self, lines: &[Line], top: f64, width: u32) -> Result<String, Failure> {
        let sheet =
            Sheet { size: (width, 260), right: 84, alt: "calls made and answered and attempts refused per minute" };
        let end = self.part_us as f64 * self.parts as f64 / 60e6;
        let unit = if end > 600.0 { (60.0, "h") } else { (1.0, "min") };
        svg(&sheet, |area| {
            let mut chart = ChartBuilder::on(area)
                .margin_top(10 * FINE)
                .margin_right(sheet.right * FINE)
                .x_label_area_size(30 * FINE)
                .y_label_area_size(54 * FINE)
                .build_cartesian_2d(0.0..end, 0.0..top)?;
            let x = |value: &f64| format!("{} {}", (value / unit.0 * 10.0).round() / 10.0, unit.1);
            mesh(&mut chart, width, &x, &|value| format!("{value:.0}"))?;
            draw(area, &mut chart, lines)
        })
    }
}

fn line(scale: &Scale, counts: &[u64], colour: RGBColor, label: &str) -> Line {
    let minutes = scale.part_us as f64 / 60e6;
    let point = |(part, count): (usize, &u64)| ((part as f64 + 0.5) * minutes, *count as f64 / minutes);
    Line::new(counts.iter().enumerate().map(point).collect(), colour, 2, label.to_owned())
}

fn logged(rebuilt: &Rebuilt, scale: &Scale) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
    let empty = || vec![0; scale.parts];
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
    let (mut answered, mut refused) = (vec![0; scale.parts], vec![0; scale.parts]);
    for (arrival, fate) in played.arrivals.iter().zip(&played.fates) {
        if let Some(at) = fate.completed.filter(|at| *at <= rebuilt.scenario.due(arrival)) {
            scale.count(&mut answered, at.as_micros(), 1);
        }
        // When each was refused is not kept; most are near the call.
        scale.count(&mut refused, arrival.at.as_micros(), u64::from(fate.refused));
    }
    (answered, refused)
}
