//! A text cut into the JSON values that it holds, without reading them: lines, documents over several lines, and what lies
//! in an envelope.

use serde::Deserialize;
use serde_json::value::RawValue;

/// How deep envelopes may lie in each other: a list of documents, each with a list of events.
const MOST_DEPTH: u32 = 2;
/// How the engine's log begins, and each of its runs.
const HEAD: &str = "{\"log\":";

/// Something in the text.
pub(super) enum Found<'t> {
    /// A value, and its number within the envelope that it lies in.
    Piece { text: &'t str, event: Option<usize> },
    /// What is no JSON, and whether it may be a line whose writer was stopped.
    Broken { what: String, torn: bool },
}

/// What CloudWatch puts around events, by `filter-log-events` and by subscription.
#[derive(Deserialize)]
struct Envelope<'t> {
    #[serde(borrow)]
    events: Option<Vec<&'t RawValue>>,
    #[serde(borrow, rename = "logEvents")]
    log_events: Option<Vec<&'t RawValue>>,
    #[serde(rename = "messageType")]
    message_type: Option<String>,
}

/// Hands out everything in the text, each with its line, counted from 1.
pub(super) fn each<'t>(text: &'t str, mut found: impl FnMut(usize, Found<'t>)) {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    loop {
        let start = stamped(rest.trim_start());
        line += breaks(rest, start);
        if start.is_empty() {
            return;
        }
        let mut values = serde_json::Deserializer::from_str(start).into_iter::<&RawValue>();
        rest = match values.next() {
            Some(Ok(value)) => {
                unfold(value.get(), line, None, 0, &mut found);
                start.get(values.byte_offset()..).unwrap_or_default()
            }
            Some(Err(error)) => {
                let next = beyond(start, error.line() > 1);
                let torn = start.starts_with('{')
                    && (next.starts_with(HEAD) || (error.is_eof() && next.trim_start().is_empty()));
                let what = match error.is_eof() {
                    true => "it breaks off before its end; fetch the file again, or take this out".to_owned(),
                    false => format!("not JSON: {}", in_words(&error)),
                };
                found(line, Found::Broken { what, torn });
                next
            }
            None => return,
        };
        line += breaks(start, rest);
    }
}

/// What is wrong, without serde's own count of lines, which begins at the value.
pub(super) fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) => format!("{what} in column {}", error.column()),
        None => text,
    }
}

/// Hands out a value, or what lies in it if it is an envelope.
fn unfold<'t>(text: &'t str, line: usize, event: Option<usize>, depth: u32, found: &mut impl FnMut(usize, Found<'t>)) {
    let inner = if depth < MOST_DEPTH { inside(text) } else { None };
    let Some(inner) = inner else { return found(line, Found::Piece { text, event }) };
    let (mut line, mut last) = (line, text);
    for (number, value) in (1..).zip(inner) {
        let from = value.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
        let here = text.get(from..).unwrap_or_default();
        line += breaks(last, here);
        last = here;
        unfold(value.get(), line, Some(number), depth + 1, found);
    }
}

/// What lies in an envelope.
fn inside(text: &str) -> Option<Vec<&RawValue>> {
    if text.starts_with('[') {
        // A list of anything else is no list of records.
        let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        return values.iter().all(|value| value.get().starts_with(['{', '"'])).then_some(values);
    }
    // Most values are none, which a look at the text tells sooner.
    if !text.contains("\"events\"") && !text.contains("\"logEvents\"") {
        return None;
    }
    let envelope: Envelope<'_> = serde_json::from_str(text).ok()?;
    // With these CloudWatch tries out whether anybody is there.
    if envelope.message_type.as_deref() == Some("CONTROL_MESSAGE") {
        return Some(Vec::new());
    }
    envelope.events.or(envelope.log_events)
}

/// The line without the time that CloudWatch's export to S3 puts before each event.
fn stamped(line: &str) -> &str {
    if !line.starts_with(|first: char| first.is_ascii_digit()) {
        return line;
    }
    match line.split_once(' ') {
        Some((time, rest)) if super::bedrock::unix_us(time).is_some() => rest.trim_start_matches(' '),
        _ => line,
    }
}

/// Where to go on after a value that is broken: at the next line, or, where it spans several, at the next that begins one.
fn beyond(text: &str, several: bool) -> &str {
    let mut rest = text;
    loop {
        rest = match rest.split_once('\n') {
            Some((_, rest)) => rest,
            None => return "",
        };
        if !several || rest.starts_with('{') {
            return rest;
        }
    }
}

/// Line breaks from the start of `whole` to `rest`, its end.
fn breaks(whole: &str, rest: &str) -> usize {
    let passed = whole.len().saturating_sub(rest.len());
    whole.bytes().take(passed).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        let mut all = Vec::new();
        each(text, |line, found| {
            all.push((
                line,
                match found {
                    Found::Piece { text, event } => {
                        format!("{text}{}", event.map_or(String::new(), |it| format!(" #{it}")))
                    }
                    Found::Broken { what, torn } => format!("{what}, {torn}"),
                },
            ));
        });
        all
    }

    fn own(all: &[(usize, &str)]) -> Vec<(usize, String)> {
        all.iter().map(|(line, text)| (*line, (*text).to_owned())).collect()
    }

    #[test]
    fn lines_documents_and_envelopes_are_cut_into_their_values() {
        assert_eq!(
            found("\u{feff}{\"a\":1}\r\n\n {\"b\":2}{\"c\":3}"),
            own(&[(1, "{\"a\":1}"), (3, "{\"b\":2}"), (3, "{\"c\":3}")])
        );
        let events = "{\"events\": [\n{\"m\":\n1},\n{\"m\":2}]}\n[\n{\"m\":3}]\n[4]";
        assert_eq!(found(events), own(&[(2, "{\"m\":\n1} #1"), (4, "{\"m\":2} #2"), (6, "{\"m\":3} #1"), (7, "[4]")]));
        let pushed = "{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{\"m\":1}]}{\"messageType\":\"CONTROL_MESSAGE\",\"logEvents\":[{}]}";
        assert_eq!(found(pushed), own(&[(1, "{\"m\":1} #1")]));
        assert_eq!(found("2026-04-09T23:58:01.000Z {\"a\":1}\n"), own(&[(1, "{\"a\":1}")]));
    }

    #[test]
    fn broken_values_do_not_take_others_with_them() {
        let lines: Vec<usize> =
            found("{bad\n{\"a\":1}\nx\n{\n \"b\": ?\n}\n{\"c\":3}").iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 7]);
    }

    #[test]
    fn a_line_is_torn_at_the_end_and_before_a_new_run() {
        let broken = "it breaks off before its end; fetch the file again, or take this out";
        assert_eq!(found("{\"a\":1}\n{\"b\":"), own(&[(1, "{\"a\":1}"), (2, &format!("{broken}, true"))]));
        let torn = found("{\"a\n{\"log\":1}");
        assert!(torn[0].1.ends_with(", true") && torn[1].1 == "{\"log\":1}", "{torn:?}");
        assert!(found("{\"a\n{\"b\":1}")[0].1.ends_with(", false"));
    }
}
