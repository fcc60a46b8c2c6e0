//! The simulated service as data.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::error::ErrorKind;
use crate::quantile::{Quantiles, azure_conversation_output};

/// Thousandths that make a whole.
pub const WHOLE_PERMILLE: u32 = 1000;
/// Default bucket size: one full minute of quota.
pub const DEFAULT_BURST_PERMILLE: u32 = 1000;
/// Default fill of the bucket at the start: full.
pub const DEFAULT_START_PERMILLE: u32 = 1000;
/// Default output multiplier: the one of every model family without a higher rate (Bedrock user guide, "Token burndown").
pub const DEFAULT_OUTPUT_MULTIPLIER: u64 = 1;
/// Default model maximum of output tokens.
pub const DEFAULT_MAX_OUTPUT_TOKENS: u64 = 8_192;
/// Default time to the first token of an empty prompt: 0.5 s.
pub const DEFAULT_FIRST_TOKEN_US: u64 = 500_000;
/// Default prefill time: 50 µs per input token.
pub const DEFAULT_PER_INPUT_TOKEN_NS: u64 = 50_000;
/// Default generation speed, in tokens per second.
pub const DEFAULT_TOKENS_PER_SECOND: u64 = 80;
/// Default tokenizer: 4.2 bytes of UTF-8 per token, the mean of English prose.
pub const DEFAULT_BYTES_PER_TOKEN_PERMILLE: u32 = 4_200;

/// Default life of a cached prefix after its last use: five minutes (Bedrock user guide, "Prompt caching").
pub const DEFAULT_CACHE_TTL_US: u64 = 300_000_000;
/// Default length below which a prefix is not cached: that of Claude Sonnet 4.5 (ibid.).
pub const DEFAULT_CACHE_MIN_TOKENS: u64 = 1_024;
/// Default number of times a minute at which another user of the account takes his share.
pub const DEFAULT_TAKES_PER_MINUTE: u32 = 30;

/// The whole service: every lane it offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// The lanes, one per Region and model.
    pub lanes: Vec<LaneConfig>,
    /// When the day of the daily quota turns, in microseconds after each multiple of 24 hours.
    #[serde(default)]
    pub day_phase_us: u64,
}

/// One Region and model: its quotas, its speed, its troubles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneConfig {
    /// Source Region, such as `us-east-1`.
    pub region: String,
    /// The model id or inference profile that callers send.
    pub model: String,
    /// Further ids that draw on the same quotas, such as the ARN.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Requests per minute; absent: unlimited.
    #[serde(default)]
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute, input and output together; absent: unlimited.
    #[serde(default)]
    pub tokens_per_minute: Option<u64>,
    /// Tokens per day. What counts against it is the sum over all lanes of the Region, as AWS counts "Cross-Model Max
    /// Tokens Per Day" (Bedrock user guide, "Quotas for the bedrock-runtime endpoint"); absent: this lane is not checked.
    #[serde(default)]
    pub tokens_per_day: Option<u64>,
    /// Attempts in flight at most; one more is refused with 503. Absent: unlimited.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// How the minute quotas refill.
    #[serde(default)]
    pub law: Law,
    /// Quota tokens per output token at settlement.
    #[serde(default = "defaults::output_multiplier")]
    pub output_multiplier: u64,
    /// Whether cached input counts in the reservation; it never counts at settlement. AWS's agent-toolkit-for-aws says
    /// that it does.
    #[serde(default = "defaults::yes")]
    pub reserve_cache_reads: bool,
    /// Share of one request that an attempt refused for quota or capacity takes from the requests per minute, in
    /// thousandths. Whether the real service does so is not documented.
    #[serde(default)]
    pub refusal_cost_permille: u32,
    /// The model's longest output: reserved where `max_tokens` is omitted, and a cap where it is larger.
    #[serde(default = "defaults::max_output_tokens")]
    pub max_output_tokens: u64,
    /// Time to the first token of an empty prompt, in microseconds.
    #[serde(default = "defaults::first_token_us")]
    pub first_token_us: u64,
    /// Further time to the first token per uncached input token, in nanoseconds.
    #[serde(default = "defaults::per_input_token_ns")]
    pub per_input_token_ns: u64,
    /// Output tokens per second; at least 1.
    #[serde(default = "defaults::tokens_per_second")]
    pub tokens_per_second: u64,
    /// Bytes of UTF-8 per input token, in thousandths; at least 1. Used by whoever has text and not counts.
    #[serde(default = "defaults::bytes_per_token_permille")]
    pub bytes_per_token_permille: u32,
    /// How long outputs want to be, in tokens, where an attempt does not say.
    #[serde(default = "azure_conversation_output")]
    pub output_lengths: Quantiles,
    /// How long a cached prefix lives after its last use, in microseconds; 0 is no cache.
    #[serde(default = "defaults::cache_ttl_us")]
    pub cache_ttl_us: u64,
    /// The shortest prefix that is cached.
    #[serde(default = "defaults::cache_min_tokens")]
    pub cache_min_tokens: u64,
    /// Somebody else in the account who draws on the same quotas.
    #[serde(default)]
    pub other_user: Option<OtherUser>,
    /// What goes wrong, and when.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

/// Another user of the account: takes his share of the minute quotas whatever we do, at random moments.
///
/// He is not refused, so that his share is exact: where nothing is left, he leaves a debt to us. Fixed minutes forget debts,
/// so there he gets no more than what we leave him.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherUser {
    /// His share in thousandths of the declared quotas, on average.
    pub share_permille: u32,
    /// How often he takes, on average; each time the same part. Few takes are large ones. At least 1.
    #[serde(default = "defaults::takes_per_minute")]
    pub takes_per_minute: u32,
    /// Decides when, together with the seed of a scenario ([`Scenario::seeded`](crate::Scenario::seeded)).
    #[serde(default)]
    pub seed: u64,
}

mod defaults {
    pub(super) const fn yes() -> bool {
        true
    }
    pub(super) const fn output_multiplier() -> u64 {
        super::DEFAULT_OUTPUT_MULTIPLIER
    }
    pub(super) const fn max_output_tokens() -> u64 {
        super::DEFAULT_MAX_OUTPUT_TOKENS
    }
    pub(super) const fn first_token_us() -> u64 {
        super::DEFAULT_FIRST_TOKEN_US
    }
    pub(super) const fn per_input_token_ns() -> u64 {
        super::DEFAULT_PER_INPUT_TOKEN_NS
    }
    pub(super) const fn tokens_per_second() -> u64 {
        super::DEFAULT_TOKENS_PER_SECOND
    }
    pub(super) const fn bytes_per_token_permille() -> u32 {
        super::DEFAULT_BYTES_PER_TOKEN_PERMILLE
    }
    pub(super) const fn cache_ttl_us() -> u64 {
        super::DEFAULT_CACHE_TTL_US
    }
    pub(super) const fn cache_min_tokens() -> u64 {
        super::DEFAULT_CACHE_MIN_TOKENS
    }
    pub(super) const fn takes_per_minute() -> u32 {
        super::DEFAULT_TAKES_PER_MINUTE
    }
    pub(super) const fn burst_permille() -> u32 {
        super::DEFAULT_BURST_PERMILLE
    }
    pub(super) const fn start_permille() -> u32 {
        super::DEFAULT_START_PERMILLE
    }
}

/// How a minute quota refills. In files: `"sliding"`, `{"fixed": {"phase_us": 0}}`, `"fixed_drawn"`, `{"continuous": {}}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Law {
    /// Evenly, into a bucket.
    Continuous {
        /// Size of the bucket in thousandths of a minute's quota. What is larger than the bucket is never admitted.
        #[serde(default = "defaults::burst_permille")]
        burst_permille: u32,
        /// How full the bucket is at the start, in thousandths of its size.
        #[serde(default = "defaults::start_permille")]
        start_permille: u32,
    },
    /// All at once when the minute turns.
    Fixed {
        /// When it turns, in microseconds after each multiple of 60 s.
        #[serde(default)]
        phase_us: u64,
    },
    /// The same at a moment that [`Scenario::seeded`](crate::Scenario::seeded) draws for each lane; before that, at 0.
    FixedDrawn,
    /// Each unit 60 s after it was taken.
    Sliding,
}

impl Default for Law {
    fn default() -> Self {
        Self::Continuous { burst_permille: DEFAULT_BURST_PERMILLE, start_permille: DEFAULT_START_PERMILLE }
    }
}

/// Something that goes wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Start, in microseconds after the origin.
    pub from_us: u64,
    /// End (no longer wrong then), in microseconds after the origin.
    pub to_us: u64,
    /// What goes wrong.
    pub effect: Effect,
}

impl Fault {
    /// The same trouble again and again from `from_us` on and before `to_us`: `wrong_us` of it, then `well_us` without.
    /// At most [`MAX_FLAPS`](Self::MAX_FLAPS) times; none if it never lasts.
    ///
    /// ```
    /// use sluicegate_sim::{Effect, Fault};
    ///
    /// let flaps = Fault::flapping(0, 50_000_000, 5_000_000, 15_000_000, Effect::Outage);
    /// let spans: Vec<_> = flaps.iter().map(|fault| (fault.from_us, fault.to_us)).collect();
    /// assert_eq!(spans, [(0, 5_000_000), (20_000_000, 25_000_000), (40_000_000, 45_000_000)]);
    /// ```
    #[must_use]
    pub fn flapping(from_us: u64, to_us: u64, wrong_us: u64, well_us: u64, effect: Effect) -> Vec<Self> {
        let period = wrong_us.saturating_add(well_us);
        let starts = core::iter::successors(Some(from_us), |at| at.checked_add(period));
        let fault = |at: u64| Self { from_us: at, to_us: at.saturating_add(wrong_us).min(to_us), effect };
        match wrong_us {
            0 => Vec::new(),
            _ => starts.take_while(|at| *at < to_us).take(Self::MAX_FLAPS).map(fault).collect(),
        }
    }

    /// The end of trouble whose end nobody knows yet: 142 years, a number that every language can hold.
    pub const OPEN_END_US: u64 = 1 << 52;

    /// Repetitions at most.
    pub const MAX_FLAPS: usize = 10_000;
}

/// What goes wrong. In files: `"outage"`, `{"slow": {"factor_permille": 3000}}`. Shares are thousandths of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Every attempt is refused with 503.
    Outage,
    /// Only this many thousandths of the lane's slots remain. Attempts in flight go on.
    Capacity {
        /// Thousandths of `concurrency`.
        permille: u32,
    },
    /// Attempts admitted meanwhile take longer.
    Slow {
        /// Duration in thousandths of the usual one.
        factor_permille: u32,
    },
    /// A share of the attempts is refused with an error, before any work.
    Error {
        /// Which error.
        error: ErrorKind,
        /// How many of the attempts.
        share_permille: u32,
        /// `Retry-After` of the reply, in seconds.
        #[serde(default)]
        retry_after_s: Option<u32>,
    },
    /// A share of the attempts is admitted and fails on the way: in the stream, or as the reply of an attempt that does
    /// not stream. The output so far is charged.
    StreamError {
        /// Which error.
        error: ErrorKind,
        /// Output tokens before it; 0 is before the first.
        after_output_tokens: u64,
        /// How many of the attempts.
        share_permille: u32,
    },
    /// A share of the connections is cut without a reply, before any work.
    ConnectionReset {
        /// How many of the attempts.
        share_permille: u32,
    },
    /// The minute quotas are this many thousandths of what was declared: another user, or a lower applied value.
    QuotaFactor {
        /// Thousandths of the declared quotas.
        permille: u32,
    },
}

/// One thing wrong with a [`ServiceConfig`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// JSON pointer to the value.
    pub path: String,
    /// Stable, in snake case.
    pub code: &'static str,
}

/// Everything wrong with a [`ServiceConfig`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<ConfigFault>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated service cannot be built:")?;
        self.0.iter().try_for_each(|fault| write!(f, " {}: {};", fault.path, fault.code))
    }
}

impl core::error::Error for ConfigError {}

impl ServiceConfig {
    /// A service of these lanes.
    #[must_use]
    pub const fn new(lanes: Vec<LaneConfig>) -> Self {
        Self { lanes, day_phase_us: 0 }
    }

    /// Everything wrong with this configuration; empty if a service can be built from it.
    #[must_use]
    pub fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |path: String, code| faults.push(ConfigFault { path, code });
        if self.lanes.is_empty() {
            fault("/lanes".to_owned(), "no_lanes");
        }
        let mut seen = std::collections::BTreeSet::new();
        for (index, lane) in self.lanes.iter().enumerate() {
            for model in lane.ids() {
                if !seen.insert((lane.region.as_str(), model)) {
                    fault(format!("/lanes/{index}"), "duplicate_lane");
                }
            }
            if lane.tokens_per_second == 0 {
                fault(format!("/lanes/{index}/tokens_per_second"), "zero");
            }
            if lane.bytes_per_token_permille == 0 {
                fault(format!("/lanes/{index}/bytes_per_token_permille"), "zero");
            }
            if lane.other_user.is_some_and(|user| user.takes_per_minute == 0) {
                fault(format!("/lanes/{index}/other_user/takes_per_minute"), "zero");
            }
            if lane.other_user.is_some_and(|user| user.share_permille > WHOLE_PERMILLE) {
                fault(format!("/lanes/{index}/other_user/share_permille"), "share_above_whole");
            }
            if !lane.output_lengths.is_in_order() {
                fault(format!("/lanes/{index}/output_lengths"), "not_in_order");
            }
            for (at, trouble) in lane.faults.iter().enumerate() {
                let path = format!("/lanes/{index}/faults/{at}");
                if trouble.from_us >= trouble.to_us {
                    fault(format!("{path}/to_us"), "empty_interval");
                }
                let share = match trouble.effect {
                    Effect::Error { share_permille, .. }
                    | Effect::StreamError { share_permille, .. }
                    | Effect::ConnectionReset { share_permille } => share_permille,
                    _ => 0,
                };
                if share > WHOLE_PERMILLE {
                    fault(format!("{path}/effect"), "share_above_whole");
                }
                if matches!(trouble.effect, Effect::Capacity { .. }) && lane.concurrency.is_none() {
                    fault(format!("{path}/effect"), "capacity_without_concurrency");
                }
            }
        }
        faults
    }
}

impl LaneConfig {
    /// A lane without limits, at the default speed.
    #[must_use]
    pub fn new(region: &str, model: &str) -> Self {
        Self {
            region: region.to_owned(),
            model: model.to_owned(),
            aliases: Vec::new(),
            requests_per_minute: None,
            tokens_per_minute: None,
            tokens_per_day: None,
            concurrency: None,
            law: Law::default(),
            output_multiplier: DEFAULT_OUTPUT_MULTIPLIER,
            reserve_cache_reads: true,
            refusal_cost_permille: 0,
            max_output_tokens: DEFAULT_MAX_OUTPUT_TOKENS,
            first_token_us: DEFAULT_FIRST_TOKEN_US,
            per_input_token_ns: DEFAULT_PER_INPUT_TOKEN_NS,
            tokens_per_second: DEFAULT_TOKENS_PER_SECOND,
            bytes_per_token_permille: DEFAULT_BYTES_PER_TOKEN_PERMILLE,
            output_lengths: azure_conversation_output(),
            cache_ttl_us: DEFAULT_CACHE_TTL_US,
            cache_min_tokens: DEFAULT_CACHE_MIN_TOKENS,
            other_user: None,
            faults: Vec::new(),
        }
    }

    /// Every id that leads to this lane.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        core::iter::once(self.model.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_file_is_enough_and_equals_the_builder() {
        let text = r#"{"lanes": [{"region": "us-east-1", "model": "m"}]}"#;
        let config: ServiceConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config, ServiceConfig::new(vec![LaneConfig::new("us-east-1", "m")]));
        let again: ServiceConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn laws_and_effects_read_as_documented() {
        for (text, law) in [
            (r#""sliding""#, Law::Sliding),
            (r#"{"fixed": {"phase_us": 5}}"#, Law::Fixed { phase_us: 5 }),
            (r#"{"continuous": {}}"#, Law::default()),
        ] {
            assert_eq!(serde_json::from_str::<Law>(text).unwrap(), law);
        }
        assert!(serde_json::from_str::<Law>(r#"{"fixed": {"phase": 5}}"#).is_err());
        assert_eq!(serde_json::from_str::<Effect>(r#""outage""#).unwrap(), Effect::Outage);
        assert!(serde_json::from_str::<ServiceConfig>(r#"{"lanes": [], "more": 1}"#).is_err());
    }

    #[test]
    fn every_fault_is_listed_with_its_pointer() {
        let mut lane = LaneConfig::new("r", "m");
        lane.aliases.push("m".to_owned());
        lane.tokens_per_second = 0;
        lane.bytes_per_token_permille = 0;
        lane.output_lengths = Quantiles::new(vec![]);
        lane.faults.push(Fault { from_us: 5, to_us: 5, effect: Effect::Capacity { permille: 1 } });
        lane.faults.push(Fault { from_us: 5, to_us: 6, effect: Effect::ConnectionReset { share_permille: 1001 } });
        let codes: Vec<_> = ServiceConfig::new(vec![lane]).faults().into_iter().map(|fault| fault.code).collect();
        let all = ["duplicate_lane", "zero", "zero", "not_in_order"];
        assert_eq!(codes[..4], all);
        assert_eq!(codes[4..], ["empty_interval", "capacity_without_concurrency", "share_above_whole"]);
        assert_eq!(ServiceConfig::new(vec![]).faults()[0].path, "/lanes");
    }
}
