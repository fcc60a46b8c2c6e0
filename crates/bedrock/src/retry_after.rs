//! The service's own word on when to come back.

use core::time::Duration;

use crate::usage::whole_number;

/// The longest wait that is believed. A header that asks for more says nothing useful and is ignored.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the wait that an answer asks for out of its headers, whose names may be in any case.
///
/// `x-amz-retry-after` (milliseconds; read by the AWS SDKs since their retry behaviour 2.1) comes before `Retry-After`
/// (seconds, or a date as RFC 9110 section 5.6.7 has senders write it). A date needs `now_unix_seconds`, the caller's
/// clock; without it a date is ignored, and one that is past is a wait of zero. Any other value is ignored: signs,
/// fractions, obsolete date formats, waits beyond [`MAX_RETRY_AFTER`].
///
/// AWS asks that the header be honoured if present
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/scaling-throughput-best-practices.html>); Converse was seen
/// not to send one with a `ThrottlingException` (`epam/ai-dial-adapter-bedrock` issue 371).
///
/// ```
/// use core::time::Duration;
/// use sluicegate_bedrock::retry_after;
///
/// assert_eq!(retry_after([("Retry-After", "3")], None), Some(Duration::from_secs(3)));
/// assert_eq!(retry_after([("retry-after", "3"), ("x-amz-retry-after", "1500")], None), Some(Duration::from_millis(1_500)));
/// let date = [("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")];
/// assert_eq!(retry_after(date, Some(784_111_770)), Some(Duration::from_secs(7)));
/// assert_eq!(retry_after([("Retry-After", "soon")], Some(0)), None);
/// ```
#[must_use]
pub fn retry_after<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    now_unix_seconds: Option<u64>,
) -> Option<Duration> {
    let (mut exact, mut standard) = (None, None);
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("x-amz-retry-after") {
            exact = exact.or_else(|| whole_number(value).map(Duration::from_millis).filter(believed));
        } else if name.eq_ignore_ascii_case("retry-after") {
            let wait = whole_number(value).or_else(|| Some(date(value)?.saturating_sub(now_unix_seconds?)));
            standard = standard.or_else(|| wait.map(Duration::from_secs).filter(believed));
        }
    }
    exact.or(standard)
}

fn believed(wait: &Duration) -> bool {
    *wait <= MAX_RETRY_AFTER
}

/// Unix seconds of an IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT`; the day's name is not checked.
///
/// By hand, since the `httpdate` crate needs the standard library's `SystemTime`.
fn date(text: &str) -> Option<u64> {
    let (_, rest) = text.trim().split_once(", ")?;
    let mut parts = rest.split(' ');
    let day = digits(parts.next()?, 2)?;
    let month = month(parts.next()?)?;
    let year = digits(parts.next()?, 4)?;
    let mut clock = parts.next()?.split(':');
    let (hour, minute, second) = (digits(clock.next()?, 2)?, digits(clock.next()?, 2)?, digits(clock.next()?, 2)?);
    if parts.next()? != "GMT" || parts.next().is_some() || clock.next().is_some() {
        return None;
    }
    // 60 is a leap second.
    if year < 1970 || day == 0 || day > days_in(month, year) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let before = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum::<u64>();
    let days = before + (1..month).map(|month| days_in(month, year)).sum::<u64>() + day - 1;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

fn digits(text: &str, length: usize) -> Option<u64> {
    if text.len() == length { whole_number(text) } else { None }
}

fn month(name: &str) -> Option<u64> {
    const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    NAMES.iter().position(|known| *known == name).map(|index| index as u64 + 1)
}

const fn days_in(month: u64, year: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{date, retry_after};

    #[test]
    fn dates_become_unix_seconds() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Mon, 23 Nov 2026 12:00:00 GMT", Some(1_795_435_200)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Wed, 29 Feb 2023 00:00:00 GMT", None),
            ("Wed, 00 Mar 2023 00:00:00 GMT", None),
            ("Wed, 01 Mrz 2023 00:00:00 GMT", None),
            ("Wed, 01 Mar 2023 24:00:00 GMT", None),
            ("Wed, 01 Mar 2023 00:00:00 CET", None),
            ("Wed, 01 Mar 2023 00:00:00 GMT+1", None),
            ("Wed, 01 Mar 2023 00:00:00 GMT x", None),
            ("Wed, 1 Mar 2023 00:00:00 GMT", None),
            ("Wed, 01 Mar 1969 00:00:00 GMT", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("", None),
        ] {
            assert_eq!(date(text), seconds, "{text}");
        }
    }

    #[test]
    fn only_believable_values_count() {
        let standard = |value| retry_after([("Retry-After", value)], Some(1_000));
        assert_eq!(standard("0"), Some(Duration::ZERO));
        assert_eq!(standard("86400"), Some(Duration::from_secs(86_400)));
        for value in ["86401", "-1", "+1", "1.5", "", " ", "invalid", "99999999999999999999"] {
            assert_eq!(standard(value), None, "{value:?}");
        }
        assert_eq!(standard("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO), "a past date is now");
        assert_eq!(standard("Thu, 01 Jan 2070 00:00:00 GMT"), None, "too far away");
        assert_eq!(retry_after([("Retry-After", "Thu, 01 Jan 1970 00:00:00 GMT")], None), None);
        assert_eq!(retry_after([], Some(0)), None);
    }

    /// Header values of boto/botocore `tests/unit/retries/test_standard.py` at 0e6e2404 (Apache-2.0); what each SDK
    /// then does with the value is its own affair.
    #[test]
    fn milliseconds_of_the_sdks() {
        for (value, millis) in
            [("1500", Some(1_500)), ("0", Some(0)), ("10000", Some(10_000)), ("invalid", None), ("-100", None)]
        {
            let expected = millis.map(Duration::from_millis);
            assert_eq!(retry_after([("X-Amz-Retry-After", value)], None), expected, "{value}");
        }
    }

    #[test]
    fn a_bad_header_does_not_hide_a_good_one() {
        let headers = [("x-amz-retry-after", "bad"), ("retry-after", "bad"), ("retry-after", "2")];
        assert_eq!(retry_after(headers, None), Some(Duration::from_secs(2)));
    }
}
