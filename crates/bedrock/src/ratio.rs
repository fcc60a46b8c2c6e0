//! How many bytes of text make a token, learnt from what the service says it counted.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{BedrockModel, Catalogue, RequestShape, Usage};

/// The least bytes per 1,000 tokens that is believed: one byte per token.
pub const MIN_BYTES_PER_1000_TOKENS: u64 = 1_000;

/// The most bytes per 1,000 tokens that is believed: twelve bytes per token.
pub const MAX_BYTES_PER_1000_TOKENS: u64 = 12_000;

/// The most models whose ratio is remembered; beyond it the one that was observed longest ago is forgotten.
pub const MAX_LEARNT_MODELS: usize = 64;

/// The starting ratio weighs as much as an observation of this many tokens.
const PRIOR_TOKENS: u64 = 2_000;

/// An observation keeps 15/16 of its weight at each later one.
const DECAY: u64 = 16;

/// No observation counts for more tokens than this, so that one huge prompt cannot drown the rest.
const MAX_OBSERVED_TOKENS: u64 = 1 << 20;

/// Sums are kept in 1/256 of a unit, so that the decay does not round small ones away.
const SCALE: u64 = 256;

/// Bytes per token for each model, learnt from the usage that comes back.
///
/// For each model two sums are kept, of bytes and of tokens, weighted by size and by age: at each observation the older
/// ones lose 1/16 of their weight, so the last 30 or so decide. The ratio of the sums starts from
/// [`Catalogue::bytes_per_1000_tokens`] and stays within [`MIN_BYTES_PER_1000_TOKENS`] and
/// [`MAX_BYTES_PER_1000_TOKENS`], as does each observation before it counts. At most [`MAX_LEARNT_MODELS`] models are
/// kept. It can be stored and restored through serde; what is restored is held to the same bounds.
///
/// ```
/// use sluicegate_bedrock::{Catalogue, Ratios};
///
/// let catalogue = Catalogue::builtin();
/// let model = catalogue.model("amazon.nova-lite-v1:0");
/// let mut ratios = Ratios::new();
/// assert_eq!(ratios.bytes_per_1000_tokens(&catalogue, &model), 3_500);
/// for _ in 0..100 {
///     ratios.observe(&catalogue, &model, 4_200, 1_000);
/// }
/// assert_eq!(ratios.bytes_per_1000_tokens(&catalogue, &model), 4_199);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Row>", into = "Vec<Row>")]
pub struct Ratios {
    /// In the order of their names.
    models: Vec<(String, Learnt)>,
    clock: u64,
}

/// Sums in 1/256 of a byte and of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Learnt {
    bytes: u64,
    tokens: u64,
    seen: u64,
}

/// What is stored of one model; the order of the rows is the order of the last observations.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    model: String,
    bytes: u64,
    tokens: u64,
}

impl Ratios {
    /// Nothing learnt yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of UTF-8 text per 1,000 input tokens of `model`, from 1,000 to 12,000.
    #[must_use]
    pub fn bytes_per_1000_tokens(&self, catalogue: &Catalogue, model: &BedrockModel) -> u64 {
        let learnt = self.place(key(model)).ok().and_then(|place| self.models.get(place));
        let ratio = match learnt {
            Some((_, learnt)) => learnt.bytes.saturating_mul(1_000) / learnt.tokens.max(1),
            None => catalogue.bytes_per_1000_tokens(model),
        };
        ratio.clamp(MIN_BYTES_PER_1000_TOKENS, MAX_BYTES_PER_1000_TOKENS)
    }

    /// Input tokens that `model` will probably count for a request of this shape, rounded up.
    #[must_use]
    pub fn input_tokens(&self, catalogue: &Catalogue, model: &BedrockModel, shape: &RequestShape) -> u64 {
        let ratio = self.bytes_per_1000_tokens(catalogue, model);
        let text = shape.text_bytes.saturating_mul(1_000).div_ceil(ratio);
        let images = u64::from(shape.images).saturating_mul(catalogue.image_tokens(model));
        text.saturating_add(images).saturating_add(shape.other_media_tokens())
    }

    /// Learns from one request: its text was `bytes` long and the service counted `input_tokens`, those read from or
    /// written to the prompt cache included. Only for requests without images and documents. Zero on either side
    /// teaches nothing.
    pub fn observe(&mut self, catalogue: &Catalogue, model: &BedrockModel, bytes: u64, input_tokens: u64) {
        if bytes == 0 || input_tokens == 0 {
            return;
        }
        let (mut bytes, mut tokens) = (bytes, input_tokens);
        if tokens > MAX_OBSERVED_TOKENS {
            bytes = mul_div(bytes, MAX_OBSERVED_TOKENS, tokens);
            tokens = MAX_OBSERVED_TOKENS;
        }
        let bytes = bytes
            .clamp((tokens * MIN_BYTES_PER_1000_TOKENS).div_ceil(1_000), tokens * MAX_BYTES_PER_1000_TOKENS / 1_000);
        self.clock = self.clock.saturating_add(1);
        let clock = self.clock;
        let start = catalogue.bytes_per_1000_tokens(model);
        let prior = Learnt { bytes: PRIOR_TOKENS * start / 1_000 * SCALE, tokens: PRIOR_TOKENS * SCALE, seen: 0 };
        let learnt = self.of_model(key(model), prior);
        learnt.bytes = learnt.bytes - learnt.bytes / DECAY + bytes * SCALE;
        learnt.tokens = learnt.tokens - learnt.tokens / DECAY + tokens * SCALE;
        learnt.seen = clock;
        self.evict();
    }

    /// Learns from a request's shape and the usage that came back, unless it held anything but text.
    pub fn observe_request(
        &mut self,
        catalogue: &Catalogue,
        model: &BedrockModel,
        shape: &RequestShape,
        usage: &Usage,
    ) {
        if shape.is_text_only() {
            self.observe(catalogue, model, shape.text_bytes, usage.total_input());
        }
    }

    /// How many models something is known of, at most [`MAX_LEARNT_MODELS`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether nothing is learnt yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.models.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// What is known of a model; `fresh` where that was nothing.
    fn of_model(&mut self, name: &str, fresh: Learnt) -> &mut Learnt {
        let place = self.place(name).unwrap_or_else(|place| {
            self.models.insert(place, (name.to_string(), fresh));
            place
        });
        &mut self.models[place].1
    }

    fn evict(&mut self) {
        while self.models.len() > MAX_LEARNT_MODELS {
            let oldest = self.models.iter().enumerate().min_by_key(|(_, (_, learnt))| learnt.seen);
            let Some((oldest, _)) = oldest else { return };
            self.models.remove(oldest);
        }
    }
}

impl From<Vec<Row>> for Ratios {
    fn from(rows: Vec<Row>) -> Self {
        let mut ratios = Self::new();
        // The largest sums that observations can build up.
        let most_tokens = MAX_OBSERVED_TOKENS * SCALE * DECAY;
        for row in rows {
            ratios.clock += 1;
            let tokens = row.tokens.clamp(1, most_tokens);
            let bytes = row.bytes.clamp(tokens, tokens * MAX_BYTES_PER_1000_TOKENS / 1_000);
            let learnt = Learnt { bytes, tokens, seen: ratios.clock };
            *ratios.of_model(&row.model, learnt) = learnt;
            ratios.evict();
        }
        ratios
    }
}

impl From<Ratios> for Vec<Row> {
    fn from(ratios: Ratios) -> Self {
        let mut learnt = ratios.models;
        learnt.sort_by_key(|(_, learnt)| learnt.seen);
        learnt.into_iter().map(|(model, sums)| Row { model, bytes: sums.bytes, tokens: sums.tokens }).collect()
    }
}

/// What a model's ratio is filed under: its family, since neither Region nor profile changes the tokenizer.
fn key(model: &BedrockModel) -> &str {
    model.family().unwrap_or(model.id())
}

fn mul_div(value: u64, by: u64, of: u64) -> u64 {
    let result = u128::from(value) * u128::from(by) / u128::from(of.max(1));
    u64::try_from(result).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::{MAX_LEARNT_MODELS, Ratios};
    use crate::{Catalogue, RequestShape, Usage};

    #[test]
    fn a_ratio_follows_what_comes_back() {
        let catalogue = Catalogue::builtin();
        let model = catalogue.model("us.anthropic.claude-sonnet-4-5-20250929-v1:0");
        let mut ratios = Ratios::new();
        ratios.observe(&catalogue, &model, 4_000, 2_000);
        let first = ratios.bytes_per_1000_tokens(&catalogue, &model);
        assert!((2_700..2_800).contains(&first), "half way from 3,500 to 2,000: {first}");
        for _ in 0..80 {
            ratios.observe(&catalogue, &model, 4_000, 2_000);
        }
        assert!((2_000..=2_005).contains(&ratios.bytes_per_1000_tokens(&catalogue, &model)));
        // The profile of another geography is the same model.
        let other = catalogue.model("eu.anthropic.claude-sonnet-4-5-20250929-v1:0");
        assert!(ratios.bytes_per_1000_tokens(&catalogue, &other) < 2_010);
    }

    #[test]
    fn absurd_observations_stay_within_bounds() {
        let catalogue = Catalogue::builtin();
        let model = catalogue.model("amazon.nova-lite-v1:0");
        let mut ratios = Ratios::new();
        for (bytes, tokens) in [(0, 5), (5, 0)] {
            ratios.observe(&catalogue, &model, bytes, tokens);
        }
        assert!(ratios.is_empty());
        for (bytes, tokens, expected) in [(u64::MAX, 1, 12_000), (1, u64::MAX, 1_000), (u64::MAX, u64::MAX, 1_000)] {
            for _ in 0..2_000 {
                ratios.observe(&catalogue, &model, bytes, tokens);
            }
            let ratio = ratios.bytes_per_1000_tokens(&catalogue, &model);
            assert!((1_000..=12_000).contains(&ratio), "{ratio}");
            assert!(ratio.abs_diff(expected) <= expected / 100, "{ratio} for {bytes}/{tokens}");
        }
    }

    #[test]
    fn the_longest_unseen_model_is_forgotten() {
        let catalogue = Catalogue::builtin();
        let mut ratios = Ratios::new();
        let model = |number: usize| catalogue.model(&format!("lab.model{number}"));
        for number in 0..MAX_LEARNT_MODELS {
            ratios.observe(&catalogue, &model(number), 6_000_000, 1_000_000);
        }
        ratios.observe(&catalogue, &model(0), 6_000_000, 1_000_000);
        ratios.observe(&catalogue, &model(999), 6_000_000, 1_000_000);
        assert_eq!(ratios.len(), MAX_LEARNT_MODELS);
        assert!(ratios.bytes_per_1000_tokens(&catalogue, &model(0)) > 5_900);
        assert_eq!(ratios.bytes_per_1000_tokens(&catalogue, &model(1)), 3_500);
    }

    #[test]
    fn what_is_stored_comes_back_bounded() {
        let catalogue = Catalogue::builtin();
        let mut ratios = Ratios::new();
        for number in 0..3 {
            ratios.observe(&catalogue, &catalogue.model(&format!("lab.model{number}")), 50_000, 10_000);
        }
        let text = serde_json::to_string(&ratios).unwrap();
        let back: Ratios = serde_json::from_str(&text).unwrap();
        assert_eq!(back, ratios);
        let wild = r#"[{"model":"lab.x","bytes":18446744073709551615,"tokens":0}]"#;
        let wild: Ratios = serde_json::from_str(wild).unwrap();
        assert_eq!(wild.bytes_per_1000_tokens(&catalogue, &catalogue.model("lab.x")), 12_000);
    }

    #[test]
    fn only_text_teaches() {
        let catalogue = Catalogue::builtin();
        let model = catalogue.model("amazon.nova-lite-v1:0");
        let mut ratios = Ratios::new();
        let usage = Usage { input: 10, cache_read: 990, ..Usage::default() };
        ratios.observe_request(&catalogue, &model, &RequestShape::text(4_000, 1), &usage);
        assert!(ratios.is_empty());
        ratios.observe_request(&catalogue, &model, &RequestShape::text(4_000, 0), &usage);
        assert_eq!(ratios.len(), 1);
    }

    #[test]
    fn an_estimate_rounds_up_and_adds_media() {
        let catalogue = Catalogue::builtin();
        let model = catalogue.model("us.anthropic.claude-sonnet-4-5-20250929-v1:0");
        let ratios = Ratios::new();
        assert_eq!(ratios.input_tokens(&catalogue, &model, &RequestShape::text(7_001, 0)), 2_001);
        assert_eq!(ratios.input_tokens(&catalogue, &model, &RequestShape::text(7_000, 2)), 2_000 + 3_200);
        assert_eq!(ratios.input_tokens(&catalogue, &model, &RequestShape::text(0, 0)), 0);
    }
}
