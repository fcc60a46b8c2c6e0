//! An engine and a world that watches what it does.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sluicegate::{
    AttemptId, BreakerMode, Call, CallId, Decision, EndReason, EndpointId, Engine, Event, Input, InputError,
    MilliTokens, ModelId, Outcome, OutcomeClass, Policy, Refusal, Snapshot, Spent, Timestamp, WakeReason, Wakeup,
};

use super::budget::Budget;
use super::ledger::Ledger;
use super::{Life, Op, Setup};

/// After so long every pause, every closed day, every open breaker and every debt of a life has passed.
const YEARS: Duration = Duration::from_secs(3 * 365 * 24 * 60 * 60);
/// From here on sums with time run into its end, so that the engine may only be asked not to panic.
const LATE: Timestamp = Timestamp::from_micros(u64::MAX / 2);
/// Numbers above this are nobody's waits and nobody's tokens.
const SOBER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long what goes out of a pool may stay uncharged.
const SLOT: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
struct Out {
    id: AttemptId,
    call: CallId,
    endpoint: EndpointId,
    /// The pools it was reserved in, by name, as far as they are still there.
    pools: Vec<String>,
}

/// A call that has not ended.
#[derive(Clone, Debug)]
struct Living {
    call: Call,
    /// One attempt, or two while it is hedged.
    out: Vec<AttemptId>,
    attempts: u32,
    /// It may be sent again: that was planned, or is for nothing.
    again: bool,
    /// What its last retry cost it.
    charged: Option<MilliTokens>,
}

/// How much happened, to know that the rules were put to the test.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Whatever was handed to the engine.
    pub(crate) operations: u64,
    pub(crate) attempts: u64,
    pub(crate) retries: u64,
    /// Of those, put off because the retry budget was used up.
    pub(crate) bounded: u64,
    pub(crate) hedges: u64,
    pub(crate) lowered_caps: u64,
    pub(crate) queue_full: u64,
    pub(crate) policies: u64,
    pub(crate) restarts: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.attempts += other.attempts;
        self.retries += other.retries;
        self.bounded += other.bounded;
        self.hedges += other.hedges;
        self.lowered_caps += other.lowered_caps;
        self.queue_full += other.queue_full;
        self.policies += other.policies;
        self.restarts += other.restarts;
    }
}

/// An engine and everything that must be true around it.
pub(crate) struct World {
    engine: Engine,
    policies: Vec<Policy>,
    rng: StdRng,
    now: Timestamp,
    /// The latest time that the engine was told.
    told: Timestamp,
    /// Wake-ups to hand in before each jump in time, at times at which there is nothing to do.
    pub(crate) spurious: u32,
    next_call: u64,
    live: BTreeMap<CallId, Living>,
    ended: BTreeMap<CallId, EndReason>,
    out: Vec<Out>,
    /// By the name of the pool.
    pools: BTreeMap<String, Ledger>,
    budget: Budget,
    /// Calls whose callers are gone.
    lost: u64,
    /// What attempts that went out just now reserve, as the events say.
    reserved: BTreeMap<AttemptId, u64>,
    /// The call whose answer is being handed in.
    answered: Option<CallId>,
    last_settled: Option<AttemptId>,
    /// The attempts whose leases ended with the last input.
    expired: Vec<AttemptId>,
    /// A pause that the years after a life do not cover was asked for.
    paused_for_ever: bool,
    pub(crate) seen: Seen,
    /// All decisions with their times, if wanted.
    pub(crate) trace: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(setup: &Setup) -> Self {
        let parse = |policy| Policy::parse(policy).unwrap_or_else(|error| panic!("{error}\n{policy}"));
        let policies: Vec<Policy> = setup.policies.iter().map(parse).collect();
        let policy = policies[0].clone();
        // Not at the origin, so that there is room to go back.
        let now = Timestamp::from_micros(50_000_000);
        Self {
            pools: policy.pools().iter().map(|pool| (pool.name.clone(), Ledger::new(pool.limits))).collect(),
            budget: Budget::new(policy.retry().budget),
            engine: Engine::new(policy, now),
            policies,
            rng: StdRng::seed_from_u64(setup.seed),
            now,
            told: now,
            spurious: 0,
            next_call: 0,
            live: BTreeMap::new(),
            ended: BTreeMap::new(),
            out: Vec::new(),
            lost: 0,
            reserved: BTreeMap::new(),
            answered: None,
            last_settled: None,
            expired: Vec::new(),
            paused_for_ever: false,
            seen: Seen::default(),
            trace: None,
        }
    }

    pub(crate) fn live(&mut self, life: &Life) {
        for op in life {
            self.act(*op);
        }
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Submit { mut call, within } => {
                call.deadline = within.map(|within| self.now.saturating_add(within));
                self.submit(call);
            }
            Op::Serve { rounds, call, took, outcome } => {
                for _ in 0..rounds {
                    self.submit(call);
                    self.jump(self.now.saturating_add(took));
                    if !self.out.is_empty() {
                        self.report(0, outcome);
                    }
                }
            }
            Op::Report { which, outcome } if !self.out.is_empty() => self.report(which % self.out.len(), outcome),
            Op::Cancel { which } if !self.live.is_empty() => {
                let call = self.live.keys().nth(which % self.live.len()).copied().expect("it is below the length");
                self.cancel(call);
            }
            Op::Report { .. } | Op::Cancel { .. } => {}
            Op::Jump { by } => self.jump(self.now.saturating_add(by)),
            Op::Back { by } => {
                // The engine goes on with the latest time it has seen.
                let told = self.now.saturating_sub(by);
                self.set_now(told.max(self.told));
                self.handle(told, Input::Wake).expect("a wake-up is never wrong");
            }
            Op::NextWake => {
                self.wake_next();
            }
            Op::Misuse => self.misuse(),
            Op::Reconfigure { which } => self.reconfigure(which % self.policies.len()),
            Op::Restart { asleep, told } => self.restart(asleep, told),
        }
    }

    /// Submits a call under a new name.
    fn submit(&mut self, mut call: Call) {
        call.id = CallId(self.next_call);
        call.model.0 %= self.engine.policy().models().len() as u16;
        self.next_call += 1;
        let queue = *self.engine.policy().queue();
        let default = || queue.deadline.and_then(|within| self.now.checked_add(within));
        let mut expected = call;
        expected.deadline = call.deadline.or_else(default);
        let living = Living { call: expected, out: Vec::new(), attempts: 0, again: false, charged: None };
        self.live.insert(call.id, living);
        let before = self.engine.waiting();
        self.does(Input::Submit(call));
        let (after, capacity) = (self.engine.waiting(), queue.capacity);
        assert!(after <= before.max(capacity), "{after} wait, {before} did, and it holds {capacity}");
    }

    fn cancel(&mut self, call: CallId) {
        self.does(Input::Cancel(call));
        assert_eq!(self.ended.get(&call), Some(&EndReason::Cancelled), "a cancelled call ends at once");
    }

    fn report(&mut self, index: usize, outcome: Outcome) {
        let out = self.out.remove(index);
        self.paused_for_ever |= outcome.retry_after.is_some_and(|wait| wait > SOBER);
        self.settle(&out, outcome.spent);
        if let Some(living) = self.live.get_mut(&out.call)
            && living.out.contains(&out.id)
        {
            living.out.retain(|id| *id != out.id);
            let success = outcome.class == OutcomeClass::Success;
            // Another endpoint is asked, or the same one for an answer that was cut short here.
            living.again = success || outcome.class == OutcomeClass::Unusable;
            self.answered = Some(out.call).filter(|_| success);
        }
        self.does(Input::Report { attempt: out.id, outcome });
        // It may be asked for again where a cap that was lowered, by this policy or one before, cut it short.
        assert!(self.answered.take().is_none() || outcome.truncated, "an answer ends its call");
    }

    fn settle(&mut self, out: &Out, spent: Spent) {
        for pool in &out.pools {
            self.pools.get_mut(pool).expect("pools that are gone were left out").settle(self.now, out.id, spent);
        }
        self.last_settled = Some(out.id);
    }

    fn jump(&mut self, to: Timestamp) {
        let quiet = self.engine.next_wakeup().map_or(to, |wakeup| wakeup.at.min(to)).saturating_since(self.now);
        let spurious = if quiet.is_zero() { 0 } else { self.spurious };
        for _ in 0..spurious {
            self.set_now(self.now.saturating_add(quiet / (spurious + 1)));
            let before = (self.trace.clone(), self.engine.next_wakeup());
            self.does(Input::Wake);
            assert_eq!(self.trace, before.0, "a spurious wake-up did something");
            self.same_wakeup(before.1);
        }
        self.set_now(to);
    }

    /// What went out of an allowance is charged at the next look or at the end of its slot, whichever comes first, and a
    /// bucket that is full does not fill before that: a look can make its next time come sooner by a slot. It may also show
    /// that the next one would have come for nothing.
    fn same_wakeup(&self, before: Option<Wakeup>) {
        let at = |wakeup: Option<Wakeup>| wakeup.map(|wakeup| wakeup.at);
        let (before, after) = (at(before), at(self.engine.next_wakeup()));
        let (Some(promised), Some(now)) = (before, after) else {
            assert_eq!(before, after, "a spurious wake-up made or undid a promise");
            return;
        };
        let sooner = promised.saturating_since(now);
        assert!(sooner <= SLOT, "a spurious wake-up moved the next one from {promised:?} to {now:?}");
    }

    fn set_now(&mut self, now: Timestamp) {
        self.budget.pass(now.saturating_since(self.now));
        self.now = now;
    }

    fn wake_next(&mut self) -> bool {
        let Some(wakeup) = self.engine.next_wakeup() else { return false };
        self.jump(wakeup.at.max(self.now));
        self.does(Input::Wake);
        if let Some(next) = self.engine.next_wakeup() {
            assert!(next.at > self.now || self.now > LATE, "{next:?} after {wakeup:?} makes no progress");
        }
        true
    }

    /// Puts another of the policies in force. Ids are those of the new one from then on.
    fn reconfigure(&mut self, which: usize) {
        let (old, new) = (self.engine.policy().clone(), self.policies[which].clone());
        let mut pools = std::mem::take(&mut self.pools);
        for pool in new.pools() {
            let mut ledger = pools.remove(&pool.name).unwrap_or_else(|| Ledger::new(pool.limits));
            ledger.reconfigure(pool.limits);
            self.pools.insert(pool.name.clone(), ledger);
        }
        for out in &mut self.out {
            out.pools.retain(|pool| self.pools.contains_key(pool));
            let name = old.endpoint(out.endpoint).map(|place| &place.name);
            let place = new.endpoints().iter().position(|place| Some(&place.name) == name);
            out.endpoint = EndpointId(place.map_or(u16::MAX, |place| place as u16));
        }
        let mut homeless = Vec::new();
        for (id, living) in &mut self.live {
            let name = &old.models()[usize::from(living.call.model.0)];
            match new.models().iter().position(|model| model == name) {
                Some(place) => living.call.model = ModelId(place as u16),
                None => homeless.push(*id),
            }
        }
        self.budget.reconfigure(new.retry().budget);
        self.engine.reconfigure(self.now, new);
        self.seen.operations += 1;
        self.seen.policies += 1;
        self.does(Input::Wake);
        for id in homeless {
            let end = self.ended.get(&id);
            assert!(matches!(end, Some(EndReason::Refused { .. })), "{id:?} has no model any more, and {end:?}");
        }
    }

    /// Another process goes on from what this one saved. Its clock is the same, so that the ledgers go on as well.
    fn restart(&mut self, asleep: Duration, told: bool) {
        self.seen.operations += 1;
        self.seen.restarts += 1;
        let text = self.engine.snapshot(self.now).to_json();
        let snapshot = Snapshot::from_json(&text).expect("it reads what it wrote");
        assert_eq!(snapshot.to_json(), text);
        self.lost += self.live.len() as u64;
        self.live.clear();
        self.out.clear();
        self.last_settled = None;
        self.pools.values_mut().for_each(Ledger::forget_out);
        let known = if told { asleep } else { Duration::ZERO };
        self.budget.restart(known);
        self.now = self.now.saturating_add(asleep);
        self.engine = Engine::restore(self.engine.policy().clone(), &snapshot, self.now, known);
        self.told = self.now;
        assert_eq!(self.engine.next_wakeup(), None, "nothing to do for anybody");
    }

    /// Everything that is out is answered, and time passes until nothing is left to do.
    pub(crate) fn rest(&mut self) {
        for _ in 0..10_000 {
            while !self.out.is_empty() {
                self.report(0, Outcome::success(100));
            }
            if self.now > LATE {
                while let Some(id) = self.live.keys().next().copied() {
                    self.cancel(id);
                }
                if !self.out.is_empty() {
                    // What was cancelled made room for others.
                    continue;
                }
            }
            if self.live.is_empty() || !self.wake_next() {
                assert!(self.live.is_empty(), "calls that never ended: {:?}", self.live);
                assert_eq!(self.ended.len() as u64 + self.lost, self.next_call);
                assert_eq!(self.engine.next_wakeup(), None, "nothing is left to wake up for");
                return;
            }
        }
        panic!("the engine never comes to rest");
    }

    /// Years later the engine is as good as new: one call for each model goes out at once, and nothing is left of what was.
    pub(crate) fn revive(&mut self) {
        // The smallest quota pays that much in these years.
        let ruined = |ledger: &Ledger| ledger.taken() > 1_000_000_000;
        if self.now > LATE || self.paused_for_ever || self.pools.values().any(ruined) {
            return;
        }
        let policy = self.engine.policy().clone();
        for index in 0..policy.models().len() {
            let model = ModelId(index as u16);
            let fallback = |other: ModelId| policy.fallback(model).is_some_and(|list| list.models.contains(&other));
            let open = policy.endpoints().iter().any(|place| {
                let serves = place.model == model || fallback(place.model);
                serves && policy.allows(place) && place.breaker != BreakerMode::ForcedOpen
            });
            // Nothing is owed or remembered to the end of the week.
            self.jump(self.now.saturating_add(YEARS));
            let id = CallId(self.next_call);
            self.submit(Call::new(id, model, 1));
            assert_eq!(self.out.len(), usize::from(open), "after years of rest: {}", self.explain(id));
            if open {
                self.report(0, Outcome::success(1));
            }
        }
        let listing = format!("{:?}", self.engine);
        // Each map from a name to a slot: calls, attempts, tenants that hold calls, and tenants of each model's queue.
        let maps = listing.matches(" used: ").count();
        assert!(maps >= 4 && maps == listing.matches(" used: 0 ").count(), "something is still there: {listing}");
        assert!(listing.contains("moved: Moved([])"), "something is still there: {listing}");
    }

    /// How much the engine holds: the length of its listing with each number as one digit.
    pub(crate) fn size(&self) -> usize {
        let text = format!("{:?}", self.engine);
        let digits = |pair: &[u8]| pair[0].is_ascii_digit() && pair[1].is_ascii_digit();
        text.len() - text.as_bytes().windows(2).filter(|pair| digits(pair)).count()
    }

    fn explain(&mut self, call: CallId) -> String {
        let explanation = self.engine.explain(self.now, call);
        explanation.map_or_else(String::new, |explanation| self.engine.describe(self.now, &explanation))
    }

    fn misuse(&mut self) {
        let before = format!("{:?}", self.engine);
        let attempt = AttemptId(u64::MAX);
        let mut wrong = vec![
            (Input::Report { attempt, outcome: Outcome::success(1) }, InputError::UnknownAttempt(attempt)),
            (Input::Cancel(CallId(u64::MAX)), InputError::UnknownCall(CallId(u64::MAX))),
            (
                Input::Submit(Call::new(CallId(self.next_call), ModelId(u16::MAX), 1)),
                InputError::UnknownModel(ModelId(u16::MAX)),
            ),
        ];
        if let Some(living) = self.live.values().next() {
            wrong.push((Input::Submit(living.call), InputError::DuplicateCall(living.call.id)));
        }
        if let Some(attempt) = self.last_settled {
            let again = Input::Report { attempt, outcome: Outcome::success(1) };
            wrong.push((again, InputError::UnknownAttempt(attempt)));
        }
        if let Some(id) = self.ended.keys().next().copied() {
            wrong.push((Input::Cancel(id), InputError::UnknownCall(id)));
        }
        for (input, error) in wrong {
            assert_eq!(self.engine.handle(self.now, input, &mut self.rng), Err(error));
        }
        assert_eq!(format!("{:?}", self.engine), before);
    }

    fn does(&mut self, input: Input) {
        self.handle(self.now, input).unwrap_or_else(|error| panic!("{error}"));
    }

    fn handle(&mut self, now: Timestamp, input: Input) -> Result<(), InputError> {
        self.engine.handle(now, input, &mut self.rng)?;
        self.seen.operations += 1;
        self.told = self.now;
        self.expired.clear();
        // Leases first: what they take back may be what others are then admitted on.
        let events: Vec<Event> = std::iter::from_fn(|| self.engine.poll_event()).collect();
        for event in events {
            match event {
                Event::LeaseExpired { attempt, .. } => self.lose(attempt),
                Event::Sent { attempt, reserved_tokens, .. } => {
                    self.reserved.insert(attempt, reserved_tokens);
                }
                Event::RetryPlanned { call, at, class, bounded } => {
                    self.seen.bounded += u64::from(bounded);
                    let cost = self.budget.retry(class, at.saturating_since(self.now));
                    let living = self.live.get_mut(&call).expect("what is tried again lives");
                    (living.again, living.charged) = (true, Some(cost));
                }
                Event::Hedged { .. } => self.budget.hedge(),
                Event::Ended { call, reason: EndReason::Answered, .. } => {
                    self.budget.answered(self.live.get(&call).and_then(|living| living.charged));
                }
                _ => {}
            }
        }
        while let Some(decision) = self.engine.poll_decision() {
            self.watch(decision);
        }
        self.count();
        let reason = self.engine.next_wakeup().map(|wakeup| wakeup.reason);
        assert_ne!(reason, Some(WakeReason::Undrained));
        Ok(())
    }

    /// The engine holds what is under way and nothing else.
    fn count(&self) {
        let sent = self.live.values().filter(|living| !living.out.is_empty()).count();
        assert_eq!(self.engine.in_flight(), self.out.len(), "attempts that are out");
        assert_eq!(self.engine.waiting(), self.live.len() - sent, "calls that wait");
        let wakes = self.engine.next_wakeup().is_some() || !self.out.is_empty();
        assert!(wakes || self.live.is_empty(), "nothing will ever happen to {:?}", self.live);
    }

    fn lose(&mut self, attempt: AttemptId) {
        let index = self.out.iter().position(|out| out.id == attempt).expect("only what is out can be lost");
        let out = self.out.remove(index);
        if let Some(living) = self.live.get_mut(&out.call) {
            living.out.retain(|id| *id != attempt);
        }
        self.settle(&out, Spent::Unknown);
        self.expired.push(attempt);
    }

    fn watch(&mut self, decision: Decision) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{} {decision:?}", self.now.as_micros()));
        }
        match decision {
            Decision::Send { call, attempt, endpoint, max_tokens } => {
                let living = self.live.get_mut(&call).expect("an attempt goes out for a call that lives");
                assert!(living.out.is_empty(), "one attempt at a time, unless it is a hedge");
                assert!(living.attempts == 0 || std::mem::take(&mut living.again), "an attempt that nobody planned");
                self.seen.retries += u64::from(living.attempts > 0);
                self.sent(call, attempt, endpoint, max_tokens);
            }
            Decision::Hedge { call, attempt, endpoint, max_tokens } => {
                let policy = self.engine.policy();
                assert!(policy.hedge().is_some(), "the policy says nothing of hedges");
                let living = self.live.get_mut(&call).expect("a hedge goes out for a call that lives");
                assert!(!living.call.lone, "{:?} is never to be hedged", living.call);
                let [first] = living.out.as_slice() else { panic!("a hedge beside {:?}", living.out) };
                let beside = self.out.iter().any(|out| out.id == *first && out.endpoint != endpoint);
                assert!(beside, "a hedge goes elsewhere");
                self.seen.hedges += 1;
                self.sent(call, attempt, endpoint, max_tokens);
            }
            Decision::Abort { call, attempt } => {
                let out = self.out.iter().any(|out| out.id == attempt && out.call == call);
                assert!(out || self.expired.contains(&attempt), "it is out, unless its lease has just ended");
                // The call may go on: an answer that was cut short here is asked for again.
                if let Some(living) = self.live.get_mut(&call) {
                    living.out.retain(|id| *id != attempt);
                }
            }
            Decision::End { call, reason } => self.over(call, reason),
        }
    }

    fn sent(&mut self, id: CallId, attempt: AttemptId, endpoint: EndpointId, max_tokens: Option<u32>) {
        let living = self.live.get_mut(&id).expect("it lives");
        let policy = self.engine.policy();
        let place = policy.endpoint(endpoint).expect("the policy has it");
        let call = living.call;
        let fallback = policy.fallback(call.model).is_some_and(|other| other.models.contains(&place.model));
        assert!(place.model == call.model || fallback, "it serves something else");
        assert!(policy.allows(place), "residency");
        assert_ne!(place.breaker, BreakerMode::ForcedOpen, "an endpoint that is shut by hand");
        assert!(call.deadline.is_none_or(|deadline| self.now <= deadline), "too late for {call:?}");
        self.seen.attempts += 1;
        self.seen.lowered_caps += u64::from(max_tokens.is_some());
        living.attempts += 1;
        living.out.push(attempt);
        let reserved = self.reserved.remove(&attempt).expect("an event says what it reserves");
        let lower = max_tokens.map_or(0, |cap| u64::from(call.max_tokens.expect("there is a cap to lower") - cap));
        assert_eq!(reserved, call.tokens.saturating_sub(lower), "what is reserved");
        let pools: Vec<String> =
            place.pools.iter().map(|pool| policy.pools()[usize::from(pool.0)].name.clone()).collect();
        if self.now <= LATE {
            for pool in &pools {
                let ledger = self.pools.get_mut(pool).expect("it has a ledger");
                ledger.admit(self.now, attempt, reserved);
            }
        }
        let pools = if self.now <= LATE { pools } else { Vec::new() };
        assert!(self.out.iter().all(|out| out.id != attempt), "a name for one attempt");
        self.out.push(Out { id: attempt, call: id, endpoint, pools });
    }

    fn over(&mut self, id: CallId, reason: EndReason) {
        let living = self.live.remove(&id).unwrap_or_else(|| panic!("{id:?} does not live"));
        assert_eq!(self.ended.insert(id, reason), None, "{id:?} ended twice");
        let deadline = living.call.deadline;
        match reason {
            EndReason::Answered => {
                assert_eq!(self.answered.take(), Some(id), "only an answer ends a call as answered");
            }
            EndReason::Expired => assert!(deadline.is_some_and(|deadline| deadline <= self.now), "not yet"),
            EndReason::Refused { why, retry_at } => {
                self.seen.queue_full += u64::from(why == Refusal::QueueFull && living.attempts == 0);
                assert!(retry_at.is_none_or(|at| at >= self.now), "{reason:?} names the past");
            }
            EndReason::Cancelled | EndReason::Failed { .. } => {}
        }
    }
}
