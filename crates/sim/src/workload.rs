//! Arrivals: Poisson in time, sizes from quantile tables.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sluicegate::{Rng, Timestamp};

use crate::quantile::{Quantiles, azure_conversation_input, azure_conversation_output};

/// Arrivals generated at most by one call of [`Workload::generate`].
pub const MAX_ARRIVALS: usize = 10_000_000;

/// One call of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// When it is made.
    pub at: Timestamp,
    /// Input tokens.
    pub input_tokens: u64,
    /// How long the output wants to be, in tokens.
    pub output_tokens: u64,
    /// The output cap it sends; absent: none.
    pub max_tokens: Option<u64>,
}

/// What calls send as `max_tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MaxTokens {
    /// Nothing, so that the model's own maximum is reserved.
    Omitted,
    /// The same for all; longer outputs are cut.
    Fixed(u64),
    /// This many thousandths of the output's length: a caller that knows how long answers are.
    OutputPermille(u64),
}

/// A stream of calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Mean rate, in arrivals per 1,000 seconds; 0 is none.
    pub arrivals_per_1000_s: u64,
    /// Input lengths in tokens.
    #[serde(default = "azure_conversation_input")]
    pub input_tokens: Quantiles,
    /// Output lengths in tokens.
    #[serde(default = "azure_conversation_output")]
    pub output_tokens: Quantiles,
    /// What is sent as `max_tokens`.
    pub max_tokens: MaxTokens,
}

impl Workload {
    /// Conversations as in the Azure 2023 trace (see [`azure_conversation_input`]) at another rate.
    #[must_use]
    pub fn azure_conversation(arrivals_per_1000_s: u64, max_tokens: MaxTokens) -> Self {
        Self {
            arrivals_per_1000_s,
            input_tokens: azure_conversation_input(),
            output_tokens: azure_conversation_output(),
            max_tokens,
        }
    }

    /// Every arrival from `from` on and before `from + duration`, in order; at most [`MAX_ARRIVALS`]. Three draws each:
    /// gap, input, output.
    pub fn generate(&self, from: Timestamp, duration: Duration, rng: &mut dyn Rng) -> Vec<Arrival> {
        let end = from.saturating_add(duration);
        let mut arrivals = Vec::new();
        let mut at = from;
        while arrivals.len() < MAX_ARRIVALS {
            let Some(gap) = gap_us(self.arrivals_per_1000_s, rng.next_u64()) else { break };
            at = Timestamp::from_micros(at.as_micros().saturating_add(gap));
            if at >= end {
                break;
            }
            let input_tokens = self.input_tokens.value(rng.next_u64());
            let output_tokens = self.output_tokens.value(rng.next_u64());
            let max_tokens = match self.max_tokens {
                MaxTokens::Omitted => None,
                MaxTokens::Fixed(max) => Some(max),
                MaxTokens::OutputPermille(share) => {
                    let max = (u128::from(output_tokens) * u128::from(share)).div_ceil(1000);
                    Some(u64::try_from(max).unwrap_or(u64::MAX))
                }
            };
            arrivals.push(Arrival { at, input_tokens, output_tokens, max_tokens });
        }
        arrivals
    }
}

/// One exponential gap in microseconds; `None` at rate 0.
///
/// The only floating-point arithmetic here. It decides when arrivals happen, before any decision is made, and `libm`
/// gives the same logarithm on every platform.
#[expect(clippy::float_arithmetic, reason = "the logarithm of an exponential gap; libm makes it the same everywhere")]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "53 bits suffice"
)]
fn gap_us(arrivals_per_1000_s: u64, draw: u64) -> Option<u64> {
    if arrivals_per_1000_s == 0 {
        return None;
    }
    // In (0, 1], so that the logarithm is finite.
    let uniform = ((draw >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    Some((-libm::log(uniform) * 1e9 / arrivals_per_1000_s as f64) as u64)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn arrivals_have_the_rate_and_sizes_asked_for() {
        let workload = Workload::azure_conversation(5_500, MaxTokens::OutputPermille(2_000));
        let mut rng = StdRng::seed_from_u64(1);
        let mut arrivals = workload.generate(Timestamp::ZERO, Duration::from_secs(3_600), &mut rng);
        assert!((19_300..20_300).contains(&arrivals.len()), "{}", arrivals.len());
        assert!(arrivals.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert!(arrivals.iter().all(|call| call.max_tokens == Some(call.output_tokens * 2)));
        arrivals.sort_by_key(|call| call.output_tokens);
        assert!(arrivals[arrivals.len() / 2].output_tokens.abs_diff(129) <= 4);
        assert!(arrivals[arrivals.len() / 100 * 99].output_tokens.abs_diff(601) <= 40);
    }

    #[test]
    fn gaps_are_the_same_on_every_platform() {
        assert_eq!(gap_us(1_000, u64::MAX), Some(0));
        assert_eq!(gap_us(1_000, 0), Some(36_736_800));
        assert_eq!(gap_us(1_000, 1 << 63), Some(693_147));
        assert_eq!(gap_us(0, 7), None);
    }
}
