//! Wall time per operation, by criterion, for us and the peers in one run.
//!
//! `cargo bench -p sluicegate --bench wall [-- WORD]`; the word picks cases by name. Other work on the machine disturbs
//! these figures; the ones that repeat are those of the benchmark `instructions`.
#![expect(clippy::expect_used, reason = "a benchmark may end when its set-up is wrong")]

mod common;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::crowd::Crowd;
use common::life::Life;
use common::{pieces, print};
use criterion::Criterion;
use criterion::measurement::{Measurement as _, WallTime};

/// A microsecond for the whole life of a call.
const MOST: f64 = 1_000.0;

fn main() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wall");
    let _ = std::fs::remove_dir_all(&folder);
    let mut criterion = Criterion::default()
        .without_plots()
        .output_directory(&folder)
        .sample_size(50)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    // failsafe reads a clock at every attempt; frozen, it costs no system call, as ours costs none.
    failsafe::clock::freeze(|_| cases(&mut criterion));
    criterion.final_summary();
    print("median ns per operation", &medians(&folder), &[("life", MOST), ("life_among_100", MOST)]);
}

fn cases(criterion: &mut Criterion) {
    macro_rules! pieces {
        ($($name:ident)*) => { $( criterion.bench_function(stringify!($name), |b| b.iter(pieces::$name())); )* };
    }
    pieces!(limiter limiter_often limiter_late limiter_full limiter_scarce limiter_refuses governor governor_refuses backoff backon);
    pieces!(breaker_attempts breaker_seconds recloser failsafe_consecutive failsafe_rate);
    for (name, out) in [("life", 0), ("life_among_100", 100)] {
        let mut life = None;
        criterion.bench_function(name, |b| {
            let life = life.get_or_insert_with(|| Life::new(out));
            b.iter(|| life.step());
        });
    }
    for waiting in [100, 1_000, 1_000_000] {
        crowd(criterion, waiting);
    }
}

/// What criterion times of `iterations` operations, of which each `batch` is followed by some tidying.
fn timed(iterations: u64, batch: u64, mut operation: impl FnMut(u64), mut tidy: impl FnMut(u64)) -> Duration {
    let mut time = WallTime.zero();
    let mut left = iterations;
    while left > 0 {
        let count = left.min(batch);
        let start = WallTime.start();
        operation(count);
        time += WallTime.end(start);
        tidy(count);
        left -= count;
    }
    time
}

fn crowd(criterion: &mut Criterion, waiting: usize) {
    let crowd = std::cell::OnceCell::new();
    let crowd = || crowd.get_or_init(|| std::cell::RefCell::new(Crowd::busy(waiting)));
    let name = |what: &str| format!("crowd_{waiting}_{what}");
    criterion.bench_function(&name("next"), |b| {
        let crowd = crowd().borrow();
        b.iter(|| black_box(crowd.next_wakeup()));
    });
    criterion.bench_function(&name("cancel"), |b| {
        let mut crowd = crowd().borrow_mut();
        b.iter(|| {
            crowd.submit();
            crowd.cancel();
        });
    });
    criterion.bench_function(&name("submit"), |b| {
        let submit = |count| (0..count).for_each(|_| crowd().borrow_mut().submit());
        let cancel = |count| (0..count).for_each(|_| crowd().borrow_mut().cancel());
        b.iter_custom(|iterations| timed(iterations, 20, submit, cancel));
    });
    for (what, tenths) in [("wake_30", 1), ("wake_300", 10)] {
        if waiting < 1_000 && what == "wake_300" {
            continue;
        }
        criterion.bench_function(&name(what), |b| {
            let mut crowd = crowd().borrow_mut();
            b.iter_custom(|iterations| {
                // The time of a wake-up divided by the calls that it releases.
                let (mut time, mut released) = (WallTime.zero(), 0);
                while released < iterations {
                    crowd.pass(Duration::from_millis(100) * tenths);
                    let start = WallTime.start();
                    crowd.wake();
                    time += WallTime.end(start);
                    released += crowd.released();
                    crowd.settle();
                }
                time.mul_f64(iterations as f64 / released as f64)
            });
        });
    }
    criterion.bench_function(&name("life"), |b| {
        let mut crowd = crowd().borrow_mut();
        b.iter_custom(|iterations| {
            let (mut ended, start) = (0, WallTime.start());
            while ended < iterations {
                ended += crowd.live();
            }
            WallTime.end(start).mul_f64(iterations as f64 / ended as f64)
        });
    });
}

/// What criterion found, by the time it was found.
fn medians(folder: &Path) -> Vec<(String, f64)> {
    let mut found: Vec<(PathBuf, String, f64)> = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let estimates = entry.path().join("new").join("estimates.json");
        let Ok(text) = std::fs::read_to_string(&estimates) else { continue };
        let read: serde_json::Value = serde_json::from_str(&text).expect("criterion writes JSON");
        let median = read["median"]["point_estimate"].as_f64().expect("a median");
        found.push((estimates, entry.file_name().to_string_lossy().into_owned(), median));
    }
    found.sort_by_key(|(path, ..)| path.metadata().and_then(|metadata| metadata.modified()).ok());
    found.into_iter().map(|(_, name, median)| (name, median)).collect()
}
