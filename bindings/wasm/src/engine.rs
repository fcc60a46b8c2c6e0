//! The engine without a clock, for those who bring their own loop.

use serde::Serialize;
use sluicegate::{Call, Decision, EndpointId, Explanation, Input, InputError, LabelId, PoolId, Snapshot, TenantId};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::codes::{
    NONE, Slots, attempt_id, call_id, duration, input_error, micros, model_id, number, number_or_none, optional,
    outcome, quota, small, time, wake_reason, whole,
};
use crate::policy::Policy;
use crate::random::Random;

/// The kinds of decision, as numbers; 0 is none.
pub(crate) const SEND: u32 = 1;
pub(crate) const HEDGE: u32 = 2;
pub(crate) const ABORT: u32 = 3;
pub(crate) const END: u32 = 4;

/// The engine. Inputs answer 0, or the number of an error.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Engine {
    engine: sluicegate::Engine,
    slots: Slots,
    /// The call that the last decision is about.
    call: f64,
}

#[wasm_bindgen]
#[expect(clippy::too_many_arguments, reason = "numbers cross the border faster than objects")]
impl Engine {
    /// An engine with full pools.
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new(policy: &Policy, now: f64) -> Self {
        Self::of(sluicegate::Engine::new(policy.0.clone(), time(now)))
    }

    /// An engine that goes on from a snapshot.
    ///
    /// # Errors
    /// The text is no snapshot: the code and the message, with a colon in between.
    pub fn restore(policy: &Policy, snapshot: &str, now: f64, asleep: f64) -> Result<Self, JsValue> {
        let snapshot = read_snapshot(snapshot)?;
        Ok(Self::of(sluicegate::Engine::restore(policy.0.clone(), &snapshot, time(now), duration(asleep))))
    }

    fn of(engine: sluicegate::Engine) -> Self {
        Self { engine, slots: Slots::new(), call: NONE }
    }

    /// Where the four numbers of an answer stand in memory.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.address()
    }

    /// A new call. Deadline, maximum and label are negative where there is none.
    pub fn submit(
        &mut self,
        now: f64,
        random: &mut Random,
        id: f64,
        model: u32,
        tokens: f64,
        deadline: f64,
        priority: u8,
        tenant: u32,
        affinity: Option<u64>,
        cached_tokens: u32,
        max_tokens: f64,
        label: u16,
        fingerprint: Option<u64>,
        lone: bool,
    ) -> u32 {
        let call = Call {
            deadline: optional(deadline).map(sluicegate::Timestamp::from_micros),
            priority,
            tenant: TenantId(tenant),
            affinity,
            cached_tokens,
            max_tokens: small(max_tokens),
            label: LabelId(label),
            fingerprint,
            lone,
            ..Call::new(call_id(id), model_id(model), whole(tokens))
        };
        self.handle(now, Input::Submit(call), random)
    }

    /// How an attempt ended.
    pub fn report(
        &mut self,
        now: f64,
        random: &mut Random,
        attempt: f64,
        class: u32,
        cost: f64,
        retry_after: f64,
        output_tokens: f64,
        truncated: bool,
    ) -> u32 {
        let outcome = outcome(class, cost, retry_after, output_tokens, truncated);
        self.handle(now, Input::Report { attempt: attempt_id(attempt), outcome }, random)
    }

    /// The caller no longer wants a call.
    pub fn cancel(&mut self, now: f64, random: &mut Random, call: f64) -> u32 {
        self.handle(now, Input::Cancel(call_id(call)), random)
    }

    /// The time of the next wake-up has come.
    pub fn wake(&mut self, now: f64, random: &mut Random) -> u32 {
        self.handle(now, Input::Wake, random)
    }

    fn handle(&mut self, now: f64, input: Input, random: &mut Random) -> u32 {
        self.engine.handle(time(now), input, &mut random.0).map_or_else(input_error, |()| 0)
    }

    /// Takes out the next decision and answers its kind; what it is about stands in the slots.
    #[wasm_bindgen(js_name = pollDecision)]
    pub fn poll_decision(&mut self) -> u32 {
        let Some(decision) = self.engine.poll_decision() else { return 0 };
        let (kind, call) = match decision {
            Decision::Send { call, attempt, endpoint, max_tokens } => {
                self.slots.set(going_out(attempt, endpoint, 0, max_tokens));
                (SEND, call)
            }
            Decision::Hedge { call, attempt, endpoint, max_tokens } => {
                self.slots.set(going_out(attempt, endpoint, 0, max_tokens));
                (HEDGE, call)
            }
            Decision::Abort { call, attempt } => {
                self.slots.set([number(attempt.0), NONE, NONE, NONE]);
                (ABORT, call)
            }
            Decision::End { call, reason } => {
                self.slots.end(reason);
                (END, call)
            }
        };
        self.call = number(call.0);
        kind
    }

    /// The call that the last decision is about.
    #[must_use]
    #[wasm_bindgen(js_name = decidedCall)]
    pub fn decided_call(&self) -> f64 {
        self.call
    }

    /// Takes out the next event, as JSON.
    #[wasm_bindgen(js_name = pollEvent)]
    pub fn poll_event(&mut self) -> Option<String> {
        self.engine.poll_event().map(|event| text(&event))
    }

    /// When to wake the engine next: the time and, as the first slot, the number of the reason. Negative for never.
    #[wasm_bindgen(js_name = nextWakeup)]
    pub fn next_wakeup(&mut self) -> f64 {
        let Some(wakeup) = self.engine.next_wakeup() else { return NONE };
        self.slots.set([f64::from(wake_reason(wakeup.reason)), NONE, NONE, NONE]);
        micros(wakeup.at)
    }

    /// Puts another policy in force.
    pub fn reconfigure(&mut self, now: f64, policy: &Policy) {
        self.engine.reconfigure(time(now), policy.0.clone());
    }

    /// All that was learned and counted, as a text.
    pub fn snapshot(&mut self, now: f64) -> String {
        self.engine.snapshot(time(now)).to_json()
    }

    /// Why a call waits or what became of it, as JSON.
    pub fn explain(&mut self, now: f64, call: f64) -> Option<String> {
        explain(&mut self.engine, now, call).as_ref().map(text)
    }

    /// The same as a line to read.
    pub fn describe(&mut self, now: f64, call: f64) -> Option<String> {
        describe(&mut self.engine, now, call)
    }

    /// Calls that wait.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn waiting(&self) -> usize {
        self.engine.waiting()
    }

    /// Attempts that are out.
    #[must_use]
    #[wasm_bindgen(getter, js_name = inFlight)]
    pub fn in_flight(&self) -> usize {
        self.engine.in_flight()
    }

    /// How much of a pool's limit is used, in thousandths; negative for a pool that does not exist.
    #[wasm_bindgen(js_name = poolUse)]
    pub fn pool_use(&mut self, now: f64, pool: u16, of: u32) -> f64 {
        number_or_none(self.engine.pool_use_permille(time(now), PoolId(pool), quota(of)))
    }

    /// The message of an error that an input answered, about this call, attempt or model.
    #[must_use]
    #[wasm_bindgen(js_name = inputError)]
    pub fn input_error(code: u32, subject: f64) -> String {
        message(code, subject)
    }
}

pub(crate) fn going_out(
    attempt: sluicegate::AttemptId,
    endpoint: EndpointId,
    count: u32,
    max_tokens: Option<u32>,
) -> [f64; 4] {
    [number(attempt.0), f64::from(endpoint.0), f64::from(count), max_tokens.map_or(NONE, f64::from)]
}

pub(crate) fn read_snapshot(snapshot: &str) -> Result<Snapshot, JsValue> {
    Snapshot::from_json(snapshot).map_err(|error| JsValue::from_str(&format!("{}:{error}", error.code())))
}

pub(crate) fn explain(engine: &mut sluicegate::Engine, now: f64, call: f64) -> Option<Explanation> {
    engine.explain(time(now), call_id(call))
}

pub(crate) fn describe(engine: &mut sluicegate::Engine, now: f64, call: f64) -> Option<String> {
    let explanation = explain(engine, now, call)?;
    Some(engine.describe(time(now), &explanation))
}

pub(crate) fn message(code: u32, subject: f64) -> String {
    match code {
        1 => InputError::DuplicateCall(call_id(subject)).to_string(),
        2 => InputError::UnknownCall(call_id(subject)).to_string(),
        3 => InputError::UnknownAttempt(attempt_id(subject)).to_string(),
        _ => InputError::UnknownModel(model_id(whole(subject).try_into().unwrap_or(u32::MAX))).to_string(),
    }
}

/// As JSON. Names, numbers and lists can always be written.
pub(crate) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
