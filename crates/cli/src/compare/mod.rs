//! `sluicegate compare`: the same calls through four clients at the same time, each against a fake of its own.

mod args;
mod clients;
mod measure;
mod plots;
mod progress;
mod report;
mod scenario;
mod table;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sluicegate_fake_bedrock::{Fake, Options};
use sluicegate_sim::Arrival;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) use args::{ABOUT, AFTER, CompareArgs, LawName};

use crate::exit::{Code, Failure};
use crate::{fake, files, policy_check, service};
use clients::{Caller, Kind};
use measure::Measured;
use progress::{Live, Progress};
use scenario::Scenario;

/// How often the progress is shown.
const TICK: Duration = Duration::from_millis(250);
/// How long after the last deadline a client is let be.
const GRACE: Duration = Duration::from_millis(200);

/// Runs the command.
pub(crate) async fn compare(args: CompareArgs) -> Result<Code, Failure> {
    let scenario = Arc::new(Scenario::new(args));
    // A file that cannot be written is better known now than in three minutes.
    let output = &scenario.args().output;
    let files = std::iter::once(output).chain(&scenario.args().json);
    files.into_iter().try_for_each(|path| files::open(path))?;
    // Before the clock starts, since it takes a processor for a moment.
    let oracle = {
        let scenario = Arc::clone(&scenario);
        let work = tokio::task::spawn_blocking(move || scenario.oracle());
        work.await.map_err(|error| Failure::new(Code::Unexpected, format!("the oracle: {error}")))??
    };
    let measured = run(&scenario).await?;
    let criteria = measure::judge(&measured, &oracle);
    let result = report::Result { scenario: &scenario, oracle: &oracle, clients: &measured, criteria: &criteria };
    files::write(output, &report::html(&result)?)?;
    if let Some(path) = &scenario.args().json {
        let figures = measure::json(&scenario, &oracle, &measured, &criteria);
        files::write(path, &format!("{figures:#}\n"))?;
    }
    policy_check::print(format!("{}\n", table::text(&oracle, &measured, &criteria)).as_bytes())?;
    eprintln!("report: {}", output.display());
    Ok(if criteria.iter().all(|criterion| criterion.holds) { Code::Done } else { Code::Missed })
}

/// One client with its fake, under way.
struct Lane {
    kind: Kind,
    fake: Fake,
    caller: Arc<Caller>,
    open: Arc<AtomicUsize>,
    /// By how much calls went out late, in microseconds.
    late: Arc<Mutex<Vec<u64>>>,
    calls: JoinHandle<()>,
}

impl Lane {
    async fn start(kind: Kind, scenario: &Scenario, arrivals: Arc<[Arrival]>) -> Result<Self, Failure> {
        let seed = scenario.args().seed;
        let fake = fake::start(scenario.service(), Options { seed, ..Options::default() }).await?;
        let caller = Arc::new(Caller::new(kind, &service::local(&fake.url()), scenario.policy()?, seed)?);
        fake.with_ledger(|ledger| {
            for (index, arrival) in arrivals.iter().enumerate() {
                ledger.expect(clients::tag(index), arrival.at, arrival.at.saturating_add(scenario.deadline()));
            }
        });
        let open = Arc::new(AtomicUsize::new(0));
        // Each client keeps its own fake's time, so that faults and arrivals meet alike for all.
        let origin = Instant::now() - Duration::from_micros(fake.now().as_micros());
        let late = Arc::new(Mutex::new(Vec::with_capacity(arrivals.len())));
        let books = clients::Open { calls: Arc::clone(&open), late: Arc::clone(&late) };
        let calls = tokio::spawn(clients::drive(Arc::clone(&caller), arrivals, origin, scenario.deadline(), books));
        Ok(Self { kind, fake, caller, open, late, calls })
    }

    fn live(&self) -> Live {
        let (in_time, refused, in_flight) = self.fake.with_ledger(|ledger| {
            let rows = || ledger.lanes.iter().flat_map(|lane| &lane.seconds);
            let last = ledger.lanes.iter().filter_map(|lane| lane.seconds.last());
            let sum = |rows: &mut dyn Iterator<Item = u32>| rows.map(u64::from).sum::<u64>();
            (
                sum(&mut rows().map(|row| row.in_time)),
                sum(&mut rows().map(|row| row.refused)),
                sum(&mut last.map(|row| row.in_flight)),
            )
        });
        let open = self.open.load(Ordering::Relaxed) as u64;
        let waiting = self.caller.waiting().map_or_else(|| open.saturating_sub(in_flight), |waiting| waiting as u64);
        Live { in_time, refused, in_flight, waiting }
    }

    async fn finish(self, scenario: &Scenario) -> Measured {
        // What is still out by now does not count.
        self.calls.abort();
        let ledger = self.fake.stop().await;
        let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        Measured::new(self.kind, scenario, &ledger, late)
    }
}

/// Plays the scenario through all clients at once.
async fn run(scenario: &Scenario) -> Result<Vec<Measured>, Failure> {
    let arrivals: Arc<[Arrival]> = scenario.arrivals.clone().into();
    let mut lanes = Vec::new();
    for kind in Kind::ALL {
        lanes.push(Lane::start(kind, scenario, Arc::clone(&arrivals)).await?);
    }
    let progress = Progress::start(scenario);
    let start = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    while start.elapsed() < scenario.duration() + GRACE {
        ticks.tick().await;
        let live: Vec<Live> = lanes.iter().map(Lane::live).collect();
        progress.show(scenario, start.elapsed().as_secs(), &live);
    }
    drop(progress);
    let mut measured = Vec::new();
    for lane in lanes {
        measured.push(lane.finish(scenario).await);
    }
    Ok(measured)
}
