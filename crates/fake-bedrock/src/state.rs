//! What all connections share: the simulated service, its clock, the prompt cache.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{SeedableRng, rngs::StdRng};
use sluicegate::Timestamp;
use sluicegate_sim::{Accepted, Attempt, LaneConfig, LaneId, Load, Reply, Service, Ticket};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use crate::clock::Clock;
use crate::prompt::{CachePoint, Prompt};

/// Cached prefixes remembered; the oldest go first.
const MAX_PREFIXES: usize = 10_000;
/// Longest output that is ever written, whatever a request or the configuration says: its words are held in memory.
const MAX_OUTPUT_TOKENS: u64 = 1 << 20;
/// How long a cached prefix lives after its last use: the default of Bedrock's prompt caching (Bedrock user guide,
/// "Prompt caching").
const PREFIX_LIFETIME: Duration = Duration::from_secs(300);

/// Shared by every connection.
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    /// The Region of requests that name none.
    pub(crate) region: String,
    requests: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    service: Service,
    rng: StdRng,
    prefixes: Prefixes,
}

/// Input tokens, by what the prompt cache did with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) fresh: u64,
    pub(crate) read: u64,
    pub(crate) written: u64,
}

/// The service's answer with what it was answered to.
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) input: Input,
    pub(crate) at: Timestamp,
}

impl State {
    pub(crate) fn new(service: Service, seed: u64, region: String) -> Self {
        let inner = Inner { service, rng: StdRng::seed_from_u64(seed), prefixes: Prefixes::default() };
        Self { clock: Clock::start(), seed, region, requests: AtomicU64::new(0), inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it holds the lock; if something did, the books are still the best there are.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `act` on the service, brought up to the present.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Service) -> T) -> T {
        let mut inner = self.inner();
        inner.service.advance(self.clock.now());
        act(&mut inner.service)
    }

    /// A number for a request; not from the generator, whose draws are the service's.
    pub(crate) fn next_id(&self) -> u128 {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        xxh3_128_with_seed(&count.to_le_bytes(), self.seed)
    }

    pub(crate) fn lane(&self, region: &str, model: &str) -> Option<(LaneId, LaneConfig)> {
        let inner = self.inner();
        let lane = inner.service.lane(region, model)?;
        inner.service.lane_config(lane).map(|config| (lane, config.clone()))
    }

    /// The number that output length and words of a prompt are made from: the same prompt, the same answer.
    pub(crate) fn draw(&self, prompt: &Prompt) -> u64 {
        xxh3_64_with_seed(&prompt.hash.to_le_bytes(), self.seed)
    }

    /// Puts a request to the service.
    pub(crate) fn admit(&self, region: &str, model: &str, prompt: &Prompt) -> Answer {
        let mut inner = self.inner();
        let inner = &mut *inner;
        let now = self.clock.now();
        let mut input = Input::default();
        let mut output_tokens = prompt.output_tokens;
        let lane = inner.service.lane(region, model);
        if let Some((lane, config)) = lane.and_then(|lane| Some((lane, inner.service.lane_config(lane)?))) {
            input = inner.prefixes.split(now, lane, prompt, config);
            output_tokens = output_tokens.or_else(|| Some(config.output_lengths.value(self.draw(prompt)).max(1)));
        }
        let output_tokens = output_tokens.map(|tokens| tokens.min(MAX_OUTPUT_TOKENS));
        let attempt = Attempt {
            region: region.to_owned(),
            model: model.to_owned(),
            tag: prompt.tag.clone(),
            load: Load {
                input_tokens: input.fresh,
                cache_read_tokens: input.read,
                cache_write_tokens: input.written,
                max_tokens: prompt.max_tokens,
                output_tokens,
                prefix: None,
            },
        };
        let reply = inner.service.admit(now, &attempt, &mut inner.rng);
        if let (Some(lane), Reply::Accepted(_)) = (lane, &reply) {
            inner.prefixes.remember(now, lane, &prompt.cache_points);
        }
        Answer { reply, input, at: now }
    }
}

/// Prefixes that some lane holds, each with its last use. Caches are not shared between lanes.
#[derive(Default)]
struct Prefixes {
    used: HashMap<(LaneId, u64), Timestamp>,
    order: VecDeque<(LaneId, u64)>,
}

impl Prefixes {
    /// Splits a prompt's input: up to the last known cache point it is read, up to its last cache point it is written.
    fn split(&self, now: Timestamp, lane: LaneId, prompt: &Prompt, config: &LaneConfig) -> Input {
        let total = prompt.tokens(config);
        let tokens = |point: &CachePoint| Prompt::tokens_to(point, config);
        let known = |point: &&CachePoint| {
            self.used.get(&(lane, point.hash)).is_some_and(|used| now.saturating_since(*used) < PREFIX_LIFETIME)
        };
        let read = prompt.cache_points.iter().rev().find(known).map_or(0, tokens);
        let cached = prompt.cache_points.last().map_or(0, tokens);
        Input { fresh: total.saturating_sub(cached), read, written: cached.saturating_sub(read) }
    }

    fn remember(&mut self, now: Timestamp, lane: LaneId, points: &[CachePoint]) {
        for point in points {
            if self.used.insert((lane, point.hash), now).is_none() {
                self.order.push_back((lane, point.hash));
            }
        }
        while self.used.len() > MAX_PREFIXES {
            let Some(oldest) = self.order.pop_front() else { break };
            self.used.remove(&oldest);
        }
    }
}

/// An admitted attempt in the hands of a connection: finished when it says so, abandoned if it is dropped before.
pub(crate) struct Flight {
    state: Arc<State>,
    ticket: Option<Ticket>,
    pub(crate) accepted: Accepted,
}

impl Flight {
    pub(crate) const fn new(state: Arc<State>, accepted: Accepted) -> Self {
        Self { state, ticket: Some(accepted.ticket), accepted }
    }

    /// When the answer is complete or breaks.
    pub(crate) fn ends_at(&self) -> Timestamp {
        self.accepted.stream_error.map_or(self.accepted.finish_at, |error| error.at)
    }

    pub(crate) fn finish(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let now = self.state.clock.now();
            self.state.with(|service| service.finish(now, ticket));
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let now = self.state.clock.now();
            self.state.with(|service| service.abandon(now, ticket));
        }
    }
}
