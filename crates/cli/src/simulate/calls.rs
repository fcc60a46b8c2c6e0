//! The calls of a plan.

use std::path::{Path, PathBuf};

use sluicegate_sim::{
    MAX_ARRIVALS, MaxTokens, Pattern, Quantiles, ServiceConfig, TenantShare, Trace, Workload, azure_conversation_input,
    azure_conversation_output,
};

use super::faults::{Faults, MOST_TIMES, scale};
use super::plan::{Fault, RawCalls, RawTrace};
use super::service::{MeanCall, capacity, mean};

/// A recorded trace at most, in bytes: more than ten million rows do not fit.
const MOST_TRACE_BYTES: u64 = 512 << 20;
/// Calls a minute at most: what a day of them takes fits no memory anyway.
const MOST_PER_MINUTE: f64 = 10_000_000.0;

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
        name: tenant.name.clone(),
        calls: tenant.calls,
        weight: tenant.weight.unwrap_or(1),
    };
    let workload = Workload {
        arrivals,
        input_tokens,
        output_tokens,
        max_tokens: raw.max_tokens.unwrap_or(MaxTokens::Omitted),
        tenants: raw.tenants.iter().map(tenant).collect(),
        conversations: raw.conversations.clone(),
        deadline_ms: None,
    };
    Ok(Calls { workload, mean: call })
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
        workload.arrivals = Pattern::ClosedLoop { users: users.users, think_ms: users.think_ms.clone() };
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
    let seconds = |value: f64| scale(value.clamp(0.0, super::faults::MOST_SECONDS), 1e6);
    if let Some(spike) = &raw.spike {
        let (at, spike) = (Some(spike.span().start), spike.get_ref());
        let times = faults.permille(spike.times, at, "times");
        let (from_us, to_us) = (seconds(spike.from_s), seconds(spike.to_s));
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
        let (on_us, off_us) = (seconds(turns.on_s), seconds(turns.off_s));
        return Pattern::OnOff { on_per_1000_s, off_per_1000_s, on_us, off_us };
    }
    if let Some(day) = &raw.diurnal {
        let (at, day) = (Some(day.span().start), day.get_ref());
        let swing = faults.scaled(day.swing, at, "swing", 1e3, (0.0, 1.0));
        let (period_us, peak_us) = (seconds(day.period_s).max(1), seconds(day.peak_s));
        let swing_permille = u32::try_from(swing).unwrap_or(u32::MAX);
        return Pattern::Diurnal { mean_per_1000_s: rate, swing_permille, period_us, peak_us };
    }
    Pattern::Poisson { per_1000_s: rate }
}

/// Checks that so many calls can be held. `load_us` is how long they are made.
pub(crate) fn check_size(workload: &Workload, load_us: u64, faults: &mut Faults) {
    let rate = match &workload.arrivals {
        Pattern::Poisson { per_1000_s } => *per_1000_s,
        Pattern::OnOff { on_per_1000_s, off_per_1000_s, .. } => (*on_per_1000_s).max(*off_per_1000_s),
        Pattern::Spike { per_1000_s, spike_per_1000_s, .. } => (*per_1000_s).max(*spike_per_1000_s),
        Pattern::Diurnal { mean_per_1000_s, .. } => mean_per_1000_s.saturating_mul(2),
        Pattern::Recorded { .. } | Pattern::ClosedLoop { .. } => return,
    };
    let calls = u128::from(rate) * u128::from(load_us) / 1_000_000_000;
    if calls > MAX_ARRIVALS as u128 {
        let what =
            format!("a run makes about {calls} calls, and {MAX_ARRIVALS} are the most; shorten it or lower the rate");
        faults.add(Fault::anywhere(what));
    }
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
