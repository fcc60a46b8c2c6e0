//! The npm package: the engine as a WebAssembly module with its JavaScript.

use std::path::Path;
use std::process::Command;

use crate::process::{Outcome, cargo, read, run};
use crate::wasm_tools::{PACKAGE, bind, chromium, compile, compiler, small_library};

/// The crate that becomes the module.
const CRATE: &str = "sluicegate-wasm";
/// Where the module goes, for the package's own build.
const BOUND: &str = "target/wasm/bound";
/// What the module weighed when somebody last looked, in bytes after gzip.
const SIZE: &str = "wasm/SIZE";
/// How much more it may weigh before somebody looks again, in thousandths.
const GROWTH_PERMILLE: u64 = 50;
/// What it may weigh at most: what users were promised.
const MOST: u64 = 150_000;

/// Builds the module and the package, weighs it, and runs the package's tests.
pub(crate) fn step(_: &[String]) -> Outcome {
    if Command::new("npm").arg("--version").output().is_err() {
        println!("\n{0}\nwasm: NOT BUILT: there is no npm here\n{0}", "!".repeat(75));
        return Ok(());
    }
    let module = compile(CRATE)?;
    bind(&module, Path::new(BOUND), "core")?;
    run(Command::new("node").current_dir(PACKAGE).args(["build.mjs", "../target/wasm/bound"]))?;
    match small_library(&compiler()?) {
        Some(_) => weigh()?,
        None => {
            println!("not weighed: {SIZE} is of a module with a small standard library, which this compiler has not")
        }
    }
    // What the tests of SDKs speak to.
    run(cargo().args(["build", "--locked", "--package", "sluicegate-cli"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let target = std::path::absolute(target).map_err(|error| error.to_string())?;
    run(Command::new("npm")
        .current_dir(PACKAGE)
        .env("SLUICEGATE_CHROMIUM", chromium()?)
        .env("SLUICEGATE_CLI", target.join("debug").join(format!("sluicegate{}", std::env::consts::EXE_SUFFIX)))
        .args(["run", "check"]))
}

/// Compares the module's size with the one that was written down; `SLUICEGATE_BLESS=1` writes it down.
fn weigh() -> Outcome {
    let script = "process.stdout.write(String(require('zlib').gzipSync(require('fs').readFileSync(process.argv[1]), {level: 9}).length))";
    let weight = read(Command::new("node").args(["-e", script]).arg(Path::new(BOUND).join("core_bg.wasm")))?;
    if std::env::var_os("SLUICEGATE_BLESS").is_some_and(|value| value == "1") {
        return std::fs::write(SIZE, format!("{weight}\n")).map_err(|error| format!("{SIZE}: {error}"));
    }
    let known = std::fs::read_to_string(SIZE).map_err(|error| format!("{SIZE}: {error}"))?;
    judge(number(&weight)?, number(&known)?)
}

fn number(text: &str) -> Outcome<u64> {
    text.trim().parse().map_err(|_| format!("`{text}` is no number of bytes"))
}

fn judge(weight: u64, known: u64) -> Outcome {
    println!("the module weighs {weight} bytes after gzip; it was {known}");
    if weight > MOST {
        return Err(format!("it weighs more than the {MOST} bytes that users were promised"));
    }
    if weight.saturating_mul(1_000) > known.saturating_mul(1_000 + GROWTH_PERMILLE) {
        return Err(format!(
            "it has grown by more than {GROWTH_PERMILLE} thousandths; if that is worth it, bless {SIZE}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_grows_too_much_fails_the_step() {
        assert_eq!(judge(105_000, 100_000), Ok(()));
        assert!(judge(105_001, 100_000).is_err());
    }
}
