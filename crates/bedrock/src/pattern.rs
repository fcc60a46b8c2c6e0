//! Patterns over model ids: `*` stands for any run of characters, everything else for itself.

/// Whether `pattern` matches all of `text`. Takes time in proportion to the product of the lengths at worst.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p + 1, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|expected| *expected == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star, from)) = retry {
            p = star;
            t = from + 1;
            retry = Some((star, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|rest| *rest == b'*')
}

/// How specific a pattern is: one without `*` before any with, then the longer the more specific.
pub(crate) fn specificity(pattern: &str) -> (bool, usize) {
    let stars = pattern.bytes().filter(|byte| *byte == b'*').count();
    (stars == 0, pattern.len() - stars)
}

#[cfg(test)]
mod tests {
    use super::{matches, specificity};

    #[test]
    fn a_star_is_any_run_and_the_rest_is_literal() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*", "abc", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbb", false),
            ("a*b*c", "axbxbxc", true),
            ("*-4-8", "anthropic.claude-opus-4-8", true),
            ("*-4-8", "anthropic.claude-opus-4-80", false),
            ("", "", true),
            ("", "a", false),
            ("a**", "a", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn exact_beats_long_beats_short() {
        assert!(specificity("abc") > specificity("abcdef*"));
        assert!(specificity("abcd*") > specificity("abc*"));
    }
}
