//! When the service's minutes begin: found where it counts by the clock, and nowhere else.
//!
//! `cargo test -p sluicegate --test phase -- --nocapture` prints how soon.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use sluicegate::{Admission, Limiter, LimiterConfig, MinutePhase, Permit, Quota, Spent, Timestamp};

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// How a service refills a quota of requests.
#[derive(Clone, Debug)]
enum Law {
    /// From the phase on.
    Fixed {
        phase: u64,
        minute: u64,
        used: u64,
        moves: Option<(u64, u64)>,
    },
    Sliding(VecDeque<u64>),
    /// In sixty-millionths of a request.
    Bucket {
        level: u64,
        most: u64,
        at: u64,
    },
}

impl Law {
    fn fixed(phase: u64) -> Self {
        Self::Fixed { phase, minute: 0, used: 0, moves: None }
    }

    /// With another phase from some time on.
    fn moving(phase: u64, at: u64, to: u64) -> Self {
        Self::Fixed { phase, minute: 0, used: 0, moves: Some((at, to)) }
    }

    /// As much saved up as so many thousandths of the quota.
    fn bucket(limit: u64, permille: u64) -> Self {
        let most = (limit * permille / 1_000).max(1) * MINUTE;
        Self::Bucket { level: most, most, at: 0 }
    }

    fn admits(&mut self, now: u64, limit: u64) -> bool {
        match self {
            Self::Fixed { phase, minute, used, moves } => {
                if let Some((_, to)) = moves.take_if(|(at, _)| *at <= now) {
                    *phase = to;
                }
                let present = (now + MINUTE - *phase) / MINUTE;
                if present != *minute {
                    (*minute, *used) = (present, 0);
                }
                let fits = *used < limit;
                *used += u64::from(fits);
                fits
            }
            Self::Sliding(taken) => {
                while taken.front().is_some_and(|time| time + MINUTE <= now) {
                    taken.pop_front();
                }
                let fits = (taken.len() as u64) < limit;
                if fits {
                    taken.push_back(now);
                }
                fits
            }
            Self::Bucket { level, most, at } => {
                *level = (*level + now.saturating_sub(*at) * limit).min(*most);
                *at = now;
                let fits = *level >= MINUTE;
                if fits {
                    *level -= MINUTE;
                }
                fits
            }
        }
    }
}

/// A limiter in front of a service, and who calls it.
#[derive(Clone, Debug)]
struct Scene {
    law: Law,
    limit: u64,
    declared: Option<u64>,
    /// What is asked for, in thousandths of the limit.
    load_permille: u64,
    minutes: u64,
    /// When the limiter is saved and restored.
    restarted: Option<u64>,
    seed: u64,
}

#[derive(Debug, Default)]
struct Seen {
    answered: u64,
    refused: u64,
    /// When a phase became known, and which.
    learned: Vec<(u64, MinutePhase)>,
    /// Of the service's minutes, if it counts by the clock, in which a phase was known all along: what arrived in them, and
    /// the highest limit in force.
    minutes: Vec<(u64, u64)>,
}

fn play(scene: &Scene) -> Seen {
    let Scene { mut law, limit, declared, load_permille, minutes, mut restarted, mut seed } = scene.clone();
    let mut draw = move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let config = LimiterConfig { requests_per_minute: declared, ..LimiterConfig::unlimited() };
    let mut limiter = Limiter::new(config, at(0));
    // When it ends, its place among those that are out, whether it was let through.
    let mut ends: BinaryHeap<Reverse<(u64, usize, bool)>> = BinaryHeap::new();
    let mut out: Vec<Option<Permit>> = Vec::new();
    let (mut waiting, mut next_call, mut wake, mut now, mut known) = (0_u64, 0, 0, 0, false);
    let (mut seen, mut arrives) = (Seen::default(), 0);
    // Which, what arrived in it, the highest limit, whether the phase was known all along.
    let mut minute = (0, 0, 0, false);
    let mean_gap = (MINUTE * 1_000 / (limit * load_permille)).max(1);
    while now < minutes * MINUTE {
        let asks = if waiting > 0 { wake } else { u64::MAX };
        now = now.max(next_call.min(asks).min(ends.peek().map_or(u64::MAX, |end| end.0.0)));
        if next_call <= now {
            // No more wait than go out in ten seconds.
            waiting = (waiting + 1).min(limit / 6 + 1);
            next_call = now + 1 + draw() % (2 * mean_gap);
            wake = now;
        }
        while let Some(Reverse((_, place, fits))) = ends.peek().copied().filter(|end| end.0.0 <= now) {
            ends.pop();
            let Some(permit) = out[place].take() else { continue };
            let sent = permit.granted_at();
            if fits {
                limiter.settle(at(now), permit, Spent::Unknown);
                limiter.accepted(sent);
                seen.answered += 1;
            } else {
                limiter.settle(at(now), permit, Spent::Nothing);
                limiter.refused(at(now), sent, 1, Quota::Requests);
                seen.refused += 1;
                waiting += 1;
            }
            wake = now;
        }
        if restarted.take_if(|at| *at <= now).is_some() {
            let state = limiter.save(at(now));
            limiter = Limiter::restored(config, &state, at(now), Duration::ZERO);
            known = false;
        }
        let phase = limiter.phase(Quota::Requests);
        if let Some(phase) = phase.filter(|_| !known) {
            seen.learned.push((now, phase));
        }
        known = phase.is_some();
        if let Law::Fixed { phase, .. } = law {
            let present = (now + MINUTE - phase) / MINUTE;
            if present != minute.0 {
                seen.minutes.extend(minute.3.then_some((minute.1, minute.2)));
                minute = (present, 0, 0, true);
            }
            minute.2 = minute.2.max(limiter.limit(Quota::Requests).unwrap_or(u64::MAX));
            minute.3 &= known;
        }
        while waiting > 0 && wake <= now {
            match limiter.acquire(at(now), 1) {
                Admission::Granted(permit) => {
                    waiting -= 1;
                    // On its way for 5 to 25 ms.
                    arrives = arrives.max(now + 5_000 + draw() % 20_000);
                    let fits = law.admits(arrives, limit);
                    minute.1 += 1;
                    let took = if fits { 500_000 + draw() % 4_000_000 } else { 20_000 + draw() % 60_000 };
                    ends.push(Reverse((now + took, out.len(), fits)));
                    out.push(Some(permit));
                }
                Admission::NotBefore(until, _) => wake = until.as_micros().max(now + 1),
                Admission::Busy | Admission::Never(_) => break,
            }
        }
    }
    seen
}

/// An hour of a service, with quotas of all sizes, unknown or declared twice too high, and calls for more than they give.
fn hour(seed: u64, law: impl Fn(u64) -> Law) -> Scene {
    let pick = |from: &[u64]| from[(seed % from.len() as u64) as usize];
    let limit = pick(&[30, 60, 300, 1_000]);
    let declared = (seed % 3 == 2).then_some(2 * limit);
    Scene {
        law: law(limit),
        limit,
        declared,
        load_permille: 1_100 + seed * 37 % 2_000,
        minutes: 60,
        restarted: None,
        seed,
    }
}

#[test]
fn fixed_minutes_are_found_and_used_in_full() {
    let (mut after, mut refused) = (Vec::new(), Vec::new());
    for seed in 0..60 {
        let begins = seed * 7_919_777 % MINUTE;
        let scene = hour(seed, |_| Law::fixed(begins));
        let seen = play(&scene);
        assert_eq!(seen.learned.len(), 1, "learned once and never lost: {scene:?} {seen:?}");
        let (learned_at, phase) = seen.learned[0];
        // The service sees an attempt 5 to 25 ms after it was sent.
        let late = (begins + MINUTE - phase.begins_us) % MINUTE;
        assert!(late <= phase.within_us + 25_000, "{scene:?} {phase:?}");
        assert!(phase.within_us <= 6_000_000);
        for (sent, limit) in &seen.minutes {
            assert!(sent <= limit, "{sent} in a minute of {limit}: {scene:?}");
        }
        assert!(seen.answered >= scene.limit * 59 * 99 / 100, "{} of {}", seen.answered, scene.limit * 60);
        after.push(learned_at / SECOND);
        refused.push(seen.refused * 1_000 / (seen.refused + seen.answered));
    }
    after.sort_unstable();
    refused.sort_unstable();
    println!("learned after {} to {} s, mostly {} s", after[0], after[59], after[30]);
    println!("refused {} to {} permille, mostly {}", refused[0], refused[59], refused[30]);
    assert!(after[30] <= 600 && after[59] <= 1_200, "{after:?}");
    assert!(refused[30] <= 25 && refused[59] <= 60, "{refused:?}");
}

#[test]
fn no_other_law_is_taken_for_fixed_minutes() {
    for seed in 0..40 {
        let laws = [20, 100, 1_000].map(|permille| hour(seed, |limit| Law::bucket(limit, permille)));
        for scene in laws.into_iter().chain([hour(seed, |_| Law::Sliding(VecDeque::new()))]) {
            let seen = play(&scene);
            assert!(seen.refused > 0, "{scene:?}");
            assert!(seen.learned.is_empty(), "{scene:?} {seen:?}");
        }
    }
}

/// The service begins its minutes elsewhere from some time on.
#[test]
fn a_phase_that_no_longer_holds_is_lost() {
    let seen = play(&Scene { law: Law::moving(10 * SECOND, 30 * MINUTE, 40 * SECOND), ..hour(2, |_| Law::fixed(0)) });
    assert!(seen.learned.len() >= 2, "{seen:?}");
    let (first, last) = (seen.learned[0].1, seen.learned[seen.learned.len() - 1].1);
    assert!(first.begins_us.abs_diff(10 * SECOND) <= 6 * SECOND, "{first:?}");
    assert!(last.begins_us.abs_diff(40 * SECOND) <= 6 * SECOND, "{last:?}");
}

#[test]
fn what_was_found_survives_a_restart_but_must_show_once_more() {
    let scene = Scene { restarted: Some(30 * MINUTE), ..hour(2, |_| Law::fixed(23 * SECOND)) };
    let seen = play(&scene);
    assert_eq!(seen.learned.len(), 2, "{seen:?}");
    let again = seen.learned[1].0;
    assert!((30 * MINUTE..36 * MINUTE).contains(&again), "{seen:?}");
}
