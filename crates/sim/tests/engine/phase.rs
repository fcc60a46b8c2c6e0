//! Quotas that are not known, of a service that counts by the clock and of others.

use sluicegate_sim::{Declared, Law};

use crate::scene::{CONTINUOUS, FIXED, SECOND, SLIDING, Scene};

#[test]
fn minutes_of_the_service_are_found_and_filled() {
    for (name, law) in [("fixed", FIXED), ("sliding", SLIDING), ("bucket", CONTINUOUS)] {
        for (per_minute, declared) in
            [(300, Declared::Nothing), (60, Declared::Nothing), (300, Declared::Permille(2_000))]
        {
            let scene = scene(law, per_minute).scenario(|scenario| scenario.declared = declared);
            println!("{}", scene.median(None).line(&format!("{name}, {per_minute} a minute, {declared:?}")));
        }
    }
}

#[test]
fn minutes_of_tokens() {
    for (name, law) in [("fixed", FIXED), ("sliding", SLIDING), ("bucket", CONTINUOUS)] {
        for declared in [Declared::Nothing, Declared::Permille(2_000)] {
            let scene = Scene::tokens(law, 1_500).scenario(|scenario| {
                scenario.declared = declared;
                (scenario.warm_up_us, scenario.measured_us) = (0, 1_200 * SECOND);
            });
            println!("{}", scene.median(None).line(&format!("tokens, {name}, {declared:?}")));
        }
    }
}

/// Requests bind at one and a half times what three Regions give.
fn scene(law: Law, per_minute: u64) -> Scene {
    let scene = Scene::requests(law, 1_500).each_lane(|_, lane| lane.requests_per_minute = Some(per_minute));
    scene.scenario(|scenario| {
        scenario.workload = crate::scene::calls(3 * per_minute, 1_500);
        (scenario.warm_up_us, scenario.measured_us) = (0, 1_200 * SECOND);
    })
}
