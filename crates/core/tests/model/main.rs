//! Every order of events, up to a bound, instead of some at random.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests may end the test")]

mod breaker;
mod permits;

use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker as _, Model};

/// Explores the model up to so many steps and prints how much that was.
fn explore<M>(name: &str, model: M, depth: usize)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let checker = model.checker().threads(2).target_max_depth(depth).spawn_bfs().join();
    println!("{name}: {} states, {} of them different", checker.state_count(), checker.unique_state_count());
    checker.assert_properties();
}
