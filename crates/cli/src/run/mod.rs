//! `sluicegate run`: every record of a file, answered once.
//!
//! Two passes over the input. The first finds faulty lines and what is still to do; per record it keeps a 128-bit
//! fingerprint and nothing else. The second streams: a thread reads, a bounded number of calls is held, one writer
//! appends whole lines.

mod end;
mod events;
mod input;
mod lines;
mod notes;
mod output;
mod pools;
mod progress;
mod pump;
mod record;
mod scan;
mod state;
mod stats;
mod stop;
mod summary;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sluicegate_bedrock::aws_sdk::{CallOptions, Client};
use sluicegate_fake_bedrock::Options;

use crate::args::{InputType, RunArgs};
use crate::exit::{Code, Failure};
use crate::policy_check::{grouped, tell};
use crate::policy_file::{self, Loaded};
use crate::{fake, files, service};
use output::Output;
use pools::Pools;
use pump::Pump;
use record::Reading;
use state::StateFile;
use stats::Shared;
use summary::Tally;

/// The default of `--max-in-flight`: enough for 4,000 requests a minute of 6 s each. Each one over HTTP/1.1 takes a file
/// descriptor, of which many systems allow a process 1,024; against the embedded fake it takes two.
pub(crate) const DEFAULT_MAX_IN_FLIGHT: u32 = 400;

/// What all parts of a run share.
#[derive(Debug)]
pub(crate) struct Context {
    /// The input.
    pub(crate) input: PathBuf,
    /// The policy.
    pub(crate) loaded: Loaded,
    /// The model of lines that name none.
    model: Option<String>,
    kind: InputType,
    /// What every call asks for.
    pub(crate) options: CallOptions,
    /// Records held at once at most.
    pub(crate) max_in_flight: usize,
}

impl Context {
    /// How a line is read.
    pub(crate) fn reading(&self) -> Reading<'_> {
        Reading { policy: &self.loaded.policy, model: self.model.as_deref(), kind: self.kind }
    }
}

/// Runs the command.
pub(crate) async fn run(args: RunArgs) -> Result<Code, Failure> {
    if let Some(path) = &args.events {
        let others = [("the input", Some(&args.input)), ("the output", Some(&args.output))].into_iter();
        let others = others.chain([("the policy", args.policy.as_ref()), ("--state", args.state.as_ref())]);
        let others: Vec<(&str, &Path)> = others.filter_map(|(what, path)| Some((what, path?.as_path()))).collect();
        files::apart(&others, &[("--events", path)])?;
    }
    let loaded = policy_file::load(args.policy.as_deref())?;
    let capacity = loaded.policy.queue().capacity;
    let context = Arc::new(Context {
        input: args.input,
        loaded,
        model: args.model,
        kind: args.kind,
        options: CallOptions { deadline: args.deadline_ms.map(Duration::from_millis), ..CallOptions::default() },
        max_in_flight: usize::try_from(args.max_in_flight).unwrap_or(usize::MAX).min(capacity),
    });
    check_model(&context)?;
    scan::open(&context.input)?;
    let others: Vec<&Path> = [Some(&context.input), Some(&args.output), args.policy.as_ref()]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    let state = args.state.map(|path| StateFile::open(path, &others)).transpose()?;
    let (output, found) = Output::open(&args.output)?;
    if found.cut > 0 {
        tell(format!(
            "note: {}: cut {} bytes of a line that an earlier run could not finish; its record is sent again",
            args.output.display(),
            found.cut
        ));
    }
    let scanned = scan::scan(&context.input, &context.reading(), found.done)?;
    if scanned.strangers > 0 {
        tell(format!(
            "note: {} holds {} records that are not in {}",
            args.output.display(),
            scanned.strangers,
            context.input.display()
        ));
    }
    let tally = Tally {
        skipped: scanned.skipped,
        failed_before: found.errors,
        faulty: scanned.faulty,
        left: scanned.todo.len() as u64,
        ..Tally::default()
    };
    let policy = &context.loaded.policy;
    if scanned.todo.is_empty() {
        let stats = stats::Stats::new(0);
        if tally.skipped + tally.faulty == 0 {
            tell(format!("note: {} holds no records", context.input.display()));
        }
        tell(summary::text(policy, &tally, &stats, &Pools::new(policy), Duration::ZERO).trim());
        return Ok(end::code(&tally));
    }

    let fake = match args.local {
        true => Some(fake::start(fake::service(policy, &context.loaded.catalogue), Options::default()).await?),
        false => None,
    };
    let config = match &fake {
        Some(fake) => service::local(&fake.url()),
        None => service::aws().await?,
    };
    tell(intent(&context, &tally, fake.is_some()));
    let stats = Shared::new(policy.endpoints().len());
    let mut observer = stats.observer();
    let mut witness = None;
    if let Some(path) = &args.events {
        let (events, inputs) = events::watch(path, policy, observer)?;
        (observer, witness) = (events, Some(inputs));
    }
    let mut builder = Client::builder(policy.clone(), &config).observer(observer);
    if let Some(witness) = witness {
        builder = builder.witness(witness);
    }
    let mut keep = None;
    if let Some((file, saved)) = state {
        if let Some((snapshot, asleep)) = saved {
            file.tell_restored(asleep);
            builder = builder.restore(snapshot, asleep);
        }
        keep = Some(file);
    }
    let client =
        builder.build().map_err(|error| Failure::new(Code::Policy, format!("{}: {error}", context.loaded.name)))?;
    let ended = Pump::new(Arc::clone(&context), client, stats.clone(), output, &args.output, tally)
        .keeping(keep)?
        .run(scanned.todo)
        .await?;
    let text = summary::text(policy, &ended.tally, &stats.lock(), &ended.pools, ended.took);
    tell(text.trim_end());
    notes::closing(policy, &stats.lock()).into_iter().for_each(tell);
    end::judge(ended, &context, &config, &args.output)
}

/// A wrong `--model` is one mistake, not one on every line.
fn check_model(context: &Context) -> Result<(), Failure> {
    let policy = &context.loaded.policy;
    match context.model.as_deref() {
        Some(model) if policy.model(model).is_none() => {
            let what = format!("--model {model}: {} has no endpoint for it", context.loaded.name);
            Err(Failure::new(Code::Usage, what).remedy(format!("pick one of: {}", policy.models().join(", "))))
        }
        _ => Ok(()),
    }
}

/// What is about to happen, in one line.
fn intent(context: &Context, tally: &Tally, local: bool) -> String {
    let policy = &context.loaded.policy;
    let count = |count: u64, what: &str| format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" });
    let usable = policy.endpoints().iter().filter(|endpoint| policy.allows(endpoint)).count() as u64;
    let place = if local { " (embedded fake Bedrock)" } else { "" };
    let rest = if tally.skipped == 0 { "" } else { " left" };
    let (records, endpoints) = (count(tally.left, "record"), count(usable, "endpoint"));
    format!("{records}{rest} for {} on {endpoints}{place}", policy.models().join(", "))
}
