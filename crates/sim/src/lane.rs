//! One Region and model at work: its counters, its slots, its speed under the faults of the moment.

use sluicegate::{Rng as _, Timestamp};

use crate::attempt::Load;
use crate::cache::PromptCache;
use crate::config::{Effect, Fault, LaneConfig, OtherUser, WHOLE_PERMILLE};
use crate::gap::gap_us;
use crate::ledger::Second;
use crate::quota::MinuteQuota;
use crate::scale::mul_div;
use crate::seed::Dice;

/// What one request takes from the requests per minute, whose counter is kept in thousandths.
pub(crate) const REQUEST: u64 = 1000;

#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) config: LaneConfig,
    /// Index of the Region's daily counter.
    pub(crate) region: usize,
    pub(crate) requests: Option<MinuteQuota>,
    pub(crate) tokens: Option<MinuteQuota>,
    pub(crate) in_flight: u32,
    pub(crate) cache: PromptCache,
    /// Every moment a fault starts or ends, in order; those before `next_change` are done.
    changes: Vec<u64>,
    next_change: usize,
    slow_factors: Vec<u32>,
    /// Effects in force since the last change.
    active: Vec<Effect>,
    other: Option<Other>,
}

/// The other user of the account at work.
#[derive(Clone, Debug)]
struct Other {
    dice: Dice,
    takes_per_1000_s: u64,
    next: u64,
    /// Thousandths of requests, and tokens, each time.
    parts: (u64, u64),
}

impl Other {
    fn new(config: &LaneConfig, user: OtherUser) -> Self {
        let part = |limit: Option<u64>| {
            let whole = u64::from(WHOLE_PERMILLE) * u64::from(user.takes_per_minute.max(1));
            mul_div(limit.unwrap_or(0), u64::from(user.share_permille), whole)
        };
        let requests = config.requests_per_minute.map(|limit| limit.saturating_mul(REQUEST));
        let mut other = Self {
            dice: Dice::stream(user.seed, 0),
            takes_per_1000_s: u64::from(user.takes_per_minute) * 1_000 / 60,
            next: 0,
            parts: (part(requests), part(config.tokens_per_minute)),
        };
        other.draw();
        other
    }

    fn draw(&mut self) {
        let gap = gap_us(self.takes_per_1000_s, self.dice.next_u64()).unwrap_or(u64::MAX);
        self.next = self.next.saturating_add(gap);
    }
}

impl Lane {
    pub(crate) fn new(config: &LaneConfig, region: usize) -> Self {
        let start = Timestamp::ZERO;
        let quota = |limit: u64| MinuteQuota::new(config.law, limit, start);
        Self {
            cache: PromptCache::default(),
            active: Vec::new(),
            other: config.other_user.map(|user| Other::new(config, user)),
            config: config.clone(),
            region,
            requests: config.requests_per_minute.map(|limit| quota(limit.saturating_mul(REQUEST))),
            tokens: config.tokens_per_minute.map(quota),
            in_flight: 0,
            changes: changes(&config.faults),
            next_change: 0,
            slow_factors: slow_factors(&config.faults),
        }
    }

    pub(crate) fn keep_debts(&mut self) {
        self.requests.iter_mut().chain(&mut self.tokens).for_each(MinuteQuota::keep_debts);
    }

    /// Ends the trouble of this kind that has no end yet and, if wanted, lets it go on like this from `now`. The change is
    /// still to be applied.
    pub(crate) fn intervene(&mut self, now: Timestamp, effect: Effect, wanted: bool) {
        let at = now.as_micros();
        let kind = core::mem::discriminant(&effect);
        let faults = &mut self.config.faults;
        for fault in faults.iter_mut() {
            if fault.to_us == Fault::OPEN_END_US && core::mem::discriminant(&fault.effect) == kind {
                fault.to_us = at;
            }
        }
        faults.retain(|fault| fault.from_us < fault.to_us);
        if wanted {
            faults.push(Fault { from_us: at, to_us: Fault::OPEN_END_US, effect });
        }
        self.changes = changes(faults);
        self.slow_factors = slow_factors(faults);
        self.next_change = self.changes.partition_point(|change| *change < at);
        if self.next_change() != Some(now) {
            // What was taken back had begun at this moment.
            self.changes.insert(self.next_change, at);
        }
    }

    /// When the other user of the account takes his next part.
    pub(crate) fn next_take(&self) -> Option<Timestamp> {
        self.other.as_ref().map(|other| Timestamp::from_micros(other.next))
    }

    /// Lets him take it.
    pub(crate) fn take(&mut self, at: Timestamp) {
        let Some(other) = &mut self.other else { return };
        let (requests, tokens) = other.parts;
        other.draw();
        if let Some(quota) = &mut self.requests {
            quota.take(at, requests);
        }
        if let Some(quota) = &mut self.tokens {
            quota.take(at, tokens);
        }
    }

    /// Effects in force since the last change that was applied.
    pub(crate) fn active(&self) -> &[Effect] {
        &self.active
    }

    /// Effects in force at `now`.
    fn effects(&self, now: Timestamp) -> impl Iterator<Item = Effect> {
        let now = now.as_micros();
        self.config
            .faults
            .iter()
            .filter(move |fault| fault.from_us <= now && now < fault.to_us)
            .map(|fault| fault.effect)
    }

    /// The next change not yet applied.
    pub(crate) fn next_change(&self) -> Option<Timestamp> {
        self.changes.get(self.next_change).copied().map(Timestamp::from_micros)
    }

    /// Every moment a fault starts or ends, in order.
    pub(crate) fn changes(&self) -> &[u64] {
        &self.changes
    }

    /// Moments that show every state of the faults from `from` up to `to`.
    pub(crate) fn points(&self, from: u64, to: u64) -> Vec<Timestamp> {
        let changes = self.changes.iter().copied().filter(|at| from < *at && *at < to);
        core::iter::once(from).chain(changes).map(Timestamp::from_micros).collect()
    }

    /// Every pair of limits (see [`Lane::limits`]) that is ever in force.
    pub(crate) fn all_limits(&self) -> impl Iterator<Item = (Option<u64>, Option<u64>)> {
        self.points(0, u64::MAX).into_iter().map(|at| self.limits(at))
    }

    /// Applies the change that [`Lane::next_change`] names: from then on the quotas are what the faults leave of them.
    pub(crate) fn apply_change(&mut self, at: Timestamp) {
        self.next_change += 1;
        self.active = self.effects(at).collect();
        let (requests, tokens) = self.limits(at);
        if let (Some(quota), Some(limit)) = (&mut self.requests, requests) {
            quota.set_limit(at, limit);
        }
        if let (Some(quota), Some(limit)) = (&mut self.tokens, tokens) {
            quota.set_limit(at, limit);
        }
    }

    /// Limits per minute in force at `at`: thousandths of requests, and tokens.
    pub(crate) fn limits(&self, at: Timestamp) -> (Option<u64>, Option<u64>) {
        let whole = u128::from(WHOLE_PERMILLE);
        let factor = self.effects(at).fold(whole, |factor, effect| match effect {
            Effect::QuotaFactor { permille } => factor * u128::from(permille) / whole,
            _ => factor,
        });
        let scale = |limit: u64| u64::try_from(u128::from(limit).saturating_mul(factor) / whole).unwrap_or(u64::MAX);
        let requests = self.config.requests_per_minute.map(|limit| scale(limit.saturating_mul(REQUEST)));
        (requests, self.config.tokens_per_minute.map(scale))
    }

    /// Attempts that may be in flight at once at `at`.
    pub(crate) fn slots_at(&self, at: Timestamp) -> Option<u32> {
        Some(self.effects(at).fold(self.config.concurrency?, fewer))
    }

    /// Whether a slot is free, as of the last change that was applied.
    pub(crate) fn has_slot(&self) -> bool {
        let slots = self.config.concurrency;
        slots.is_none_or(|slots| self.in_flight < self.active.iter().copied().fold(slots, fewer))
    }

    /// Whether a fault lets nothing through at `at`.
    pub(crate) fn is_closed_at(&self, at: Timestamp) -> bool {
        self.effects(at).any(closes)
    }

    /// Whether a fault lets nothing through, as of the last change that was applied.
    pub(crate) fn is_closed(&self) -> bool {
        self.active.iter().copied().any(closes)
    }

    /// Output cap of an attempt: what it asks for, at most what the model can do.
    pub(crate) fn cap(&self, load: &Load) -> u64 {
        load.max_tokens.unwrap_or(u64::MAX).min(self.config.max_output_tokens)
    }

    /// Tokens reserved at admission: all input and the output cap, without the multiplier (Bedrock user guide, "Token
    /// burndown").
    pub(crate) fn reservation(&self, load: &Load) -> u64 {
        let reads = if self.config.reserve_cache_reads { 0 } else { load.cache_read_tokens };
        load.all_input().saturating_sub(reads).saturating_add(self.cap(load))
    }

    /// Tokens settled at the end: uncached input, cache writes and the output times its multiplier (ibid.).
    pub(crate) fn settlement(&self, load: &Load, output: u64) -> u64 {
        self.charge(load.charged_input(), output)
    }

    /// The same by the input that is charged.
    pub(crate) const fn charge(&self, input: u64, output: u64) -> u64 {
        input.saturating_add(self.config.output_multiplier.saturating_mul(output))
    }

    /// Undisturbed time to the first token and to the last, in microseconds.
    pub(crate) fn durations(&self, load: &Load, output: u64) -> (u64, u64) {
        let fresh = load.charged_input();
        let first = self.config.first_token_us.saturating_add(mul_div(fresh, self.config.per_input_token_ns, 1_000));
        (first, first.saturating_add(mul_div(output, 1_000_000, self.config.tokens_per_second)))
    }

    /// When the first token of an attempt admitted at `now` is out, and when its last, under the faults of the last
    /// change that was applied.
    pub(crate) fn times(&self, now: Timestamp, load: &Load, output: u64) -> (Timestamp, Timestamp) {
        let after = |duration: u64| {
            let duration = self.active.iter().fold(duration, |duration, effect| match effect {
                Effect::Slow { factor_permille } => slowed(duration, *factor_permille),
                _ => duration,
            });
            Timestamp::from_micros(now.as_micros().saturating_add(duration))
        };
        let (first, last) = self.durations(load, output);
        (after(first), after(last))
    }

    /// Length of the output of an attempt, with the median where it does not say.
    pub(crate) fn output(&self, load: &Load) -> u64 {
        load.output_tokens.unwrap_or_else(|| self.config.output_lengths.value(u64::MAX / 2)).min(self.cap(load))
    }

    /// A duration in microseconds that no attempt like this goes below, whatever faults are in force.
    pub(crate) fn least_duration(&self, load: &Load) -> u64 {
        let (_, last) = self.durations(load, self.output(load));
        self.slow_factors.iter().copied().filter(|factor| *factor < WHOLE_PERMILLE).fold(last, slowed)
    }

    /// A duration in microseconds that no attempt like this goes beyond, whatever faults are in force.
    pub(crate) fn most_duration(&self, load: &Load) -> u64 {
        let (_, last) = self.durations(load, self.output(load));
        self.slow_factors.iter().copied().filter(|factor| *factor > WHOLE_PERMILLE).fold(last, slowed)
    }

    /// Fills in the state of the lane at `at`.
    pub(crate) fn measure(&self, at: Timestamp, row: &mut Second) {
        row.in_flight = self.in_flight;
        row.requests_permille = self.requests.as_ref().map(|quota| quota.level_permille(at));
        row.tokens_permille = self.tokens.as_ref().map(|quota| quota.level_permille(at));
    }
}

/// Every moment a fault starts or ends, in order.
fn changes(faults: &[Fault]) -> Vec<u64> {
    let mut changes: Vec<u64> = faults.iter().flat_map(|fault| [fault.from_us, fault.to_us]).collect();
    changes.sort_unstable();
    changes.dedup();
    changes
}

/// By what attempts are ever slowed, each fault that can be in force beside others counting: what comes again and again
/// counts once.
fn slow_factors(faults: &[Fault]) -> Vec<u32> {
    let mut seen: Vec<(u64, u32)> = Vec::new();
    for fault in faults {
        if let Effect::Slow { factor_permille } = fault.effect {
            // The same trouble is over before it comes again.
            match seen.iter_mut().find(|(over, factor)| *over <= fault.from_us && *factor == factor_permille) {
                Some((over, _)) => *over = fault.to_us,
                None => seen.push((fault.to_us, factor_permille)),
            }
        }
    }
    seen.into_iter().map(|(_, factor)| factor).collect()
}

fn slowed(duration: u64, factor_permille: u32) -> u64 {
    mul_div(duration, u64::from(factor_permille), u64::from(WHOLE_PERMILLE))
}

fn fewer(slots: u32, effect: Effect) -> u32 {
    match effect {
        Effect::Capacity { permille } => {
            let left = mul_div(u64::from(slots), u64::from(permille), u64::from(WHOLE_PERMILLE));
            u32::try_from(left).unwrap_or(u32::MAX)
        }
        _ => slots,
    }
}

const fn closes(effect: Effect) -> bool {
    match effect {
        Effect::Outage => true,
        Effect::Error { share_permille, .. }
        | Effect::StreamError { share_permille, .. }
        | Effect::ConnectionReset { share_permille } => share_permille >= WHOLE_PERMILLE,
        Effect::Capacity { .. } | Effect::Slow { .. } | Effect::QuotaFactor { .. } => false,
    }
}
