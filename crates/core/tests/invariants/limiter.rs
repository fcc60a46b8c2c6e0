//! The limiter: its promises, and its life across a restart.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluicegate::{Admission, Limiter, LimiterConfig, Permit, Quota, SavedLimiter, Spent, Timestamp};

const MINUTE: u64 = 60_000_000;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

#[derive(Clone, Debug)]
enum Deed {
    Acquire(u64),
    Settle(usize, u64),
    NeverSent(usize),
    Refused(usize, Quota),
    Accepted(usize),
    Pause(u64),
    Reconfigure(LimiterConfig),
}

fn configs() -> impl Strategy<Value = LimiterConfig> {
    let limit = |most: u64| prop_oneof![1 => Just(None), 4 => (1..most).prop_map(Some)];
    let day = prop_oneof![3 => Just(None), 1 => (1_000_u64..100_000).prop_map(Some)];
    (limit(100), limit(50_000), day, 1_u64..=1_000, 0_u64..2_000).prop_map(|(requests, tokens, day, burst, margin)| {
        LimiterConfig {
            requests_per_minute: requests,
            tokens_per_minute: tokens,
            tokens_per_day: day,
            concurrency: None,
            burst_permille: burst,
            window_margin: Duration::from_millis(margin),
        }
    })
}

/// What anyone may do with a limiter, each so many microseconds after the last.
fn deeds() -> impl Strategy<Value = Vec<(u64, Deed)>> {
    let later = prop_oneof![3 => 0_u64..50_000, 3 => 0_u64..3_000_000, 1 => 0_u64..100_000_000];
    let quota = prop_oneof![
        4 => Just(Quota::Requests), 4 => Just(Quota::Tokens), 4 => Just(Quota::Unknown), 1 => Just(Quota::Day)
    ];
    let deed = prop_oneof![
        20 => (0_u64..2_000).prop_map(Deed::Acquire),
        10 => (any::<usize>(), 0_u64..3_000).prop_map(|(which, used)| Deed::Settle(which, used)),
        2 => any::<usize>().prop_map(Deed::NeverSent),
        2 => (any::<usize>(), quota).prop_map(|(which, quota)| Deed::Refused(which, quota)),
        5 => any::<usize>().prop_map(Deed::Accepted),
        1 => (0_u64..5_000_000).prop_map(Deed::Pause),
        1 => configs().prop_map(Deed::Reconfigure),
    ];
    vec((later, deed), 1..120)
}

/// A limiter and the permits that are out.
struct Desk {
    limiter: Limiter,
    out: Vec<Permit>,
}

impl Desk {
    fn new(limiter: Limiter) -> Self {
        Self { limiter, out: Vec::new() }
    }

    /// Does it and tells what could be seen.
    fn play(&mut self, now: Timestamp, deed: &Deed) -> String {
        let taken = |out: &mut Vec<Permit>, which: usize| (!out.is_empty()).then(|| out.swap_remove(which % out.len()));
        match deed {
            Deed::Acquire(tokens) => {
                let answer = self.limiter.acquire(now, *tokens);
                let seen = format!("{answer:?}");
                if let Admission::Granted(permit) = answer {
                    self.out.push(permit);
                }
                return seen;
            }
            Deed::Settle(which, used) => {
                if let Some(permit) = taken(&mut self.out, *which) {
                    self.limiter.settle(now, permit, Spent::Tokens(*used));
                }
            }
            Deed::NeverSent(which) => {
                if let Some(permit) = taken(&mut self.out, *which) {
                    self.limiter.settle(now, permit, Spent::NeverSent);
                }
            }
            Deed::Refused(which, quota) => {
                if let Some(permit) = taken(&mut self.out, *which) {
                    let (at, tokens) = (permit.granted_at(), permit.tokens());
                    self.limiter.settle(now, permit, Spent::Nothing);
                    return format!("{:?}", self.limiter.refused(now, at, tokens, *quota));
                }
            }
            Deed::Accepted(which) => {
                if let Some(permit) = taken(&mut self.out, *which) {
                    let at = permit.granted_at();
                    self.limiter.settle(now, permit, Spent::Unknown);
                    self.limiter.accepted(at);
                }
            }
            Deed::Pause(micros) => self.limiter.pause(now.saturating_add(Duration::from_micros(*micros))),
            Deed::Reconfigure(config) => self.limiter.reconfigure(now, *config),
        }
        let uses = [Quota::Requests, Quota::Tokens, Quota::Day].map(|quota| self.limiter.use_permille(now, quota));
        format!("{uses:?}")
    }
}

proptest! {
    /// What is asked for at the promised time is granted, if nothing else went out before.
    #[test]
    fn a_limiter_keeps_its_promises(
        requests in 1_u64..100,
        tokens in 1_000_u64..50_000,
        burst in 1_u64..=1_000,
        asks in vec((0_u64..10_000_000, 0_u64..1_000), 1..60),
    ) {
        let config = LimiterConfig {
            requests_per_minute: Some(requests),
            tokens_per_minute: Some(tokens),
            burst_permille: burst,
            ..LimiterConfig::unlimited()
        };
        let mut now = at(0);
        let mut limiter = Limiter::new(config, now);
        for (later, amount) in asks {
            now = now.saturating_add(Duration::from_micros(later));
            match limiter.acquire(now, amount) {
                Admission::Granted(_) => {}
                Admission::NotBefore(promised, _) => {
                    let before = promised.saturating_sub(Duration::from_micros(1));
                    prop_assert!(limiter.check(before, amount).is_err(), "it could have gone earlier");
                    now = promised;
                    prop_assert!(matches!(limiter.acquire(now, amount), Admission::Granted(_)));
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    /// Restored at the moment it was saved, under the same limits, it decides as the one that lives on.
    #[test]
    fn a_restored_limiter_decides_as_the_one_that_was_saved(
        config in configs(),
        before in deeds(),
        after in deeds(),
    ) {
        let mut now = at(MINUTE);
        let mut desk = Desk::new(Limiter::new(config, now));
        let mut config = config;
        for (later, deed) in before {
            now = now.saturating_add(Duration::from_micros(later));
            desk.play(now, &deed);
            if let Deed::Reconfigure(other) = deed {
                config = other;
            }
        }
        let json = serde_json::to_string(&desk.limiter.save(now)).expect("plain data");
        let state: SavedLimiter = serde_json::from_str(&json).expect("what was written can be read");
        let mut restored = Desk::new(Limiter::restored(config, &state, now, Duration::ZERO));
        prop_assert_eq!(restored.limiter.save(now), state, "nothing gets lost");
        desk.out.clear();
        for (later, deed) in after {
            now = now.saturating_add(Duration::from_micros(later));
            prop_assert_eq!(restored.play(now, &deed), desk.play(now, &deed), "{:?} at {:?}", deed, now);
        }
    }

    /// An allowance admits nothing that a look at the quotas would not, and holds nothing back for longer than its time.
    #[test]
    fn an_allowance_decides_as_the_quotas_do(
        config in configs(),
        asks in vec((prop_oneof![4 => 0_u64..30_000, 1 => 0_u64..3_000_000], 0_u64..300, 0_u64..400, 0_usize..12), 1..200),
    ) {
        let mut now = at(0);
        let (mut quick, mut exact) = (Limiter::new(config, now), Limiter::new(config, now));
        let mut out: std::collections::VecDeque<(Permit, Permit)> = std::collections::VecDeque::new();
        for (later, tokens, used, delay) in asks {
            now = now.saturating_add(Duration::from_micros(later));
            while out.len() > delay {
                let (one, other) = out.pop_front().expect("more than none");
                exact.pause(at(0)); // ends any allowance
                quick.settle(now, one, Spent::Tokens(used));
                exact.settle(now, other, Spent::Tokens(used));
            }
            exact.pause(at(0));
            match (quick.check(now, tokens), exact.check(now, tokens)) {
                (Ok(()), Ok(())) => out.push_back((quick.reserve(now, tokens), exact.reserve(now, tokens))),
                (Ok(()), Err(answer)) => prop_assert!(false, "let through, but {:?}", answer),
                (Err(Admission::NotBefore(late, _)), Err(Admission::NotBefore(early, _))) => prop_assert!(late >= early),
                (Err(Admission::NotBefore(late, _)), Ok(())) => {
                    prop_assert!(late <= now.saturating_add(Duration::from_millis(100)), "held back until {:?}", late);
                }
                (one, other) => prop_assert_eq!(one, other),
            }
            for quota in [Quota::Requests, Quota::Tokens, Quota::Day] {
                prop_assert_eq!(quick.use_permille(now, quota), exact.use_permille(now, quota), "{:?}", quota);
            }
        }
    }

    /// However long it slept, wherever its time begins then, and whatever was in flight: no minute holds more than the quota.
    #[test]
    fn no_minute_around_a_restart_exceeds_the_quota(
        requests in 1_u64..100,
        tokens in 1_000_u64..50_000,
        before in vec((0_u64..4_000_000, 0_u64..1_000), 1..60),
        asleep in prop_oneof![0_u64..1_000_000, 0_u64..100_000_000],
        told in any::<bool>(),
        origin in prop_oneof![Just(0), 0_u64..1_000_000_000],
        after in vec((0_u64..4_000_000, 0_u64..1_000), 1..60),
    ) {
        let config = LimiterConfig {
            requests_per_minute: Some(requests), tokens_per_minute: Some(tokens), ..LimiterConfig::unlimited()
        };
        // On the clock of the service.
        let mut sent: Vec<(u64, u64)> = Vec::new();
        let mut play = |limiter: &mut Limiter, asks: &[(u64, u64)], here: u64, mut there: u64| {
            let begin = there;
            for (later, amount) in asks {
                there += later;
                let now = at(here + there - begin);
                if let Admission::Granted(_) = limiter.acquire(now, *amount) {
                    sent.push((there, *amount));
                }
            }
            there
        };
        let mut limiter = Limiter::new(config, at(0));
        let saved_at = play(&mut limiter, &before, 0, 0);
        let state = limiter.save(at(saved_at));
        let known = if told { Duration::from_micros(asleep) } else { Duration::ZERO };
        let mut limiter = Limiter::restored(config, &state, at(origin), known);
        play(&mut limiter, &after, origin, saved_at + asleep);
        for (first, (begin, _)) in sent.iter().enumerate() {
            let minute = || sent[first..].iter().take_while(|(time, _)| *time < begin + MINUTE);
            prop_assert!(minute().count() as u64 <= requests);
            prop_assert!(minute().map(|(_, amount)| amount).sum::<u64>() <= tokens);
        }
    }

    /// Whatever a file says, reading it ends in a limiter that works and grants no more than its limits.
    #[test]
    fn any_state_at_all_is_safe(
        config in configs(),
        numbers in vec(prop_oneof![any::<u64>(), 0_u64..100_000_000, Just(u64::MAX), Just(0)], 75),
        now in prop_oneof![Just(0), 0_u64..1_000_000_000, Just(u64::MAX), any::<u64>()],
        asleep in prop_oneof![Just(0), any::<u64>()],
        after in deeds(),
    ) {
        let state = hostile(&numbers);
        let mut now = at(now);
        let mut desk = Desk::new(Limiter::restored(config, &state, now, Duration::from_micros(asleep)));
        prop_assert_eq!(desk.limiter.in_flight(), 0);
        for quota in [Quota::Requests, Quota::Tokens] {
            let declared = if quota == Quota::Requests { config.requests_per_minute } else { config.tokens_per_minute };
            if let Some(declared) = declared {
                prop_assert!(desk.limiter.limit(quota).is_some_and(|limit| (1..=declared).contains(&limit)));
            }
        }
        for (later, deed) in after {
            now = now.saturating_add(Duration::from_micros(later));
            desk.play(now, &deed);
        }
        let _ = desk.limiter.save(now);
    }
}

/// A state of the right form with these numbers in it.
fn hostile(numbers: &[u64]) -> SavedLimiter {
    let mut numbers = numbers.iter().copied().cycle();
    let mut next = || numbers.next().expect("it cycles");
    let mut minute = || {
        serde_json::json!({
            "declared": (next() % 2 == 0).then_some(next()), "limit": (next() % 2 == 0).then_some(next()),
            "pace": [next() as i64, next()], "peak": [next() as i64, next()],
            "taken": [[next(), next()], [next(), next()], [next(), next()], [next(), next()]],
            "paused_us": next(), "streak": next() as u32, "strain": next() as u32, "refused_us": next(),
            "raise_us": next(), "rest_us": next(), "credit_permille": next(), "credit_us": next(),
            "credit_stretch_us": next(),
            "phase": {
                "arc": (next() % 2 == 0).then_some([next(), next()]), "agreeing": next() as u32, "chance": next(),
                "refuted": next() as u32, "held": next(),
            },
        })
    };
    let (requests, tokens) = (minute(), minute());
    let state = serde_json::json!({
        "margin_us": next(), "requests": requests, "tokens": tokens,
        "day_taken": [[next(), next()], [next(), next()]], "day_closed_us": next(), "day_refused_us": next(),
    });
    serde_json::from_value(state).expect("the form is right")
}

#[test]
fn a_state_that_says_nothing_is_a_fresh_limiter() {
    let state: SavedLimiter = serde_json::from_str("{}").expect("all may be left out");
    let config = LimiterConfig { requests_per_minute: Some(60), ..LimiterConfig::unlimited() };
    let (mut restored, mut fresh) =
        (Limiter::restored(config, &state, at(7), Duration::ZERO), Limiter::new(config, at(7)));
    assert_eq!(restored.save(at(7)), fresh.save(at(7)));
}

#[test]
fn a_lowered_limit_rises_again_while_the_process_sleeps() {
    let config = LimiterConfig { requests_per_minute: Some(100), ..LimiterConfig::unlimited() };
    let mut limiter = Limiter::new(config, at(0));
    for time in [1, 2] {
        limiter.refused(at(time), at(time), 10, Quota::Requests);
    }
    assert_eq!(limiter.limit(Quota::Requests), Some(93));
    let state = limiter.save(at(2));
    let limit = |asleep| Limiter::restored(config, &state, at(0), Duration::from_secs(asleep)).limit(Quota::Requests);
    assert_eq!(limit(0), Some(93));
    assert_eq!(limit(3_600), Some(100));
}

#[test]
fn the_safety_costs_less_than_two_per_cent_of_the_quota() {
    const HOUR: u64 = 60 * MINUTE;
    for (requests, tokens, each) in [(300, 60_000_000, 1_000), (6, 60_000_000, 1_000), (6_000, 450_000, 1_500)] {
        let config = LimiterConfig {
            requests_per_minute: Some(requests),
            tokens_per_minute: Some(tokens),
            ..LimiterConfig::unlimited()
        };
        let (mut limiter, mut now, mut sent) = (Limiter::new(config, at(0)), at(0), 0);
        while now < at(HOUR) {
            match limiter.acquire(now, each) {
                Admission::Granted(_) => sent += 1,
                Admission::NotBefore(later, _) => now = later,
                other => panic!("{other:?}"),
            }
        }
        let quota = 60 * requests.min(tokens / each);
        let used = sent * 10_000 / quota;
        println!("{sent} of {quota}: {used} ten-thousandths of the quota used");
        assert!((9_850..=10_000).contains(&used), "{used} ten-thousandths of the quota used");
    }
}
