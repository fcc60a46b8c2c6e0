//! The time axis of a replay's plots: equal parts, as far as answers come, with clock times below it.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use sluicegate_sim::Played;

use super::rebuild::Rebuilt;
use crate::draw::{FINE, GRID, INK, Line, Sheet, TEXT, draw, frame, svg, text};
use crate::exit::Failure;

/// Points of a line at most while calls come, and as many again while the last answers do.
const MOST_POINTS: u64 = 120;
/// Calls that a point of a line stands for, at least on average.
const LEAST_CALLS: u64 = 6;
/// Answers are shown for so long after the last call, in microseconds, or for as long again as calls came.
const TAIL_US: u64 = 600_000_000;
const SECOND_US: u64 = 1_000_000;
const DAY_S: u64 = 86_400;
/// Midnight is written as the new day where marks are at least so far apart.
const DATED_S: u64 = 1_800;
/// What may lie between two marks, in seconds; each divides the next midnight.
const STEPS: [u64; 19] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, DAY_S, 7 * DAY_S];

/// Time cut into equal parts.
pub(super) struct Scale {
    part_us: u64,
    parts: usize,
    /// Where it begins: in seconds since 1970, or 0.
    origin_s: u64,
    dated: bool,
}

impl Scale {
    /// The axis for all that was and would have been.
    pub(super) fn new(rebuilt: &Rebuilt, played: &Played, dated: bool) -> Self {
        let then = rebuilt
            .logged
            .iter()
            .filter(|call| call.answered)
            .map(|call| call.at_us.saturating_sub(rebuilt.origin_us).saturating_add(call.took_us.unwrap_or(0)));
        let now = played.arrivals.iter().zip(&played.fates);
        let now = now.filter_map(|(arrival, fate)| fate.completed.filter(|at| *at <= rebuilt.scenario.due(arrival)));
        let last = then.chain(now.map(|at| at.as_micros())).max().unwrap_or(0);
        let origin_s = if dated { rebuilt.origin_us / SECOND_US } else { 0 };
        Self { origin_s, dated, ..Self::of(rebuilt.scenario.measured_us, last, rebuilt.logged.len() as u64) }
    }

    /// Parts of which a whole number holds the time in which calls came, and whole ones after it while answers do: one that
    /// is cut off would look like a fall.
    fn of(span_us: u64, last_us: u64, calls: u64) -> Self {
        let points = (calls / LEAST_CALLS).clamp(1, MOST_POINTS).min((span_us / SECOND_US).max(1));
        let last_us = last_us.min(span_us.saturating_mul(2).max(span_us.saturating_add(TAIL_US)));
        let tail_us = last_us.saturating_sub(span_us);
        let part_us = span_us.div_ceil(points).max(tail_us.div_ceil(MOST_POINTS)).max(1);
        let parts = span_us.div_ceil(part_us).saturating_add(tail_us / part_us).max(1);
        Self { part_us, parts: usize::try_from(parts).unwrap_or(1), origin_s: 0, dated: false }
    }

    /// How many parts there are.
    pub(super) const fn parts(&self) -> usize {
        self.parts
    }

    /// Adds to the part that holds this time; what is after the end is not shown.
    pub(super) fn count(&self, counts: &mut [u64], at_us: u64, number: u64) {
        if let Some(count) = usize::try_from(at_us / self.part_us).ok().and_then(|part| counts.get_mut(part)) {
            *count += number;
        }
    }

    /// Counts by part as a rate by minute.
    pub(super) fn line(&self, counts: &[u64], colour: RGBColor, label: &str) -> Line {
        let minutes = self.part_us as f64 / 60e6;
        let point = |(part, count): (usize, &u64)| ((part as f64 + 0.5) * minutes, *count as f64 / minutes);
        Line::new(counts.iter().enumerate().map(point).collect(), colour, 2, label.to_owned())
    }

    /// Draws lines over it.
    pub(super) fn plot(&self, lines: &[Line], top: f64, width: u32) -> Result<String, Failure> {
        let sheet =
            Sheet { size: (width, 260), right: 84, alt: "calls made and answered and attempts refused per minute" };
        let end = self.part_us as f64 * self.parts as f64 / 60e6;
        svg(&sheet, |area| {
            let mut chart = frame(area, &sheet, 0.0..end, top)?;
            let fine = FINE.unsigned_abs();
            chart
                .configure_mesh()
                .disable_x_mesh()
                .disable_x_axis()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID.stroke_width(fine))
                .axis_style(INK.stroke_width(fine))
                .set_all_tick_mark_size(4 * FINE)
                .y_labels(5)
                .y_label_formatter(&|value| format!("{value:.0}"))
                .y_label_style(text(TEXT, &INK))
                .draw()?;
            let ink = INK.stroke_width(fine);
            let (left, bottom) = chart.backend_coord(&(0.0, 0.0));
            let (right, _) = chart.backend_coord(&(end, 0.0));
            area.draw(&PathElement::new(vec![(left, bottom), (right, bottom)], ink))?;
            let style = text(TEXT, &INK).pos(Pos::new(HPos::Center, VPos::Top));
            for (minutes, label) in self.marks(if width > 600 { 9 } else { 4 }) {
                let (x, _) = chart.backend_coord(&(minutes, 0.0));
                area.draw(&PathElement::new(vec![(x, bottom), (x, bottom + 4 * FINE)], ink))?;
                area.draw_text(&label, &style, (x, bottom + 8 * FINE))?;
            }
            draw(area, &mut chart, lines)
        })
    }

    /// Round times, at most so many: minutes after the beginning, and what is written there.
    fn marks(&self, most: u64) -> Vec<(f64, String)> {
        let length_s = self.part_us.saturating_mul(self.parts as u64) / SECOND_US;
        let step = STEPS.into_iter().find(|step| length_s / step < most).unwrap_or(7 * DAY_S);
        let first = self.origin_s.next_multiple_of(step);
        let marks = (0..=most).map(|number| first + number * step).take_while(|at| *at <= self.origin_s + length_s);
        marks.map(|at| ((at - self.origin_s) as f64 / 60.0, self.label(at, step))).collect()
    }

    fn label(&self, at_s: u64, step_s: u64) -> String {
        let day = if self.dated { at_s % DAY_S } else { at_s };
        if self.dated && step_s >= DATED_S && (day == 0 || step_s >= DAY_S) {
            let seconds = i64::try_from(at_s).unwrap_or(i64::MAX);
            let text =
                aws_smithy_types::DateTime::from_secs(seconds).fmt(aws_smithy_types::date_time::Format::DateTime);
            // Of 2026-04-10T00:00:00Z the month and the day.
            return text.ok().and_then(|text| text.get(5..10).map(str::to_owned)).unwrap_or_default();
        }
        let (hours, minutes, seconds) = (day / 3_600, day / 60 % 60, day % 60);
        let hours = if self.dated { format!("{hours:02}") } else { hours.to_string() };
        if step_s < 60 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{hours}:{minutes:02}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_what_comes_after_them_fill_whole_parts() {
        for (span, last, calls) in
            [(60_000_000, 75_500_000, 1_000), (1_700_000, 0, 5), (7_000_000, 900_000_000_000, 50)]
        {
            let scale = Scale::of(span, last, calls);
            let (end, shown) = (scale.part_us * scale.parts as u64, last.clamp(span, span + TAIL_US));
            assert!(end + scale.part_us > shown && scale.parts <= 1 + 2 * 120, "{span} {last}");
            let mut counts = vec![0; scale.parts];
            scale.count(&mut counts, end - 1, 1);
            // What is later than all parts is in none, not in the last.
            scale.count(&mut counts, end, 1);
            scale.count(&mut counts, u64::MAX, 1);
            assert_eq!(counts.iter().sum::<u64>(), 1);
        }
        // A minute of calls, whose answers take a quarter longer.
        let scale = Scale::of(60_000_000, 75_500_000, 1_000);
        assert_eq!((scale.part_us, scale.parts), (1_000_000, 75));
    }

    #[test]
    fn marks_are_round_clock_times() {
        // From 2026-04-09T23:47:10Z on.
        let scale = |length_s: u64, dated| Scale {
            part_us: length_s * SECOND_US,
            parts: 1,
            origin_s: if dated { 1_775_778_430 } else { 0 },
            dated,
        };
        let labels = |scale: Scale| scale.marks(4).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(scale(1_500, true)), ["23:50", "00:00", "00:10"]);
        assert_eq!(labels(scale(7_200, true)), ["04-10", "01:00"]);
        assert_eq!(labels(scale(40, true)), ["23:47:15", "23:47:30", "23:47:45"]);
        assert_eq!(labels(scale(3 * DAY_S, true)), ["04-10", "04-11", "04-12"]);
        assert_eq!(labels(scale(5_400, false)), ["0:00", "0:30", "1:00", "1:30"]);
        assert_eq!(scale(1_500, true).marks(4)[0].0, 170.0 / 60.0);
    }
}
