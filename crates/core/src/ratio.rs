//! Shares of whole numbers.

/// `amount * parts / of`, rounded down, at most the largest number; `of` is at least 1.
pub(crate) fn ratio(amount: u64, parts: u64, of: u64) -> u64 {
    match amount.checked_mul(parts) {
        Some(product) => product / of.max(1),
        None => u64::try_from(u128::from(amount) * u128::from(parts) / u128::from(of.max(1))).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_in_between() {
        assert_eq!(ratio(7, 10, 3), 23);
        assert_eq!(ratio(u64::MAX, 1_000, 1_000), u64::MAX);
        assert_eq!(ratio(u64::MAX / 2, 10, 4), u64::MAX);
        assert_eq!(ratio(5, 4, 0), 20);
    }
}
