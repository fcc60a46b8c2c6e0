//! The Python package: a wheel and an sdist, each installed into an environment without the sources, and tested there.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Outcome, run};
use crate::venv;

/// The package's folder.
const PACKAGE: &str = "python";
/// What the tests need, and what builds the package.
const REQUIREMENTS: &str = "python/tests/requirements.txt";
/// The oldest Python that the package is for.
const LEAST: (u32, u32) = (3, 9);
/// The oldest that everything the tests need is for.
const LEAST_OF_ALL_TESTS: (u32, u32) = (3, 10);
/// The tests that need nothing but pytest, for every other interpreter and for the sdist.
const EVERYWHERE: &[&str] = &[
    "tests/test_policy.py",
    "tests/test_traces.py",
    "tests/test_pieces.py",
    "tests/test_retrying.py",
    "tests/test_gate.py",
    "tests/test_threads.py",
    "tests/test_asyncio.py",
    "tests/test_command.py",
];
/// The profile of `cargo test`, whose dependencies are compiled by then; a release build of the AWS SDK takes minutes.
const PROFILE: &str = "dev";

/// The crates within the sdist.
const OURS: &[&str] = &[
    "sluicegate",
    "sluicegate-bedrock",
    "sluicegate-cli",
    "sluicegate-driver",
    "sluicegate-fake-bedrock",
    "sluicegate-python",
    "sluicegate-sim",
];

/// Builds, installs and tests the package.
pub(crate) fn step(_: &[String]) -> Outcome {
    let target = PathBuf::from(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let target = std::path::absolute(&target).map_err(|error| format!("{}: {error}", target.display()))?;
    let home = target.join("python");
    let base = venv::base(LEAST_OF_ALL_TESTS)?;
    let wanted = std::fs::read(REQUIREMENTS).map_err(|error| format!("{REQUIREMENTS}: {error}"))?;
    let place = home.join("wheel");
    let python = venv::environment(&base, &place, &wanted, &["-r", REQUIREMENTS])?;

    let dist = home.join("dist");
    // What an earlier run built would be found beside what this one builds.
    drop(std::fs::remove_dir_all(&dist));
    let maturin = || {
        let mut maturin = Command::new(venv::program(&place, "maturin"));
        maturin.current_dir(PACKAGE).env("CARGO_TARGET_DIR", &target);
        maturin
    };
    run(maturin()
        .args(["build", "--locked", "--strip", "--profile", PROFILE, "--interpreter"])
        .arg(&python)
        .arg("--out")
        .arg(&dist))?;
    run(maturin().args(["sdist", "--out"]).arg(&dist))?;

    let wheel = the_only(&dist, "whl")?;
    install(&python, &["--no-index"], &wheel)?;
    let inside = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(PACKAGE).env("SLUICEGATE_COMMAND", venv::program(&place, "sluicegate"));
        command
    };
    run(inside(&python).args(["-m", "mypy", "-p", "sluicegate"]))?;
    run(inside(&python).args([
        "-m",
        "mypy.stubtest",
        "sluicegate._sluicegate",
        "--mypy-config-file",
        "pyproject.toml",
    ]))?;
    run(inside(&python).args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]))?;

    let from_source = venv::environment(&base, &home.join("sdist"), b"pytest", &["pytest"])?;
    let unpacked = unpack(&the_only(&dist, "gz")?, &home.join("unpacked"))?;
    let mut pip = Command::new(&from_source);
    pip.env("CARGO_TARGET_DIR", &target).env("MATURIN_PEP517_ARGS", apart_from_the_checkout());
    pip.args(["-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps"]).arg(unpacked);
    run(&mut pip)?;
    run(inside(&from_source).args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).args(EVERYWHERE))?;

    let others = others(&base)?;
    if others.is_empty() {
        println!("NO OTHER PYTHON from 3.{} on was found; the wheel was tested on one interpreter", LEAST.1);
    }
    for (version, other) in others {
        let python = venv::environment(&other, &home.join(&version), b"pytest", &["pytest"])?;
        install(&python, &["--no-index"], &wheel)?;
        run(inside(&python).args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).args(EVERYWHERE))?;
    }
    Ok(())
}

fn install(python: &Path, how: &[&str], package: &Path) -> Outcome {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps"]).args(how).arg(package);
    run(&mut pip)
}

/// Unpacks an sdist, with the present as the time of every file: cargo must take nothing for built already.
fn unpack(sdist: &Path, to: &Path) -> Outcome<PathBuf> {
    // What an earlier run left.
    drop(std::fs::remove_dir_all(to));
    std::fs::create_dir_all(to).map_err(|error| format!("{}: {error}", to.display()))?;
    run(Command::new("tar").arg("-xmzf").arg(sdist).arg("--strip-components=1").arg("-C").arg(to))?;
    Ok(to.to_path_buf())
}

/// What maturin is told when it builds the sdist. In one target folder cargo would mix the sdist's crates up with those of
/// the checkout, for they lie at the same places within their workspaces; built another way they are others, while what
/// comes from the registry is shared.
fn apart_from_the_checkout() -> String {
    let others = OURS.iter().map(|name| format!(" --config profile.{PROFILE}.package.{name}.debug=false"));
    format!("--profile {PROFILE}{}", others.collect::<String>())
}

/// The one file in `folder` that ends so.
fn the_only(folder: &Path, ending: &str) -> Outcome<PathBuf> {
    let wrong = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    match <[PathBuf; 1]>::try_from(found) {
        Ok([path]) => Ok(path),
        Err(found) => Err(format!("{} files end in .{ending}, not one", found.len())),
    }
}

/// Other interpreters on this machine that the package is for, one of each version: by their usual names, and those that
/// pyenv keeps. The wheel for all of them cannot be installed where the lock is gone, from 3.14 on under names ending in `t`.
fn others(base: &Path) -> Outcome<Vec<(String, PathBuf)>> {
    let mut candidates: Vec<PathBuf> = (LEAST.1..LEAST.1 + 10).map(|minor| format!("python3.{minor}").into()).collect();
    if let Ok(root) = Command::new("pyenv").arg("root").output() {
        let versions = Path::new(String::from_utf8_lossy(&root.stdout).trim()).join("versions");
        let entries = std::fs::read_dir(versions).into_iter().flatten().flatten();
        candidates.extend(entries.map(|entry| entry.path().join("bin").join("python3")));
    }
    let mut known = vec![version(base).ok_or("the interpreter says no version")?];
    let mut found = Vec::new();
    for candidate in candidates {
        let Some(version) = version(&candidate).filter(|version| !known.contains(version)) else { continue };
        known.push(version.clone());
        found.push((version, candidate));
    }
    found.sort();
    Ok(found)
}

/// Major and minor version of an interpreter that the package is for, such as `3.13`.
fn version(python: &Path) -> Option<String> {
    const ASK: &str = "import sys, sysconfig; \
        print(*sys.version_info[:2], sep='.', end='') if not sysconfig.get_config_var('Py_GIL_DISABLED') else None";
    let told = Command::new(python).args(["-c", ASK]).output().ok().filter(|told| told.status.success())?;
    let version = String::from_utf8(told.stdout).ok()?;
    let minor: u32 = version.strip_prefix("3.")?.parse().ok()?;
    (minor >= LEAST.1).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_file_is_found_and_two_are_too_many() {
        let folder = std::env::temp_dir().join(format!("sluicegate-xtask-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(the_only(&folder, "whl").unwrap_err(), "0 files end in .whl, not one");
        std::fs::write(folder.join("a.whl"), "").unwrap();
        assert_eq!(the_only(&folder, "whl"), Ok(folder.join("a.whl")));
        std::fs::write(folder.join("b.whl"), "").unwrap();
        assert_eq!(the_only(&folder, "whl").unwrap_err(), "2 files end in .whl, not one");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_no_python_has_no_version() {
        assert_eq!(version(Path::new("false")), None);
        assert_eq!(version(Path::new("no-such-program")), None);
    }
}
