//! The calls of a plan.

use std::path::{Path, PathBuf};

use sluicegate_sim::{
    Conversations, MAX_ARRIVALS, MaxTokens, Pattern, Quantiles, ServiceConfig, TenantShare, Trace, Workload,
    azure_conversation_input, azure_conversation_output,
};

use super::faults::{Faults, MOST_SECONDS, MOST_TIMES};
use super::plan::{Fault, RawCalls, RawTrace};
use super::service::{MeanCall, capacity, mean};

/// A recorded trace at most, in bytes: more than ten million rows do not fit.
const MOST_TRACE_BYTES: u64 = 512 << 20;
/// Calls a minute at most: what a day of them takes fits no memory anyway.
const MOST_PER_MINUTE: f64 = 10_000_000.0;
/// Users of a closed loop at most.
const MOST_USERS: u32 = 100_000;

/// Where a trace may lie besides its plan's folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    pub(crate) plan: &'a Path,
    pub(crate) traces: Option<&'a Path>,
}

/// A trace that is not there.
#[derive(Clone, Debug)]
pub(crate) struct Absent;

/// What does not change from point to point.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    workload: Workload,
    /// What an average call takes.
    pub(crate) mean: MeanCall,
}

/// Reads all but the rate.
pub(crate) fn read(raw: &RawCalls, places: Places<'_>, faults: &mut Faults) -> Result<Calls, Absent> {
    let mut shapes = Vec::new();
    if let Some(shape) = &raw.spike {
        shapes.push(("spike", shape.span().start));
    }
    if let Some(shape) = &raw.on_off {
        shapes.push(("on_off", shape.span().start));
    }
    if let Some(shape) = &raw.diurnal {
        shapes.push(("diurnal", shape.span().start));
    }
    if let Some(shape) = &raw.closed_loop {
        shapes.push(("closed_loop", shape.span().start));
    }
    if let Some(shape) = &raw.trace {
        shapes.push(("trace", shape.span().start));
    }
    if let [(first, _), (second, at), ..] = shapes.as_slice() {
        let what = format!("calls have one shape: keep {first} or {second}");
        faults.add(Fault { at: Some(*at), what });
    }
    for lengths in [&raw.input_tokens, &raw.output_tokens].into_iter().flatten() {
        if !lengths.get_ref().is_in_order() {
            let what = "pairs of [permille, tokens] from 0 to 1000, permilles rising and tokens never falling";
            faults.add(Fault::at(lengths, what));
        }
    }
    check_shapes(raw, faults);
    let lengths = |given: &Option<toml::Spanned<Quantiles>>| given.as_ref().map(|lengths| lengths.get_ref().clone());
    let input_tokens = lengths(&raw.input_tokens).unwrap_or_else(azure_conversation_input);
    let output_tokens = lengths(&raw.output_tokens).unwrap_or_else(azure_conversation_output);
    let mut call = MeanCall { input: mean(&input_tokens), output: mean(&output_tokens) };
    let mut arrivals = Pattern::Poisson { per_1000_s: 0 };
    if let Some(raw) = &raw.trace {
        let trace = trace(raw.get_ref(), places, faults)?;
        call = mean_row(&trace);
        let spread = faults.scaled(raw.get_ref().spread_s, Some(raw.span().start), "spread_s", 1e6, (0.0, 3_600.0));
        arrivals = Pattern::Recorded { trace, rate_permille: 1_000, spread_us: spread };
    }
    let tenant = |tenant: &super::plan::RawTenant| TenantShare {
        name: tenant.name.get_ref().clone(),
        calls: tenant.calls,
        weight: tenant.weight.unwrap_or(1),
    };
    let workload = Workload {
        arrivals,
        input_tokens,
        output_tokens,
        max_tokens: raw.max_tokens.as_ref().map_or(MaxTokens::Omitted, |cap| *cap.get_ref()),
        tenants: raw.tenants.iter().map(tenant).collect(),
        conversations: raw.conversations.as_ref().map(|turns| turns.get_ref().clone()),
        deadline_ms: lengths(&raw.deadline_ms),
    };
    Ok(Calls { workload, mean: call })
}

/// What could be played and would be something else than the plan says.
fn check_shapes(raw: &RawCalls, faults: &mut Faults) {
    let in_order = |quantiles: &toml::Spanned<Quantiles>, what: &str, faults: &mut Faults| {
        if !quantiles.get_ref().is_in_order() {
            let what =
                format!("{what}: pairs of [permille, value] from 0 to 1000, permilles rising and values never falling");
            faults.add(Fault::at(quantiles, what));
        }
    };
    if let Some(users) = raw.closed_loop.as_ref().map(toml::Spanned::get_ref) {
        let number = *users.users.get_ref();
        if number == 0 || number > MOST_USERS {
            faults.add(Fault::at(&users.users, format!("users must be from 1 to {MOST_USERS}, not {number}")));
        }
        in_order(&users.think_ms, "think_ms", faults);
        let given = [("load", raw.load.as_ref()), ("per_minute", raw.per_minute.as_ref())];
        for (name, rate) in given.into_iter().filter_map(|(name, rate)| Some((name, rate?))) {
            faults.add(Fault::at(rate, format!("users of a closed loop set the rate themselves: leave {name} out")));
        }
        if let Some(turns) = &raw.conversations {
            faults.add(Fault::at(turns, "users of a closed loop hold no conversations: leave one of the two out"));
        }
    }
    if let Some(deadlines) = &raw.deadline_ms {
        in_order(deadlines, "deadline_ms", faults);
        if raw.deadline_s.is_some() {
            faults.add(Fault::at(deadlines, "deadlines are given twice: keep deadline_s or deadline_ms"));
        }
    }
    if let Some(turns) = &raw.conversations {
        let Conversations { turns: number, pause_ms, .. } = turns.get_ref();
        for (quantiles, what) in [(number, "turns"), (pause_ms, "pause_ms")] {
            in_order(&toml::Spanned::new(turns.span(), quantiles.clone()), what, faults);
        }
        if raw.trace.is_some() {
            faults.add(Fault::at(turns, "a recorded trace holds no conversations: leave one of the two out"));
        }
    }
    if let (Some(_), Some(sizes)) = (&raw.trace, raw.input_tokens.as_ref().or(raw.output_tokens.as_ref())) {
        faults.add(Fault::at(sizes, "a recorded trace brings its own sizes: leave these out"));
    }
    if let Some(cap) = &raw.max_tokens
        && let MaxTokens::OutputBetween(from, to) = cap.get_ref()
        && from > to
    {
        faults.add(Fault::at(cap, "output_between: the first must not be above the second"));
    }
    for (place, tenant) in raw.tenants.iter().enumerate() {
        if raw.tenants.iter().take(place).any(|other| other.name.get_ref() == tenant.name.get_ref()) {
            faults.add(Fault::at(&tenant.name, format!("tenant `{}` is named twice", tenant.name.get_ref())));
        }
    }
    if let Some(first) = raw.tenants.first().filter(|_| raw.tenants.iter().all(|tenant| tenant.calls == 0)) {
        faults.add(Fault::at(&first.name, "no tenant makes any call: give one of them `calls` above 0"));
    }
}

/// The calls at the rate of a point: `load` is a multiple of what the service can carry, in thousandths.
pub(crate) fn at_load(
    calls: &Calls,
    raw: &RawCalls,
    load: Option<u64>,
    service: &ServiceConfig,
    faults: &mut Faults,
) -> Workload {
    let mut workload = calls.workload.clone();
    let own = raw
        .load
        .as_ref()
        .map(|load| faults.scaled(*load.get_ref(), Some(load.span().start), "load", 1e3, (0.001, MOST_TIMES)));
    let place = raw.load.as_ref().map(|load| load.span().start);
    let rate = match (load.or(own), &raw.per_minute) {
        (Some(_), Some(given)) => {
            faults.add(Fault::at(given, "the rate is given twice: keep load or per_minute"));
            None
        }
        (Some(permille), None) => match capacity(service, calls.mean) {
            Some(carried) => Some(carried.saturating_mul(permille) / 1_000),
            None => {
                let what =
                    "load is a multiple of what the service carries, and a Region of it has no limit: give per_minute";
                faults.add(Fault { at: place, what: what.to_owned() });
                None
            }
        },
        (None, Some(given)) => {
            let at = Some(given.span().start);
            Some(faults.scaled(*given.get_ref(), at, "per_minute", 1_000.0 / 60.0, (0.001, MOST_PER_MINUTE)))
        }
        (None, None) => None,
    };
    if let Pattern::Recorded { trace, rate_permille, .. } = &mut workload.arrivals {
        if let Some(rate) = rate {
            let permille = u128::from(rate) * 1_000 / u128::from(trace.mean_per_1000_s().max(1));
            *rate_permille = u32::try_from(permille).unwrap_or(u32::MAX).max(1);
        }
        return workload;
    }
    if let Some(users) = &raw.closed_loop {
        let users = users.get_ref();
        workload.arrivals =
            Pattern::ClosedLoop { users: *users.users.get_ref(), think_ms: users.think_ms.get_ref().clone() };
        return workload;
    }
    match rate {
        Some(rate) => workload.arrivals = pattern(raw, rate, faults),
        None if faults.0.is_empty() => {
            faults.add(Fault::anywhere("calls come at no rate: add load or per_minute to [calls]"))
        }
        None => {}
    }
    workload
}

fn pattern(raw: &RawCalls, rate: u64, faults: &mut Faults) -> Pattern {
    let range = (0.0, MOST_SECONDS);
    let positive = (0.001, MOST_SECONDS);
    if let Some(spike) = &raw.spike {
        let (at, spike) = (Some(spike.span().start), spike.get_ref());
        let times = faults.permille(spike.times, at, "times");
        let from_us = faults.scaled(spike.from_s, at, "from_s", 1e6, range);
        let to_us = faults.scaled(spike.to_s, at, "to_s", 1e6, range);
        if from_us >= to_us {
            faults.add(Fault { at, what: "to_s must be after from_s".to_owned() });
        }
        return Pattern::Spike {
            per_1000_s: rate,
            spike_per_1000_s: rate.saturating_mul(times) / 1_000,
            from_us,
            to_us,
        };
    }
    if let Some(turns) = &raw.on_off {
        let (at, turns) = (Some(turns.span().start), turns.get_ref());
        let mut times = |value, what| rate.saturating_mul(faults.permille(value, at, what)) / 1_000;
        let (on_per_1000_s, off_per_1000_s) = (times(turns.on, "on"), times(turns.off, "off"));
        let on_us = faults.scaled(turns.on_s, at, "on_s", 1e6, positive);
        let off_us = faults.scaled(turns.off_s, at, "off_s", 1e6, positive);
        return Pattern::OnOff { on_per_1000_s, off_per_1000_s, on_us, off_us };
    }
    if let Some(day) = &raw.diurnal {
        let (at, day) = (Some(day.span().start), day.get_ref());
        let swing = faults.scaled(day.swing, at, "swing", 1e3, (0.0, 1.0));
        let period_us = faults.scaled(day.period_s, at, "period_s", 1e6, positive);
        let peak_us = faults.scaled(day.peak_s, at, "peak_s", 1e6, range);
        let swing_permille = u32::try_from(swing).unwrap_or(u32::MAX);
        return Pattern::Diurnal { mean_per_1000_s: rate, swing_permille, period_us, peak_us };
    }
    Pattern::Poisson { per_1000_s: rate }
}

/// Checks that a recording lasts for as long as calls are counted.
pub(crate) fn check_length(workload: &Workload, counted_us: u64, at: Option<usize>, faults: &mut Faults) {
    let Pattern::Recorded { trace, rate_permille, .. } = &workload.arrivals else { return };
    let last_us = trace.rows().last().map_or(0, |row| row.at_us);
    let lasts_us = u128::from(last_us) * 1_000 / u128::from((*rate_permille).max(1));
    if lasts_us < u128::from(counted_us) {
        let what = format!(
            "at this rate the trace lasts for {:.0} s, and calls are counted up to second {:.0}: lower the load, or \
             measured_s and warm_up_s in [run]",
            lasts_us as f64 / 1e6,
            counted_us as f64 / 1e6
        );
        faults.add(Fault { at, what });
    }
}

/// About how many calls are made, which must not be more than can be held. `load_us` is how long they are made.
pub(crate) fn check_size(workload: &Workload, load_us: u64, faults: &mut Faults) -> usize {
    let turns = workload.conversations.as_ref().map_or(1, |turns| mean(&turns.turns).max(1));
    let rate = match &workload.arrivals {
        Pattern::Poisson { per_1000_s } => *per_1000_s,
        Pattern::OnOff { on_per_1000_s, off_per_1000_s, .. } => (*on_per_1000_s).max(*off_per_1000_s),
        Pattern::Spike { per_1000_s, spike_per_1000_s, .. } => (*per_1000_s).max(*spike_per_1000_s),
        Pattern::Diurnal { mean_per_1000_s, .. } => mean_per_1000_s.saturating_mul(2),
        // Nobody calls more often than he thinks, and an answer takes a tenth of a second.
        Pattern::ClosedLoop { users, think_ms } => {
            u64::from(*users).saturating_mul(1_000_000) / mean(think_ms).saturating_add(100)
        }
        Pattern::Recorded { trace, .. } => return trace.rows().len(),
    };
    let calls = u128::from(rate) * u128::from(load_us) * u128::from(turns) / 1_000_000_000;
    if calls > MAX_ARRIVALS as u128 {
        let what =
            format!("a run makes about {calls} calls, and {MAX_ARRIVALS} are the most; shorten it or lower the rate");
        faults.add(Fault::anywhere(what));
    }
    usize::try_from(calls).unwrap_or(usize::MAX)
}

fn trace(raw: &RawTrace, places: Places<'_>, faults: &mut Faults) -> Result<Trace, Absent> {
    let name = raw.file.get_ref();
    let folder = places.plan.parent().unwrap_or(Path::new(""));
    let tried: Vec<PathBuf> = std::iter::once(folder).chain(places.traces).map(|folder| folder.join(name)).collect();
    let Some(path) = tried.iter().find(|path| path.is_file()) else {
        let tried: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
        let what = format!(
            "the trace is not there: {}; get it from {}, and name its folder with --traces or SLUICEGATE_TRACES",
            tried.join(", "),
            raw.source
        );
        faults.add(Fault::at(&raw.file, what));
        return Err(Absent);
    };
    let size = std::fs::metadata(path).map_or(0, |data| data.len());
    if size > MOST_TRACE_BYTES {
        faults.add(Fault::at(&raw.file, format!("{}: {size} bytes are too many; cut the file", path.display())));
        return Ok(Trace::default());
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Trace::from_csv(&text).unwrap_or_else(|error| {
            faults.add(Fault::at(&raw.file, format!("{}: {error}", path.display())));
            Trace::default()
        })),
        Err(error) => {
            faults.add(Fault::at(&raw.file, format!("{}: cannot be read: {error}", path.display())));
            Ok(Trace::default())
        }
    }
}

fn mean_row(trace: &Trace) -> MeanCall {
    let rows = trace.rows();
    let mean = |of: fn(&sluicegate_sim::TraceRow) -> u64| {
        let sum: u128 = rows.iter().map(|row| u128::from(of(row))).sum();
        u64::try_from(sum / (rows.len() as u128).max(1)).unwrap_or(u64::MAX)
    };
    MeanCall { input: mean(|row| row.input_tokens), output: mean(|row| row.output_tokens) }
}
