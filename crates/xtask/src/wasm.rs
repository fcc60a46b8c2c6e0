//! The npm package: the engine as a WebAssembly module with its JavaScript.

use std::path::Path;
use std::process::Command;

use crate::process::{Outcome, run};
use crate::wasm_tools::{PACKAGE, bind, chromium, compile};

/// The crate that becomes the module.
const CRATE: &str = "sluicegate-wasm";
/// Where the module goes, for the package's own build.
const BOUND: &str = "target/wasm/bound";

/// Builds the module and the package, and runs the package's tests.
pub(crate) fn step(_: &[String]) -> Outcome {
    let module = compile(CRATE)?;
    bind(&module, Path::new(BOUND), "core")?;
    run(Command::new("npm").current_dir(PACKAGE).env("SLUICEGATE_CHROMIUM", chromium()?).args(["run", "check"]))
}
