//! How the command ends: one code per kind of end, and the text that goes with it.

use std::fmt;

/// The exit codes. Scripts may rely on them; a number once given keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// Everything was done.
    Done = 0,
    /// Something that nobody foresaw.
    Unexpected = 1,
    /// The command line is wrong, or a file it names cannot be read.
    Usage = 2,
    /// The policy has faults; each is listed.
    Policy = 3,
    /// Some input lines are faulty and were not sent; all others were done.
    FaultyLines = 4,
    /// Every good line was sent; some ended in an error, which is in the output.
    SomeFailed = 5,
    /// The output file is not one of ours, or another run is writing it. It was not touched.
    ForeignOutput = 6,
    /// The output cannot be written, for instance because the disk is full. What is in it is whole.
    CannotWrite = 7,
    /// The credentials are missing or wrong, or they may not use the model.
    Credentials = 8,
    /// No endpoint can be reached, or none of them serves the model.
    Unreachable = 9,
    /// `compare`, `simulate`: something that is promised was missed.
    Missed = 10,
    /// The plan or the log has faults; each is listed, and nothing was run.
    Plan = 11,
    /// Stopped by Ctrl-C or SIGTERM.
    Interrupted = 130,
}

impl Code {
    /// Every code with what it says, for `--help`.
    pub(crate) const ALL: &'static [(Self, &'static str)] = &[
        (Self::Done, "everything was done"),
        (Self::Unexpected, "unexpected failure"),
        (Self::Usage, "the command line is wrong, or a file it names cannot be read"),
        (Self::Policy, "the policy has faults (each is listed)"),
        (Self::FaultyLines, "some input lines are faulty and were not sent; all others were done"),
        (Self::SomeFailed, "some records ended in errors, which are in the output"),
        (Self::ForeignOutput, "the output file is not ours, or another run is writing it; it was not touched"),
        (Self::CannotWrite, "the output cannot be written, e.g. a full disk; what is in it is whole"),
        (Self::Credentials, "credentials are missing or wrong, or may not use the model"),
        (Self::Unreachable, "no endpoint can be reached, or none serves the model"),
        (Self::Missed, "compare, simulate: something that is promised was missed"),
        (Self::Plan, "the plan or the log has faults (each is listed); nothing was run"),
        (Self::Interrupted, "interrupted by Ctrl-C or SIGTERM"),
    ];

    /// The part of `--help` that lists the codes.
    pub(crate) fn help() -> String {
        let mut text = String::from("Exit codes:\n");
        for (code, meaning) in Self::ALL {
            text.push_str(&format!("  {:>3}  {meaning}\n", *code as u8));
        }
        text.push_str("\nAfter any of them, the same `run` command goes on where the last one stopped.");
        text
    }
}

/// An end before the work was done: what happened, where, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: Code,
    /// What happened and where; several lines are fine.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) remedy: Option<String>,
}

impl Failure {
    /// An end under `code`.
    pub(crate) fn new(code: Code, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), remedy: None }
    }

    /// The same end with what to do about it.
    #[must_use]
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n  help: {remedy}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn the_help_lists_every_code_once_in_rising_order() {
        let codes: Vec<u8> = Code::ALL.iter().map(|(code, _)| *code as u8).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 130]);
        assert!(Code::help().contains("  130  interrupted"));
    }
}
