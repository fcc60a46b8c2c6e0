//! The size of a typed Converse request.

use aws_sdk_bedrockruntime::types::{
    ContentBlock, DocumentBlock, DocumentContentBlock, DocumentSource, GuardrailConverseContentBlock,
    InferenceConfiguration, Message, ReasoningContentBlock, SystemContentBlock, Tool, ToolConfiguration,
    ToolInputSchema, ToolResultContentBlock,
};
use aws_smithy_types::Document;

use crate::RequestShape;
use crate::shape::DOCUMENT_BYTES_PER_PAGE;

/// Reads the shape of a Converse or ConverseStream request off the SDK's types, by the same rules as
/// [`estimate_request`](crate::estimate_request) reads it off JSON.
pub(super) fn converse(
    messages: Option<&[Message]>,
    system: Option<&[SystemContentBlock]>,
    tools: Option<&ToolConfiguration>,
    inference: Option<&InferenceConfiguration>,
) -> RequestShape {
    let mut shape = RequestShape {
        max_tokens: inference
            .and_then(InferenceConfiguration::max_tokens)
            .and_then(|tokens| u64::try_from(tokens).ok()),
        ..RequestShape::default()
    };
    for block in messages.into_iter().flatten().flat_map(Message::content) {
        content(&mut shape, block);
    }
    for block in system.into_iter().flatten() {
        match block {
            SystemContentBlock::Text(words) => text(&mut shape, words),
            SystemContentBlock::GuardContent(guarded) => guard(&mut shape, guarded),
            _ => {}
        }
    }
    for tool in tools.into_iter().flat_map(ToolConfiguration::tools) {
        if let Tool::ToolSpec(spec) = tool {
            text(&mut shape, spec.name());
            text(&mut shape, spec.description().unwrap_or_default());
            if let Some(ToolInputSchema::Json(schema)) = spec.input_schema() {
                shape.text_bytes += json_bytes(schema);
            }
        }
    }
    shape
}

fn text(shape: &mut RequestShape, words: &str) {
    shape.text_bytes += words.len() as u64;
}

fn guard(shape: &mut RequestShape, block: &GuardrailConverseContentBlock) {
    match block {
        GuardrailConverseContentBlock::Text(words) => text(shape, words.text()),
        GuardrailConverseContentBlock::Image(_) => shape.images += 1,
        _ => {}
    }
}

fn content(shape: &mut RequestShape, block: &ContentBlock) {
    match block {
        ContentBlock::Text(words) => text(shape, words),
        ContentBlock::Image(_) => shape.images += 1,
        ContentBlock::Audio(_) | ContentBlock::Video(_) => shape.other_media += 1,
        ContentBlock::Document(block) => document(shape, block),
        ContentBlock::GuardContent(guarded) => guard(shape, guarded),
        ContentBlock::ReasoningContent(ReasoningContentBlock::ReasoningText(words)) => text(shape, words.text()),
        ContentBlock::SearchResult(result) => {
            text(shape, result.title());
            result.content().iter().for_each(|part| text(shape, part.text()));
        }
        ContentBlock::ToolUse(tool) => {
            text(shape, tool.name());
            shape.text_bytes += json_bytes(tool.input());
        }
        ContentBlock::ToolResult(result) => {
            for part in result.content() {
                match part {
                    ToolResultContentBlock::Text(words) => text(shape, words),
                    ToolResultContentBlock::Json(value) => shape.text_bytes += json_bytes(value),
                    ToolResultContentBlock::Image(_) => shape.images += 1,
                    ToolResultContentBlock::Video(_) => shape.other_media += 1,
                    ToolResultContentBlock::Document(block) => document(shape, block),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn document(shape: &mut RequestShape, block: &DocumentBlock) {
    match block.source() {
        Some(DocumentSource::Text(words)) => text(shape, words),
        Some(DocumentSource::Content(parts)) => {
            for part in parts {
                if let DocumentContentBlock::Text(words) = part {
                    text(shape, words);
                }
            }
        }
        Some(DocumentSource::Bytes(bytes)) => {
            let pages = (bytes.as_ref().len() as u64).div_ceil(DOCUMENT_BYTES_PER_PAGE);
            shape.document_pages += u32::try_from(pages).unwrap_or(u32::MAX);
        }
        _ => shape.document_pages += 1,
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
