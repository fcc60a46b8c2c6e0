//! The pieces against models that are slow and obvious.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sluicegate::random::Draws;
use sluicegate::{Backoff, Bucket, Curve, RetryBudget, RetryBudgetConfig, RetryKind, Timestamp, Window};

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A window as the list of what was added.
struct NaiveWindow {
    span: u64,
    slot: u64,
    taken: Vec<(u64, u64)>,
}

impl NaiveWindow {
    /// What was added in a slot counts until the end of the slot lies a span in the past.
    fn sum(&self, now: u64) -> u64 {
        let counts = |at: u64| (at / self.slot + 1) * self.slot + self.span > now;
        self.taken.iter().filter(|(at, _)| counts(*at)).map(|(_, amount)| amount).sum()
    }

    /// Tries every time at which anything can change.
    fn earliest(&self, now: u64, allowed: u64) -> u64 {
        let ends = self.taken.iter().map(|(at, _)| (at / self.slot + 1) * self.slot + self.span);
        let mut times: Vec<u64> = ends.filter(|end| *end > now).chain([now]).collect();
        times.sort_unstable();
        times.into_iter().find(|time| self.sum(*time) <= allowed).expect("in the end nothing counts")
    }

    fn remove(&mut self, now: u64, at: u64, amount: u64) {
        let slot = at / self.slot;
        let mut left = if (slot + 1) * self.slot + self.span > now { amount } else { 0 };
        for (_, taken) in self.taken.iter_mut().filter(|(at, _)| at / self.slot == slot) {
            let back = left.min(*taken);
            *taken -= back;
            left -= back;
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Use {
    Add(u64),
    Remove(usize, u64),
    Ask(u64),
}

proptest! {
    #[test]
    fn a_window_counts_like_a_list(
        span in 1_u64..5_000,
        slot in 1_u64..700,
        start in 0_u64..10_000,
        uses in vec((prop_oneof![0_u64..50, 0_u64..3_000, 0_u64..20_000], prop_oneof![
            (0_u64..100).prop_map(Use::Add),
            (any::<usize>(), 0_u64..100).prop_map(|(which, amount)| Use::Remove(which, amount)),
            (0_u64..400).prop_map(Use::Ask),
        ]), 1..80),
    ) {
        let slot = slot.min(span);
        let mut window = Window::new(Duration::from_micros(span), Duration::from_micros(slot), at(start));
        let mut naive = NaiveWindow { span, slot, taken: Vec::new() };
        let mut now = start;
        for (later, used) in uses {
            now += later;
            match used {
                Use::Add(amount) => {
                    window.add(at(now), amount);
                    naive.taken.push((now, amount));
                }
                Use::Remove(which, amount) if !naive.taken.is_empty() => {
                    let then = naive.taken[which % naive.taken.len()].0;
                    window.remove(at(now), at(then), amount);
                    naive.remove(now, then, amount);
                }
                Use::Remove(..) => {}
                Use::Ask(allowed) => prop_assert_eq!(window.earliest(at(now), allowed), at(naive.earliest(now, allowed))),
            }
            prop_assert_eq!(window.sum(at(now)), naive.sum(now));
        }
    }

    /// However often the bucket is asked in between, the level is the one of an exact fraction.
    #[test]
    fn a_bucket_refills_exactly(
        amount in 1_u64..10_000_000,
        burst in 1_u64..1_000_000,
        steps in vec((0_u64..2_000_000, 0_u64..100_000), 1..60),
    ) {
        let minute = Duration::from_secs(60);
        let mut bucket = Bucket::new(amount, minute, burst, at(0));
        // In tokens times microseconds of a minute.
        let (mut now, mut level) = (0, i128::from(burst) * 60_000_000);
        for (later, taken) in steps {
            now += later;
            level = (level + i128::from(later) * i128::from(amount)).min(i128::from(burst) * 60_000_000);
            prop_assert_eq!(i128::from(bucket.level(at(now))), level.div_euclid(60_000_000));
            let earliest = bucket.earliest(at(now), taken);
            let fits = |later: u64| level + i128::from(later) * i128::from(amount) >= i128::from(taken.min(burst)) * 60_000_000;
            let wait = earliest.as_micros() - now;
            prop_assert!(fits(wait) && (wait == 0 || !fits(wait - 1)), "not the first time: {}", wait);
            bucket.take(at(now), taken);
            level -= i128::from(taken) * 60_000_000;
        }
    }

    #[test]
    fn every_delay_is_within_the_bounds_of_its_curve(
        base in 1_u64..100_000_000,
        cap in 1_u64..100_000_000,
        retry in 0_u32..70,
        previous in 0_u64..100_000_000,
        draw in any::<u64>(),
    ) {
        let grown = u128::from(base) << retry.min(64);
        let ceiling = u64::try_from(grown.min(u128::from(cap))).expect("the cap is small");
        let high = (previous * 3).max(base);
        for (curve, least, most, draws) in [
            (Curve::Constant, base.min(cap), base.min(cap), 0),
            (Curve::Exponential, ceiling, ceiling, 0),
            (Curve::Full, 0, ceiling, 1),
            (Curve::Equal, ceiling - ceiling / 2, ceiling, 1),
            (Curve::Decorrelated, base.min(cap), high.min(cap), 1),
            (Curve::Additive, ceiling, u64::try_from((grown + 1_000_000).min(u128::from(cap))).expect("small"), 1),
        ] {
            let backoff = Backoff::new(curve, Duration::from_micros(base), Duration::from_micros(cap));
            let delay = |draw: u64| {
                let draws = [draw];
                let mut rng = Draws::new(&draws);
                let delay = backoff.delay(retry, Duration::from_micros(previous), None, &mut rng);
                (delay.as_micros() as u64, rng.taken())
            };
            prop_assert_eq!(delay(0), (least, draws), "{:?}", curve);
            prop_assert_eq!(delay(u64::MAX), (most, draws), "{:?}", curve);
            prop_assert!((least..=most).contains(&delay(draw).0), "{:?}", curve);
        }
    }

    /// Retries that pay, or are put off until the inflow has paid for them, never exceed capacity and inflow.
    #[test]
    fn a_budget_pays_out_no_more_than_it_took_in(
        capacity in 1_u64..20,
        per_second in 1_u64..10,
        asks in vec(0_u64..400_000, 1..100),
    ) {
        let config = RetryBudgetConfig {
            capacity: capacity * 1_000, per_second: per_second * 1_000, ..RetryBudgetConfig::DEFAULT
        };
        let mut budget = RetryBudget::new(config, at(0));
        let (mut now, mut retries) = (0, Vec::new());
        for later in asks {
            now += later;
            retries.push(match budget.withdraw(at(now), RetryKind::Other) {
                Ok(_) => now,
                Err(earliest) => {
                    budget.promise(at(now), RetryKind::Other);
                    earliest.expect("something flows in").as_micros()
                }
            });
        }
        for (index, start) in retries.iter().enumerate() {
            for (count, end) in (1..).zip(&retries[index..]) {
                let inflow = u128::from(end - start) * u128::from(per_second);
                prop_assert!(count * 1_000_000 <= u128::from(capacity) * 1_000_000 + inflow + 1_000_000);
            }
        }
    }
}

#[test]
fn seven_million_a_minute_is_exactly_that_for_hours() {
    let mut bucket = Bucket::new(7_000_000, Duration::from_secs(60), 700_000, at(0));
    let mut rng = StdRng::seed_from_u64(7);
    let (mut now, mut taken) = (at(0), 0_u128);
    while now < at(5 * 3_600_000_000) {
        let amount = 1 + sluicegate::random::scale(sluicegate::Rng::next_u64(&mut rng), 20_000);
        now = bucket.earliest(now, amount);
        assert_eq!(bucket.try_take(now, amount), Ok(()));
        taken += u128::from(amount);
        let flowed = 700_000 + u128::from(now.as_micros()) * 7_000_000 / 60_000_000;
        assert_eq!(bucket.level(now) as u128, flowed - taken);
    }
}

#[test]
fn a_window_of_huge_amounts_does_not_overflow() {
    let mut window = Window::new(Duration::from_secs(60), Duration::from_secs(1), at(0));
    window.add(at(0), u64::MAX);
    window.add(at(2_000_000), u64::MAX);
    assert_eq!(window.sum(at(2_000_000)), u64::MAX);
    assert_eq!(window.earliest(at(2_000_000), 5), at(63_000_000));
    window.remove(at(2_000_000), at(0), u64::MAX);
    assert_eq!(window.sum(at(2_000_000)), u64::MAX);
    window.remove(at(2_000_000), at(2_000_000), u64::MAX);
    assert_eq!(window.sum(at(2_000_000)), 0);
}
