//! Messages about single lines, the first few in full and the rest as a count; and what a run advises at its end.

use std::fmt::Display;

use sluicegate::{ModelId, Policy};

use super::progress::percent;
use super::stats::{Advice, Stats};
use crate::policy_check::grouped;

/// So many are printed in full.
pub(crate) const SHOWN: u64 = 20;

/// Prints the first messages of one kind and counts the rest.
#[derive(Debug)]
pub(crate) struct Notes {
    what: &'static str,
    seen: u64,
}

impl Notes {
    /// For messages about `what`, in the plural.
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { what, seen: 0 }
    }

    /// Notes one message at a line of `file`; `print` gets what is to be shown.
    pub(crate) fn add(&mut self, file: &dyn Display, line: u64, message: &str, print: impl FnOnce(String)) {
        self.seen += 1;
        match self.seen {
            1..SHOWN => print(format!("{file}:{line}: {message}")),
            SHOWN => print(format!("{file}:{line}: {message}\n… more {} are only counted", self.what)),
            _ => {}
        }
    }

    /// How many there were.
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }
}

/// What could be better the next time, a line for each.
pub(crate) fn closing(policy: &Policy, stats: &Stats) -> Vec<String> {
    let cap = |(model, advice): (&ModelId, &Advice)| {
        let name = policy.models().get(usize::from(model.0))?;
        Some(format!(
            "note: {} tokens hold {} of the answers of {name}; a maxTokens of that would free {} tokens a minute of its \
             quota",
            grouped(u64::from(advice.cap)),
            percent(u64::from(advice.holds_permille)),
            grouped(advice.frees_tokens_per_minute),
        ))
    };
    let mut notes: Vec<String> = stats.advice.iter().filter_map(cap).collect();
    if stats.stacked > 0 {
        let (calls, verb) = if stats.stacked == 1 { ("call", "repeats") } else { ("calls", "repeat") };
        notes.push(format!(
            "note: {} {calls} {verb} one that had just failed; if something else retries as well, switch it off",
            grouped(stats.stacked)
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_are_shown_and_all_are_counted() {
        let (mut notes, mut shown) = (Notes::new("faulty lines"), Vec::new());
        for line in 1..=100 {
            notes.add(&"in", line, "wrong", |text| shown.push(text));
        }
        assert_eq!((notes.seen(), shown.len()), (100, 20));
        assert_eq!(shown[0], "in:1: wrong");
        assert_eq!(shown[19], "in:20: wrong\n… more faulty lines are only counted");
    }
}
