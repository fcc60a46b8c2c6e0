//! Logs of calls that were really made: the engine's own, and Amazon Bedrock's model invocation log.

mod bedrock;
mod engine;

use std::collections::BTreeMap;

use serde_json::Value;
use sluicegate::Timestamp;

use crate::workload::Arrival;

/// A call as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logged {
    /// When it was made, in microseconds: since 1970 if the log says, else since its own start.
    pub at_us: u64,
    /// Whom it was made for.
    pub tenant: String,
    /// The model it asked for.
    pub model: Option<String>,
    /// Its size; absent if it never went out.
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
    /// What was reserved and what it settled at, with the cap that is part of the first.
    Charged {
        /// Quota tokens at admission.
        reserved: u64,
        /// Quota tokens at the end; 0 without an answer.
        settled: u64,
        /// The cap on the answer, which is part of `reserved`.
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

/// Reads a log of either kind.
///
/// # Errors
/// The faulty lines, counted from 1, and what is wrong with each.
pub fn parse(text: &str) -> Result<Log, Vec<(usize, String)>> {
    let (mut faults, mut values) = (Vec::new(), Vec::new());
    // What `aws logs filter-log-events` prints is one document.
    if let Ok(Value::Object(mut whole)) = serde_json::from_str::<Value>(text)
        && let Some(Value::Array(events)) = whole.remove("events")
    {
        values.extend(events.into_iter().map(|event| (1, event)));
    } else {
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            match serde_json::from_str::<Value>(line) {
                Ok(value @ Value::Object(_)) => values.push((number, value)),
                Ok(_) => faults.push((number, "not a JSON object".to_owned())),
                Err(error) => faults.push((number, format!("not JSON: {error}"))),
            }
        }
    }
    let engine = values.iter().any(|(_, value)| value.get("at_us").is_some() || value.get("log").is_some());
    let read = if engine { engine::read } else { bedrock::read };
    let mut log = read(values, &mut faults);
    if faults.is_empty() && log.calls.is_empty() {
        faults.push((1, "the log holds no calls".to_owned()));
    }
    if !faults.is_empty() {
        faults.sort_by_key(|(line, _)| *line);
        return Err(faults);
    }
    log.calls.sort_by_key(|call| call.at_us);
    Ok(log)
}

/// What each call asked for, without its time, and how many of the sizes are guessed: a call that never went out has that of
/// a middling one. `multiplier`: quota tokens per output token.
#[must_use]
pub fn sizes(calls: &[Logged], multiplier: u64) -> (Vec<Arrival>, u64) {
    let multiplier = multiplier.max(1);
    let size = |size: Size| match size {
        Size::Counted { input, output, max_tokens } => {
            Arrival { input_tokens: input, output_tokens: output, max_tokens, ..Arrival::default() }
        }
        Size::Charged { reserved, settled, max_tokens: Some(most) } => {
            let input = reserved.saturating_sub(most);
            let output = settled.saturating_sub(input) / multiplier;
            Arrival { input_tokens: input, output_tokens: output, max_tokens: Some(most), ..Arrival::default() }
        }
        // How it is made up does not matter to the quotas, as long as both sums are right.
        Size::Charged { reserved, settled, max_tokens: None } => {
            let (output, input) = (settled / multiplier, settled % multiplier);
            let most = Some(reserved.saturating_sub(input).max(output));
            Arrival { input_tokens: input, output_tokens: output, max_tokens: most, ..Arrival::default() }
        }
    };
    let answered = |call: &&Logged| call.answered;
    let mut known: Vec<Arrival> = calls.iter().filter(answered).filter_map(|call| Some(size(call.size?))).collect();
    known.sort_by_key(|arrival| (arrival.input_tokens.saturating_add(arrival.output_tokens), arrival.max_tokens));
    let middling = known.get(known.len() / 2).copied().unwrap_or(Arrival { input_tokens: 1, ..Arrival::default() });
    let mut guessed = 0;
    let sizes = calls.iter().map(|call| match (call.size.map(size), call.answered) {
        (Some(own), true) => own,
        // What went out without an answer asked for so much; how long its answer would have been is not known.
        (Some(own), false) => {
            Arrival { output_tokens: middling.output_tokens.min(own.max_tokens.unwrap_or(u64::MAX)), ..own }
        }
        (None, _) => {
            guessed += 1;
            middling
        }
    });
    (sizes.collect(), guessed)
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
}
