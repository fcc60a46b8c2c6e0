//! What waiting and living cost in memory: bytes for each waiting call, allocations for each life of a call.
//!
//! `cargo bench -p sluicegate --bench memory`
#![expect(clippy::expect_used, reason = "a benchmark may end when its set-up is wrong")]

mod common;

use std::alloc::System;

use common::crowd::Crowd;
use common::life::Life;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MOST_BYTES: f64 = 300.0;
const LIVES: usize = 10_000;

fn main() {
    println!("| bytes for each waiting call | found | at most | |\n|---|---:|---:|---|");
    for deadlines in [false, true] {
        for waiting in [100, 10_000, 1_000_000] {
            let mut crowd = Crowd::new(deadlines);
            let region = Region::new(ALLOCATOR);
            crowd.fill(waiting);
            let change = region.change();
            let bytes = (change.bytes_allocated as f64 - change.bytes_deallocated as f64) / waiting as f64;
            let with = if deadlines { "with a deadline" } else { "without a deadline" };
            println!("| {waiting} waiting, {with} | {bytes:.1} | {MOST_BYTES} | {} |", verdict(bytes <= MOST_BYTES));
        }
    }
    println!("\n| allocations for each life of a call | found | at most | |\n|---|---:|---:|---|");
    for out in [0, 100] {
        let mut life = Life::new(out);
        let region = Region::new(ALLOCATOR);
        for _ in 0..LIVES {
            life.step();
        }
        let change = region.change();
        row(&format!("3 endpoints, {out} others out"), &change, LIVES as f64);
    }
    for waiting in [100, 100_000] {
        let mut crowd = Crowd::busy(waiting);
        let region = Region::new(ALLOCATOR);
        let mut ended = 0;
        while ended < LIVES as u64 {
            ended += crowd.live();
        }
        let change = region.change();
        row(&format!("30 endpoints, {waiting} waiting"), &change, ended as f64);
    }
}

fn row(what: &str, change: &stats_alloc::Stats, lives: f64) {
    let count = (change.allocations + change.reallocations) as f64 / lives;
    println!("| {what} | {count:.4} | 0 | {} |", verdict(count == 0.0));
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
