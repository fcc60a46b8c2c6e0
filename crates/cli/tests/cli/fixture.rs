//! A directory for one test, the command in it, and what its output says.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

/// Quotas that never bind.
pub(crate) const WIDE: &str = "
pools: {p: {requests_per_minute: 1_000_000, tokens_per_minute: 1_000_000_000}}
endpoints: {east: {model: m, region: us-east-1, pools: [p]}}
";

/// 120 requests at once, then 20 a second.
pub(crate) const NARROW: &str = "
pools: {p: {requests_per_minute: 1_200}}
endpoints: {east: {model: m, region: us-east-1, pools: [p]}}
";

/// A directory that goes with the test.
pub(crate) struct Fixture {
    dir: PathBuf,
}

impl Fixture {
    pub(crate) fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("sluicegate-cli-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The command in this directory, with no AWS settings but those that the test adds.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluicegate"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command
            .args(args)
            .current_dir(&self.dir)
            .env("HOME", &self.dir)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it to its end: exit code, standard output, standard error.
    pub(crate) fn run(&self, args: &[&str]) -> (i32, String, String) {
        ended(self.command(args).output().unwrap())
    }

    /// Runs `in.jsonl` to `out.jsonl` under `policy.yaml` against the embedded fake.
    pub(crate) fn local(&self) -> (i32, String) {
        let (code, _, errors) = self.run(LOCAL);
        (code, errors)
    }
}

pub(crate) const LOCAL: &[&str] = &["run", "in.jsonl", "-o", "out.jsonl", "--policy", "policy.yaml", "--local"];

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

pub(crate) fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// A Converse record whose answer is one token, half a second away.
pub(crate) fn record(id: &str) -> String {
    let input =
        json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}], "inferenceConfig": {"maxTokens": 1}});
    format!("{}\n", json!({"recordId": id, "modelInput": input}))
}

pub(crate) fn records(count: usize) -> String {
    (0..count).map(|number| record(&format!("r{number}"))).collect()
}

/// The output lines by record id; each id stands there once.
pub(crate) fn by_id(text: &str) -> BTreeMap<String, Value> {
    let mut lines = BTreeMap::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let id = value["recordId"].as_str().unwrap().to_owned();
        assert!(lines.insert(id, value).is_none(), "twice: {line}");
    }
    lines
}

/// A child that does not outlive its test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Its exit code and what it said on standard error.
    pub(crate) fn wait(mut self) -> (i32, String) {
        let errors = std::io::read_to_string(self.0.stderr.take().unwrap()).unwrap();
        (self.0.wait().unwrap().code().unwrap_or(-1), errors)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `done` says so; looks a hundred times a second, for three minutes at most.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let (_keep, never) = mpsc::channel::<()>();
    for _ in 0..18_000 {
        if done() {
            return;
        }
        // Another process's file gives no event to wait for.
        let _ = never.recv_timeout(Duration::from_millis(10));
    }
    panic!("never came: {what}");
}

pub(crate) fn lines_in(path: &Path) -> usize {
    std::fs::read(path).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count())
}

/// A fake in a process of its own.
pub(crate) struct Served {
    pub(crate) url: String,
    _child: Running,
}

/// Starts `serve-fake` with these arguments.
pub(crate) fn serve(fixture: &Fixture, args: &[&str]) -> Served {
    let mut all = vec!["serve-fake", "--for", "300"];
    all.extend(args);
    let mut child = Running::start(fixture.command(&all));
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let export = lines.find(|line| line.contains("AWS_ENDPOINT_URL_BEDROCK_RUNTIME=")).unwrap();
    let url = export.split_once('=').unwrap().1.to_owned();
    Served { url, _child: child }
}

/// The command against the service at `url`, with this access key id.
pub(crate) fn against(fixture: &Fixture, url: &str, key: &str, args: &[&str]) -> Command {
    let mut command = fixture.command(args);
    command
        .env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", url)
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    command
}

pub(crate) const REMOTE: &[&str] = &["run", "in.jsonl", "-o", "out.jsonl", "--policy", "policy.yaml"];
