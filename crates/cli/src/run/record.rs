//! One input line: a record, or what is wrong with it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use sluicegate::Policy;
use sluicegate_bedrock::aws_sdk::JsonOperation;
use xxhash_rust::xxh3::xxh3_128;

use crate::args::InputType;

/// The longest line that is read: InvokeModel takes bodies of up to 25,000,000 bytes.
pub(crate) const MOST_LINE_BYTES: usize = 32 << 20;

/// What stands for a `recordId` in memory. Two of 10^9 ids collide with a probability of 10^-21.
pub(crate) type Fingerprint = u128;

/// The fingerprint of a `recordId`.
pub(crate) fn fingerprint(record_id: &str) -> Fingerprint {
    xxh3_128(record_id.as_bytes())
}

/// A good line.
#[derive(Debug)]
pub(crate) struct Record<'l> {
    /// Joins input and output.
    pub(crate) record_id: Cow<'l, str>,
    /// As written.
    pub(crate) model_input: &'l RawValue,
    /// As named by the line, the command line or the policy.
    pub(crate) model: Cow<'l, str>,
    /// Which API it is for.
    pub(crate) operation: JsonOperation,
}

/// What the lines of one input have in common.
#[derive(Debug)]
pub(crate) struct Reading<'p> {
    /// Says which models there are.
    pub(crate) policy: &'p Policy,
    /// The model of lines that name none.
    pub(crate) model: Option<&'p str>,
    /// Which API the lines are for.
    pub(crate) kind: InputType,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'l> {
    #[serde(borrow)]
    record_id: Option<&'l RawValue>,
    #[serde(borrow)]
    model_input: Option<&'l RawValue>,
    #[serde(borrow)]
    model_id: Option<Cow<'l, str>>,
}

impl Reading<'_> {
    /// Reads one line; `None` for an empty one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn record<'l>(&'l self, line: &'l [u8]) -> Result<Option<Record<'l>>, String> {
        let text = std::str::from_utf8(line).map_err(|error| {
            format!("not UTF-8 from byte {} on; convert the file to UTF-8", error.valid_up_to().saturating_add(1))
        })?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Ok(None);
        }
        if !text.starts_with('{') {
            return Err(match serde_json::from_str::<serde::de::IgnoredAny>(text) {
                Ok(_) => "not a JSON object; a line is {\"recordId\": \"…\", \"modelInput\": {…}}".to_owned(),
                Err(error) => not_json(&error),
            });
        }
        let line: Line<'l> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
        let record_id = record_id(line.record_id)?;
        let model_input = line
            .model_input
            .filter(|input| input.get().starts_with('{'))
            .ok_or_else(|| format!("record \"{record_id}\" has no \"modelInput\" object"))?;
        let model = self.model(&record_id, line.model_id)?;
        let operation = match self.kind {
            InputType::Converse => JsonOperation::Converse,
            InputType::InvokeModel => JsonOperation::InvokeModel,
            InputType::Auto => told_from(model_input.get()),
        };
        Ok(Some(Record { record_id, model_input, model, operation }))
    }

    fn model<'l>(&'l self, record_id: &str, named: Option<Cow<'l, str>>) -> Result<Cow<'l, str>, String> {
        let known = self.policy.models();
        let only = || match known {
            [only] => Some(Cow::Borrowed(only.as_str())),
            _ => None,
        };
        let model = named.or_else(|| self.model.map(Cow::Borrowed)).or_else(only).ok_or_else(|| {
            let known = known.join(", ");
            format!("record \"{record_id}\" names no model; add \"modelId\", or pass --model with one of: {known}")
        })?;
        match self.policy.model(&model) {
            Some(_) => Ok(model),
            None => Err(format!(
                "record \"{record_id}\" wants model \"{model}\", for which the policy has no endpoint; it has: {}",
                known.join(", ")
            )),
        }
    }
}

fn record_id(raw: Option<&RawValue>) -> Result<Cow<'_, str>, String> {
    let Some(raw) = raw else { return Err("no \"recordId\"; give each record one of its own".to_owned()) };
    #[derive(Deserialize)]
    struct Text<'l>(#[serde(borrow)] Cow<'l, str>);
    match serde_json::from_str::<Text<'_>>(raw.get()) {
        Ok(Text(id)) if !id.is_empty() => Ok(id),
        Ok(_) => Err("\"recordId\" is empty; give each record one of its own".to_owned()),
        Err(_) => Err(format!("\"recordId\" is {}, not a text; put it in quotes", clip(raw.get()))),
    }
}

/// At most so much of a value that a message repeats it in full.
fn clip(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// serde_json counts lines within the line; here only the column means something.
fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.find(" at line ").unwrap_or(text.len());
    let what = text.get(..end).unwrap_or(&text);
    match error.classify() {
        serde_json::error::Category::Data => format!("{what}, at column {}", error.column()),
        _ => format!("not JSON: {what}, at column {}", error.column()),
    }
}

/// Tells Converse from InvokeModel: Converse's messages hold lists of blocks without a `type`, and none of the fields
/// below stands beside them.
fn told_from(model_input: &str) -> JsonOperation {
    #[derive(Deserialize)]
    struct Probe<'l> {
        #[serde(borrow)]
        messages: Option<Vec<Message<'l>>>,
        #[serde(rename = "anthropic_version")]
        anthropic: Option<serde::de::IgnoredAny>,
        #[serde(rename = "schemaVersion")]
        nova: Option<serde::de::IgnoredAny>,
        max_tokens: Option<serde::de::IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Message<'l> {
        #[serde(borrow)]
        content: Vec<Block<'l>>,
    }
    #[derive(Deserialize)]
    struct Block<'l> {
        #[serde(borrow, rename = "type")]
        kind: Option<&'l RawValue>,
    }
    // What does not even have this shape is not Converse.
    let Ok(probe) = serde_json::from_str::<Probe<'_>>(model_input) else { return JsonOperation::InvokeModel };
    let foreign = probe.anthropic.is_some() || probe.nova.is_some() || probe.max_tokens.is_some();
    let blocks = probe.messages.iter().flatten().flat_map(|message| &message.content);
    match probe.messages.is_some() && !foreign && blocks.into_iter().all(|block| block.kind.is_none()) {
        true => JsonOperation::Converse,
        false => JsonOperation::InvokeModel,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(endpoints: &str) -> Policy {
        let text = format!(r#"{{"pools": {{"p": {{}}}}, "endpoints": {{{endpoints}}}}}"#);
        Policy::from_json(&text).unwrap()
    }

    const ONE: &str = r#""a": {"model": "m", "target": "us.m", "pools": ["p"]}"#;
    const TWO: &str = r#""a": {"model": "m", "pools": ["p"]}, "b": {"model": "n", "pools": ["p"]}"#;

    fn read(policy: &Policy, model: Option<&str>, line: &str) -> Result<Option<(String, String, String)>, String> {
        let reading = Reading { policy, model, kind: InputType::Auto };
        let record = reading.record(line.as_bytes())?;
        Ok(record.map(|it| (it.record_id.into_owned(), it.model_input.get().to_owned(), it.model.into_owned())))
    }

    #[test]
    fn a_good_line_keeps_its_model_input_to_the_byte() {
        let line = "\u{feff}{\"modelInput\": {\"x\" : 1.50e3,\"y\":18446744073709551616 }, \"recordId\":\"\\u0041\"}\r";
        let (id, input, model) = read(&policy(ONE), None, line).unwrap().unwrap();
        assert_eq!((id.as_str(), model.as_str()), ("A", "m"));
        assert_eq!(input, "{\"x\" : 1.50e3,\"y\":18446744073709551616 }");
    }

    #[test]
    fn the_line_names_the_model_before_the_command_line_and_that_before_the_policy() {
        let two = policy(TWO);
        let model = |model, line: &str| read(&two, model, line).map(|record| record.unwrap().2);
        let named = r#"{"recordId": "r", "modelId": "n", "modelInput": {}}"#;
        let unnamed = r#"{"recordId": "r", "modelInput": {}}"#;
        assert_eq!(model(Some("m"), named).unwrap(), "n");
        assert_eq!(model(Some("m"), unnamed).unwrap(), "m");
        assert_eq!(
            model(None, unnamed).unwrap_err(),
            "record \"r\" names no model; add \"modelId\", or pass --model with one of: m, n"
        );
        assert!(model(Some("x"), unnamed).unwrap_err().contains("wants model \"x\""));
        assert_eq!(read(&policy(ONE), Some("us.m"), unnamed).unwrap().unwrap().2, "us.m");
    }

    #[test]
    fn each_fault_of_a_line_has_its_message() {
        let policy = policy(ONE);
        for (line, message) in [
            ("{\"recordId\": \"r\", ", "not JSON: EOF while parsing a value, at column "),
            ("hello", "not JSON: expected value, at column 1"),
            ("[1]", "not a JSON object; a line is"),
            (r#"{"modelInput": {}}"#, "no \"recordId\""),
            (r#"{"recordId": "", "modelInput": {}}"#, "\"recordId\" is empty"),
            (r#"{"recordId": 17, "modelInput": {}}"#, "\"recordId\" is 17, not a text"),
            (r#"{"recordId": "r", "modelInput": "x"}"#, "record \"r\" has no \"modelInput\" object"),
            (r#"{"recordId": "r"}"#, "record \"r\" has no \"modelInput\" object"),
            (r#"{"recordId": "r", "recordId": "s"}"#, "duplicate field `recordId`"),
        ] {
            let error = read(&policy, None, line).unwrap_err();
            assert!(error.starts_with(message), "{line}: {error}");
        }
        let reading = Reading { policy: &policy, model: None, kind: InputType::Auto };
        assert!(reading.record(b"{\"a\xff\"}").unwrap_err().starts_with("not UTF-8 from byte 4 on"));
    }

    #[test]
    fn empty_lines_are_no_records() {
        for line in ["", "  \t\r"] {
            assert_eq!(read(&policy(ONE), None, line), Ok(None));
        }
    }

    #[test]
    fn converse_is_told_from_the_vendors_forms() {
        for (input, converse) in [
            (r#"{"messages": [{"role": "user", "content": [{"text": "x"}]}]}"#, true),
            (r#"{"messages": [{"role": "user", "content": [{"image": {"format": "png"}}]}], "toolConfig": {}}"#, true),
            (r#"{"anthropic_version": "bedrock-2023-05-31", "messages": [{"content": [{"text": "x"}]}]}"#, false),
            (r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}"#, false),
            (r#"{"messages": [{"role": "user", "content": "x"}]}"#, false),
            (r#"{"schemaVersion": "messages-v1", "messages": [{"content": [{"text": "x"}]}]}"#, false),
            (r#"{"inputText": "x"}"#, false),
            (r#"{"prompt": "x", "max_gen_len": 5}"#, false),
        ] {
            assert_eq!(told_from(input) == JsonOperation::Converse, converse, "{input}");
        }
    }
}
