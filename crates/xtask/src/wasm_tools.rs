//! What turns Rust into a WebAssembly module for JavaScript, and the programs that run it. Each is installed on first use.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Outcome, cargo, read, run};

/// Prints the path of a compiler for the target.
const TOOLCHAIN: &str = "crates/xtask/wasm-toolchain.sh";
/// What is compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// Two compilers may be at work; sharing a folder, each would discard the other's results.
const FOLDER: &str = "target/wasm";
/// Has to be the crate's version in `Cargo.toml` to the last figure.
const BINDGEN: &str = "0.2.130";
/// What the small standard library was compiled with, and goes with. A panic stops the module in any case; here it does so
/// without a message that nobody would see.
const SMALL: [&str; 4] =
    ["-Zunstable-options", "-Cpanic=immediate-abort", "-Zlocation-detail=none", "-Zfmt-debug=none"];
/// The npm package, whose development dependencies are the tools of all that is JavaScript here.
pub(crate) const PACKAGE: &str = "wasm";

/// A compiler for [`TARGET`].
pub(crate) fn compiler() -> Outcome<PathBuf> {
    read(&mut Command::new(TOOLCHAIN)).map(|path| PathBuf::from(path.trim()))
}

/// The standard library that a compiler has for modules that are downloaded, if it does. rustup's have none: what they make
/// works as well and is larger by a sixth.
pub(crate) fn small_library(compiler: &Path) -> Option<PathBuf> {
    compiler.parent()?.parent().map(|tree| tree.join("small")).filter(|library| library.is_dir())
}

/// Compiles a library crate for size and returns its module as the compiler wrote it.
pub(crate) fn compile(package: &str) -> Outcome<PathBuf> {
    let compiler = compiler()?;
    // Messages name files; where they lie on this machine is nobody's business.
    let mut flags = vec![format!("--remap-path-prefix={}=/cargo", cargo_home()?.display())];
    let mut build = cargo();
    if let Some(library) = small_library(&compiler) {
        flags.push(format!("--sysroot={}", library.display()));
        flags.extend(SMALL.map(str::to_owned));
        // Leave to use the flags.
        build.env("RUSTC_BOOTSTRAP", "1");
    }
    run(build
        .env("RUSTC", compiler)
        .env("CARGO_TARGET_DIR", FOLDER)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .args(["build", "--locked", "--profile", "wasm", "--target", TARGET, "--lib", "--package", package]))?;
    Ok(Path::new(FOLDER).join(TARGET).join("wasm").join(format!("{}.wasm", package.replace('-', "_"))))
}

/// Writes the module with its JavaScript and types to `folder`, as `NAME.js`, `NAME.d.ts` and `NAME_bg.wasm`, for whoever
/// loads the module himself (`--target web`). The module is as small as `wasm-opt` makes it.
pub(crate) fn bind(module: &Path, folder: &Path, name: &str) -> Outcome {
    run(Command::new(bindgen()?)
        .arg(module)
        .args(["--target", "web", "--out-name", name, "--remove-producers-section", "--out-dir"])
        .arg(folder))?;
    let bound = folder.join(format!("{name}_bg.wasm"));
    npm(PACKAGE)?;
    run(Command::new(Path::new(PACKAGE).join("node_modules/.bin/wasm-opt"))
        .args(["-Os", "--strip-debug", "--strip-producers"])
        .arg(&bound)
        .arg("-o")
        .arg(&bound))
}

/// The program of wasm-bindgen, kept beside the compiler's files: four minutes of compiling are not for each clone.
fn bindgen() -> Outcome<PathBuf> {
    let root = cache()?.join("wasm-bindgen").join(BINDGEN);
    let path = root.join("bin").join(format!("wasm-bindgen{}", std::env::consts::EXE_SUFFIX));
    if path.exists() {
        return Ok(path);
    }
    println!("installing wasm-bindgen {BINDGEN}; this takes a few minutes, once");
    let install = |locked: &[&str]| {
        run(cargo()
            .args(["install", "wasm-bindgen-cli", "--version", BINDGEN, "--no-default-features"])
            .args(locked)
            .arg("--root")
            .arg(&root))
    };
    // Its own lock names a version that not every mirror has.
    install(&["--locked"]).or_else(|_| install(&[]))?;
    Ok(path)
}

/// Installs what a package's lock names, unless that is what is there.
pub(crate) fn npm(package: &str) -> Outcome {
    let package = Path::new(package);
    let lock = package.join("package-lock.json");
    let wanted = std::fs::read(&lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    let stamp = package.join("node_modules/.installed");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    run(Command::new("npm").current_dir(package).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// A Chromium to run pages in: the one that is there, or Debian's.
pub(crate) fn chromium() -> Outcome<PathBuf> {
    let places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].map(PathBuf::from);
    let named = std::env::var_os("SLUICEGATE_CHROMIUM").map(PathBuf::from);
    if let Some(found) = named.into_iter().chain(places.clone()).find(|place| place.exists()) {
        return Ok(found);
    }
    let root = read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new(if root { "apt-get" } else { "sudo" });
        if !root {
            command.arg("apt-get");
        }
        run(command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments))
    };
    apt(&["update", "-qq"])
        .and_then(|()| apt(&["install", "-y", "-qq", "--no-install-recommends", "chromium"]))
        .map_err(|error| format!("{error}; install Chromium, or name one by SLUICEGATE_CHROMIUM"))?;
    places
        .into_iter()
        .find(|place| place.exists())
        .ok_or_else(|| "Debian's Chromium is not where it should be".to_owned())
}

fn cache() -> Outcome<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let own = || std::env::home_dir().map(|home| home.join(".cache"));
    named.or_else(own).map(|cache| cache.join("sluicegate")).ok_or_else(|| "no home folder to keep tools in".to_owned())
}

fn cargo_home() -> Outcome<PathBuf> {
    let named = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let own = || std::env::home_dir().map(|home| home.join(".cargo"));
    named.or_else(own).ok_or_else(|| "no home folder, so no place for cargo's sources".to_owned())
}
