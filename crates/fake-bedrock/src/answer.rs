//! The documents Bedrock answers with, per dialect.

use serde_json::{Value, json};

use crate::prompt::Dialect;
use crate::state::Input;
use crate::words::words;

/// Everything an answer is made of.
pub(crate) struct Content {
    pub(crate) dialect: Dialect,
    pub(crate) model: String,
    pub(crate) input: Input,
    pub(crate) output_tokens: u64,
    pub(crate) truncated: bool,
    pub(crate) latency_ms: u64,
    /// Makes the words.
    pub(crate) draw: u64,
}

impl Content {
    pub(crate) fn text(&self, from: u64, to: u64) -> String {
        words(self.draw, from, to)
    }

    const fn stop_reason(&self) -> &'static str {
        if self.truncated { "max_tokens" } else { "end_turn" }
    }

    fn message_id(&self) -> String {
        format!("msg_bdrk_{:016x}", self.draw)
    }

    fn usage(&self) -> Value {
        let total = self.input.fresh + self.input.read + self.input.written + self.output_tokens;
        json!({
            "inputTokens": self.input.fresh,
            "outputTokens": self.output_tokens,
            "totalTokens": total,
            "cacheReadInputTokens": self.input.read,
            "cacheWriteInputTokens": self.input.written,
        })
    }

    fn anthropic_usage(&self, output_tokens: u64) -> Value {
        json!({
            "input_tokens": self.input.fresh,
            "cache_creation_input_tokens": self.input.written,
            "cache_read_input_tokens": self.input.read,
            "output_tokens": output_tokens,
        })
    }

    /// The body of an answer that does not stream.
    pub(crate) fn document(&self) -> Value {
        let text = self.text(0, self.output_tokens);
        let message = json!({"role": "assistant", "content": [{"text": text}]});
        match self.dialect {
            Dialect::Converse => json!({
                "output": {"message": message},
                "stopReason": self.stop_reason(),
                "usage": self.usage(),
                "metrics": {"latencyMs": self.latency_ms},
            }),
            Dialect::Nova => json!({
                "output": {"message": message},
                "stopReason": self.stop_reason(),
                "usage": self.usage(),
            }),
            Dialect::Anthropic => json!({
                "id": self.message_id(),
                "type": "message",
                "role": "assistant",
                "model": self.model,
                "content": [{"type": "text", "text": text}],
                "stop_reason": self.stop_reason(),
                "stop_sequence": null,
                "usage": self.anthropic_usage(self.output_tokens),
            }),
        }
    }

    /// What a stream says before the first token: (event type, payload).
    pub(crate) fn opening(&self) -> Vec<(&'static str, Value)> {
        match self.dialect {
            Dialect::Converse => vec![("messageStart", json!({"role": "assistant"}))],
            Dialect::Nova => vec![("chunk", json!({"messageStart": {"role": "assistant"}}))],
            Dialect::Anthropic => {
                let message = json!({
                    "id": self.message_id(),
                    "type": "message",
                    "role": "assistant",
                    "model": self.model,
                    "content": [],
                    "stop_reason": null,
                    "stop_sequence": null,
                    "usage": self.anthropic_usage(1),
                });
                let block = json!({"type": "text", "text": ""});
                vec![
                    ("chunk", json!({"type": "message_start", "message": message})),
                    ("chunk", json!({"type": "content_block_start", "index": 0, "content_block": block})),
                ]
            }
        }
    }

    /// One piece of text in a stream.
    pub(crate) fn delta(&self, from: u64, to: u64) -> (&'static str, Value) {
        let text = self.text(from, to);
        match self.dialect {
            Dialect::Converse => ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": text}})),
            Dialect::Nova => ("chunk", json!({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": text}}})),
            Dialect::Anthropic => {
                let delta = json!({"type": "text_delta", "text": text});
                ("chunk", json!({"type": "content_block_delta", "index": 0, "delta": delta}))
            }
        }
    }

    /// What a stream says after the last token.
    pub(crate) fn closing(&self) -> Vec<(&'static str, Value)> {
        let metrics = json!({
            "inputTokenCount": self.input.fresh,
            "outputTokenCount": self.output_tokens,
            "invocationLatency": self.latency_ms,
            "firstByteLatency": 0,
            "cacheReadInputTokenCount": self.input.read,
            "cacheWriteInputTokenCount": self.input.written,
        });
        let stop = json!({"stopReason": self.stop_reason()});
        match self.dialect {
            Dialect::Converse => vec![
                ("contentBlockStop", json!({"contentBlockIndex": 0})),
                ("messageStop", stop),
                ("metadata", json!({"usage": self.usage(), "metrics": {"latencyMs": self.latency_ms}})),
            ],
            Dialect::Nova => vec![
                ("chunk", json!({"contentBlockStop": {"contentBlockIndex": 0}})),
                ("chunk", json!({"messageStop": stop})),
                ("chunk", json!({"metadata": {"usage": self.usage()}, "amazon-bedrock-invocationMetrics": metrics})),
            ],
            Dialect::Anthropic => vec![
                ("chunk", json!({"type": "content_block_stop", "index": 0})),
                (
                    "chunk",
                    json!({
                        "type": "message_delta",
                        "delta": {"stop_reason": self.stop_reason(), "stop_sequence": null},
                        "usage": {"output_tokens": self.output_tokens},
                    }),
                ),
                ("chunk", json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics})),
            ],
        }
    }

    /// Token counts as InvokeModel's reply headers carry them.
    pub(crate) fn headers(&self) -> [(&'static str, u64); 5] {
        [
            ("x-amzn-bedrock-input-token-count", self.input.fresh),
            ("x-amzn-bedrock-output-token-count", self.output_tokens),
            ("x-amzn-bedrock-cache-read-input-token-count", self.input.read),
            ("x-amzn-bedrock-cache-write-input-token-count", self.input.written),
            ("x-amzn-bedrock-invocation-latency", self.latency_ms),
        ]
    }
}
