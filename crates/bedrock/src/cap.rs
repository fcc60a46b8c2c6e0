//! The cap on an answer's length: whether it can be lowered in a request, how, and whether it cut an answer short.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use serde_json::Value;

use crate::Operation;
use crate::request::{INVOKE_MAX_TOKENS, max_tokens};

/// Where a request says how much the model may think. That budget has to be smaller than the cap, so such a request
/// keeps its own (<https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html>).
const THINKING: &[&str] = &[
    "/thinking",
    "/reasoning_config",
    "/additionalModelRequestFields/thinking",
    "/additionalModelRequestFields/reasoning_config",
    "/additionalModelRequestFields/reasoningConfig",
];

/// Whether [`lower_max_tokens`] can lower the cap of a request. It can for Converse, whether or not the request has a
/// cap of its own, and for InvokeModel where the body has one: without it, nothing says what its format calls it. Never
/// where the request lets the model think.
///
/// ```
/// use sluicegate_bedrock::{Operation, can_lower_max_tokens};
/// use serde_json::json;
///
/// assert!(can_lower_max_tokens(&json!({ "messages": [] }), Operation::Converse));
/// assert!(can_lower_max_tokens(&json!({ "prompt": "..", "max_gen_len": 512 }), Operation::InvokeModel));
/// assert!(!can_lower_max_tokens(&json!({ "prompt": ".." }), Operation::InvokeModel));
/// ```
#[must_use]
pub fn can_lower_max_tokens(body: &Value, operation: Operation) -> bool {
    if THINKING.iter().any(|place| body.pointer(place).is_some_and(|value| !value.is_null())) {
        return false;
    }
    match operation {
        Operation::InvokeModel => max_tokens(body, operation).is_some(),
        Operation::Converse => match body.get("inferenceConfig") {
            None | Some(Value::Null) => body.is_object(),
            Some(Value::Object(config)) => {
                config.get("maxTokens").is_none_or(|cap| cap.is_null() || cap.as_u64().is_some())
            }
            Some(_) => false,
        },
    }
}

/// The same request with another cap on its answer; every byte besides stays as it is. `None` where
/// [`can_lower_max_tokens`] says no, or the body is no JSON.
///
/// ```
/// use sluicegate_bedrock::{Operation, lower_max_tokens};
///
/// let body = br#"{ "prompt": "..",  "max_gen_len": 4096, "temperature": 1.50 }"#;
/// let lowered = lower_max_tokens(body, Operation::InvokeModel, 512).unwrap();
/// assert_eq!(lowered, br#"{ "prompt": "..",  "max_gen_len": 512, "temperature": 1.50 }"#);
/// ```
#[must_use]
pub fn lower_max_tokens(body: &[u8], operation: Operation, cap: u32) -> Option<Vec<u8>> {
    let text = core::str::from_utf8(body).ok()?;
    // Whatever is looked at below is valid JSON.
    if !serde_json::from_slice::<Value>(body).ok()?.is_object() {
        return None;
    }
    let number = alloc::format!("{cap}");
    let (place, new) = match operation {
        Operation::InvokeModel => {
            let found = INVOKE_MAX_TOKENS.iter().find_map(|path| count_at(text, path.trim_start_matches('/')));
            (span(text, found?)?, number)
        }
        Operation::Converse => match member(text, "inferenceConfig") {
            None => opening(text, text, &alloc::format!("\"inferenceConfig\":{{\"maxTokens\":{number}}}"))?,
            Some("null") => {
                (span(text, member(text, "inferenceConfig")?)?, alloc::format!("{{\"maxTokens\":{number}}}"))
            }
            Some(config) if config.starts_with('{') => match member(config, "maxTokens") {
                Some(old) if old == "null" || is_count(old) => (span(text, old)?, number),
                Some(_) => return None,
                None => opening(text, config, &alloc::format!("\"maxTokens\":{number}"))?,
            },
            Some(_) => return None,
        },
    };
    let mut lowered = Vec::with_capacity(body.len() + new.len());
    lowered.extend_from_slice(body.get(..place.start)?);
    lowered.extend_from_slice(new.as_bytes());
    lowered.extend_from_slice(body.get(place.end..)?);
    Some(lowered)
}

fn is_count(value: &str) -> bool {
    value.parse::<u64>().is_ok()
}

/// The whole number at a path of one or two names.
fn count_at<'t>(object: &'t str, path: &str) -> Option<&'t str> {
    let value = match path.split_once('/') {
        None => member(object, path)?,
        Some((outer, inner)) => member(member(object, outer)?, inner)?,
    };
    is_count(value).then_some(value)
}

/// The last member of that name of `object`, a valid JSON text, as it stands there. `None` for what is no object.
fn member<'t>(object: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = object.trim_start_matches(BLANK).strip_prefix('{')?;
    let mut found = None;
    loop {
        let (key, after) = value(rest.trim_start_matches([' ', '\t', '\n', '\r', ',']));
        if key.is_empty() {
            return found;
        }
        let (held, after) = value(after.trim_start_matches([' ', '\t', '\n', '\r', ':']));
        if serde_json::from_slice::<Value>(key.as_bytes()).is_ok_and(|key| key == name) {
            found = Some(held);
        }
        rest = after;
    }
}

/// What JSON allows between its parts.
const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

/// The value that a valid JSON text begins with, and the rest; an empty one where that is an end.
fn value(text: &str) -> (&str, &str) {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let end = text.bytes().enumerate().find_map(|(at, byte)| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => {
                quoted = !quoted;
                if !quoted && depth == 0 {
                    return Some(at + 1);
                }
            }
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return Some(at),
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b',' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return Some(at),
            _ => {}
        }
        None
    });
    text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""))
}

/// Where a part of `text` stands in it.
fn span(text: &str, part: &str) -> Option<Range<usize>> {
    let start = offset(text, part)?;
    Some(start..start + part.len())
}

fn offset(text: &str, part: &str) -> Option<usize> {
    part.as_ptr().addr().checked_sub(text.as_ptr().addr()).filter(|start| start + part.len() <= text.len())
}

/// Puts a member in front of all others of `object`, which stands in `text`.
fn opening(text: &str, object: &str, member: &str) -> Option<(Range<usize>, String)> {
    let brace = object.find('{')?;
    let at = offset(text, object)? + brace + 1;
    let empty = object.get(brace + 1..)?.trim_start().starts_with('}');
    Some((at..at, alloc::format!("{member}{}", if empty { "" } else { "," })))
}

/// Whether an answer was cut short by the cap on its length, by the word that its format has for that.
///
/// Understands Converse and the InvokeModel formats of Anthropic, Amazon Nova and Titan, Meta, Mistral, Cohere, AI21 and
/// OpenAI; in any other the answer is no.
///
/// Sources: the response schemas under <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html>.
///
/// ```
/// use sluicegate_bedrock::cut_by_max_tokens;
/// use serde_json::json;
///
/// assert!(cut_by_max_tokens(&json!({ "output": {}, "stopReason": "max_tokens" })));
/// assert!(cut_by_max_tokens(&json!({ "outputs": [{ "text": "..", "stop_reason": "length" }] })));
/// assert!(!cut_by_max_tokens(&json!({ "output": {}, "stopReason": "end_turn" })));
/// ```
#[must_use]
pub fn cut_by_max_tokens(answer: &Value) -> bool {
    let parts = ["results", "outputs", "choices", "generations", "completions"];
    let parts = parts.iter().filter_map(|name| answer.get(name)).filter_map(Value::as_array).flatten();
    core::iter::once(answer).chain(parts).any(|part| {
        let words = ["/stopReason", "/stop_reason", "/finish_reason", "/completionReason", "/finishReason/reason"];
        let word = |place: &&str| part.pointer(place).and_then(Value::as_str);
        words
            .iter()
            .filter_map(word)
            .any(|word| ["max_tokens", "length"].iter().any(|cut| word.eq_ignore_ascii_case(cut)))
    })
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use serde_json::{Value, json};

    use super::{can_lower_max_tokens, cut_by_max_tokens, lower_max_tokens};
    use crate::{Operation, estimate_request};

    fn lowered(body: &str, operation: Operation) -> Option<String> {
        let can = can_lower_max_tokens(&serde_json::from_str(body).unwrap(), operation);
        let lowered = lower_max_tokens(body.as_bytes(), operation, 7);
        let lowered = lowered.filter(|_| can).map(|bytes| String::from_utf8(bytes).unwrap());
        if let Some(text) = &lowered {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(estimate_request(&value, operation).max_tokens, Some(7), "{text}");
        }
        lowered
    }

    #[test]
    fn a_converse_cap_is_replaced_or_added() {
        for (body, expected) in [
            (r#"{}"#, Some(r#"{"inferenceConfig":{"maxTokens":7}}"#)),
            (r#" { "messages" : [] }"#, Some(r#" {"inferenceConfig":{"maxTokens":7}, "messages" : [] }"#)),
            (r#"{"inferenceConfig":null}"#, Some(r#"{"inferenceConfig":{"maxTokens":7}}"#)),
            (r#"{"inferenceConfig": { } }"#, Some(r#"{"inferenceConfig": {"maxTokens":7 } }"#)),
            (
                r#"{"inferenceConfig":{"temperature":1.50}}"#,
                Some(r#"{"inferenceConfig":{"maxTokens":7,"temperature":1.50}}"#),
            ),
            (r#"{"inferenceConfig":{"maxTokens":null}}"#, Some(r#"{"inferenceConfig":{"maxTokens":7}}"#)),
            (
                r#"{"ü":"{","inferenceConfig":{"maxTokens": 900 }}"#,
                Some(r#"{"ü":"{","inferenceConfig":{"maxTokens": 7 }}"#),
            ),
            (r#"{"inferenceConfig":{"maxTokens":"9"}}"#, None),
            (r#"{"inferenceConfig":[]}"#, None),
            (r#"{"additionalModelRequestFields":{"thinking":{"type":"enabled"}}}"#, None),
        ] {
            assert_eq!(lowered(body, Operation::Converse).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_cap_of_each_vendor_is_replaced_where_it_stands() {
        for body in [
            r#"{"anthropic_version":"x","max_tokens":900,"messages":[]}"#,
            r#"{"max_completion_tokens":900}"#,
            r#"{"inferenceConfig":{"maxTokens":900}}"#,
            r#"{"inferenceConfig":{"max_new_tokens":900}}"#,
            r#"{"max_gen_len":900}"#,
            r#"{"textGenerationConfig":{"maxTokenCount":900}}"#,
            r#"{"max_tokens_to_sample":900}"#,
            r#"{"maxTokens":900}"#,
        ] {
            assert_eq!(lowered(body, Operation::InvokeModel), Some(body.replace("900", "7")));
        }
        for body in
            [r#"{"prompt":"x"}"#, r#"{"max_tokens":-1}"#, r#"{"max_tokens":900,"thinking":{"budget_tokens":800}}"#]
        {
            assert_eq!(lowered(body, Operation::InvokeModel), None, "{body}");
        }
        assert_eq!(lower_max_tokens(b"no JSON", Operation::InvokeModel, 7), None);
        assert_eq!(lower_max_tokens(&[0xff], Operation::Converse, 7), None);
    }

    #[test]
    fn each_format_has_its_own_word_for_a_cut_answer() {
        for (answer, cut) in [
            (json!({ "stop_reason": "max_tokens" }), true),
            (json!({ "stop_reason": "end_turn" }), false),
            (json!({ "stop_reason": "length", "generation": "" }), true),
            (json!({ "results": [{ "completionReason": "LENGTH" }] }), true),
            (json!({ "results": [{ "completionReason": "FINISH" }] }), false),
            (json!({ "choices": [{ "finish_reason": "length" }] }), true),
            (json!({ "generations": [{ "finish_reason": "MAX_TOKENS" }] }), true),
            (json!({ "finish_reason": "COMPLETE" }), false),
            (json!({ "completions": [{ "finishReason": { "reason": "length" } }] }), true),
            (json!({ "results": "length" }), false),
            (json!(null), false),
        ] {
            assert_eq!(cut_by_max_tokens(&answer), cut, "{answer}");
        }
    }
}
