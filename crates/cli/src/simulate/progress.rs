//! One bar for all runs; without a terminal, nothing.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How far the work is.
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Begins to show.
    pub(crate) fn start(runs: u64, plans: usize) -> Self {
        let shown = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(runs), ProgressDrawTarget::stderr());
            // A constant; should it not parse, the library's own looks will do.
            let style = ProgressStyle::with_template("{bar:28.cyan/dim} {pos} of {len} runs, {msg}  {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━─"));
            bar.set_message(if plans == 1 { "1 plan".to_owned() } else { format!("{plans} plans") });
            bar
        });
        Self(shown)
    }

    /// One more run is over.
    pub(crate) fn step(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// Says something above the bar.
    pub(crate) fn say(&self, what: &str) {
        match &self.0 {
            Some(bar) => bar.println(what),
            None => eprintln!("{what}"),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
