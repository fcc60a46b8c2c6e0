//! Drawing plots as SVG without any script. Colours are those of the light theme; the page's style sheet finds them by
//! their values and replaces them where the reader prefers a dark one.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::exit::{Code, Failure};

/// Text and axes; `--ink` of the style sheet.
pub(crate) const INK: RGBColor = RGBColor(0x22, 0x22, 0x21);
/// Grid lines; `--grid`.
pub(crate) const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xD9);
/// Behind what is not measured; `--pause`.
pub(crate) const PAUSE: RGBColor = RGBColor(0xF1, 0xF1, 0xEE);
/// Behind the brownout; `--trouble`.
pub(crate) const TROUBLE: RGBColor = RGBColor(0xFB, 0xE9, 0xD8);
/// The oracle; `--quiet`.
pub(crate) const QUIET: RGBColor = RGBColor(0x8A, 0x8A, 0x85);
/// Steps to a pixel of the page: plotters draws on whole ones, which alone would make stairs of slopes.
pub(crate) const FINE: i32 = 4;
/// Font size as plotters counts it: 1.24 times that of the page.
pub(crate) const TEXT: i32 = 16 * FINE;

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
pub(crate) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// One line of a plot.
pub(crate) struct Line {
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) colour: RGBColor,
    pub(crate) opacity: f64,
    pub(crate) width: u32,
    pub(crate) filled: bool,
    /// Stands at its end.
    pub(crate) label: String,
}

impl Line {
    pub(crate) const fn new(points: Vec<(f64, f64)>, colour: RGBColor, width: u32, label: String) -> Self {
        Self { points, colour, opacity: 1.0, width, filled: false, label }
    }
}

/// What a plot is drawn on: its size, the room for labels at its right, and what it says to those who cannot see it.
pub(crate) struct Sheet<'a> {
    pub(crate) size: (u32, u32),
    pub(crate) right: i32,
    pub(crate) alt: &'a str,
}

pub(crate) fn svg(sheet: &Sheet<'_>, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, Failure> {
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

pub(crate) fn text(size: i32, colour: &RGBColor) -> TextStyle<'_> {
    TextStyle::from(("sans-serif", size).into_font()).color(colour)
}

/// The axes of a plot: a range across, and from nothing to a top.
pub(crate) fn frame<'a, 'b>(
    area: &'a Area<'b>,
    sheet: &Sheet<'_>,
    across: Range<f64>,
    top: f64,
) -> Result<Chart<'a, 'b>, DrawingAreaErrorKind<std::io::Error>> {
    ChartBuilder::on(area)
        .margin_top(10 * FINE)
        .margin_right(sheet.right * FINE)
        .x_label_area_size(30 * FINE)
        .y_label_area_size(54 * FINE)
        .build_cartesian_2d(across, 0.0..top)
}

pub(crate) fn mesh(
    chart: &mut Chart<'_, '_>,
    width: u32,
    x: &dyn Fn(&f64) -> String,
    y: &dyn Fn(&f64) -> String,
) -> Drawn {
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

pub(crate) fn draw(area: &Area<'_>, chart: &mut Chart<'_, '_>, lines: &[Line]) -> Drawn {
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
    for ((end, x, line), y) in labels.iter().zip(places) {
        if end.abs_diff(y) > TEXT.unsigned_abs() / 3 {
            let leader = vec![(x + FINE, *end), (x + 5 * FINE, y)];
            area.draw(&PathElement::new(leader, line.colour.mix(0.6).stroke_width(FINE.unsigned_abs())))?;
        }
        let style = text(TEXT, &line.colour).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw_text(&line.label, &style, (x + 6 * FINE, y))?;
    }
    Ok(())
}

/// Moves labels apart that would overlap: sorted heights in, heights at least a line apart out, none below `bottom`.
pub(crate) fn apart(heights: &[i32], bottom: i32) -> Vec<i32> {
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

/// Counts by second as a moving average over so many seconds, centred.
pub(crate) fn smooth(counts: &[u32], over: usize) -> Vec<(f64, f64)> {
    let half = over / 2;
    let mean = |second: usize| {
        let window = counts.get(second.saturating_sub(half)..(second + half + 1).min(counts.len())).unwrap_or_default();
        window.iter().map(|count| f64::from(*count)).sum::<f64>() / window.len().max(1) as f64
    };
    (0..counts.len()).map(|second| (second as f64 + 0.5, mean(second))).collect()
}

pub(crate) fn top(lines: &[Line]) -> f64 {
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
        let means: Vec<f64> = smooth(&counts, 15).iter().map(|point| point.1).collect();
        // The first is over eight seconds, the eighth over all fifteen; the ninth no longer sees it.
        assert_eq!((means[0], means[7], means[8]), (9.0, 72.0 / 15.0, 0.0));
    }
}
