//! Random policies, random lives, and a world that watches every decision. All of it is read from bytes, so that the
//! same lives come from a property test, from a fuzzer and from a kept file.

mod budget;
mod bytes;
mod ledger;
mod op;
mod setup;
mod world;

pub(crate) use bytes::Bytes;
pub(crate) use op::{Life, Op};
pub(crate) use setup::Setup;
pub(crate) use world::{Seen, World};

/// All that there is to know of a life before it is lived.
#[derive(Clone, Debug)]
pub(crate) struct Fate {
    setup: Setup,
    life: Life,
}

impl Fate {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut bytes = Bytes::new(bytes);
        let setup = Setup::read(&mut bytes);
        Self { setup, life: Op::list(&mut bytes) }
    }

    /// Lives it to the end and says what happened.
    pub(crate) fn live(&self) -> Seen {
        let mut world = World::new(&self.setup);
        world.live(&self.life);
        world.rest();
        world.revive();
        world.seen
    }
}
