//! The Maven module: the Kotlin package with the library inside.

use std::path::Path;
use std::process::Command;

use crate::mobile::{FOLDER, command, library, shared_library, target};
use crate::process::{Outcome, run};

/// Builds the module and runs its tests against the embedded fake.
pub(crate) fn step(_: &[String]) -> Outcome {
    let built = library()?;
    let target = target()?;
    let native = target.join("kotlin/native");
    lay_out(&built, &native)?;
    let set = |name: &str, path: &Path| format!("-D{name}={}", path.display());
    run(Command::new("mvn")
        .current_dir(Path::new(FOLDER).join("kotlin"))
        .args(["--batch-mode", "--no-transfer-progress", "verify"])
        .arg(set("build.dir", &target.join("kotlin/build")))
        .arg(set("native.dir", &native))
        .arg(set("sluicegate.command", &command()?)))
    .map_err(|error| format!("{error}; the module needs a JDK of 17 or newer and Maven of 3.8 or newer"))
}

/// Puts the library where JNA looks for it inside a jar: in a folder named after the platform.
fn lay_out(built: &Path, native: &Path) -> Outcome {
    let folder = native.join(platform());
    let wrong = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(&folder).map_err(wrong)?;
    let library = folder.join(shared_library());
    std::fs::copy(built.join(shared_library()), &library).map_err(wrong)?;
    if cfg!(target_os = "linux") {
        // What was needed to generate the bindings is not needed to run.
        run(Command::new("strip").args(["--strip-all"]).arg(&library))?;
    }
    let size = std::fs::metadata(&library).map_err(wrong)?.len();
    println!("{} for {}: {size} bytes", shared_library(), platform());
    Ok(())
}

/// JNA's name for this machine.
fn platform() -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let processor = if cfg!(target_arch = "x86_64") { "x86-64" } else { std::env::consts::ARCH };
    format!("{system}-{processor}")
}
