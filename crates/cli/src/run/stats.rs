//! What the engine's events add up to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use sluicegate::{Event, ModelId, OutcomeClass};
use sluicegate_driver::Observer;

/// Longer times are counted as this one.
const LONGEST_MS: u64 = 24 * 60 * 60 * 1_000;
/// Times are kept to two digits.
const DIGITS: u8 = 2;

/// A distribution of times in a few kilobytes.
#[derive(Clone, Debug)]
pub(crate) struct Times(Option<Histogram<u64>>);

impl Times {
    /// No times yet.
    pub(crate) fn new() -> Self {
        // The bounds are constants that the library accepts; without it there would be no times in the summary.
        Self(Histogram::new_with_max(LONGEST_MS, DIGITS).ok())
    }

    /// Adds one.
    pub(crate) fn add(&mut self, time: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(time.as_millis()).unwrap_or(LONGEST_MS));
        }
    }

    /// The time that this share of all did not exceed, to two digits; `None` without any.
    pub(crate) fn percentile(&self, percent: f64) -> Option<Duration> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(Duration::from_millis(histogram.value_at_percentile(percent).min(histogram.max())))
    }
}

/// What happened at one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct EndpointStats {
    /// Attempts that went out.
    pub(crate) sent: u64,
    /// Of those, answered.
    pub(crate) answered: u64,
    /// Of those, refused: for a quota, for capacity, or because the model was being loaded.
    pub(crate) refused: u64,
    /// Of those, without any answer that the endpoint is alive.
    pub(crate) unavailable: u64,
    /// Of those, ended otherwise.
    pub(crate) failed: u64,
    /// Quota tokens that the attempts were settled at.
    pub(crate) tokens: u64,
    /// How long the answered ones took.
    pub(crate) service: Times,
}

impl EndpointStats {
    /// Attempts that have ended.
    pub(crate) const fn ended(&self) -> u64 {
        self.answered + self.refused + self.unavailable + self.failed
    }
}

/// The sums of a run.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    /// By endpoint.
    pub(crate) endpoints: Vec<EndpointStats>,
    /// From submission to the first attempt.
    pub(crate) waited: Times,
    /// How long answered attempts took, at all endpoints together.
    pub(crate) service: Times,
    /// Calls that went out at least once.
    pub(crate) calls: u64,
    /// Calls that came again soon after they had failed.
    pub(crate) stacked: u64,
    /// The latest advice on caps, by model.
    pub(crate) advice: BTreeMap<ModelId, Advice>,
}

/// A cap on answers that would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    /// In tokens.
    pub(crate) cap: u32,
    /// The share of answers that it holds, in thousandths.
    pub(crate) holds_permille: u32,
    /// What asking for no more would free.
    pub(crate) frees_tokens_per_minute: u64,
}

impl Stats {
    /// Nothing yet, at so many endpoints.
    pub(crate) fn new(endpoints: usize) -> Self {
        let none = EndpointStats {
            sent: 0,
            answered: 0,
            refused: 0,
            unavailable: 0,
            failed: 0,
            tokens: 0,
            service: Times::new(),
        };
        Self {
            endpoints: vec![none; endpoints],
            waited: Times::new(),
            service: Times::new(),
            calls: 0,
            stacked: 0,
            advice: BTreeMap::new(),
        }
    }

    /// Counts one event.
    pub(crate) fn count(&mut self, event: &Event) {
        match event {
            Event::Sent { endpoint, number, waited, .. } => {
                if let Some(at) = self.endpoints.get_mut(usize::from(endpoint.0)) {
                    at.sent += 1;
                }
                if *number == 1 {
                    self.calls += 1;
                    self.waited.add(*waited);
                }
            }
            Event::Settled { endpoint, class, spent_tokens, took, .. } => {
                let Some(at) = endpoint.and_then(|endpoint| self.endpoints.get_mut(usize::from(endpoint.0))) else {
                    return;
                };
                at.tokens = at.tokens.saturating_add(*spent_tokens);
                match class {
                    OutcomeClass::Success => {
                        at.answered += 1;
                        at.service.add(*took);
                        self.service.add(*took);
                    }
                    OutcomeClass::Throttled(_) | OutcomeClass::Overloaded | OutcomeClass::NotReady => at.refused += 1,
                    OutcomeClass::Unavailable => at.unavailable += 1,
                    OutcomeClass::TimedOut
                    | OutcomeClass::ModelError
                    | OutcomeClass::StreamBroken
                    | OutcomeClass::StreamBrokenDelivered
                    | OutcomeClass::Refused
                    | OutcomeClass::Unusable => at.failed += 1,
                    // By ourselves.
                    OutcomeClass::Cancelled => {}
                }
            }
            Event::StackedRetry { .. } => self.stacked += 1,
            Event::CapAdvised { model, cap, holds_permille, frees_tokens_per_minute, .. } => {
                let (cap, holds_permille) = (*cap, *holds_permille);
                let advice = Advice { cap, holds_permille, frees_tokens_per_minute: *frees_tokens_per_minute };
                self.advice.insert(*model, advice);
            }
            _ => {}
        }
    }

    /// Attempts that went out.
    pub(crate) fn attempts(&self) -> u64 {
        self.endpoints.iter().map(|at| at.sent).sum()
    }

    /// Of those, refused.
    pub(crate) fn refused(&self) -> u64 {
        self.endpoints.iter().map(|at| at.refused).sum()
    }

    /// The refused share of the ended attempts, in tenths of a per cent.
    pub(crate) fn refused_permille(&self) -> u64 {
        let ended: u64 = self.endpoints.iter().map(EndpointStats::ended).sum();
        self.refused().saturating_mul(1_000) / ended.max(1)
    }

    /// Whether at least `enough` attempts have ended and none of them met an endpoint that is alive. An endpoint whose
    /// attempts are all still out may be slow, so as long as there is one the answer is no.
    pub(crate) fn all_unavailable(&self, enough: u64) -> bool {
        let tried = || self.endpoints.iter().filter(|at| at.sent > 0);
        let dead = |at: &EndpointStats| at.unavailable > 0 && at.unavailable == at.ended();
        tried().all(dead) && tried().map(|at| at.unavailable).sum::<u64>() >= enough
    }
}

/// The sums, shared between the engine and those who show them.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    stats: Arc<Mutex<Stats>>,
}

impl Shared {
    /// Nothing yet, at so many endpoints.
    pub(crate) fn new(endpoints: usize) -> Self {
        Self { stats: Arc::new(Mutex::new(Stats::new(endpoints))) }
    }

    /// What to give to the engine.
    pub(crate) fn observer(&self) -> Observer {
        let shared = self.clone();
        Box::new(move |_, event| shared.lock().count(event))
    }

    /// The sums as of now.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Stats> {
        lock(&self.stats)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Sums stay sums, whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use sluicegate::{AttemptId, CallId, EndpointId};

    use super::*;

    fn sent(endpoint: u16, number: u32) -> Event {
        Event::Sent {
            call: CallId(0),
            attempt: AttemptId(0),
            endpoint: EndpointId(endpoint),
            number,
            waited: Duration::from_millis(250),
            reserved_tokens: 10,
        }
    }

    fn settled(endpoint: u16, class: OutcomeClass) -> Event {
        Event::Settled {
            call: CallId(0),
            attempt: AttemptId(0),
            endpoint: Some(EndpointId(endpoint)),
            class,
            reserved_tokens: 10,
            spent_tokens: 7,
            took: Duration::from_secs(2),
        }
    }

    #[test]
    fn attempts_are_counted_where_they_went() {
        let mut stats = Stats::new(2);
        for event in [sent(0, 1), settled(0, OutcomeClass::Overloaded), sent(1, 2), settled(1, OutcomeClass::Success)] {
            stats.count(&event);
        }
        assert_eq!((stats.calls, stats.attempts(), stats.refused(), stats.refused_permille()), (1, 2, 1, 500));
        assert_eq!((stats.endpoints[1].answered, stats.endpoints[1].tokens), (1, 7));
        assert_eq!(stats.waited.percentile(99.0), Some(Duration::from_millis(250)));
        assert_eq!(stats.endpoints[0].service.percentile(50.0), None);
    }

    #[test]
    fn endpoints_are_dead_only_when_every_one_that_was_tried_is() {
        let mut stats = Stats::new(3);
        assert!(!stats.all_unavailable(1));
        for _ in 0..20 {
            stats.count(&sent(0, 1));
            stats.count(&settled(0, OutcomeClass::Unavailable));
        }
        assert!(stats.all_unavailable(20));
        stats.count(&sent(1, 1));
        assert!(!stats.all_unavailable(20), "the second may just be slow");
        stats.count(&settled(1, OutcomeClass::Refused));
        assert!(!stats.all_unavailable(20), "the second is alive");
    }

    #[test]
    fn times_keep_two_digits() {
        let mut times = Times::new();
        for ms in 1..=1_000 {
            times.add(Duration::from_millis(ms));
        }
        let p50 = times.percentile(50.0).unwrap().as_millis();
        assert!((495..=505).contains(&p50), "{p50}");
        times.add(Duration::from_secs(1_000_000));
        assert!(times.percentile(100.0).unwrap() <= Duration::from_millis(LONGEST_MS + LONGEST_MS / 100));
    }
}
