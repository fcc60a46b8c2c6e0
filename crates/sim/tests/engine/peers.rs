//! The peers in the scenarios in which the real ones were measured.

use sluicegate_sim::{ClientKind, Effect, Peer};

use crate::scene::{SECOND, SLIDING, Scene};

#[test]
fn peers_at_one_and_a_half_times_the_requests() {
    for load in [1_500, 3_000] {
        let scene = Scene::requests(SLIDING, load);
        println!("{}", scene.median(None).line(&format!("sluicegate, {load}")));
        for peer in Peer::ALL {
            println!("{}", scene.median(Some(&ClientKind::Peer(peer))).line(&format!("{}, {load}", peer.name())));
        }
    }
}

#[test]
fn peers_in_a_brownout_and_with_slots_saturated() {
    let brownout = Scene::slots(40, 500).trouble(&[0, 1, 2], 120, 140, Effect::Capacity { permille: 200 });
    let brownout = brownout.scenario(|scenario| scenario.measured_us = 120 * SECOND);
    for (name, scene) in [("brownout", brownout), ("slots saturated", Scene::slots(20, 1_500))] {
        println!("{}", scene.median(None).line(&format!("sluicegate, {name}")));
        for peer in Peer::ALL {
            println!("{}", scene.median(Some(&ClientKind::Peer(peer))).line(&format!("{}, {name}", peer.name())));
        }
    }
}
