//! The calls of applications: when they are made and how large they are.

mod closed;
mod conversation;
mod pattern;
mod trace;

use core::time::Duration;

pub(crate) use closed::ClosedLoop;
pub use conversation::Conversations;
pub use pattern::Pattern;
use serde::{Deserialize, Serialize};
use sluicegate::{Rng, Timestamp, random};
pub use trace::{MAX_ROWS, TRACE_HEADER, Trace, TraceError, TraceFault, TraceRow};

use crate::attempt::{Load, Prefix};
use crate::quantile::{Quantiles, azure_conversation_input, azure_conversation_output};
use crate::scale::mul_div;

/// Arrivals generated at most by one call of [`Workload::generate`].
pub const MAX_ARRIVALS: usize = 10_000_000;

/// One call of an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// When it is made.
    pub at: Timestamp,
    /// Input tokens that no cache holds.
    pub input_tokens: u64,
    /// How long the output wants to be, in tokens.
    pub output_tokens: u64,
    /// The output cap it sends; absent: none.
    pub max_tokens: Option<u64>,
    /// Whom it is made for: the place in [`Workload::tenants`].
    pub tenant: u32,
    /// The head of its prompt that a cache may hold, and the conversation that it belongs to.
    pub prefix: Option<Prefix>,
    /// How long after it is made its answer is due, in microseconds; absent: as the scenario says.
    pub deadline_us: Option<u64>,
}

impl Arrival {
    /// What it asks of a model.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            input_tokens: self.input_tokens,
            max_tokens: self.max_tokens,
            output_tokens: Some(self.output_tokens),
            prefix: self.prefix,
            ..Load::default()
        }
    }
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
    /// From the first to the second number of thousandths of the output's length, drawn evenly: a caller that asks for far
    /// more than it gets.
    OutputBetween(u64, u64),
}

/// Somebody who makes a share of the calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantShare {
    /// The name, as in the policy.
    pub name: String,
    /// How many of the calls are his, beside the others' numbers.
    pub calls: u32,
    /// What he is entitled to, beside the others' weights.
    #[serde(default = "one")]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

/// A stream of calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// When calls are made.
    pub arrivals: Pattern,
    /// Input lengths in tokens; a recording has its own.
    #[serde(default = "azure_conversation_input")]
    pub input_tokens: Quantiles,
    /// Output lengths in tokens; a recording has its own.
    #[serde(default = "azure_conversation_output")]
    pub output_tokens: Quantiles,
    /// What is sent as `max_tokens`.
    pub max_tokens: MaxTokens,
    /// Who makes the calls; empty: one tenant.
    #[serde(default)]
    pub tenants: Vec<TenantShare>,
    /// Each arrival is the first turn of a conversation; absent: it is a call by itself.
    #[serde(default)]
    pub conversations: Option<Conversations>,
    /// How long after a call is made its answer is due, in milliseconds; absent: as the scenario says.
    #[serde(default)]
    pub deadline_ms: Option<Quantiles>,
}

impl Workload {
    /// Calls of these sizes at these times, by one tenant.
    #[must_use]
    pub fn new(arrivals: Pattern, max_tokens: MaxTokens) -> Self {
        Self {
            arrivals,
            input_tokens: azure_conversation_input(),
            output_tokens: azure_conversation_output(),
            max_tokens,
            tenants: Vec::new(),
            conversations: None,
            deadline_ms: None,
        }
    }

    /// Conversations as in the Azure 2023 trace (see [`azure_conversation_input`]) at another rate.
    #[must_use]
    pub fn azure_conversation(per_1000_s: u64, max_tokens: MaxTokens) -> Self {
        Self::new(Pattern::Poisson { per_1000_s }, max_tokens)
    }

    /// Calls as recorded; see [`Trace::from_csv`] for the text.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn from_csv(text: &str, max_tokens: MaxTokens) -> Result<Self, TraceError> {
        let trace = Trace::from_csv(text)?;
        Ok(Self::new(Pattern::Recorded { trace, rate_permille: 1_000, spread_us: 0 }, max_tokens))
    }

    /// Every arrival from `from` on and before `from + duration`, in order; at most [`MAX_ARRIVALS`]. A recording starts at
    /// `from`. None for a closed loop, whose calls depend on how they are served.
    ///
    /// Draws for each: gap, input, output, and what else the workload leaves to chance.
    pub fn generate(&self, from: Timestamp, duration: Duration, rng: &mut dyn Rng) -> Vec<Arrival> {
        let end = from.saturating_add(duration);
        let mut arrivals = match &self.arrivals {
            Pattern::Recorded { trace, rate_permille, spread_us } => {
                self.replay(trace, u64::from(*rate_permille), *spread_us, (from, end), rng)
            }
            Pattern::ClosedLoop { .. } => Vec::new(),
            pattern => self.draw_all(pattern, from, end, rng),
        };
        if let Some(conversations) = &self.conversations {
            arrivals = conversations.follow(self, arrivals, end, rng);
        }
        arrivals
    }

    fn draw_all(&self, pattern: &Pattern, from: Timestamp, end: Timestamp, rng: &mut dyn Rng) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        let mut at = from.as_micros();
        while arrivals.len() < MAX_ARRIVALS {
            let Some(next) = pattern.next(at, end.as_micros(), rng.next_u64()) else { break };
            at = next;
            arrivals.push(self.call(Timestamp::from_micros(at), rng));
        }
        arrivals
    }

    /// One call at a moment.
    pub(crate) fn call(&self, at: Timestamp, rng: &mut dyn Rng) -> Arrival {
        let input_tokens = self.input_tokens.value(rng.next_u64());
        let output_tokens = self.output_tokens.value(rng.next_u64());
        self.complete(Arrival { at, input_tokens, output_tokens, ..Arrival::default() }, rng)
    }

    /// Fills in what does not depend on the lengths being drawn or recorded.
    fn complete(&self, mut arrival: Arrival, rng: &mut dyn Rng) -> Arrival {
        let share = |permille| {
            let max = (u128::from(arrival.output_tokens) * u128::from(permille)).div_ceil(1000);
            Some(u64::try_from(max).unwrap_or(u64::MAX))
        };
        arrival.max_tokens = match self.max_tokens {
            MaxTokens::Omitted => None,
            MaxTokens::Fixed(max) => Some(max),
            MaxTokens::OutputPermille(permille) => share(permille),
            MaxTokens::OutputBetween(least, most) => {
                share(least.saturating_add(random::scale(rng.next_u64(), most.saturating_sub(least))))
            }
        };
        if self.tenants.len() > 1 {
            arrival.tenant = self.tenant(rng.next_u64());
        }
        if let Some(deadlines) = &self.deadline_ms {
            arrival.deadline_us = Some(deadlines.value(rng.next_u64()).saturating_mul(1_000));
        }
        arrival
    }

    fn tenant(&self, draw: u64) -> u32 {
        let all: u64 = self.tenants.iter().map(|tenant| u64::from(tenant.calls)).sum();
        let mut left = random::scale(draw, all.saturating_sub(1));
        for (place, tenant) in (0..).zip(&self.tenants) {
            match left.checked_sub(u64::from(tenant.calls)) {
                None => return place,
                Some(rest) => left = rest,
            }
        }
        0
    }

    fn replay(
        &self,
        trace: &Trace,
        rate_permille: u64,
        spread_us: u64,
        (from, end): (Timestamp, Timestamp),
        rng: &mut dyn Rng,
    ) -> Vec<Arrival> {
        let first = trace.rows().first().map_or(0, |row| row.at_us);
        let mut arrivals: Vec<Arrival> = Vec::new();
        for row in trace.rows().iter().take(MAX_ARRIVALS) {
            let spread = if spread_us > 0 { random::scale(rng.next_u64(), spread_us - 1) } else { 0 };
            let since = mul_div((row.at_us - first).saturating_add(spread), 1_000, rate_permille);
            let at = Timestamp::from_micros(from.as_micros().saturating_add(since));
            let sizes =
                Arrival { at, input_tokens: row.input_tokens, output_tokens: row.output_tokens, ..Arrival::default() };
            arrivals.push(self.complete(sizes, rng));
        }
        arrivals.retain(|arrival| arrival.at < end);
        arrivals.sort_by_key(|arrival| arrival.at);
        arrivals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Dice;

    #[test]
    fn arrivals_have_the_rate_and_sizes_asked_for() {
        let workload = Workload::azure_conversation(5_500, MaxTokens::OutputPermille(2_000));
        let mut arrivals = workload.generate(Timestamp::ZERO, Duration::from_secs(3_600), &mut Dice::new(1));
        assert!((19_300..20_300).contains(&arrivals.len()), "{}", arrivals.len());
        assert!(arrivals.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert!(arrivals.iter().all(|call| call.max_tokens == Some(call.output_tokens * 2)));
        arrivals.sort_by_key(|call| call.output_tokens);
        assert!(arrivals[arrivals.len() / 2].output_tokens.abs_diff(129) <= 4);
        assert!(arrivals[arrivals.len() / 100 * 99].output_tokens.abs_diff(601) <= 40);
    }

    #[test]
    fn tenants_make_their_share_of_the_calls() {
        let mut workload = Workload::azure_conversation(10_000, MaxTokens::OutputBetween(10_000, 40_000));
        let tenant = |name: &str, calls| TenantShare { name: name.to_owned(), calls, weight: 1 };
        workload.tenants = vec![tenant("heavy", 10), tenant("light", 1), tenant("silent", 0)];
        workload.deadline_ms = Some(Quantiles::new(vec![(0, 1_000), (1_000, 3_000)]));
        let arrivals = workload.generate(Timestamp::ZERO, Duration::from_secs(1_100), &mut Dice::new(2));
        let count = |tenant| arrivals.iter().filter(|call| call.tenant == tenant).count();
        assert!(count(1).abs_diff(1_000) < 100 && count(0).abs_diff(10_000) < 400, "{} {}", count(0), count(1));
        assert_eq!(count(2), 0);
        assert!(arrivals.iter().all(|call| (1_000_000..3_000_000).contains(&call.deadline_us.unwrap())));
        let shares = arrivals.iter().map(|call| call.max_tokens.unwrap() / call.output_tokens);
        assert!(shares.clone().min() == Some(10) && shares.max() >= Some(39));
    }

    #[test]
    fn a_recording_is_scaled_in_rate_and_spread_within_its_ticks() {
        let text = format!("{TRACE_HEADER}\n1000,5,6\n1000,7,8\n4000,9,10\n");
        let mut workload = Workload::from_csv(&text, MaxTokens::Fixed(9)).unwrap();
        let from = Timestamp::from_micros(500);
        let times = |workload: &Workload| {
            let arrivals = workload.generate(from, Duration::from_secs(10), &mut Dice::new(3));
            arrivals.iter().map(|call| call.at.as_micros()).collect::<Vec<_>>()
        };
        assert_eq!(times(&workload), [500, 500, 3_000_500]);
        let Pattern::Recorded { rate_permille, .. } = &mut workload.arrivals else { panic!() };
        *rate_permille = 2_000;
        assert_eq!(times(&workload), [500, 500, 1_500_500]);
        let Pattern::Recorded { spread_us, .. } = &mut workload.arrivals else { panic!() };
        *spread_us = 3_000_000;
        let spread = times(&workload);
        assert!(spread.is_sorted() && spread[0] != spread[1] && spread[1] < 1_500_500, "{spread:?}");
        assert!(workload.generate(from, Duration::from_micros(1), &mut Dice::new(3)).len() <= 1);
    }
}
