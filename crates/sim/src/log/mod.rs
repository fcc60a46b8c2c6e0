//! Logs of calls that were really made: the engine's own, and Amazon Bedrock's model invocation log.

mod bedrock;
mod engine;
mod pieces;

use std::collections::BTreeMap;

use serde_json::Value;
use sluicegate::Timestamp;

use crate::workload::Arrival;
use pieces::{Found, in_words};

/// A call as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logged {
    /// When it was made, in microseconds: since 1970 if the log says, else since its own start.
    pub at_us: u64,
    /// Whom it was made for.
    pub tenant: String,
    /// The model it asked for.
    pub model: Option<String>,
    /// Its size; absent if the log says nothing of it.
    pub size: Option<Size>,
    /// Whether it was answered.
    pub answered: bool,
    /// Its attempts.
    pub attempts: u64,
    /// Of those, refused for quota or capacity.
    pub refused: u64,
    /// How long the attempt that was answered took, in microseconds.
    pub took_us: Option<u64>,
    /// How long after it was made its answer was due, in microseconds.
    pub deadline_us: Option<u64>,
}

/// What is known of a call's size, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Counts of prompt and answer, and the cap on it.
    Counted {
        /// Of the prompt.
        input: u64,
        /// Of the answer.
        output: u64,
        /// The cap on the answer.
        max_tokens: Option<u64>,
    },
    /// The cap on its answer alone, of a call that was refused.
    Capped {
        /// The cap on the answer.
        max_tokens: u64,
    },
    /// What was reserved and what it settled at, with the cap that is part of the first.
    Charged {
        /// Quota tokens at admission.
        reserved: u64,
        /// Quota tokens at the end; 0 without an answer.
        settled: u64,
        /// Tokens of the answer, if they were counted.
        output: Option<u64>,
        /// The cap on the answer, which is part of `reserved`, where the sender can lower it.
        max_tokens: Option<u64>,
    },
}

/// A whole log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The calls in the order of their times.
    pub calls: Vec<Logged>,
    /// Whether times are since 1970.
    pub dated: bool,
    /// What was left out, and how often.
    pub left_out: BTreeMap<String, u64>,
    /// What else is to be known of it.
    pub notes: Vec<String>,
}

impl Log {
    /// The calls to be played, the first at time zero and all of one tenant. See [`sizes`].
    #[must_use]
    pub fn arrivals(&self, multiplier: u64) -> Vec<Arrival> {
        let first = self.calls.first().map_or(0, |call| call.at_us);
        let arrival = |(call, size): (&Logged, Arrival)| Arrival {
            at: Timestamp::from_micros(call.at_us.saturating_sub(first)),
            deadline_us: call.deadline_us,
            ..size
        };
        self.calls.iter().zip(sizes(&self.calls, multiplier).0).map(arrival).collect()
    }
}

/// Which log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Engine,
    Bedrock,
}

impl Kind {
    /// That of a value; `None` where it does not tell.
    fn of(value: &Value) -> Option<Self> {
        let has = |name: &str| value.get(name).is_some();
        match (has("at_us") || has("log"), has("modelId") || has("schemaType")) {
            (true, _) => Some(Self::Engine),
            (_, true) => Some(Self::Bedrock),
            _ => None,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Engine => "the engine's own log",
            Self::Bedrock => "Bedrock's invocation log",
        }
    }
}

/// Reads a log of either kind: JSON lines, documents over several lines, CloudWatch's envelopes around either, and lines of
/// its export to S3. Each value is reduced to what is needed of it before the next is read.
///
/// # Errors
/// The faulty lines, counted from 1, and what is wrong with each.
pub fn parse(text: &str) -> Result<Log, Vec<(usize, String)>> {
    let mut reader = Reader::default();
    pieces::each(text, |line, found| match found {
        Found::Piece { text, event } => {
            if let Err(what) = reader.piece(line, text) {
                let what = event.map_or_else(|| what.clone(), |event| format!("event {event}: {what}"));
                reader.faults.push((line, printable(&what)));
            }
        }
        Found::Broken { what, torn } => reader.broken.push((line, what, torn)),
    });
    reader.close()
}

#[derive(Default)]
struct Reader {
    /// The kind of the log, and the line that showed it.
    kind: Option<(Kind, usize)>,
    mixed: bool,
    engine: engine::Reader,
    bedrock: bedrock::Reader,
    broken: Vec<(usize, String, bool)>,
    faults: Vec<(usize, String)>,
}

impl Reader {
    fn piece(&mut self, line: usize, text: &str) -> Result<(), String> {
        let mut value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {}", in_words(&error)))?;
        let message = |value: &mut Value| match value {
            Value::String(text) => Some(Value::String(std::mem::take(text))),
            Value::Object(fields) => fields.remove("message").or_else(|| fields.remove("@message")),
            _ => None,
        };
        if Kind::of(&value).is_none()
            && let Some(inner) = message(&mut value)
        {
            value = match inner {
                Value::String(text) => serde_json::from_str(&text)
                    .map_err(|error| format!("its message is not JSON: {}", in_words(&error)))?,
                inner => inner,
            };
        }
        if !value.is_object() {
            return Err("not a JSON object".to_owned());
        }
        let kind = Kind::of(&value);
        if let (Some(kind), None) = (kind, self.kind) {
            self.kind = Some((kind, line));
        }
        match (kind, self.kind) {
            (Some(kind), Some((first, shown))) if kind != first => {
                // One place is enough to find the border.
                let told = std::mem::replace(&mut self.mixed, true);
                let (kind, first) = (kind.text(), first.text());
                let what = format!("this is of {kind} and line {shown} of {first}; split the file and play each alone");
                if told { Ok(()) } else { Err(what) }
            }
            (Some(Kind::Engine), _) | (None, Some((Kind::Engine, _))) => self.engine.line(line, value),
            _ => self.bedrock.record(&value),
        }
    }

    fn close(mut self) -> Result<Log, Vec<(usize, String)>> {
        let engine = self.kind.is_some_and(|(kind, _)| kind == Kind::Engine);
        let mut log = if engine { self.engine.log } else { self.bedrock.log() };
        for (line, what, torn) in self.broken {
            if torn && engine {
                // A process that is killed while it writes leaves one behind.
                log.notes.push(format!("left out: line {line}, which breaks off where its writer was stopped"));
            } else {
                self.faults.push((line, what));
            }
        }
        if self.faults.is_empty() && log.calls.is_empty() {
            let left_out = log.left_out.iter().map(|(what, count)| format!("{what} ({count})"));
            let left_out = left_out.collect::<Vec<String>>().join(", ");
            let but = if left_out.is_empty() { None } else { Some(format!("left out: {left_out}")) };
            let told: Vec<String> =
                std::iter::once("the log holds no calls".to_owned()).chain(but).chain(log.notes.clone()).collect();
            self.faults.push((1, printable(&told.join("; "))));
        }
        if !self.faults.is_empty() {
            self.faults.sort_by_key(|(line, _)| *line);
            return Err(self.faults);
        }
        log.calls.sort_by_key(|call| call.at_us);
        for call in &mut log.calls {
            for name in [Some(&mut call.tenant), call.model.as_mut()].into_iter().flatten() {
                if name.contains(unprintable) {
                    *name = printable(name);
                }
            }
        }
        log.left_out = log.left_out.into_iter().map(|(what, count)| (printable(&what), count)).collect();
        Ok(log)
    }
}

/// Whether a terminal or a page would do something at this character instead of showing it.
fn unprintable(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of strangers, made fit to be shown: `\u{1b}` instead of an escape.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match unprintable(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    shown
}

/// What each call asked for, without its time, and how many of the prompts are guessed: a call of which the log does not say
/// more has the size of a middling one. `multiplier`: quota tokens per output token.
#[must_use]
pub fn sizes(calls: &[Logged], multiplier: u64) -> (Vec<Arrival>, u64) {
    let multiplier = multiplier.max(1);
    let whole = |size: Size| match size {
        Size::Counted { input, output, max_tokens } => {
            Some(Arrival { input_tokens: input, output_tokens: output, max_tokens, ..Arrival::default() })
        }
        Size::Capped { .. } => None,
        Size::Charged { reserved, settled, output, max_tokens } => {
            let (input, output) = parts(reserved, settled, output, max_tokens, multiplier);
            let most = max_tokens.unwrap_or_else(|| reserved.saturating_sub(input).max(output));
            Some(Arrival { input_tokens: input, output_tokens: output, max_tokens: Some(most), ..Arrival::default() })
        }
    };
    let answered = |call: &&Logged| call.answered;
    let mut known: Vec<Arrival> = calls.iter().filter(answered).filter_map(|call| whole(call.size?)).collect();
    known.sort_by_key(|arrival| (arrival.input_tokens.saturating_add(arrival.output_tokens), arrival.max_tokens));
    let middling = known.get(known.len() / 2).copied().unwrap_or(Arrival { input_tokens: 1, ..Arrival::default() });
    let mut guessed = 0;
    let sizes = calls.iter().map(|call| match (call.size.and_then(whole), call.answered) {
        (Some(own), true) => own,
        // What was not answered asked for so much; how long its answer would have been is not known.
        (Some(own), false) => {
            Arrival { output_tokens: middling.output_tokens.min(own.max_tokens.unwrap_or(u64::MAX)), ..own }
        }
        (None, _) => {
            guessed += 1;
            match call.size {
                Some(Size::Capped { max_tokens }) => Arrival {
                    output_tokens: middling.output_tokens.min(max_tokens),
                    max_tokens: Some(max_tokens),
                    ..middling
                },
                _ => middling,
            }
        }
    });
    (sizes.collect(), guessed)
}

/// Tokens of prompt and answer, as far as a reservation and its settlement tell.
fn parts(reserved: u64, settled: u64, output: Option<u64>, cap: Option<u64>, multiplier: u64) -> (u64, u64) {
    // What an answer cost beside its own tokens was its prompt, to the token; what is reserved for one is an estimate.
    let counted = output.and_then(|output| Some((settled.checked_sub(output.checked_mul(multiplier)?)?, output)));
    match (counted, cap) {
        (Some((input, output)), _) if input > 0 => (input, output),
        (_, Some(cap)) => {
            let input = reserved.saturating_sub(cap);
            (input, output.unwrap_or(settled.saturating_sub(input) / multiplier))
        }
        // How it is made up does not matter to the quotas, as long as both sums are right.
        (_, None) => (settled % multiplier, settled / multiplier),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faulty_lines_are_all_named() {
        let text = "{\"at_us\": 5}\nx\n\n[1]\n{\"at_us\": -1, \"event\": {}}\n";
        let lines: Vec<usize> = parse(text).unwrap_err().iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 4, 5]);
        assert_eq!(parse("").unwrap_err(), [(1, "the log holds no calls".to_owned())]);
    }

    const RECORD: &str = "{\"timestamp\":\"2026-04-09T23:00:00Z\",\"modelId\":\"m\",\"input\":{\"inputTokenCount\":5},\"output\":{\"outputTokenCount\":7}}";

    #[test]
    fn what_cloudwatch_puts_around_records_is_taken_off() {
        let quoted = Value::from(RECORD).to_string();
        let pretty = serde_json::from_str::<Value>(RECORD).map(|value| format!("{value:#}")).unwrap();
        for (text, calls) in [
            (
                format!(
                    "{{\"events\":[{{\"message\":{quoted}}},{{\"message\":{RECORD}}}]}}\n{{\"events\":[{{\"message\":{quoted}}}]}}"
                ),
                3,
            ),
            (
                format!(
                    "{{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{{\"id\":\"1\",\"timestamp\":1,\"message\":{quoted}}}]}}"
                ),
                1,
            ),
            (format!("2026-04-09T23:58:01.000Z {RECORD}\n2026-04-09T23:58:02.000Z {RECORD}\n"), 2),
            (format!("\u{feff}[{RECORD},{quoted}]{pretty}\n{pretty}"), 4),
        ] {
            assert_eq!(parse(&text).map(|log| log.calls.len()), Ok(calls), "{text}");
        }
        let faulty = format!("{{\"events\":[\n{{\"message\":{quoted}}},\n{{\"message\":\"{{bad\"}}]}}");
        let told = (3, "event 2: its message is not JSON: key must be a string in column 2".to_owned());
        assert_eq!(parse(&faulty).unwrap_err(), [told]);
    }

    #[test]
    fn logs_of_two_kinds_are_told_where_they_meet() {
        let text = format!("{{\"at_us\":5,\"event\":{{}}}}\n\n{RECORD}\n{RECORD}\n");
        let told = "this is of Bedrock's invocation log and line 1 of the engine's own log; split the file and play each alone";
        assert_eq!(parse(&text).unwrap_err(), [(3, told.to_owned())]);
    }

    #[test]
    fn an_empty_log_says_what_was_left_out() {
        let other = RECORD.replace("{\"timestamp\"", "{\"operation\":\"Other\\u001b[31m\",\"timestamp\"");
        let told = parse(&other).unwrap_err();
        assert_eq!(told, [(1, "the log holds no calls; left out: calls of Other\\u{1b}[31m (1)".to_owned())]);
    }

    #[test]
    fn control_characters_of_names_are_spelled_out() {
        let text = RECORD.replace("\"input\"", "\"identity\":{\"arn\":\"a\\u001b[2J\\n\\u202eb\"},\"input\"");
        assert_eq!(parse(&text).unwrap().calls[0].tenant, "a\\u{1b}[2J\\n\\u{202e}b");
    }

    #[test]
    fn an_answer_that_was_counted_tells_its_prompt_to_the_token() {
        let charged = |output, max_tokens| Logged {
            size: Some(Size::Charged { reserved: 900, settled: 450, output, max_tokens }),
            answered: true,
            ..Logged::default()
        };
        let calls =
            [charged(Some(10), Some(500)), charged(None, Some(500)), charged(None, None), charged(Some(10), None)];
        let sizes: Vec<_> =
            sizes(&calls, 5).0.iter().map(|it| (it.input_tokens, it.output_tokens, it.max_tokens)).collect();
        assert_eq!(sizes, [(400, 10, Some(500)), (400, 10, Some(500)), (0, 90, Some(900)), (400, 10, Some(500))]);
    }
}
