//! `sluicegate completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::{Code, Failure};

/// Prints the completion script for `shell`.
pub(crate) fn print(shell: Shell) -> Result<Code, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sluicegate", &mut script);
    crate::policy_check::print(&script)
}
