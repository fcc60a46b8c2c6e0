//! What a log says of each call, whichever log it is.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::{bedrock_log, engine_log};
use crate::exit::{Code, Failure};

/// A log at most, in bytes.
const MOST_BYTES: u64 = 4 << 30;
/// Faulty lines that are shown.
const SHOWN: usize = 20;

/// A call as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logged {
    /// When it was made, in microseconds: since 1970 if the log says, else since its own start.
    pub(crate) at_us: u64,
    /// Whom it was made for.
    pub(crate) tenant: String,
    /// The model it asked for.
    pub(crate) model: Option<String>,
    /// Its size; absent if it never went out.
    pub(crate) size: Option<Size>,
    /// Whether it was answered.
    pub(crate) answered: bool,
    /// Its attempts.
    pub(crate) attempts: u64,
    /// Of those, refused for quota or capacity.
    pub(crate) refused: u64,
    /// How long the attempt that was answered took, in microseconds.
    pub(crate) took_us: Option<u64>,
    /// How long after it was made its answer was due, in microseconds.
    pub(crate) deadline_us: Option<u64>,
}

/// What is known of a call's size, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Counts of prompt and answer, and the cap on it.
    Counted { input: u64, output: u64, max_tokens: Option<u64> },
    /// What was reserved and what it settled at, with the cap that is part of the first.
    Charged { reserved: u64, settled: u64, max_tokens: Option<u64> },
}

/// A whole log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// The calls in the order of their times.
    pub(crate) calls: Vec<Logged>,
    /// Whether times are since 1970.
    pub(crate) dated: bool,
    /// What was left out, and how often.
    pub(crate) left_out: BTreeMap<String, u64>,
}

/// Reads a log of either kind.
pub(crate) fn read(path: &Path) -> Result<Log, Failure> {
    let name = path.display().to_string();
    let cannot = |why: String| Failure::new(Code::Usage, format!("{name}: cannot be read: {why}"));
    let size = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
    if size > MOST_BYTES {
        return Err(cannot(format!("{size} bytes are too many")).remedy("cut the log by time"));
    }
    let bytes = std::fs::read(path).map_err(|error| cannot(error.to_string()))?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(cannot("it is compressed".to_owned()).remedy("unpack it with gunzip"));
    }
    let text = String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8 text".to_owned()))?;
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

/// The log, or its faulty lines.
fn parse(text: &str) -> Result<Log, Vec<(usize, String)>> {
    let (mut faults, mut values) = (Vec::new(), Vec::new());
    // What `aws logs filter-log-events` prints is one document.
    if let Ok(Value::Object(mut whole)) = serde_json::from_str::<Value>(text)
        && let Some(Value::Array(events)) = whole.remove("events")
    {
        values.extend(events.into_iter().map(|event| (1, event)));
    } else {
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            match serde_json::from_str::<Value>(line) {
                Ok(value @ Value::Object(_)) => values.push((number, value)),
                Ok(_) => faults.push((number, "not a JSON object".to_owned())),
                Err(error) => faults.push((number, format!("not JSON: {error}"))),
            }
        }
    }
    let engine = values.iter().any(|(_, value)| value.get("at_us").is_some() || value.get("log").is_some());
    let read = if engine { engine_log::read } else { bedrock_log::read };
    let mut log = read(values, &mut faults);
    if faults.is_empty() && log.calls.is_empty() {
        faults.push((1, "the log holds no calls".to_owned()));
    }
    if !faults.is_empty() {
        faults.sort_by_key(|(line, _)| *line);
        return Err(faults);
    }
    log.calls.sort_by_key(|call| call.at_us);
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faulty_lines_are_all_named() {
        let text = "{\"at_us\": 5}\nx\n\n[1]\n{\"at_us\": -1, \"event\": {}}\n";
        let lines: Vec<usize> = parse(text).unwrap_err().iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 4, 5]);
        assert_eq!(parse("").unwrap_err(), [(1, "the log holds no calls".to_owned())]);
    }
}
