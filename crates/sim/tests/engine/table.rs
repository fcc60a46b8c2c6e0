//! The scenarios that the engine is promised for, one test each.

use serde_json::json;
use sluicegate_sim::{Declared, Effect, Law, MaxTokens, OtherUser, Pattern, TenantShare, Workload};

use crate::scene::{CONTINUOUS, FIXED, MEAN_SETTLED, REQUESTS, SECOND, SLIDING, Scene, TOKENS, bursts, calls};

const LAWS: [(&str, Law); 2] = [("sliding", SLIDING), ("bucket", CONTINUOUS)];

#[test]
fn request_bound() {
    for (name, law) in LAWS {
        for load in [1_500, 3_000] {
            let result = Scene::requests(law, load).median(None);
            result.expect(&format!("requests, {name}, {load}"), (980, 1_020), (960, 1_015));
        }
    }
}

#[test]
fn token_bound() {
    for (name, law) in LAWS {
        for load in [1_500, 3_000] {
            let result = Scene::tokens(law, load).median(None);
            result.expect(&format!("tokens, {name}, {load}"), (980, 1_020), (800, 1_020));
        }
    }
}

#[test]
fn fixed_minutes_at_an_unknown_phase() {
    for load in [1_500, 3_000] {
        let scene = Scene::requests(FIXED, load);
        scene.median(None).expect(&format!("requests, fixed, {load}"), (950, 1_050), (940, 1_015));
        let scene = Scene::tokens(FIXED, load);
        scene.median(None).expect(&format!("tokens, fixed, {load}"), (950, 1_050), (820, 1_015));
    }
}

#[test]
fn refusals_that_cost_a_quarter_of_a_request() {
    for (name, law) in LAWS {
        for load in [1_500, 3_000] {
            let scene = Scene::requests(law, load).each_lane(|_, lane| lane.refusal_cost_permille = 250);
            scene.median(None).expect(
                &format!("requests, costly refusals, {name}, {load}"),
                (970, 1_020),
                (960, 1_015),
            );
        }
    }
}

#[test]
fn large_reservations() {
    for (name, law) in LAWS {
        let mut workload = calls(3 * 2 * TOKENS / MEAN_SETTLED, 1_500);
        workload.max_tokens = MaxTokens::OutputBetween(10_000, 40_000);
        let scene = Scene::new(workload, |_, lane| {
            lane.law = law;
            lane.max_output_tokens = 64_000;
            lane.output_multiplier = 5;
            lane.tokens_per_minute = Some(2 * TOKENS);
        });
        scene.median(None).expect(&format!("large reservations, {name}"), (960, 1_020), (850, 1_015));
    }
}

#[test]
fn quotas_not_declared() {
    let cold = |scene: Scene| {
        scene.scenario(|scenario| {
            (scenario.warm_up_us, scenario.measured_us) = (0, 600 * SECOND);
            scenario.declared = Declared::Nothing;
        })
    };
    for (name, law) in LAWS {
        let scene = cold(Scene::requests(law, 1_500));
        scene.median(None).expect(&format!("requests, not declared, {name}"), (930, 1_050), (915, 1_025));
        let scene = cold(Scene::tokens(law, 1_500));
        scene.median(None).expect(&format!("tokens, not declared, {name}"), (930, 1_050), (940, 1_035));
    }
}

#[test]
fn half_the_declared_quota_shared_with_another_user() {
    for (name, law) in LAWS {
        let scene = Scene::requests(law, 900).scenario(|scenario| {
            scenario.declared = Declared::Permille(2_000);
            scenario.measured_us = 600 * SECOND;
        });
        let scene = scene.each_lane(|place, lane| {
            lane.other_user = Some(OtherUser { share_permille: 400, takes_per_minute: 30, seed: place as u64 });
        });
        scene.median(None).expect(&format!("half, and another user, {name}"), (930, 1_050), (840, 1_085));
    }
}

#[test]
fn slots_saturated() {
    Scene::slots(20, 1_500).median(None).expect("slots saturated", (930, 1_200), (960, 1_110));
}

#[test]
fn a_brownout() {
    let scene = Scene::slots(40, 500).trouble(&[0, 1, 2], 120, 140, Effect::Capacity { permille: 200 });
    let scene = scene.scenario(|scenario| scenario.measured_us = 120 * SECOND);
    let result = scene.median(None);
    result.expect("brownout to 20 % for 20 s", (990, 1_100), (955, 1_045));
    let per_second = |from: usize, to: usize| {
        let lanes = &result.played.ledger.lanes;
        let sum = |lane: &sluicegate_sim::LaneLedger| -> u32 {
            lane.seconds[from..to].iter().map(|row| row.attempts - row.refused).sum()
        };
        f64::from(lanes.iter().map(sum).sum::<u32>()) / (to - from) as f64
    };
    println!(
        "       admitted a second: before {:.1}, in it {:.1}, first 2 s after {:.1}, next 3 s {:.1}, next 10 s {:.1}",
        per_second(100, 120),
        per_second(120, 140),
        per_second(140, 142),
        per_second(142, 145),
        per_second(145, 155),
    );
}

#[test]
fn an_outage_of_one_region_of_three() {
    let scene = Scene::requests(SLIDING, 600).trouble(&[0], 100, 200, Effect::Outage);
    scene.median(None).expect("outage of one of three", (990, 1_050), (990, 1_030));
}

#[test]
fn one_region_five_times_slower() {
    let scene = Scene::requests(SLIDING, 400).trouble(&[0], 0, 10_000, Effect::Slow { factor_permille: 5_000 });
    scene.median(None).expect("one Region five times slower", (980, 1_050), (980, 1_015));
    let scene = Scene::requests(SLIDING, 400).trouble(&[0], 120, 10_000, Effect::Slow { factor_permille: 5_000 });
    scene.median(None).expect("one Region becomes five times slower", (980, 1_050), (970, 1_015));
}

#[test]
fn a_spike() {
    for (name, law) in LAWS {
        let mut workload = calls(3 * REQUESTS, 500);
        let rate = 3 * REQUESTS * 500 / 60;
        workload.arrivals =
            Pattern::Spike { per_1000_s: rate, spike_per_1000_s: rate * 5, from_us: 120 * SECOND, to_us: 130 * SECOND };
        let scene = Scene::requests(law, 500).scenario(|scenario| {
            scenario.workload = workload.clone();
            scenario.measured_us = 180 * SECOND;
        });
        scene.median(None).expect(&format!("spike of 5x for 10 s, {name}"), (980, 1_020), (970, 1_015));
    }
}

#[test]
fn bursts_of_three_times() {
    for (name, law) in LAWS {
        let scene =
            Scene::requests(law, 1_000).scenario(|scenario| scenario.workload = bursts(3 * REQUESTS, 1_350, 450, 30));
        scene.median(None).expect(&format!("on/off bursts of 3x, {name}"), (980, 1_020), (985, 1_015));
    }
}

#[test]
fn two_tenants_of_ten_to_one() {
    for (name, law) in LAWS {
        let tenant = |name: &str, calls| TenantShare { name: name.to_owned(), calls, weight: 1 };
        let scene = Scene::requests(law, 1_500)
            .scenario(|scenario| scenario.workload.tenants = vec![tenant("heavy", 10), tenant("light", 1)]);
        let result = scene.median(None);
        result.expect(&format!("two tenants, {name}"), (970, 1_020), (970, 1_015));
        let light = result.played.report.tenants[1].1;
        println!("       the light tenant: {} of {} in time", light.in_time, light.calls);
        assert!(light.in_time * 100 >= light.calls * 99, "{light:?}");
    }
}

#[test]
fn a_target_wait_of_two_seconds() {
    for (name, law) in LAWS {
        let mut scene = Scene::requests(law, 1_500);
        scene.policy = json!({"queue": {"target_wait_ms": 2_000}});
        let result = scene.median(None);
        result.expect(&format!("target wait of 2 s, {name}"), (960, 1_020), (970, 1_015));
    }
}

/// The recorded traces are not part of the repository; `SLUICEGATE_TRACES` names a folder that holds them.
#[test]
fn recorded_traces() {
    let Ok(folder) = std::env::var("SLUICEGATE_TRACES") else {
        println!("NOT RUN: set SLUICEGATE_TRACES to a folder with azure2023_conv.csv and mooncake_conversation.csv");
        return;
    };
    // Lengths differ much; a Region of the second has quotas for its means.
    for (file, spread_us, settled) in
        [("azure2023_conv.csv", 0, MEAN_SETTLED), ("mooncake_conversation.csv", 3 * SECOND, 14_000)]
    {
        let text = std::fs::read_to_string(std::path::Path::new(&folder).join(file)).unwrap();
        let mut workload = Workload::from_csv(&text, MaxTokens::Fixed(2_048)).unwrap();
        let Pattern::Recorded { trace, spread_us: spread, .. } = &mut workload.arrivals else { panic!() };
        *spread = spread_us;
        let per_minute = trace.mean_per_1000_s() * 60 / 1_000;
        let scene = Scene::new(workload.clone(), |_, lane| {
            lane.law = SLIDING;
            lane.requests_per_minute = Some(per_minute * 1_000 / 1_300 / 3);
            lane.tokens_per_minute = Some(per_minute * settled * 2 / 3);
        });
        let scene = scene.scenario(|scenario| scenario.measured_us = 3_000 * SECOND);
        scene.median(None).expect(&format!("{file} at 1.3x"), (970, 1_030), (640, 1_020));
    }
}
