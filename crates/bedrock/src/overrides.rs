//! A policy's own figures: the section `data.bedrock`, read strictly and with every fault told.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::Value;
use sluicegate::{Fault, Section};

use crate::Catalogue;
use crate::catalogue::Figures;
use crate::geography::Geography;
use crate::ratio::{MAX_BYTES_PER_1000_TOKENS, MIN_BYTES_PER_1000_TOKENS};

/// The JSON pointer of the section in a policy; every fault's pointer starts with it.
pub const OVERRIDES_POINTER: &str = "/data/bedrock";

/// The most models, and the most geographies, that a section may name.
pub const MAX_OVERRIDES: usize = 1_024;

/// What a section says.
struct Overrides {
    reserve_cache_reads: bool,
    models: Vec<(String, Figures)>,
    geographies: Vec<(String, Geography)>,
}

/// Puts `section` over the tables of `catalogue`; returns what is wrong with it, and then the catalogue is to be dropped.
pub(crate) fn apply(catalogue: &mut Catalogue, section: &Value) -> Vec<Fault> {
    let mut reader = Section::new(Some(section).filter(|section| !section.is_null()), OVERRIDES_POINTER);
    let overrides = read(&mut reader);
    catalogue.reserve_cache_reads = overrides.reserve_cache_reads;
    catalogue.overrides = overrides.models;
    for (name, geography) in overrides.geographies {
        catalogue.set_geography(name, geography);
    }
    reader.close().0
}

/// The JSON Schema of the section, for the policy's own.
///
/// ```
/// let schema = sluicegate_bedrock::overrides_schema();
/// assert!(schema.pointer("/properties/models/additionalProperties/properties/output_multiplier").is_some());
/// ```
#[must_use]
pub fn overrides_schema() -> Value {
    let mut reader = Section::new(None, OVERRIDES_POINTER);
    read(&mut reader);
    reader.close().1
}

fn read(section: &mut Section<'_>) -> Overrides {
    let reserve_cache_reads = section.boolean(
        "reserve_cache_reads",
        true,
        "Whether input read from the prompt cache counts when an attempt is admitted. It never counts in the end.",
    );
    let models = section.entries(
        "models",
        "Figures of models, by model id, base id, family or ARN; `*` stands for any run of characters.",
        |_, model| figures(model),
    );
    let geographies = section.entries(
        "geographies",
        "Geographies, by name; one replaces the built-in one of its name.",
        |_, entry| geography(entry),
    );
    for (key, count) in [("models", models.len()), ("geographies", geographies.len())] {
        if count > MAX_OVERRIDES {
            let message = format!("{count} entries are too many; give at most {MAX_OVERRIDES}");
            section.fault("out_of_range", section.pointer_to(key), message);
        }
    }
    Overrides { reserve_cache_reads, models, geographies }
}

fn figures(section: &mut Section<'_>) -> Figures {
    Figures {
        output_multiplier: section.optional_integer(
            "output_multiplier",
            1..=1_000,
            "How often an output token counts against the token quota.",
        ),
        max_output_tokens: section.optional_integer(
            "max_output_tokens",
            1..=10_000_000,
            "The most output tokens of one answer: what is reserved where a request names no maximum.",
        ),
        bytes_per_1000_tokens: section.optional_integer(
            "bytes_per_1000_tokens",
            MIN_BYTES_PER_1000_TOKENS..=MAX_BYTES_PER_1000_TOKENS,
            "Bytes of text per 1,000 input tokens, until the model's own ratio is learnt.",
        ),
        image_tokens: section.optional_integer("image_tokens", 0..=1_000_000, "Input tokens of one image."),
    }
}

fn geography(section: &mut Section<'_>) -> Geography {
    let geography = Geography {
        profile: section.boolean("profile", true, "Whether inference profile ids start with this name."),
        regions: section.texts("regions", "The Regions that calls are processed in; `*` is every Region."),
    };
    if !section.has("regions") {
        section.fault("missing", section.pointer_to("regions"), "list the geography's Regions here");
    } else if geography.regions.is_empty() {
        section.fault("empty", section.pointer_to("regions"), "list at least one Region, or \"*\" for all");
    }
    geography
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use serde_json::{Value, json};

    use super::MAX_OVERRIDES;
    use crate::Catalogue;

    fn faults(section: &Value) -> Vec<(&'static str, String)> {
        let faults = Catalogue::with_overrides(section).unwrap_err();
        assert!(faults.iter().all(|fault| !fault.message.is_empty()));
        assert!(faults.iter().all(|fault| sluicegate::FAULT_CODES.contains(&fault.code)));
        faults.into_iter().map(|fault| (fault.code, fault.pointer)).collect()
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_place() {
        let arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc";
        let section = json!({
            "surprise": 1,
            "reserve_cache_reads": "yes",
            "models": {
                "": {},
                "a": 5,
                "b": { "output_multiplier": 0, "max_output_tokens": "many", "bytes_per_1000_tokens": 3.5, "x": 1 },
                arn: { "image_tokens": -1 },
            },
            "geographies": { "a": { "regions": [] }, "b": {}, "c": { "regions": ["", 1], "profile": 1, "y": 1 }, "d": { "regions": 1 } },
        });
        let mut found = faults(&section);
        found.sort_by(|a, b| a.1.cmp(&b.1));
        let expected = [
            ("empty", "/data/bedrock/geographies/a/regions"),
            ("missing", "/data/bedrock/geographies/b/regions"),
            ("wrong_type", "/data/bedrock/geographies/c/profile"),
            ("empty", "/data/bedrock/geographies/c/regions"), // nothing is left of the list
            ("empty", "/data/bedrock/geographies/c/regions/0"),
            ("wrong_type", "/data/bedrock/geographies/c/regions/1"),
            ("unknown_field", "/data/bedrock/geographies/c/y"),
            ("wrong_type", "/data/bedrock/geographies/d/regions"),
            ("empty", "/data/bedrock/geographies/d/regions"),
            ("empty", "/data/bedrock/models/"),
            ("wrong_type", "/data/bedrock/models/a"),
            (
                "out_of_range",
                "/data/bedrock/models/arn:aws:bedrock:us-east-1:1:application-inference-profile~1abc/image_tokens",
            ),
            ("out_of_range", "/data/bedrock/models/b/bytes_per_1000_tokens"),
            ("wrong_type", "/data/bedrock/models/b/max_output_tokens"),
            ("out_of_range", "/data/bedrock/models/b/output_multiplier"),
            ("unknown_field", "/data/bedrock/models/b/x"),
            ("wrong_type", "/data/bedrock/reserve_cache_reads"),
            ("unknown_field", "/data/bedrock/surprise"),
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!((found.0, found.1.as_str()), expected);
        }
    }

    #[test]
    fn too_many_entries_or_no_object_are_faults() {
        let mut many = serde_json::Map::new();
        for number in 0..=MAX_OVERRIDES {
            many.insert(alloc::format!("m{number}"), json!({}));
        }
        let section = json!({ "models": many });
        assert_eq!(faults(&section), [("out_of_range", String::from("/data/bedrock/models"))]);
        assert_eq!(faults(&json!([])), [("wrong_type", String::from("/data/bedrock"))]);
    }

    #[test]
    fn the_most_specific_override_wins_figure_by_figure() {
        let arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc";
        let catalogue = Catalogue::with_overrides(&json!({
            "models": {
                "anthropic.claude-*": { "output_multiplier": 7 },
                "anthropic.claude-sonnet-5": { "output_multiplier": 8, "bytes_per_1000_tokens": 3000 },
                "us.anthropic.claude-sonnet-5": { "output_multiplier": 9 },
                arn: { "output_multiplier": 5, "max_output_tokens": 1000 },
            },
            "geographies": { "kr": { "regions": ["ap-northeast-2"] } },
        }))
        .unwrap();
        let rate = |id| catalogue.burndown(&catalogue.model(id)).rate;
        assert_eq!(rate("us.anthropic.claude-sonnet-5"), 9);
        assert_eq!(rate("eu.anthropic.claude-sonnet-5"), 8);
        assert_eq!(rate("eu.anthropic.claude-opus-5"), 7);
        assert_eq!(rate(arn), 5);
        let sonnet = catalogue.model("us.anthropic.claude-sonnet-5");
        assert_eq!(catalogue.bytes_per_1000_tokens(&sonnet), 3_000);
        assert_eq!(catalogue.max_output(&sonnet).tokens, 128_000);
        assert_eq!(catalogue.max_output(&catalogue.model(arn)).tokens, 1_000);
        assert_eq!(catalogue.geography(&catalogue.model("kr.anthropic.claude-sonnet-5"), "ap-northeast-2"), Some("kr"));
        assert!(catalogue.within("kr", "apac"));
    }

    #[test]
    fn nothing_is_no_fault() {
        assert!(Catalogue::with_overrides(&Value::Null).is_ok());
        assert!(Catalogue::with_overrides(&json!({})).is_ok());
    }
}
