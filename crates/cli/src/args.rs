//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use crate::help;

/// Sends many prompts to Amazon Bedrock as fast as the quotas allow, with next to no refused request.
#[derive(Debug, Parser)]
#[command(name = "sluicegate", version, propagate_version = true, max_term_width = 100)]
#[command(long_about = help::TOP, after_long_help = crate::exit::Code::help())]
#[command(after_help = "Exit codes and examples: sluicegate --help")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send every record of a JSONL file and write the answers, resumably
    #[command(long_about = help::RUN, after_long_help = help::RUN_AFTER)]
    Run(RunArgs),
    /// Look at policy files
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Send the same calls through four clients side by side, and show what became of them
    #[command(long_about = crate::compare::ABOUT, after_long_help = crate::compare::AFTER)]
    Compare(crate::compare::CompareArgs),
    /// Play plans in virtual time: what each policy makes of a service, its troubles and its load
    #[command(long_about = crate::simulate::ABOUT, after_long_help = crate::simulate::AFTER)]
    Simulate(crate::simulate::SimulateArgs),
    /// Play a log again under another policy, and show what would have become of its calls
    #[command(long_about = crate::replay::ABOUT)]
    Replay(crate::replay::ReplayArgs),
    /// Start a fake Bedrock on this machine, for any AWS SDK
    #[command(long_about = help::SERVE_FAKE)]
    ServeFake(ServeFakeArgs),
    /// Print a completion script for a shell
    #[command(long_about = help::COMPLETIONS)]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// What `run` is told.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The records, one JSON object a line
    #[arg(value_name = "INPUT.jsonl", value_hint = ValueHint::FilePath)]
    pub(crate) input: PathBuf,

    /// Where the answers go; appended to, so that an interrupted run goes on
    #[arg(short, long, value_name = "OUTPUT.jsonl", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,

    /// The policy, YAML or JSON; with --local a built-in one of three Regions, if absent
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "local")]
    pub(crate) policy: Option<PathBuf>,

    /// Talk to a fake Bedrock inside this process, with the policy's quotas; nothing leaves the machine
    #[arg(long)]
    pub(crate) local: bool,

    /// The model of lines that name none: a model or a target of the policy
    #[arg(short, long, value_name = "ID")]
    pub(crate) model: Option<String>,

    /// Keep what is learned of limits, speed and quota use in this file, and go on from it in the next run
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) state: Option<PathBuf>,

    /// Append every call's size and every event of the engine to this file, as JSON lines for `sluicegate replay`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) events: Option<PathBuf>,

    /// Which API the records are for
    #[arg(short = 't', long = "type", value_enum, default_value_t = InputType::Auto)]
    pub(crate) kind: InputType,

    /// Records held at once at most, in flight or waiting; raise it with quotas of more than 4,000 requests a minute
    #[arg(long, value_name = "N", default_value_t = crate::run::DEFAULT_MAX_IN_FLIGHT, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_in_flight: u32,

    /// Give each record at most so long, in milliseconds; later ones end in an error. The policy's own, if absent
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=604_800_000))]
    pub(crate) deadline_ms: Option<u64>,
}

/// Which API the records are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputType {
    /// Told from each record: messages with Converse's content blocks are Converse, all else InvokeModel
    Auto,
    /// Converse
    Converse,
    /// InvokeModel, in the model vendor's own form
    InvokeModel,
}

/// The subcommands of `policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// List everything that is wrong with a policy, or say in short what it allows
    Check {
        /// The policy, YAML or JSON
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Print the JSON Schema of a policy, with every field and default
    #[command(long_about = help::SCHEMA)]
    Schema,
}

/// What `serve-fake` is told.
#[derive(Debug, Args)]
pub(crate) struct ServeFakeArgs {
    /// Take Regions, models and quotas from this policy
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "config")]
    pub(crate) policy: Option<PathBuf>,

    /// Take them from a file of the simulator's own form (YAML or JSON), which also knows latencies and faults
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,

    /// The port on 127.0.0.1; a free one, if absent
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,

    /// Stop by itself after so many seconds
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 3_600)]
    pub(crate) seconds: u64,
}
