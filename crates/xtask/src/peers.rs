//! The comparison with real peers of other languages: boto3 and LiteLLM, in an environment made for them.
//!
//! No part of `ci`: it needs Python, a package index and some minutes.

use std::path::PathBuf;

use crate::process::{Outcome, cargo, run};
use crate::venv;

/// What is installed.
const REQUIREMENTS: &str = "tests/peers/requirements.txt";
/// The oldest that the program of the peers runs on, which ends calls by `asyncio.timeout`.
const LEAST: (u32, u32) = (3, 11);

/// Makes the environment where there is none of these versions, and runs the comparison; what follows `peers` goes to
/// `sluicegate compare`.
pub(crate) fn step(arguments: &[String]) -> Outcome {
    let target = PathBuf::from(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let home = target.join("peers");
    let wanted = std::fs::read(REQUIREMENTS).map_err(|error| format!("{REQUIREMENTS}: {error}"))?;
    // The file names everything down to the last, so that nothing needs to be worked out.
    let python = venv::environment(&venv::base(LEAST)?, &home, &wanted, &["--no-deps", "-r", REQUIREMENTS])?;
    let mut compare = cargo();
    compare.args(["run", "--locked", "--package", "sluicegate-cli", "--", "compare", "--local", "--twins"]);
    compare.args(["--peer", "boto3-standard", "--peer", "boto3-adaptive", "--peer", "litellm"]);
    compare.args(["-o".as_ref(), home.join("compare.html").as_os_str()]);
    compare.args(["--json".as_ref(), home.join("compare.json").as_os_str()]);
    compare.arg("--peer-python").arg(python).args(arguments);
    run(&mut compare)
}
