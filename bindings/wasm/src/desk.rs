//! The engine with its generator and the books of those who wait: what stands behind a gate.

use sluicegate::{Call, CallId, LabelId, Outcome, TenantId};
use sluicegate_driver::{Attempt, DeskError, Request, Turn};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::appraiser::Plan;
use crate::codes::{
    NONE, Slots, attempt_id, call_id, duration, input_error, micros, model_id, number, outcome, small, time, whole,
};
use crate::engine::{ABORT, END, HEDGE, SEND, describe, explain, going_out, read_snapshot, text};
use crate::policy::Policy;

/// The desk. A submission answers the call's number, or minus the number of an error.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Desk {
    desk: sluicegate_driver::Desk,
    slots: Slots,
}

#[wasm_bindgen]
#[expect(clippy::too_many_arguments, reason = "numbers cross the border faster than objects")]
impl Desk {
    /// A desk with full pools.
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new(policy: &Policy, seed: u64, now: f64) -> Self {
        Self { desk: sluicegate_driver::Desk::new(policy.0.clone(), seed, time(now)), slots: Slots::new() }
    }

    /// A desk that goes on from a snapshot.
    ///
    /// # Errors
    /// The text is no snapshot: the code and the message, with a colon in between.
    pub fn restore(policy: &Policy, seed: u64, now: f64, snapshot: &str, asleep: f64) -> Result<Self, JsValue> {
        let snapshot = read_snapshot(snapshot)?;
        let desk = sluicegate_driver::Desk::restore(policy.0.clone(), seed, time(now), &snapshot, duration(asleep));
        Ok(Self { desk, slots: Slots::new() })
    }

    /// Where the four numbers of an answer stand in memory.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.address()
    }

    /// Submits a call. What is negative is not there.
    pub fn submit(
        &mut self,
        now: f64,
        model: u32,
        tokens: f64,
        within: f64,
        priority: u8,
        tenant: u32,
        max_tokens: f64,
        label: u16,
        lone: bool,
    ) -> f64 {
        let call = Call {
            priority,
            tenant: TenantId(tenant),
            max_tokens: small(max_tokens),
            label: LabelId(label),
            lone,
            ..Call::new(CallId(0), model_id(model), whole(tokens))
        };
        self.enter(now, call, within)
    }

    /// Submits a call with what is rarely there as well.
    #[wasm_bindgen(js_name = submitWith)]
    pub fn submit_with(
        &mut self,
        now: f64,
        model: u32,
        tokens: f64,
        within: f64,
        priority: u8,
        tenant: u32,
        max_tokens: f64,
        label: u16,
        lone: bool,
        affinity: Option<u64>,
        cached_tokens: u32,
        fingerprint: Option<u64>,
    ) -> f64 {
        let call = Call {
            priority,
            tenant: TenantId(tenant),
            max_tokens: small(max_tokens),
            label: LabelId(label),
            lone,
            affinity,
            cached_tokens,
            fingerprint,
            ..Call::new(CallId(0), model_id(model), whole(tokens))
        };
        self.enter(now, call, within)
    }

    /// Submits what was planned.
    #[wasm_bindgen(js_name = submitPlan)]
    pub fn submit_plan(&mut self, now: f64, plan: &Plan) -> f64 {
        let within = plan.within();
        self.enter(now, plan.call(), within)
    }

    fn enter(&mut self, now: f64, call: Call, within: f64) -> f64 {
        let mut request = Request::from(call);
        if within >= 0.0 {
            request = request.within(duration(within));
        }
        match self.desk.submit(time(now), &request) {
            Ok(call) => number(call.0),
            Err(error) => -f64::from(code(error)),
        }
    }

    /// Takes a call's next turn and answers its kind, 0 while it waits; what it is about stands in the slots.
    pub fn turn(&mut self, call: f64) -> u32 {
        let out = |Attempt { id, endpoint, number, max_tokens }: Attempt| going_out(id, endpoint, number, max_tokens);
        match self.desk.turn(call_id(call)) {
            None => 0,
            Some(Turn::Send(attempt)) => {
                self.slots.set(out(attempt));
                SEND
            }
            Some(Turn::Hedge(attempt)) => {
                self.slots.set(out(attempt));
                HEDGE
            }
            Some(Turn::Abort(attempt)) => {
                self.slots.set([number(attempt.0), NONE, NONE, NONE]);
                ABORT
            }
            Some(Turn::End(reason)) => {
                self.slots.end(reason);
                END
            }
        }
    }

    /// Reports how an attempt ended. Answers 0, or the number of an error.
    pub fn report(
        &mut self,
        now: f64,
        call: f64,
        attempt: f64,
        class: u32,
        cost: f64,
        retry_after: f64,
        output_tokens: f64,
        truncated: bool,
    ) -> u32 {
        self.settle(now, call, attempt, outcome(class, cost, retry_after, output_tokens, truncated))
    }

    fn settle(&mut self, now: f64, call: f64, attempt: f64, outcome: Outcome) -> u32 {
        self.desk.report(time(now), call_id(call), attempt_id(attempt), outcome).map_or_else(code, |()| 0)
    }

    /// The caller goes.
    pub fn leave(&mut self, now: f64, call: f64) {
        self.desk.leave(time(now), call_id(call));
    }

    /// The time of the next wake-up has come.
    pub fn wake(&mut self, now: f64) {
        self.desk.wake(time(now));
    }

    /// When to wake the desk next; negative for never.
    #[must_use]
    #[wasm_bindgen(js_name = nextWakeup)]
    pub fn next_wakeup(&self) -> f64 {
        self.desk.next_wakeup().map_or(NONE, micros)
    }

    /// The next call with a turn to take; negative for none.
    #[wasm_bindgen(js_name = nextNews)]
    pub fn next_news(&mut self) -> f64 {
        self.desk.next_news().map_or(NONE, |call| number(call.0))
    }

    /// Keeps events from now on, or drops them.
    pub fn watch(&mut self, watching: bool) {
        self.desk.watch(watching);
    }

    /// The next event as JSON: its time, then itself.
    #[wasm_bindgen(js_name = nextEvent)]
    pub fn next_event(&mut self) -> Option<String> {
        self.desk.next_event().map(|event| text(&event))
    }

    /// Lets nothing more in and cancels every call that waits.
    pub fn close(&mut self, now: f64) {
        self.desk.close(time(now));
    }

    /// Puts another policy in force.
    pub fn reconfigure(&mut self, now: f64, policy: &Policy) {
        self.desk.reconfigure(time(now), policy.0.clone());
    }

    /// All that was learned and counted, as a text.
    pub fn snapshot(&mut self, now: f64) -> String {
        self.desk.engine_mut().snapshot(time(now)).to_json()
    }

    /// Why a call waits or what became of it, as JSON.
    pub fn explain(&mut self, now: f64, call: f64) -> Option<String> {
        explain(self.desk.engine_mut(), now, call).as_ref().map(text)
    }

    /// The same as a line to read.
    pub fn describe(&mut self, now: f64, call: f64) -> Option<String> {
        describe(self.desk.engine_mut(), now, call)
    }

    /// Calls that wait.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn waiting(&self) -> usize {
        self.desk.engine().waiting()
    }

    /// Attempts that are out.
    #[must_use]
    #[wasm_bindgen(getter, js_name = inFlight)]
    pub fn in_flight(&self) -> usize {
        self.desk.engine().in_flight()
    }
}

/// The number of an error: one more than the engine's have stands for a desk that is closed.
fn code(error: DeskError) -> u32 {
    match error {
        DeskError::Input(error) => input_error(error),
        _ => u32::try_from(sluicegate::InputError::CODES.len()).map_or(u32::MAX, |count| count + 1),
    }
}
