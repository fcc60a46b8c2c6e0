//! Distributions given as a few quantiles, drawn from by integer arithmetic.

use core::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A distribution of whole numbers: pairs of (permille, value), straight lines between them.
///
/// The first permille is 0 and the last is 1000; permilles rise and values never fall. Written as those pairs; a single
/// number, which is read as well, is the value of every draw.
///
/// ```
/// use sluicegate_sim::Quantiles;
///
/// let sizes = Quantiles::new(vec![(0, 10), (500, 20), (1000, 100)]);
/// assert_eq!(sizes.value(0), 10);
/// assert_eq!(sizes.value(u64::MAX / 2 + 1), 20);
/// assert_eq!(sizes.value(u64::MAX), 99);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantiles(Vec<(u32, u64)>);

impl<'de> Deserialize<'de> for Quantiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrPairs)
    }
}

struct NumberOrPairs;

impl<'de> Visitor<'de> for NumberOrPairs {
    type Value = Quantiles;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, or pairs of a permille and a value such as [[0, 10], [1000, 100]]")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Quantiles, E> {
        Ok(Quantiles::constant(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Quantiles, E> {
        u64::try_from(value).map(Quantiles::constant).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, pairs: A) -> Result<Quantiles, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(pairs)).map(Quantiles)
    }
}

/// Bits of a draw that are used: enough for any table in permille, and no product overflows 128 bits.
const DRAW_BITS: u32 = 32;

impl Quantiles {
    /// A table of (permille, value) pairs, as given; `ServiceConfig::faults` says whether it is in order.
    #[must_use]
    pub const fn new(points: Vec<(u32, u64)>) -> Self {
        Self(points)
    }

    /// The same value for every draw.
    #[must_use]
    pub fn constant(value: u64) -> Self {
        Self(vec![(0, value), (1000, value)])
    }

    /// Whether the table starts at 0, ends at 1000, rises in permille and never falls in value.
    #[must_use]
    pub fn is_in_order(&self) -> bool {
        let first = self.0.first().is_some_and(|point| point.0 == 0);
        let last = self.0.last().is_some_and(|point| point.0 == 1000);
        let rising = self.0.windows(2).all(|pair| match pair {
            [low, high] => low.0 < high.0 && low.1 <= high.1,
            _ => true,
        });
        first && last && rising
    }

    /// The value that one 64-bit draw stands for. Its high 32 bits decide; an empty table gives 0.
    #[must_use]
    pub fn value(&self, draw: u64) -> u64 {
        let position = u128::from(draw >> (64 - DRAW_BITS)) * 1000;
        for pair in self.0.windows(2) {
            let [low, high] = pair else { continue };
            let (from, to) = (u128::from(low.0) << DRAW_BITS, u128::from(high.0) << DRAW_BITS);
            if position < to {
                let span = to.saturating_sub(from).max(1);
                let rise = u128::from(high.1.saturating_sub(low.1)) * position.saturating_sub(from) / span;
                return low.1.saturating_add(u64::try_from(rise).unwrap_or(u64::MAX));
            }
        }
        self.0.last().map_or(0, |point| point.1)
    }
}

/// Input lengths of the Azure conversation trace, in tokens (p50 1,020, p99 4,142).
///
/// Quantiles of all 19,366 rows of `data/AzureLLMInferenceTrace_conv.csv` in Azure/AzurePublicDataset, CC-BY 4.0; Patel
/// et al., "Splitwise: Efficient generative LLM inference using phase splitting", ISCA 2024.
#[must_use]
pub fn azure_conversation_input() -> Quantiles {
    Quantiles(vec![
        (0, 2),
        (10, 29),
        (50, 181),
        (100, 207),
        (200, 387),
        (300, 403),
        (400, 703),
        (500, 1_020),
        (700, 1_130),
        (800, 1_315),
        (900, 2_735),
        (950, 4_083),
        (990, 4_142),
        (999, 6_212),
        (1000, 14_050),
    ])
}

/// Output lengths of the Azure conversation trace, in tokens (p50 129, p99 601). Same source and licence as
/// [`azure_conversation_input`].
#[must_use]
pub fn azure_conversation_output() -> Quantiles {
    Quantiles(vec![
        (0, 7),
        (10, 16),
        (50, 41),
        (100, 54),
        (200, 77),
        (300, 91),
        (400, 103),
        (500, 129),
        (600, 177),
        (700, 384),
        (800, 400),
        (900, 424),
        (950, 451),
        (990, 601),
        (999, 954),
        (1000, 1_000),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_azure_tables_are_in_order_and_meet_their_published_quantiles() {
        for (table, p50, p99) in [(azure_conversation_input(), 1_020, 4_142), (azure_conversation_output(), 129, 601)] {
            assert!(table.is_in_order());
            assert!(table.value(u64::MAX / 1000 * 500).abs_diff(p50) <= 1);
            assert!(table.value(u64::MAX / 1000 * 990).abs_diff(p99) <= 1);
        }
    }

    #[test]
    fn a_number_stands_for_every_draw_and_anything_else_is_told() {
        let read = |text: &str| serde_json::from_str::<Quantiles>(text).map_err(|error| error.to_string());
        assert_eq!(read("7"), Ok(Quantiles::constant(7)));
        assert_eq!(read("[[0, 1], [1000, 9]]"), Ok(Quantiles::new(vec![(0, 1), (1000, 9)])));
        for (text, what) in [("-3", "integer `-3`"), ("\"7\"", "string"), ("0.5", "floating point")] {
            let error = read(text).expect_err(text);
            assert!(error.contains(what) && error.contains("[[0, 10], [1000, 100]]"), "{error}");
        }
    }

    #[test]
    fn values_never_leave_the_table_or_fall() {
        let table = Quantiles::new(vec![(0, 5), (1000, u64::MAX)]);
        let mut last = 0;
        for step in 0..=1000_u64 {
            let value = table.value(u64::MAX / 1000 * step);
            assert!(value >= last && value >= 5);
            last = value;
        }
        assert!(!Quantiles::new(vec![(0, 5), (900, 6)]).is_in_order());
        assert!(!Quantiles::new(vec![(0, 5), (1000, 4)]).is_in_order());
        assert_eq!(Quantiles::new(vec![]).value(7), 0);
    }
}
