//! The tables: what AWS publishes about models and geographies, and a policy's own figures over them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::Value;
use sluicegate::Fault;

use crate::geography::Geography;
use crate::{BedrockModel, overrides, pattern};

const DATA: &str = include_str!("../data/bedrock.json");

/// How often an output token counts against a token quota.
///
/// Source: <https://docs.aws.amazon.com/bedrock/latest/userguide/quotas-token-burndown.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Burndown {
    /// Quota tokens per output token, at least 1.
    pub rate: u64,
    /// Whether the table or the policy names the model. `false` calls for a warning: AWS changes the table every few
    /// months, and the policy should give the figure.
    pub known: bool,
}

/// The most a model writes in one answer: what the service sets aside where a request names no maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxOutput {
    /// Output tokens.
    pub tokens: u64,
    /// Whether the table or the policy names the model.
    pub known: bool,
}

/// Everything about Bedrock that is data: output rates, output maxima, text ratios, geographies.
///
/// Made once from the embedded file, then kept and shared; parsing it takes well under a millisecond.
///
/// ```
/// use sluicegate_bedrock::Catalogue;
/// use serde_json::json;
///
/// let catalogue = Catalogue::builtin();
/// let opus = catalogue.model("us.anthropic.claude-opus-4-8");
/// assert_eq!(catalogue.burndown(&opus).rate, 15);
///
/// // A model that is newer than the table counts at the highest known rate of its kind, and says so.
/// let newer = catalogue.model("us.anthropic.claude-opus-7");
/// assert!(!catalogue.burndown(&newer).known);
///
/// let overrides = json!({ "models": { "anthropic.claude-opus-7": { "output_multiplier": 10 } } });
/// let catalogue = Catalogue::with_overrides(&overrides).unwrap();
/// let rate = catalogue.burndown(&newer);
/// assert_eq!((rate.rate, rate.known), (10, true));
/// ```
#[derive(Clone, Debug)]
pub struct Catalogue {
    version: String,
    defaults: Defaults,
    providers: Vec<String>,
    models: Vec<ModelRow>,
    pub(crate) overrides: Vec<(String, Figures)>,
    /// In the order of their names.
    geographies: Vec<(String, Geography)>,
    pub(crate) reserve_cache_reads: bool,
}

/// What a row of the models' table, or an override, may say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) output_multiplier: Option<u64>,
    pub(crate) max_output_tokens: Option<u64>,
    pub(crate) bytes_per_1000_tokens: Option<u64>,
    pub(crate) image_tokens: Option<u64>,
}

#[derive(Clone, Debug)]
struct ModelRow {
    r#match: Vec<String>,
    up_to_version: Option<String>,
    figures: Figures,
}

#[derive(Clone, Debug)]
struct Defaults {
    output_multiplier: u64,
    unknown_claude_output_multiplier: u64,
    max_output_tokens: u64,
    bytes_per_1000_tokens: u64,
    image_tokens: u64,
}

// The file is read by hand: what serde derives for it weighs more than all of its figures, where that counts.

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

impl Figures {
    fn of(row: &Value) -> Self {
        let figure = |name| row[name].as_u64();
        Self {
            output_multiplier: figure("output_multiplier"),
            max_output_tokens: figure("max_output_tokens"),
            bytes_per_1000_tokens: figure("bytes_per_1000_tokens"),
            image_tokens: figure("image_tokens"),
        }
    }
}

impl ModelRow {
    fn of(row: &Value) -> Self {
        let up_to_version = row["up_to_version"].as_str().map(ToOwned::to_owned);
        Self { r#match: texts(&row["match"]), up_to_version, figures: Figures::of(row) }
    }
}

impl Defaults {
    fn of(defaults: &Value) -> Self {
        let figure = |name| defaults[name].as_u64().unwrap_or_default();
        Self {
            output_multiplier: figure("output_multiplier"),
            unknown_claude_output_multiplier: figure("unknown_claude_output_multiplier"),
            max_output_tokens: figure("max_output_tokens"),
            bytes_per_1000_tokens: figure("bytes_per_1000_tokens"),
            image_tokens: figure("image_tokens"),
        }
    }
}

impl Catalogue {
    /// The embedded tables.
    #[must_use]
    pub fn builtin() -> Self {
        // It is part of the crate, and a test holds it to what is read here.
        let data: Value = serde_json::from_slice(DATA.as_bytes()).unwrap_or_default();
        let mut catalogue = Self {
            version: text(&data["version"]),
            defaults: Defaults::of(&data["defaults"]),
            providers: texts(&data["providers"]),
            models: data["models"].as_array().into_iter().flatten().map(ModelRow::of).collect(),
            overrides: Vec::new(),
            geographies: Vec::new(),
            reserve_cache_reads: true,
        };
        for (name, row) in data["geographies"].as_object().into_iter().flatten() {
            let profile = row["profile"].as_bool().unwrap_or_default();
            catalogue.set_geography(name.clone(), Geography { profile, regions: texts(&row["regions"]) });
        }
        catalogue
    }

    fn place(&self, geography: &str) -> Result<usize, usize> {
        self.geographies.binary_search_by(|(name, _)| name.as_str().cmp(geography))
    }

    pub(crate) fn geography_named(&self, name: &str) -> Option<&(String, Geography)> {
        self.geographies.get(self.place(name).ok()?)
    }

    /// All geographies in the order of their names.
    pub(crate) fn geographies(&self) -> &[(String, Geography)] {
        &self.geographies
    }

    /// Adds a geography, or replaces the one of that name.
    pub(crate) fn set_geography(&mut self, name: String, geography: Geography) {
        match self.place(&name) {
            Ok(place) => self.geographies[place].1 = geography,
            Err(place) => self.geographies.insert(place, (name, geography)),
        }
    }

    /// The embedded tables under a policy's section `data.bedrock`; `null` is an empty section.
    ///
    /// ```json
    /// {
    ///   "reserve_cache_reads": true,
    ///   "models": {
    ///     "anthropic.claude-opus-7*": {
    ///       "output_multiplier": 10, "max_output_tokens": 128000, "bytes_per_1000_tokens": 2700, "image_tokens": 4800
    ///     }
    ///   },
    ///   "geographies": { "kr": { "regions": ["ap-northeast-2"], "profile": true } }
    /// }
    /// ```
    ///
    /// A model is named by its id, its base id, its family or an ARN, with `*` for any run of characters; the most
    /// specific name that gives a figure wins, and any override wins over the embedded tables. A geography replaces the
    /// embedded one of the same name; `profile` (default `true`) says that profile ids start with it.
    ///
    /// # Errors
    /// Every fault in the section, each with a code of [`sluicegate::FAULT_CODES`] and the JSON pointer to it,
    /// counted from the policy's root.
    pub fn with_overrides(section: &Value) -> Result<Self, Vec<Fault>> {
        let mut catalogue = Self::builtin();
        let faults = overrides::apply(&mut catalogue, section);
        if faults.is_empty() { Ok(catalogue) } else { Err(faults) }
    }

    /// The date of the embedded tables, as `YYYY-MM-DD`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Takes a `modelId` apart.
    #[must_use]
    pub fn model(&self, id: &str) -> BedrockModel {
        BedrockModel::parse(
            id,
            |name| self.geography_named(name).is_some_and(|(_, geography)| geography.profile),
            |name| self.providers.iter().any(|provider| provider == name),
        )
    }

    /// How often an output token of `model` counts.
    ///
    /// For a Claude that no row names, and for an ARN that hides its model (it may be a Claude), this is the highest
    /// known rate, marked unknown. Too high a figure slows calls down and can be seen and overridden; too low a one
    /// overruns the quota, and that ends in refusals that no client-side count explains.
    #[must_use]
    pub fn burndown(&self, model: &BedrockModel) -> Burndown {
        if let Some(rate) = self.figure(model, |figures| figures.output_multiplier) {
            return Burndown { rate, known: true };
        }
        if model.is_claude() || model.family().is_none() {
            return Burndown { rate: self.defaults.unknown_claude_output_multiplier, known: false };
        }
        Burndown { rate: self.defaults.output_multiplier, known: true }
    }

    /// The most output tokens `model` gives in one answer.
    #[must_use]
    pub fn max_output(&self, model: &BedrockModel) -> MaxOutput {
        match self.figure(model, |figures| figures.max_output_tokens) {
            Some(tokens) => MaxOutput { tokens, known: true },
            None => MaxOutput { tokens: self.defaults.max_output_tokens, known: false },
        }
    }

    /// Bytes of UTF-8 text per 1,000 input tokens that a model starts with, before anything is learnt. The embedded
    /// figures are guesses from published measurements of English text and source code.
    #[must_use]
    pub fn bytes_per_1000_tokens(&self, model: &BedrockModel) -> u64 {
        self.figure(model, |figures| figures.bytes_per_1000_tokens).unwrap_or(self.defaults.bytes_per_1000_tokens)
    }

    /// Input tokens that one image is taken for: the most a Claude model of that generation counts for one
    /// (<https://platform.claude.com/docs/en/vision>), and a guess for the others.
    #[must_use]
    pub fn image_tokens(&self, model: &BedrockModel) -> u64 {
        self.figure(model, |figures| figures.image_tokens).unwrap_or(self.defaults.image_tokens)
    }

    /// Whether reads from the prompt cache are part of a reservation. See [`Catalogue::reserve`].
    #[must_use]
    pub const fn reserves_cache_reads(&self) -> bool {
        self.reserve_cache_reads
    }

    /// The most specific figure that an override or, failing that, a row of the tables gives for `model`.
    fn figure(&self, model: &BedrockModel, pick: fn(&Figures) -> Option<u64>) -> Option<u64> {
        let names = [Some(model.id()), model.base(), model.family()];
        let hit = |pattern: &str| names.iter().flatten().any(|name| pattern::matches(pattern, name));
        let own = self
            .overrides
            .iter()
            .filter_map(|(pattern, figures)| Some((pattern.as_str(), pick(figures)?)))
            .filter(|(pattern, _)| hit(pattern))
            .max_by_key(|(pattern, _)| pattern::specificity(pattern));
        if let Some((_, figure)) = own {
            return Some(figure);
        }
        self.models
            .iter()
            .filter(|row| row.covers(model))
            .filter_map(|row| Some((row, pick(&row.figures)?)))
            .flat_map(|(row, figure)| row.r#match.iter().map(move |pattern| (row, pattern, figure)))
            .filter(|(_, pattern, _)| model.family().is_some_and(|family| pattern::matches(pattern, family)))
            .max_by_key(|(row, pattern, _)| (pattern::specificity(pattern), row.up_to_version.is_some()))
            .map(|(_, _, figure)| figure)
    }
}

impl Default for Catalogue {
    /// [`Catalogue::builtin`].
    fn default() -> Self {
        Self::builtin()
    }
}

impl ModelRow {
    /// Whether the row's bound on the version, if it has one, holds for `model`.
    fn covers(&self, model: &BedrockModel) -> bool {
        let Some(bound) = &self.up_to_version else { return true };
        match (parse_version(bound), model.claude_version()) {
            (Some(bound), Some(version)) => version <= bound,
            _ => false,
        }
    }
}

fn parse_version(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use serde_json::Value;

    use super::{Catalogue, DATA, Defaults, Figures, ModelRow, parse_version};

    #[test]
    fn the_embedded_file_is_sound() {
        let catalogue = Catalogue::builtin();
        assert_eq!(catalogue.version(), "2026-11-22");
        let data: Value = serde_json::from_str(DATA).unwrap();
        assert_eq!(catalogue.providers.len(), data["providers"].as_array().unwrap().len());
        assert!(!catalogue.providers.is_empty() && !catalogue.providers.contains(&String::new()));
        assert_eq!(catalogue.models.len(), data["models"].as_array().unwrap().len());
        let figures = |row: &ModelRow| {
            let Figures { output_multiplier, max_output_tokens, bytes_per_1000_tokens, image_tokens } = row.figures;
            [output_multiplier, max_output_tokens, bytes_per_1000_tokens, image_tokens].iter().flatten().count()
                + usize::from(row.up_to_version.is_some())
        };
        for (row, written) in catalogue.models.iter().zip(data["models"].as_array().unwrap()) {
            assert!(!row.r#match.is_empty() && !row.r#match.contains(&String::new()), "{written}");
            assert_eq!(figures(row) + 2, written.as_object().unwrap().len(), "{written}");
        }
        let Defaults { bytes_per_1000_tokens, image_tokens, .. } = catalogue.defaults;
        assert_eq!((bytes_per_1000_tokens, image_tokens), (3_500, 1_600));
        assert_eq!(catalogue.geographies.len(), data["geographies"].as_object().unwrap().len());
        assert!(catalogue.geographies.iter().all(|(_, geography)| !geography.regions.is_empty()));
        // In a file of their own: nobody needs them while calls are made.
        let sources: Value = serde_json::from_str(include_str!("../data/sources.json")).unwrap();
        let sources = sources.as_object().unwrap();
        let rows = data["models"].as_array().unwrap().iter();
        for row in rows.chain(data["geographies"].as_object().unwrap().values()).chain([&data["defaults"]]) {
            let named = row["sources"].as_array().unwrap();
            assert!(!named.is_empty(), "{row}");
            assert!(named.iter().all(|name| sources.contains_key(name.as_str().unwrap())), "{row}");
        }
        let known = ["match", "up_to_version", "sources", "output_multiplier", "max_output_tokens"];
        for row in data["models"].as_array().unwrap() {
            for key in row.as_object().unwrap().keys() {
                assert!(known.contains(&key.as_str()) || key.starts_with("bytes_") || key == "image_tokens", "{row}");
            }
            if let Some(bound) = row.get("up_to_version") {
                assert!(parse_version(bound.as_str().unwrap()).is_some(), "{row}");
            }
        }
    }

    #[test]
    fn an_unknown_claude_counts_at_the_highest_known_rate() {
        let catalogue = Catalogue::builtin();
        let highest = catalogue.models.iter().filter_map(|row| row.figures.output_multiplier).max();
        assert_eq!(highest, Some(catalogue.defaults.unknown_claude_output_multiplier));
    }

    #[test]
    fn rates_of_the_published_table() {
        let catalogue = Catalogue::builtin();
        for (id, rate, known) in [
            ("us.anthropic.claude-opus-4-8", 15, true),
            ("eu.anthropic.claude-sonnet-4-8-v1:0", 15, true),
            ("anthropic.claude-haiku-4-8-20260901-v1:0", 15, true),
            ("anthropic.claude-sonnet-5", 10, true),
            ("us.anthropic.claude-opus-5", 10, true),
            ("us.anthropic.claude-opus-5-5", 10, true),
            ("global.anthropic.claude-fable-5-1", 10, true),
            ("us.openai.gpt-5.6-sol", 10, true),
            ("openai.gpt-5.6-terra", 10, true),
            ("openai.gpt-5.6-luna", 10, true),
            ("us.anthropic.claude-opus-4-7", 5, true),
            ("us.anthropic.claude-sonnet-4-6", 5, true),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 5, true),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", 5, true),
            ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", 5, true),
            ("anthropic.claude-3-haiku-20240307-v1:0", 5, true),
            ("anthropic.claude-v2:1", 5, true),
            ("anthropic.claude-instant-v1", 5, true),
            ("amazon.nova-pro-v1:0", 1, true),
            ("us.meta.llama3-3-70b-instruct-v1:0", 1, true),
            ("openai.gpt-oss-120b-1:0", 1, true),
            ("mistral.mistral-large-2402-v1:0", 1, true),
            // Not in the table: the highest rate, and a warning.
            ("us.anthropic.claude-sonnet-5-5", 15, false),
            ("us.anthropic.claude-fable-5", 15, false),
            ("us.anthropic.claude-opus-4-9", 15, false),
            ("us.anthropic.claude-mythos-preview", 15, false),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abcdefghijkl", 15, false),
        ] {
            let burndown = catalogue.burndown(&catalogue.model(id));
            assert_eq!((burndown.rate, burndown.known), (rate, known), "{id}");
        }
    }

    #[test]
    fn output_maxima_and_text_ratios() {
        let catalogue = Catalogue::builtin();
        for (id, tokens, known, ratio) in [
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 64_000, true, 3_500),
            ("us.anthropic.claude-opus-4-6-v1", 128_000, true, 3_500),
            ("us.anthropic.claude-opus-4-7", 128_000, true, 2_700),
            ("us.anthropic.claude-sonnet-5", 128_000, true, 2_700),
            ("anthropic.claude-3-haiku-20240307-v1:0", 4_096, true, 3_500),
            ("amazon.nova-lite-v1:0", 5_000, true, 3_500),
            ("newlab.model-v1:0", 8_192, false, 3_500),
        ] {
            let model = catalogue.model(id);
            let max = catalogue.max_output(&model);
            assert_eq!((max.tokens, max.known), (tokens, known), "{id}");
            assert_eq!(catalogue.bytes_per_1000_tokens(&model), ratio, "{id}");
        }
    }
}
