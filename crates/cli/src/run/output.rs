//! The output file: appended to line by line, whole lines only, by one run at a time.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::lines::{self, Next};
use super::record::{Fingerprint, MOST_LINE_BYTES, fingerprint};
use crate::exit::{Code, Failure};
use crate::policy_check::tell;

/// Every line of ours begins like this, so that the rest of a cut one can be told from somebody else's text.
const START: &[u8] = b"{\"recordId\":";
/// An input, an answer and what joins them.
const MOST_OUTPUT_LINE_BYTES: usize = 4 * MOST_LINE_BYTES;

/// What an earlier run left.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The records that are there, by fingerprint.
    pub(crate) done: HashSet<Fingerprint>,
    /// Of those lines, errors.
    pub(crate) errors: u64,
    /// Bytes of an unfinished last line that were cut off.
    pub(crate) cut: u64,
}

/// The open output file.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    /// The length of the whole lines; `None` for what is no regular file and cannot be cut.
    whole: Option<u64>,
}

impl Output {
    /// Opens the file for appending, locks it and reads what is in it. Nothing is changed unless all of it is ours.
    pub(crate) fn open(path: &Path) -> Result<(Self, Found), Failure> {
        let name = path.display();
        let cannot = |error: &io::Error| cannot_write(path, error);
        let regular = std::fs::metadata(path).map_or(true, |meta| meta.is_file());
        if !regular {
            // A device or a pipe: nothing to resume from and nothing to lock.
            let file = OpenOptions::new().write(true).open(path).map_err(|error| cannot(&error))?;
            return Ok((Self { file, whole: None }, Found::default()));
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(path).map_err(|error| cannot(&error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(Code::ForeignOutput, format!("{name}: another run is writing it"))
                    .remedy("wait for it, or choose another -o"));
            }
            Err(TryLockError::Error(error)) => {
                tell(format!("note: {name}: cannot be locked ({error}); make sure that no other run writes it"));
            }
        }
        let (found, whole, unended) = read(&file, path)?;
        let mut output = Self { file, whole: Some(whole) };
        if found.cut > 0 {
            output.file.set_len(whole).map_err(|error| cannot(&error))?;
        }
        if unended {
            output.append(b"\n").map_err(|error| cannot(&error))?;
        }
        Ok((output, found))
    }

    /// Writes one whole line. If that fails, what got through of it is taken back where that is possible.
    pub(crate) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(line).and_then(|()| self.file.flush());
        match (&written, self.whole) {
            (Ok(()), Some(whole)) => self.whole = Some(whole + line.len() as u64),
            // If even this fails, the next run cuts the line.
            (Err(_), Some(whole)) => drop(self.file.set_len(whole)),
            (_, None) => {}
        }
        written
    }

    /// Asks the system to put everything on the disk, whose answer may be that it has no room.
    pub(crate) fn finish(&self) -> io::Result<()> {
        match self.whole {
            Some(_) => self.file.sync_data(),
            None => Ok(()),
        }
    }
}

/// The failure of a write, in words.
pub(crate) fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room and run the same command again; it goes on where it stopped"
        }
        io::ErrorKind::NotFound => "create the directory first",
        _ => "choose another -o, or mend the file's permissions; then run the same command again",
    };
    Failure::new(Code::CannotWrite, format!("{}: cannot be written: {error}", path.display())).remedy(remedy)
}

/// A line that `run` or Bedrock batch wrote.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'l> {
    #[serde(borrow)]
    record_id: Cow<'l, str>,
    model_output: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

/// Reads all lines; also says how long the whole ones are and whether the last of them lacks its line feed.
fn read(file: &File, path: &Path) -> Result<(Found, u64, bool), Failure> {
    let name = path.display();
    let cannot = |error: io::Error| Failure::new(Code::CannotWrite, format!("{name}: cannot be read: {error}"));
    let mut file = file;
    file.seek(SeekFrom::Start(0)).map_err(cannot)?;
    let mut reader = BufReader::new(file.take(u64::MAX));
    let (mut line, mut at, mut number) = (Vec::new(), 0, 0_u64);
    let mut found = Found::default();
    loop {
        let start = at;
        let next = lines::next(&mut reader, &mut line, MOST_OUTPUT_LINE_BYTES, &mut at).map_err(cannot)?;
        number += 1;
        let parsed = serde_json::from_slice::<Line<'_>>(&line).ok();
        match (next, parsed) {
            (Next::End, _) => return Ok((found, at, false)),
            (Next::Line | Next::Cut, Some(parsed)) if parsed.model_output.is_some() || parsed.error.is_some() => {
                found.done.insert(fingerprint(&parsed.record_id));
                found.errors += u64::from(parsed.error.is_some());
                if next == Next::Cut {
                    return Ok((found, at, true));
                }
            }
            (Next::Cut, None) if line.starts_with(START) || START.starts_with(&line) => {
                found.cut = at - start;
                return Ok((found, start, false));
            }
            _ => {
                let what = format!(
                    "{name}:{number}: not a line that `run` writes (an object with \"recordId\" and \"modelOutput\" or \
                     \"error\"); the file was not touched"
                );
                return Err(Failure::new(Code::ForeignOutput, what).remedy("choose another -o, or move the file away"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file in a directory of its own, which goes with it.
    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("sluicegate-output-{}-{name}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            Self(path)
        }
        fn text(&self) -> String {
            std::fs::read_to_string(&self.0).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    const OURS: &str = "{\"recordId\":\"a\",\"modelInput\":{},\"modelOutput\":{}}\n\
                        {\"recordId\":\"b\",\"modelInput\":{},\"error\":{\"errorCode\":\"x\"}}\n";

    #[test]
    fn whole_lines_count_and_a_cut_one_goes() {
        for cut in ["", "{", "{\"reco", "{\"recordId\":\"c\",\"modelInput\":{\"x\":\"y"] {
            let scratch = Scratch::new("cut", &format!("{OURS}{cut}"));
            let (mut output, found) = Output::open(&scratch.0).unwrap();
            assert_eq!((found.done.len(), found.errors, found.cut), (2, 1, cut.len() as u64));
            output.append(b"{\"recordId\":\"c\",\"modelOutput\":{}}\n").unwrap();
            assert_eq!(scratch.text(), format!("{OURS}{{\"recordId\":\"c\",\"modelOutput\":{{}}}}\n"));
        }
    }

    #[test]
    fn a_whole_last_line_without_its_line_feed_is_kept() {
        let scratch = Scratch::new("unended", OURS.trim_end());
        let (_output, found) = Output::open(&scratch.0).unwrap();
        assert_eq!((found.done.len(), found.cut, scratch.text().as_str()), (2, 0, OURS));
    }

    #[test]
    fn what_is_not_ours_is_named_and_left_alone() {
        for (text, line) in [
            ("my thesis\n", 1),
            ("my thesis", 1),
            ("{\"recordId\":\"a\",\"modelInput\":{}}\n", 1),
            ("{\"recordId\":\"a\",\"modelInput\":{}}", 1),
            ("{\"recordId\":\"a\",\"modelOutput\":null}\n", 1),
            ("{\"recordId\":\"a\",\"modelOutput\":{}}\n\n", 2),
            ("{\"recordId\":\"a\",\"modelOutput\":{}}\n{\"recordId\":\"b\"\n", 2),
        ] {
            let scratch = Scratch::new("foreign", text);
            let failure = Output::open(&scratch.0).unwrap_err();
            assert_eq!(failure.code, Code::ForeignOutput);
            assert!(failure.what.contains(&format!(":{line}: not a line")), "{}", failure.what);
            assert_eq!(scratch.text(), text);
        }
    }

    #[test]
    fn two_runs_cannot_write_one_file() {
        let scratch = Scratch::new("lock", OURS);
        let first = Output::open(&scratch.0).unwrap();
        assert_eq!(Output::open(&scratch.0).unwrap_err().code, Code::ForeignOutput);
        drop(first);
        assert!(Output::open(&scratch.0).is_ok());
    }
}
