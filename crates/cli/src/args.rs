//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

/// Sends many prompts to Amazon Bedrock as fast as the quotas allow, with next to no refused request.
#[derive(Debug, Parser)]
#[command(name = "sluicegate", version, propagate_version = true, max_term_width = 100)]
#[command(long_about = "\
Sends many prompts to Amazon Bedrock as fast as the quotas allow, with next to no refused request.

A policy file says which endpoints there are (Region and model) and which quotas they draw on. \
sluicegate then decides when, where and whether each request goes out.

Start here, without an AWS account:

  sluicegate run tests/samples/prompts.jsonl -o answers.jsonl --local

Then with your own policy:

  sluicegate policy check policy.yaml
  sluicegate run prompts.jsonl -o answers.jsonl --policy policy.yaml")]
#[command(after_long_help = crate::exit::Code::help())]
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
    Run(RunArgs),
    /// Look at policy files
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Start a fake Bedrock on this machine, for any AWS SDK
    ServeFake(ServeFakeArgs),
    /// Print a completion script for a shell
    #[command(long_about = "\
Print a completion script for a shell.

  sluicegate completions bash > ~/.local/share/bash-completion/completions/sluicegate
  sluicegate completions zsh > \"${fpath[1]}/_sluicegate\"
  sluicegate completions fish > ~/.config/fish/completions/sluicegate.fish")]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// What `run` is told.
#[derive(Debug, Args)]
#[command(long_about = "\
Send every record of a JSONL file and write the answers, resumably.

Each input line is a record in Bedrock batch inference's own form:

  {\"recordId\": \"r1\", \"modelInput\": {\"messages\": [{\"role\": \"user\", \"content\": [{\"text\": \"Hi\"}]}]}}

and each output line repeats it with the answer, or with an error:

  {\"recordId\": \"r1\", \"modelInput\": {...}, \"modelOutput\": {...}}
  {\"recordId\": \"r1\", \"modelInput\": {...}, \"error\": {\"errorCode\": \"...\", \"errorMessage\": \"...\"}}

Answers come in the order in which they arrive: join them by recordId.

Run the same command again after any interruption (Ctrl-C, kill, power, full disk): records that are in the output \
are not sent again, none is lost. To send failed records once more, delete their lines from the output first.

A line may name its model with \"modelId\"; otherwise --model holds, otherwise the policy's only model.")]
#[command(after_long_help = "\
Examples:
  sluicegate run prompts.jsonl -o answers.jsonl --local                   try it without AWS
  sluicegate run prompts.jsonl -o answers.jsonl --policy policy.yaml      the usual AWS credential chain
  AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://127.0.0.1:9000 sluicegate run …  another endpoint, e.g. serve-fake

Memory: a fingerprint of each recordId (16 bytes, with the set around it 18 to 36) and the records held at once: at \
most --max-in-flight of them and 256 MiB of text. Nothing else grows with the input.

`sluicegate --help` lists the exit codes.")]
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
    #[command(long_about = "\
Print the JSON Schema of a policy, with every field and default.

Editors complete and check YAML by it:

  sluicegate policy schema > policy.schema.json
  # first line of policy.yaml: # yaml-language-server: $schema=policy.schema.json")]
    Schema,
}

/// What `serve-fake` is told.
#[derive(Debug, Args)]
#[command(long_about = "\
Start a fake Bedrock on this machine, for any AWS SDK.

It serves Converse, ConverseStream, InvokeModel, InvokeModelWithResponseStream and CountTokens for every Region on one \
loopback port, holds the quotas and answers words that mean nothing. It prints the environment variables that point an \
SDK at it.

  sluicegate serve-fake                        the built-in policy's Regions and quotas
  sluicegate serve-fake --policy policy.yaml   your policy's
  sluicegate serve-fake --config fake.json     with latencies, outages and error mixes of your choice")]
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
