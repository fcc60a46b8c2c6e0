//! From a file to a policy, with every fault told in terms of the file.

use std::path::Path;

use serde_json::Value;
use sluicegate::Policy;
use sluicegate_bedrock::Catalogue;

use crate::exit::{Code, Failure};

/// The built-in policy of `--local`, which is also the sample to start from.
pub(crate) const SAMPLE: &str = include_str!("policy.yaml");
/// What the built-in policy is called in messages.
pub(crate) const SAMPLE_NAME: &str = "tests/samples/policy.yaml (built in)";
/// No policy is larger; whoever names a video by mistake is told so at once.
const MOST_BYTES: u64 = 16 << 20;

/// A policy and where it came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The policy.
    pub(crate) policy: Policy,
    /// What Bedrock's models are and cost, with the policy's own figures over the built-in ones.
    pub(crate) catalogue: Catalogue,
    /// The file's name, for messages.
    pub(crate) name: String,
}

/// Reads the policy in `path`, or the built-in one.
pub(crate) fn load(path: Option<&Path>) -> Result<Loaded, Failure> {
    match path {
        Some(path) => parse(&read(path)?, &path.display().to_string()),
        None => parse(SAMPLE, SAMPLE_NAME),
    }
}

/// Reads a small text file.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    let name = path.display();
    let cannot = |why: String| Failure::new(Code::Usage, format!("{name}: cannot be read: {why}"));
    let size = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
    if size > MOST_BYTES {
        return Err(cannot(format!("{size} bytes are too many for a policy")).remedy("name the policy file"));
    }
    std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))
}

/// Parses YAML, and JSON as a part of it, into a document.
pub(crate) fn document(text: &str, name: &str) -> Result<Value, Failure> {
    let mut options = serde_saphyr::Options::default();
    // "no" is a word, not false; a key that comes twice is a mistake.
    options.strict_booleans = true;
    options.duplicate_keys = serde_saphyr::DuplicateKeyPolicy::Error;
    options.with_snippet = false;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = match error.location() {
            Some(at) if at.line() > 0 => format!("{name}:{}:{}", at.line(), at.column()),
            _ => name.to_owned(),
        };
        Failure::new(Code::Policy, format!("{place}: {} [syntax]", plain(&error)))
    })
}

/// The message without the place, which stands before it.
fn plain(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let end = first.find(" at line ").unwrap_or(first.len());
    first.get(..end).unwrap_or(first).to_owned()
}

/// Parses a policy and the facts about Bedrock within it.
pub(crate) fn parse(text: &str, name: &str) -> Result<Loaded, Failure> {
    let document = document(text, name)?;
    let mut faults: Vec<String> = Vec::new();
    let policy = Policy::parse(&document);
    if let Err(error) = &policy {
        faults.extend(error.faults.iter().map(ToString::to_string));
    }
    let facts = document.pointer("/data/bedrock");
    let catalogue = facts.map_or_else(|| Ok(Catalogue::builtin()), Catalogue::with_overrides);
    if let Err(errors) = &catalogue {
        faults.extend(errors.iter().map(ToString::to_string));
    }
    match (policy, catalogue) {
        (Ok(policy), Ok(catalogue)) => Ok(Loaded { policy, catalogue, name: name.to_owned() }),
        _ => {
            let count = faults.len();
            let plural = if count == 1 { "" } else { "s" };
            let lines: Vec<String> = faults.iter().map(|fault| format!("{name}: {fault}")).collect();
            let what = format!("the policy has {count} fault{plural}\n{}", lines.join("\n"));
            Err(Failure::new(Code::Policy, what)
                .remedy("`sluicegate policy schema` lists every field with its range and default"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sample_is_a_policy() {
        let loaded = load(None).unwrap();
        assert_eq!((loaded.policy.endpoints().len(), loaded.policy.models().len()), (3, 1));
    }

    #[test]
    fn yaml_and_json_read_alike() {
        let yaml = "a: 1\nb: [true, no, 0.5]\nc: {d: \"2\", e: null}\n";
        let json = "{\n\t\"a\": 1,\n\t\"b\": [true, \"no\", 0.5],\n\t\"c\": {\"d\": \"2\", \"e\": null}\n}\n";
        let expected = json!({"a": 1, "b": [true, "no", 0.5], "c": {"d": "2", "e": null}});
        assert_eq!(document(yaml, "p").unwrap(), expected);
        assert_eq!(document(json, "p").unwrap(), expected);
    }

    #[test]
    fn large_numbers_keep_their_digits() {
        assert_eq!(document("a: 18446744073709551615\nb: -3", "p").unwrap(), json!({"a": u64::MAX, "b": -3}));
    }

    #[test]
    fn syntax_errors_name_line_and_column() {
        for (text, place) in [("a: 1\na: 2\n", "p:2:1"), ("a: [1, 2\nb: 3\n", "p:2"), ("{\"a\": 1,\n \"b\" 2}", "p:2")]
        {
            let what = document(text, "p").unwrap_err().what;
            assert!(what.starts_with(place), "{what}");
            assert!(what.ends_with("[syntax]"), "{what}");
        }
    }

    #[test]
    fn faults_of_all_layers_are_listed_with_their_pointers() {
        let text =
            "pools: {a: {tokens_per_minute: 0}}\nendpoints: {e: {model: m, pools: [a]}}\ndata: {bedrock: {x: 1}}";
        let what = parse(text, "p").unwrap_err().what;
        let lines: Vec<&str> = what.lines().collect();
        assert_eq!(lines.first(), Some(&"the policy has 2 faults"));
        assert!(lines.iter().any(|line| line.starts_with("p: /pools/a/tokens_per_minute: ")), "{what}");
        assert!(lines.iter().any(|line| line.starts_with("p: /data/bedrock/x: ")), "{what}");
    }
}
