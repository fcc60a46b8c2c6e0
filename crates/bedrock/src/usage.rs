//! What the service says an attempt used: in the body, in a stream's event, or in headers.

use serde_json::Value;

use crate::Usage;

/// Reads the usage out of an answer's body or out of one event of a stream.
///
/// | where | format |
/// |---|---|
/// | `usage.inputTokens`, .. | Converse, Nova, and the `metadata` event of ConverseStream |
/// | `usage.input_tokens`, .. | Anthropic, and its events `message_start` and `message_delta` |
/// | `usage.prompt_tokens`, .. | OpenAI, AI21 Jamba; cached input is told apart where it is given |
/// | `prompt_token_count`, `generation_token_count` | Meta Llama |
/// | `inputTextTokenCount`, `results[].tokenCount` | Amazon Titan |
/// | `amazon-bedrock-invocationMetrics` | the last chunk of InvokeModelWithResponseStream, any vendor |
///
/// Invocation metrics come first, since they are the service's own count. An event of a stream may give only part, so
/// join all of them with [`Usage::max`]. `None` where there is nothing of the kind: Mistral and Cohere bodies have
/// none, so look at the headers. Counts that are not whole numbers of at least 0 count as absent.
///
/// Sources: the response schemas under <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html>.
///
/// ```
/// use sluicegate_bedrock::{Usage, usage_from_body};
/// use serde_json::json;
///
/// let body = json!({ "prompt_token_count": 12, "generation_token_count": 30, "generation": ".." });
/// assert_eq!(usage_from_body(&body), Some(Usage { input: 12, output: 30, ..Usage::default() }));
/// assert_eq!(usage_from_body(&json!({ "generation": ".." })), None);
/// ```
#[must_use]
pub fn usage_from_body(body: &Value) -> Option<Usage> {
    let metrics = body.get("amazon-bedrock-invocationMetrics");
    if let Some(usage) = metrics.and_then(|metrics| counts(metrics, &METRICS)) {
        return Some(usage);
    }
    let usage = ["/usage", "/metadata/usage", "/message/usage"].iter().find_map(|place| body.pointer(place));
    if let Some(usage) = usage {
        return counts(usage, &CAMEL).or_else(|| counts(usage, &SNAKE)).or_else(|| openai(usage));
    }
    counts(body, &LLAMA).or_else(|| titan(body))
}

/// Reads the usage out of an answer's headers, whose names may be in any case. `None` where neither the input nor the
/// output count is there: not every vendor's models send them. A count that is given twice is taken from the last.
///
/// Names: `x-amzn-bedrock-input-token-count`, `-output-token-count`, `-cache-read-input-token-count`,
/// `-cache-write-input-token-count`. Source: observed on InvokeModel; AWS documents them only in part.
///
/// ```
/// use sluicegate_bedrock::{Usage, usage_from_headers};
///
/// let headers = [("X-Amzn-Bedrock-Input-Token-Count", "12"), ("x-amzn-bedrock-output-token-count", "30")];
/// assert_eq!(usage_from_headers(headers), Some(Usage { input: 12, output: 30, ..Usage::default() }));
/// ```
#[must_use]
pub fn usage_from_headers<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Option<Usage> {
    let mut usage = Usage::default();
    let mut found = false;
    for (name, value) in headers {
        let Some(count) = whole_number(value) else { continue };
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        if is("x-amzn-bedrock-input-token-count") {
            usage.input = count;
            found = true;
        } else if is("x-amzn-bedrock-output-token-count") {
            usage.output = count;
            found = true;
        } else if is("x-amzn-bedrock-cache-read-input-token-count") {
            usage.cache_read = count;
        } else if is("x-amzn-bedrock-cache-write-input-token-count") {
            usage.cache_write = count;
        }
    }
    found.then_some(usage)
}

/// A header's number: digits only, as RFC 9110 has them.
pub(crate) fn whole_number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Where a format keeps its counts: input, output, cache read, cache write; each under any of its names.
type Names = [&'static [&'static str]; 4];

const CAMEL: Names = [
    &["inputTokens"],
    &["outputTokens"],
    &["cacheReadInputTokens", "cacheReadInputTokenCount"],
    &["cacheWriteInputTokens", "cacheWriteInputTokenCount"],
];
const SNAKE: Names =
    [&["input_tokens"], &["output_tokens"], &["cache_read_input_tokens"], &["cache_creation_input_tokens"]];
const METRICS: Names =
    [&["inputTokenCount"], &["outputTokenCount"], &["cacheReadInputTokenCount"], &["cacheWriteInputTokenCount"]];
const LLAMA: Names = [&["prompt_token_count"], &["generation_token_count"], &[], &[]];

/// Reads one format; `None` where neither input nor output is there.
fn counts(from: &Value, names: &Names) -> Option<Usage> {
    let count = |names: &[&str]| names.iter().find_map(|name| from.get(name).and_then(Value::as_u64));
    let (input, output) = (count(names[0]), count(names[1]));
    if input.is_none() && output.is_none() {
        return None;
    }
    Some(Usage {
        input: input.unwrap_or(0),
        output: output.unwrap_or(0),
        cache_read: count(names[2]).unwrap_or(0),
        cache_write: count(names[3]).unwrap_or(0),
    })
}

/// OpenAI counts cached input within `prompt_tokens`.
fn openai(usage: &Value) -> Option<Usage> {
    let prompt = usage.get("prompt_tokens").and_then(Value::as_u64);
    let output = usage.get("completion_tokens").and_then(Value::as_u64);
    if prompt.is_none() && output.is_none() {
        return None;
    }
    let cached = usage.pointer("/prompt_tokens_details/cached_tokens").and_then(Value::as_u64).unwrap_or(0);
    let prompt = prompt.unwrap_or(0);
    let cache_read = cached.min(prompt);
    Some(Usage { input: prompt - cache_read, output: output.unwrap_or(0), cache_read, cache_write: 0 })
}

fn titan(body: &Value) -> Option<Usage> {
    let input = body.get("inputTextTokenCount").and_then(Value::as_u64)?;
    let results = body.get("results").and_then(Value::as_array);
    let tokens = results.into_iter().flatten().filter_map(|result| result.get("tokenCount").and_then(Value::as_u64));
    Some(Usage { input, output: tokens.fold(0, u64::saturating_add), ..Usage::default() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{usage_from_body, usage_from_headers};
    use crate::Usage;

    fn usage(input: u64, output: u64, cache_read: u64, cache_write: u64) -> Usage {
        Usage { input, output, cache_read, cache_write }
    }

    #[test]
    fn every_format_is_read() {
        for (name, body, expected) in [
            (
                "Converse",
                json!({ "usage": { "inputTokens": 1, "outputTokens": 2, "totalTokens": 10, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 4 } }),
                Some(usage(1, 2, 3, 4)),
            ),
            (
                "ConverseStream",
                json!({ "metadata": { "usage": { "inputTokens": 1, "outputTokens": 2 } } }),
                Some(usage(1, 2, 0, 0)),
            ),
            (
                "Nova",
                json!({ "usage": { "inputTokens": 1, "outputTokens": 2, "cacheReadInputTokenCount": 3, "cacheWriteInputTokenCount": 4 } }),
                Some(usage(1, 2, 3, 4)),
            ),
            (
                "Anthropic",
                json!({ "usage": { "input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4 } }),
                Some(usage(1, 2, 3, 4)),
            ),
            (
                "message_start",
                json!({ "type": "message_start", "message": { "usage": { "input_tokens": 1, "output_tokens": 1 } } }),
                Some(usage(1, 1, 0, 0)),
            ),
            (
                "message_delta",
                json!({ "type": "message_delta", "usage": { "output_tokens": 9 } }),
                Some(usage(0, 9, 0, 0)),
            ),
            (
                "OpenAI",
                json!({ "usage": { "prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": { "cached_tokens": 4 } } }),
                Some(usage(6, 2, 4, 0)),
            ),
            ("Llama", json!({ "prompt_token_count": 1, "generation_token_count": 2 }), Some(usage(1, 2, 0, 0))),
            (
                "Titan",
                json!({ "inputTextTokenCount": 1, "results": [{ "tokenCount": 2 }, { "tokenCount": 3 }] }),
                Some(usage(1, 5, 0, 0)),
            ),
            ("Titan embedding", json!({ "inputTextTokenCount": 1, "embedding": [] }), Some(usage(1, 0, 0, 0))),
            (
                "metrics",
                json!({ "type": "message_stop", "amazon-bedrock-invocationMetrics": { "inputTokenCount": 1, "outputTokenCount": 2, "invocationLatency": 5, "cacheReadInputTokenCount": 3, "cacheWriteInputTokenCount": 4 } }),
                Some(usage(1, 2, 3, 4)),
            ),
            (
                "metrics win",
                json!({ "usage": { "input_tokens": 9 }, "amazon-bedrock-invocationMetrics": { "inputTokenCount": 1, "outputTokenCount": 2 } }),
                Some(usage(1, 2, 0, 0)),
            ),
            ("Mistral", json!({ "outputs": [{ "text": "x" }] }), None),
            ("empty usage", json!({ "usage": {} }), None),
            ("nonsense", json!({ "usage": { "inputTokens": -1, "outputTokens": "2" } }), None),
            ("no object", json!(3), None),
        ] {
            assert_eq!(usage_from_body(&body), expected, "{name}");
        }
    }

    #[test]
    fn headers_are_read_in_any_case() {
        let all = [
            ("X-Amzn-Bedrock-Input-Token-Count", " 1 "),
            ("x-amzn-bedrock-output-token-count", "2"),
            ("x-amzn-bedrock-cache-read-input-token-count", "3"),
            ("x-amzn-bedrock-cache-write-input-token-count", "4"),
            ("x-amzn-bedrock-invocation-latency", "500"),
        ];
        assert_eq!(usage_from_headers(all), Some(usage(1, 2, 3, 4)));
        assert_eq!(usage_from_headers([("x-amzn-bedrock-input-token-count", "-1")]), None);
        assert_eq!(usage_from_headers([("x-amzn-bedrock-input-token-count", "+1")]), None);
        assert_eq!(usage_from_headers([("x-amzn-bedrock-cache-read-input-token-count", "3")]), None);
        assert_eq!(usage_from_headers([]), None);
    }
}
