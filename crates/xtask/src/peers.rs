//! The comparison with real peers of other languages: boto3 and LiteLLM, in an environment made for them.
//!
//! No part of `ci`: it needs Python, a package index and some minutes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Outcome, cargo, read, run};

/// What is installed.
const REQUIREMENTS: &str = "tests/peers/requirements.txt";
/// Names the Python to make the environment with.
const PYTHON: &str = "SLUICEGATE_PYTHON";
/// The oldest that the program of the peers runs on, which ends calls by `asyncio.timeout`.
const LEAST: (u32, u32) = (3, 11);

/// Makes the environment where there is none of these versions, and runs the comparison; what follows `peers` goes to
/// `sluicegate compare`.
pub(crate) fn step(arguments: &[String]) -> Outcome {
    let target = PathBuf::from(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let home = target.join("peers");
    let python = environment(&home)?;
    let mut compare = cargo();
    compare.args(["run", "--locked", "--package", "sluicegate-cli", "--", "compare", "--local", "--twins"]);
    compare.args(["--peer", "boto3-standard", "--peer", "boto3-adaptive", "--peer", "litellm"]);
    compare.args(["-o".as_ref(), home.join("compare.html").as_os_str()]);
    compare.args(["--json".as_ref(), home.join("compare.json").as_os_str()]);
    compare.arg("--peer-python").arg(python).args(arguments);
    run(&mut compare)
}

/// The Python of the environment, which is made anew when other versions are wanted.
fn environment(home: &Path) -> Outcome<PathBuf> {
    let wrong = |error: std::io::Error| format!("{}: {error}", home.display());
    let wanted = std::fs::read(REQUIREMENTS).map_err(|error| format!("{REQUIREMENTS}: {error}"))?;
    let python = home.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let stamp = home.join("requirements.txt");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let base = std::env::var_os(PYTHON).unwrap_or_else(|| "python3".into());
    let version = read(Command::new(&base).args(["-c", "import sys; print(*sys.version_info[:2])"]))
        .map_err(|error| format!("{error}; the peers need Python, whose name {PYTHON} may tell"))?;
    let (major, minor) = LEAST;
    if !is_new_enough(&version) {
        return Err(format!("the peers need Python {major}.{minor} or newer; {PYTHON} may name one"));
    }
    std::fs::create_dir_all(home).map_err(wrong)?;
    run(Command::new(&base).args(["-m", "venv", "--clear"]).arg(home))?;
    // The file names everything down to the last, so that nothing needs to be worked out.
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--no-deps", "-r", REQUIREMENTS]))?;
    std::fs::write(&stamp, wanted).map_err(wrong)?;
    Ok(python)
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split_whitespace().map_while(|number| number.parse::<u32>().ok());
    numbers.next().zip(numbers.next()).is_some_and(|version| version >= LEAST)
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(["3 11\n", "3 14\n", "4 0"].into_iter().all(is_new_enough));
        assert!(!["3 9\n", "2 11\n", "3", "", "x y"].into_iter().any(is_new_enough));
    }
}
