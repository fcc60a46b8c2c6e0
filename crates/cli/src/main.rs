//! The `sluicegate` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    sluicegate_cli::main(std::env::args_os()).into()
}
