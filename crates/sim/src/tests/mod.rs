//! The service's promises, one file per subject.

mod oracle;
mod quotas;
mod service;

use rand::{SeedableRng, rngs::StdRng};
use sluicegate::Timestamp;

use crate::{Accepted, LaneConfig, LaneId, Load, Reply, Service, ServiceConfig};

pub(crate) const LANE: LaneId = LaneId(0);

pub(crate) fn rng() -> StdRng {
    StdRng::seed_from_u64(7)
}

pub(crate) fn at_s(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

pub(crate) fn service(change: impl FnOnce(&mut LaneConfig)) -> Service {
    let mut lane = LaneConfig::new("us-east-1", "m");
    change(&mut lane);
    Service::new(&ServiceConfig::new(vec![lane])).unwrap()
}

pub(crate) fn small() -> Load {
    Load { input_tokens: 100, max_tokens: Some(100), output_tokens: Some(50), ..Load::default() }
}

pub(crate) fn accepted(reply: Reply) -> Accepted {
    match reply {
        Reply::Accepted(accepted) => accepted,
        other => panic!("not accepted: {other:?}"),
    }
}
