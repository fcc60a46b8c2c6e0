//! The Python package: a wheel and an sdist, each installed into an environment without the sources, and tested there.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Outcome, run};
use crate::venv;

/// The package's folder.
pub(crate) const PACKAGE: &str = "python";
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
    "tests/test_examples.py",
    "tests/test_hostile.py",
];
/// What asks for other versions of the AWS SDK than everything else, and the tests that hold of those too.
const AIOBOTO3: &[&str] = &["aioboto3==15.5.0", "pytest==9.2.0"];
const ABOVE_AIOBOTO3: &[&str] = &[
    "tests/test_aioboto3.py",
    "tests/test_aio.py",
    "tests/test_boto3.py",
    "tests/test_streams.py",
    "tests/test_examples.py",
];
/// The profile of the wheels that are published, which are stripped. Thin LTO takes twice the time for 2 % of their size.
pub(crate) const PUBLISHED: &str = "release";
/// The profile of `cargo test`, whose dependencies are compiled by then; a release build of the AWS SDK takes minutes.
pub(crate) const PROFILE: &str = "dev";

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

/// Where the package is built, and what with.
pub(crate) struct Build {
    /// The Python that environments are made with.
    pub(crate) base: PathBuf,
    pub(crate) target: PathBuf,
    /// Everything of the package's below it.
    pub(crate) home: PathBuf,
    /// The environment with what builds and tests, and its Python.
    pub(crate) place: PathBuf,
    pub(crate) python: PathBuf,
}

impl Build {
    pub(crate) fn new() -> Outcome<Self> {
        let target = PathBuf::from(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
        let target = std::path::absolute(&target).map_err(|error| format!("{}: {error}", target.display()))?;
        let home = target.join("python");
        let base = venv::base(LEAST_OF_ALL_TESTS)?;
        let wanted = std::fs::read(REQUIREMENTS).map_err(|error| format!("{REQUIREMENTS}: {error}"))?;
        let place = home.join("wheel");
        let python = venv::environment(&base, &place, &wanted, &["-r", REQUIREMENTS])?;
        Ok(Self { base, target, home, place, python })
    }

    fn maturin(&self) -> Command {
        let mut maturin = Command::new(venv::program(&self.place, "maturin"));
        maturin.current_dir(PACKAGE).env("CARGO_TARGET_DIR", &self.target);
        maturin
    }

    /// Builds the wheel into a folder of this name.
    pub(crate) fn wheel(&self, profile: &str, folder: &str) -> Outcome<PathBuf> {
        let dist = self.emptied(folder);
        let mut maturin = self.maturin();
        maturin.args(["build", "--locked", "--strip", "--profile", profile, "--interpreter"]);
        run(maturin.arg(&self.python).arg("--out").arg(&dist))?;
        the_only(&dist, "whl")
    }

    fn sdist(&self) -> Outcome<PathBuf> {
        let dist = self.emptied("source");
        run(self.maturin().args(["sdist", "--out"]).arg(&dist))?;
        the_only(&dist, "gz")
    }

    /// What an earlier run built there would be found beside what this one builds.
    fn emptied(&self, folder: &str) -> PathBuf {
        let dist = self.home.join(folder);
        drop(std::fs::remove_dir_all(&dist));
        dist
    }

    /// A Python that runs in the package's folder, with the command of the wheel at hand.
    fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(PACKAGE).env("SLUICEGATE_COMMAND", venv::program(&self.place, "sluicegate"));
        command
    }

    fn pytest(&self, program: &Path, tests: &[&str]) -> Outcome {
        run(self.inside(program).args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).args(tests))
    }
}

/// Builds, installs and tests the package.
pub(crate) fn step(_: &[String]) -> Outcome {
    let build = Build::new()?;
    let (wheel, sdist) = (build.wheel(PROFILE, "dist")?, build.sdist()?);
    let mut check = build.inside(&build.python);
    run(check.args(["-m", "twine", "check", "--strict"]).args([&wheel, &sdist]))?;
    run(build.inside(&build.python).arg("tests/check_contents.py").args([&wheel, &sdist]))?;

    install(&build.python, &wheel)?;
    run(build.inside(&build.python).args(["-m", "mypy", "-p", "sluicegate"]))?;
    let stubtest = ["-m", "mypy.stubtest", "sluicegate._sluicegate", "--mypy-config-file", "pyproject.toml"];
    run(build.inside(&build.python).args(stubtest))?;
    build.pytest(&build.python, &["tests"])?;

    let other_sdk =
        venv::environment(&build.base, &build.home.join("aioboto3"), AIOBOTO3.join(" ").as_bytes(), AIOBOTO3)?;
    install(&other_sdk, &wheel)?;
    build.pytest(&other_sdk, ABOVE_AIOBOTO3)?;

    let from_source = venv::environment(&build.base, &build.home.join("sdist"), b"pytest", &["pytest"])?;
    let unpacked = unpack(&sdist, &build.home.join("unpacked"))?;
    let mut pip = Command::new(&from_source);
    pip.env("CARGO_TARGET_DIR", &build.target).env("MATURIN_PEP517_ARGS", apart_from_the_checkout());
    pip.args(["-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps"]).arg(unpacked);
    run(&mut pip)?;
    build.pytest(&from_source, EVERYWHERE)?;

    let others = others(&build.base)?;
    if others.is_empty() {
        println!("NO OTHER PYTHON from 3.{} on was found; the wheel was tested on one interpreter", LEAST.1);
    }
    for (version, other) in others {
        let python = venv::environment(&other, &build.home.join(&version), b"pytest", &["pytest"])?;
        install(&python, &wheel)?;
        build.pytest(&python, EVERYWHERE)?;
    }
    Ok(())
}

/// Installs a wheel, and nothing that it would ask for.
pub(crate) fn install(python: &Path, wheel: &Path) -> Outcome {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", "--no-index"]).arg(wheel);
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
