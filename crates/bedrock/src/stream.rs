//! What the events of a stream mean to whoever is waiting for an answer.

use serde_json::Value;

use crate::{Operation, Usage, usage_from_body};

/// What one event of a stream means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamNote {
    /// It carries part of the answer: what came before could still be repeated, this cannot.
    pub delivers: bool,
    /// The answer is complete; only bookkeeping may follow.
    pub completes: bool,
    /// What the attempt has used so far.
    pub usage: Option<Usage>,
}

impl StreamNote {
    /// Reads an event as SDKs hand it out: an object with one field, named as the event is. The chunk of an
    /// InvokeModelWithResponseStream is to be decoded first: see [`StreamNote::of_chunk`].
    ///
    /// ```
    /// use serde_json::json;
    /// use sluicegate_bedrock::{Operation, StreamNote};
    ///
    /// let opening = StreamNote::of_event(&json!({ "messageStart": { "role": "assistant" } }), Operation::Converse);
    /// let word = StreamNote::of_event(&json!({ "contentBlockDelta": { "delta": { "text": "Hi" } } }), Operation::Converse);
    /// assert!(!opening.delivers && word.delivers && !word.completes);
    /// ```
    #[must_use]
    pub fn of_event(event: &Value, operation: Operation) -> Self {
        match operation {
            Operation::Converse => {
                let has = |name: &str| event.get(name).is_some();
                let completes = has("messageStop") || has("metadata");
                Self { delivers: completes || has("contentBlockDelta"), completes, usage: usage_from_body(event) }
            }
            Operation::InvokeModel => {
                // Anthropic's and Nova's streams begin with events that carry no part of the answer.
                let kind = event.get("type").and_then(Value::as_str);
                let opening = matches!(kind, Some("message_start" | "content_block_start" | "ping"))
                    || event.get("messageStart").is_some()
                    || event.get("contentBlockStart").is_some();
                let completes = event.get("amazon-bedrock-invocationMetrics").is_some();
                Self { delivers: !opening, completes, usage: usage_from_body(event) }
            }
        }
    }

    /// Reads the bytes of a chunk of InvokeModelWithResponseStream, decoded from base64. What is no JSON is taken for part of
    /// the answer.
    #[must_use]
    pub fn of_chunk(bytes: &[u8]) -> Self {
        match serde_json::from_slice(bytes) {
            Ok(event) => Self::of_event(&event, Operation::InvokeModel),
            Err(_) => Self { delivers: true, ..Self::default() },
        }
    }
}

/// What is known of a stream from the events that came so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamSoFar {
    /// Part of the answer has come: hold events back until then, and the attempt can be repeated unnoticed.
    pub delivers: bool,
    /// The answer is complete.
    pub completes: bool,
    /// What the attempt has used.
    pub usage: Option<Usage>,
}

impl StreamSoFar {
    /// Takes in the next event.
    pub fn take_in(&mut self, note: &StreamNote) {
        self.delivers |= note.delivers;
        self.completes |= note.completes;
        self.usage = match (self.usage, note.usage) {
            (Some(before), Some(now)) => Some(before.max(now)),
            (before, now) => before.or(now),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn converse(event: &Value) -> StreamNote {
        StreamNote::of_event(event, Operation::Converse)
    }

    #[test]
    fn only_events_with_part_of_the_answer_deliver() {
        let quiet = json!([{ "messageStart": {} }, { "contentBlockStart": {} }, { "contentBlockStop": {} }, {}]);
        for event in quiet.as_array().into_iter().flatten() {
            assert_eq!(converse(event), StreamNote::default(), "{event}");
        }
        let stop = converse(&json!({ "messageStop": { "stopReason": "end_turn" } }));
        assert!(stop.delivers && stop.completes);
        for opening in ["message_start", "content_block_start", "ping"] {
            assert!(!StreamNote::of_event(&json!({ "type": opening }), Operation::InvokeModel).delivers);
        }
        assert!(StreamNote::of_chunk(b"not json").delivers);
        assert!(StreamNote::of_chunk(br#"{"type": "content_block_delta"}"#).delivers);
    }

    #[test]
    fn usage_grows_with_the_events() {
        let mut so_far = StreamSoFar::default();
        so_far.take_in(&StreamNote::of_chunk(
            br#"{"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}"#,
        ));
        assert!(!so_far.delivers && !so_far.completes);
        so_far.take_in(&StreamNote::of_chunk(br#"{"type":"message_delta","usage":{"output_tokens":40}}"#));
        assert_eq!(so_far.usage, Some(Usage { input: 9, output: 40, ..Usage::default() }));
        let metadata = json!({ "metadata": { "usage": { "inputTokens": 3, "outputTokens": 5 } } });
        assert_eq!(converse(&metadata).usage, Some(Usage { input: 3, output: 5, ..Usage::default() }));
    }
}
