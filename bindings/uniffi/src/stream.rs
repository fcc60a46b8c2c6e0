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

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub(crate) struct StreamEvent {
    /// Its name, such as `contentBlockDelta` or `chunk`.
    pub(crate) name: String,
    /// What it carries, as JSON; of a chunk, the model's own bytes.
    pub(crate) payload: Vec<u8>,
}

/// An error that came within a stream.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub(crate) struct StreamFault {
    /// The service's name for it; nothing where the bytes are no such stream.
    pub(crate) code: Option<String>,
    /// Its text.
    pub(crate) text: Option<String>,
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

    /// Takes in bytes of `application/vnd.amazon.eventstream`, cut anywhere, and gives the events that are whole by now. After
    /// an `error` there are none.
    pub(crate) fn take_bytes(&self, bytes: Vec<u8>) -> Vec<StreamEvent> {
        let mut guard = lock(&self.0);
        let watch = &mut *guard;
        watch.frames.push(&bytes);
        let mut events = Vec::new();
        while watch.error.is_none() {
            match watch.frames.next_frame() {
                Ok(Some(frame)) if frame.is_error => {
                    let text = frame.message();
                    watch.error = Some(StreamFault { code: Some(frame.name), text });
                }
                Ok(Some(frame)) => {
                    watch.so_far.take_in(&frame.note(watch.operation));
                    let chunk = match watch.operation {
                        sluicegate_bedrock::Operation::Converse => None,
                        sluicegate_bedrock::Operation::InvokeModel => frame.chunk(),
                    };
                    events.push(StreamEvent { payload: chunk.unwrap_or(frame.payload), name: frame.name });
                }
                Ok(None) => break,
                Err(error) => watch.error = Some(StreamFault { code: None, text: Some(error.to_string()) }),
            }
        }
        events
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
