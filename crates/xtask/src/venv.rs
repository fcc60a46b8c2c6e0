//! Python's virtual environments below `target/`, made anew only when something else is to be in them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Outcome, read, run};

/// Names the Python to make environments with.
pub(crate) const PYTHON: &str = "SLUICEGATE_PYTHON";

/// The Python to make environments with, if it is new enough.
pub(crate) fn base(least: (u32, u32)) -> Outcome<PathBuf> {
    let base = PathBuf::from(std::env::var_os(PYTHON).unwrap_or_else(|| "python3".into()));
    let version = read(Command::new(&base).args(["-c", "import sys; print(*sys.version_info[:2])"]))
        .map_err(|error| format!("{error}; this needs Python, whose name {PYTHON} may tell"))?;
    if is_new_enough(&version, least) {
        return Ok(base);
    }
    let (major, minor) = least;
    Err(format!("this needs Python {major}.{minor} or newer; {PYTHON} may name one"))
}

/// The Python of the environment in `home`, into which pip installs with `arguments`. `wanted` tells whether what is there
/// already is the same.
pub(crate) fn environment(base: &Path, home: &Path, wanted: &[u8], arguments: &[&str]) -> Outcome<PathBuf> {
    let wrong = |error: std::io::Error| format!("{}: {error}", home.display());
    let python = program(home, "python");
    let stamp = home.join("wanted");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    std::fs::create_dir_all(home).map_err(wrong)?;
    run(Command::new(base).args(["-m", "venv", "--clear"]).arg(home))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(arguments))?;
    std::fs::write(&stamp, wanted).map_err(wrong)?;
    Ok(python)
}

/// A program of the environment in `home`.
pub(crate) fn program(home: &Path, name: &str) -> PathBuf {
    home.join(if cfg!(windows) { "Scripts" } else { "bin" }).join(name).with_extension(std::env::consts::EXE_EXTENSION)
}

fn is_new_enough(version: &str, least: (u32, u32)) -> bool {
    let mut numbers = version.split_whitespace().map_while(|number| number.parse::<u32>().ok());
    numbers.next().zip(numbers.next()).is_some_and(|version| version >= least)
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn versions_are_compared_as_numbers() {
        let is_new_enough = |version| is_new_enough(version, (3, 11));
        assert!(["3 11\n", "3 14\n", "4 0"].into_iter().all(is_new_enough));
        assert!(!["3 9\n", "2 11\n", "3", "", "x y"].into_iter().any(is_new_enough));
    }
}
