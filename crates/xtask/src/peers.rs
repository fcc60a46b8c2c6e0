//! The comparison with real clients of other languages: boto3, LiteLLM, and our own package around boto3, in an environment
//! made for them.
//!
//! No part of `ci`: it needs Python, a package index and some minutes.

use std::path::PathBuf;

use crate::process::{Outcome, cargo, run};
use crate::python::{self, Build};
use crate::venv;

/// What is installed.
const REQUIREMENTS: &str = "tests/peers/requirements.txt";
/// The oldest that the program of the peers runs on, which ends calls by `asyncio.timeout`.
const LEAST: (u32, u32) = (3, 11);

/// Makes the environment where there is none of these versions, puts the wheel of this tree into it, and runs the
/// comparison; what follows `peers` goes to `sluicegate compare`.
pub(crate) fn step(arguments: &[String]) -> Outcome {
    let target = PathBuf::from(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let home = target.join("peers");
    let wanted = std::fs::read(REQUIREMENTS).map_err(|error| format!("{REQUIREMENTS}: {error}"))?;
    // The file names everything down to the last, so that nothing needs to be worked out.
    let python = venv::environment(&venv::base(LEAST)?, &home, &wanted, &["--no-deps", "-r", REQUIREMENTS])?;
    // Of the profile that the Rust client beside it runs in.
    let wheel = Build::new()?.wheel(python::PROFILE, "peers")?;
    // Each time, since the environment is kept by the names of what it holds and the wheel's name stays the same.
    python::install(&python, &wheel)?;
    let mut compare = cargo();
    compare.args(["run", "--locked", "--package", "sluicegate-cli", "--", "compare", "--local", "--twins"]);
    compare.args(["--peer", "boto3-standard", "--peer", "boto3-adaptive", "--peer", "litellm"]);
    compare.args(["--peer", "sluicegate-python"]);
    compare.args(["-o".as_ref(), home.join("compare.html").as_os_str()]);
    compare.args(["--json".as_ref(), home.join("compare.json").as_os_str()]);
    compare.arg("--peer-python").arg(python).args(arguments);
    run(&mut compare)
}
