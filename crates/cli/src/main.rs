//! The `sluicegate` command.

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

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, PolicyCommand};
use exit::{Code, Failure};

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => code.into(),
        Err(failure) => {
            eprintln!("{failure}");
            failure.code.into()
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
