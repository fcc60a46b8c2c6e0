//! Quotas that are not known, of a service that counts by the clock.

use sluicegate_sim::Declared;

use crate::scene::{FIXED, REQUESTS, SECOND, Scene, calls};

/// Goodput at least and attempts at most, without what refusals tell of the service's minutes: 965 and 1005, 979 and 1032,
/// 978 and 1046.
#[test]
fn minutes_of_the_service_are_found_and_filled() {
    for (per_minute, declared, held) in [
        (REQUESTS, Declared::Nothing, (970, 1_008)),
        (60, Declared::Nothing, (984, 1_028)),
        (REQUESTS, Declared::Permille(2_000), (990, 1_030)),
    ] {
        let scene = Scene::requests(FIXED, 1_500).each_lane(|_, lane| lane.requests_per_minute = Some(per_minute));
        let scene = scene.scenario(|scenario| {
            scenario.workload = calls(3 * per_minute, 1_500);
            scenario.declared = declared;
            (scenario.warm_up_us, scenario.measured_us) = (0, 1_200 * SECOND);
        });
        scene.median(None).expect(&format!("fixed, {per_minute} a minute, {declared:?}"), (950, 1_050), held);
    }
}
