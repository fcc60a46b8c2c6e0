//! The frames of `application/vnd.amazon.eventstream`, for clients that see bytes and not an SDK's events.
//!
//! Layout, all numbers big-endian: total length (4 bytes), length of the headers (4), checksum of these eight (4), headers,
//! payload, checksum of all before (4). A header: length of its name (1), name, type (1), value. Source:
//! <https://smithy.io/2.0/aws/amazon-eventstream.html>. Checksums are left to whoever reads the stream for good: here an
//! event is only looked at in passing.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::{Failure, Operation, StreamNote};

/// The longest frame that is read, in bytes: what the format allows.
pub const MAX_FRAME_BYTES: usize = 24 * 1024 * 1024;

/// Total length, length of the headers, checksum of the two.
const PRELUDE: usize = 12;

/// The checksum at the end.
const TRAILER: usize = 4;

/// What comes is not such a stream. Nothing more can be read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameError;

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "these bytes are no frames of application/vnd.amazon.eventstream")
    }
}

impl core::error::Error for FrameError {}

/// One message of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The name of the event, such as `contentBlockDelta` or `chunk`; for an error its name, such as `throttlingException`.
    pub name: String,
    /// Whether it is an error.
    pub is_error: bool,
    /// The text of an error that came in a header.
    pub error_message: Option<String>,
    /// What it carries, mostly JSON.
    pub payload: Vec<u8>,
}

impl Frame {
    /// What the frame means; for an error, nothing that [`Frame::error`] does not say better.
    #[must_use]
    pub fn note(&self, operation: Operation) -> StreamNote {
        if self.is_error {
            return StreamNote::default();
        }
        match operation {
            Operation::Converse => {
                let payload: Value = serde_json::from_slice(&self.payload).unwrap_or_default();
                let mut event = Map::new();
                event.insert(self.name.clone(), payload);
                StreamNote::of_event(&Value::Object(event), operation)
            }
            Operation::InvokeModel => StreamNote::of_chunk(&self.chunk().unwrap_or_default()),
        }
    }

    /// The model's own bytes in a chunk of InvokeModelWithResponseStream; `None` where it carries none.
    #[must_use]
    pub fn chunk(&self) -> Option<Vec<u8>> {
        let payload: Value = serde_json::from_slice(&self.payload).ok()?;
        STANDARD.decode(payload.get("bytes")?.as_str()?).ok()
    }

    /// The error's text, from its header or its payload.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        let payload = || -> Option<String> {
            let value: Value = serde_json::from_slice(&self.payload).ok()?;
            value.get("message").or_else(|| value.get("Message"))?.as_str().map(str::to_owned)
        };
        self.error_message.clone().or_else(payload)
    }

    /// What [`classify`](crate::classify) reads; `message` is [`Frame::message`], `delivered` whether anything of the stream was
    /// handed to the caller.
    #[must_use]
    pub fn error<'f>(&'f self, message: Option<&'f str>, delivered: bool) -> Failure<'f> {
        Failure { code: Some(&self.name), message, in_stream: true, delivered, ..Failure::default() }
    }
}

/// Cuts a stream of bytes into frames.
///
/// ```
/// use sluicegate_bedrock::{FrameError, FrameReader};
///
/// let mut reader = FrameReader::default();
/// reader.push(&[0, 0, 0, 16]); // a frame of 16 bytes without headers or payload, in two pieces
/// assert_eq!(reader.next_frame(), Ok(None));
/// reader.push(&[0; 12]);
/// assert!(matches!(reader.next_frame(), Ok(Some(frame)) if frame.payload.is_empty()));
/// reader.push(b"HTTP/1.1 200 OK\r\n");
/// assert_eq!(reader.next_frame(), Err(FrameError));
/// ```
#[derive(Clone, Debug, Default)]
pub struct FrameReader {
    bytes: Vec<u8>,
    broken: bool,
}

impl FrameReader {
    /// Takes in what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.broken {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// The next whole frame; `None` until more has come.
    ///
    /// # Errors
    /// What came are no frames, or one is longer than [`MAX_FRAME_BYTES`].
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.broken {
            return Err(FrameError);
        }
        let Some(length) = number(&self.bytes, 0) else { return Ok(None) };
        if !(PRELUDE + TRAILER..=MAX_FRAME_BYTES).contains(&length) {
            return Err(self.give_up());
        }
        let Some(whole) = self.bytes.get(..length) else { return Ok(None) };
        let Some(frame) = read(whole) else { return Err(self.give_up()) };
        self.bytes.drain(..length);
        Ok(Some(frame))
    }

    fn give_up(&mut self) -> FrameError {
        self.broken = true;
        self.bytes = Vec::new();
        FrameError
    }
}

/// Four bytes as a number.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(four)).ok()
}

/// Reads one whole frame.
fn read(whole: &[u8]) -> Option<Frame> {
    let length = number(whole, 4)?;
    let body = whole.get(PRELUDE..whole.len() - TRAILER)?;
    let mut headers = body.get(..length)?;
    let mut frame = Frame { payload: body.get(length..)?.to_vec(), ..Frame::default() };
    while let Some((&name_length, rest)) = headers.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(name_length))?;
        let (&kind, rest) = rest.split_first()?;
        let (value, rest) = value(kind, rest)?;
        headers = rest;
        let text = || core::str::from_utf8(value).map(str::to_owned).ok();
        match name {
            b":event-type" => frame.name = text()?,
            b":exception-type" | b":error-code" => {
                frame.name = text()?;
                frame.is_error = true;
            }
            b":error-message" => frame.error_message = text(),
            _ => {}
        }
    }
    Some(frame)
}

/// The bytes of a header's value and what follows.
fn value(kind: u8, rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let fixed = match kind {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        6 | 7 => {
            let (length, rest) = rest.split_at_checked(2)?;
            return rest.split_at_checked(usize::from(u16::from_be_bytes(length.try_into().ok()?)));
        }
        _ => return None,
    };
    rest.split_at_checked(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut block = vec![];
        for (name, value) in headers {
            block.push(u8::try_from(name.len()).unwrap_or(0));
            block.extend_from_slice(name.as_bytes());
            block.push(7);
            block.extend_from_slice(&u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
            block.extend_from_slice(value.as_bytes());
        }
        let total = PRELUDE + block.len() + payload.len() + TRAILER;
        let mut bytes = u32::try_from(total).unwrap_or(0).to_be_bytes().to_vec();
        bytes.extend_from_slice(&u32::try_from(block.len()).unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&block);
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(&[0; 4]);
        bytes
    }

    #[test]
    fn frames_come_out_however_the_bytes_are_cut() {
        let mut bytes = frame(&[(":message-type", "event"), (":event-type", "contentBlockDelta")], b"{}");
        bytes.extend(frame(&[(":event-type", "metadata")], br#"{"usage":{"inputTokens":3,"outputTokens":5}}"#));
        for size in [1, 7, bytes.len()] {
            let mut reader = FrameReader::default();
            let mut notes = vec![];
            for piece in bytes.chunks(size) {
                reader.push(piece);
                while let Ok(Some(frame)) = reader.next_frame() {
                    notes.push(frame.note(Operation::Converse));
                }
            }
            let [delta, metadata] = notes[..] else { unreachable!("{notes:?}") };
            assert!(delta.delivers && !delta.completes && metadata.completes);
            assert_eq!(metadata.usage.map(|usage| usage.output), Some(5));
        }
    }

    #[test]
    fn a_chunk_is_decoded_and_an_error_keeps_its_name() {
        let mut reader = FrameReader::default();
        let chunk = STANDARD.encode(br#"{"type":"message_start"}"#);
        reader.push(&frame(&[(":event-type", "chunk")], alloc::format!("{{\"bytes\":\"{chunk}\"}}").as_bytes()));
        let opening = reader.next_frame().ok().flatten().map(|frame| frame.note(Operation::InvokeModel));
        assert_eq!(opening, Some(StreamNote::default()));
        reader.push(&frame(&[(":exception-type", "throttlingException")], br#"{"message":"Too many tokens"}"#));
        let Ok(Some(error)) = reader.next_frame() else { unreachable!() };
        assert!(error.is_error);
        let message = error.message();
        let verdict = crate::classify(&error.error(message.as_deref(), false));
        assert_eq!(verdict.class, sluicegate::OutcomeClass::Throttled(sluicegate::Quota::Tokens));
    }

    #[test]
    fn what_is_no_frame_is_said_and_nothing_more_is_kept() {
        for bytes in [&[0xff; 16][..], &[0, 0, 0, 15, 0, 0, 0, 0], &[0, 0, 0, 16, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]] {
            let mut reader = FrameReader::default();
            reader.push(bytes);
            assert_eq!(reader.next_frame(), Err(FrameError));
            reader.push(&[0; 100]);
            assert_eq!((reader.next_frame(), reader.bytes.len()), (Err(FrameError), 0));
        }
    }
}
