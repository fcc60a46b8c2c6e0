//! The core as WebAssembly: compiled without std, importing nothing, deciding as the host build does and as the conformance
//! traces say. And the simulator: with std, importing nothing either, giving the same reports as the host build.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Outcome, cargo, read, run};
use crate::wasm_module::Module;
use crate::wasm_tools::{TARGET, compiler};

/// The folder of the small crate that lives a call's life, in a workspace of its own: it is built for two targets and
/// without std.
const CORE: &str = "tests/no-host";
/// The same for the one that plays scenarios.
const SIMULATOR: &str = "tests/no-host/sim";
/// What is formatted beside the workspace.
pub(crate) const MANIFESTS: [&str; 2] = ["tests/no-host/Cargo.toml", "tests/no-host/sim/Cargo.toml"];
/// A line for each conformance trace, as blessed by the core's own tests.
const HASHES: &str = "tests/vectors/traces/HASHES";
/// Two compilers may be at work; sharing a folder, each would discard the other's results.
const WASM_FOLDER: &str = "target/no-host/wasm";
const HOST_FOLDER: &str = "target/no-host/host";
/// Where the dice start, for each life played.
const SEEDS: &[&str] = &["0", "1", "2", "3", "18446744073709551615"];

/// Builds each module, looks into it, and has both builds play the same.
pub(crate) fn step(_: &[String]) -> Outcome {
    let core = module(CORE, "no_host.wasm")?;
    let simulator = module(SIMULATOR, "no_host_sim.wasm")?;
    if Command::new("node").arg("--version").output().is_err() {
        println!("\n{0}\nno-host: NOT RUN, only built and looked into: there is no node here\n{0}", "!".repeat(75));
        return Ok(());
    }
    compare(&core)?;
    let reports = same(SIMULATOR, &simulator, &[])?;
    println!("the same {} reports of the simulator, {} bytes", reports.lines().count(), reports.len());
    Ok(())
}

/// Compiles a crate for WebAssembly. What comes of it wants nothing of its host.
fn module(folder: &str, name: &str) -> Outcome<PathBuf> {
    // Its dependencies are the workspace's, to the version.
    let lock = format!("{folder}/Cargo.lock");
    std::fs::copy("Cargo.lock", &lock).map_err(|error| format!("cannot write {lock}: {error}"))?;
    run(cargo()
        .env("RUSTC", compiler()?)
        .env("CARGO_TARGET_DIR", WASM_FOLDER)
        .args(["rustc", "--manifest-path", &format!("{folder}/Cargo.toml"), "--lib", "--crate-type", "cdylib"])
        .args(["--release", "--target", TARGET, "--", "-D", "warnings"]))?;
    let path = Path::new(WASM_FOLDER).join(TARGET).join("release").join(name);
    let bytes = std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let module = Module::parse(&bytes)?;
    inspect(&module)?;
    println!("{name}: imports: none; exported functions: {}", module.functions.join(", "));
    Ok(path)
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
    let said = same(CORE, module, SEEDS)?;
    let hashes = std::fs::read_to_string(HASHES).map_err(|error| format!("cannot read {HASHES}: {error}"))?;
    let lives: String = said.lines().take(SEEDS.len()).map(|line| format!("{line}\n")).collect();
    if hashes.is_empty() || said.strip_prefix(&lives) != Some(&hashes) {
        return Err(format!("both builds do not print {} digests and then {HASHES}:\n{said}", SEEDS.len()));
    }
    print!("the same digests on the host and in WebAssembly:\n{lives}");
    println!("and of {} conformance traces, as in {HASHES}", hashes.lines().count());
    Ok(())
}

/// What both builds print, which is the same and not nothing.
fn same(folder: &str, module: &Path, arguments: &[&str]) -> Outcome<String> {
    let host = read(
        cargo()
            .env("CARGO_TARGET_DIR", HOST_FOLDER)
            .args(["run", "--quiet", "--manifest-path", &format!("{folder}/Cargo.toml"), "--"])
            .args(arguments),
    )?;
    let wasm = read(Command::new("node").arg(format!("{folder}/play.mjs")).arg(module).args(arguments))?;
    match host == wasm && !host.is_empty() {
        true => Ok(host),
        false => Err(format!("the host and WebAssembly differ\nhost:\n{host}WebAssembly:\n{wasm}")),
    }
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
