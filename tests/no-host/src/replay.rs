//! Replays a conformance trace; `tests/vectors/README.md` says what one looks like.
//!
//! The core's own tests compile this file too, so that the host, WebAssembly and the blessed expectations have one reader.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sluicegate::random::Draws;
use sluicegate::{CallId, Engine, Input, Policy, PolicyError, Snapshot, Timestamp};

/// A trace as written. What it expects is left to whoever compares.
#[derive(Deserialize)]
struct Trace {
    policy: Option<Value>,
    policy_text: Option<String>,
    #[serde(default)]
    draws: Vec<String>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    at: Option<At>,
    after: Option<u64>,
    /// How often the same is done; once, if absent.
    times: Option<u32>,
    /// The most decisions and the most events that are taken out afterwards; all, if absent.
    take: Option<usize>,
    #[serde(flatten)]
    action: Action,
}

/// When a step happens: at a time, or when the engine asked to be woken.
#[derive(Deserialize)]
#[serde(untagged)]
enum At {
    Time(Timestamp),
    Wakeup(AtWakeup),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum AtWakeup {
    Wakeup,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Input(Input),
    Reconfigure(Value),
    Explain(CallId),
    Snapshot(Take),
    Restore(Restore),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Take {
    Take,
}

#[derive(Deserialize)]
struct Restore {
    /// The one taken last, if absent.
    snapshot: Option<Value>,
    asleep_us: u64,
}

/// Plays a trace from its beginning. Returns what came out: an object for each step, or the one with the policy's faults.
pub(crate) fn replay(trace: &Value) -> Result<Vec<Value>, String> {
    let trace = Trace::deserialize(trace).map_err(|error| error.to_string())?;
    let policy = match (&trace.policy, &trace.policy_text) {
        (Some(policy), None) => Policy::parse(policy),
        (None, Some(text)) => Policy::from_json(text),
        _ => return Err("a trace has either a policy or the text of one".to_string()),
    };
    let policy = match policy {
        Ok(policy) => policy,
        Err(error) => return Ok([json!({"faults": faults(&error)})].into()),
    };
    let draws: Result<Vec<u64>, _> = trace.draws.iter().map(|draw| draw.parse()).collect();
    let draws = draws.map_err(|error| error.to_string())?;
    let now = match trace.steps.first() {
        Some(Step { at: Some(At::Time(at)), .. }) => *at,
        _ => Timestamp::ZERO,
    };
    let mut player = Player { engine: Engine::new(policy, now), rng: Draws::new(&draws), now, saved: None };
    let steps = trace.steps.into_iter().enumerate();
    steps.map(|(index, step)| player.play(step).map_err(|error| format!("step {index}: {error}"))).collect()
}

struct Player<'a> {
    engine: Engine,
    rng: Draws<&'a [u64]>,
    now: Timestamp,
    /// The snapshot taken last.
    saved: Option<Value>,
}

impl Player<'_> {
    fn play(&mut self, step: Step) -> Result<Value, String> {
        self.now = match (step.at, step.after) {
            (Some(At::Time(at)), None) => at,
            (Some(At::Wakeup(AtWakeup::Wakeup)), None) => {
                self.engine.next_wakeup().ok_or("the engine waits for nothing")?.at
            }
            (None, Some(micros)) => self.now.saturating_add(Duration::from_micros(micros)),
            _ => return Err("a step has either `at` or `after`".to_string()),
        };
        let mut said = Map::new();
        for _ in 0..step.times.unwrap_or(1) {
            self.act(&step.action, &mut said)?;
        }
        drain(&mut self.engine, step.take.unwrap_or(usize::MAX), &mut said)?;
        Ok(Value::Object(said))
    }

    fn act(&mut self, action: &Action, said: &mut Map<String, Value>) -> Result<(), String> {
        let now = self.now;
        let mut say = |key: &str, value: Value| said.insert(key.to_string(), value);
        match action {
            Action::Input(input) => {
                if let Err(error) = self.engine.handle(now, *input, &mut self.rng) {
                    say("error", json!(error.code()));
                }
            }
            Action::Reconfigure(policy) => {
                let policy = Policy::parse(policy).map_err(|error| error.to_string())?;
                self.engine.reconfigure(now, policy);
            }
            Action::Explain(call) => {
                say("explanation", value(&self.engine.explain(now, *call))?);
            }
            Action::Snapshot(Take::Take) => {
                let saved = value(&self.engine.snapshot(now))?;
                say("saved", saved.clone());
                self.saved = Some(saved);
            }
            Action::Restore(restore) => {
                let snapshot = restore.snapshot.as_ref().or(self.saved.as_ref()).ok_or("no snapshot was taken")?;
                match Snapshot::from_json(&snapshot.to_string()) {
                    Ok(snapshot) => {
                        let asleep = Duration::from_micros(restore.asleep_us);
                        self.engine = Engine::restore(self.engine.policy().clone(), &snapshot, now, asleep);
                    }
                    Err(error) => {
                        say("error", json!(error.code()));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Takes out what the engine has to say, at most `most` decisions and as many events. What is empty is left out.
fn drain(engine: &mut Engine, most: usize, said: &mut Map<String, Value>) -> Result<(), String> {
    let decisions = core::iter::from_fn(|| engine.poll_decision()).take(most).map(|decision| value(&decision));
    let decisions = decisions.collect::<Result<Vec<_>, _>>()?;
    let events = core::iter::from_fn(|| engine.poll_event()).take(most).map(|event| value(&event));
    let events = events.collect::<Result<Vec<_>, _>>()?;
    for (key, list) in [("decisions", decisions), ("events", events)] {
        if !list.is_empty() {
            said.insert(key.to_string(), Value::Array(list));
        }
    }
    if let Some(wakeup) = engine.next_wakeup() {
        said.insert("wakeup".to_string(), value(&wakeup)?);
    }
    Ok(())
}

fn faults(error: &PolicyError) -> Vec<Value> {
    error.faults.iter().map(|fault| json!({"code": fault.code, "pointer": fault.pointer})).collect()
}

fn value(from: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(from).map_err(|error| error.to_string())
}

/// The transcript: one line of canonical JSON for each thing that came out.
pub(crate) fn transcript(out: &[Value]) -> String {
    let mut text = String::new();
    for said in out {
        canonical(said, &mut text);
        text.push('\n');
    }
    text
}

/// JSON without spaces, the keys of objects in the order of their characters.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (index, (key, field)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                canonical(&Value::from(key.as_str()), text);
                text.push(':');
                canonical(field, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                canonical(item, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}
