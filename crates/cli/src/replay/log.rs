//! A log as a file.

use std::path::Path;

use sluicegate_sim::log::{Log, parse};

use crate::exit::{Code, Failure};

/// A log at most, in bytes.
const MOST_BYTES: u64 = 4 << 30;
/// Faulty lines that are shown.
const SHOWN: usize = 20;

/// Reads a log of either kind.
pub(crate) fn read(path: &Path) -> Result<Log, Failure> {
    let name = path.display().to_string();
    let cannot = |why: String| Failure::new(Code::Usage, format!("{name}: cannot be read: {why}"));
    let size = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
    if size > MOST_BYTES {
        return Err(cannot(format!("{size} bytes are too many")).remedy("cut the log by time"));
    }
    let bytes = std::fs::read(path).map_err(|error| cannot(error.to_string()))?;
    for (magic, tool) in [(&b"\x1f\x8b"[..], "gunzip"), (b"PK\x03\x04", "unzip"), (b"\x28\xb5\x2f\xfd", "unzstd")] {
        if bytes.starts_with(magic) {
            return Err(cannot("it is compressed".to_owned()).remedy(format!("unpack it with {tool}: {tool} {name}")));
        }
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        Failure::new(Code::Plan, format!("{name}:{line}: not UTF-8 text; nothing was run"))
            .remedy("`sluicegate replay --help` says which logs can be read")
    })?;
    parse(&text).map_err(|faults| {
        let count = faults.len();
        let mut lines: Vec<String> =
            faults.iter().take(SHOWN).map(|(line, what)| format!("{name}:{line}: {what}")).collect();
        if count > SHOWN {
            lines.push(format!("... and {} more", count - SHOWN));
        }
        let plural = if count == 1 { "" } else { "s" };
        Failure::new(Code::Plan, format!("the log has {count} fault{plural}; nothing was run\n{}", lines.join("\n")))
            .remedy("`sluicegate replay --help` says which logs can be read")
    })
}
