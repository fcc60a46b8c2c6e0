//! The first pass over the input: which lines are good, which are still to do.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::lines::{self, Next};
use super::notes::Notes;
use super::record::{Fingerprint, MOST_LINE_BYTES, Reading, fingerprint};
use crate::exit::{Code, Failure};
use crate::policy_check::tell;

/// What the input holds.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// The records to send, by fingerprint.
    pub(crate) todo: HashSet<Fingerprint>,
    /// Records that are in the output already.
    pub(crate) skipped: u64,
    /// Records that are in the output and not in this input.
    pub(crate) strangers: u64,
    /// Lines that cannot be sent.
    pub(crate) faulty: u64,
}

/// Opens the input, which is read twice and so has to be a file.
pub(crate) fn open(path: &Path) -> Result<File, Failure> {
    let name = path.display();
    let cannot = |why: String| Failure::new(Code::Usage, format!("{name}: cannot be read: {why}"));
    let file = File::open(path).map_err(|error| cannot(error.to_string()))?;
    match file.metadata() {
        Ok(meta) if meta.is_file() => Ok(file),
        _ => Err(cannot("it is no regular file".to_owned())
            .remedy("the input is read twice, so it cannot be a pipe; save it to a file first")),
    }
}

/// Reads the input once; prints what is wrong with which line.
pub(crate) fn scan(path: &Path, reading: &Reading<'_>, done: HashSet<Fingerprint>) -> Result<Scanned, Failure> {
    let mut file = BufReader::with_capacity(1 << 16, open(path)?);
    let (mut line, mut read, mut number) = (Vec::new(), 0, 0_u64);
    let mut scanned = Scanned::default();
    let mut faults = Notes::new("faulty lines");
    // Records of the output move from here to `repeated` when the input has them.
    let (mut done, mut repeated) = (done, HashSet::new());
    loop {
        let next = lines::next(&mut file, &mut line, MOST_LINE_BYTES, &mut read)
            .map_err(|error| Failure::new(Code::Usage, format!("{}: cannot be read: {error}", path.display())))?;
        number += 1;
        let fault = match next {
            Next::End => break,
            Next::TooLong => format!("longer than {} MiB; Bedrock takes no such body", MOST_LINE_BYTES >> 20),
            Next::Line | Next::Cut => match reading.record(&line) {
                Ok(None) => continue,
                Err(fault) => fault,
                Ok(Some(record)) => {
                    let fingerprint = fingerprint(&record.record_id);
                    let first = if done.remove(&fingerprint) {
                        scanned.skipped += 1;
                        repeated.insert(fingerprint)
                    } else {
                        !repeated.contains(&fingerprint) && scanned.todo.insert(fingerprint)
                    };
                    if first {
                        continue;
                    }
                    format!("recordId \"{}\" was on an earlier line; give each record one of its own", record.record_id)
                }
            },
        };
        faults.add(&path.display(), number, &fault, tell);
    }
    scanned.faulty = faults.seen();
    scanned.strangers = done.len() as u64;
    Ok(scanned)
}
