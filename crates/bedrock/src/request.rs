//! The size of a request, read off its JSON body without a tokenizer.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use crate::RequestShape;
use crate::shape::DOCUMENT_BYTES_PER_PAGE;

/// Pages of a document whose size is not in the request, such as one in S3. A guess.
const UNSEEN_DOCUMENT_PAGES: u32 = 10;

/// Which API a body is for. The streaming twin of each has the same body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Converse and ConverseStream.
    Converse,
    /// InvokeModel and InvokeModelWithResponseStream, in any vendor's format.
    InvokeModel,
}

/// Reads the shape of a request off its body.
///
/// Understands Converse, and of the InvokeModel formats those of Anthropic, Amazon Nova and Titan, Meta, Mistral, Cohere,
/// AI21 and OpenAI; in any other format all text counts. A body of another type than an object has no size. Blobs are not
/// decoded. Never fails: what is not understood is not counted.
///
/// Sources: the request schemas under <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html> and
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.
///
/// ```
/// use sluicegate_bedrock::{Operation, estimate_request};
/// use serde_json::json;
///
/// let body = json!({ "anthropic_version": "bedrock-2023-05-31", "max_tokens": 300,
///     "messages": [{ "role": "user", "content": [
///         { "type": "text", "text": "What is in this picture?" },
///         { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo=" } }
///     ] }] });
/// let shape = estimate_request(&body, Operation::InvokeModel);
/// assert_eq!((shape.text_bytes, shape.images, shape.max_tokens), (24, 1, Some(300)));
/// ```
#[must_use]
pub fn estimate_request(body: &Value, operation: Operation) -> RequestShape {
    let mut walk = Walk { shape: RequestShape::default(), open: Vec::new() };
    let Some(fields) = body.as_object() else { return walk.shape };
    for (key, value) in fields {
        let counts = match operation {
            Operation::Converse => CONVERSE_TEXT.contains(&key.as_str()),
            Operation::InvokeModel => !INVOKE_SETTINGS.contains(&key.as_str()),
        };
        match value {
            Value::Array(images) if counts && key == "images" => {
                walk.shape.images = walk.shape.images.saturating_add(count(images.len()));
            }
            _ if counts => walk.open.push((value, Kind::Prose)),
            _ => {}
        }
    }
    walk.run();
    walk.shape.max_tokens = max_tokens(body, operation);
    walk.shape
}

/// The parts of a Converse request that become the prompt.
const CONVERSE_TEXT: &[&str] = &["messages", "system", "toolConfig", "promptVariables"];

/// The parts of InvokeModel bodies that do not.
const INVOKE_SETTINGS: &[&str] = &[
    "anthropic_beta",
    "anthropic_version",
    "inferenceConfig",
    "metadata",
    "model",
    "modelId",
    "response_format",
    "schemaVersion",
    "stop",
    "stop_sequences",
    "textGenerationConfig",
    "thinking",
    "tool_choice",
];

/// Where each format keeps its maximum of output tokens.
pub(crate) const INVOKE_MAX_TOKENS: &[&str] = &[
    "/max_tokens",
    "/max_completion_tokens",
    "/inferenceConfig/maxTokens",
    "/inferenceConfig/max_new_tokens",
    "/max_gen_len",
    "/textGenerationConfig/maxTokenCount",
    "/max_tokens_to_sample",
    "/maxTokens",
];

pub(crate) fn max_tokens(body: &Value, operation: Operation) -> Option<u64> {
    let places = match operation {
        Operation::Converse => &["/inferenceConfig/maxTokens"][..],
        Operation::InvokeModel => INVOKE_MAX_TOKENS,
    };
    places.iter().find_map(|place| body.pointer(place).and_then(Value::as_u64))
}

/// How a value reaches the model.
#[derive(Clone, Copy)]
enum Kind {
    /// Its strings do, less the scaffolding around them.
    Prose,
    /// All of it does, as JSON text.
    Json,
}

/// A walk over a body with its own stack, so that no depth of nesting can exhaust the thread's.
struct Walk<'v> {
    shape: RequestShape,
    open: Vec<(&'v Value, Kind)>,
}

impl<'v> Walk<'v> {
    fn run(&mut self) {
        while let Some((value, kind)) = self.open.pop() {
            match (value, kind) {
                (Value::String(text), Kind::Prose) => self.text(text.len()),
                (Value::Array(items), Kind::Prose) => self.open.extend(items.iter().map(|item| (item, kind))),
                (Value::Object(fields), Kind::Prose) => self.block(fields),
                (_, Kind::Prose) => {}
                (value, Kind::Json) => self.json(value),
            }
        }
    }

    fn text(&mut self, bytes: usize) {
        self.shape.text_bytes = self.shape.text_bytes.saturating_add(bytes as u64);
    }

    /// A message, a content block, a tool: whatever stands in a conversation.
    fn block(&mut self, fields: &'v Map<String, Value>) {
        match fields.get("type").and_then(Value::as_str) {
            Some("image" | "image_url" | "input_image") => return self.image(),
            Some("audio" | "input_audio" | "video") => return self.media(),
            Some("document" | "file" | "input_file") => return self.document(fields),
            Some("redacted_thinking") => return,
            _ => {}
        }
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("image", Value::Object(_)) => self.image(),
                ("audio" | "video", Value::Object(_)) => self.media(),
                ("document", Value::Object(document)) => self.document(document),
                ("input" | "json" | "inputSchema" | "input_schema" | "parameters" | "arguments", _) => {
                    self.open.push((value, Kind::Json));
                }
                (
                    "type" | "role" | "cachePoint" | "cache_control" | "signature" | "redactedContent" | "bytes"
                    | "data",
                    _,
                ) => {}
                _ => self.open.push((value, Kind::Prose)),
            }
        }
    }

    fn image(&mut self) {
        self.shape.images = self.shape.images.saturating_add(1);
    }

    fn media(&mut self) {
        self.shape.other_media = self.shape.other_media.saturating_add(1);
    }

    fn document(&mut self, fields: &'v Map<String, Value>) {
        for key in ["name", "title", "context"] {
            if let Some(Value::String(text)) = fields.get(key) {
                self.text(text.len());
            }
        }
        let source = fields.get("source").and_then(Value::as_object);
        let part = |key: &str| source.and_then(|source| source.get(key));
        let kind = part("type").and_then(Value::as_str);
        if let Some(content) = part("content").or_else(|| part("text")) {
            self.open.push((content, Kind::Prose));
        } else if kind == Some("text") {
            self.text(part("data").and_then(Value::as_str).map_or(0, str::len));
        } else if let Some(bytes) = part("bytes").or_else(|| part("data")).and_then(blob_len) {
            let format = fields.get("format").or_else(|| part("media_type")).and_then(Value::as_str);
            if format.is_some_and(is_text_format) {
                self.shape.text_bytes = self.shape.text_bytes.saturating_add(bytes);
            } else {
                let pages = u32::try_from(bytes.div_ceil(DOCUMENT_BYTES_PER_PAGE).max(1)).unwrap_or(u32::MAX);
                self.shape.document_pages = self.shape.document_pages.saturating_add(pages);
            }
        } else {
            self.shape.document_pages = self.shape.document_pages.saturating_add(UNSEEN_DOCUMENT_PAGES);
        }
    }

    /// Adds what `value` takes as compact JSON text, near enough: escapes are not counted.
    fn json(&mut self, value: &'v Value) {
        match value {
            Value::Null => self.text(4),
            Value::Bool(_) => self.text(5),
            Value::Number(number) => self.text(number.to_string().len()),
            Value::String(text) => self.text(text.len() + 2),
            Value::Array(items) => {
                self.text(2 + items.len().saturating_sub(1));
                self.open.extend(items.iter().map(|item| (item, Kind::Json)));
            }
            Value::Object(fields) => {
                self.text(2 + fields.len().saturating_sub(1));
                for (key, value) in fields {
                    self.text(key.len() + 3);
                    self.open.push((value, Kind::Json));
                }
            }
        }
    }
}

fn is_text_format(format: &str) -> bool {
    matches!(format, "txt" | "md" | "csv" | "html") || format.starts_with("text/")
}

/// Bytes in a blob, given as base64 or as a list of numbers.
fn blob_len(blob: &Value) -> Option<u64> {
    match blob {
        Value::String(base64) => Some(base64.len() as u64 / 4 * 3),
        Value::Array(bytes) => Some(bytes.len() as u64),
        _ => None,
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Operation, estimate_request};
    use crate::RequestShape;

    #[test]
    fn converse_counts_prompt_tools_and_results() {
        let body = json!({
            "modelId": "not counted",
            "system": [{ "text": "12345" }, { "cachePoint": { "type": "default" } }],
            "messages": [
                { "role": "user", "content": [{ "text": "1234567890" }] },
                { "role": "assistant", "content": [
                    { "reasoningContent": { "reasoningText": { "text": "1234", "signature": "not counted" } } },
                    { "toolUse": { "toolUseId": "id", "name": "tool", "input": { "a": 1 } } },
                ] },
                { "role": "user", "content": [{ "toolResult": { "toolUseId": "id", "content": [
                    { "json": [true, null, "x"] }, { "text": "ok" },
                    { "image": { "format": "png", "source": { "bytes": "AAAA" } } },
                ] } }] },
            ],
            "toolConfig": { "tools": [{ "toolSpec": { "name": "tool", "description": "does", "inputSchema": { "json": {} } } }] },
            "inferenceConfig": { "maxTokens": 100, "stopSequences": ["not counted"] },
            "additionalModelRequestFields": { "note": "not counted" },
        });
        let shape = estimate_request(&body, Operation::Converse);
        // system 5, user 10, reasoning 4, use 2 + 4 + {"a":1} 7, result 2 + [true_,null,"x"] 16 + 2, tool 4 + 4 + {"json":{}} 11
        assert_eq!(shape.text_bytes, 5 + 10 + 4 + 13 + 20 + 19);
        assert_eq!((shape.images, shape.max_tokens), (1, Some(100)));
    }

    #[test]
    fn documents_count_by_text_or_by_size() {
        let doc = |document: Value| {
            let body = json!({ "messages": [{ "content": [{ "document": document }] }] });
            let shape = estimate_request(&body, Operation::Converse);
            (shape.text_bytes, shape.document_pages)
        };
        let base64 = "A".repeat(200_000);
        assert_eq!(doc(json!({ "format": "pdf", "name": "doc", "source": { "bytes": base64 } })), (3, 3));
        assert_eq!(doc(json!({ "format": "txt", "name": "doc", "source": { "bytes": base64 } })), (150_003, 0));
        assert_eq!(doc(json!({ "format": "txt", "name": "doc", "source": { "text": "12345" } })), (8, 0));
        assert_eq!(
            doc(json!({ "format": "pdf", "name": "doc", "source": { "s3Location": { "uri": "s3://x/y" } } })),
            (3, 10)
        );
        assert_eq!(doc(json!({ "source": { "content": [{ "text": "12345" }] } })), (5, 0));
        assert_eq!(doc(json!({ "format": "pdf", "source": { "bytes": [1, 2, 3] } })), (0, 1));
        let anthropic = json!({ "messages": [{ "content": [
            { "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "12345" } },
            { "type": "document", "source": { "type": "base64", "media_type": "application/pdf", "data": base64 } },
        ] }] });
        let shape = estimate_request(&anthropic, Operation::InvokeModel);
        assert_eq!((shape.text_bytes, shape.document_pages), (5, 3));
        assert_eq!(shape.other_media_tokens(), 9_000);
        assert!(!shape.is_text_only());
    }

    #[test]
    fn each_format_has_its_own_maximum_and_prompt() {
        for (name, body, bytes, max) in [
            (
                "Anthropic",
                json!({ "anthropic_version": "x", "max_tokens": 1, "system": "12", "messages": [{ "role": "user", "content": "345" }] }),
                5,
                Some(1),
            ),
            ("Claude 2", json!({ "prompt": "12345", "max_tokens_to_sample": 2 }), 5, Some(2)),
            (
                "Nova",
                json!({ "schemaVersion": "messages-v1", "messages": [{ "role": "user", "content": [{ "text": "12345" }] }], "inferenceConfig": { "maxTokens": 3 } }),
                5,
                Some(3),
            ),
            (
                "Nova, older",
                json!({ "messages": [{ "content": [{ "text": "12345" }] }], "inferenceConfig": { "max_new_tokens": 4 } }),
                5,
                Some(4),
            ),
            ("Llama", json!({ "prompt": "12345", "max_gen_len": 5, "temperature": 0.5 }), 5, Some(5)),
            (
                "Titan",
                json!({ "inputText": "12345", "textGenerationConfig": { "maxTokenCount": 6, "stopSequences": ["x"] } }),
                5,
                Some(6),
            ),
            ("Mistral", json!({ "prompt": "12345", "max_tokens": 7, "stop": ["x"] }), 5, Some(7)),
            (
                "Cohere",
                json!({ "message": "123", "chat_history": [{ "role": "USER", "message": "45" }], "max_tokens": 8 }),
                5,
                Some(8),
            ),
            (
                "AI21",
                json!({ "messages": [{ "role": "user", "content": "12345" }], "max_tokens": 9, "n": 1 }),
                5,
                Some(9),
            ),
            ("AI21, older", json!({ "prompt": "12345", "maxTokens": 10 }), 5, Some(10)),
            (
                "OpenAI",
                json!({ "model": "x", "messages": [{ "role": "user", "content": "12345" }], "max_completion_tokens": 11 }),
                5,
                Some(11),
            ),
            ("none", json!({ "prompt": "12345" }), 5, None),
            ("not a number", json!({ "prompt": "12345", "max_tokens": null }), 5, None),
            ("negative", json!({ "prompt": "12345", "max_tokens": -7 }), 5, None),
            ("nothing", json!(null), 0, None),
            ("a list", json!(["12345"]), 0, None),
        ] {
            let shape = estimate_request(&body, Operation::InvokeModel);
            assert_eq!((shape.text_bytes, shape.max_tokens), (bytes, max), "{name}");
        }
    }

    #[test]
    fn pictures_sound_and_film_are_counted_not_measured() {
        let body = json!({ "messages": [{ "content": [
            { "image": { "format": "png" } }, { "video": { "format": "mp4" } }, { "audio": { "format": "mp3" } },
            { "type": "image_url", "image_url": { "url": "data:not counted" } }, { "type": "redacted_thinking", "data": "x" },
        ] }] });
        let shape = estimate_request(&body, Operation::Converse);
        assert_eq!(shape, RequestShape { images: 2, other_media: 2, ..RequestShape::default() });
        let llama = json!({ "prompt": "", "images": ["AAAA", "AAAA"] });
        assert_eq!(estimate_request(&llama, Operation::InvokeModel), RequestShape::text(0, 2));
    }

    #[test]
    fn nesting_does_not_exhaust_the_stack() {
        let mut value = json!("x");
        for _ in 0..10_000 {
            value = Value::Array(alloc::vec![value]);
        }
        // Not by `json!`, which copies by recursion.
        let body = Value::Object(core::iter::once((alloc::string::String::from("messages"), value)).collect());
        assert_eq!(estimate_request(&body, Operation::Converse).text_bytes, 1);
        core::mem::forget(body); // serde_json drops by recursion
    }
}
