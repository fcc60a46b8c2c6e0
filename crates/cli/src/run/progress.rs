//! The progress bar, or a line now and then where there is no terminal.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock::Stopwatch;
use crate::policy_check::{grouped, tell};

/// Without a terminal, a line is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Rate and remaining time are measured over this long.
const RATE_OVER: Duration = Duration::from_secs(30);

/// The figures to show.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Records that ended in this run, answered or not.
    pub(crate) ended: u64,
    /// Attempts that are out.
    pub(crate) in_flight: usize,
    /// Calls that wait in the engine.
    pub(crate) waiting: usize,
    /// The refused share of the attempts, in tenths of a per cent.
    pub(crate) refused_permille: u64,
}

/// Shows how far a run is.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    skipped: u64,
    todo: u64,
    watch: Stopwatch,
    /// (when, records ended by then), the oldest first.
    past: VecDeque<(Duration, u64)>,
    last_line: Duration,
}

impl Progress {
    /// Begins to show a run of `todo` records, `skipped` more being done already.
    pub(crate) fn start(todo: u64, skipped: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(todo + skipped), ProgressDrawTarget::stderr());
            // The template is a constant; should it not parse, the library's own looks will do.
            if let Ok(style) = ProgressStyle::with_template("{wide_bar:.cyan/dim}  {msg}") {
                bar.set_style(style.progress_chars("━━─"));
            }
            bar.set_position(skipped);
            bar
        });
        let past = VecDeque::from([(Duration::ZERO, 0)]);
        Self { bar, skipped, todo, watch: Stopwatch::start(), past, last_line: Duration::ZERO }
    }

    /// Shows new figures.
    pub(crate) fn show(&mut self, figures: Figures) {
        let now = self.watch.elapsed();
        if self.past.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= Duration::from_secs(1)) {
            self.past.push_back((now, figures.ended));
        }
        while self.past.len() > 2 && self.past.front().is_some_and(|(at, _)| now.saturating_sub(*at) > RATE_OVER) {
            self.past.pop_front();
        }
        if self.bar.is_none() && now.saturating_sub(self.last_line) < LINE_EVERY {
            return;
        }
        let text = self.text(now, figures);
        match &self.bar {
            Some(bar) => {
                bar.set_message(text);
                bar.set_position(self.skipped + figures.ended);
            }
            None => {
                self.last_line = now;
                tell(text);
            }
        }
    }

    fn text(&self, now: Duration, figures: Figures) -> String {
        let (at, then) = self.past.front().copied().unwrap_or_default();
        let rate = figures.ended.saturating_sub(then) as f64 / now.saturating_sub(at).as_secs_f64().max(0.1);
        let left = self.todo.saturating_sub(figures.ended);
        let eta = match rate > 0.0 {
            true => clock(Duration::from_secs_f64((left as f64 / rate).min(1e9))),
            false => "--:--".to_owned(),
        };
        format!(
            "{}/{}  {rate:.1}/s  ETA {eta}  {} in flight  {} waiting  {} refused",
            grouped(self.skipped + figures.ended),
            grouped(self.skipped + self.todo),
            figures.in_flight,
            figures.waiting,
            percent(figures.refused_permille),
        )
    }

    /// Prints a message above the bar.
    pub(crate) fn say(&self, text: impl Display) {
        match &self.bar {
            Some(bar) => bar.suspend(|| tell(text)),
            None => tell(text),
        }
    }

    /// Takes the bar away and says how long it all took.
    pub(crate) fn finish(self) -> Duration {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.watch.elapsed()
    }
}

/// Tenths of a per cent as `1.2 %`.
pub(crate) fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// A time as `m:ss` or `h:mm:ss`.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_shares_read_well() {
        let clocks = [0, 59, 61, 3_600, 86_399].map(|seconds| clock(Duration::from_secs(seconds)));
        assert_eq!(clocks, ["0:00", "0:59", "1:01", "1:00:00", "23:59:59"]);
        assert_eq!([0, 5, 1_000].map(percent), ["0.0 %", "0.5 %", "100.0 %"]);
    }

    #[test]
    fn the_rate_is_that_of_the_last_half_minute() {
        let mut progress = Progress::start(1_000, 200);
        progress.past = VecDeque::from([(Duration::from_secs(70), 300), (Duration::from_secs(99), 590)]);
        let figures = Figures { ended: 600, in_flight: 31, waiting: 64, refused_permille: 12 };
        let text = progress.text(Duration::from_secs(100), figures);
        assert_eq!(text, "800/1,200  10.0/s  ETA 0:40  31 in flight  64 waiting  1.2 % refused");
    }
}
