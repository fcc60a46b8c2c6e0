//! Licences, sources, bans and advisories of the dependencies, by cargo-deny.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{Outcome, cargo, run, run_within};

/// The one version this repository's `.deny.toml` is written for.
const VERSION: &str = "0.20.2";
/// Tools live among the build products, so that `cargo clean` removes them as well.
const TOOLS: &str = "target/tools";
/// Long enough for the database over a slow line, short enough where no line exists.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// Checks what needs no network first, then the advisories where their database can be had.
pub(crate) fn step(_: &[String]) -> Outcome {
    let tool = tool()?;
    run(Command::new(&tool).args(["--locked", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"]))?;
    if database(&tool)? {
        return run(Command::new(&tool).args(["--frozen", "check", "advisories"]));
    }
    if std::env::var_os("SLUICEGATE_REQUIRE_ADVISORIES").is_some_and(|value| value == "1") {
        return Err(
            "the advisory database cannot be reached, and SLUICEGATE_REQUIRE_ADVISORIES=1 asks for it".to_owned()
        );
    }
    println!("\n{0}\nadvisories: NOT CHECKED, the advisory database cannot be reached\n{0}", "!".repeat(75));
    Ok(())
}

/// The tool, installed on first use.
fn tool() -> Outcome<PathBuf> {
    let path = Path::new(TOOLS).join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    let wanted = format!("cargo-deny {VERSION}");
    let found = Command::new(&path).arg("--version").output();
    if !found.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == wanted) {
        println!("installing {wanted} into {TOOLS}; this takes a few minutes, once");
        run(cargo().args(["install", "cargo-deny", "--version", VERSION, "--locked", "--root", TOOLS]))?;
    }
    Ok(path)
}

/// Whether there is an advisory database: a fresh one, or else one fetched before (cargo-deny refuses a stale one).
fn database(tool: &Path) -> Outcome<bool> {
    let folder = databases()?;
    let had = is_there(&folder);
    let fetch = run_within(FETCH_LIMIT, Command::new(tool).args(["fetch", "db"]).env("GIT_TERMINAL_PROMPT", "0"));
    match fetch {
        Ok(()) => return Ok(true),
        Err(error) => println!("the advisory database was not fetched: {error}"),
    }
    if had {
        println!("using the advisory database that was fetched before");
    } else {
        // Half a database would pass for a whole one next time.
        for left in candidates(&folder) {
            std::fs::remove_dir_all(&left).map_err(|error| format!("cannot remove {}: {error}", left.display()))?;
        }
    }
    Ok(had)
}

/// Where cargo-deny keeps advisory databases when its configuration does not say.
fn databases() -> Outcome<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    home.map(|home| home.join("advisory-dbs")).ok_or_else(|| "no home folder, so no place for advisories".to_owned())
}

fn candidates(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("advisory-db-"))
        .map(|entry| entry.path())
        .collect()
}

fn is_there(folder: &Path) -> bool {
    candidates(folder).iter().any(|path| path.join("crates").is_dir())
}
