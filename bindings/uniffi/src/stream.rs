//! What is known of a stream from what came so far.

use std::sync::Mutex;

use sluicegate_bedrock::{FrameReader, StreamNote, StreamSoFar};

use crate::appraiser::Operation;
use crate::pieces::lock;

/// Reads a stream in passing. Hold its events back until part of the answer has come: up to then the attempt can be repeated
/// unnoticed.
#[derive(uniffi::Object)]
pub(crate) struct StreamWatch(Mutex<Watch>);

struct Watch {
    operation: sluicegate_bedrock::Operation,
    so_far: StreamSoFar,
    frames: FrameReader,
    error: Option<StreamFault>,
}

/// An error that came within a stream.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub(crate) struct StreamFault {
    /// The service's name for it.
    code: String,
    /// Its text.
    text: Option<String>,
}

impl StreamWatch {
    pub(crate) fn so_far(&self) -> StreamSoFar {
        lock(&self.0).so_far
    }
}

#[uniffi::export]
impl StreamWatch {
    /// A stream of which nothing has come.
    #[uniffi::constructor]
    pub(crate) fn new(operation: Operation) -> Self {
        let (so_far, frames, error) = Default::default();
        Self(Mutex::new(Watch { operation: operation.into(), so_far, frames, error }))
    }

    /// Takes in an event as JSON: an object with one field, named as the event is. Of ConverseStream only the value of
    /// `metadata` matters.
    pub(crate) fn take_event(&self, event: &str) {
        let mut watch = lock(&self.0);
        let event = serde_json::from_str(event).unwrap_or_default();
        let note = StreamNote::of_event(&event, watch.operation);
        watch.so_far.take_in(&note);
    }

    /// Takes in the bytes of a chunk of InvokeModelWithResponseStream.
    pub(crate) fn take_chunk(&self, bytes: Vec<u8>) {
        lock(&self.0).so_far.take_in(&StreamNote::of_chunk(&bytes));
    }

    /// Takes in bytes of `application/vnd.amazon.eventstream`. Bytes of another kind count as part of the answer.
    pub(crate) fn take_bytes(&self, bytes: Vec<u8>) {
        let mut watch = lock(&self.0);
        watch.frames.push(&bytes);
        loop {
            match watch.frames.next_frame() {
                Ok(Some(frame)) if frame.is_error => {
                    let text = frame.message();
                    watch.error.get_or_insert(StreamFault { code: frame.name, text });
                }
                Ok(Some(frame)) => {
                    let note = frame.note(watch.operation);
                    watch.so_far.take_in(&note);
                }
                Ok(None) => return,
                Err(_) => {
                    watch.so_far.delivers = true;
                    return;
                }
            }
        }
    }

    /// Part of the answer has come.
    pub(crate) fn delivers(&self) -> bool {
        lock(&self.0).so_far.delivers
    }

    /// The answer is complete.
    pub(crate) fn completes(&self) -> bool {
        lock(&self.0).so_far.completes
    }

    /// The error that came within the bytes.
    pub(crate) fn error(&self) -> Option<StreamFault> {
        lock(&self.0).error.clone()
    }
}
