//! What an attempt takes from a token quota: reserved at admission, settled at the end.
//!
//! On `bedrock-runtime` (sources: <https://docs.aws.amazon.com/bedrock/latest/userguide/quotas-token-burndown.html>;
//! for cache reads at admission `aws/agent-toolkit-for-aws`, skill amazon-bedrock, `quota-health.md` at d6ad2e4):
//!
//! ```text
//! reserve    = input + cache_read + cache_write + max_tokens
//! settled    = input + cache_write + rate * output
//! worst case = input + cache_write + rate * max_tokens
//! ```
//!
//! With a rate above 1 the reservation is **not** an upper bound of what is settled. All sums saturate at `u64::MAX`.

use serde::{Deserialize, Serialize};

use crate::{BedrockModel, Catalogue};

/// Tokens of one attempt, with the meaning of Converse's `usage`: [`input`](Self::input) is the uncached part alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to the prompt cache.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Input tokens read from the prompt cache.
    pub cache_read: u64,
    /// Input tokens written to the prompt cache.
    pub cache_write: u64,
}

impl Usage {
    /// All of the input, cached or not: what the size of a request is compared with.
    #[must_use]
    pub const fn total_input(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    /// The larger of each count: joins the partial usages of one stream, whose counts only grow.
    ///
    /// ```
    /// use sluicegate_bedrock::Usage;
    ///
    /// let start = Usage { input: 30, output: 1, ..Usage::default() };
    /// let end = Usage { output: 250, ..Usage::default() };
    /// assert_eq!(start.max(end), Usage { input: 30, output: 250, ..Usage::default() });
    /// ```
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write: self.cache_write.max(other.cache_write),
        }
    }
}

impl Catalogue {
    /// Quota tokens that the service sets aside when it admits an attempt. Without `max_tokens` it is the model's
    /// maximum output that is set aside, often 64,000 or more.
    ///
    /// Whether `cache_read` counts here is not settled between sources; AWS's own toolkit says that it does, so it does
    /// unless the policy sets `reserve_cache_reads` to `false`.
    ///
    /// ```
    /// use sluicegate_bedrock::Catalogue;
    ///
    /// let catalogue = Catalogue::builtin();
    /// let sonnet_5 = catalogue.model("us.anthropic.claude-sonnet-5");
    /// assert_eq!(catalogue.reserve(&sonnet_5, 3_000, 4_000, 1_000, Some(8_000)), 16_000);
    /// assert_eq!(catalogue.reserve(&sonnet_5, 3_000, 4_000, 1_000, None), 136_000);
    /// ```
    #[must_use]
    pub fn reserve(
        &self,
        model: &BedrockModel,
        input: u64,
        cache_read: u64,
        cache_write: u64,
        max_tokens: Option<u64>,
    ) -> u64 {
        let output = max_tokens.unwrap_or_else(|| self.max_output(model).tokens);
        let cache_read = if self.reserves_cache_reads() { cache_read } else { 0 };
        input.saturating_add(cache_read).saturating_add(cache_write).saturating_add(output)
    }

    /// Quota tokens that an attempt used in the end. Reads from the prompt cache are free; output counts
    /// [`Burndown::rate`](crate::Burndown::rate) times.
    ///
    /// ```
    /// use sluicegate_bedrock::{Catalogue, Usage};
    ///
    /// let catalogue = Catalogue::builtin();
    /// let sonnet_5 = catalogue.model("us.anthropic.claude-sonnet-5");
    /// let usage = Usage { input: 3_000, output: 900, cache_read: 4_000, cache_write: 1_000 };
    /// assert_eq!(catalogue.settle(&sonnet_5, &usage), 13_000);
    /// ```
    #[must_use]
    pub fn settle(&self, model: &BedrockModel, usage: &Usage) -> u64 {
        let output = usage.output.saturating_mul(self.burndown(model).rate);
        usage.input.saturating_add(usage.cache_write).saturating_add(output)
    }

    /// Quota tokens if the model writes all that it may: the most that an attempt can settle at.
    #[must_use]
    pub fn worst_case(&self, model: &BedrockModel, input: u64, cache_write: u64, max_tokens: Option<u64>) -> u64 {
        let output = max_tokens.unwrap_or_else(|| self.max_output(model).tokens);
        self.settle(model, &Usage { input, output, cache_read: 0, cache_write })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Usage;
    use crate::Catalogue;

    #[test]
    fn one_call_reserved_settled_and_overrun() {
        let catalogue = Catalogue::builtin();
        let model = catalogue.model("us.anthropic.claude-sonnet-5");
        let usage = |output| Usage { input: 3_000, output, cache_read: 4_000, cache_write: 1_000 };
        assert_eq!(catalogue.reserve(&model, 3_000, 4_000, 1_000, Some(8_000)), 16_000);
        assert_eq!(catalogue.settle(&model, &usage(900)), 13_000);
        assert_eq!(catalogue.settle(&model, &usage(1_500)), 19_000);
        assert_eq!(catalogue.worst_case(&model, 3_000, 1_000, Some(8_000)), 84_000);
    }

    #[test]
    fn an_omitted_maximum_reserves_the_models_own() {
        let overrides = json!({ "models": { "anthropic.claude-sonnet-5": { "max_output_tokens": 64_000 } } });
        let catalogue = Catalogue::with_overrides(&overrides).unwrap();
        let model = catalogue.model("us.anthropic.claude-sonnet-5");
        assert_eq!(catalogue.reserve(&model, 3_000, 4_000, 1_000, None), 72_000);
    }

    /// Settled figures that a third party read off the CloudWatch metric `EstimatedTPMQuotaUsage` on 2026-10-09
    /// (Sonnet 4.6, one call per minute).
    #[test]
    fn measured_settlements() {
        let catalogue = Catalogue::builtin();
        let model = catalogue.model("us.anthropic.claude-sonnet-4-6");
        let settle = |input, output, cache_read, cache_write| {
            catalogue.settle(&model, &Usage { input, output, cache_read, cache_write })
        };
        assert_eq!(settle(26, 1_203, 0, 0), 6_041);
        assert_eq!(settle(13, 4, 0, 8_814), 8_847);
        assert_eq!(settle(13, 4, 8_814, 0), 33);
        assert_eq!(settle(14, 4, 0, 0), 34, "a short answer under a maximum of 8,000");
    }

    #[test]
    fn the_policy_can_leave_cache_reads_out() {
        let catalogue = Catalogue::with_overrides(&json!({ "reserve_cache_reads": false })).unwrap();
        let model = catalogue.model("us.anthropic.claude-sonnet-5");
        assert_eq!(catalogue.reserve(&model, 3_000, 4_000, 1_000, Some(8_000)), 12_000);
    }

    #[test]
    fn sums_saturate() {
        let catalogue = Catalogue::builtin();
        let model = catalogue.model("us.anthropic.claude-sonnet-5");
        assert_eq!(catalogue.reserve(&model, u64::MAX, 1, 1, None), u64::MAX);
        assert_eq!(catalogue.settle(&model, &Usage { output: u64::MAX, ..Usage::default() }), u64::MAX);
    }
}
