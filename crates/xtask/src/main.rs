//! The project's own tasks: `cargo xtask ci` is everything a change has to pass.
//!
//! No dependencies and plain `std::process`, so that a fresh clone starts its first check within seconds.

mod deny;
mod kotlin;
mod mobile;
mod no_host;
mod peers;
mod playground;
mod process;
mod python;
mod python_bench;
mod swift;
mod tidy;
mod venv;
mod wasm;
mod wasm_module;
mod wasm_tools;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use process::{Outcome, cargo, run};

/// One check, runnable alone or as part of `ci`.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Outcome,
}

/// In the order `ci` runs them: cheap first, dear last.
const STEPS: &[Step] = &[
    Step { name: "fmt", about: "formatting", run: fmt },
    Step { name: "tidy", about: "the house rules that no other tool knows", run: tidy::step },
    Step { name: "clippy", about: "lints, warnings denied", run: clippy },
    Step { name: "docs", about: "the documentation builds without a warning", run: docs },
    Step { name: "test", about: "all tests; what follows `test` goes to cargo test", run: test },
    Step { name: "no-host", about: "the core and the simulator as WebAssembly, importing nothing", run: no_host::step },
    Step {
        name: "wasm",
        about: "the npm package: its module, its types, its tests in Node and Chromium",
        run: wasm::step,
    },
    Step { name: "playground", about: "the simulator in a page, with its tests in Chromium", run: playground::step },
    Step {
        name: "python",
        about: "the wheel and the sdist: their types, and their tests on every Python there is",
        run: python::step,
    },
    Step { name: "mobile", about: "the generated Kotlin and Swift files are the library's own", run: mobile::step },
    Step { name: "kotlin", about: "the Maven module: its tests against the embedded fake", run: kotlin::step },
    Step { name: "swift", about: "the Swift package: its tests against the embedded fake", run: swift::step },
    Step { name: "deny", about: "licences, sources, bans and advisories of the dependencies", run: deny::step },
];

/// In no way part of `ci`: they need what not every machine has.
const OTHERS: &[Step] = &[
    Step {
        name: "peers",
        about: "compare with the real boto3 and LiteLLM, and our wheel: Python, minutes; what follows goes to compare",
        run: peers::step,
    },
    Step {
        name: "python-bench",
        about: "what a call costs in Python and what gets through, beside the Rust client: a release build, minutes",
        run: python_bench::step,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(root) = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2) else {
        eprintln!("xtask: its manifest lies outside the repository");
        return ExitCode::FAILURE;
    };
    if let Err(error) = std::env::set_current_dir(root) {
        eprintln!("xtask: cannot enter the repository: {error}");
        return ExitCode::FAILURE;
    }
    let rest = arguments.get(1..).unwrap_or_default();
    match arguments.first().map(String::as_str) {
        Some("help" | "--help" | "-h") => {
            print!("{}", help());
            ExitCode::SUCCESS
        }
        Some("ci") if rest.is_empty() => perform(STEPS, &[]),
        Some(name) => match STEPS.iter().chain(OTHERS).find(|step| step.name == name) {
            Some(step) if rest.is_empty() || matches!(step.name, "test" | "peers") => {
                perform(std::slice::from_ref(step), rest)
            }
            Some(step) => misuse(&format!("`{}` takes no arguments", step.name)),
            None if name == "ci" => misuse("`ci` takes no arguments"),
            None => misuse(&format!("there is no task `{name}`")),
        },
        None => misuse("which task?"),
    }
}

fn misuse(message: &str) -> ExitCode {
    eprint!("xtask: {message}\n\n{}", help());
    ExitCode::from(2)
}

fn help() -> String {
    let mut text = String::from("cargo xtask ci      run every step below, in this order\n");
    for step in STEPS {
        text.push_str(&format!("cargo xtask {:<7} {}\n", step.name, step.about));
    }
    text.push_str("\nno part of ci:\n");
    for step in OTHERS {
        text.push_str(&format!("cargo xtask {:<7} {}\n", step.name, step.about));
    }
    text.push_str("cargo xtask help    print this\n\n");
    text.push_str("cargo xtask test -- --nocapture    arguments go to cargo test as they stand\n");
    text.push_str("SLUICEGATE_PYTHON=python3.13       makes environments with another Python\n");
    text.push_str("SLUICEGATE_REQUIRE_ADVISORIES=1    makes `deny` fail where no advisory database can be had\n");
    text
}

/// Runs steps until one fails and prints how long each took.
fn perform(steps: &[Step], arguments: &[String]) -> ExitCode {
    let start = now();
    let mut rows: Vec<(&str, Duration)> = Vec::new();
    let mut failure = None;
    for step in steps {
        println!("\n== {}: {}", step.name, step.about);
        let begun = now();
        let outcome = (step.run)(arguments);
        let took = begun.elapsed();
        rows.push((step.name, took));
        match outcome {
            Ok(()) => println!("== {}: ok, {:.1} s", step.name, took.as_secs_f64()),
            Err(message) => {
                println!("== {}: FAILED, {:.1} s", step.name, took.as_secs_f64());
                failure = Some((step.name, message));
                break;
            }
        }
    }
    println!("\n{:<8} {:>9}", "step", "seconds");
    for (name, took) in &rows {
        println!("{name:<8} {:>9.1}", took.as_secs_f64());
    }
    println!("{:<8} {:>9.1}", "all", start.elapsed().as_secs_f64());
    if let Some((name, message)) = failure {
        eprintln!("\nxtask: step `{name}` failed: {message}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[expect(clippy::disallowed_methods, reason = "a task runner tells how long its steps took")]
fn now() -> Instant {
    Instant::now()
}

fn fmt(_: &[String]) -> Outcome {
    component("fmt", "rustfmt")?;
    run(cargo().args(["fmt", "--all", "--check"]))?;
    for manifest in no_host::MANIFESTS {
        run(cargo().args(["fmt", "--manifest-path", manifest, "--check"]))?;
    }
    run(cargo().args(["fmt", "--manifest-path", "crates/core/fuzz/Cargo.toml", "--check"]))
}

fn clippy(_: &[String]) -> Outcome {
    component("clippy", "clippy")?;
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--all-features", "--locked", "--", "-D", "warnings"]))
}

fn docs(_: &[String]) -> Outcome {
    run(cargo().env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--workspace", "--no-deps", "--locked"]))
}

fn test(arguments: &[String]) -> Outcome {
    if arguments.is_empty() {
        // What the engine remembers between inputs has to be what it would find afresh.
        let audited = ["-p", "sluicegate", "--features", "audit", "--test", "engine", "--test", "invariants"];
        run(cargo().args(["test", "--locked"]).args(audited))?;
    }
    run(cargo().args(["test", "--locked"]).args(arguments))
}

/// Says how to add a missing component, instead of cargo's "no such command".
fn component(subcommand: &str, name: &str) -> Outcome {
    let present = cargo().args([subcommand, "--version"]).output().is_ok_and(|output| output.status.success());
    if present { Ok(()) } else { Err(format!("{name} is missing; add it with `rustup component add {name}`")) }
}
