//! Replies: words that depend on nothing but a number.

/// Short words, about one token each.
const WORDS: [&str; 32] = [
    "water", "stone", "bridge", "river", "gate", "mill", "field", "lamp", "rope", "sail", "bell", "door", "path",
    "hill", "rain", "wind", "boat", "wall", "tree", "leaf", "hand", "book", "line", "wheel", "cloud", "sand", "bird",
    "light", "note", "glass", "fire", "snow",
];

/// Words `from..to` of the reply that `seed` stands for, a space after each.
pub(crate) fn words(seed: u64, from: u64, to: u64) -> String {
    let mut text = String::new();
    for at in from..to {
        // SplitMix64's constants: neighbouring positions get unrelated words.
        let mixed = (seed ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = usize::try_from(mixed >> 59).ok().and_then(|index| WORDS.get(index)).copied();
        text.push_str(word.unwrap_or("water"));
        text.push(' ');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_whole() {
        let whole = words(7, 0, 40);
        assert_eq!(words(7, 0, 13) + &words(7, 13, 40), whole);
        assert_eq!(whole.split_whitespace().count(), 40);
        assert_ne!(whole, words(8, 0, 40));
    }
}
