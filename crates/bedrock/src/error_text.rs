//! What the words of an error message tell. AWS promises no wording, so these are loose matches on lower-cased text, and
//! whatever matches none stays unknown.

use alloc::string::String;

use sluicegate::Quota;

/// Bytes of a message that are looked at.
const LOOKED_AT: usize = 2_048;

/// The part of a message that is matched on, in lower case.
pub(crate) fn normal(message: &str) -> String {
    let mut end = message.len().min(LOOKED_AT);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let mut text = message[..end].to_ascii_lowercase();
    text = text.replace('\u{2019}', "'");
    text
}

fn any(text: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| text.contains(part))
}

/// Whether the text blames capacity and not a quota. Sources: <https://aws.amazon.com/blogs/machine-learning/mastering-amazon-bedrock-throttling-and-service-availability-a-comprehensive-guide>
/// (currently overloaded, temporarily unavailable), `anthropics/claude-code` issue 562 (too many connections),
/// `aws-samples/foundation-model-benchmarking-tool` issue 247 (unable to process). "Capacity reached" is a wording that
/// circulates without a sighting; it costs nothing to know it.
pub(crate) fn is_capacity(text: &str) -> bool {
    any(
        text,
        &[
            "overloaded",
            "too many connections",
            "unable to process your request",
            "temporarily unavailable",
            "capacity reached",
            "insufficient capacity",
            "not enough capacity",
            "at capacity",
        ],
    )
}

/// Which quota the text of a throttling error names. Sources: <https://repost.aws/knowledge-center/bedrock-throttling-error>
/// (requests), `anthropics/claude-code` issue 1466 (tokens), `minorun365/agent-book` issue 29 (tokens per day).
pub(crate) fn quota(text: &str) -> Quota {
    if any(text, &["per day", "daily"]) {
        return Quota::Day;
    }
    match (any(text, &["request rate", "requests"]), any(text, &["tokens"])) {
        (true, false) => Quota::Requests,
        (false, true) => Quota::Tokens,
        // Neither, or both: a text that names two quotas does not tell which.
        _ => Quota::Unknown,
    }
}

/// Whether the text says that the model needs an inference profile's id in place of its own, as newer models do. Source:
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-use.html> and the service's own wording.
pub(crate) fn needs_profile(text: &str) -> bool {
    any(text, &["on-demand throughput", "inference profile that contains this model"])
}

/// Whether the text says that there is no such model at this endpoint.
pub(crate) fn is_unknown_model(text: &str) -> bool {
    any(text, &["model identifier is invalid", "end of its life", "could not resolve the foundation model"])
}

/// Whether the text of a denial speaks of who is asking and not of what is asked for.
pub(crate) fn is_credentials(text: &str) -> bool {
    any(text, &["security token", "signature", "api key", "bearer token", "authentication"])
}

/// Whether the text says that the model ran out of time.
pub(crate) fn is_model_timeout(text: &str) -> bool {
    any(text, &["model has timed out", "timed out in processing"])
}

#[cfg(test)]
mod tests {
    use super::{LOOKED_AT, normal, quota};
    use sluicegate::Quota;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "ä".repeat(LOOKED_AT);
        assert_eq!(normal(&text).len(), LOOKED_AT);
        let text = alloc::format!("x{}", "ä".repeat(LOOKED_AT));
        assert_eq!(normal(&text).len(), LOOKED_AT - 1);
        assert_eq!(normal("ISN\u{2019}T"), "isn't");
    }

    #[test]
    fn two_quotas_in_one_text_are_unknown() {
        assert_eq!(quota("too many requests or tokens"), Quota::Unknown);
        assert_eq!(quota("too many tokens per day"), Quota::Day);
        assert_eq!(quota("rate exceeded"), Quota::Unknown);
    }
}
