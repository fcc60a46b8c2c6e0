//! `--events`: the engine's log, JSON lines for `sluicegate replay`.
//!
//! Its form is that of `sluicegate_sim::log`: a line that begins the run and names tenants and models, then a line for each
//! event, and for each input that says what no event does: submissions say whom a call is for, what it reserves and how
//! much of that is the cap on its answer; reports say how long the answer was. Prompts and answers are not in it.

use std::fs::{File, OpenOptions};
use std::io::{self, LineWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use sluicegate::Policy;
use sluicegate_driver::{Observer, Witness};

use crate::exit::{Code, Failure};
use crate::policy_check::tell;

/// The file, until it can no longer be written.
struct Log {
    name: String,
    file: Option<LineWriter<File>>,
}

impl Log {
    fn write(&mut self, line: &Value) {
        if let Some(file) = &mut self.file
            && let Err(error) = writeln!(file, "{line}")
        {
            // The answers matter more than the log.
            tell(format!("note: {}: cannot be written: {error}; no more events are kept", self.name));
            self.file = None;
        }
    }
}

/// An observer that writes each event and hands it on, and a witness that writes each input. The file is appended to; each
/// run begins with a line of its own.
pub(crate) fn watch(path: &Path, policy: &Policy, mut next: Observer) -> Result<(Observer, Witness), Failure> {
    let name = path.display().to_string();
    let tenants: Vec<&str> = policy.tenants().iter().map(|tenant| tenant.name.as_str()).collect();
    let head = json!({
        "log": "sluicegate",
        "version": 1,
        // The gate's own times are since 1970.
        "origin_unix_us": 0,
        "tenants": tenants,
        "models": policy.models(),
    });
    let file = begin(path, &head).map_err(|error| {
        Failure::new(Code::CannotWrite, format!("{name}: cannot be written: {error}")).remedy("name another --events")
    })?;
    let log = Arc::new(Mutex::new(Log { name, file: Some(file) }));
    let inputs = Arc::clone(&log);
    let observer = Box::new(move |now, event: &_| {
        lock(&log).write(&json!({"at_us": now, "event": event}));
        next(now, event);
    });
    let witness = Box::new(move |now, input: &_| lock(&inputs).write(&json!({"at_us": now, "input": input})));
    Ok((observer, witness))
}

/// Opens the file and writes the line that begins a run.
fn begin(path: &Path, head: &Value) -> io::Result<LineWriter<File>> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    // A run that was killed while it wrote leaves a line without an end, which must not swallow this one.
    let torn = file.metadata()?.len() > 0 && last_byte(path)? != b'\n';
    writeln!(file, "{}{head}", if torn { "\n" } else { "" })?;
    // Whole lines, so that the log holds whatever happened when the process is killed.
    Ok(LineWriter::new(file))
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = File::open(path)?;
    let mut last = [b'\n'];
    // A pipe has no end to look at.
    if file.metadata()?.is_file() {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok(last[0])
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    // A line is written whole or not at all.
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_begins_on_a_line_of_its_own() {
        let path = std::env::temp_dir().join(format!("sluicegate-events-{}", std::process::id()));
        for (before, after) in [("", "1\n"), ("a\n", "a\n1\n"), ("{\"torn", "{\"torn\n1\n")] {
            std::fs::write(&path, before).unwrap();
            drop(begin(&path, &json!(1)).unwrap());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
        std::fs::remove_file(&path).unwrap();
    }
}
