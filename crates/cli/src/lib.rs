//! The `sluicegate` command as a library, for packages of other languages that bring it along, and for those who play plans
//! without it.

mod args;
mod clock;
mod compare;
mod complete;
mod draw;
mod exit;
mod fake;
mod files;
mod help;
mod page;
mod policy_check;
mod policy_file;
mod replay;
mod run;
mod serve_fake;
mod service;
mod simulate;

use std::ffi::OsString;

use clap::Parser;

use args::{Cli, Command, PolicyCommand};
use exit::{Code, Failure};

pub use simulate::{PlanFaults, figures};

/// Runs the command to its end and returns the code to exit with. `arguments` begin with the name of the program.
///
/// It prints, takes SIGINT and SIGTERM over while it works, and leaves the process to the caller.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    page::called_with(&arguments);
    let done = match Cli::try_parse_from(arguments) {
        Ok(cli) => dispatch(cli.command),
        Err(error) => {
            // Where it cannot be printed there is nobody to tell.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(Code::Usage as u8);
        }
    };
    match done {
        Ok(code) => code as u8,
        Err(failure) => {
            eprintln!("{failure}");
            failure.code as u8
        }
    }
}

fn dispatch(command: Command) -> Result<Code, Failure> {
    match command {
        Command::Run(args) => on_runtime(run::run(args)),
        Command::Policy(PolicyCommand::Check { file }) => policy_check::check(&file),
        Command::Policy(PolicyCommand::Schema) => policy_check::schema(),
        Command::Compare(args) => on_runtime(compare::compare(args)),
        Command::Simulate(args) => on_runtime(simulate::simulate(args)),
        Command::Replay(args) => replay::replay(&args),
        Command::ServeFake(args) => on_runtime(serve_fake::serve(args)),
        Command::Completions { shell } => complete::print(shell),
    }
}

fn on_runtime(work: impl Future<Output = Result<Code, Failure>>) -> Result<Code, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Unexpected, format!("the async runtime does not start: {error}")))?;
    let result = tokio::task::LocalSet::new().block_on(&runtime, work);
    // A second Ctrl-C must not wait for a thread that reads a file.
    runtime.shutdown_background();
    result
}
