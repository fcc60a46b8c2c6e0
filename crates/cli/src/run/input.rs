//! The second pass over the input: a thread that hands out the records to send, no faster than they are taken.

use std::collections::HashSet;
use std::io::BufReader;
use std::sync::Arc;

use sluicegate_bedrock::aws_sdk::JsonOperation;
use tokio::sync::mpsc;

use super::Context;
use super::lines::{self, Next};
use super::record::{Fingerprint, MOST_LINE_BYTES, fingerprint};
use super::scan;
use crate::exit::{Code, Failure};

/// Records that are read ahead.
const READ_AHEAD: usize = 8;

/// A record on its way.
#[derive(Debug)]
pub(crate) struct Job {
    /// Its line in the input.
    pub(crate) line: u64,
    /// Joins input and output.
    pub(crate) record_id: String,
    /// As written.
    pub(crate) model_input: String,
    /// The model to ask for.
    pub(crate) model: String,
    /// Which API it is for.
    pub(crate) operation: JsonOperation,
}

/// Starts reading the records of `todo`. The thread ends with the input, or when the receiver is gone.
pub(crate) fn start(context: &Arc<Context>, todo: HashSet<Fingerprint>) -> mpsc::Receiver<Result<Job, Failure>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    let context = Arc::clone(context);
    std::thread::spawn(move || {
        if let Err(failure) = read(&context, todo, &sender) {
            // A receiver that is gone has stopped the run for another reason.
            let _ = sender.blocking_send(Err(failure));
        }
    });
    receiver
}

fn read(
    context: &Context,
    mut todo: HashSet<Fingerprint>,
    sender: &mpsc::Sender<Result<Job, Failure>>,
) -> Result<(), Failure> {
    let path = &context.input;
    let reading = context.reading();
    let mut file = BufReader::with_capacity(1 << 16, scan::open(path)?);
    let (mut line, mut read, mut number) = (Vec::new(), 0, 0_u64);
    while !todo.is_empty() {
        let next = lines::next(&mut file, &mut line, MOST_LINE_BYTES, &mut read)
            .map_err(|error| Failure::new(Code::Usage, format!("{}: cannot be read: {error}", path.display())))?;
        number += 1;
        match next {
            Next::End => break,
            Next::TooLong => continue,
            Next::Line | Next::Cut => {}
        }
        // The first pass has told what is wrong with the others.
        let Ok(Some(record)) = reading.record(&line) else { continue };
        if !todo.remove(&fingerprint(&record.record_id)) {
            continue;
        }
        let job = Job {
            line: number,
            record_id: record.record_id.into_owned(),
            model_input: record.model_input.get().to_owned(),
            model: record.model.into_owned(),
            operation: record.operation,
        };
        if sender.blocking_send(Ok(job)).is_err() {
            return Ok(());
        }
    }
    if todo.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Code::Usage,
        format!("{}: changed while it was read; {} records are gone", path.display(), todo.len()),
    )
    .remedy("run the same command again"))
}
