//! What holds whatever happens, tried on random lives of the engine and random uses of its pieces.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests may end the test")]

mod fair;
mod kept;
mod limiter;
mod pieces;
mod watch;

use proptest::collection::vec;
use proptest::prelude::*;

use watch::{Bytes, Life, Op, Setup, World};

fn setup() -> impl Strategy<Value = Setup> {
    vec(any::<u8>(), 300).prop_map(|bytes| Setup::read(&mut Bytes::new(&bytes)))
}

fn life(longest: usize) -> impl Strategy<Value = Life> {
    vec(any::<[u8; 24]>().prop_map(|bytes| Op::read(&mut Bytes::new(&bytes))), 1..longest)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    /// The world checks after every input: calls end once, nothing is sent for a call that has ended, no quota, no
    /// concurrency and no residency is broken, the retry budget is kept, and each wake-up leads to a later one.
    #[test]
    fn no_life_breaks_a_rule_and_every_life_comes_to_rest(setup in setup(), life in life(120)) {
        let mut world = World::new(&setup);
        world.live(&life);
        world.rest();
        world.revive();
    }

    #[test]
    fn the_same_life_leads_to_the_same_decisions(setup in setup(), life in life(60)) {
        prop_assert_eq!(trace(&setup, &life), trace(&setup, &life));
    }

    /// The world checks that nothing is decided at a spurious wake-up and that the next one stays, or comes sooner by a
    /// slot at most. But for three things. Limits that refusals have lowered come back with time, so that a call which is
    /// looked at again may go out before the time it was promised. The queue of one model may take what the head of
    /// another's was promised, and that head learns of it when it is looked at again. And how far a clock goes back depends
    /// on what the engine saw of it.
    #[test]
    fn spurious_wake_ups_change_no_decision(setup in setup(), life in life(60)) {
        let life: Life = life.into_iter().filter(|op| !op.throttles() && !op.goes_back()).collect();
        let setup = setup.one_model();
        let mut world = World::new(&setup);
        world.spurious = 3;
        world.trace = Some(Vec::new());
        world.live(&life);
        world.rest();
    }
}

fn trace(setup: &Setup, life: &Life) -> Option<Vec<String>> {
    let mut world = World::new(setup);
    world.trace = Some(Vec::new());
    world.live(life);
    world.rest();
    world.trace
}
