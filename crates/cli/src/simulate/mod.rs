//! `sluicegate simulate`: plans, played in virtual time.

mod args;
mod build;
mod calls;
mod faults;
mod figures;
mod goal;
mod page;
mod plan;
mod play;
mod plots;
mod progress;
mod recovery;
mod service;
mod sweep;
mod table;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

pub(crate) use args::{ABOUT, AFTER, SimulateArgs};
use build::{Built, Plan};
use play::{Ended, Outcome};
use progress::Progress;

use crate::clock::Stopwatch;
use crate::exit::{Code, Failure};
use crate::files;
use crate::policy_check::{print, tell};
use crate::service::Signals;

/// A plan at most, in bytes.
const MOST_PLAN_BYTES: u64 = 1 << 20;

/// Runs the command.
pub(crate) async fn simulate(args: SimulateArgs) -> Result<Code, Failure> {
    let outputs = || [&args.json, &args.html, &args.figures].into_iter().flatten();
    let named = [("--json", &args.json), ("--html", &args.html), ("--figures", &args.figures)];
    let named: Vec<(&str, &Path)> =
        named.into_iter().filter_map(|(name, path)| Some((name, path.as_deref()?))).collect();
    let given = paths(&args.plans)?;
    let inputs: Vec<(&str, &Path)> = given.iter().map(|path| ("the plan", path.as_path())).collect();
    files::apart(&inputs, &named)?;
    let plans = read(&args)?;
    let beside: Vec<(&str, &Path)> =
        plans.iter().flat_map(|plan| &plan.reads).map(|(what, path)| (*what, path.as_path())).collect();
    files::apart(&beside, &named)?;
    // A file that cannot be written is better known now than at the end.
    outputs().try_for_each(|path| files::open(path))?;
    let outcomes = match play_all(plans, &args).await? {
        Ok(outcomes) => outcomes,
        Err(code) => return Ok(code),
    };
    if let Some(path) = &args.json {
        files::write(path, &format!("{:#}\n", figures_json(&outcomes)))?;
    }
    if let Some(path) = &args.html {
        files::write(path, &page::html(&outcomes)?)?;
    }
    if let Some(path) = &args.figures {
        files::write(path, &table::markdown(&outcomes))?;
    }
    let width = std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    let width = width.map(|(terminal_size::Width(columns), _)| usize::from(columns));
    let texts: Vec<String> = outcomes.iter().map(|outcome| table::text(outcome, width)).collect();
    print(texts.join("\n").as_bytes())?;
    if outcomes.len() > 1 {
        print(summary(&outcomes).as_bytes())?;
    }
    outputs().for_each(|path| tell(format!("written: {}", path.display())));
    Ok(if outcomes.iter().any(newly_missed) { Code::Missed } else { Code::Done })
}

/// Everything that is wrong with a plan, each fault a line with its place; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFaults(pub Vec<String>);

/// Plays the plan in `text` and returns its figures: what `sluicegate simulate --json` writes of one plan. What the plan
/// names is looked for beside `path`, whose name is the plan's; the file itself need not be there. `stop` ends it early.
///
/// # Errors
/// The plan has faults, or a run of it fails.
pub fn figures(path: &Path, text: &str, stop: &AtomicBool) -> Result<serde_json::Value, PlanFaults> {
    let name = path.display().to_string();
    let plan = match build::build(path, text, None, None) {
        Built::Plan(plan) => *plan,
        Built::Absent(fault) => return Err(PlanFaults(vec![fault.line(&name, text)])),
        Built::Faults(found) => return Err(PlanFaults(found.iter().map(|fault| fault.line(&name, text)).collect())),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    match play::play(vec![plan], threads, stop, &|| {}) {
        Ok(outcomes) => Ok(figures_json(&outcomes)["plans"][0].take()),
        Err(Ended::Stopped) => Err(PlanFaults(vec![format!("{name}: stopped")])),
        Err(Ended::Failed { point, seed, error, .. }) => {
            Err(PlanFaults(vec![format!("{name}: {point}, seed {seed}: {error}")]))
        }
    }
}

/// Every plan, or every fault of all of them.
fn read(args: &SimulateArgs) -> Result<Vec<Plan>, Failure> {
    let (mut plans, mut faults) = (Vec::new(), Vec::new());
    for path in paths(&args.plans)? {
        let name = path.display().to_string();
        let text = text(&path)?;
        match build::build(&path, &text, args.seeds, args.traces.as_deref()) {
            Built::Plan(plan) => plans.push(*plan),
            Built::Absent(fault) if args.skip_absent_traces => tell(format!("NOT RUN: {}", fault.line(&name, &text))),
            Built::Absent(fault) => faults.push(fault.line(&name, &text)),
            Built::Faults(found) => faults.extend(found.iter().map(|fault| fault.line(&name, &text))),
        }
    }
    match faults.is_empty() {
        true => Ok(plans),
        false => {
            let plural = if faults.len() == 1 { "" } else { "s" };
            let what = format!("{} fault{plural}; nothing was run\n{}", faults.len(), faults.join("\n"));
            Err(Failure::new(Code::Plan, what)
                .remedy("`sluicegate simulate --help` shows a plan; tests/plans/README.md lists every field"))
        }
    }
}

/// The plans meant: files as they are, of folders all `*.toml` in the order of their names.
fn paths(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut paths = Vec::new();
    for path in given {
        if !path.is_dir() {
            paths.push(path.clone());
            continue;
        }
        let cannot =
            |error: std::io::Error| Failure::new(Code::Usage, format!("{}: cannot be read: {error}", path.display()));
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(cannot)? {
            let entry = entry.map_err(cannot)?.path();
            if entry.extension().is_some_and(|ending| ending == "toml") {
                found.push(entry);
            }
        }
        if found.is_empty() {
            return Err(Failure::new(Code::Usage, format!("{}: holds no plans (*.toml)", path.display())));
        }
        found.sort();
        paths.extend(found);
    }
    Ok(paths)
}

fn text(path: &Path) -> Result<String, Failure> {
    let cannot = |why: String| Failure::new(Code::Usage, format!("{}: cannot be read: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
    if size > MOST_PLAN_BYTES {
        return Err(cannot(format!("{size} bytes are too many for a plan")).remedy("name the plan file"));
    }
    std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))
}

/// Plays until the end or until somebody stops it; then the code to end with.
async fn play_all(plans: Vec<Plan>, args: &SimulateArgs) -> Result<Result<Vec<Outcome>, Code>, Failure> {
    let start = Stopwatch::start();
    let mut signals = Signals::listen()?;
    let threads = match args.threads {
        Some(threads) => usize::from(threads),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let progress = Arc::new(Progress::start(play::count(&plans), plans.len()));
    let mut work = {
        let (stop, progress) = (Arc::clone(&stop), Arc::clone(&progress));
        tokio::task::spawn_blocking(move || play::play(plans, threads, &stop, &|| progress.step()))
    };
    let ended = loop {
        tokio::select! {
            ended = &mut work => break ended,
            () = signals.next() => {
                // The runs under way come to their end; a second signal does not wait for them.
                if stop.swap(true, Ordering::Relaxed) {
                    progress.finish();
                    return Ok(Err(Code::Interrupted));
                }
                progress.say("stopping when the runs under way are over; once more to stop at once");
            }
        }
    };
    progress.finish();
    match ended.map_err(|error| Failure::new(Code::Unexpected, format!("a run failed: {error}")))? {
        Ok(outcomes) => {
            tell(speed(&outcomes, threads, start.elapsed()));
            Ok(Ok(outcomes))
        }
        Err(Ended::Stopped) => {
            tell("stopped; nothing was written");
            Ok(Err(Code::Interrupted))
        }
        Err(Ended::Failed { plan, point, seed, error }) => {
            Err(Failure::new(Code::Unexpected, format!("{plan}: {point}, seed {seed}: {error}")))
        }
    }
}

/// How fast it went, with drawing calls and the oracle.
fn speed(outcomes: &[Outcome], threads: usize, took: Duration) -> String {
    let rows = outcomes.iter().flat_map(|outcome| &outcome.points).flat_map(|point| &point.policies);
    let attempts: u64 = rows.flat_map(|(_, rows)| rows).map(|row| row.simulated).sum();
    let seconds = took.as_secs_f64();
    let (rate, plural) = (attempts as f64 / seconds.max(1e-6), if threads == 1 { "" } else { "s" });
    format!("simulated: {attempts} attempts in {seconds:.1} s, {rate:.0} a second on {threads} thread{plural}")
}

/// At how many points the goal is missed, and how many there are.
pub(crate) fn misses(outcome: &Outcome) -> (usize, usize) {
    let Some(goal) = &outcome.plan.goal else { return (0, 0) };
    let medians = outcome.points.iter().filter_map(|point| point.policies.get(goal.policy));
    let missed = medians.filter(|(median, _)| goal.check(median).iter().any(|check| !check.holds)).count();
    (missed, outcome.points.len())
}

fn newly_missed(outcome: &Outcome) -> bool {
    misses(outcome).0 > 0 && outcome.plan.goal.as_ref().is_some_and(|goal| goal.known_miss.is_none())
}

fn summary(outcomes: &[Outcome]) -> String {
    let claiming: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.plan.goal.is_some()).collect();
    let missed: Vec<&&Outcome> = claiming.iter().filter(|outcome| misses(outcome).0 > 0).collect();
    let mut text = format!("\n{} of {} goals hold\n", claiming.len() - missed.len(), claiming.len());
    for outcome in missed {
        text.push_str(&format!("  {}: {}\n", outcome.plan.name, table::verdict(outcome)));
    }
    text
}

fn figures_json(outcomes: &[Outcome]) -> serde_json::Value {
    let plan = |outcome: &Outcome| {
        let plan = &outcome.plan;
        let points: Vec<serde_json::Value> = plan
            .points
            .iter()
            .zip(&outcome.points)
            .map(|(point, figures)| {
                let at: serde_json::Map<String, serde_json::Value> = plan
                    .axes
                    .iter()
                    .zip(&point.settings)
                    .map(|(axis, value)| (axis.name.clone(), value.text().into()))
                    .collect();
                let policies = plan.policies.iter().zip(&figures.policies);
                let policies: Vec<_> = policies.map(|(name, (median, rows))| median.json(name, rows)).collect();
                let goal = plan.goal.as_ref().and_then(|goal| {
                    let (median, _) = figures.policies.get(goal.policy)?;
                    let checks = goal.check(median);
                    let check =
                        |check: &goal::Check| json!({"claim": check.claim, "found": check.found, "holds": check.holds});
                    Some(checks.iter().map(check).collect::<Vec<_>>())
                });
                let oracle = figures.oracle.map(|oracle| {
                    json!({"fair": oracle.fair, "all_knowing": oracle.clairvoyant, "upper_bound": oracle.upper_bound})
                });
                json!({"at": at, "oracle": oracle, "policies": policies, "goal": goal})
            })
            .collect();
        let (missed, _) = misses(outcome);
        let known_miss = plan.goal.as_ref().and_then(|goal| goal.known_miss.clone());
        json!({
            "name": plan.name,
            "title": plan.title,
            "seeds": plan.seeds,
            "holds": plan.goal.as_ref().map(|_| missed == 0),
            "known_miss": known_miss,
            "tenants": plan.tenants,
            "points": points,
        })
    };
    json!({"version": 1, "plans": outcomes.iter().map(plan).collect::<Vec<_>>()})
}
