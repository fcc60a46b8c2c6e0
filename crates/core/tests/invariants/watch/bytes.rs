//! Values out of bytes: a short list of bytes makes small values, and one that has run out makes zeros.

/// Numbers that code gets wrong: the ends of types, and of what a JSON number holds exactly.
const EXTREMES: [u64; 13] = [
    0,
    1,
    u8::MAX as u64,
    u16::MAX as u64 + 1,
    u32::MAX as u64,
    u32::MAX as u64 + 1,
    1 << 53,
    i64::MAX as u64,
    1 << 63,
    u64::MAX / 1_000,
    u64::MAX / 1_000 + 1,
    u64::MAX - 1,
    u64::MAX,
];
const FIRST_EXTREME: u8 = u8::MAX - EXTREMES.len() as u8 + 1;

/// What is left to read.
#[derive(Debug)]
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number of `width` bytes, the lowest first.
    pub(crate) fn raw(&mut self, width: u32) -> u64 {
        (0..width).fold(0, |number, place| number | u64::from(self.byte()) << (8 * place))
    }

    /// A number below `end`, of no more bytes than it takes.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        let width = (u64::BITS - (end - 1).leading_zeros()).div_ceil(8);
        self.raw(width) % end
    }

    /// Mostly a number below `end`, now and then an extreme one.
    pub(crate) fn mixed(&mut self, end: u64) -> u64 {
        let tag = self.byte();
        match tag.checked_sub(FIRST_EXTREME) {
            Some(index) => EXTREMES[usize::from(index)],
            None => self.below(end),
        }
    }

    /// Mostly a number below `end`, now and then one up to `most`.
    pub(crate) fn wide(&mut self, end: u64, most: u64) -> u64 {
        self.mixed(end).min(most)
    }

    /// True `share` times in 256.
    pub(crate) fn chance(&mut self, share: u8) -> bool {
        // A list that has run out answers no.
        self.byte() > u8::MAX - share
    }
}
