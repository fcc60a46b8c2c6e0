//! The plots, as SVG without any script. Colours are those of the light theme; the page's style sheet finds them by
//! their values and replaces them where the reader prefers a dark one.

use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use sluicegate_sim::{Second, Sorted};

use super::clients::Kind;
use super::measure::Measured;
use super::scenario::{Oracle, Scenario};
use crate::exit::{Code, Failure};

/// Text and axes; `--ink` of the style sheet.
const INK: RGBColor = RGBColor(0x22, 0x22, 0x21);
/// Grid lines; `--grid`.
const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xD9);
/// Behind what is not measured; `--pause`.
const PAUSE: RGBColor = RGBColor(0xF1, 0xF1, 0xEE);
/// Behind the brownout; `--trouble`.
const TROUBLE: RGBColor = RGBColor(0xFB, 0xE9, 0xD8);
/// The oracle; `--quiet`.
const QUIET: RGBColor = RGBColor(0x8A, 0x8A, 0x85);
/// Seconds over which rates are averaged.
pub(crate) const SMOOTH: usize = 15;
/// Steps to a pixel of the page: plotters draws on whole ones, which alone would make stairs of slopes.
const FINE: i32 = 4;
/// Font size as plotters counts it: 1.24 times that of the page.
const TEXT: i32 = 16 * FINE;
/// How the lines of the Regions differ: by an opacity, for which the style sheet has a dash, and how a label shows it.
const REGION_STYLES: [(f64, &str); 3] = [(1.0, "—"), (0.9, "- -"), (0.8, "···")];
/// Height of a row above a plot that names the phases.
const HEAD: i32 = 17 * FINE;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Of Okabe and Ito's palette, which most colour-blind people can tell apart.
const fn colour(kind: Kind) -> RGBColor {
    match kind {
        Kind::Article => RGBColor(0xD5, 0x5E, 0x00),
        Kind::SdkStandard => RGBColor(0x00, 0x9E, 0x73),
        Kind::SdkAdaptive => RGBColor(0xCC, 0x79, 0xA7),
        Kind::Sluicegate => RGBColor(0x00, 0x72, 0xB2),
    }
}

/// One line of a plot.
struct Line {
    points: Vec<(f64, f64)>,
    colour: RGBColor,
    opacity: f64,
    width: u32,
    filled: bool,
    /// Stands at its end.
    label: String,
}

impl Line {
    const fn new(points: Vec<(f64, f64)>, colour: RGBColor, width: u32, label: String) -> Self {
        Self { points, colour, opacity: 1.0, width, filled: false, label }
    }
}

/// What a plot is drawn on: its size, the room for labels at its right, and what it says to those who cannot see it.
struct Sheet<'a> {
    size: (u32, u32),
    right: i32,
    alt: &'a str,
}

/// Calls answered in time, second by second.
pub(crate) fn goodput(
    scenario: &Scenario,
    oracle: &Oracle,
    clients: &[Measured],
    width: u32,
) -> Result<String, Failure> {
    let mut lines = vec![Line { filled: true, ..Line::new(smooth(&oracle.by_second), QUIET, 1, "oracle".to_owned()) }];
    lines.extend(clients.iter().map(|client| {
        let width = if client.kind == Kind::Sluicegate { 3 } else { 2 };
        let points = smooth(&client.per_second(|row| row.in_time));
        Line::new(points, colour(client.kind), width, client.kind.name().to_owned())
    }));
    let sheet = Sheet { size: (width, 360), right: 96, alt: "calls answered in time per second, by client" };
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
    let sheet = Sheet { size: (width, 320), right: 130, alt: "share of calls admitted within a time of their arrival" };
    svg(&sheet, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_top(10 * FINE)
            .margin_right(sheet.right * FINE)
            .x_label_area_size(30 * FINE)
            .y_label_area_size(54 * FINE)
            .build_cartesian_2d(0.0..end, 0.0..100.0)?;
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

/// A plot over the timeline, with its phases behind.
fn timeline(
    sheet: &Sheet<'_>,
    scenario: &Scenario,
    top: f64,
    unit: &dyn Fn(&f64) -> String,
    lines: &[Line],
) -> Result<String, Failure> {
    let end = scenario.duration().as_secs_f64();
    // Where there is little room, neighbours stand in two rows.
    let staggered = sheet.size.0 < 600;
    svg(sheet, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_top(if staggered { 2 * HEAD } else { HEAD })
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
        for (row, phase) in scenario.phases.iter().enumerate() {
            let middle = (phase.from + phase.to) as f64 / 2.0;
            let (x, y) = chart.backend_coord(&(middle, top));
            let y = y - 4 * FINE - if staggered && row % 2 == 1 { HEAD } else { 0 };
            let style = text(TEXT - FINE, if phase.measured { &INK } else { &QUIET });
            area.draw_text(phase.name, &style.pos(Pos::new(HPos::Center, VPos::Bottom)), (x, y))?;
        }
        Ok(())
    })
}

fn svg(sheet: &Sheet<'_>, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, Failure> {
    let mut text = String::new();
    let drawn = {
        let fine = FINE.unsigned_abs();
        let size = (sheet.size.0 * fine, sheet.size.1 * fine);
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&area).and_then(|()| area.present())
    };
    drawn.map_err(|error| Failure::new(Code::Unexpected, format!("a plot: {error}")))?;
    Ok(text.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{}\" ", sheet.alt), 1))
}

fn text(size: i32, colour: &RGBColor) -> TextStyle<'_> {
    TextStyle::from(("sans-serif", size).into_font()).color(colour)
}

fn mesh(chart: &mut Chart<'_, '_>, width: u32, x: &dyn Fn(&f64) -> String, y: &dyn Fn(&f64) -> String) -> Drawn {
    let fine = FINE.unsigned_abs();
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(fine))
        .axis_style(INK.stroke_width(fine))
        .set_all_tick_mark_size(4 * FINE)
        .x_labels(if width > 600 { 10 } else { 5 })
        .y_labels(5)
        .x_label_formatter(&x)
        .y_label_formatter(&y)
        .x_label_style(text(TEXT, &INK))
        .y_label_style(text(TEXT, &INK))
        .draw()
}

fn draw(area: &Area<'_>, chart: &mut Chart<'_, '_>, lines: &[Line]) -> Drawn {
    for line in lines {
        let style = line.colour.mix(line.opacity).stroke_width(line.width * FINE.unsigned_abs());
        if line.filled {
            let fill = line.colour.mix(0.22);
            chart.draw_series(AreaSeries::new(line.points.iter().copied(), 0.0, fill).border_style(style))?;
        } else {
            chart.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
        }
    }
    let ends = lines.iter().filter(|line| !line.label.is_empty()).filter_map(|line| Some((line, line.points.last()?)));
    let mut labels: Vec<(i32, i32, &Line)> = ends
        .map(|(line, end)| {
            let (x, y) = chart.backend_coord(end);
            (y, x, line)
        })
        .collect();
    labels.sort_by_key(|(y, ..)| *y);
    let (_, bottom) = chart.plotting_area().get_base_pixel();
    let range = chart.plotting_area().get_pixel_range().1;
    let places = apart(&labels.iter().map(|(y, ..)| *y).collect::<Vec<_>>(), range.end.max(bottom));
    for ((_, x, line), y) in labels.iter().zip(places) {
        let style = text(TEXT, &line.colour).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw_text(&line.label, &style, (x + 6 * FINE, y))?;
    }
    Ok(())
}

/// Moves labels apart that would overlap: sorted heights in, heights at least a line apart out, none below `bottom`.
fn apart(heights: &[i32], bottom: i32) -> Vec<i32> {
    let mut places: Vec<i32> = Vec::with_capacity(heights.len());
    for height in heights {
        let free = places.last().map_or(i32::MIN, |last| last + TEXT);
        places.push((*height).max(free));
    }
    let mut limit = bottom;
    for place in places.iter_mut().rev() {
        *place = (*place).min(limit);
        limit = *place - TEXT;
    }
    places
}

/// Counts by second as a centred moving average.
fn smooth(counts: &[u32]) -> Vec<(f64, f64)> {
    let half = SMOOTH / 2;
    let mean = |second: usize| {
        let window = counts.get(second.saturating_sub(half)..(second + half + 1).min(counts.len())).unwrap_or_default();
        window.iter().map(|count| f64::from(*count)).sum::<f64>() / window.len().max(1) as f64
    };
    (0..counts.len()).map(|second| (second as f64 + 0.5, mean(second))).collect()
}

fn top(lines: &[Line]) -> f64 {
    lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(1.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_a_line_apart_and_above_the_bottom() {
        assert_eq!(apart(&[10, 11, 400], 800), [10, 10 + TEXT, 400]);
        assert_eq!(apart(&[780, 790, 795], 800), [800 - 2 * TEXT, 800 - TEXT, 800]);
        assert_eq!(apart(&[], 200), [0; 0]);
    }

    #[test]
    fn rates_are_means_over_what_there_is() {
        let mut counts = [0; 20];
        counts[0] = 72;
        let means: Vec<f64> = smooth(&counts).iter().map(|point| point.1).collect();
        // The first is over eight seconds, the eighth over all fifteen; the ninth no longer sees it.
        assert_eq!((means[0], means[7], means[8]), (9.0, 72.0 / 15.0, 0.0));
    }
}
