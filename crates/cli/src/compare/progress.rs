//! A line for each client while the comparison runs.

use std::io::IsTerminal as _;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::clients::Kind;
use super::scenario::Scenario;

/// The figures of one client at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Live {
    /// Calls answered in time.
    pub(crate) in_time: u64,
    /// Attempts refused.
    pub(crate) refused: u64,
    /// Calls in flight.
    pub(crate) in_flight: u64,
    /// Calls that are neither in flight nor over, where that is known.
    pub(crate) waiting: Option<u64>,
}

/// Shows how far the comparison is; without a terminal, nothing.
pub(crate) struct Progress {
    shown: Option<(ProgressBar, Vec<ProgressBar>)>,
}

impl Progress {
    /// Begins to show.
    pub(crate) fn start(scenario: &Scenario) -> Self {
        let shown = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            // The templates are constants; should one not parse, the library's own looks will do.
            let style =
                |template| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let time = all.add(ProgressBar::new(scenario.duration().as_secs()));
            time.set_style(style("{bar:28.cyan/dim} {wide_msg}").progress_chars("━━─"));
            let line = |kind: &Kind| {
                let line = all.add(ProgressBar::new_spinner());
                let ours = kind.is_ours();
                line.set_style(style(if ours { "{prefix:<17.bold} {wide_msg}" } else { "{prefix:<17} {wide_msg}" }));
                line.set_prefix(kind.name());
                line
            };
            (time, scenario.kinds().iter().map(line).collect())
        });
        Self { shown }
    }

    /// Shows new figures, in the order of the clients.
    pub(crate) fn show(&self, scenario: &Scenario, second: u64, clients: &[Live]) {
        let Some((time, lines)) = &self.shown else { return };
        let phase = scenario.phases.iter().find(|phase| (phase.from..phase.to).contains(&second));
        let clock = |seconds: u64| format!("{}:{:02}", seconds / 60, seconds % 60);
        time.set_position(second);
        time.set_message(format!(
            "{} of {}  {}",
            clock(second),
            clock(scenario.duration().as_secs()),
            phase.map_or("last answers", |phase| phase.name)
        ));
        for (line, live) in lines.iter().zip(clients) {
            let Live { in_time, refused, in_flight, waiting } = live;
            let waiting = waiting.map_or_else(|| "?".to_owned(), |waiting| waiting.to_string());
            line.set_message(format!(
                "{in_time:>6} in time  {refused:>6} refused  {in_flight:>4} in flight  {waiting:>4} waiting"
            ));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((time, lines)) = &self.shown {
            time.finish_and_clear();
            lines.iter().for_each(ProgressBar::finish_and_clear);
        }
    }
}
