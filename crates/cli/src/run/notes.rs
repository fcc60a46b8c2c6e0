//! Messages about single lines: the first few in full, the rest as a count.

use std::fmt::Display;

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
