//! Exponential gaps and a day's wave: the only floating-point arithmetic of the service and its calls. It decides when things happen
//! from outside, before any decision is made, and `libm` gives the same numbers on every platform.
#![expect(clippy::float_arithmetic, reason = "a logarithm and a cosine; libm makes them the same everywhere")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "53 bits suffice"
)]

/// Mean gaps to wait for the next event: -ln of a uniform number in (0, 1].
fn gaps(draw: u64) -> f64 {
    // In (0, 1], so that the logarithm is finite.
    let uniform = ((draw >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    -libm::log(uniform)
}

/// A gap in microseconds between events that come so many times in 1,000 seconds; `None` at rate 0.
pub(crate) fn gap_us(per_1000_s: u64, draw: u64) -> Option<u64> {
    (per_1000_s > 0).then(|| (gaps(draw) * 1e9 / per_1000_s as f64) as u64)
}

/// How much of an exponential gap is left while the rate changes.
pub(crate) struct Gap(f64);

impl Gap {
    pub(crate) fn new(draw: u64) -> Self {
        Self(gaps(draw) * 1e9)
    }

    /// Waits at a rate for at most `span_us`: answers the wait if the event comes within it.
    pub(crate) fn wait(&mut self, per_1000_s: u64, span_us: u64) -> Option<u64> {
        let rate = per_1000_s as f64;
        let passed = rate * span_us as f64;
        if self.0 < passed {
            return Some(((self.0 / rate) as u64).min(span_us));
        }
        self.0 -= passed;
        None
    }
}

/// A cosine that is highest at a phase of 0, in thousandths of its mean: from 1000 minus the swing to 1000 plus it.
pub(crate) fn wave_permille(phase_us: u64, period_us: u64, swing_permille: u32) -> u64 {
    let period = period_us.max(1);
    let turn = (phase_us % period) as f64 / period as f64;
    let wave = libm::cos(turn * core::f64::consts::TAU) * f64::from(swing_permille);
    (1_000.0 + wave).max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_the_same_on_every_platform() {
        assert_eq!(gap_us(1_000, u64::MAX), Some(0));
        assert_eq!(gap_us(1_000, 0), Some(36_736_800));
        assert_eq!(gap_us(1_000, 1 << 63), Some(693_147));
        assert_eq!(gap_us(0, 7), None);
    }

    #[test]
    fn a_wave_goes_from_peak_to_trough_and_back() {
        let wave = [0, 25, 50, 75, 100].map(|phase| wave_permille(phase, 100, 800));
        assert_eq!(wave, [1_800, 1_000, 200, 999, 1_800]);
        assert_eq!(wave_permille(7, 0, 1_000), 2_000);
    }

    #[test]
    fn a_gap_over_two_equal_rates_is_the_gap_at_one() {
        let whole = gap_us(2_000, 1 << 60).unwrap();
        let mut gap = Gap::new(1 << 60);
        assert_eq!(gap.wait(2_000, 400_000), None);
        assert_eq!(gap.wait(0, 1_000_000), None);
        assert!(gap.wait(2_000, u64::MAX).unwrap().abs_diff(whole - 400_000) <= 1);
    }
}
