//! What the Python package costs and what gets through it, measured with the wheel that users get, beside the Rust client.
//!
//! No part of `ci`: it takes a quiet machine and some minutes.

use std::process::Command;

use crate::process::{Outcome, cargo, run};
use crate::python::{self, Build};
use crate::venv;

/// What the benchmarks of single calls need: the peers by exact version, and what measures.
const PEERS: [&str; 2] = ["tests/peers/requirements.txt", "python/benches/requirements.txt"];

/// Builds the wheel as it is published, measures both, and prints the tables of `python/benches/README.md`.
pub(crate) fn step(_: &[String]) -> Outcome {
    let build = Build::new()?;
    let wheel = build.wheel(python::PUBLISHED, "published")?;
    python::install(&build.python, &wheel)?;
    let mut load = cargo();
    load.args(["build", "--locked", "--release", "--package", "sluicegate-bedrock", "--features", "aws-sdk"]);
    run(load.args(["--example", "load"]))?;

    let mut goodput = Command::new(&build.python);
    goodput.current_dir(python::PACKAGE).arg("benches/goodput.py");
    goodput.env("SLUICEGATE_COMMAND", venv::program(&build.place, "sluicegate"));
    run(goodput.env("SLUICEGATE_LOAD", build.target.join("release/examples/load")))?;

    let mut wanted = Vec::new();
    for file in PEERS {
        wanted.extend(std::fs::read(file).map_err(|error| format!("{file}: {error}"))?);
    }
    let arguments = ["--no-deps", "-r", PEERS[0], "-r", PEERS[1]];
    let peers = venv::environment(&build.base, &build.home.join("bench"), &wanted, &arguments)?;
    python::install(&peers, &wheel)?;
    let mut calls = Command::new(&peers);
    calls.current_dir(python::PACKAGE);
    run(calls.args(["-m", "pytest", "benches/bench_calls.py", "-s", "-p", "no:cacheprovider"]).args([
        "--benchmark-timer=time.process_time",
        "--benchmark-columns=min,median,rounds",
        "--benchmark-disable-gc",
    ]))
}
