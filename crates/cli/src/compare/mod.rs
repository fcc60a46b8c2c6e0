//! `sluicegate compare`: the same calls through several clients at the same time, each against a fake of its own.

mod args;
mod clients;
mod measure;
mod plots;
mod progress;
mod report;
mod scenario;
mod table;
mod twins;
mod workers;

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
use workers::Worker;

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
    let twins = if scenario.args().twins { twins::play(&scenario, &oracle, &measured)? } else { Vec::new() };
    let result = report::Result { scenario: &scenario, oracle: &oracle, clients: &measured, criteria: &criteria };
    files::write(output, &report::html(&result)?)?;
    if let Some(path) = &scenario.args().json {
        let mut figures = measure::json(&scenario, &oracle, &measured, &criteria);
        if scenario.args().twins {
            figures["twins"] = twins::json(&twins);
        }
        files::write(path, &format!("{figures:#}\n"))?;
    }
    let mut text = table::text(&oracle, &measured, &criteria);
    if scenario.args().twins {
        text.push_str(&format!("\n{}\n", twins::text(&twins)));
    }
    policy_check::print(format!("{text}\n").as_bytes())?;
    eprintln!("report: {}", output.display());
    Ok(if criteria.iter().all(|criterion| criterion.holds) { Code::Done } else { Code::Missed })
}

/// Who makes the calls of a client.
enum Maker {
    /// This process.
    Inside {
        caller: Arc<Caller>,
        /// Calls that are not over.
        open: Arc<AtomicUsize>,
        /// By how much calls went out late, in microseconds.
        late: Arc<Mutex<Vec<u64>>>,
        calls: JoinHandle<()>,
    },
    /// One of its own.
    Outside(Worker),
}

/// One client with its fake, under way.
struct Lane {
    kind: Kind,
    fake: Fake,
    maker: Maker,
}

impl Lane {
    /// Starts a client that runs in this process, or lets the process of its own begin that is warm by now.
    async fn start(
        kind: Kind,
        scenario: &Scenario,
        arrivals: Arc<[Arrival]>,
        worker: Option<Worker>,
    ) -> Result<Self, Failure> {
        let seed = scenario.args().seed;
        let fake = fake::start(scenario.service(), Options { seed, ..Options::default() }).await?;
        fake.with_ledger(|ledger| {
            for (index, arrival) in arrivals.iter().enumerate() {
                ledger.expect(clients::tag(index), arrival.at, arrival.at.saturating_add(scenario.deadline()));
            }
        });
        if let Some(mut worker) = worker {
            worker.go(&fake.url(), fake.now())?;
            return Ok(Self { kind, fake, maker: Maker::Outside(worker) });
        }
        let caller = Caller::new(kind, &service::local(&fake.url()), scenario.policy()?, seed)?;
        let caller = Arc::new(
            caller.ok_or_else(|| Failure::new(Code::Unexpected, format!("the peer {} has no process", kind.name())))?,
        );
        let open = Arc::new(AtomicUsize::new(0));
        // Each client keeps its own fake's time, so that faults and arrivals meet alike for all.
        let origin = Instant::now() - Duration::from_micros(fake.now().as_micros());
        let late = Arc::new(Mutex::new(Vec::with_capacity(arrivals.len())));
        let books = clients::Open { calls: Arc::clone(&open), late: Arc::clone(&late) };
        let calls = tokio::spawn(clients::drive(Arc::clone(&caller), arrivals, origin, scenario.deadline(), books));
        Ok(Self { kind, fake, maker: Maker::Inside { caller, open, late, calls } })
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
        let waiting = match &self.maker {
            Maker::Outside(_) => None,
            Maker::Inside { caller, open, .. } => {
                let open = open.load(Ordering::Relaxed) as u64;
                Some(caller.waiting().map_or_else(|| open.saturating_sub(in_flight), |waiting| waiting as u64))
            }
        };
        Live { in_time, refused, in_flight, waiting }
    }

    async fn finish(self, scenario: &Scenario) -> Result<Measured, Failure> {
        let Self { kind, fake, maker } = self;
        // What is still out by now does not count.
        let (late, versions) = match maker {
            Maker::Inside { late, calls, .. } => {
                calls.abort();
                (std::mem::take(&mut *late.lock().unwrap_or_else(PoisonError::into_inner)), None)
            }
            Maker::Outside(worker) => (worker.late()?, Some(worker.versions().to_owned())),
        };
        let ledger = fake.stop().await;
        Ok(Measured { versions, ..Measured::new(kind, scenario, &ledger, late) })
    }
}

/// Starts the processes of the clients that are none of this one, and waits until each is warm. They load their libraries
/// and make a call to a fake that nobody counts.
async fn rehearse(scenario: &Arc<Scenario>) -> Result<Vec<Worker>, Failure> {
    let mut workers = Vec::new();
    for kind in scenario.args().peers() {
        let fake = fake::start(scenario.service(), Options::default()).await?;
        let (scenario, url) = (Arc::clone(scenario), fake.url());
        let work = tokio::task::spawn_blocking(move || Worker::start(kind, &scenario, &url));
        workers.push(work.await.map_err(|error| Failure::new(Code::Unexpected, format!("the peers: {error}")))??);
        fake.stop().await;
    }
    Ok(workers)
}

/// Plays the scenario through all clients at once.
async fn run(scenario: &Arc<Scenario>) -> Result<Vec<Measured>, Failure> {
    let mut workers = rehearse(scenario).await?;
    let arrivals: Arc<[Arrival]> = scenario.arrivals.clone().into();
    let mut lanes = Vec::new();
    for kind in scenario.kinds() {
        let worker = workers.iter().position(|worker| worker.kind() == kind).map(|place| workers.swap_remove(place));
        lanes.push(Lane::start(kind, scenario, Arc::clone(&arrivals), worker).await?);
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
        measured.push(lane.finish(scenario).await?);
    }
    Ok(measured)
}
