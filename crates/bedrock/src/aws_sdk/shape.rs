//! The size of a typed Converse request, and a hash of what it asks.

use aws_sdk_bedrockruntime::types::{
    AudioSource, ContentBlock, DocumentBlock, DocumentContentBlock, DocumentSource, GuardrailConverseContentBlock,
    GuardrailConverseImageSource, ImageSource, InferenceConfiguration, Message, ReasoningContentBlock,
    SystemContentBlock, Tool, ToolConfiguration, ToolInputSchema, ToolResultContentBlock, VideoSource,
};
use aws_smithy_types::Document;
use xxhash_rust::xxh3::Xxh3;

use crate::shape::DOCUMENT_BYTES_PER_PAGE;
use crate::{Asked, RequestShape};

/// Where additional fields say how much the model may think; see `crate::cap`.
const THINKING: [&str; 3] = ["thinking", "reasoning_config", "reasoningConfig"];

/// The parts of a Converse or ConverseStream request that matter here.
pub(super) struct Parts<'r> {
    pub(super) model: Option<&'r str>,
    pub(super) messages: Option<&'r [Message]>,
    pub(super) system: Option<&'r [SystemContentBlock]>,
    pub(super) tools: Option<&'r ToolConfiguration>,
    pub(super) inference: Option<&'r InferenceConfiguration>,
    pub(super) additional: Option<&'r Document>,
}

/// Reads the shape of a request off the SDK's types, by the same rules as [`estimate_request`](crate::estimate_request)
/// reads it off JSON.
pub(super) fn converse(parts: &Parts<'_>) -> Asked {
    let own = parts.inference.and_then(InferenceConfiguration::max_tokens).and_then(|cap| u64::try_from(cap).ok());
    let shape = RequestShape { max_tokens: own, ..RequestShape::default() };
    let mut reader = Reader { shape, hash: Xxh3::new() };
    reader.mark(parts.model.unwrap_or_default().as_bytes());
    for message in parts.messages.into_iter().flatten() {
        reader.mark(message.role().as_str().as_bytes());
        message.content().iter().for_each(|block| reader.content(block));
    }
    for block in parts.system.into_iter().flatten() {
        match block {
            SystemContentBlock::Text(words) => reader.text(words),
            SystemContentBlock::GuardContent(guarded) => reader.guard(guarded),
            _ => {}
        }
    }
    for tool in parts.tools.into_iter().flat_map(ToolConfiguration::tools) {
        if let Tool::ToolSpec(spec) = tool {
            reader.text(spec.name());
            reader.text(spec.description().unwrap_or_default());
            if let Some(ToolInputSchema::Json(schema)) = spec.input_schema() {
                reader.json(schema);
            }
        }
    }
    reader.mark(format!("{:?}", parts.inference).as_bytes());
    let mut thinks = false;
    if let Some(fields) = parts.additional {
        reader.mark_json(fields);
        thinks = THINKING.iter().any(|name| fields.as_object().is_some_and(|fields| fields.contains_key(*name)));
    }
    Asked { shape: reader.shape, fingerprint: reader.hash.digest(), can_lower: !thinks }
}

struct Reader {
    shape: RequestShape,
    hash: Xxh3,
}

impl Reader {
    fn text(&mut self, words: &str) {
        self.shape.text_bytes += words.len() as u64;
        self.mark(words.as_bytes());
    }

    /// Counts towards the hash alone.
    fn mark(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        // Two texts in a row are not the same as one that joins them.
        self.hash.update(&[0xff]);
    }

    fn json(&mut self, value: &Document) {
        self.shape.text_bytes += json_bytes(value);
        self.mark_json(value);
    }

    fn mark_json(&mut self, value: &Document) {
        match value {
            Document::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_unstable_by_key(|(name, _)| *name);
                for (name, value) in fields {
                    self.mark(name.as_bytes());
                    self.mark_json(value);
                }
                self.mark(b"}");
            }
            Document::Array(items) => {
                items.iter().for_each(|item| self.mark_json(item));
                self.mark(b"]");
            }
            Document::String(words) => self.mark(words.as_bytes()),
            Document::Number(_) | Document::Bool(_) | Document::Null => self.mark(format!("{value:?}").as_bytes()),
        }
    }

    fn image(&mut self, source: Option<&ImageSource>) {
        self.shape.images += 1;
        match source {
            Some(ImageSource::Bytes(bytes)) => self.mark(bytes.as_ref()),
            other => self.mark(format!("{other:?}").as_bytes()),
        }
    }

    fn video(&mut self, source: Option<&VideoSource>) {
        self.shape.other_media += 1;
        match source {
            Some(VideoSource::Bytes(bytes)) => self.mark(bytes.as_ref()),
            other => self.mark(format!("{other:?}").as_bytes()),
        }
    }

    fn guard(&mut self, block: &GuardrailConverseContentBlock) {
        match block {
            GuardrailConverseContentBlock::Text(words) => self.text(words.text()),
            GuardrailConverseContentBlock::Image(image) => {
                self.shape.images += 1;
                if let Some(GuardrailConverseImageSource::Bytes(bytes)) = image.source() {
                    self.mark(bytes.as_ref());
                }
            }
            _ => {}
        }
    }

    fn content(&mut self, block: &ContentBlock) {
        match block {
            ContentBlock::Text(words) => self.text(words),
            ContentBlock::Image(image) => self.image(image.source()),
            ContentBlock::Audio(audio) => {
                self.shape.other_media += 1;
                if let Some(AudioSource::Bytes(bytes)) = audio.source() {
                    self.mark(bytes.as_ref());
                }
            }
            ContentBlock::Video(video) => self.video(video.source()),
            ContentBlock::Document(block) => self.document(block),
            ContentBlock::GuardContent(guarded) => self.guard(guarded),
            ContentBlock::ReasoningContent(ReasoningContentBlock::ReasoningText(words)) => self.text(words.text()),
            ContentBlock::SearchResult(result) => {
                self.text(result.title());
                result.content().iter().for_each(|part| self.text(part.text()));
            }
            ContentBlock::ToolUse(tool) => {
                self.text(tool.name());
                self.json(tool.input());
            }
            ContentBlock::ToolResult(result) => {
                for part in result.content() {
                    match part {
                        ToolResultContentBlock::Text(words) => self.text(words),
                        ToolResultContentBlock::Json(value) => self.json(value),
                        ToolResultContentBlock::Image(image) => self.image(image.source()),
                        ToolResultContentBlock::Video(video) => self.video(video.source()),
                        ToolResultContentBlock::Document(block) => self.document(block),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn document(&mut self, block: &DocumentBlock) {
        match block.source() {
            Some(DocumentSource::Text(words)) => self.text(words),
            Some(DocumentSource::Content(parts)) => {
                for part in parts {
                    if let DocumentContentBlock::Text(words) = part {
                        self.text(words);
                    }
                }
            }
            Some(DocumentSource::Bytes(bytes)) => {
                let pages = (bytes.as_ref().len() as u64).div_ceil(DOCUMENT_BYTES_PER_PAGE);
                self.shape.document_pages += u32::try_from(pages).unwrap_or(u32::MAX);
                self.mark(bytes.as_ref());
            }
            other => {
                self.shape.document_pages += 1;
                self.mark(format!("{other:?}").as_bytes());
            }
        }
    }
}

/// Bytes of a JSON value as text, without white space.
fn json_bytes(value: &Document) -> u64 {
    match value {
        Document::Object(fields) => {
            2 + fields.iter().map(|(name, value)| name.len() as u64 + 4 + json_bytes(value)).sum::<u64>()
        }
        Document::Array(items) => 2 + items.iter().map(|item| json_bytes(item) + 1).sum::<u64>(),
        Document::String(words) => words.len() as u64 + 2,
        Document::Number(_) | Document::Bool(_) | Document::Null => 5,
    }
}
