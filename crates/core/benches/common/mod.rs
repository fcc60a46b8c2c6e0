//! What is measured, shared by the benchmarks: each case is made ready by a function and returns one step of work.
#![allow(dead_code, unreachable_pub, reason = "each benchmark compiles this for itself and uses a part of it")]

pub mod crowd;
pub mod life;
pub mod pieces;

use std::convert::Infallible;

use sluicegate::{AttemptId, Decision, Engine};

/// The generator inside `fastrand`, which is what `backon` draws from, so that the counts compare the curves alone.
pub struct Wyrand(pub u64);

impl rand_core::TryRng for Wyrand {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|draw| (draw >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x2d35_8dcc_aa6c_78a5);
        let product = u128::from(self.0) * u128::from(self.0 ^ 0x8bb8_4b93_962e_acc9);
        Ok((product as u64) ^ (product >> 64) as u64)
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for chunk in target.chunks_mut(8) {
            let bytes = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

/// Takes out all decisions and events; says which attempts go out and returns how many calls ended.
pub fn drain(engine: &mut Engine, mut sent: impl FnMut(AttemptId)) -> u64 {
    let mut ended = 0;
    while let Some(decision) = engine.poll_decision() {
        match decision {
            Decision::Send { attempt, .. } | Decision::Hedge { attempt, .. } => sent(attempt),
            Decision::Abort { .. } => {}
            Decision::End { .. } => ended += 1,
        }
    }
    while let Some(event) = engine.poll_event() {
        std::hint::black_box(event);
    }
    ended
}

/// Ours against theirs, or many waiting against few: the ratio that is promised to stay at or below `most`.
pub struct Promise {
    pub what: &'static str,
    pub ours: &'static str,
    pub theirs: &'static str,
    pub most: f64,
}

const fn promise(what: &'static str, ours: &'static str, theirs: &'static str, most: f64) -> Promise {
    Promise { what, ours, theirs, most }
}

pub const PROMISES: &[Promise] = &[
    promise("Limiter acquire + settle, 1,000 a second / governor check_n", "limiter_often", "governor", 2.0),
    promise("Limiter acquire + settle, 100 a second / governor check_n", "limiter", "governor", 2.0),
    promise("the same at its limits, half of it refusals", "limiter_full", "governor", 2.0),
    promise("the same at 2 requests a minute, mostly refusing", "limiter_scarce", "governor_refuses", 2.0),
    promise("Limiter refusing / governor refusing", "limiter_refuses", "governor_refuses", 2.0),
    promise("Backoff::delay / backon step", "backoff", "backon", 1.0),
    promise("Breaker over attempts / recloser", "breaker_attempts", "recloser", 1.0),
    promise("Breaker over seconds / failsafe success rate", "breaker_seconds", "failsafe_rate", 1.0),
    promise("Breaker over attempts / failsafe consecutive", "breaker_attempts", "failsafe_consecutive", 1.0),
    promise("life of a call, 1,000,000 / 100 waiting", "crowd_1000000_life", "crowd_100_life", 3.0),
    promise("submit that waits, 1,000,000 / 100", "crowd_1000000_submit", "crowd_100_submit", 3.0),
    promise("submit + cancel, 1,000,000 / 100", "crowd_1000000_cancel", "crowd_100_cancel", 3.0),
    promise("wake, per call of ~30, 1,000,000 / 100", "crowd_1000000_wake_30", "crowd_100_wake_30", 3.0),
    promise("wake, per call of ~300, 1,000,000 / 1,000", "crowd_1000000_wake_300", "crowd_1000_wake_300", 3.0),
    promise("next_wakeup, 1,000,000 / 100", "crowd_1000000_next", "crowd_100_next", 1.5),
];

/// Prints what was measured, the ratios as far as both sides of one were, and what is promised as such.
pub fn print(unit: &str, measured: &[(String, f64)], limits: &[(&str, f64)]) {
    println!("\n| case | {unit} |\n|---|---:|");
    for (name, value) in measured {
        println!("| {name} | {value:.1} |");
    }
    println!("\n| promise | found | at most | |\n|---|---:|---:|---|");
    let verdict = |found: f64, most: f64| if found <= most { "met" } else { "MISSED" };
    let value = |name: &str| measured.iter().find(|(found, _)| found == name).map(|(_, value)| *value);
    for Promise { what, ours, theirs, most } in PROMISES {
        if let (Some(ours), Some(theirs)) = (value(ours), value(theirs)) {
            let ratio = ours / theirs;
            println!("| {what} | {ratio:.2} | {most} | {} |", verdict(ratio, *most));
        }
    }
    for (name, most) in limits {
        if let Some(found) = value(name) {
            println!("| {name}, {unit} | {found:.0} | {most} | {} |", verdict(found, *most));
        }
    }
}
