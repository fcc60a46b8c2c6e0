//! The plots of the comparison.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use sluicegate_sim::{Second, Sorted};

use super::clients::Kind;
use super::measure::Measured;
use super::scenario::{Oracle, Scenario};
use crate::draw::{FINE, INK, Line, PAUSE, QUIET, Sheet, TEXT, TROUBLE, draw, frame, mesh, smooth, svg, text, top};
use crate::exit::Failure;

/// Seconds over which rates are averaged.
pub(crate) const SMOOTH: usize = 15;
/// How the lines of the Regions differ: by an opacity, for which the style sheet has a dash, and how a label shows it.
const REGION_STYLES: [(f64, &str); 3] = [(1.0, "—"), (0.9, "- -"), (0.8, "···")];
/// Height of a row above a plot that names the phases.
const HEAD: i32 = 17 * FINE;

/// Of Okabe and Ito's palette, which most colour-blind people can tell apart; those who join have others.
const fn colour(kind: Kind) -> RGBColor {
    match kind {
        Kind::Article => RGBColor(0xD5, 0x5E, 0x00),
        Kind::SdkStandard => RGBColor(0x00, 0x9E, 0x73),
        Kind::SdkAdaptive => RGBColor(0xCC, 0x79, 0xA7),
        Kind::Boto3Standard => RGBColor(0xB3, 0x8F, 0x00),
        Kind::Boto3Adaptive => RGBColor(0x7A, 0x5C, 0x3E),
        Kind::LiteLlm => RGBColor(0x6B, 0x4F, 0xC8),
        Kind::SluicegatePython => RGBColor(0x2E, 0x9A, 0xD0),
        Kind::Sluicegate => RGBColor(0x00, 0x72, 0xB2),
    }
}

/// Calls answered in time, second by second.
pub(crate) fn goodput(
    scenario: &Scenario,
    oracle: &Oracle,
    clients: &[Measured],
    width: u32,
) -> Result<String, Failure> {
    let mut lines =
        vec![Line { filled: true, ..Line::new(smooth(&oracle.by_second, SMOOTH), QUIET, 1, "oracle".to_owned()) }];
    lines.extend(clients.iter().map(|client| {
        let width = if client.kind == Kind::Sluicegate { 3 } else { 2 };
        let points = smooth(&client.per_second(|row| row.in_time), SMOOTH);
        Line::new(points, colour(client.kind), width, client.kind.name().to_owned())
    }));
    let sheet = Sheet { size: (width, 360), right: room(&lines), alt: "calls answered in time per second, by client" };
    let top = top(&lines) * 1.08;
    timeline(&sheet, scenario, top, &|value| format!("{value:.0}"), &lines)
}

/// Attempts refused, second by second, for one client; `top` is the same for all.
pub(crate) fn refusals(scenario: &Scenario, client: &Measured, top: f64) -> Result<String, Failure> {
    let counts = client.per_second(|row| row.refused);
    let points = counts.iter().enumerate().map(|(second, count)| (second as f64 + 0.5, f64::from(*count))).collect();
    let line = Line { filled: true, ..Line::new(points, colour(client.kind), 1, String::new()) };
    let sheet = Sheet { size: (440, 200), right: 12, alt: "attempts refused per second" };
    timeline(&sheet, scenario, top.max(1.0), &|value| format!("{value:.0}"), &[line])
}

/// The most refusals in any second of any client.
pub(crate) fn most_refusals(clients: &[Measured]) -> f64 {
    let most = clients.iter().flat_map(|client| client.per_second(|row| row.refused)).max();
    f64::from(most.unwrap_or(0)) * 1.08
}

/// What is left of the request quota in each Region, for one client.
pub(crate) fn quota(scenario: &Scenario, client: &Measured) -> Result<String, Failure> {
    let lines =
        client.seconds.iter().zip(&client.regions).zip(REGION_STYLES).map(|((rows, region), (opacity, dash))| {
            let level = |row: &Second| row.requests_permille.map(|permille| permille.max(0) as f64 / 10.0);
            let point = |(second, row): (usize, &Second)| Some((second as f64 + 1.0, level(row)?));
            let points = rows.iter().enumerate().filter_map(point).collect();
            Line { opacity, ..Line::new(points, colour(client.kind), 2, format!("{dash} {}", region.region)) }
        });
    let sheet = Sheet { size: (440, 200), right: 104, alt: "requests left of the minute's quota, by Region" };
    timeline(&sheet, scenario, 100.0, &|value| format!("{value:.0} %"), &lines.collect::<Vec<_>>())
}

/// The share of calls admitted within a time after their arrival. Calls that never were keep a curve below 100 %.
pub(crate) fn waits(scenario: &Scenario, oracle: &Oracle, clients: &[Measured], width: u32) -> Result<String, Failure> {
    let end = scenario.deadline().as_secs_f64();
    let mut lines = vec![wait("oracle", QUIET, &oracle.waits, oracle.calls, end)];
    lines.extend(clients.iter().map(|client| {
        let line = wait(client.kind.name(), colour(client.kind), &client.summary.waits, client.summary.calls, end);
        Line { width: if client.kind == Kind::Sluicegate { 3 } else { 2 }, ..line }
    }));
    let alt = "share of calls admitted within a time of their arrival";
    let sheet = Sheet { size: (width, 320), right: room(&lines), alt };
    svg(&sheet, |area| {
        let mut chart = frame(area, &sheet, 0.0..end, 100.0)?;
        mesh(&mut chart, sheet.size.0, &|value| format!("{value:.0} s"), &|value| format!("{value:.0} %"))?;
        draw(area, &mut chart, &lines)
    })
}

fn wait(name: &str, colour: RGBColor, waits: &Sorted, calls: u64, end: f64) -> Line {
    let (waits, calls) = (waits.as_slice(), calls.max(1) as f64);
    let mut points = vec![(0.0, 0.0)];
    // A few hundred points draw the same curve as thousands.
    let step = waits.len().div_ceil(300).max(1);
    let last = waits.len().saturating_sub(1);
    let kept = waits.iter().enumerate().filter(|(rank, _)| rank % step == 0 || *rank == last);
    points.extend(kept.map(|(rank, us)| ((*us as f64 / 1e6).min(end), (rank + 1) as f64 * 100.0 / calls)));
    let share = points.last().map_or(0.0, |point| point.1);
    points.push((end, share));
    Line::new(points, colour, 2, format!("{name} {share:.0} %"))
}

/// Room at the right for the longest label, whose letters take some seven pixels each.
fn room(lines: &[Line]) -> i32 {
    let longest = lines.iter().map(|line| line.label.chars().count()).max().unwrap_or(0);
    12 + 7 * i32::try_from(longest).unwrap_or(0)
}

/// A plot over the timeline, with its phases behind.
fn timeline(
    sheet: &Sheet<'_>,
    scenario: &Scenario,
    top: f64,
    unit: &dyn Fn(&f64) -> String,
    lines: &[Line],
) -> Result<String, Failure> {
    let end = scenario.duration().as_secs_f64();
    // The less room there is for the names, the more rows neighbours stand in.
    let rows = match sheet.size.0.cast_signed() - sheet.right {
        600.. => 1,
        320.. => 2,
        _ => 3,
    };
    svg(sheet, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_top(rows * HEAD)
            .margin_right(sheet.right * FINE)
            .x_label_area_size(30 * FINE)
            .y_label_area_size(54 * FINE)
            .build_cartesian_2d(0.0..end, 0.0..top)?;
        for phase in &scenario.phases {
            let (from, to) = (phase.from as f64, phase.to as f64);
            let back = match (phase.measured, phase.name) {
                (false, _) => Some(PAUSE),
                (true, "brownout") => Some(TROUBLE),
                (true, _) => None,
            };
            let back = back.map(|back| Rectangle::new([(from, 0.0), (to, top)], back.filled()));
            chart.draw_series(back)?;
        }
        mesh(&mut chart, sheet.size.0, &|value| format!("{value:.0} s"), unit)?;
        draw(area, &mut chart, lines)?;
        for (row, phase) in (0..rows).cycle().zip(&scenario.phases) {
            let middle = (phase.from + phase.to) as f64 / 2.0;
            let (x, y) = chart.backend_coord(&(middle, top));
            let y = y - 4 * FINE - row * HEAD;
            let style = text(TEXT - FINE, if phase.measured { &INK } else { &QUIET });
            area.draw_text(phase.name, &style.pos(Pos::new(HPos::Center, VPos::Bottom)), (x, y))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use clap::{Parser as _, ValueEnum as _};

    use super::*;
    use crate::args::{Cli, Command};
    use crate::compare::args::PeerName;

    #[test]
    fn the_style_sheet_knows_every_clients_colour() {
        let style = include_str!("../page.css");
        let names = PeerName::value_variants().iter().filter_map(PeerName::to_possible_value);
        let peers = names.map(|name| format!("--peer={}", name.get_name()));
        let args = ["sluicegate", "compare", "--local"].into_iter().map(str::to_owned).chain(peers);
        let Command::Compare(args) = Cli::parse_from(args).command else { panic!("it is compare") };
        let kinds = Scenario::new(args).kinds();
        assert_eq!(kinds.len(), Kind::ALWAYS.len() + PeerName::value_variants().len() + 1);
        for kind in kinds {
            let RGBColor(red, green, blue) = colour(kind);
            let (name, hex) = (kind.name(), format!("{red:02X}{green:02X}{blue:02X}"));
            for rule in [
                format!(".{name} {{ color: var(--{name}-text)"),
                format!("td.bar.{name} i i {{ background: var(--{name})"),
                format!(".plot [stroke=\"#{hex}\"] {{ stroke: var(--{name})"),
                format!(".plot [fill=\"#{hex}\"] {{ fill: var(--{name})"),
                format!(".plot text[fill=\"#{hex}\"] {{ fill: var(--{name}-text)"),
            ] {
                assert!(style.contains(&rule), "{rule}");
            }
            // In the light and in the dark.
            for colour in [format!("--{name}: #"), format!("--{name}-text: #")] {
                assert_eq!(style.matches(&colour).count(), 2, "{colour}");
            }
        }
    }
}
