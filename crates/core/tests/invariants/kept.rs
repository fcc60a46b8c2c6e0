//! Lives that the fuzzer found worth keeping, and a number of new ones that is the same on every run.

use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::watch::{Bytes, Fate, Life, Op, Seen, Setup, World};

/// One file is one life.
const SEEDS: &str = "fuzz/seeds/lives";
const NEW: u64 = 1_500;

#[test]
fn every_kept_life_keeps_the_rules() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(SEEDS);
    let mut files: Vec<_> = folder.read_dir().expect("it is kept").map(|file| file.expect("readable").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.display());
        Fate::read(&std::fs::read(&file).expect("readable")).live();
    }
}

#[test]
fn new_lives_keep_the_rules() {
    let mut all = Seen::default();
    for seed in 0..NEW {
        println!("life {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bytes = vec![0; rng.random_range(300..1_500)];
        rng.fill(&mut bytes[..]);
        all += Fate::read(&bytes).live();
    }
    println!("{all:?}");
    let Seen { operations, attempts, retries, bounded, hedges, lowered_caps, queue_full, policies, restarts } = all;
    let rare = [retries, bounded, hedges, lowered_caps, queue_full, policies, restarts];
    assert!(operations > 100 * NEW && attempts > 10 * NEW && rare.iter().all(|count| *count > 20), "{all:?}");
}

/// Whatever is kept of what is over has a bound, and an engine that does the same again and again soon reaches it.
#[test]
fn a_long_life_fills_no_more_memory_than_a_shorter_one() {
    for seed in 0..4 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bytes = vec![0; 1_200];
        rng.fill(&mut bytes[..]);
        let mut bytes = Bytes::new(&bytes);
        let setup = Setup::read(&mut bytes);
        let life: Life = Op::list(&mut bytes).into_iter().filter(Op::is_sober).collect();
        let mut world = World::new(&setup);
        let mut sizes = Vec::new();
        for _ in 0..2 {
            let mut most = 0;
            for _ in 0..150 {
                world.live(&life);
                world.rest();
                most = most.max(world.size());
            }
            sizes.push(most);
        }
        assert!(sizes[1] <= sizes[0] + sizes[0] / 5, "life {seed}: {sizes:?}");
    }
}
