//! The house rules that no other tool knows, as plain text searches over the files git knows.
//!
//! The patterns are spelled in two halves, so that this file does not break its own rules.

use std::process::Command;

use crate::process::{Outcome, read};

/// What may stand at the root without a leading dot. Tools are configured in hidden files.
const ROOT: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "bindings",
    "crates",
    "python",
    "tests",
    "wasm",
];

/// A Rust source file longer than this holds more than one subject.
const SOURCE_LINES: usize = 600;
/// Tests may run a little longer before they are split by behaviour.
const TEST_LINES: usize = 700;
/// An overview longer than this is not read.
const ARCHITECTURE_LINES: usize = 80;

/// Marks of unfinished work.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
];

/// Ways past the rule that time and randomness are arguments and that I/O lives in adapters.
const HOST: &[&str] = &[
    concat!("Instant::", "now"),
    concat!("SystemTime::", "now"),
    concat!("thread_", "rng"),
    concat!("rand::", "rng("),
    concat!("std::", "thread"),
    concat!("std::", "net"),
];
/// Where the host is out of reach.
const PURE: &[&str] = &["crates/core/src/", "crates/sim/src/", "crates/bedrock/src/"];
/// The one adapter inside a pure folder: only compiled with the feature of the same name.
const ADAPTER: &[&str] = &["crates/bedrock/src/aws_sdk/", "crates/bedrock/src/aws_sdk.rs"];

/// The beginnings of paths that exist on one machine only.
const MACHINE: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Hosts of package registries: which one to use is the machine's business, not the repository's.
const REGISTRIES: &[&str] = &[
    concat!("crates", ".io"),
    concat!("static.rust-", "lang.org"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("registry.npm", "js.org"),
    concat!("registry.yarn", "pkg.com"),
    concat!("repo.maven.", "apache.org"),
    concat!("repo1.", "maven.org"),
    concat!("proxy.go", "lang.org"),
    concat!("deb.", "debian.org"),
];

/// A test that is switched off.
const IGNORED: &str = concat!("#[ig", "nore");

/// One file as git knows it.
struct File {
    path: String,
    /// Empty for a file that is not text.
    text: String,
}

/// Reads every file that is tracked or about to be, and reports all breaches at once.
pub(crate) fn step(_: &[String]) -> Outcome {
    let listing = read(Command::new("git").args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--deduplicate",
    ]))?;
    let mut files = Vec::new();
    for path in listing.split_terminator('\0') {
        // A file deleted but still in the index, a symbolic link or a submodule has no text of its own.
        if std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            let bytes = std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
            files.push(File { path: path.to_owned(), text: String::from_utf8(bytes).unwrap_or_default() });
        }
    }
    if files.is_empty() {
        return Err("git knows no files here".to_owned());
    }
    let breaches: Vec<String> = files.iter().flat_map(check).collect();
    for breach in &breaches {
        println!("{breach}");
    }
    match breaches.len() {
        0 => {
            println!("{} files, no breach", files.len());
            Ok(())
        }
        count => Err(format!("{count} breaches of the house rules")),
    }
}

fn check(file: &File) -> Vec<String> {
    let mut breaches = Vec::new();
    if let Some(breach) = root(&file.path) {
        breaches.push(breach);
    }
    if let Some((limit, lines)) = length(file) {
        breaches.push(format!("{}: {lines} lines, at most {limit}; split it by subject", file.path));
    }
    // The root's, and the fuzzer's, which is a workspace of its own.
    if file.path.rsplit('/').next() == Some("Cargo.lock") {
        return breaches;
    }
    for (index, line) in file.text.lines().enumerate() {
        for complaint in complaints(&file.path, line) {
            breaches.push(format!("{}:{}: {complaint}", file.path, index + 1));
        }
    }
    breaches
}

fn root(path: &str) -> Option<String> {
    let entry = path.split('/').next().unwrap_or(path);
    let allowed = entry.starts_with('.') || ROOT.contains(&entry);
    (!allowed).then(|| format!("{path}: `{entry}` does not belong at the root; configuration goes into hidden files"))
}

/// The limit a file breaks, and its length.
fn length(file: &File) -> Option<(usize, usize)> {
    let limit = limit(&file.path)?;
    let lines = file.text.lines().count();
    (lines > limit).then_some((limit, lines))
}

fn limit(path: &str) -> Option<usize> {
    if path == "ARCHITECTURE.md" {
        return Some(ARCHITECTURE_LINES);
    }
    if !path.ends_with(".rs") {
        return None;
    }
    let test = path.split('/').any(|part| matches!(part, "tests" | "benches" | "tests.rs"));
    Some(if test { TEST_LINES } else { SOURCE_LINES })
}

fn complaints(path: &str, line: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for word in UNFINISHED.iter().filter(|word| has_word(line, word)) {
        complaints.push(format!("`{word}`: finish it, or write down why it is as it is"));
    }
    if path.ends_with(".rs") && is_pure(path) {
        for name in HOST.iter().filter(|name| line.contains(**name)) {
            complaints.push(format!("`{name}`: time and randomness are arguments, and I/O lives in adapters"));
        }
    }
    for start in MACHINE.iter().filter(|start| has_absolute(line, start)) {
        complaints.push(format!("`{start}`: a path of one machine"));
    }
    for host in REGISTRIES.iter().filter(|host| line.contains(**host)) {
        complaints.push(format!("`{host}`: the host of a package registry"));
    }
    if let Some((_, rest)) = line.split_once(IGNORED)
        && !rest.trim_start().strip_prefix('=').is_some_and(|reason| reason.trim_start().starts_with('"'))
    {
        complaints.push("a test is switched off without a reason on the same line".to_owned());
    }
    complaints
}

fn is_pure(path: &str) -> bool {
    PURE.iter().any(|folder| path.starts_with(folder)) && !ADAPTER.iter().any(|part| path.starts_with(part))
}

/// Whether `word` stands in `line` as a word of its own.
fn has_word(line: &str, word: &str) -> bool {
    let joins = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(at, _)| {
        let after = line[at + word.len()..].chars().next();
        let open_end = word.ends_with('!') || !after.is_some_and(joins);
        open_end && !line[..at].chars().next_back().is_some_and(joins)
    })
}

/// Whether a path in `line` starts with `start`, rather than having it further along.
fn has_absolute(line: &str, start: &str) -> bool {
    let goes_on = |character: char| character.is_alphanumeric() || "._-~*})>".contains(character);
    line.match_indices(start).any(|(at, _)| !line[..at].chars().next_back().is_some_and(goes_on))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: impl Into<String>) -> File {
        File { path: path.to_owned(), text: text.into() }
    }

    fn clean(path: &str, text: &str) -> bool {
        check(&file(path, text)).is_empty()
    }

    #[test]
    fn the_root_stays_short() {
        assert!(clean("README.md", ""));
        assert!(clean("crates/core/src/lib.rs", ""));
        assert!(clean(".deny.toml", ""));
        assert!(clean(".ci/run", ""));
        assert!(!clean("deny.toml", ""));
        assert!(!clean("docs/plan.md", ""));
    }

    #[test]
    fn long_files_are_split() {
        let lines = |count| "\n".repeat(count);
        for (path, limit) in [
            ("crates/core/src/engine.rs", SOURCE_LINES),
            ("bindings/wasm/src/lib.rs", SOURCE_LINES),
            ("crates/core/tests/breaker.rs", TEST_LINES),
            ("crates/core/src/engine/tests.rs", TEST_LINES),
            ("ARCHITECTURE.md", ARCHITECTURE_LINES),
        ] {
            assert!(check(&file(path, lines(limit))).is_empty(), "{path}");
            assert_eq!(check(&file(path, lines(limit + 1))).len(), 1, "{path}");
        }
        assert!(check(&file("tests/vectors/a.json", lines(5_000))).is_empty());
    }

    #[test]
    fn unfinished_work_is_found_as_words() {
        for word in UNFINISHED {
            assert!(!clean("README.md", &format!("// {word} later")), "{word}");
            assert!(!clean("python/a.py", word), "{word}");
        }
        assert!(!clean("crates/core/src/lib.rs", &format!("    {}()", UNFINISHED[3])));
        assert!(clean("Cargo.toml", &format!("{} = \"warn\"", UNFINISHED[3].trim_end_matches('!'))));
        assert!(clean("README.md", &format!("MAS{}TEN", UNFINISHED[0])));
    }

    #[test]
    fn the_host_stays_out_of_pure_crates() {
        for name in HOST {
            assert!(!clean("crates/core/src/time.rs", &format!("let x = {name}();")), "{name}");
            assert!(!clean("crates/sim/src/runner.rs", name), "{name}");
            assert!(!clean("crates/bedrock/src/classify.rs", name), "{name}");
            assert!(clean("crates/bedrock/src/aws_sdk/clock.rs", name), "{name}");
            assert!(clean("crates/driver/src/lib.rs", name), "{name}");
            assert!(clean("crates/core/tests/life.rs", name), "{name}");
        }
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for start in MACHINE {
            assert!(!clean("README.md", &format!("cd {start}main")), "{start}");
            assert!(!clean(".ci/run", &format!("{start}x")), "{start}");
            assert!(!clean("tests/x.json", &format!("\"file://{start}x\"")), "{start}");
            assert!(clean("README.md", &format!("tests{start}x and $HOME{start}y and ../{}z", &start[1..])), "{start}");
        }
    }

    #[test]
    fn registry_hosts_are_found_outside_the_lock() {
        for host in REGISTRIES {
            let line = format!("see <https://{host}/x>");
            assert!(!clean("README.md", &line), "{host}");
            assert!(clean("Cargo.lock", &line), "{host}");
        }
        assert!(clean("README.md", "https://docs.rs/sluicegate"));
    }

    #[test]
    fn a_switched_off_test_has_a_reason() {
        assert!(!clean("crates/core/tests/a.rs", &format!("{IGNORED}]")));
        assert!(!clean("crates/core/tests/a.rs", &format!("{IGNORED} = REASON]")));
        assert!(clean("crates/core/tests/a.rs", &format!("{IGNORED} = \"needs an hour\"]")));
    }

    #[test]
    fn a_breach_says_where() {
        let found = check(&file("tests/e2e/a.rs", format!("one\n{}\n", UNFINISHED[0])));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("tests/e2e/a.rs:2: "), "{found:?}");
    }
}
