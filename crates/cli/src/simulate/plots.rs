//! The plots of plans.

use plotters::prelude::*;

use super::build::Point;
use super::figures::Median;
use super::play::{Outcome, Seconds};
use super::sweep::Axis;
use crate::draw::{Line, PAUSE, QUIET, Sheet, TROUBLE, draw, frame, mesh, smooth, svg};
use crate::exit::Failure;

/// Refused attempts; `--bad` of the style sheet.
pub(crate) const BAD: RGBColor = RGBColor(0xB3, 0x26, 0x1E);

/// A policy's colour, and what it is on a page: for lines and for text, in the light and in the dark.
pub(crate) struct Tone {
    pub(crate) colour: RGBColor,
    pub(crate) light: (&'static str, &'static str),
    pub(crate) dark: (&'static str, &'static str),
}

const fn tone(colour: RGBColor, light: (&'static str, &'static str), dark: &'static str) -> Tone {
    Tone { colour, light, dark: (dark, dark) }
}

/// The first four of Okabe and Ito's palette, which most colour-blind people can tell apart; then others that differ in
/// lightness as well.
pub(crate) const PALETTE: [Tone; 12] = [
    tone(RGBColor(0x00, 0x72, 0xB2), ("#0072b2", "#00619a"), "#56b4e9"),
    tone(RGBColor(0xD5, 0x5E, 0x00), ("#d55e00", "#b34e00"), "#f0803c"),
    tone(RGBColor(0x00, 0x9E, 0x73), ("#009e73", "#00775a"), "#2cc295"),
    tone(RGBColor(0xCC, 0x79, 0xA7), ("#cc79a7", "#a3487a"), "#e09bc4"),
    tone(RGBColor(0xB8, 0x86, 0x0B), ("#b8860b", "#7d5a00"), "#e6b84c"),
    tone(RGBColor(0x6A, 0x4C, 0x93), ("#6a4c93", "#5a3f80"), "#b9a3e0"),
    tone(RGBColor(0x8C, 0x56, 0x4B), ("#8c564b", "#74443a"), "#cf9f92"),
    tone(RGBColor(0x3B, 0x3B, 0x98), ("#3b3b98", "#33338a"), "#9fa8ff"),
    tone(RGBColor(0x5F, 0x7F, 0x00), ("#5f7f00", "#4d6800"), "#b5cc52"),
    tone(RGBColor(0x0B, 0x7A, 0x75), ("#0b7a75", "#08655f"), "#4dd0c9"),
    tone(RGBColor(0x4A, 0x4A, 0x4A), ("#4a4a4a", "#3d3d3d"), "#c4c4bf"),
    tone(RGBColor(0x9E, 0x2A, 0x6B), ("#9e2a6b", "#84225a"), "#f08abf"),
];

fn colour(place: usize) -> RGBColor {
    PALETTE.get(place % PALETTE.len()).map_or(QUIET, |tone| tone.colour)
}

/// As plotters writes it.
pub(crate) fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// A figure as it is drawn.
pub(crate) type Figure = fn(&Median) -> Option<f64>;

/// Points that differ along one axis only.
pub(crate) struct Group {
    /// What they share.
    pub(crate) name: String,
    points: Vec<usize>,
}

/// Every combination of the other axes, in the order of the points.
pub(crate) fn groups(outcome: &Outcome, along: usize) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (place, point) in outcome.plan.points.iter().enumerate() {
        let others = outcome.plan.axes.iter().zip(&point.settings).enumerate().filter(|(axis, _)| *axis != along);
        let name: Vec<String> = others.map(|(_, (axis, value))| format!("{} {}", axis.name, value.text())).collect();
        let name = name.join(", ");
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.points.push(place),
            None => groups.push(Group { name, points: vec![place] }),
        }
    }
    groups
}

/// A figure of every policy along an axis.
pub(crate) fn sweep(
    outcome: &Outcome,
    group: &Group,
    axis: &Axis,
    figure: Figure,
    percent: bool,
    size: (u32, u32),
) -> Result<String, Failure> {
    let numbers: Vec<f64> = axis.values.iter().filter_map(super::sweep::Setting::number).collect();
    let line = |(place, policy): (usize, &String)| {
        let medians = group.points.iter().filter_map(|point| outcome.points.get(*point)?.policies.get(place));
        let points = numbers.iter().zip(medians).filter_map(|(number, (median, _))| Some((*number, figure(median)?)));
        let mut points: Vec<(f64, f64)> = points.collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        Line::new(points, colour(place), if place == 0 { 3 } else { 2 }, policy.clone())
    };
    let lines: Vec<Line> = outcome.plan.policies.iter().enumerate().map(line).collect();
    let top = crate::draw::top(&lines) * 1.08;
    let (from, to) =
        (numbers.iter().copied().fold(f64::MAX, f64::min), numbers.iter().copied().fold(f64::MIN, f64::max));
    let longest = outcome.plan.policies.iter().map(|policy| policy.len()).max().unwrap_or(0);
    let right = 14 + 8 * i32::try_from(longest).unwrap_or(16).min(20);
    let sheet = Sheet { size, right, alt: "a figure of each policy along the sweep" };
    svg(&sheet, |area| {
        let mut chart = frame(area, &sheet, from..to, top)?;
        let digits = usize::from(top < 5.0);
        // Steps of less than one would be told alike.
        let fine = usize::from(top < 5.0);
        let y = |value: &f64| if percent { format!("{value:.fine$} %") } else { format!("{value:.digits$}") };
        let x = |value: &f64| format!("{}", (value * 100.0).round() / 100.0);
        mesh(&mut chart, size.0, &x, &y)?;
        draw(area, &mut chart, &lines)
    })
}

fn length(seconds: &Seconds) -> usize {
    seconds.offered.len().max(seconds.answered.len()).max(1)
}

/// Over how many seconds a point of a timeline is the mean, so that its lines can be told apart.
pub(crate) fn smoothed_over(policies: &[Seconds]) -> usize {
    match policies.iter().map(length).max().unwrap_or(1) {
        901.. => 61,
        121..=900 => 9,
        _ => 1,
    }
}

/// One run of one policy: calls made, answered and refused, a second.
pub(crate) fn timeline(
    point: &Point,
    seconds: &Seconds,
    place: usize,
    top: f64,
    size: (u32, u32),
) -> Result<String, Failure> {
    let end = length(seconds);
    let over = smoothed_over(std::slice::from_ref(seconds));
    let lines = [
        Line { filled: true, ..Line::new(smooth(&seconds.offered, over), QUIET, 1, "made".to_owned()) },
        Line::new(smooth(&seconds.refused, over), BAD, 1, "refused".to_owned()),
        Line::new(smooth(&seconds.answered, over), colour(place), 3, "answered".to_owned()),
    ];
    let top = if over > 1 { crate::draw::top(&lines).max(top / 4.0) } else { top } * 1.08;
    let sheet = Sheet { size, right: 84, alt: "calls made, answered and refused per second" };
    let end = end as f64;
    svg(&sheet, |area| {
        let mut chart = frame(area, &sheet, 0.0..end, top)?;
        let (from, to) = point.measured();
        let second = |us: u64| us as f64 / 1e6;
        let (from, to) = (second(from.as_micros()), second(to.as_micros()));
        let mut behind = |from: f64, to: f64, colour: RGBColor| {
            let shade = Rectangle::new([(from.max(0.0), 0.0), (to.min(end), top)], colour.filled());
            chart.draw_series((from < to.min(end)).then_some(shade)).map(|_| ())
        };
        behind(0.0, from, PAUSE)?;
        behind(to, end, PAUSE)?;
        let mut spans: Vec<(u64, u64)> = point
            .scenario
            .service
            .lanes
            .iter()
            .flat_map(|lane| &lane.faults)
            .map(|fault| (fault.from_us, fault.to_us))
            .collect();
        spans.sort_unstable();
        spans.dedup();
        for (start, stop) in spans {
            behind(second(start), second(stop), TROUBLE)?;
        }
        mesh(&mut chart, size.0, &|value| format!("{value:.0} s"), &|value| format!("{value:.0}"))?;
        draw(area, &mut chart, &lines)
    })
}
