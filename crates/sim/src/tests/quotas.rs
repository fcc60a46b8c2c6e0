use proptest_lite::cases;
use sluicegate::Timestamp;

use super::{LANE, accepted, at_s, rng, service};
use crate::{Law, Load, MINUTE_US, MinuteQuota};

/// A deterministic stream of (gap in µs, amount) pairs: cheap property tests without another dependency.
mod proptest_lite {
    use rand::Rng as _;

    pub(super) fn cases(seed: u64, n: usize) -> Vec<(u64, u64, u64)> {
        use rand::{SeedableRng, rngs::StdRng};
        let mut rng = StdRng::seed_from_u64(seed);
        (0..n).map(|_| (rng.next_u64() % 2_000_000, rng.next_u64() % 40, rng.next_u64() % 80)).collect()
    }
}

const LIMIT: u64 = 300;

/// Drives a quota with random reservations and settles each at once where `settle` says so; answers what was admitted.
fn drive(law: Law, seed: u64, settle: bool) -> Vec<(u64, u64)> {
    let mut quota = MinuteQuota::new(law, LIMIT, Timestamp::ZERO);
    let mut now = 0;
    let mut admitted = Vec::new();
    for (gap, amount, used) in cases(seed, 2_000) {
        now += gap;
        let at = Timestamp::from_micros(now);
        let expected = quota.would_admit(at, amount);
        let earliest = quota.earliest(at, amount);
        assert_eq!(earliest == Some(at), expected);
        if let Some(earliest) = earliest.filter(|earliest| *earliest > at) {
            let before = Timestamp::from_micros(earliest.as_micros() - 1);
            assert!(quota.would_admit(earliest, amount) && !quota.would_admit(before, amount));
        }
        let hold = quota.reserve(at, amount);
        assert_eq!(hold.is_some(), expected);
        if let Some(hold) = hold {
            let used = if settle { used } else { amount };
            quota.settle(at, &hold, used);
            admitted.push((now, used));
        }
    }
    admitted
}

fn largest_sum(admitted: &[(u64, u64)], within: impl Fn(u64, u64) -> bool) -> u64 {
    let sum = |start: u64| admitted.iter().filter(|(at, _)| within(start, *at)).map(|(_, amount)| amount).sum();
    admitted.iter().map(|(start, _)| sum(*start)).max().unwrap()
}

#[test]
fn no_sliding_minute_exceeds_the_quota() {
    for seed in 0..5 {
        let admitted = drive(Law::Sliding, seed, false);
        let most = largest_sum(&admitted, |start, at| at >= start && at - start < MINUTE_US);
        assert!((LIMIT - 40..=LIMIT).contains(&most), "{most}");
    }
}

#[test]
fn no_fixed_window_exceeds_the_quota() {
    for phase_us in [0, 17_000_000, MINUTE_US * 3 + 59_999_999] {
        let admitted = drive(Law::Fixed { phase_us }, 3, false);
        let window = |at: u64| (at + MINUTE_US - phase_us % MINUTE_US) / MINUTE_US;
        let most = largest_sum(&admitted, |start, at| window(at) == window(start));
        assert!((LIMIT - 40..=LIMIT).contains(&most), "{most}");
    }
}

#[test]
fn an_even_refill_admits_burst_plus_rate_and_no_more() {
    for burst_permille in [200, 1000] {
        let law = Law::Continuous { burst_permille, start_permille: 1000 };
        let admitted = drive(law, 4, false);
        let burst = LIMIT * u64::from(burst_permille) / 1000;
        for (start, _) in &admitted {
            let sum: u64 =
                admitted.iter().filter(|(at, _)| at >= start && at - start < MINUTE_US).map(|(_, amount)| amount).sum();
            assert!(sum <= LIMIT + burst);
        }
        let total: u64 = admitted.iter().map(|(_, amount)| amount).sum();
        let end = admitted.last().unwrap().0;
        assert!(total <= burst + LIMIT * end / MINUTE_US + 1);
        assert!(total + 2 * LIMIT >= LIMIT * end / MINUTE_US, "nothing was lost to rounding");
    }
}

#[test]
fn refunds_and_debts_keep_earliest_exact() {
    for law in [Law::Sliding, Law::Fixed { phase_us: 9 }, Law::default()] {
        drive(law, 11, true);
    }
}

#[test]
fn a_fixed_window_returns_nothing_after_its_turn_and_charges_debt_to_the_present_one() {
    let mut quota = MinuteQuota::new(Law::Fixed { phase_us: 0 }, LIMIT, Timestamp::ZERO);
    let hold = quota.reserve(at_s(59), 100).unwrap();
    let other = quota.reserve(at_s(59), 100).unwrap();
    assert!(quota.reserve(at_s(61), LIMIT - 50).is_some());
    quota.settle(at_s(62), &hold, 0);
    assert!(!quota.would_admit(at_s(62), 51));
    quota.settle(at_s(63), &other, 150);
    assert!(!quota.would_admit(at_s(63), 1));
    assert_eq!(quota.level_permille(at_s(63)), 0);
    assert_eq!(quota.level_permille(at_s(120)), 1000);
}

#[test]
fn a_fixed_window_that_keeps_its_debts_hands_them_on() {
    let mut quota = MinuteQuota::new(Law::Fixed { phase_us: 0 }, LIMIT, Timestamp::ZERO);
    quota.keep_debts();
    let hold = quota.reserve(at_s(1), 100).unwrap();
    quota.settle(at_s(2), &hold, 2 * LIMIT + 100);
    assert_eq!(quota.earliest(at_s(3), 1), Some(at_s(60)), "the next look");
    assert!(!quota.would_admit(at_s(60), 1), "it pays a whole minute's quota");
    assert!(quota.would_admit(at_s(120), LIMIT - 100), "and the rest of it here");
    assert!(!quota.would_admit(at_s(120), LIMIT - 99));
    assert_eq!(quota.level_permille(at_s(180)), 1000);
}

#[test]
fn a_sliding_refund_lowers_the_entry_and_a_debt_ages_from_its_settlement() {
    let mut quota = MinuteQuota::new(Law::Sliding, LIMIT, Timestamp::ZERO);
    let hold = quota.reserve(at_s(0), 200).unwrap();
    let other = quota.reserve(at_s(10), 100).unwrap();
    assert!(!quota.would_admit(at_s(20), 1));
    quota.settle(at_s(20), &hold, 50);
    assert!(quota.would_admit(at_s(20), 150));
    quota.settle(at_s(30), &other, 400);
    assert_eq!(quota.level_permille(at_s(30)), -500);
    assert_eq!(quota.earliest(at_s(30), 1), Some(at_s(90)));
    assert_eq!(quota.level_permille(at_s(70)), 0);
    assert_eq!(quota.level_permille(at_s(90)), 1000);
    assert_eq!(quota.earliest(at_s(90), LIMIT + 1), None);
}

#[test]
fn debt_delays_an_even_refill() {
    let mut quota = MinuteQuota::new(Law::default(), 60, Timestamp::ZERO);
    let hold = quota.reserve(at_s(0), 60).unwrap();
    quota.settle(at_s(0), &hold, 90);
    assert_eq!(quota.level_permille(at_s(0)), -500);
    assert_eq!(quota.earliest(at_s(0), 1), Some(at_s(31)));
}

#[test]
fn a_lowered_limit_counts_from_the_moment_it_is_lowered() {
    let mut quota = MinuteQuota::new(Law::default(), 60, Timestamp::ZERO);
    quota.reserve(at_s(0), 60).unwrap();
    quota.set_limit(at_s(10), 30);
    assert_eq!(quota.earliest(at_s(10), 15), Some(at_s(20)));
    quota.set_limit(at_s(10), 0);
    assert_eq!(quota.earliest(at_s(10), 15), None);
}

#[test]
fn charged_refusals_are_bounded() {
    for (law, level) in [(Law::default(), 0), (Law::Fixed { phase_us: 0 }, 0), (Law::Sliding, -1000)] {
        let mut quota = MinuteQuota::new(law, LIMIT, Timestamp::ZERO);
        for _ in 0..5 {
            quota.charge_refusal(at_s(0), LIMIT);
        }
        assert_eq!(quota.level_permille(at_s(0)), level);
    }
}

/// The example of the token burndown arithmetic: rate 10, input 3,000, cache read 4,000, cache write 1,000.
#[test]
fn reservation_and_settlement_follow_the_burndown_rules() {
    let mut service = service(|lane| {
        lane.tokens_per_minute = Some(1_000_000);
        lane.output_multiplier = 10;
    });
    let load = Load {
        input_tokens: 3_000,
        cache_read_tokens: 4_000,
        cache_write_tokens: 1_000,
        max_tokens: Some(8_000),
        output_tokens: None,
        prefix: None,
    };
    assert_eq!(service.cost(LANE, &load, 900), (16_000, 13_000));
    assert_eq!(service.cost(LANE, &load, 1_500), (16_000, 19_000));
    assert_eq!(service.cost(LANE, &load, 8_000).1, 84_000);
    let mut settled = 0;
    for output in [900, 1_500] {
        let load = Load { output_tokens: Some(output), ..load };
        let accepted = accepted(service.admit_on(at_s(0), LANE, &load, None, &mut rng()));
        service.finish(accepted.finish_at, accepted.ticket);
        settled += if output == 900 { 13_000 } else { 19_000 };
        assert_eq!(service.ledger().lanes[0].totals.tokens_settled, settled);
    }
    assert_eq!(service.ledger().lanes[0].totals.tokens_reserved, 32_000);
}

/// Third-party measurements of `EstimatedTPMQuotaUsage` for a model with rate 5.
#[test]
fn settlement_agrees_with_the_published_measurements() {
    let mut service = service(|lane| lane.output_multiplier = 5);
    let cases = [(26, 0, 0, 1_203, 6_041), (13, 0, 8_814, 4, 8_847), (13, 8_814, 0, 4, 33)];
    for (input_tokens, cache_read_tokens, cache_write_tokens, output, used) in cases {
        let load = Load {
            input_tokens,
            cache_read_tokens,
            cache_write_tokens,
            max_tokens: Some(8_000),
            output_tokens: Some(output),
            prefix: None,
        };
        assert_eq!(service.cost(LANE, &load, output).1, used);
        let before = service.ledger().lanes[0].totals.tokens_settled;
        let accepted = accepted(service.admit_on(at_s(0), LANE, &load, None, &mut rng()));
        service.finish(accepted.finish_at, accepted.ticket);
        assert_eq!(service.ledger().lanes[0].totals.tokens_settled - before, used);
    }
}
