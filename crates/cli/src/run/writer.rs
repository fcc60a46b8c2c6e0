//! The one task that writes the output, and the form of its lines.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::output::{Output, cannot_write};
use crate::exit::{Code, Failure};

/// Lines that may wait to be written.
const WAITING_LINES: usize = 64;

/// How a record ended without an answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorObject {
    /// The service's name for the error, else a word of ours.
    pub(crate) error_code: String,
    /// Its text.
    pub(crate) error_message: String,
    /// The endpoint of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    /// Attempts made.
    pub(crate) attempts: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'l> {
    record_id: &'l str,
    model_input: &'l RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_output: Option<&'l RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'l ErrorObject>,
}

/// The line of an answered record: input and answer to the byte, but for line breaks between the answer's tokens.
pub(crate) fn answer_line(record_id: &str, model_input: &str, answer: Vec<u8>) -> Result<Vec<u8>, serde_json::Error> {
    let mut answer = answer;
    // Within a JSON text these stand between tokens only.
    for byte in &mut answer {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    let answer: &RawValue = serde_json::from_slice(&answer)?;
    line(record_id, model_input, Some(answer), None)
}

/// The line of a record that ended in an error.
pub(crate) fn error_line(
    record_id: &str,
    model_input: &str,
    error: &ErrorObject,
) -> Result<Vec<u8>, serde_json::Error> {
    line(record_id, model_input, None, Some(error))
}

fn line(
    record_id: &str,
    model_input: &str,
    model_output: Option<&RawValue>,
    error: Option<&ErrorObject>,
) -> Result<Vec<u8>, serde_json::Error> {
    let model_input: &RawValue = serde_json::from_str(model_input)?;
    let mut line = serde_json::to_vec(&Line { record_id, model_input, model_output, error })?;
    line.push(b'\n');
    Ok(line)
}

/// A writer at work.
#[derive(Debug)]
pub(crate) struct Writer {
    lines: mpsc::Sender<Vec<u8>>,
    /// Turns true at the first line that could not be written.
    pub(crate) failed: watch::Receiver<bool>,
    task: JoinHandle<Written>,
}

/// What became of the lines.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Lines that are in the output.
    pub(crate) lines: u64,
    /// Lines that are not.
    pub(crate) lost: u64,
    /// Why not.
    pub(crate) failure: Option<Failure>,
}

impl Writer {
    /// Starts writing to `output`.
    pub(crate) fn start(output: Output, path: PathBuf) -> Self {
        let (lines, receiver) = mpsc::channel(WAITING_LINES);
        let (fail, failed) = watch::channel(false);
        let task = tokio::task::spawn_blocking(move || write_all(output, path, receiver, &fail));
        Self { lines, failed, task }
    }

    /// Queues a line; waits while too many are queued.
    pub(crate) async fn write(&self, line: Vec<u8>) {
        // A writer that is gone has panicked, which `finish` tells.
        let _ = self.lines.send(line).await;
    }

    /// Waits until every line is written.
    pub(crate) async fn finish(self) -> Written {
        drop(self.lines);
        self.task.await.unwrap_or_else(|error| Written {
            failure: Some(Failure::new(Code::Unexpected, format!("the writer failed: {error}"))),
            ..Written::default()
        })
    }
}

fn write_all(
    mut output: Output,
    path: PathBuf,
    mut lines: mpsc::Receiver<Vec<u8>>,
    fail: &watch::Sender<bool>,
) -> Written {
    let mut written = Written::default();
    // After a failure the later lines are tried all the same: the disk may have room again, and the answers are paid.
    while let Some(line) = lines.blocking_recv() {
        match output.append(&line) {
            Ok(()) => written.lines += 1,
            Err(error) => {
                written.lost += 1;
                written.failure.get_or_insert_with(|| cannot_write(&path, &error));
                fail.send_replace(true);
            }
        }
    }
    if let Err(error) = output.finish() {
        written.failure.get_or_insert_with(|| cannot_write(&path, &error));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: Result<Vec<u8>, serde_json::Error>) -> String {
        String::from_utf8(line.unwrap()).unwrap()
    }

    #[test]
    fn answers_keep_their_bytes_and_fit_one_line() {
        let line = text(answer_line("a\"b", "{\"x\":1.0 }", b"{\n  \"y\": 2.50\r\n}\n".to_vec()));
        assert_eq!(line, "{\"recordId\":\"a\\\"b\",\"modelInput\":{\"x\":1.0 },\"modelOutput\":{   \"y\": 2.50  }}\n");
    }

    #[test]
    fn an_answer_that_is_no_json_is_an_error() {
        assert!(answer_line("a", "{}", b"<html>".to_vec()).is_err());
    }

    #[test]
    fn errors_are_objects() {
        let error = ErrorObject {
            error_code: "ValidationException".to_owned(),
            error_message: "no".to_owned(),
            endpoint: None,
            attempts: 1,
        };
        let line = text(error_line("a", "{}", &error));
        assert!(
            line.contains(
                "\"error\":{\"errorCode\":\"ValidationException\",\"errorMessage\":\"no\",\"attempts\":1}}\n"
            )
        );
    }
}
