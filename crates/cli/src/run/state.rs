//! `--state`: what the engine has learned and counted, kept from run to run.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use sluicegate::{Snapshot, SnapshotError};
use sluicegate_driver::Gate;

use super::output::cannot_write;
use crate::clock::unix_ms;
use crate::exit::{Code, Failure};
use crate::policy_check::tell;

/// When the state was saved, in milliseconds since the Unix epoch; it stands beside the snapshot's own fields.
const SAVED_AT: &str = "saved_at_unix_ms";
const ANEW: &str = "delete it or name another --state; the run then learns the service's limits and speed anew";

/// The file of `--state`.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    /// Whether a failure to write it was told.
    told: bool,
}

impl StateFile {
    /// Looks at the file, if it is there. It must not be one of `others`, which it would replace.
    pub(crate) fn open(path: PathBuf, others: &[&Path]) -> Result<(Self, Option<(Snapshot, Duration)>), Failure> {
        let name = path.display();
        if others.iter().any(|other| same(&path, other)) {
            let what = format!("--state {name}: the run reads or writes this file for something else");
            return Err(Failure::new(Code::Usage, what).remedy("give the state a file of its own"));
        }
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Self { path, told: false }, None)),
            Err(error) => {
                let what = format!("{name}: the state cannot be read: {error}");
                return Err(Failure::new(Code::Usage, what).remedy("mend its permissions or name another --state"));
            }
        };
        let malformed = |message: String| SnapshotError::Malformed { message };
        let value = serde_json::from_slice::<Value>(&bytes).map_err(|error| malformed(error.to_string()));
        let saved_at = value.as_ref().ok().and_then(|value| value.get(SAVED_AT)?.as_u64());
        let snapshot = value.and_then(Snapshot::try_from).map_err(|error| match error {
            SnapshotError::Newer { found, known } => {
                let what = format!(
                    "{name}: a newer sluicegate wrote this state: version {found}, this one reads up to {known}"
                );
                Failure::new(Code::Usage, what).remedy("update sluicegate, or name another --state")
            }
            SnapshotError::Malformed { message } => {
                Failure::new(Code::Usage, format!("{name}: this is no state of a run: {message}")).remedy(ANEW)
            }
            other => Failure::new(Code::Usage, format!("{name}: {other}")).remedy(ANEW),
        })?;
        // A clock that was set back, or no time at all, counts as no time: what was sent then may have been sent now.
        let asleep = saved_at.map_or(0, |at| unix_ms().saturating_sub(at));
        Ok((Self { path, told: false }, Some((snapshot, Duration::from_millis(asleep)))))
    }

    /// Says that the run goes on from an earlier one.
    pub(crate) fn tell_restored(&self, asleep: Duration) {
        tell(format!("goes on from {}, saved {} ago", self.path.display(), super::progress::clock(asleep)));
    }

    /// Writes the state for the first time, so that a path that cannot be written is known before anything is sent.
    pub(crate) fn try_out(&self, gate: &Gate) -> Result<(), Failure> {
        self.write(gate).map_err(|error| {
            let failure = cannot_write(&self.path, &error);
            Failure { remedy: Some("name another --state, or create its directory".to_owned()), ..failure }
        })
    }

    /// Writes the state; says once if that fails. The answers are worth more than what was learned, so the run goes on.
    pub(crate) fn save(&mut self, gate: &Gate, say: impl FnOnce(String)) {
        if let Err(error) = self.write(gate)
            && !std::mem::replace(&mut self.told, true)
        {
            say(format!("note: {}: the state cannot be saved: {error}; the run goes on", self.path.display()));
        }
    }

    /// Puts the whole file in place of the old one, so that neither a crash nor a full disk leaves half of it.
    fn write(&self, gate: &Gate) -> io::Result<()> {
        let mut value = serde_json::to_value(gate.snapshot())?;
        if let Some(fields) = value.as_object_mut() {
            fields.insert(SAVED_AT.to_owned(), unix_ms().into());
        }
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let beside = self.path.with_file_name(name);
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(value.to_string().as_bytes())?;
            file.sync_data()
        });
        let placed = written.and_then(|()| std::fs::rename(&beside, &self.path));
        if placed.is_err() {
            // It is of no use, and there may be none.
            let _ = std::fs::remove_file(&beside);
        }
        placed
    }
}

/// Whether two paths name one file, or would.
fn same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    match (whole(one), whole(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
