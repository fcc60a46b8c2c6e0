//! Real clients that are not written in Rust: each a process of its own, which gets the calls and makes them.
//!
//! `tests/peers/client.py` says what goes over its pipes. It tells nothing that becomes a figure but how late calls went
//! out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::clients::{FILLER, Kind};
use super::scenario::{MAX_TOKENS, MODEL, REGIONS, Scenario, bytes};
use crate::exit::{Code, Failure};

/// How long a process may take to load its libraries and to make its first call. `LiteLLM` alone takes seconds.
const READY: Duration = Duration::from_secs(120);
/// How long after the end a process may take to say its last.
const LAST: Duration = Duration::from_secs(5);
/// What to do about a process that does not start.
const REMEDY: &str = "`cargo xtask peers` makes the environment and runs the comparison; --peer-python and --peer-client \
    name another";

/// A process under way. It is ended when it is dropped.
pub(crate) struct Worker {
    kind: Kind,
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    versions: String,
}

impl Worker {
    /// Starts the process of this peer, and has it make one call to `url` that nobody counts. Blocks until that is done.
    pub(crate) fn start(kind: Kind, scenario: &Scenario, url: &str) -> Result<Self, Failure> {
        let args = scenario.args();
        for file in [&args.peer_python, &args.peer_client] {
            if let Err(error) = std::fs::metadata(file) {
                return Err(wrong(kind, &format!("{}: {error}", file.display())));
            }
        }
        let mut command = Command::new(&args.peer_python);
        command.arg(&args.peer_client).arg(kind.name()).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Nothing of this machine's own settings.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_ascii_lowercase();
            if text.starts_with("aws_") || text.ends_with("_proxy") || text.starts_with("litellm") {
                command.env_remove(name);
            }
        }
        let started = command.spawn();
        let mut child = started.map_err(|error| wrong(kind, &format!("{}: {error}", args.peer_python.display())))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(wrong(kind, "it has no pipes"));
        };
        let (sender, lines) = channel();
        // Ends with the process.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut worker = Self { kind, child, input, lines, versions: String::new() };
        worker.tell(&job(kind, scenario, url))?;
        let ready = worker.hear(READY)?;
        let versions = ready.get("versions").and_then(Value::as_object);
        let versions = versions.ok_or_else(|| wrong(kind, &format!("it said `{ready}`")))?;
        let version = |(name, version): (&String, &Value)| format!("{name} {}", version.as_str().unwrap_or("?"));
        worker.versions = versions.iter().map(version).collect::<Vec<_>>().join(", ");
        Ok(worker)
    }

    /// Lets it make the calls to the fake at `url`, whose time is now `now`.
    pub(crate) fn go(&mut self, url: &str, now: sluicegate::Timestamp) -> Result<(), Failure> {
        self.tell(&json!({"url": url, "now_us": now.as_micros()}))
    }

    /// Which peer it is.
    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// The libraries with their versions, as in `boto3 1.44.5, botocore 1.44.5`.
    pub(crate) fn versions(&self) -> &str {
        &self.versions
    }

    /// By how much calls went out late, in microseconds. Blocks until it has said so.
    pub(crate) fn late(&self) -> Result<Vec<u64>, Failure> {
        let last = self.hear(LAST)?;
        let late = last.get("late_us").and_then(Value::as_array);
        let late = late.ok_or_else(|| wrong(self.kind, &format!("it said `{last}`")))?;
        Ok(late.iter().filter_map(Value::as_u64).collect())
    }

    fn tell(&mut self, message: &Value) -> Result<(), Failure> {
        let told = writeln!(self.input, "{message}").and_then(|()| self.input.flush());
        told.map_err(|error| wrong(self.kind, &format!("it does not listen: {error}")))
    }

    fn hear(&self, within: Duration) -> Result<Value, Failure> {
        let line = self.lines.recv_timeout(within).map_err(|error| match error {
            RecvTimeoutError::Timeout => wrong(self.kind, &format!("it said nothing for {} s", within.as_secs())),
            RecvTimeoutError::Disconnected => wrong(self.kind, "it ended too soon"),
        })?;
        serde_json::from_str(&line).map_err(|_| wrong(self.kind, &format!("it said `{line}`")))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process is told first. Ours gets the policy as well; the others have no use for one.
fn job(kind: Kind, scenario: &Scenario, url: &str) -> Value {
    let calls = scenario.arrivals.iter();
    let calls = calls.map(|call| json!([call.at.as_micros(), bytes(call.input_tokens), call.output_tokens]));
    let mut job = json!({
        "url": url,
        "regions": REGIONS,
        "model": MODEL,
        "max_tokens": MAX_TOKENS,
        "deadline_us": u64::try_from(scenario.deadline().as_micros()).unwrap_or(u64::MAX),
        "filler": FILLER,
        "calls": calls.collect::<Vec<_>>(),
    });
    if kind.is_ours() {
        job["policy"] = scenario.policy_document();
    }
    job
}

fn wrong(kind: Kind, what: &str) -> Failure {
    Failure::new(Code::Usage, format!("the peer {} does not run: {what}", kind.name())).remedy(REMEDY)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn the_policy_is_that_of_the_rust_client_and_told_to_ours_alone() {
        let Command::Compare(args) = Cli::parse_from(["sluicegate", "compare", "--local"]).command else {
            panic!("it is compare")
        };
        let scenario = Scenario::new(args);
        let job = |kind| job(kind, &scenario, "http://localhost");
        let told = sluicegate::Policy::parse(&job(Kind::SluicegatePython)["policy"]).unwrap();
        assert_eq!(told, scenario.policy().unwrap());
        for kind in [Kind::Boto3Standard, Kind::Boto3Adaptive, Kind::LiteLlm] {
            assert_eq!(job(kind).get("policy"), None, "{}", kind.name());
        }
    }
}
