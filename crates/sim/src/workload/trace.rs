//! Recorded calls, read from CSV.

use core::fmt;

/// Rows read at most; one more is an error.
pub const MAX_ROWS: usize = 10_000_000;
/// The first line of a trace: time since the first call in milliseconds, and the lengths of prompt and answer in tokens.
pub const TRACE_HEADER: &str = "arrival_ms,input_tokens,output_tokens";

/// Recorded calls in the order of their times.
///
/// ```
/// use sluicegate_sim::{Trace, TraceFault};
///
/// let trace = Trace::from_csv("arrival_ms,input_tokens,output_tokens\n0,374,44\n4314.579,396,109\n")?;
/// assert_eq!(trace.rows()[1].at_us, 4_314_579);
///
/// let error = Trace::from_csv("arrival_ms,input_tokens,output_tokens\n5,1,1\n4,1,1\n").unwrap_err();
/// assert_eq!((error.line, error.fault), (3, TraceFault::Backwards));
/// # Ok::<(), sluicegate_sim::TraceError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(Vec<TraceRow>);

/// One recorded call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceRow {
    /// When, in microseconds after the start of the recording.
    pub at_us: u64,
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
}

/// What is wrong with a recording, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// The line, counted from 1.
    pub line: usize,
    /// What.
    pub fault: TraceFault,
}

/// What is wrong with a line of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceFault {
    /// The first line is not [`TRACE_HEADER`].
    Header,
    /// It has another number of columns than three.
    Columns {
        /// How many.
        found: usize,
    },
    /// A column is empty or not a number.
    NotANumber {
        /// Its name.
        column: &'static str,
    },
    /// A column is below zero.
    Negative {
        /// Its name.
        column: &'static str,
    },
    /// A column is too large.
    TooLarge {
        /// Its name.
        column: &'static str,
    },
    /// It is earlier than the line before.
    Backwards,
    /// There are more than [`MAX_ROWS`].
    TooMany,
    /// No calls at all.
    Empty,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match self.fault {
            TraceFault::Header => write!(f, "the first line must be `{TRACE_HEADER}`"),
            TraceFault::Columns { found } => write!(f, "{found} columns instead of 3 ({TRACE_HEADER})"),
            TraceFault::NotANumber { column } => write!(f, "{column} is not a number"),
            TraceFault::Negative { column } => write!(f, "{column} is negative"),
            TraceFault::TooLarge { column } => write!(f, "{column} is too large"),
            TraceFault::Backwards => write!(f, "arrival_ms is before that of the line above; sort the file by time"),
            TraceFault::TooMany => write!(f, "more than {MAX_ROWS} calls; cut the file"),
            TraceFault::Empty => write!(f, "the file holds no calls"),
        }
    }
}

impl core::error::Error for TraceError {}

impl Trace {
    /// Reads a recording. Times may have up to three decimals, further ones are dropped; a byte order mark, carriage
    /// returns and empty lines at the end are let pass.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn from_csv(text: &str) -> Result<Self, TraceError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end();
        let mut lines = text.lines().enumerate();
        let error = |index: usize, fault| TraceError { line: index + 1, fault };
        if lines.next().map(|(_, line)| line.trim_end()) != Some(TRACE_HEADER) {
            return Err(error(0, TraceFault::Header));
        }
        let mut rows: Vec<TraceRow> = Vec::new();
        for (index, line) in lines {
            let row = row(line).map_err(|fault| error(index, fault))?;
            if rows.last().is_some_and(|last| row.at_us < last.at_us) {
                return Err(error(index, TraceFault::Backwards));
            }
            if rows.len() >= MAX_ROWS {
                return Err(error(index, TraceFault::TooMany));
            }
            rows.push(row);
        }
        if rows.is_empty() { Err(error(0, TraceFault::Empty)) } else { Ok(Self(rows)) }
    }

    /// The calls, in the order of their times.
    #[must_use]
    pub fn rows(&self) -> &[TraceRow] {
        &self.0
    }

    /// The mean rate, in calls per 1,000 seconds; 0 for less than two calls.
    #[must_use]
    pub fn mean_per_1000_s(&self) -> u64 {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else { return 0 };
        let span = u128::from(last.at_us.saturating_sub(first.at_us));
        let gaps = (self.0.len() as u128).saturating_sub(1);
        (gaps * 1_000_000_000).checked_div(span).map_or(0, |rate| u64::try_from(rate).unwrap_or(u64::MAX))
    }
}

fn row(line: &str) -> Result<TraceRow, TraceFault> {
    let found = line.split(',').count();
    let mut columns = line.split(',').map(str::trim);
    let (Some(at), Some(input), Some(output), None) = (columns.next(), columns.next(), columns.next(), columns.next())
    else {
        return Err(TraceFault::Columns { found });
    };
    Ok(TraceRow {
        at_us: micros(at)?,
        input_tokens: whole(input, "input_tokens")?,
        output_tokens: whole(output, "output_tokens")?,
    })
}

fn whole(text: &str, column: &'static str) -> Result<u64, TraceFault> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TraceFault::NotANumber { column });
    }
    if digits.len() < text.len() {
        return Err(TraceFault::Negative { column });
    }
    digits.parse().map_err(|_| TraceFault::TooLarge { column })
}

/// Milliseconds with decimals, in microseconds.
fn micros(text: &str) -> Result<u64, TraceFault> {
    const COLUMN: &str = "arrival_ms";
    let (millis, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let millis = whole(millis, COLUMN)?;
    if decimals.is_empty() || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TraceFault::NotANumber { column: COLUMN });
    }
    let digits = decimals.bytes().chain(core::iter::repeat(b'0')).take(3);
    let part = digits.fold(0, |part, digit| part * 10 + u64::from(digit - b'0'));
    let micros = millis.checked_mul(1_000).and_then(|micros| micros.checked_add(part));
    micros.ok_or(TraceFault::TooLarge { column: COLUMN })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(rows: &str) -> (usize, TraceFault) {
        let error = Trace::from_csv(&format!("{TRACE_HEADER}\n{rows}")).unwrap_err();
        assert!(error.to_string().starts_with(&format!("line {}: ", error.line)));
        (error.line, error.fault)
    }

    #[test]
    fn decimals_marks_and_line_ends_are_read() {
        let text = format!("\u{feff}{TRACE_HEADER}\r\n0,1,2\r\n0.5,3,4\r\n7.123999, 5 ,6\r\n\r\n");
        let trace = Trace::from_csv(&text).unwrap();
        let times: Vec<_> = trace.rows().iter().map(|row| row.at_us).collect();
        assert_eq!(times, [0, 500, 7_123]);
        assert_eq!((trace.rows()[2].input_tokens, trace.rows()[2].output_tokens), (5, 6));
        assert_eq!(trace.mean_per_1000_s(), 2 * 1_000_000_000 / 7_123);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let column = "input_tokens";
        assert_eq!(fault("0,1,1\n5,1,1\n4.999,1,1"), (4, TraceFault::Backwards));
        assert_eq!(fault("0,-3,1"), (2, TraceFault::Negative { column }));
        assert_eq!(fault("-1,3,1"), (2, TraceFault::Negative { column: "arrival_ms" }));
        assert_eq!(fault("0,1\n"), (2, TraceFault::Columns { found: 2 }));
        assert_eq!(fault("0,1,1,1"), (2, TraceFault::Columns { found: 4 }));
        assert_eq!(fault("0,1,1\n\n1,1,1"), (3, TraceFault::Columns { found: 1 }));
        assert_eq!(fault("0,1e3,1"), (2, TraceFault::NotANumber { column }));
        assert_eq!(fault("0,,1"), (2, TraceFault::NotANumber { column }));
        assert_eq!(fault("1.,1,1"), (2, TraceFault::NotANumber { column: "arrival_ms" }));
        assert_eq!(fault("0,99999999999999999999,1"), (2, TraceFault::TooLarge { column }));
        assert_eq!(fault("18446744073709551615,1,1"), (2, TraceFault::TooLarge { column: "arrival_ms" }));
        assert_eq!(fault(""), (1, TraceFault::Empty));
        assert_eq!(Trace::from_csv("time,in,out\n").unwrap_err().fault, TraceFault::Header);
        assert_eq!(Trace::from_csv("").unwrap_err(), TraceError { line: 1, fault: TraceFault::Header });
    }
}
