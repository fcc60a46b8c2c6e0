//! A schedule made with full knowledge, to measure clients against.
//!
//! It knows every arrival, every output length, the quota's shape and level, and when faults begin and end. It never
//! sends an attempt that would be refused. It is greedy, so it is feasible but not always the best possible: the truth
//! lies between [`best`] and [`upper_bound`](crate::upper_bound).

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::Bound;

use serde::Serialize;
use sluicegate::Timestamp;

use crate::attempt::{LaneId, Load, Reply, Ticket};
use crate::config::{ConfigError, ServiceConfig};
use crate::ledger::MAX_SECONDS;
use crate::service::Service;
use crate::workload::Arrival;

/// Waiting calls that are tried at one moment before the rest has to wait: enough for a smaller call to pass a large
/// one, few enough for long queues.
pub const LOOKAHEAD: usize = 32;
/// Of those, how many may say when to look again.
const ALARMS: usize = 4;

/// One call to schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OracleCall {
    /// When it is made.
    pub at: Timestamp,
    /// When its answer is due.
    pub deadline: Timestamp,
    /// What it asks; where the output length is absent, the lane's median counts.
    pub load: Load,
}

impl OracleCall {
    /// An arrival, due at `deadline`.
    #[must_use]
    pub fn new(arrival: &Arrival, deadline: Timestamp) -> Self {
        Self { at: arrival.at, deadline, load: arrival.load() }
    }
}

/// Which waiting call goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The earliest arrival, and nobody passes it: what a fair queue can do at best, since it does not choose whom to
    /// serve by size. A call that can no longer be answered in time leaves.
    Arrival,
    /// The earliest deadline: serves all, if all can be served.
    Deadline,
    /// The smallest settled cost: serves most, if not all can be served.
    Cost,
    /// The latest arrival: the one with most time left, which no queue has aged.
    Newest,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::Arrival, Self::Deadline, Self::Cost, Self::Newest];
}

/// When and where a call starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// When.
    pub at: Timestamp,
    /// Where.
    pub lane: LaneId,
}

/// A feasible schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The order it was made in.
    pub order: Order,
    /// Calls answered by their deadline.
    pub in_time: u64,
    /// The same by the second in which they are answered, counted from the origin; at most [`MAX_SECONDS`] rows.
    pub by_second: Vec<u32>,
    /// Per call, its start; absent: not served, or not in time.
    pub starts: Vec<Option<Start>>,
}

/// The best greedy schedule over all orders.
///
/// Faults that strike a share of the attempts are left out, as if the oracle knew which; faults that strike all close
/// the lane. `calls` must be sorted by arrival, and every call may use every lane of `lanes`.
///
/// # Errors
/// Everything wrong with the configuration.
pub fn best(config: &ServiceConfig, lanes: &[LaneId], calls: &[OracleCall]) -> Result<Schedule, ConfigError> {
    let mut best = greedy(config, lanes, calls, Order::Deadline)?;
    for order in [Order::Cost, Order::Newest] {
        if best.in_time == calls.len() as u64 {
            break;
        }
        let other = greedy(config, lanes, calls, order)?;
        if other.in_time > best.in_time {
            best = other;
        }
    }
    Ok(best)
}

/// One greedy schedule: whenever something changes, each waiting call in `order` starts on the cheapest lane that admits
/// it and answers in time (ties: the one that answers first). See [`best`] for what it knows.
///
/// # Errors
/// Everything wrong with the configuration.
pub fn greedy(
    config: &ServiceConfig,
    lanes: &[LaneId],
    calls: &[OracleCall],
    order: Order,
) -> Result<Schedule, ConfigError> {
    schedule(config, lanes, calls, order, None)
}

/// Shares of the answers, in thousandths, that [`fair`] takes to be no longer than it plans for.
const PLANS: [usize; 4] = [100, 500, 900, 990];

/// What a fair queue with perfect knowledge of the service could do: the calls in the order of their arrival, nobody passes
/// anybody, and nobody is refused for what he asks.
///
/// It differs from [`greedy`] in [`Order::Arrival`] in three points, all of which matter under load, when whoever is served
/// next has waited until he is all but too late:
/// - It does not know how long an answer will be. A schedule that does lets the long ones wait until they are too late and
///   serves short ones with their tokens. This one plans the same time for every call: that of a short one, a median one,
///   a long one or the longest but one in a hundred, whichever serves most. Calls that turn out longer may end late, and do not count.
/// - Who is next is not given up while he waits for his tokens or his slot. Else the large ones, which wait longest for room,
///   would be the ones to leave.
/// - It keeps within the quota. A service that counts fixed minutes forgets at their turn by how much a minute was overdrawn,
///   since answers cost more than was reserved for them. Who knows the turn and sends all at its start is served more than
///   the quota for ever; this schedule pays such debts from the next minute.
///
/// Where tokens are scarce each of the first two gains a third by count, with calls that happen to be small, and the last
/// one a tenth or more. No client can do the first, and none should do the others.
///
/// # Errors
/// Everything wrong with the configuration.
pub fn fair(config: &ServiceConfig, lanes: &[LaneId], calls: &[OracleCall]) -> Result<Schedule, ConfigError> {
    let sorted = |length: fn(&OracleCall) -> u64| {
        let mut lengths: Vec<u64> = calls.iter().map(length).collect();
        lengths.sort_unstable();
        lengths
    };
    let inputs = sorted(|call| call.load.all_input());
    let outputs = sorted(|call| call.load.output_tokens.unwrap_or(0));
    let length =
        |lengths: &[u64], permille: usize| lengths.get(lengths.len().saturating_sub(1) * permille / 1_000).copied();
    let mut best: Option<Schedule> = None;
    for permille in PLANS {
        let input_tokens = length(&inputs, permille).unwrap_or(0);
        let plan = Load { input_tokens, output_tokens: length(&outputs, permille), ..Load::default() };
        let schedule = schedule(config, lanes, calls, Order::Arrival, Some(plan))?;
        best = Some(match best {
            Some(best) if best.in_time >= schedule.in_time => best,
            _ => schedule,
        });
        if best.as_ref().is_some_and(|best| best.in_time == calls.len() as u64) {
            break;
        }
    }
    best.map_or_else(|| greedy(config, lanes, calls, Order::Arrival), Ok)
}

/// `plan`: what every call asks, as far as its time goes; absent: the schedule knows each.
fn schedule(
    config: &ServiceConfig,
    lanes: &[LaneId],
    calls: &[OracleCall],
    order: Order,
    plan: Option<Load>,
) -> Result<Schedule, ConfigError> {
    let mut service = Service::new(config)?;
    if plan.is_some() {
        service.keep_debts();
    }
    let plan = plan.map(|load| Plan {
        load,
        least: quickest(&service, lanes, &load),
        least_of_all: quickest(&service, lanes, &NOTHING),
    });
    let mut run = Run {
        plan,
        next: None,
        stuck_until: Timestamp::ZERO,
        service,
        lanes,
        calls,
        waiting: BTreeSet::new(),
        ends: BinaryHeap::new(),
        alarm: None,
        schedule: Schedule { order, in_time: 0, by_second: Vec::new(), starts: vec![None; calls.len()] },
    };
    let mut arrivals = calls.iter().enumerate().peekable();
    loop {
        let arrival = arrivals.peek().map(|(_, call)| call.at);
        let end = run.ends.peek().map(|Reverse((at, _))| *at);
        let alarm = run.alarm.filter(|_| !run.waiting.is_empty());
        let Some(now) = [arrival, end, alarm].into_iter().flatten().min() else { break };
        // Nobody looks at the books of a schedule, so that they need not be shown.
        let now = run.service.pass(now);
        let mut only_arrivals = true;
        while let Some(Reverse((_, ticket))) = run.ends.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            run.ends.pop();
            run.service.finish(now, ticket);
            only_arrivals = false;
        }
        while let Some((index, call)) = arrivals.next_if(|(_, call)| call.at <= now) {
            let key = run.key(call);
            run.waiting.insert((key, index));
        }
        if !only_arrivals || !run.is_stuck(now) {
            run.dispatch(now);
        }
    }
    Ok(run.schedule)
}

/// The load with the quickest answer.
const NOTHING: Load = Load {
    input_tokens: 0,
    prefix: None,
    cache_read_tokens: 0,
    cache_write_tokens: 0,
    max_tokens: None,
    output_tokens: Some(0),
};

/// How long an answer takes at least, in microseconds, on the quickest of the lanes.
fn quickest(service: &Service, lanes: &[LaneId], load: &Load) -> u64 {
    let takes = |lane: &LaneId| service.soonest_finish(Timestamp::ZERO, *lane, load).as_micros();
    lanes.iter().map(takes).min().unwrap_or(u64::MAX)
}

/// What every call is taken to ask, as far as its time goes.
struct Plan {
    load: Load,
    /// How long that takes at least.
    least: u64,
    /// How long anything takes at least.
    least_of_all: u64,
}

struct Run<'a> {
    plan: Option<Plan>,
    /// With a plan: the call that was found to wait before all others, and not too late then.
    next: Option<usize>,
    /// Until then `next` waits, unless an attempt ends.
    stuck_until: Timestamp,
    service: Service,
    lanes: &'a [LaneId],
    calls: &'a [OracleCall],
    /// Sort key and index of each waiting call.
    waiting: BTreeSet<(u64, usize)>,
    ends: BinaryHeap<Reverse<(Timestamp, Ticket)>>,
    /// When to look again if nothing happens before.
    alarm: Option<Timestamp>,
    schedule: Schedule,
}

impl Run<'_> {
    fn key(&self, call: &OracleCall) -> u64 {
        match self.schedule.order {
            Order::Arrival => call.at.as_micros(),
            Order::Deadline => call.deadline.as_micros(),
            Order::Cost => {
                let cost = |lane: &LaneId| self.service.expected_cost(call.at, *lane, &call.load);
                self.lanes.iter().map(cost).min().unwrap_or(u64::MAX)
            }
            Order::Newest => u64::MAX - call.at.as_micros(),
        }
    }

    /// Where nobody passes, whether the first is known to wait, and so everyone.
    fn is_stuck(&self, now: Timestamp) -> bool {
        let first = self.waiting.first().map(|entry| entry.1);
        self.schedule.order == Order::Arrival && first.is_some() && first == self.next && now < self.stuck_until
    }

    /// Starts what can start; the rest waits for an end, an arrival or the alarm.
    fn dispatch(&mut self, now: Timestamp) {
        // What is beyond the look-ahead gets its turn when something before it has gone.
        while self.dispatch_first(now) {}
    }

    /// Tries the first [`LOOKAHEAD`] waiting calls; answers whether any has gone and others are left.
    fn dispatch_first(&mut self, now: Timestamp) -> bool {
        self.alarm = None;
        let (mut gone, mut failures) = (false, 0);
        // Where nobody passes, the first is all there is to look at.
        let most = if self.schedule.order == Order::Arrival { 1 } else { LOOKAHEAD };
        let mut after = None;
        for _ in 0..most {
            // One after the other, since most often the first is all that is needed.
            let entry = match after {
                None => self.waiting.first(),
                Some(after) => self.waiting.range((Bound::Excluded(after), Bound::Unbounded)).next(),
            };
            let Some(entry) = entry.copied() else { break };
            after = Some(entry);
            let Some(call) = self.calls.get(entry.1).copied() else { continue };
            let (plan, least) = match &self.plan {
                None => (call.load, quickest(&self.service, self.lanes, &call.load)),
                // Whoever is next stays next: a large call that waits for its tokens must not be overtaken by its deadline.
                Some(plan) if self.next == Some(entry.1) => (NOTHING, plan.least_of_all),
                Some(plan) => (plan.load, plan.least),
            };
            let too_late = now.as_micros().saturating_add(least) > call.deadline.as_micros();
            if too_late || self.start(now, entry.1, &call, &plan) {
                self.waiting.remove(&entry);
                gone = true;
                continue;
            }
            failures += 1;
            if failures <= ALARMS {
                let next = self.lanes.iter().filter_map(|lane| self.look_again(now, *lane, &call)).min();
                self.alarm = self.alarm.into_iter().chain(next).min();
            }
            if self.schedule.order == Order::Arrival {
                self.next = Some(entry.1);
                let least = self.plan.as_ref().map_or(least, |plan| plan.least_of_all);
                let too_late_at = call.deadline.as_micros().saturating_sub(least).saturating_add(1);
                self.stuck_until = self.alarm.unwrap_or(Timestamp::MAX).min(Timestamp::from_micros(too_late_at));
                break;
            }
        }
        gone && !self.waiting.is_empty()
    }

    /// When a call that a lane does not take now should be tried there again.
    fn look_again(&self, now: Timestamp, lane: LaneId, call: &OracleCall) -> Option<Timestamp> {
        let earliest = self.service.earliest(now, lane, &call.load)?;
        // Admitted now but too slow: only the end of a fault can help.
        if earliest > now { Some(earliest) } else { self.service.next_change(lane).filter(|at| *at > now) }
    }

    fn start(&mut self, now: Timestamp, index: usize, call: &OracleCall, plan: &Load) -> bool {
        let service = &self.service;
        let answers = |lane: &LaneId| {
            if !service.would_admit(now, *lane, &call.load) {
                return None;
            }
            let finish = service.finish_time(now, *lane, plan);
            (finish <= call.deadline).then(|| (service.expected_cost(now, *lane, &call.load), finish, *lane))
        };
        let Some((.., lane)) = self.lanes.iter().filter_map(answers).min() else { return false };
        // What was planned ends here: the answer is as long as it is.
        let Reply::Accepted(accepted) = self.service.place(now, lane, &call.load, None, None) else { return false };
        let finish = accepted.finish_at;
        self.ends.push(Reverse((finish, accepted.ticket)));
        if finish > call.deadline {
            return true;
        }
        if let Some(start) = self.schedule.starts.get_mut(index) {
            *start = Some(Start { at: now, lane });
        }
        self.schedule.in_time += 1;
        let second = usize::try_from(finish.as_micros() / 1_000_000).unwrap_or(usize::MAX);
        if second < MAX_SECONDS {
            let rows = self.schedule.by_second.len().max(second + 1);
            self.schedule.by_second.resize(rows, 0);
            if let Some(row) = self.schedule.by_second.get_mut(second) {
                *row += 1;
            }
        }
        true
    }
}
