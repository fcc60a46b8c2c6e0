//! The Swift package: its tests, with whatever Swift there is or Debian's own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::mobile::{FOLDER, command, library, target};
use crate::process::{Outcome, run};

/// Finds or installs Swift, and runs it.
const TOOLCHAIN: &str = "crates/xtask/swift.sh";
/// What the fake serves for the tests.
const SERVICE: &str = "bindings/uniffi/swift/Tests/fake.json";
const VECTORS: &str = "tests/vectors/traces";

/// Builds the package and runs its tests against the embedded fake.
pub(crate) fn step(_: &[String]) -> Outcome {
    let home = target()?.join("swift");
    let native = home.join("native");
    let wrong = |error: std::io::Error| format!("{}: {error}", native.display());
    std::fs::create_dir_all(&native).map_err(wrong)?;
    std::fs::create_dir_all(home.join("build")).map_err(wrong)?;
    std::fs::copy(library()?.join("libsluicegate_uniffi.a"), native.join("libsluicegate_uniffi.a")).map_err(wrong)?;
    let fake = Fake::start(&command()?)?;
    let vectors = std::path::absolute(VECTORS).map_err(wrong)?;
    let mounts = [&native, &home.join("build"), &vectors].map(|path| path.display().to_string()).join(" ");
    run(Command::new(TOOLCHAIN)
        .arg(home.join("trixie"))
        .args([&format!("{FOLDER}/swift"), "test", "--disable-sandbox", "--scratch-path"])
        .arg(home.join("build"))
        .env("SLUICEGATE_MOUNTS", mounts)
        .env("SLUICEGATE_NATIVE", &native)
        .env("SLUICEGATE_VECTORS", &vectors)
        .env("SLUICEGATE_FAKE", &fake.url))
    .map_err(|error| format!("{error}; 3 says that there is no Swift and no way to install it"))
}

/// The embedded fake in a process of its own, which ends with this value.
struct Fake {
    process: Child,
    url: String,
}

impl Fake {
    fn start(command: &Path) -> Outcome<Self> {
        let wrong = |error: std::io::Error| format!("{}: {error}", command.display());
        let config = PathBuf::from(SERVICE);
        let mut started = Command::new(command);
        started.args(["serve-fake", "--for", "1200", "--config"]).arg(config).stdout(Stdio::piped());
        let mut process = started.spawn().map_err(wrong)?;
        let greeting = process.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines);
        let url = greeting.map_while(Result::ok).find_map(|line| {
            let from = line.find("http://")?;
            line.get(from..)?.split_whitespace().next().map(|url| url.trim_end_matches([',', ';']).to_owned())
        });
        let fake = Self { process, url: url.unwrap_or_default() };
        if fake.url.is_empty() { Err("the fake told no address".to_owned()) } else { Ok(fake) }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // It ends by itself after a while.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
