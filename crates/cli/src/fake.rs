//! The embedded fake Bedrock, set up to hold what a policy declares.

use sluicegate::{Endpoint, LimiterConfig, Policy};
use sluicegate_bedrock::Catalogue;
use sluicegate_fake_bedrock::{Fake, Options};
use sluicegate_sim::{LaneConfig, ServiceConfig};

use crate::exit::{Code, Failure};

/// Starts a fake.
pub(crate) async fn start(config: ServiceConfig, options: Options) -> Result<Fake, Failure> {
    Fake::start(config, options).await.map_err(|error| {
        let port = options.port.map_or_else(String::new, |port| format!(" on port {port}"));
        Failure::new(Code::Unexpected, format!("the fake Bedrock does not start{port}: {error}"))
            .remedy("pick another --port, or none for a free one")
    })
}

/// A service with a lane for each Region and target of the policy, holding the tightest of the quotas declared for it.
/// What the policy leaves to be learned is unlimited here.
pub(crate) fn service(policy: &Policy, catalogue: &Catalogue) -> ServiceConfig {
    let mut lanes: Vec<LaneConfig> = Vec::new();
    for endpoint in policy.endpoints() {
        let known = |lane: &LaneConfig| lane.region == endpoint.region && lane.model == endpoint.target;
        if !lanes.iter().any(known) {
            lanes.push(lane(policy, catalogue, endpoint));
        }
    }
    ServiceConfig::new(lanes)
}

fn lane(policy: &Policy, catalogue: &Catalogue, endpoint: &Endpoint) -> LaneConfig {
    let model = catalogue.model(&endpoint.target);
    let limits =
        || endpoint.pools.iter().filter_map(|pool| policy.pools().get(usize::from(pool.0))).map(|pool| pool.limits);
    let least = |limit: fn(LimiterConfig) -> Option<u64>| limits().filter_map(limit).min();
    let mut lane = LaneConfig::new(&endpoint.region, &endpoint.target);
    lane.requests_per_minute = least(|limits| limits.requests_per_minute);
    lane.tokens_per_minute = least(|limits| limits.tokens_per_minute);
    lane.tokens_per_day = least(|limits| limits.tokens_per_day);
    lane.concurrency = least(|limits| limits.concurrency).map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
    lane.output_multiplier = catalogue.burndown(&model).rate;
    lane.max_output_tokens = catalogue.max_output(&model).tokens;
    lane
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_file;

    #[test]
    fn lanes_hold_the_declared_quotas_and_the_models_rates() {
        let loaded = policy_file::load(None).unwrap();
        let service = service(&loaded.policy, &loaded.catalogue);
        assert_eq!(service.faults(), []);
        let lane = service.lanes.iter().find(|lane| lane.region == "us-west-2").unwrap();
        assert_eq!((lane.requests_per_minute, lane.tokens_per_minute), (Some(220), Some(220_000)));
        assert_eq!((lane.output_multiplier, lane.max_output_tokens), (5, 64_000));
    }

    #[test]
    fn endpoints_of_one_region_and_target_share_a_lane() {
        let text = "pools: {a: {requests_per_minute: 9}, b: {requests_per_minute: 5}}
endpoints:
  one: {model: m, region: r, pools: [a, b]}
  two: {model: n, target: m, region: r, pools: [a]}
";
        let loaded = policy_file::parse(text, "p").unwrap();
        let service = service(&loaded.policy, &loaded.catalogue);
        assert_eq!(service.lanes.len(), 1);
        assert_eq!(service.lanes[0].requests_per_minute, Some(5));
    }
}
