//! The simulator for the page in `wasm/playground`: text in, text out.
//!
//! Everything passes as JSON, whose types are those of `sluicegate-sim`; the page's `types.ts` names what it reads of them.
//! Faults come back as JSON too, in a list of `{code, pointer, message}`.

mod setup;

use sluicegate::{Policy, Timestamp};
use sluicegate_sim::{Effect, LaneId, Live, SideBySide};
use wasm_bindgen::prelude::*;

pub use setup::{Fault, Play, Setup};

type Result<T> = core::result::Result<T, JsError>;

/// Several clients with the same calls, under way.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Playground {
    sides: SideBySide,
}

#[wasm_bindgen]
impl Playground {
    /// A run as a [`Setup`] says, at time zero.
    ///
    /// # Errors
    /// Every fault of it, as JSON.
    #[wasm_bindgen(constructor)]
    pub fn new(setup: &str) -> Result<Self> {
        let sides = Setup::parse(setup).and_then(|setup| setup.sides()).map_err(faulty)?;
        Ok(Self { sides })
    }

    /// Plays all that happens up to a moment, in microseconds.
    ///
    /// # Errors
    /// A client is stuck, or there are too many calls.
    pub fn advance(&mut self, to_us: f64) -> Result<()> {
        self.sides.advance(micros(to_us)).map_err(JsError::from)
    }

    /// Whether every call has been made and has ended.
    #[wasm_bindgen(getter)]
    pub fn over(&self) -> bool {
        self.sides.is_over()
    }

    /// The sides as they are now.
    #[must_use]
    pub fn state(&self) -> String {
        text(&self.sides.sides().iter().map(Live::state).collect::<Vec<_>>())
    }

    /// The ends of the seconds played, of each side, from the one at a place on.
    #[must_use]
    pub fn samples(&self, from: usize) -> String {
        let samples = |side: &Live| side.samples().get(from..).unwrap_or_default().to_vec();
        text(&self.sides.sides().iter().map(samples).collect::<Vec<_>>())
    }

    /// The calls that wait at a side, the longest first; at most so many.
    #[must_use]
    pub fn waiting(&self, side: usize, most: usize) -> String {
        text(&self.sides.sides().get(side).map(|side| side.waiting(most)))
    }

    /// What is known of a call at each side: `{call, why}`.
    #[must_use]
    pub fn why(&self, call: u32) -> String {
        let why = |side: &Live| serde_json::json!({"call": side.call(call), "why": side.why(call)});
        text(&self.sides.sides().iter().map(why).collect::<Vec<_>>())
    }

    /// Calls come at so many thousandths of the workload's own rate from now on.
    #[wasm_bindgen(js_name = setLoad)]
    pub fn set_load(&mut self, permille: u32) {
        self.sides.set_load(permille);
    }

    /// Puts a lane of every side's service in an effect from now on, or ends it.
    ///
    /// # Errors
    /// There is no such effect.
    pub fn intervene(&mut self, lane: usize, effect: &str, wanted: bool) -> Result<()> {
        let effect: Effect = serde_json::from_str(effect)?;
        self.sides.intervene(LaneId(lane), effect, wanted);
        Ok(())
    }

    /// Puts another policy in force.
    ///
    /// # Errors
    /// Every fault of it, as JSON; the old one stays in force.
    pub fn reconfigure(&mut self, policy: &str) -> Result<()> {
        let policy = Policy::from_json(policy).map_err(|error| faulty(setup::of_policy(error, "")))?;
        self.sides.reconfigure(&policy).map_err(|error| faulty(vec![setup::does_not_fit(&error, "")]))
    }

    /// The figures of each side so far.
    #[must_use]
    pub fn reports(&self) -> String {
        text(&self.sides.sides().iter().map(Live::report).collect::<Vec<_>>())
    }

    /// How many of the calls so far a fair queue would have had answered in time.
    ///
    /// # Errors
    /// The service cannot be built, which does not happen once a run is under way.
    #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn fair(&self) -> Result<f64> {
        Ok(self.sides.fair()? as f64)
    }
}

/// The faults of a policy, as JSON; an empty list if it has none.
#[wasm_bindgen(js_name = policyFaults)]
#[must_use]
pub fn policy_faults(policy: &str) -> String {
    text(&Policy::from_json(policy).err().map_or_else(Vec::new, |error| setup::of_policy(error, "")))
}

/// The JSON Schema of policies.
#[wasm_bindgen(js_name = policySchema)]
#[must_use]
pub fn policy_schema() -> String {
    text(&Policy::schema())
}

/// The policy that says what clients are told of a scenario's quotas, and nothing else.
///
/// # Errors
/// Every fault of the scenario, as JSON.
#[wasm_bindgen(js_name = policyOf)]
pub fn policy_of(scenario: &str) -> Result<String> {
    Ok(text(&setup::scenario(scenario).map_err(faulty)?.policy_document()))
}

/// What a file of calls, a trace or a log, holds: `{calls, rate}`, the rate in calls per 1,000 seconds.
///
/// # Errors
/// What is wrong with it, and where, as JSON.
#[wasm_bindgen(js_name = readCalls)]
pub fn read_calls(text: &str) -> Result<String> {
    let (calls, rate) = setup::Calls::read(text, 1).map_err(faulty)?.size();
    Ok(self::text(&serde_json::json!({"calls": calls, "rate": rate})))
}

fn micros(value: f64) -> Timestamp {
    // The conversion saturates, and takes what is no number for 0.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
    Timestamp::from_micros(value as u64)
}

fn faulty(faults: Vec<Fault>) -> JsError {
    JsError::new(&text(&faults))
}

/// None of these types fails to become JSON.
fn text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
