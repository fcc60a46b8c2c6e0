//! Event streams: frames, and a body that lets each out at its time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::base64;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use hyper::body::{Body, Frame};
use serde_json::{Value, json};
use sluicegate::Timestamp;
use sluicegate_sim::ErrorKind;
use tokio::time::Sleep;

use crate::answer::Content;
use crate::clock::Clock;
use crate::error::details;
use crate::prompt::Dialect;
use crate::state::Flight;

/// Tokens in one delta.
const DELTA_TOKENS: u64 = 8;

/// A body of frames, each with its time. When the last is out the attempt is finished; if the client goes away before,
/// it is abandoned.
pub(crate) struct Paced {
    frames: VecDeque<(Timestamp, Bytes)>,
    clock: Clock,
    timer: Option<Pin<Box<Sleep>>>,
    flight: Flight,
}

impl Paced {
    pub(crate) fn new(content: &Content, flight: Flight, clock: Clock) -> Self {
        let mut frames = VecDeque::new();
        let mut event = |at, (name, payload): (&str, Value)| {
            let payload = match content.dialect {
                Dialect::Converse => payload,
                Dialect::Anthropic | Dialect::Nova => json!({"bytes": base64::encode(payload.to_string())}),
            };
            frames.push_back((at, frame("event", ":event-type", name, &payload)));
        };
        let accepted = &flight.accepted;
        let out = accepted.stream_error.map_or(accepted.output_tokens, |error| error.after_output_tokens);
        // The opening goes out with the first token, and not at all if the stream breaks before that.
        if out > 0 || accepted.stream_error.is_none() {
            for opening in content.opening() {
                event(accepted.first_token_at, opening);
            }
        }
        let mut from = 0;
        while from < out {
            let to = (from + DELTA_TOKENS).min(out);
            event(accepted.token_at(to), content.delta(from, to));
            from = to;
        }
        match accepted.stream_error {
            None => {
                for closing in content.closing() {
                    event(accepted.finish_at, closing);
                }
            }
            Some(error) => {
                let name = exception(error.error, content.dialect);
                let payload = details(error.error, &content.model);
                frames.push_back((error.at, frame("exception", ":exception-type", name, &payload)));
            }
        }
        Self { frames, clock, timer: None, flight }
    }
}

/// ConverseStream has no time-out event; there it travels as a model stream error.
const fn exception(error: ErrorKind, dialect: Dialect) -> &'static str {
    match (error, dialect) {
        (ErrorKind::ModelTimeout, Dialect::Converse) => "modelStreamErrorException",
        _ => error.stream_exception(),
    }
}

fn frame(kind: &'static str, name_header: &'static str, name: &str, payload: &Value) -> Bytes {
    let text = |text: &str| HeaderValue::String(text.to_owned().into());
    let message = Message::new(Bytes::from(payload.to_string()))
        .add_header(Header::new(":message-type", text(kind)))
        .add_header(Header::new(name_header, text(name)))
        .add_header(Header::new(":content-type", text("application/json")));
    let mut buffer = Vec::new();
    // Fails only for headers or payloads of many megabytes, which are not made here; an empty frame ends the stream.
    match write_message_to(&message, &mut buffer) {
        Ok(()) => buffer.into(),
        Err(_) => Bytes::new(),
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let Some((at, _)) = this.frames.front() else {
            this.flight.finish();
            return Poll::Ready(None);
        };
        let due = this.clock.instant(*at);
        let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let frame = this.frames.pop_front();
        if this.frames.is_empty() {
            // The client may hang up as soon as it has the last frame.
            this.flight.finish();
        }
        Poll::Ready(frame.map(|(_, bytes)| Ok(Frame::data(bytes))))
    }
}
