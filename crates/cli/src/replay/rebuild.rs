//! From a log to calls that can be played, and a service to play them against.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sluicegate::Timestamp;
use sluicegate_bedrock::Catalogue;
use sluicegate_sim::log::{Log, Logged, Size, sizes};
use sluicegate_sim::{
    Arrival, LaneConfig, Law, MaxTokens, Pattern, Scenario, ServiceConfig, TenantShare, WHOLE_PERMILLE, Workload,
};

use super::args::ReplayArgs;
use crate::compare::LawName;
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
    let left_out = log.left_out.iter().map(|(what, count)| format!("left out: {what} ({})", grouped(*count)));
    let mut notes: Vec<String> = left_out.chain(log.notes).collect();
    let logged = served(&loaded, log.calls, &mut notes)?;
    let mut service = fake::service(&loaded.policy, &loaded.catalogue);
    for lane in service.lanes.iter().filter(|lane| lane.requests_per_minute.or(lane.tokens_per_minute).is_none()) {
        notes.push(format!("{} in {} has no declared quota, so the simulated one has none", lane.model, lane.region));
    }
    let multiplier = service.lanes.first().map_or(1, |lane| lane.output_multiplier.max(1));
    let (sizes, guessed) = sizes(&logged, multiplier);
    unknown(&logged, guessed, &mut notes);
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
    // Of these the log says only what they reserved, which is not to be lowered.
    let fixed = |call: &Logged| matches!(call.size, Some(Size::Charged { max_tokens: None, .. }));
    if args.max_tokens.is_some() {
        let count = logged.iter().filter(|call| fixed(call)).count();
        if count == logged.len() {
            let what = format!(
                "{}: does not say what each call asked for, so --max-tokens cannot be applied",
                args.log.display()
            );
            return Err(Failure::new(Code::Usage, what)
                .remedy("record a log with this version's `run --events`, or use Bedrock's invocation log"));
        }
        if count > 0 {
            let calls = grouped(count as u64);
            notes.push(format!("{calls} calls name no cap that could be lowered, so --max-tokens leaves them alone"));
        }
    }
    let mut arrivals = Vec::with_capacity(logged.len());
    for (call, size) in logged.iter().zip(sizes) {
        let max_tokens = match (args.max_tokens.filter(|_| !fixed(call)), size.max_tokens) {
            (Some(most), Some(own)) => Some(own.min(most)),
            (most, own) => most.or(own),
        };
        // Only what was really written can be cut, not a guess.
        cut += u64::from(call.answered && max_tokens.is_some_and(|most| size.output_tokens > most));
        arrivals.push(Arrival {
            at: Timestamp::from_micros(call.at_us.saturating_sub(origin_us)),
            max_tokens,
            tenant: numbers.get(call.tenant.as_str()).copied().unwrap_or(0),
            deadline_us: call.deadline_us,
            ..size
        });
    }
    refill(&mut service, args.law, &arrivals, &mut notes);
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
    let text = policy_file::read(&args.policy)?;
    // Its own faults first, so that the flags are not blamed for them, nor it for theirs.
    let own = policy_file::parse(&text, &name)?;
    if args.quota.is_empty() {
        return Ok(own);
    }
    let mut document = policy_file::document(&text, &name)?;
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
    let changed = policy_file::parse(&document.to_string(), &format!("{name} with --quota"))
        .map_err(|failure| Failure { code: Code::Usage, ..failure })?;
    Ok(Loaded { name, ..changed })
}

/// The calls that the policy has an endpoint for.
fn served(loaded: &Loaded, calls: Vec<Logged>, notes: &mut Vec<String>) -> Result<Vec<Logged>, Failure> {
    let policy = &loaded.policy;
    if let [_, second, ..] = policy.models() {
        let what = format!("{}: has several models ({second} is one), and one is played at a time", loaded.name);
        return Err(Failure::new(Code::Usage, what).remedy("take the other models' endpoints out"));
    }
    let targets = policy.endpoints().iter().map(|endpoint| endpoint.target.as_str());
    let own: Vec<&str> = policy.models().iter().map(String::as_str).chain(targets).collect();
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    let mut left_out: BTreeMap<String, u64> = BTreeMap::new();
    let mut kept = Vec::with_capacity(calls.len());
    for call in calls {
        let serves = call.model.as_deref().is_none_or(|model| match known.get(model) {
            Some(known) => *known,
            None => {
                let same = own.iter().any(|own| same_model(&loaded.catalogue, own, model));
                known.insert(model.to_owned(), same);
                same
            }
        });
        match call.model.clone().filter(|_| !serves) {
            Some(model) => *left_out.entry(model).or_default() += 1,
            None => kept.push(call),
        }
    }
    notes.extend(left_out.iter().map(|(model, count)| format!("left out: calls of {model} ({})", grouped(*count))));
    match kept.is_empty() {
        false => Ok(kept),
        true => {
            let models: Vec<&str> = left_out.keys().map(String::as_str).collect();
            let what = format!("{}: has no endpoint for the models of the log: {}", loaded.name, models.join(", "));
            Err(Failure::new(Code::Usage, what).remedy("name the model, or an endpoint's target, as the log does"))
        }
    }
}

/// Whether two ids name one model: a log and a policy may each name it with or without a geography, and as an ARN.
fn same_model(catalogue: &Catalogue, one: &str, other: &str) -> bool {
    let last = |id: &str| id.rsplit('/').next().unwrap_or(id).to_owned();
    if last(one) == last(other) {
        return true;
    }
    // Of an id that the catalogue cannot take apart, all but what stands before the first dot.
    let base = |id: &str| catalogue.model(id).base().map_or_else(|| last(id), str::to_owned);
    let (one, other) = (base(one), base(other));
    let behind = |id: &str| id.split_once('.').map(|(_, base)| base.to_owned());
    one == other || behind(&one).is_some_and(|base| base == other) || behind(&other).is_some_and(|base| base == one)
}

/// Says what the sizes are made of, where the log does not tell.
fn unknown(logged: &[Logged], guessed: u64, notes: &mut Vec<String>) {
    if guessed > 0 {
        let calls = grouped(guessed);
        notes.push(format!("the log does not tell the prompts of {calls} calls; that of a middling call is taken"));
    }
    let unanswered = logged.iter().filter(|call| !call.answered).count();
    if unanswered == logged.len() {
        notes.push("no call was answered, so how long answers are is not known; none is taken to have any".to_owned());
    } else if unanswered > 0 {
        let calls = grouped(unanswered as u64);
        notes.push(format!("{calls} calls were not answered; an answer to them is taken to be of middling length"));
    }
}

/// Lets the quotas refill by this law. A bucket holds the largest call that a minute holds: AWS names no size, and with a
/// smaller one that call could never start.
fn refill(service: &mut ServiceConfig, law: LawName, arrivals: &[Arrival], notes: &mut Vec<String>) {
    let reserved = |lane: &LaneConfig, call: &Arrival| {
        call.input_tokens
            .saturating_add(call.max_tokens.map_or(lane.max_output_tokens, |cap| cap.min(lane.max_output_tokens)))
    };
    let fits =
        |lane: &LaneConfig, call: &Arrival| lane.tokens_per_minute.is_none_or(|most| reserved(lane, call) <= most);
    let never = arrivals.iter().filter(|call| !service.lanes.iter().any(|lane| fits(lane, call))).count();
    if never > 0 {
        let calls = grouped(never as u64);
        notes.push(format!(
            "{calls} calls reserve more tokens than any endpoint has in a minute, so they can never start; try \
             --max-tokens or --quota tokens_per_minute"
        ));
    }
    let mut seconds = 0;
    for lane in &mut service.lanes {
        let largest = arrivals.iter().filter(|call| fits(lane, call)).map(|call| reserved(lane, call)).max();
        let share = |amount: u64, most: Option<u64>| {
            let share =
                most.and_then(|most| amount.saturating_mul(1_000).checked_div(most)).map_or(0, |share| share + 1);
            u32::try_from(share).unwrap_or(WHOLE_PERMILLE).min(WHOLE_PERMILLE)
        };
        let needed = share(1, lane.requests_per_minute).max(share(largest.unwrap_or(0), lane.tokens_per_minute));
        lane.law = law.law();
        if let Law::Continuous { burst_permille, .. } = &mut lane.law {
            *burst_permille = needed.max(*burst_permille);
            seconds = seconds.max((u64::from(*burst_permille) * 60).div_ceil(1_000));
        }
    }
    if law == LawName::Continuous {
        notes.push(format!("each quota refills into a bucket of {seconds} s, which the largest call needs"));
    }
}

/// Makes the service as fast as the log shows it.
fn speed(service: &mut ServiceConfig, logged: &[Logged], arrivals: &[Arrival], notes: &mut Vec<String>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_with_and_without_geography_and_as_an_arn() {
        let catalogue = Catalogue::builtin();
        let base = "anthropic.claude-sonnet-4-5-20250929-v1:0";
        let (us, global) = (format!("us.{base}"), format!("global.{base}"));
        let arn = format!("arn:aws:bedrock:us-east-1:1:inference-profile/{us}");
        let own = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc";
        for (one, other) in
            [(base, us.as_str()), (&us, &arn), (base, &arn), (&global, &us), ("m", "us.m"), (own, "abc")]
        {
            assert!(same_model(&catalogue, one, other) && same_model(&catalogue, other, one), "{one} {other}");
        }
        for (one, other) in [(base, "anthropic.claude-sonnet-4-6"), ("amazon.x", "meta.x"), ("m", "n"), (own, "abd")] {
            assert!(!same_model(&catalogue, one, other), "{one} {other}");
        }
    }
}
