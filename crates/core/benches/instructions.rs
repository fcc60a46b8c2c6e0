//! Instructions per operation, counted by valgrind's callgrind, for us and the peers in one run.
//!
//! `cargo bench -p sluicegate --bench instructions [-- [--large] WORD..]`; a word picks the cases whose names contain it,
//! `--large` adds those with a million calls waiting, which takes minutes. The file with what was counted is left for
//! `callgrind_annotate`; it tells functions apart where one case was counted alone.
//!
//! The program runs itself below callgrind. Counting is on inside [`counted`] alone, so preparing and cleaning up cost
//! nothing, and every [`case_done`] writes what was counted to a file of its own. This needs no runner to be installed and
//! no library that talks to valgrind; the counts of one binary repeat exactly.
#![expect(clippy::expect_used, reason = "a benchmark may end when its set-up is wrong")]

mod common;

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use common::crowd::Crowd;
use common::life::Life;
use common::{pieces, print};

const BELOW_VALGRIND: &str = "--below-valgrind";
const LARGE: &str = "--large";

/// Counting is on between entry and return; the name is an argument of callgrind.
#[inline(never)]
fn counted<T>(step: impl FnOnce() -> T) -> T {
    step()
}

/// What was counted is written out on return; the name is an argument of callgrind.
#[inline(never)]
fn case_done(name: &str, operations: u64) {
    println!("{} {operations}", black_box(name));
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.split_first() {
        // failsafe reads a clock at every attempt; frozen, it costs no system call, as ours costs none.
        Some((first, rest)) if first == BELOW_VALGRIND => failsafe::clock::freeze(|_| cases(rest)),
        _ => return count(&arguments),
    }
    ExitCode::SUCCESS
}

/// Runs this program below callgrind and prints what it counted.
fn count(arguments: &[String]) -> ExitCode {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("instructions");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    let counts = folder.join("callgrind.out");
    let program = std::env::current_exe().expect("a program knows its file");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--collect-atstart=no", "--compress-strings=no"])
        .args(["--toggle-collect=instructions::counted*", "--dump-after=instructions::case_done*"])
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .args([program.as_os_str(), BELOW_VALGRIND.as_ref()])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output();
    let output = match output {
        Ok(output) if output.status.success() => output,
        Ok(output) => {
            eprintln!("valgrind ended with {}", output.status);
            return ExitCode::FAILURE;
        }
        Err(error) => {
            eprintln!("valgrind cannot be run: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut measured = Vec::new();
    for (index, line) in String::from_utf8_lossy(&output.stdout).lines().enumerate() {
        let (name, operations) = line.split_once(' ').expect("a name and a number");
        let file = format!("{}.{}", counts.display(), index + 1);
        let dump = std::fs::read_to_string(&file).expect("callgrind wrote one file for each case");
        let total = dump.lines().find_map(|line| line.strip_prefix("totals: ")).expect("a sum of all costs");
        let total: f64 = total.trim().parse().expect("a number");
        let operations: f64 = operations.parse().expect("a number");
        measured.push((name.to_owned(), total / operations));
        std::fs::rename(&file, folder.join(name)).expect("the target folder can be written");
    }
    print("instructions per operation", &measured, &[]);
    ExitCode::SUCCESS
}

fn cases(arguments: &[String]) {
    let large = arguments.iter().any(|argument| argument == LARGE);
    let words: Vec<&String> = arguments.iter().filter(|argument| *argument != LARGE).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    macro_rules! pieces {
        ($($name:ident)*) => { $(
            if wanted(stringify!($name)) {
                many(stringify!($name), pieces::$name());
            }
        )* };
    }
    pieces!(limiter limiter_often limiter_late limiter_full limiter_scarce limiter_refuses governor governor_refuses backoff backon);
    pieces!(breaker_attempts breaker_seconds recloser failsafe_consecutive failsafe_rate);
    for (name, out) in [("life", 0), ("life_among_100", 100)] {
        if wanted(name) {
            let mut life = Life::new(out);
            many(name, || life.step());
        }
    }
    for waiting in [100, 1_000, 1_000_000] {
        let chosen: Vec<_> = CROWD.iter().filter(|(case, _)| wanted(&format!("crowd_{waiting}_{case}"))).collect();
        if chosen.is_empty() || (waiting > 1_000 && !large) {
            continue;
        }
        let mut crowd = Crowd::busy(waiting);
        for (case, run) in chosen.into_iter().filter(|(case, _)| waiting >= 1_000 || *case != "wake_300") {
            case_done(&format!("crowd_{waiting}_{case}"), run(&mut crowd));
        }
    }
}

/// Counts a thousand steps at once.
fn many(name: &str, mut step: impl FnMut()) {
    const STEPS: u64 = 1_000;
    counted(|| {
        for _ in 0..STEPS {
            step();
        }
    });
    case_done(name, STEPS);
}

/// Does something with a crowd and returns the number of operations that were counted.
type Deed = fn(&mut Crowd) -> u64;

const CROWD: &[(&str, Deed)] = &[
    ("next", next),
    ("cancel", cancel),
    ("submit", submit),
    ("wake_30", wake_30),
    ("wake_300", wake_300),
    ("life", live),
];

fn next(crowd: &mut Crowd) -> u64 {
    counted(|| {
        for _ in 0..100 {
            black_box(crowd.next_wakeup());
        }
    });
    100
}

fn cancel(crowd: &mut Crowd) -> u64 {
    for _ in 0..100 {
        counted(|| {
            crowd.submit();
            crowd.cancel();
        });
    }
    100
}

fn submit(crowd: &mut Crowd) -> u64 {
    for _ in 0..100 {
        counted(|| crowd.submit());
        crowd.cancel();
    }
    100
}

/// Wake-ups that release a call or so for every endpoint.
fn wake_30(crowd: &mut Crowd) -> u64 {
    wake(crowd, Duration::from_millis(100))
}

/// Wake-ups that release some ten calls for every endpoint.
fn wake_300(crowd: &mut Crowd) -> u64 {
    wake(crowd, Duration::from_secs(1))
}

fn wake(crowd: &mut Crowd, pause: Duration) -> u64 {
    let mut released = 0;
    for _ in 0..5 {
        crowd.pass(pause);
        counted(|| crowd.wake());
        released += crowd.released();
        crowd.settle();
    }
    released
}

fn live(crowd: &mut Crowd) -> u64 {
    let mut ended = 0;
    while ended < 1_000 {
        ended += counted(|| crowd.live());
    }
    ended
}
