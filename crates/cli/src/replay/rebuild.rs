//! From a log to calls that can be played, and a service to play them against.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sluicegate::Timestamp;
use sluicegate_sim::log::{Log, Logged, Size, sizes};
use sluicegate_sim::{Arrival, MaxTokens, Pattern, Scenario, TenantShare, Workload};

use super::args::ReplayArgs;
use crate::exit::{Code, Failure};
use crate::fake;
use crate::policy_check::grouped;
use crate::policy_file::{self, Loaded};

/// Answers whose time is known, at least, for the simulated service to be as fast as they were.
const ENOUGH_ANSWERS: usize = 10;
/// The longest log: a month, in microseconds.
const MOST_US: u64 = 31 * 86_400 * 1_000_000;
/// One second in microseconds.
const SECOND_US: u64 = 1_000_000;

/// What is played.
#[derive(Debug)]
pub(crate) struct Rebuilt {
    /// The policy, with the quotas asked for.
    pub(crate) loaded: Loaded,
    /// The scenario.
    pub(crate) scenario: Scenario,
    /// The calls.
    pub(crate) arrivals: Vec<Arrival>,
    /// The same calls as they were.
    pub(crate) logged: Vec<Logged>,
    /// The origin of the arrivals in the log's time.
    pub(crate) origin_us: u64,
    /// The tenants by name.
    pub(crate) tenants: Vec<String>,
    /// What was assumed, in words.
    pub(crate) notes: Vec<String>,
    /// Answers that the smaller cap cuts.
    pub(crate) cut: u64,
}

/// Rebuilds it.
pub(crate) fn rebuild(args: &ReplayArgs, log: Log) -> Result<Rebuilt, Failure> {
    let loaded = policy(args)?;
    let mut notes: Vec<String> =
        log.left_out.iter().map(|(what, count)| format!("left out: {} {what}", grouped(*count))).collect();
    let logged = served(&loaded, log.calls, &mut notes)?;
    let mut service = fake::service(&loaded.policy, &loaded.catalogue);
    service.lanes.iter_mut().for_each(|lane| lane.law = args.law.law());
    for lane in service.lanes.iter().filter(|lane| lane.requests_per_minute.or(lane.tokens_per_minute).is_none()) {
        notes.push(format!("{} in {} has no declared quota, so the simulated one has none", lane.model, lane.region));
    }
    let multiplier = service.lanes.first().map_or(1, |lane| lane.output_multiplier.max(1));
    let (sizes, guessed) = sizes(&logged, multiplier);
    if guessed > 0 {
        let calls = grouped(guessed);
        notes.push(format!("{calls} calls never went out, so their size is unknown; that of a middling call is taken"));
    }
    let mut cut = 0;
    let first = logged.first().map_or(0, |call| call.at_us);
    let origin_us = first - first % SECOND_US;
    let span = logged.last().map_or(0, |call| call.at_us.saturating_sub(origin_us));
    if span > MOST_US {
        let what = format!("{}: it spans {} days; a month is the most", args.log.display(), span / SECOND_US / 86_400);
        return Err(Failure::new(Code::Plan, what).remedy("cut the log by time"));
    }
    let mut tenants: Vec<String> = logged.iter().map(|call| call.tenant.clone()).collect();
    tenants.sort();
    tenants.dedup();
    let numbers: BTreeMap<&str, u32> = tenants.iter().map(String::as_str).zip(0..).collect();
    let mut arrivals = Vec::with_capacity(logged.len());
    for (call, size) in logged.iter().zip(sizes) {
        let max_tokens = match (args.max_tokens, size.max_tokens) {
            (Some(most), Some(own)) => Some(own.min(most)),
            (most, own) => most.or(own),
        };
        cut += u64::from(max_tokens.is_some_and(|most| size.output_tokens > most));
        arrivals.push(Arrival {
            at: Timestamp::from_micros(call.at_us.saturating_sub(origin_us)),
            max_tokens,
            tenant: numbers.get(call.tenant.as_str()).copied().unwrap_or(0),
            deadline_us: call.deadline_us,
            ..size
        });
    }
    if args.max_tokens.is_some()
        && logged.iter().any(|call| matches!(call.size, Some(Size::Charged { max_tokens: None, .. })))
    {
        let what =
            format!("{}: does not say what each call asked for, so --max-tokens cannot be applied", args.log.display());
        return Err(Failure::new(Code::Usage, what).remedy("use a log with inputs, or Bedrock's invocation log"));
    }
    speed(&mut service, &logged, &arrivals, &mut notes);
    let mut workload = Workload::new(Pattern::Poisson { per_1000_s: 0 }, MaxTokens::Omitted);
    let share = |name: &String| TenantShare { name: name.clone(), calls: 1, weight: 1 };
    workload.tenants = tenants.iter().map(share).collect();
    let mut scenario = Scenario::new(service, workload).seeded(args.seed);
    scenario.warm_up_us = 0;
    scenario.measured_us = span.saturating_add(SECOND_US);
    scenario.deadline_us = args.deadline.saturating_mul(SECOND_US);
    Ok(Rebuilt { loaded, scenario, arrivals, logged, origin_us, tenants, notes, cut })
}

/// The policy with the quotas asked for.
fn policy(args: &ReplayArgs) -> Result<Loaded, Failure> {
    let name = args.policy.display().to_string();
    let mut document = policy_file::document(&policy_file::read(&args.policy)?, &name)?;
    for quota in &args.quota {
        let pools = document.pointer_mut("/pools").and_then(Value::as_object_mut);
        let mut changed = false;
        for (pool, limits) in pools.into_iter().flatten() {
            if quota.pool.as_ref().is_none_or(|only| only == pool)
                && let Some(limits) = limits.as_object_mut()
            {
                limits.insert(quota.name.clone(), quota.value.into());
                changed = true;
            }
        }
        if !changed {
            let pool = quota.pool.as_deref().unwrap_or("any");
            return Err(Failure::new(Code::Usage, format!("--quota {pool}.{}: {name} has no such pool", quota.name)));
        }
    }
    policy_file::parse(&document.to_string(), &name)
}

/// The calls that the policy has an endpoint for.
fn served(loaded: &Loaded, calls: Vec<Logged>, notes: &mut Vec<String>) -> Result<Vec<Logged>, Failure> {
    let policy = &loaded.policy;
    if let [_, second, ..] = policy.models() {
        let what = format!("{}: has several models ({second} is one), and one is played at a time", loaded.name);
        return Err(Failure::new(Code::Usage, what).remedy("take the other models' endpoints out"));
    }
    let known = |model: &str| {
        // A profile's id is the model's behind a geography.
        let base = model.split_once('.').map_or(model, |(_, base)| base);
        policy.models().iter().any(|own| own == model || own == base)
            || policy.endpoints().iter().any(|endpoint| endpoint.target == model || endpoint.target == base)
    };
    let mut left_out: BTreeMap<String, u64> = BTreeMap::new();
    let mut kept = Vec::with_capacity(calls.len());
    for call in calls {
        match call.model.as_deref() {
            Some(model) if !known(model) => *left_out.entry(model.to_owned()).or_default() += 1,
            _ => kept.push(call),
        }
    }
    notes.extend(left_out.iter().map(|(model, count)| format!("left out: {} calls of {model}", grouped(*count))));
    match kept.is_empty() {
        false => Ok(kept),
        true => {
            let models: Vec<&str> = left_out.keys().map(String::as_str).collect();
            let what = format!("{}: has no endpoint for the models of the log: {}", loaded.name, models.join(", "));
            Err(Failure::new(Code::Usage, what).remedy("name the model, or an endpoint's target, as the log does"))
        }
    }
}

/// Makes the service as fast as the log shows it.
fn speed(
    service: &mut sluicegate_sim::ServiceConfig,
    logged: &[Logged],
    arrivals: &[Arrival],
    notes: &mut Vec<String>,
) {
    let times = logged.iter().zip(arrivals).filter_map(|(call, arrival)| Some((call.took_us?, arrival.output_tokens)));
    let mut times: Vec<(u64, u64)> = times.filter(|(took, output)| *took > 0 && *output > 0).collect();
    if times.len() < ENOUGH_ANSWERS {
        notes.push("the log does not say how long answers take; the simulator's own speed is taken".to_owned());
        return;
    }
    times.sort_unstable();
    let fast = times.get(times.len() / 10).map_or(0, |(took, _)| *took);
    let first_token_us = (fast / 2).min(500_000);
    let writing: u128 = times.iter().map(|(took, _)| u128::from(took.saturating_sub(first_token_us))).sum();
    let written: u128 = times.iter().map(|(_, output)| u128::from(*output)).sum();
    let speed = u64::try_from(written * 1_000_000 / writing.max(1)).unwrap_or(u64::MAX).max(1);
    for lane in &mut service.lanes {
        (lane.first_token_us, lane.per_input_token_ns, lane.tokens_per_second) = (first_token_us, 0, speed);
    }
    let first = Duration::from_micros(first_token_us).as_secs_f64();
    notes.push(format!("answers take {first:.2} s and then {speed} tokens a second, by the log"));
}
