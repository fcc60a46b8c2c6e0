//! Lines of a file, one at a time and none too long.

use std::io::{self, BufRead};

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A line that ends in a line feed, which is not part of it.
    Line,
    /// A line that the end of the file cut off.
    Cut,
    /// A line that is longer than the limit; it was skipped.
    TooLong,
    /// The file is over.
    End,
}

/// Reads the next line into `line`. `read` grows by all bytes that were consumed, the line feed included.
pub(crate) fn next(file: &mut impl BufRead, line: &mut Vec<u8>, limit: usize, read: &mut u64) -> io::Result<Next> {
    line.clear();
    let mut too_long = false;
    loop {
        let chunk = match file.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            return Ok(match (too_long, line.is_empty()) {
                (true, _) => Next::TooLong,
                (false, false) => Next::Cut,
                (false, true) => Next::End,
            });
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        if line.len().saturating_add(part.len()) > limit {
            too_long = true;
            line.clear();
        }
        if !too_long {
            line.extend_from_slice(part);
        }
        let used = end.map_or(chunk.len(), |end| end + 1);
        file.consume(used);
        *read += used as u64;
        if end.is_some() {
            return Ok(if too_long { Next::TooLong } else { Next::Line });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, capacity: usize, limit: usize) -> (Vec<(Next, String)>, u64) {
        let mut file = io::BufReader::with_capacity(capacity, text.as_bytes());
        let (mut line, mut read, mut lines) = (Vec::new(), 0, Vec::new());
        loop {
            match next(&mut file, &mut line, limit, &mut read).unwrap() {
                Next::End => return (lines, read),
                kind => lines.push((kind, String::from_utf8(line.clone()).unwrap())),
            }
        }
    }

    #[test]
    fn lines_are_the_same_whatever_the_buffer() {
        for capacity in 1..12 {
            let (lines, read) = all("ab\n\nlonger\ncut", capacity, 5);
            let expected = [(Next::Line, "ab"), (Next::Line, ""), (Next::TooLong, ""), (Next::Cut, "cut")]
                .map(|(kind, text)| (kind, text.to_owned()));
            assert_eq!((lines.as_slice(), read), (expected.as_slice(), 14));
        }
    }

    #[test]
    fn a_long_line_at_the_end_is_too_long_and_not_cut() {
        assert_eq!(all("abcdef", 2, 3), (vec![(Next::TooLong, String::new())], 6));
    }
}
