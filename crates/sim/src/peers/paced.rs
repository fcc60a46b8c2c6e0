//! Limiters in front of an SDK client: one that counts requests, and one that counts tokens and never settles.
//!
//! The first lets one request go each time its share of a minute has passed, as LangChain's `InMemoryRateLimiter` with its
//! default bucket of one does (langchain-core 1.8.2): who waits looks again every tenth of a second, so that chance decides
//! who is next. The second is a bucket of one minute's tokens that is charged what the
//! service reserves, as a limiter is that looks at `max_tokens` and not at usage; openlimit 0.3.0 never gives anything back
//! either; it serves in order. Both have no idea of deadlines.

use std::collections::VecDeque;

use sluicegate::{Timestamp, random};

use super::standard::{Sdk, StandardMode};
use crate::client::{Client, ClientCall, ClientReply, Io};
use crate::config::Law;
use crate::quota::{MINUTE_US, MinuteQuota};

/// Timers of the limiters carry the Region above this bit; those of the SDK clients carry a call, which is below it.
const LINE_BIT: u32 = 40;

/// A limiter for each Region, taken by turns, and an SDK client behind each.
#[derive(Debug)]
pub(super) struct Paced {
    lines: Vec<Line>,
    turn: usize,
    sdk: Sdk,
}

/// Those who wait for one limiter: calls with their tokens.
#[derive(Debug)]
struct Line {
    meter: Meter,
    waiting: VecDeque<(u32, u64)>,
    armed: bool,
}

#[derive(Debug)]
enum Meter {
    /// Nothing was declared.
    Open,
    /// One request after the other: so many a minute, the next not before a moment in microseconds times that number.
    Even { per_minute: u64, next: u128 },
    /// A bucket of a minute's tokens.
    Tokens(MinuteQuota),
}

impl Meter {
    fn even(per_minute: Option<u64>) -> Self {
        per_minute.filter(|rate| *rate > 0).map_or(Self::Open, |per_minute| Self::Even { per_minute, next: 0 })
    }

    fn bucket(per_minute: Option<u64>) -> Self {
        let law = Law::default();
        per_minute.map_or(Self::Open, |limit| Self::Tokens(MinuteQuota::new(law, limit, Timestamp::ZERO)))
    }

    /// Lets a request go, or says when to ask again. One that no bucket holds goes when the bucket is full.
    fn admit(&mut self, now: Timestamp, tokens: u64) -> Result<(), Timestamp> {
        match self {
            Self::Open => Ok(()),
            Self::Even { per_minute, next } => {
                let rate = u128::from(*per_minute);
                let present = u128::from(now.as_micros()) * rate;
                if present < *next {
                    return Err(Timestamp::from_micros(u64::try_from(next.div_ceil(rate)).unwrap_or(u64::MAX)));
                }
                *next = present.saturating_add(u128::from(MINUTE_US));
                Ok(())
            }
            Self::Tokens(quota) => {
                let tokens = tokens.min(quota.limit());
                match quota.earliest(now, tokens) {
                    Some(at) if at > now => Err(at),
                    _ => {
                        quota.take(now, tokens);
                        Ok(())
                    }
                }
            }
        }
    }
}

impl Paced {
    /// At the declared requests per minute of each Region.
    pub(super) fn requests(declared: &[Option<u64>]) -> Self {
        Self::new(declared.iter().map(|rate| Meter::even(*rate)))
    }

    /// Within the declared tokens per minute of each Region.
    pub(super) fn tokens(declared: &[Option<u64>]) -> Self {
        Self::new(declared.iter().map(|limit| Meter::bucket(*limit)))
    }

    fn new(meters: impl Iterator<Item = Meter>) -> Self {
        let lines: Vec<Line> = meters.map(|meter| Line { meter, waiting: VecDeque::new(), armed: false }).collect();
        let sdk = Sdk::standard(StandardMode::V2_1, lines.len().max(1));
        Self { lines, turn: 0, sdk }
    }

    fn release(&mut self, now: Timestamp, place: usize, io: &mut Io<'_>) {
        let Some(line) = self.lines.get_mut(place) else { return };
        let by_chance = matches!(line.meter, Meter::Even { .. });
        while let Some((_, tokens)) = line.waiting.front().copied() {
            match line.meter.admit(now, tokens) {
                Ok(()) => {
                    let last = line.waiting.len() as u64 - 1;
                    let next = if by_chance { random::scale(io.rng.next_u64(), last) } else { 0 };
                    let next = line.waiting.remove(usize::try_from(next).unwrap_or(0));
                    let Some((call, _)) = next else { return };
                    self.sdk.start(now, call, place, io);
                }
                Err(at) => {
                    if !line.armed {
                        line.armed = true;
                        io.timer(at, (place as u64) << LINE_BIT | u64::from(u32::MAX));
                    }
                    return;
                }
            }
        }
    }
}

impl Client for Paced {
    fn call(&mut self, now: Timestamp, call: &ClientCall, io: &mut Io<'_>) {
        let place = self.turn % self.lines.len().max(1);
        self.turn += 1;
        if let Some(line) = self.lines.get_mut(place) {
            line.waiting.push_back((call.number, call.tokens));
        }
        self.release(now, place, io);
    }

    fn reply(&mut self, now: Timestamp, call: u32, attempt: u64, reply: &ClientReply, io: &mut Io<'_>) {
        self.sdk.reply(now, call, attempt, reply, io);
    }

    fn timer(&mut self, now: Timestamp, token: u64, io: &mut Io<'_>) {
        if token & u64::from(u32::MAX) != u64::from(u32::MAX) {
            return self.sdk.timer(now, token, io);
        }
        let place = usize::try_from(token >> LINE_BIT).unwrap_or(usize::MAX);
        if let Some(line) = self.lines.get_mut(place) {
            line.armed = false;
        }
        self.release(now, place, io);
    }

    fn gave_up(&mut self, _: Timestamp, call: u32, _: &mut Io<'_>) {
        for line in &mut self.lines {
            line.waiting.retain(|(waiting, _)| *waiting != call);
        }
        self.sdk.forget(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn requests_go_one_by_one_at_the_declared_rate() {
        let mut meter = Meter::even(Some(7));
        let mut now = at(0);
        let mut gone = Vec::new();
        while gone.len() < 8 {
            match meter.admit(now, 0) {
                Ok(()) => gone.push(now.as_micros()),
                Err(later) => now = later,
            }
        }
        assert_eq!(gone[1], 8_571_429);
        assert!(gone[7].abs_diff(60_000_000) < 8, "{gone:?}");
        assert_eq!(Meter::even(None).admit(at(0), 0), Ok(()));
    }

    #[test]
    fn tokens_are_charged_and_never_come_back() {
        let mut meter = Meter::bucket(Some(6_000));
        assert_eq!(meter.admit(at(0), 4_000), Ok(()));
        assert_eq!(meter.admit(at(0), 4_000), Err(at(20_000_000)));
        assert_eq!(meter.admit(at(20_000_000), 4_000), Ok(()));
        assert_eq!(meter.admit(at(20_000_000), 9_000), Err(at(80_000_000)), "waits for a full bucket");
        assert_eq!(meter.admit(at(80_000_000), 9_000), Ok(()));
    }
}
