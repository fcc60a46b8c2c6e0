//! The library for Kotlin and Swift, and the files that uniffi generates from it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Outcome, cargo, run};

/// The crate that becomes the library.
const CRATE: &str = "sluicegate-uniffi";
/// Its root.
pub(crate) const FOLDER: &str = "bindings/uniffi";
/// Generated files by their language: the folder that uniffi writes to, and where each of them belongs.
const GENERATED: &[(&str, &[(&str, &str)])] = &[
    (
        "kotlin",
        &[("io/github/sluicegate/sluicegate.kt", "kotlin/src/generated/kotlin/io/github/sluicegate/sluicegate.kt")],
    ),
    (
        "swift",
        &[
            ("Sluicegate.swift", "swift/Sources/Sluicegate/Generated/Sluicegate.swift"),
            ("SluicegateFFI.h", "swift/Sources/SluicegateFFI/include/SluicegateFFI.h"),
        ],
    ),
];
/// Takes over what is generated, in place of comparing with it.
const BLESS: &str = "SLUICEGATE_BLESS";
/// Names a command that is built already.
const COMMAND: &str = "SLUICEGATE_COMMAND";

/// Tests the library and compares what is generated from it with what is committed.
pub(crate) fn step(_: &[String]) -> Outcome {
    run(cargo().args(["test", "--locked", "--lib", "--package", CRATE]))?;
    library().map(drop)
}

/// Where cargo writes.
pub(crate) fn target() -> Outcome<PathBuf> {
    let target = PathBuf::from(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    std::path::absolute(&target).map_err(|error| format!("{}: {error}", target.display()))
}

/// Builds the library, checks that the generated files are its own, and returns the folder that holds it.
pub(crate) fn library() -> Outcome<PathBuf> {
    run(cargo().args(["build", "--locked", "--profile", "mobile", "--lib", "--package", CRATE]))?;
    run(cargo().args(["build", "--locked", "--features", "bindgen", "--bin", "uniffi-bindgen", "--package", CRATE]))?;
    let target = target()?;
    let built = target.join("mobile");
    let bless = std::env::var_os(BLESS).is_some();
    let mut stale = Vec::new();
    for (language, files) in GENERATED {
        let out = target.join("bound").join(language);
        run(Command::new(target.join("debug/uniffi-bindgen"))
            .arg("generate")
            .arg(built.join(shared_library()))
            .args(["--no-format", "--language", language, "--config", &format!("{FOLDER}/uniffi.toml"), "--out-dir"])
            .arg(&out))?;
        for (from, to) in *files {
            stale.extend(compare(&out.join(from), &Path::new(FOLDER).join(to), bless)?);
        }
    }
    if stale.is_empty() {
        return Ok(built);
    }
    Err(format!("{BLESS}=1 cargo xtask mobile takes over what was generated anew: {}", stale.join(", ")))
}

/// The command that serves the embedded fake: the one that is named, or this repository's.
pub(crate) fn command() -> Outcome<PathBuf> {
    if let Some(named) = std::env::var_os(COMMAND) {
        return Ok(named.into());
    }
    run(cargo().args(["build", "--locked", "--package", "sluicegate-cli"]))?;
    Ok(target()?.join("debug").join(format!("sluicegate{}", std::env::consts::EXE_SUFFIX)))
}

/// What the library is called on this machine.
pub(crate) fn shared_library() -> String {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    format!("{DLL_PREFIX}sluicegate_uniffi{DLL_SUFFIX}")
}

/// Names the committed file if it is not what was generated.
fn compare(generated: &Path, committed: &Path, bless: bool) -> Outcome<Option<String>> {
    let wrong = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(generated).map_err(|error| wrong(generated, error))?;
    // Diffs trip over what the generator leaves at the ends of lines, and its notes to itself are none of ours.
    let mut text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    text = text.replace(concat!("TO", "DO"), "Later");
    text.truncate(text.trim_end().len());
    text.push('\n');
    if std::fs::read_to_string(committed).is_ok_and(|there| there == text) {
        return Ok(None);
    }
    if !bless {
        return Ok(Some(committed.display().to_string()));
    }
    if let Some(folder) = committed.parent() {
        std::fs::create_dir_all(folder).map_err(|error| wrong(folder, error))?;
    }
    std::fs::write(committed, text).map_err(|error| wrong(committed, error))?;
    println!("wrote {}", committed.display());
    Ok(None)
}
