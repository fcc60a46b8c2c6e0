//! What `simulate` is told.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// What `simulate --help` says.
pub(crate) const ABOUT: &str = "\
Play a plan in virtual time, and show what each policy made of it.

A plan is a TOML file: a service (Regions, quotas, how they refill, what goes wrong), calls (load, sizes, deadlines, \
tenants, or a recorded trace), policies to compare, what is swept, and what is claimed of the result. The same plan gives \
the same bytes on every machine, whatever the number of threads. A folder stands for all plans in it.

  title = \"Half as much again as the request quota\"
  policies = [\"sluicegate\", \"article\", \"aws-standard-2.1\"]

  [service]
  regions = [\"us-east-1\", \"us-east-2\", \"us-west-2\"]
  each = { requests_per_minute = 300, law = \"sliding\" }

  [calls]
  load = 1.5                           # times what the service can carry
  max_tokens = { fixed = 1024 }

  [sweep]
  load = { from = 0.5, to = 3.0, step = 0.5 }

  [goal]
  goodput_at_least = 0.98
  attempts_per_success_at_most = 1.02

Goodput is calls answered by their deadline over those that a fair queue with full knowledge of the service answers. \
Figures are medians over the seeds; of an even number of seeds, the worse of the two in the middle.";

/// What it says after the options.
pub(crate) const AFTER: &str = "\
Examples:
  sluicegate simulate tests/plans/requests.toml                     a table
  sluicegate simulate tests/plans/requests.toml --html report.html  and a page with plots
  sluicegate simulate tests/plans --skip-absent-traces              every plan of the folder

tests/plans/README.md lists every field of a plan, and those of the JSON. Ends with 10 if a goal was missed that the plan \
does not name as a known miss, and with 11 if a plan has faults; then nothing was run.";

/// What `simulate` is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Plans, or folders of them
    #[arg(value_name = "PLAN.toml", required = true, value_hint = ValueHint::AnyPath)]
    pub(crate) plans: Vec<PathBuf>,

    /// Write the figures as JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) json: Option<PathBuf>,

    /// Write a page with tables and plots: one HTML file that needs nothing else
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) html: Option<PathBuf>,

    /// Write the summary figures as Markdown, for keeping beside the plans
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) figures: Option<PathBuf>,

    /// Use so many seeds instead of each plan's own number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=super::plan::MOST_SEEDS))]
    pub(crate) seeds: Option<u32>,

    /// Threads; as many as there are cores, if absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) threads: Option<u16>,

    /// Where recorded traces lie that are not beside their plan
    #[arg(long, value_name = "DIR", env = "SLUICEGATE_TRACES", value_hint = ValueHint::DirPath)]
    pub(crate) traces: Option<PathBuf>,

    /// Leave out plans whose recorded trace is absent, and say so
    #[arg(long)]
    pub(crate) skip_absent_traces: bool,
}
