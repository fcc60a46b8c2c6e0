//! When calls are made.

use serde::{Deserialize, Serialize};

use super::trace::Trace;
use crate::config::WHOLE_PERMILLE;
use crate::gap::{Gap, wave_permille};
use crate::quantile::Quantiles;
use crate::scale::mul_div;

/// Steps into which a day's wave is cut: a quarter of an hour each where the period is a day.
const WAVE_STEPS: u64 = 96;

/// When calls are made. Rates are means, in calls per 1,000 seconds; between two changes of the rate calls come as a
/// Poisson process, so that gaps are independent and short ones are common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Pattern {
    /// At one rate.
    Poisson {
        /// The rate; 0 is none.
        per_1000_s: u64,
    },
    /// By turns at two rates, beginning with the first.
    OnOff {
        /// The rate of the first.
        on_per_1000_s: u64,
        /// The rate of the second.
        off_per_1000_s: u64,
        /// How long the first lasts, in microseconds.
        on_us: u64,
        /// How long the second lasts, in microseconds.
        off_us: u64,
    },
    /// At one rate, and for a while at another.
    Spike {
        /// The usual rate.
        per_1000_s: u64,
        /// The rate of the spike.
        spike_per_1000_s: u64,
        /// Start of the spike, in microseconds after the origin.
        from_us: u64,
        /// Its end.
        to_us: u64,
    },
    /// Rising and falling as a cosine, in steps of one 96th of the period.
    Diurnal {
        /// The mean rate.
        mean_per_1000_s: u64,
        /// How far it goes above and below the mean, in thousandths of it; at most 1000.
        swing_permille: u32,
        /// From peak to peak, in microseconds.
        period_us: u64,
        /// The first peak, in microseconds after the origin.
        peak_us: u64,
    },
    /// So many users, each of whom waits for the end of a call, thinks, and makes the next. What they ask for depends on
    /// how they are served, so two policies get different calls.
    ClosedLoop {
        /// How many.
        users: u32,
        /// How long they think, in milliseconds.
        think_ms: Quantiles,
    },
    /// As recorded; the trace also says how long prompts and answers are.
    Recorded {
        /// The recording. A plan names a file instead, which its reader puts here.
        #[serde(skip)]
        trace: Trace,
        /// How much faster than recorded calls come, in thousandths: at 2000 the gaps are halved. 0 counts as 1.
        rate_permille: u32,
        /// Calls are moved to a random moment within so many microseconds after the recorded one: for traces whose clock
        /// ticks seldom. 0 leaves them.
        spread_us: u64,
    },
}

impl Pattern {
    /// The rate at a moment and until when it stays; `None` where calls do not come at a rate.
    fn rate(&self, at: u64) -> Option<(u64, u64)> {
        Some(match self {
            Self::Poisson { per_1000_s } => (*per_1000_s, u64::MAX),
            Self::OnOff { on_per_1000_s, off_per_1000_s, on_us, off_us } => {
                let period = on_us.saturating_add(*off_us).max(1);
                let start = at / period * period;
                let off = start.saturating_add(*on_us);
                if at < off { (*on_per_1000_s, off) } else { (*off_per_1000_s, start.saturating_add(period)) }
            }
            Self::Spike { per_1000_s, spike_per_1000_s, from_us, to_us } => {
                if at < *from_us {
                    (*per_1000_s, *from_us)
                } else if at < *to_us {
                    (*spike_per_1000_s, *to_us)
                } else {
                    (*per_1000_s, u64::MAX)
                }
            }
            Self::Diurnal { mean_per_1000_s, swing_permille, period_us, peak_us } => {
                let step = (*period_us / WAVE_STEPS).max(1);
                let number = at / step;
                let middle = number.saturating_mul(step).saturating_add(step / 2);
                let phase = middle.saturating_add(period_us.saturating_sub(peak_us % (*period_us).max(1)));
                let wave = wave_permille(phase, *period_us, (*swing_permille).min(WHOLE_PERMILLE));
                let rate = mul_div(*mean_per_1000_s, wave, u64::from(WHOLE_PERMILLE));
                (rate, number.saturating_add(1).saturating_mul(step))
            }
            Self::ClosedLoop { .. } | Self::Recorded { .. } => return None,
        })
    }

    /// The same at so many thousandths of its rate; as it is where calls do not come at a rate.
    pub(crate) fn at_load(&self, permille: u32) -> Self {
        let at = |rate: u64| mul_div(rate, u64::from(permille), u64::from(WHOLE_PERMILLE));
        let mut pattern = self.clone();
        match &mut pattern {
            Self::Poisson { per_1000_s } => *per_1000_s = at(*per_1000_s),
            Self::OnOff { on_per_1000_s, off_per_1000_s, .. } => {
                (*on_per_1000_s, *off_per_1000_s) = (at(*on_per_1000_s), at(*off_per_1000_s));
            }
            Self::Spike { per_1000_s, spike_per_1000_s, .. } => {
                (*per_1000_s, *spike_per_1000_s) = (at(*per_1000_s), at(*spike_per_1000_s));
            }
            Self::Diurnal { mean_per_1000_s, .. } => *mean_per_1000_s = at(*mean_per_1000_s),
            Self::ClosedLoop { .. } | Self::Recorded { .. } => {}
        }
        pattern
    }

    /// The next call after `at` and before `end`, in microseconds; `None` if there is none.
    pub(crate) fn next(&self, at: u64, end: u64, draw: u64) -> Option<u64> {
        let mut gap = Gap::new(draw);
        let mut at = at;
        while at < end {
            let (rate, until) = self.rate(at)?;
            let until = until.max(at.saturating_add(1)).min(end);
            if let Some(wait) = gap.wait(rate, until - at) {
                return Some(at.saturating_add(wait)).filter(|at| *at < end);
            }
            at = until;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use sluicegate::Rng as _;

    use super::*;
    use crate::seed::Dice;

    /// Calls in each of some spans, in seconds.
    fn counts(pattern: &Pattern, spans: &[(u64, u64)]) -> Vec<usize> {
        let end = spans.iter().map(|span| span.1).max().unwrap() * 1_000_000;
        let mut dice = Dice::new(1);
        let mut times = Vec::new();
        let mut at = 0;
        while let Some(next) = pattern.next(at, end, dice.next_u64()) {
            times.push(next / 1_000_000);
            at = next;
        }
        spans.iter().map(|span| times.iter().filter(|at| (span.0..span.1).contains(*at)).count()).collect()
    }

    #[track_caller]
    fn about(found: usize, wanted: usize) {
        assert!(found.abs_diff(wanted) * 10 <= wanted, "{found} instead of about {wanted}");
    }

    #[test]
    fn bursts_come_and_go() {
        let pattern =
            Pattern::OnOff { on_per_1000_s: 30_000, off_per_1000_s: 5_000, on_us: 100_000_000, off_us: 300_000_000 };
        let counts = counts(&pattern, &[(0, 100), (100, 400), (400, 500)]);
        about(counts[0], 3_000);
        about(counts[1], 1_500);
        about(counts[2], 3_000);
        let never = Pattern::OnOff { on_per_1000_s: 0, off_per_1000_s: 0, on_us: 0, off_us: 0 };
        assert_eq!(never.next(0, 1_000, 5), None);
    }

    #[test]
    fn a_spike_is_as_high_and_as_long_as_told() {
        let pattern =
            Pattern::Spike { per_1000_s: 5_000, spike_per_1000_s: 50_000, from_us: 100_000_000, to_us: 150_000_000 };
        let counts = counts(&pattern, &[(0, 100), (100, 150), (150, 400)]);
        about(counts[0], 500);
        about(counts[1], 2_500);
        about(counts[2], 1_250);
    }

    #[test]
    fn a_day_peaks_when_told_and_keeps_its_mean() {
        let day = 86_400;
        let pattern = Pattern::Diurnal {
            mean_per_1000_s: 1_000,
            swing_permille: 800,
            period_us: day * 1_000_000,
            peak_us: day / 2 * 1_000_000,
        };
        let counts = counts(&pattern, &[(0, 3_600), (day / 2 - 1_800, day / 2 + 1_800), (0, day)]);
        about(counts[0], 720);
        about(counts[1], 6_480);
        about(counts[2], 86_400);
    }
}
