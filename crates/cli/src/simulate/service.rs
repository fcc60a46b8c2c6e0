//! The service of a plan, and what it can carry.

use sluicegate_sim::{Fault as Trouble, LaneConfig, Law, Quantiles, ServiceConfig, WHOLE_PERMILLE};

use super::faults::{Faults, MOST_SECONDS};
use super::plan::{Fault, RawLane, RawService, RawTrouble};

/// The model id of a service that names none; calls of a plan all ask for one.
pub(crate) const MODEL: &str = "m";

/// How often a minute another user takes a part at most.
const MOST_TAKES: u32 = 60_000;

/// The service, with the faults of its description.
pub(crate) fn service(raw: &RawService, faults: &mut Faults) -> ServiceConfig {
    let regions = raw.regions.get_ref();
    if regions.is_empty() {
        faults.add(Fault::at(&raw.regions, "a service has at least one Region"));
    }
    let mut lanes: Vec<LaneConfig> = regions.iter().map(|region| lane(region, raw)).collect();
    for name in raw.only.keys().filter(|name| !regions.contains(name.get_ref())) {
        faults.add(Fault::at(name, format!("`{}` is none of the service's regions", name.get_ref())));
    }
    for trouble in &raw.trouble {
        let spans = spans(trouble, faults);
        for name in trouble.regions.iter().flatten().filter(|name| !regions.contains(name.get_ref())) {
            faults.add(Fault::at(name, format!("`{}` is none of the service's regions", name.get_ref())));
        }
        if trouble.regions.as_ref().is_some_and(Vec::is_empty) {
            faults.add(Fault::at(&trouble.from_s, "trouble in no Region: name some, or leave `regions` out for all"));
        }
        let meant = |region: &str| {
            trouble.regions.as_ref().is_none_or(|names| names.iter().any(|name| name.get_ref() == region))
        };
        lanes.iter_mut().filter(|lane| meant(&lane.region)).for_each(|lane| lane.faults.extend(&spans));
    }
    let service = ServiceConfig::new(lanes);
    let mut told: Vec<String> = Vec::new();
    for fault in service.faults() {
        let what = in_words(fault.code)
            .unwrap_or_else(|| format!("the service cannot be built: {}: {}", fault.path, fault.code));
        if !told.contains(&what) {
            told.push(what);
        }
    }
    told.into_iter().for_each(|what| faults.add(Fault::at(&raw.regions, what)));
    for lane in std::iter::once(&raw.each).chain(raw.only.values()) {
        check_lane(lane, raw, faults);
    }
    service
}

/// A fault of the service as somebody who writes a plan would say it.
fn in_words(code: &str) -> Option<String> {
    let what = match code {
        "duplicate_lane" => "a Region is named twice",
        "capacity_without_concurrency" => {
            "the effect `capacity` needs `concurrency`, the slots of which a part remains"
        }
        "share_above_whole" => "a share_permille is above 1000",
        "zero" => "tokens_per_second and takes_per_minute must be above 0",
        _ => return None,
    };
    Some(what.to_owned())
}

/// What could be played and serves nobody.
fn check_lane(lane: &RawLane, raw: &RawService, faults: &mut Faults) {
    let mut zero = |what: &str| faults.add(Fault::at(&raw.regions, format!("{what} must be above 0")));
    let quotas = [
        ("requests_per_minute", lane.requests_per_minute),
        ("tokens_per_minute", lane.tokens_per_minute),
        ("tokens_per_day", lane.tokens_per_day),
        ("concurrency", lane.concurrency.map(u64::from)),
        ("output_multiplier", lane.output_multiplier),
    ];
    quotas.into_iter().filter(|(_, value)| *value == Some(0)).for_each(|(name, _)| zero(name));
    if let Some(Law::Continuous { burst_permille: 0, .. }) = lane.law {
        zero("burst_permille");
    }
    if let Some(user) = lane.other_user.filter(|user| user.takes_per_minute > MOST_TAKES) {
        let takes = user.takes_per_minute;
        faults.add(Fault::at(&raw.regions, format!("takes_per_minute must be from 1 to {MOST_TAKES}, not {takes}")));
    }
}

fn lane(region: &str, raw: &RawService) -> LaneConfig {
    let mut lane = LaneConfig::new(region, raw.model());
    let only = raw.only.iter().filter(|(name, _)| name.get_ref() == region).map(|(_, only)| only);
    std::iter::once(&raw.each).chain(only).for_each(|raw| apply(raw, &mut lane));
    if let Some(user) = &mut lane.other_user {
        // Each Region's other user takes at his own moments.
        user.seed = raw.regions.get_ref().iter().position(|name| name == region).map_or(0, |place| place as u64);
    }
    lane
}

fn apply(raw: &RawLane, lane: &mut LaneConfig) {
    fn set<T: Copy>(value: Option<T>, place: &mut T) {
        if let Some(value) = value {
            *place = value;
        }
    }
    set(raw.requests_per_minute.map(Some), &mut lane.requests_per_minute);
    set(raw.tokens_per_minute.map(Some), &mut lane.tokens_per_minute);
    set(raw.tokens_per_day.map(Some), &mut lane.tokens_per_day);
    set(raw.concurrency.map(Some), &mut lane.concurrency);
    set(raw.law, &mut lane.law);
    set(raw.output_multiplier, &mut lane.output_multiplier);
    set(raw.reserve_cache_reads, &mut lane.reserve_cache_reads);
    set(raw.refusal_cost_permille, &mut lane.refusal_cost_permille);
    set(raw.max_output_tokens, &mut lane.max_output_tokens);
    set(raw.first_token_us, &mut lane.first_token_us);
    set(raw.per_input_token_ns, &mut lane.per_input_token_ns);
    set(raw.tokens_per_second, &mut lane.tokens_per_second);
    set(raw.cache_ttl_us, &mut lane.cache_ttl_us);
    set(raw.cache_min_tokens, &mut lane.cache_min_tokens);
    set(raw.other_user.map(Some), &mut lane.other_user);
}

fn spans(raw: &RawTrouble, faults: &mut Faults) -> Vec<Trouble> {
    let from_us = faults.seconds(&raw.from_s, "from_s");
    let to_us = faults.seconds(&raw.to_s, "to_s");
    if from_us >= to_us {
        faults.add(Fault::at(&raw.to_s, "to_s must be after from_s"));
        return Vec::new();
    }
    match &raw.flapping_s {
        None => vec![Trouble { from_us, to_us, effect: raw.effect }],
        Some(turns) => {
            let place = Some(turns.span().start);
            let [wrong, well] = turns.get_ref().as_slice() else {
                faults.add(Fault::at(turns, "flapping_s is two numbers: so long it is wrong, then so long it is well"));
                return Vec::new();
            };
            let mut us = |turn: f64| faults.scaled(turn, place, "flapping_s", 1e6, (0.001, MOST_SECONDS));
            let (wrong, well) = (us(*wrong), us(*well));
            let flaps = Trouble::flapping(from_us, to_us, wrong, well, raw.effect);
            if flaps.last().is_some_and(|last| last.to_us.saturating_add(well) < to_us) {
                let most = Trouble::MAX_FLAPS;
                faults
                    .add(Fault::at(turns, format!("it would be wrong more than {most} times: make the turns longer")));
            }
            flaps
        }
    }
}

/// What an average call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MeanCall {
    /// Tokens of its prompt.
    pub(crate) input: u64,
    /// Tokens of its answer.
    pub(crate) output: u64,
}

/// What the service carries without trouble, in calls per 1,000 seconds: in each Region the least of what its requests, its
/// tokens as settled, and its slots allow. `None` if some Region has no limit at all.
pub(crate) fn capacity(service: &ServiceConfig, call: MeanCall) -> Option<u64> {
    service.lanes.iter().map(|lane| lane_capacity(lane, call)).sum()
}

fn lane_capacity(lane: &LaneConfig, call: MeanCall) -> Option<u64> {
    let settled = call.input.saturating_add(lane.output_multiplier.saturating_mul(call.output)).max(1);
    let writing = call.output.saturating_mul(1_000_000) / lane.tokens_per_second.max(1);
    let reading = call.input.saturating_mul(lane.per_input_token_ns) / 1_000;
    let lasts = lane.first_token_us.saturating_add(reading).saturating_add(writing).max(1);
    let requests = lane.requests_per_minute.map(|requests| requests.saturating_mul(1_000) / 60);
    let tokens = lane.tokens_per_minute.map(|tokens| tokens.saturating_mul(1_000) / 60 / settled);
    let slots = lane.concurrency.map(|slots| u64::from(slots).saturating_mul(1_000_000_000) / lasts);
    [requests, tokens, slots].into_iter().flatten().min()
}

/// The mean of a distribution.
pub(crate) fn mean(quantiles: &Quantiles) -> u64 {
    // Evenly spaced draws meet every straight piece of the table in proportion.
    const DRAWS: u64 = 10_000;
    let step = u64::MAX / DRAWS;
    let sum: u128 = (0..DRAWS).map(|draw| u128::from(quantiles.value(draw * step + step / 2))).sum();
    u64::try_from(sum / u128::from(DRAWS)).unwrap_or(u64::MAX)
}

/// A law in a few words.
pub(crate) fn law_name(law: Law) -> String {
    match law {
        Law::Sliding => "sliding".to_owned(),
        Law::Fixed { phase_us } => format!("fixed +{} s", phase_us as f64 / 1e6),
        Law::FixedDrawn => "fixed, drawn".to_owned(),
        // A thousandth of a minute's quota is 60 ms of it.
        Law::Continuous { burst_permille, start_permille: WHOLE_PERMILLE } => {
            format!("bucket of {} s", f64::from(burst_permille) * 60.0 / 1e3)
        }
        Law::Continuous { burst_permille, start_permille } => {
            let (size, start) = (f64::from(burst_permille) * 60.0 / 1e3, f64::from(start_permille) / 10.0);
            format!("bucket of {size} s, {start} % full")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluicegate_sim::{azure_conversation_input, azure_conversation_output};

    #[test]
    fn the_least_of_requests_tokens_and_slots_is_what_a_region_carries() {
        let call = MeanCall { input: mean(&azure_conversation_input()), output: mean(&azure_conversation_output()) };
        assert!(call.input.abs_diff(1_155) < 20 && call.output.abs_diff(211) < 5, "{call:?}");
        let mut lane = LaneConfig::new("r", MODEL);
        assert_eq!(capacity(&ServiceConfig::new(vec![lane.clone()]), call), None);
        lane.requests_per_minute = Some(300);
        lane.tokens_per_minute = Some(6_000_000);
        assert_eq!(capacity(&ServiceConfig::new(vec![lane.clone(), lane.clone()]), call), Some(10_000));
        lane.concurrency = Some(3);
        // Three at a time of about 3.2 s each.
        let carried = capacity(&ServiceConfig::new(vec![lane]), call).unwrap();
        assert!((900..960).contains(&carried), "{carried}");
    }
}
