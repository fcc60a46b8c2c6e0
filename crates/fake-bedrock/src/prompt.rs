//! What a request body asks for, whatever its dialect.

use serde_json::Value;
use sluicegate_sim::LaneConfig;
use xxhash_rust::xxh3::Xxh3;

/// Tokens that every prompt costs besides its text.
pub(crate) const OVERHEAD_TOKENS: u64 = 4;
/// Tokens that an image, a video or a document counts as, whatever its size.
pub(crate) const MEDIA_TOKENS: u64 = 1_500;
/// `requestMetadata` key, and header with `x-` in front, that tags a call for the ledger.
pub(crate) const TAG_KEY: &str = "sluicegate-call";
/// `requestMetadata` key, and header with `x-` in front, that fixes the length of the output.
pub(crate) const OUTPUT_KEY: &str = "sluicegate-output-tokens";

/// The dialect of a body, and so of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Converse,
    Anthropic,
    Nova,
}

/// A prefix that the caller wants cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CachePoint {
    pub(crate) hash: u64,
    bytes: u64,
    media: u64,
}

/// A request, read.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) dialect: Dialect,
    /// Of all text, in order.
    pub(crate) hash: u64,
    bytes: u64,
    media: u64,
    pub(crate) cache_points: Vec<CachePoint>,
    pub(crate) max_tokens: Option<u64>,
    /// Fixed output length.
    pub(crate) output_tokens: Option<u64>,
    pub(crate) tag: Option<String>,
}

/// What is wrong with a body; the message of a `ValidationException`.
pub(crate) type Invalid = String;

impl Prompt {
    /// Reads a Converse body.
    pub(crate) fn converse(body: &Value) -> Result<Self, Invalid> {
        let mut reader = Reader::default();
        if let Some(tools) = body.get("toolConfig").filter(|tools| !tools.is_null()) {
            reader.text(&tools.to_string());
        }
        reader.content(body.get("system"), "system")?;
        reader.messages(body)?;
        let mut prompt = reader.into_prompt(Dialect::Converse);
        prompt.max_tokens = positive(body.pointer("/inferenceConfig/maxTokens"), "inferenceConfig.maxTokens")?;
        let metadata = |key| body.get("requestMetadata").and_then(|all| all.get(key)).and_then(Value::as_str);
        prompt.tag = metadata(TAG_KEY).map(str::to_owned);
        prompt.output_tokens = metadata(OUTPUT_KEY).map(|text| number(text, OUTPUT_KEY)).transpose()?;
        Ok(prompt)
    }

    /// Reads an InvokeModel body: Anthropic's messages, or Nova's.
    pub(crate) fn invoke(body: &Value) -> Result<Self, Invalid> {
        let mut reader = Reader::default();
        if let Some(tools) = body.get("tools").or_else(|| body.get("toolConfig")).filter(|tools| !tools.is_null()) {
            reader.text(&tools.to_string());
        }
        reader.content(body.get("system"), "system")?;
        reader.messages(body)?;
        if body.get("anthropic_version").is_some() {
            let mut prompt = reader.into_prompt(Dialect::Anthropic);
            let max = positive(body.get("max_tokens"), "max_tokens")?;
            prompt.max_tokens = Some(max.ok_or("max_tokens: Field required")?);
            return Ok(prompt);
        }
        let mut prompt = reader.into_prompt(Dialect::Nova);
        let config = body.get("inferenceConfig");
        let max = config.and_then(|config| config.get("maxTokens").or_else(|| config.get("max_new_tokens")));
        prompt.max_tokens = positive(max, "inferenceConfig.maxTokens")?;
        Ok(prompt)
    }

    /// Input tokens by the lane's tokenizer: bytes of text over bytes per token, rounded up.
    pub(crate) fn tokens(&self, lane: &LaneConfig) -> u64 {
        count(self.bytes, self.media, lane).saturating_add(OVERHEAD_TOKENS)
    }

    /// Tokens up to a cache point.
    pub(crate) fn tokens_to(point: &CachePoint, lane: &LaneConfig) -> u64 {
        count(point.bytes, point.media, lane)
    }
}

fn count(bytes: u64, media: u64, lane: &LaneConfig) -> u64 {
    let text = (u128::from(bytes) * 1000).div_ceil(u128::from(lane.bytes_per_token_permille.max(1)));
    u64::try_from(text).unwrap_or(u64::MAX).saturating_add(media.saturating_mul(MEDIA_TOKENS))
}

/// Reads a number given as text.
pub(crate) fn number(text: &str, name: &str) -> Result<u64, Invalid> {
    text.parse().map_err(|_| format!("{name}: not a whole number"))
}

fn positive(value: Option<&Value>, name: &str) -> Result<Option<u64>, Invalid> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let number = value.as_u64().filter(|number| *number > 0);
    number.map(Some).ok_or_else(|| format!("{name}: must be a whole number of at least 1"))
}

#[derive(Default)]
struct Reader {
    hash: Xxh3,
    bytes: u64,
    media: u64,
    cache_points: Vec<CachePoint>,
}

impl Reader {
    fn text(&mut self, text: &str) {
        self.hash.update(text.as_bytes());
        // Two texts in a row are not the same prompt as one that joins them.
        self.hash.update(&[0xff]);
        self.bytes = self.bytes.saturating_add(text.len() as u64);
    }

    fn cache_point(&mut self) {
        self.cache_points.push(CachePoint { hash: self.hash.digest(), bytes: self.bytes, media: self.media });
    }

    fn messages(&mut self, body: &Value) -> Result<(), Invalid> {
        let messages = body.get("messages").ok_or("messages: Field required")?;
        let messages = messages.as_array().ok_or("messages: must be a list")?;
        if messages.is_empty() {
            return Err("messages: at least one message is required".to_owned());
        }
        for (index, message) in messages.iter().enumerate() {
            let role = message.get("role").and_then(Value::as_str);
            let role = role.ok_or_else(|| format!("messages.{index}.role: Field required"))?;
            if !matches!(role, "user" | "assistant" | "system") {
                return Err(format!("messages.{index}.role: must be user or assistant"));
            }
            self.hash.update(role.as_bytes());
            let content = message.get("content").filter(|content| !content.is_null());
            let content = content.ok_or_else(|| format!("messages.{index}.content: Field required"))?;
            self.content(Some(content), &format!("messages.{index}.content"))?;
        }
        Ok(())
    }

    fn content(&mut self, content: Option<&Value>, path: &str) -> Result<(), Invalid> {
        match content {
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(text)) => {
                self.text(text);
                Ok(())
            }
            Some(Value::Array(blocks)) => {
                for (index, block) in blocks.iter().enumerate() {
                    self.block(block).map_err(|what| format!("{path}.{index}: {what}"))?;
                }
                Ok(())
            }
            Some(_) => Err(format!("{path}: must be a text or a list")),
        }
    }

    fn block(&mut self, block: &Value) -> Result<(), Invalid> {
        let fields = block.as_object().ok_or("must be an object")?;
        let media = |name: &str| fields.contains_key(name) || fields.get("type").is_some_and(|kind| kind == name);
        if let Some(text) = fields.get("text") {
            self.text(text.as_str().ok_or("text must be a text")?);
        } else if fields.contains_key("cachePoint") {
            self.cache_point();
        } else if media("image") || media("video") || media("document") {
            self.hash.update(block.to_string().as_bytes());
            self.media += 1;
        } else {
            self.text(&block.to_string());
        }
        if fields.get("cache_control").is_some_and(|control| !control.is_null()) {
            self.cache_point();
        }
        Ok(())
    }

    fn into_prompt(self, dialect: Dialect) -> Prompt {
        Prompt {
            dialect,
            hash: self.hash.digest(),
            bytes: self.bytes,
            media: self.media,
            cache_points: self.cache_points,
            max_tokens: None,
            output_tokens: None,
            tag: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lane() -> LaneConfig {
        LaneConfig { bytes_per_token_permille: 4_000, ..LaneConfig::new("us-east-1", "m") }
    }

    #[test]
    fn tokens_are_bytes_over_bytes_per_token_and_a_little() {
        let body =
            json!({"system": [{"text": "12345678"}], "messages": [{"role": "user", "content": [{"text": "ü"}]}]});
        let prompt = Prompt::converse(&body).unwrap();
        assert_eq!(prompt.tokens(&lane()), 3 + OVERHEAD_TOKENS);
        let image = json!({"messages": [{"role": "user", "content": [{"image": {"format": "png"}}]}]});
        assert_eq!(Prompt::converse(&image).unwrap().tokens(&lane()), MEDIA_TOKENS + OVERHEAD_TOKENS);
    }

    #[test]
    fn cache_points_hash_what_stands_before_them() {
        let body = |question: &str| {
            json!({
                "system": [{"text": "long text"}, {"cachePoint": {"type": "default"}}],
                "messages": [{"role": "user", "content": [{"text": question}]}],
            })
        };
        let (one, two) = (Prompt::converse(&body("a")).unwrap(), Prompt::converse(&body("b")).unwrap());
        assert_eq!(one.cache_points, two.cache_points);
        assert_ne!(one.hash, two.hash);
        assert_eq!(Prompt::tokens_to(&one.cache_points[0], &lane()), 3);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, message) in [
            (json!({}), "messages: Field required"),
            (json!({"messages": []}), "messages: at least one message is required"),
            (json!({"messages": [{"role": "user"}]}), "messages.0.content: Field required"),
            (
                json!({"messages": [{"role": "user", "content": [{"text": 1}]}]}),
                "messages.0.content.0: text must be a text",
            ),
            (json!({"messages": [{"role": "pilot", "content": "x"}]}), "messages.0.role: must be user or assistant"),
            (
                json!({"messages": [{"role": "user", "content": "x"}], "inferenceConfig": {"maxTokens": 0}}),
                "inferenceConfig.maxTokens: must be a whole number of at least 1",
            ),
        ] {
            assert_eq!(Prompt::converse(&body).unwrap_err(), message);
        }
        let anthropic = json!({"anthropic_version": "x", "messages": [{"role": "user", "content": "x"}]});
        assert_eq!(Prompt::invoke(&anthropic).unwrap_err(), "max_tokens: Field required");
    }
}
