//! The playground: the simulator as a WebAssembly module, the page around it, and its tests in a browser.

use std::path::Path;
use std::process::Command;

use crate::process::{Outcome, cargo, run};
use crate::wasm_tools::{bind, chromium, compile};

/// The crate that becomes the module.
const CRATE: &str = "sluicegate-playground";
/// The page.
const PAGE: &str = "wasm/playground";
/// Where the module goes, for the page's own build.
const BOUND: &str = "target/wasm/playground";

/// Builds the module and the page into `wasm/playground/dist`, and runs the page's tests.
pub(crate) fn step(_: &[String]) -> Outcome {
    let module = compile(CRATE)?;
    bind(&module, Path::new(BOUND), "playground")?;
    run(cargo().args(["build", "--locked", "--package", CRATE, "--example", "reports"]))?;
    let page = |program: &str| {
        let mut node = Command::new("node");
        node.current_dir(PAGE).arg(program);
        node
    };
    run(&mut page("build.mjs"))?;
    run(Command::new("node").current_dir(PAGE).env("SLUICEGATE_CHROMIUM", chromium()?).args(["--test", "tests/"]))
}
