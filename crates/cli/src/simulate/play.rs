//! Plays plans on several threads. What comes out does not depend on how many.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use sluicegate_sim::{Arrival, Oracle, Pattern, Played, RunError, Scenario, run_calls};

use super::build::{Plan, Point};
use super::figures::{Median, Row};
use super::recovery::full_after;

/// Calls for which the best that any schedule could do is worked out at most: its cost grows faster than their number.
const MOST_BOUND_CALLS: usize = 50_000;
/// Pieces of trouble in a Region for which it is, likewise.
const MOST_BOUND_TROUBLE: usize = 100;
/// The seed under which it is worked out, and a run kept second by second: for every seed it would take longer than the runs.
const SHOWN_SEED: u64 = 1;

/// What a plan came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The plan.
    pub(crate) plan: Plan,
    /// By point.
    pub(crate) points: Vec<PointOutcome>,
    /// One run of the last point, second by second.
    pub(crate) sample: Option<Sample>,
}

/// What became of one point.
#[derive(Debug)]
pub(crate) struct PointOutcome {
    /// By policy.
    pub(crate) policies: Vec<(Median, Vec<Row>)>,
    /// What could have been done with the calls of the first seed, where all policies had the same and they are not too many.
    pub(crate) oracle: Option<Oracle>,
}

/// One run, second by second, for each policy.
#[derive(Debug)]
pub(crate) struct Sample {
    /// By policy.
    pub(crate) policies: Vec<Seconds>,
    /// Of the measured calls, what could have been answered in time.
    pub(crate) oracle: Oracle,
}

/// What the service saw of one policy, second by second.
#[derive(Debug, Default)]
pub(crate) struct Seconds {
    /// Calls made, which are the same for all but in a closed loop.
    pub(crate) offered: Vec<u32>,
    pub(crate) answered: Vec<u32>,
    pub(crate) refused: Vec<u32>,
}

/// One piece of work: every policy at one point under one seed.
#[derive(Clone, Copy, Debug)]
struct Job {
    plan: usize,
    point: usize,
    seed: u64,
}

/// What came of it.
#[derive(Debug)]
struct Piece {
    rows: Vec<Row>,
    oracle: Option<Oracle>,
    sample: Option<Sample>,
}

type Done = Result<Piece, RunError>;

/// Why nothing came of it.
pub(crate) enum Ended {
    /// Somebody stopped it.
    Stopped,
    /// A run failed.
    Failed { plan: String, point: String, seed: u64, error: RunError },
}

/// Calls that are held at most, over all threads: some gigabytes.
const MOST_CALLS_HELD: usize = 20_000_000;

/// The most calls that a run of these plans may make.
fn most_calls(plans: &[Plan]) -> usize {
    plans.iter().flat_map(|plan| &plan.points).map(|point| point.calls).max().unwrap_or(0)
}

/// How many pieces of work there are.
pub(crate) fn count(plans: &[Plan]) -> u64 {
    plans.iter().map(|plan| plan.points.len() as u64 * u64::from(plan.seeds)).sum()
}

/// Plays all plans. `done` is told after each piece of work.
pub(crate) fn play(
    plans: Vec<Plan>,
    threads: usize,
    stop: &AtomicBool,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<Outcome>, Ended> {
    let mut jobs: Vec<Job> = Vec::new();
    for (plan, of) in plans.iter().enumerate() {
        for point in 0..of.points.len() {
            jobs.extend((1..=u64::from(of.seeds)).map(|seed| Job { plan, point, seed }));
        }
    }
    let threads = threads.min(MOST_CALLS_HELD / most_calls(&plans).max(1)).max(1);
    let results: Vec<Mutex<Option<Done>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = || {
        while !stop.load(Ordering::Relaxed) && !failed.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (Some(job), Some(place)) = (jobs.get(number), results.get(number)) else { break };
            let Some(plan) = plans.get(job.plan) else { break };
            let Some(point) = plan.points.get(job.point) else { break };
            let result = one(point, job.seed, job.point + 1 == plan.points.len());
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            done();
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.max(1) {
            scope.spawn(work);
        }
        work();
    });
    if stop.load(Ordering::Relaxed) {
        return Err(Ended::Stopped);
    }
    let mut finished = Vec::with_capacity(jobs.len());
    for (job, result) in jobs.iter().zip(results) {
        match result.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(Ok(done)) => finished.push(done),
            Some(Err(error)) => return Err(failure(&plans, *job, error)),
            // A later one failed; it is found below.
            None => {}
        }
    }
    let mut finished = finished.into_iter();
    Ok(plans.into_iter().map(|plan| gather(plan, &mut finished)).collect())
}

fn failure(plans: &[Plan], job: Job, error: RunError) -> Ended {
    let plan = plans.get(job.plan);
    let point = plan.and_then(|plan| Some(plan.points.get(job.point)?.text(&plan.axes)));
    let name = plan.map_or_else(String::new, |plan| plan.name.clone());
    Ended::Failed { plan: name, point: point.unwrap_or_default(), seed: job.seed, error }
}

/// The results of one plan, which come in the order of its points and, within them, of the seeds.
fn gather(plan: Plan, results: &mut impl Iterator<Item = Piece>) -> Outcome {
    let mut sample = None;
    let mut points = Vec::new();
    for _ in &plan.points {
        let mut rows: Vec<Vec<Row>> = vec![Vec::new(); plan.policies.len()];
        let mut oracle = None;
        for piece in results.by_ref().take(usize::try_from(plan.seeds).unwrap_or(usize::MAX)) {
            rows.iter_mut().zip(piece.rows).for_each(|(rows, row)| rows.push(row));
            oracle = oracle.or(piece.oracle);
            sample = sample.or(piece.sample);
        }
        let policies = rows.into_iter().map(|rows| (Median::of(&rows), rows)).collect();
        points.push(PointOutcome { policies, oracle });
    }
    Outcome { plan, points, sample }
}

/// All policies at one point under one seed, with the same calls for all, except in a closed loop.
fn one(point: &Point, seed: u64, last: bool) -> Done {
    let scenario = point.scenario.seeded(seed);
    let arrivals = scenario.arrivals();
    let shown = seed == SHOWN_SEED;
    let closed = matches!(scenario.workload.arrivals, Pattern::ClosedLoop { .. });
    let known = if closed { None } else { Some(oracle(&scenario, &arrivals, shown)?) };
    let mut rows = Vec::new();
    let mut sample = Sample { policies: Vec::new(), oracle: Oracle::default() };
    for kind in &point.kinds {
        let played = run_calls(&scenario, kind, arrivals.clone())?;
        let first = rows.is_empty();
        let known = match known {
            Some(known) => known,
            None => oracle(&scenario, &played.arrivals, shown && last && first)?,
        };
        rows.push(Row::new(seed, &played.report, known.fair, full_after(&scenario, &played.fates)));
        if shown && last {
            if first {
                sample.oracle = known;
            }
            sample.policies.push(seconds(&played));
        }
    }
    let oracle = known.filter(|known| known.upper_bound.is_some());
    Ok(Piece { rows, oracle, sample: (shown && last).then_some(sample) })
}

/// What a fair queue answers of the calls, and if it is wanted and they are not too many, what any schedule could.
fn oracle(scenario: &Scenario, arrivals: &[Arrival], whole: bool) -> Result<Oracle, RunError> {
    let calm = scenario.service.lanes.iter().all(|lane| lane.faults.len() <= MOST_BOUND_TROUBLE);
    if whole && calm && arrivals.len() <= MOST_BOUND_CALLS {
        return Ok(Oracle::of(scenario, arrivals)?);
    }
    let calls = arrivals.iter().filter(|arrival| scenario.measures(arrival)).count() as u64;
    Ok(Oracle { calls, fair: Oracle::fair_only(scenario, arrivals)?, ..Oracle::default() })
}

fn offered(arrivals: &[Arrival]) -> Vec<u32> {
    let mut seconds: Vec<u32> = Vec::new();
    for arrival in arrivals {
        let second = usize::try_from(arrival.at.as_micros() / 1_000_000).unwrap_or(usize::MAX);
        if second >= sluicegate_sim::MAX_SECONDS {
            break;
        }
        if second >= seconds.len() {
            seconds.resize(second + 1, 0);
        }
        if let Some(count) = seconds.get_mut(second) {
            *count += 1;
        }
    }
    seconds
}

/// The sum over all Regions.
fn seconds(played: &Played) -> Seconds {
    let mut sum = Seconds { offered: offered(&played.arrivals), ..Seconds::default() };
    for lane in &played.ledger.lanes {
        let before = usize::try_from(lane.first_second).unwrap_or(usize::MAX);
        let end = before.saturating_add(lane.seconds.len()).min(sluicegate_sim::MAX_SECONDS);
        sum.answered.resize(end.max(sum.answered.len()), 0);
        sum.refused.resize(end.max(sum.refused.len()), 0);
        let places = sum.answered.iter_mut().zip(&mut sum.refused).skip(before);
        for ((answered, refused), row) in places.zip(&lane.seconds) {
            *answered += row.completed;
            *refused += row.refused;
        }
    }
    sum
}
