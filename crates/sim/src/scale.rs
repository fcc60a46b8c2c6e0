//! Products and quotients that neither overflow nor cost more than they must.

/// `a * b / c`, at most `u64::MAX`; a `c` of 0 counts as 1. Two machine instructions where the product fits 64 bits.
pub(crate) fn mul_div(a: u64, b: u64, c: u64) -> u64 {
    let c = c.max(1);
    match a.checked_mul(b) {
        Some(product) => product / c,
        None => u64::try_from(u128::from(a) * u128::from(b) / u128::from(c)).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::mul_div;

    #[test]
    fn large_products_saturate_and_small_ones_are_exact() {
        assert_eq!(mul_div(7, 3, 2), 10);
        assert_eq!(mul_div(u64::MAX, 6, 3), u64::MAX);
        assert_eq!(mul_div(u64::MAX, 2, 4), u64::MAX / 2);
        assert_eq!(mul_div(9, 9, 0), 81);
    }
}
