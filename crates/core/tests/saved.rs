//! What the pieces remember beyond the life of their process: it comes back as it was, and no file can do harm.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluicegate::random::Draws;
use sluicegate::{
    AdaptiveConcurrency, Breaker, BreakerConfig, BreakerMode, BreakerState, BreakerVerdict, BreakerWindow, RetryBudget,
    RetryBudgetConfig, RetryKind, SavedBreaker, SavedConcurrency, SavedCount, SavedRetryBudget, SavedServiceTime,
    SavedSpeed, ServiceTime, Timestamp,
};

/// Numbers that are small, anything, or at the very end.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0_u64..100, any::<u64>(), Just(u64::MAX), Just(u64::MAX - 1)]
}

fn small() -> impl Strategy<Value = u32> {
    prop_oneof![0_u32..100, any::<u32>(), Just(u32::MAX)]
}

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn window() -> impl Strategy<Value = BreakerWindow> {
    prop_oneof![(0_u32..200).prop_map(BreakerWindow::Attempts), (0_u32..100).prop_map(BreakerWindow::Seconds)]
}

fn breaker_config() -> impl Strategy<Value = BreakerConfig> {
    let mode = prop_oneof![
        4 => Just(BreakerMode::Enabled),
        1 => Just(BreakerMode::MetricsOnly),
        1 => Just(BreakerMode::Disabled),
        1 => Just(BreakerMode::ForcedOpen)
    ];
    (mode, window(), 1_u32..30, 1_u32..5, 0_u32..=1_000).prop_map(|(mode, window, minimum_attempts, probes, jitter)| {
        BreakerConfig {
            mode,
            window,
            minimum_attempts,
            probes,
            open_jitter_permille: jitter,
            slow_after: Some(Duration::from_secs(3)),
            failure_rate_percent: 60,
            slow_rate_percent: 80,
            ..BreakerConfig::DEFAULT
        }
    })
}

/// How an attempt goes: how long after the last one, how long it takes, whether it fails.
fn attempts() -> impl Strategy<Value = Vec<(u64, u64, bool)>> {
    vec((0_u64..3_000_000, 0_u64..5_000_000, any::<bool>()), 0..300)
}

/// Lets the attempts through as far as it passes them, and says how it answers.
fn drive(breaker: &mut Breaker, mut now: u64, attempts: &[(u64, u64, bool)]) -> Vec<(u64, BreakerVerdict)> {
    let mut draws = Draws::new(&[1 << 40, u64::MAX, 0, 1 << 63]);
    let mut answers = Vec::new();
    for (later, took, failed) in attempts {
        now = now.saturating_add(*later);
        let verdict = breaker.acquire(at(now));
        answers.push((now, verdict));
        if matches!(verdict, BreakerVerdict::Pass | BreakerVerdict::Probe) {
            breaker.record(at(now), *failed, micros(*took), &mut draws);
        }
    }
    answers
}

proptest! {
    #[test]
    fn a_breaker_goes_on_as_if_it_had_not_stopped(
        config in breaker_config(), before in attempts(), asleep in 0_u64..30, after in attempts(),
    ) {
        let mut breaker = Breaker::new(config);
        let now = drive(&mut breaker, 0, &before).last().map_or(0, |(now, _)| *now);
        // A half-open breaker forgets the probes that were good: here it never stops in the middle of them.
        prop_assume!(breaker.state() != BreakerState::HalfOpen || breaker.counted() == 0);
        let saved = breaker.save(at(now));
        let asleep = Duration::from_secs(asleep);
        let awake = at(now).saturating_add(asleep);
        let text = serde_json::to_string(&saved).unwrap();
        let read: SavedBreaker = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &saved);
        let mut restored = Breaker::restored(config, &read, awake, asleep);
        prop_assert_eq!(restored.state(), breaker.state());
        let awake = awake.as_micros();
        prop_assert_eq!(drive(&mut restored, awake, &after), drive(&mut breaker, awake, &after));
    }

    /// Also where the new process counts its time from another origin, later or earlier.
    #[test]
    fn a_breaker_does_not_mind_another_origin(
        config in breaker_config(), before in attempts(), origin in 0_u64..1_000_000, after in attempts(),
    ) {
        let mut breaker = Breaker::new(config);
        let start = 5_000_000_000;
        let now = drive(&mut breaker, start, &before).last().map_or(start, |(now, _)| *now);
        let saved = breaker.save(at(now));
        // Whole seconds, so that no second is cut at another place.
        let origin = origin * 1_000_000 + now % 1_000_000;
        let mut here = Breaker::restored(config, &saved, at(now), Duration::ZERO);
        let mut there = Breaker::restored(config, &saved, at(origin), Duration::ZERO);
        prop_assert_eq!(here.save(at(now)), there.save(at(origin)));
        let here: Vec<_> = drive(&mut here, now, &after).into_iter().map(|(at, verdict)| (at - now, verdict)).collect();
        let there = drive(&mut there, origin, &after);
        for ((since, verdict), (then, found)) in here.into_iter().zip(there) {
            prop_assert_eq!(since, then - origin);
            match (verdict, found) {
                (BreakerVerdict::OpenUntil(Timestamp::MAX), found) => {
                    prop_assert_eq!(found, BreakerVerdict::OpenUntil(Timestamp::MAX));
                }
                (BreakerVerdict::OpenUntil(until), BreakerVerdict::OpenUntil(other)) => {
                    prop_assert_eq!(until.as_micros() - now, other.as_micros() - origin);
                }
                (verdict, found) => prop_assert_eq!(verdict, found),
            }
        }
    }

    /// Nothing in a file can end the process, and nothing shuts an endpoint for longer than the policy says.
    #[test]
    fn any_saved_breaker_will_do(
        config in breaker_config(),
        state in prop_oneof![Just(BreakerState::Closed), Just(BreakerState::Open), Just(BreakerState::HalfOpen)],
        (open_left_us, openings) in (number(), small()),
        counts in vec((small(), small(), small(), small()), 0..40),
        (now, asleep) in (number(), number()),
        after in attempts(),
    ) {
        let count = |(age_s, attempts, failed, slow)| SavedCount { age_s, attempts, failed, slow };
        let counts = counts.into_iter().map(count).collect();
        let saved = SavedBreaker { state, open_left_us, openings, counts };
        let mut breaker = Breaker::restored(config, &saved, at(now), micros(asleep));
        prop_assert!(breaker.failure_rate_percent().is_none_or(|rate| rate <= 100));
        prop_assert!(breaker.slow_rate_percent().is_none_or(|rate| rate <= 100));
        if let BreakerWindow::Attempts(size) = config.window {
            prop_assert!(breaker.counted() <= size.max(1));
        }
        if config.mode == BreakerMode::Enabled && let BreakerVerdict::OpenUntil(until) = breaker.check(at(now)) {
            let longest = config.open_at_most + config.open_at_most * config.open_jitter_permille / 1_000;
            prop_assert!(until <= at(now).saturating_add(longest), "shut for {:?}", until.saturating_since(at(now)));
        }
        let again = breaker.save(at(now));
        prop_assert_eq!(Breaker::restored(config, &again, at(now), Duration::ZERO).save(at(now)), again);
        drive(&mut breaker, now, &after);
        let _ = breaker.save(at(u64::MAX));
    }

    #[test]
    fn a_limit_that_was_learned_comes_back(
        start in 100_000_000_u64..1_000_000_000, out in 1_u64..200, later in 0_u64..20_000_000, asleep in 0_u64..60_000_000,
    ) {
        let mut concurrency = AdaptiveConcurrency::new();
        prop_assert_eq!(concurrency.save(at(start)), SavedConcurrency::default());
        (0..out).for_each(|_| concurrency.start());
        for _ in 0..20 {
            concurrency.observe(at(start), micros(2_000_000), 200);
        }
        concurrency.overloaded(at(start), at(start));
        // Growth stands still for a while, and has gone on since.
        (0..10).for_each(|_| concurrency.observe(at(start + 1_000_000), micros(4_000_000), 200));
        (0..20).for_each(|_| concurrency.observe(at(start + 3_000_000), micros(2_000_000), 200));
        let start = start + 3_000_000;
        (1..out).for_each(|_| concurrency.end());
        let text = serde_json::to_string(&concurrency.save(at(start + later))).unwrap();
        let state = serde_json::from_str(&text).unwrap();
        let awake = at(start + later + asleep);
        let restored = AdaptiveConcurrency::restored(&state, awake, micros(asleep));
        for ahead in [0, 100_000, 1_000_000, 2_500_000, 10_000_000] {
            let then = awake.saturating_add(micros(ahead));
            prop_assert_eq!(restored.limit(then), concurrency.limit(then));
            prop_assert_eq!(restored.grows_at(then), concurrency.grows_at(then));
        }
        prop_assert_eq!(restored.per_token(), concurrency.per_token());
        prop_assert_eq!(restored.save(awake), concurrency.save(awake));
    }

    #[test]
    fn any_saved_limit_will_do(
        carried in proptest::option::of(number()), (age_us, plateau_us) in (number(), number()),
        speed in proptest::option::of((number(), number(), small())),
        (now, asleep) in (number(), number()), out in 0_u64..50, answers in vec((number(), number(), small()), 0..30),
    ) {
        let speed = speed.map(|(lately_ns, usually_ns, answers)| SavedSpeed { lately_ns, usually_ns, answers });
        let state = SavedConcurrency { carried, age_us, plateau_us, speed };
        let mut concurrency = AdaptiveConcurrency::restored(&state, at(now), micros(asleep));
        prop_assert!(concurrency.admits(at(now)), "one attempt gets out");
        for _ in 0..out {
            concurrency.start();
            let _ = concurrency.grows_at(at(now));
            let _ = concurrency.limit(at(u64::MAX));
        }
        for (now, took, tokens) in answers {
            concurrency.observe(at(now), micros(took), tokens);
            let _ = concurrency.grows_at(at(now));
            let _ = concurrency.limit(at(now));
        }
        concurrency.overloaded(at(now), at(now));
        let _ = concurrency.limit(at(u64::MAX));
        let _ = concurrency.save(at(u64::MAX));
    }

    #[test]
    fn service_times_come_back(times in vec(0_u64..10_000_000_000, 0..3_000)) {
        let mut time = ServiceTime::new();
        for took in times {
            time.observe(micros(took));
        }
        let text = serde_json::to_string(&time.save()).unwrap();
        let restored = ServiceTime::restored(&serde_json::from_str(&text).unwrap());
        prop_assert_eq!(restored.save(), time.save());
        prop_assert_eq!(restored, time);
    }

    #[test]
    fn any_saved_service_times_will_do(
        counts in vec((prop_oneof![0_u32..200, any::<u32>()], small()), 0..300), times in vec(number(), 0..100),
    ) {
        let mut time = ServiceTime::restored(&SavedServiceTime { counts });
        for took in times {
            prop_assert_eq!(time.allowance(), time.quantile(sluicegate::defaults::SERVICE_TIME_PERMILLE));
            time.observe(micros(took));
        }
        prop_assert_eq!(ServiceTime::restored(&time.save()), time);
    }

    #[test]
    fn a_budget_comes_back_with_what_flowed_in_meanwhile(
        spent in 0_u64..150, later in 0_u64..10_000_000, asleep in 0_u64..20_000_000,
    ) {
        let config = RetryBudgetConfig::DEFAULT;
        let mut budget = RetryBudget::new(config, at(0));
        for _ in 0..spent {
            let _ = budget.withdraw(at(0), RetryKind::Other);
        }
        let text = serde_json::to_string(&budget.save(at(later))).unwrap();
        let restored = RetryBudget::restored(config, &serde_json::from_str(&text).unwrap(), at(7), micros(asleep));
        // Less than a thousandth of a token is lost where the time is cut in two.
        let (found, expected) = (restored.left(at(7)), budget.left(at(later + asleep)));
        prop_assert!((expected.saturating_sub(1)..=expected).contains(&found), "{} of {}", found, expected);
    }

    #[test]
    fn any_saved_budget_will_do(
        left in number(), (capacity, per_second, floor) in (number(), number(), number()), (now, asleep) in (number(), number()),
    ) {
        let config = RetryBudgetConfig { capacity, per_second, floor, ..RetryBudgetConfig::DEFAULT };
        let mut budget = RetryBudget::restored(config, &SavedRetryBudget { left }, at(now), micros(asleep));
        prop_assert!(budget.left(at(now)) <= capacity);
        for _ in 0..3 {
            if budget.withdraw(at(now), RetryKind::Throttled).is_err() {
                budget.promise(at(now), RetryKind::Other);
            }
            budget.success(at(u64::MAX), None);
        }
        prop_assert!(budget.left(at(u64::MAX)) <= capacity);
    }
}

/// The probes that were out died with their process, so a half-open breaker offers all of them again.
#[test]
fn a_half_open_breaker_comes_back_with_its_probes_unused() {
    let config = BreakerConfig { probes: 2, ..BreakerConfig::DEFAULT };
    let mut breaker = Breaker::new(config);
    breaker.half_open();
    breaker.acquire(at(0));
    breaker.acquire(at(0));
    assert_eq!(breaker.check(at(0)), BreakerVerdict::ProbesOut);
    let restored = Breaker::restored(config, &breaker.save(at(0)), at(0), Duration::ZERO);
    assert_eq!((restored.state(), restored.check(at(0))), (BreakerState::HalfOpen, BreakerVerdict::Probe));
}

/// Promised retries died with their process, so their debt does too.
#[test]
fn a_budget_comes_back_without_debt() {
    let config = RetryBudgetConfig { capacity: 1_000, ..RetryBudgetConfig::DEFAULT };
    let mut budget = RetryBudget::new(config, at(0));
    for _ in 0..50 {
        budget.promise(at(0), RetryKind::Other);
    }
    let restored = RetryBudget::restored(config, &budget.save(at(0)), at(0), Duration::from_millis(50));
    assert_eq!(restored.left(at(0)), 500);
}

/// What a later version leaves out, or one before it did not know, is as if nothing had been learned.
#[test]
fn an_empty_state_is_a_new_piece() {
    let breaker: SavedBreaker = serde_json::from_str("{}").unwrap();
    let config = BreakerConfig::DEFAULT;
    assert_eq!(
        Breaker::restored(config, &breaker, at(0), Duration::ZERO).save(at(0)),
        Breaker::new(config).save(at(0))
    );
    let concurrency: SavedConcurrency = serde_json::from_str("{}").unwrap();
    assert_eq!(AdaptiveConcurrency::restored(&concurrency, at(0), Duration::ZERO).limit(at(0)), None);
    assert_eq!(ServiceTime::restored(&serde_json::from_str("[]").unwrap()), ServiceTime::new());
}
