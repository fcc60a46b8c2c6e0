//! A number of calls that no client can answer in time.
//!
//! The bound treats calls as a fluid: over a span of time, the calls that arrive and are due within it can take at most
//! what the quotas give in that span, and can occupy at most the slots there are. What does not fit is lost, and losses
//! of spans that do not overlap add up. Order, waiting and indivisibility are ignored, so the bound may be above what
//! any schedule reaches, never below. It is close where requests or slots are scarce, and loose where tokens are scarce
//! and many calls settle above their reservation: the debt is then left out of the sum.
//!
//! Why each part holds:
//! - A call answered in full holds at least the smaller of its reservation and its settlement at every moment after its
//!   admission, so an admission that passes proves that these sums fit.
//! - Continuous: the bucket holds at most its size at the start of a span and gains its rate. Where reservations exceed
//!   settlements, earlier calls may also return what they hold: at most another bucket and the refill of the longest
//!   call. Nothing is earlier than the first arrival.
//! - Fixed: each window that the span touches gives its limit once. Sliding: the span is covered by stretches of a minute,
//!   and each gives its limit once.
//! - Day: each day touched gives the lane's daily limit once.
//! - Slots: calls within the span are admitted in it, so they never outnumber the most slots there are in it.
//! - A lane closed for the whole span gives nothing.

use sluicegate::Timestamp;

use crate::attempt::{LaneId, Load};
use crate::config::{ConfigError, Law, ServiceConfig, WHOLE_PERMILLE};
use crate::lane::{Lane, REQUEST};
use crate::oracle::OracleCall;
use crate::quota::{DAY_US, MINUTE_US};

/// Points of time between which spans are examined, besides those where faults begin and end.
pub const MAX_GRID: usize = 48;
/// Ends of faults taken into the grid at most.
const MAX_CHANGES: usize = 48;

/// What one call needs at least.
#[derive(Clone, Copy, Debug)]
struct Need {
    at: u64,
    deadline: u64,
    tokens: u64,
    duration: u64,
    /// The last grid point not after its arrival, and the first not before its deadline.
    first: usize,
    last: usize,
}

/// At most this many of `calls` are answered by their deadline, whatever the client; every call may use every lane of
/// `lanes`. Faults that strike only a share of the attempts are left out.
///
/// # Errors
/// Everything wrong with the configuration.
pub fn upper_bound(config: &ServiceConfig, lanes: &[LaneId], calls: &[OracleCall]) -> Result<u64, ConfigError> {
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(ConfigError(faults));
    }
    let lanes: Vec<Lane> =
        lanes.iter().filter_map(|lane| config.lanes.get(lane.0)).map(|lane| Lane::new(lane, 0)).collect();
    let fullest: Vec<u128> = lanes.iter().map(fullest).collect();
    let mut needs: Vec<Need> = calls.iter().filter_map(|call| need(&lanes, &fullest, call)).collect();
    let start = needs.iter().map(|need| need.at).min().unwrap_or(0);
    let end = needs.iter().map(|need| need.deadline).max().unwrap_or(0);
    let grid = grid(&lanes, start, end);
    let spans = Spans { refunds: refunds(&lanes, calls), lanes, day_phase_us: config.day_phase_us, start };
    for need in &mut needs {
        need.first = grid.partition_point(|at| *at <= need.at).saturating_sub(1);
        need.last = grid.partition_point(|at| *at < need.deadline);
    }
    let sums = Sums::new(&needs, grid.len());
    needs.sort_unstable_by_key(|need| need.tokens);
    let by_tokens = needs.clone();
    needs.sort_unstable_by_key(|need| need.duration);
    // lost[j]: the most calls proved lost in spans up to grid point j.
    let mut lost: Vec<u64> = Vec::with_capacity(grid.len());
    for (to_place, to) in grid.iter().enumerate() {
        let mut most = lost.last().copied().unwrap_or(0);
        for (from_place, (before, from)) in lost.iter().zip(&grid).enumerate() {
            let sum = sums.within(from_place, to_place);
            if sum.calls == 0 {
                continue;
            }
            let within = |need: &&Need| need.first >= from_place && need.last <= to_place;
            let room = spans.room(*from, *to, sum, by_tokens.iter().filter(within), needs.iter().filter(within));
            most = most.max(before + sum.calls.saturating_sub(room));
        }
        lost.push(most);
    }
    Ok((needs.len() as u64).saturating_sub(lost.last().copied().unwrap_or(0)))
}

/// What some calls need together.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    calls: u64,
    tokens: u128,
    duration: u128,
}

impl Sum {
    const fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            tokens: self.tokens.saturating_add(other.tokens),
            duration: self.duration.saturating_add(other.duration),
        }
    }
}

/// What the calls within each span need together, so that spans with room for all of them need no closer look.
struct Sums {
    size: usize,
    /// By span: from the first grid point, to the second.
    cells: Vec<Sum>,
}

impl Sums {
    fn new(needs: &[Need], size: usize) -> Self {
        let mut sums = Self { size, cells: vec![Sum::default(); size * size] };
        for need in needs {
            let one = Sum { calls: 1, tokens: u128::from(need.tokens), duration: u128::from(need.duration) };
            sums.add(need.first, need.last, one);
        }
        // Each cell gets those that end earlier, and then those that begin later.
        for from in 0..size {
            for to in 1..size {
                sums.add(from, to, sums.within(from, to - 1));
            }
        }
        for from in (0..size.saturating_sub(1)).rev() {
            for to in 0..size {
                sums.add(from, to, sums.within(from + 1, to));
            }
        }
        sums
    }

    fn add(&mut self, from: usize, to: usize, more: Sum) {
        if let Some(cell) = self.cells.get_mut(from * self.size + to) {
            *cell = cell.plus(more);
        }
    }

    fn within(&self, from: usize, to: usize) -> Sum {
        self.cells.get(from * self.size + to).copied().unwrap_or_default()
    }
}

/// What a call needs on the lane that asks least; `None` if no lane can ever answer it in time.
fn need(lanes: &[Lane], fullest: &[u128], call: &OracleCall) -> Option<Need> {
    let (at, deadline) = (call.at.as_micros(), call.deadline.as_micros());
    let usable = lanes.iter().zip(fullest).filter(|(lane, fullest)| {
        let duration = lane.least_duration(&call.load);
        at.checked_add(duration).is_some_and(|finish| finish <= deadline) && fits(lane, **fullest, &call.load)
    });
    let need = |(lane, _): (&Lane, _)| (least_tokens(lane, &call.load), lane.least_duration(&call.load));
    let (tokens, duration) = usable.map(need).reduce(|one, other| (one.0.min(other.0), one.1.min(other.1)))?;
    Some(Need { at, deadline, tokens, duration, first: 0, last: 0 })
}

/// What a lane's minute quota of tokens holds at its fullest, in thousandths of a token; the largest number where it has none.
fn fullest(lane: &Lane) -> u128 {
    let permille = match lane.config.law {
        Law::Continuous { burst_permille, .. } => u128::from(burst_permille),
        Law::Fixed { .. } | Law::FixedDrawn | Law::Sliding => u128::from(WHOLE_PERMILLE),
    };
    let full = |limit: u64| u128::from(limit) * permille;
    lane.all_limits().map(|(_, tokens)| tokens.map_or(u128::MAX, full)).max().unwrap_or(u128::MAX)
}

/// Whether a reservation fits the lane's quotas at their fullest.
fn fits(lane: &Lane, fullest: u128, load: &Load) -> bool {
    let reserved = lane.reservation(load);
    u128::from(reserved) * u128::from(WHOLE_PERMILLE) <= fullest
        && lane.config.tokens_per_day.is_none_or(|limit| reserved <= limit)
}

fn least_tokens(lane: &Lane, load: &Load) -> u64 {
    lane.reservation(load).min(lane.settlement(load, lane.output(load)))
}

/// Per lane, whether calls return part of their reservation, and the longest call in microseconds.
fn refunds(lanes: &[Lane], calls: &[OracleCall]) -> Vec<Option<u64>> {
    let refund = |lane: &Lane| {
        let any = calls.iter().any(|call| lane.reservation(&call.load) > least_tokens(lane, &call.load));
        let longest = calls.iter().map(|call| lane.most_duration(&call.load)).max();
        longest.filter(|_| any)
    };
    lanes.iter().map(refund).collect()
}

/// Evenly spaced points and the ends of faults, from `start` to `end`.
fn grid(lanes: &[Lane], start: u64, end: u64) -> Vec<u64> {
    let span = u128::from(end.saturating_sub(start));
    let parts = MAX_GRID as u128 - 1;
    let even = (0..=parts).map(|part| start.saturating_add(u64::try_from(span * part / parts).unwrap_or(u64::MAX)));
    let changes = lanes.iter().flat_map(|lane| lane.changes().iter().copied());
    let mut grid: Vec<u64> = changes.filter(|at| (start..=end).contains(at)).take(MAX_CHANGES).chain(even).collect();
    grid.sort_unstable();
    grid.dedup();
    grid
}

struct Spans {
    lanes: Vec<Lane>,
    refunds: Vec<Option<u64>>,
    day_phase_us: u64,
    /// The first arrival: nothing is in flight then.
    start: u64,
}

impl Spans {
    /// How many of the calls within a span can be answered, if the cheapest and the shortest go first.
    fn room<'a>(
        &self,
        from: u64,
        to: u64,
        all: Sum,
        by_tokens: impl Iterator<Item = &'a Need>,
        by_duration: impl Iterator<Item = &'a Need>,
    ) -> u64 {
        let (mut requests, mut tokens, mut slot_time) = (Some(0_u128), Some(0_u128), Some(0_u128));
        for (lane, refunds) in self.lanes.iter().zip(&self.refunds) {
            let points = lane.points(from, to);
            if points.iter().all(|at| lane.is_closed_at(*at)) {
                continue;
            }
            let start = from <= self.start;
            let add = |sum: Option<u128>, part: Option<u128>| Some(sum?.saturating_add(part?));
            let supply = |limit: &dyn Fn(Timestamp) -> Option<u64>, refunds: Option<u64>| {
                let limits: Option<Vec<u64>> = points.iter().map(|at| limit(*at)).collect();
                limits.map(|limits| supply(lane.config.law, &limits, from, to, start, refunds))
            };
            requests = add(requests, supply(&|at| lane.limits(at).0, None));
            let minute = supply(&|at| lane.limits(at).1, *refunds);
            let day = lane
                .config
                .tokens_per_day
                .map(|limit| u128::from(limit) * u128::from(windows(DAY_US, self.day_phase_us, from, to)));
            let least = match (minute, day) {
                (Some(minute), Some(day)) => Some(minute.min(day)),
                (minute, day) => minute.or(day),
            };
            tokens = add(tokens, least);
            let slots = points.iter().map(|at| lane.slots_at(*at)).collect::<Option<Vec<_>>>();
            let slots = slots.and_then(|slots| slots.into_iter().max());
            slot_time = add(slot_time, slots.map(|slots| u128::from(slots) * u128::from(to - from)));
        }
        let requests = requests.map_or(u64::MAX, |sum| u64::try_from(sum / u128::from(REQUEST)).unwrap_or(u64::MAX));
        if requests == 0 {
            return 0;
        }
        let tokens = tokens.filter(|tokens| *tokens < all.tokens);
        let slot_time = slot_time.filter(|time| *time < all.duration);
        let tokens = count(tokens, by_tokens.map(|need| need.tokens));
        let slots = count(slot_time, by_duration.map(|need| need.duration));
        requests.min(tokens).min(slots)
    }
}

/// How many of the parts, smallest first, fit into the whole.
fn count(whole: Option<u128>, parts: impl Iterator<Item = u64>) -> u64 {
    let Some(mut left) = whole else { return u64::MAX };
    let mut count = 0;
    for part in parts {
        let Some(rest) = left.checked_sub(u128::from(part)) else { break };
        left = rest;
        count += 1;
    }
    count
}

/// Windows of a period that the span from `from` up to `to` touches.
fn windows(period_us: u64, phase_us: u64, from: u64, to: u64) -> u64 {
    let index = |at: u64| at.saturating_add(period_us - phase_us % period_us) / period_us;
    index(to.saturating_sub(1).max(from)) - index(from) + 1
}

/// Most units a minute quota gives in a span. `limits` are all limits in force in it; `start`: nothing was in flight
/// before.
fn supply(law: Law, limits: &[u64], from: u64, to: u64, start: bool, refunds: Option<u64>) -> u128 {
    let limit = u128::from(limits.iter().copied().max().unwrap_or(0));
    let minute = u128::from(MINUTE_US);
    match law {
        Law::Fixed { phase_us } => limit * u128::from(windows(MINUTE_US, phase_us, from, to)),
        Law::FixedDrawn => limit * u128::from(windows(MINUTE_US, 0, from, to)),
        Law::Sliding => limit * u128::from(to - from).div_ceil(minute),
        Law::Continuous { burst_permille, start_permille } => {
            let whole = u128::from(WHOLE_PERMILLE);
            let bucket = limit * u128::from(burst_permille) / whole + 1;
            // Only at time zero is the fill known.
            let level = if from == 0 { bucket * u128::from(start_permille) / whole + 1 } else { bucket };
            let refill = |duration: u64| limit * u128::from(duration) / minute + 1;
            let returned = refunds.filter(|_| !start).map_or(0, |longest| bucket + refill(longest));
            level + refill(to - from) + returned
        }
    }
}
