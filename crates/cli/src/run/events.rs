//! `--events`: the engine's log, a JSON line for each event, for `sluicegate replay`.

use std::fs::OpenOptions;
use std::io::{LineWriter, Write as _};
use std::path::Path;

use serde_json::json;
use sluicegate::Policy;
use sluicegate_driver::Observer;

use crate::exit::{Code, Failure};
use crate::policy_check::tell;

/// An observer that writes each event and hands it on. The file is appended to; each run begins with a line of its own.
pub(crate) fn observer(path: &Path, policy: &Policy, mut next: Observer) -> Result<Observer, Failure> {
    let name = path.display().to_string();
    let cannot = |error: std::io::Error| Failure::new(Code::CannotWrite, format!("{name}: cannot be written: {error}"));
    let file = OpenOptions::new().append(true).create(true).open(path).map_err(cannot)?;
    // Whole lines, so that the log holds whatever happened when the process is killed.
    let mut file = LineWriter::new(file);
    let tenants: Vec<&str> = policy.tenants().iter().map(|tenant| tenant.name.as_str()).collect();
    let head = json!({
        "log": "sluicegate",
        "version": 1,
        // The gate's own times are since 1970.
        "origin_unix_us": 0,
        "tenants": tenants,
        "models": policy.models(),
    });
    writeln!(file, "{head}").map_err(cannot)?;
    let mut open = Some(file);
    Ok(Box::new(move |now, event| {
        if let Some(file) = &mut open
            && let Err(error) = writeln!(file, "{}", json!({"at_us": now, "event": event}))
        {
            // The answers matter more than the log.
            tell(format!("note: {name}: cannot be written: {error}; no more events are kept"));
            open = None;
        }
        next(now, event);
    }))
}
