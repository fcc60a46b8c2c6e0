//! The core as WebAssembly: compiled without std, importing nothing, deciding as the host build does and as the conformance
//! traces say.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Outcome, cargo, read, run};
use crate::wasm_module::Module;
use crate::wasm_tools::{TARGET, compiler};

/// The small crate that lives a call's life, in a workspace of its own: it is built for two targets and without std.
pub(crate) const MANIFEST: &str = "tests/no-host/Cargo.toml";
const LOCK: &str = "tests/no-host/Cargo.lock";
const PLAYER: &str = "tests/no-host/play.mjs";
/// A line for each conformance trace, as blessed by the core's own tests.
const HASHES: &str = "tests/vectors/traces/HASHES";
/// Two compilers may be at work; sharing a folder, each would discard the other's results.
const WASM_FOLDER: &str = "target/no-host/wasm";
const HOST_FOLDER: &str = "target/no-host/host";
/// Where the dice start, for each life played.
const SEEDS: &[&str] = &["0", "1", "2", "3", "18446744073709551615"];

/// Builds the module, looks into it, and has both builds play the same lives.
pub(crate) fn step(_: &[String]) -> Outcome {
    // Its dependencies are the workspace's, to the version.
    std::fs::copy("Cargo.lock", LOCK).map_err(|error| format!("cannot write {LOCK}: {error}"))?;
    let bytes = build()?;
    let path = bytes.as_path();
    let module =
        Module::parse(&std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?)?;
    inspect(&module)?;
    println!("imports: none; exported functions: {}", module.functions.join(", "));
    compare(path)
}

fn build() -> Outcome<PathBuf> {
    run(cargo()
        .env("RUSTC", compiler()?)
        .env("CARGO_TARGET_DIR", WASM_FOLDER)
        .args(["rustc", "--manifest-path", MANIFEST, "--lib", "--crate-type", "cdylib"])
        .args(["--release", "--target", TARGET, "--", "-D", "warnings"]))?;
    Ok(Path::new(WASM_FOLDER).join(TARGET).join("release").join("no_host.wasm"))
}

fn inspect(module: &Module) -> Outcome {
    if !module.imports.is_empty() {
        return Err(format!("the core wants something of its host: {}", module.imports.join(", ")));
    }
    if module.functions.is_empty() {
        return Err("the module exports no function, so it proves nothing".to_owned());
    }
    Ok(())
}

/// Both builds print a digest of all decisions for each seed, then one for each conformance trace.
fn compare(module: &Path) -> Outcome {
    let host = read(
        cargo()
            .env("CARGO_TARGET_DIR", HOST_FOLDER)
            .args(["run", "--quiet", "--manifest-path", MANIFEST, "--"])
            .args(SEEDS),
    )?;
    let hashes = std::fs::read_to_string(HASHES).map_err(|error| format!("cannot read {HASHES}: {error}"))?;
    let lives: String = host.lines().take(SEEDS.len()).map(|line| format!("{line}\n")).collect();
    if hashes.is_empty() || host.strip_prefix(&lives) != Some(&hashes) {
        return Err(format!("the host build does not print {} digests and then {HASHES}:\n{host}", SEEDS.len()));
    }
    if Command::new("node").arg("--version").output().is_err() {
        println!("\n{0}\nno-host: NOT RUN, only built and looked into: there is no node here\n{0}", "!".repeat(75));
        return Ok(());
    }
    let wasm = read(Command::new("node").arg(PLAYER).arg(module).args(SEEDS))?;
    if host != wasm {
        return Err(format!("the host and WebAssembly decide differently\nhost:\n{host}WebAssembly:\n{wasm}"));
    }
    print!("the same digests on the host and in WebAssembly:\n{lives}");
    println!("and of {} conformance traces, as in {HASHES}", hashes.lines().count());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(imports: &[&str], functions: &[&str]) -> Module {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Module { imports: owned(imports), functions: owned(functions) }
    }

    #[test]
    fn an_import_fails_the_step() {
        assert!(inspect(&module(&["env.now"], &["play"])).unwrap_err().contains("env.now"));
    }

    #[test]
    fn a_module_without_functions_fails_the_step() {
        assert!(inspect(&module(&[], &[])).is_err());
        assert_eq!(inspect(&module(&[], &["play"])), Ok(()));
    }
}
