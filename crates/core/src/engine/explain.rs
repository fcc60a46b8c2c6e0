//! Why a call waits, as data and as a line to read.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::dispatch::Start;
use super::io::{AttemptId, CallId};
use super::{CallPhase, Engine};
use crate::outcome::Quota;
use crate::policy::EndpointId;
use crate::time::Timestamp;

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// In the queue.
    Waiting,
    /// Between two attempts, until this time.
    Delayed(Timestamp),
    /// Sent; this attempt is out.
    Out(AttemptId),
}

/// Whether an endpoint can start a call, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It can start now.
    Ready,
    /// Not before this time, because of this quota of a pool.
    Quota(Quota, Timestamp),
    /// Its breaker is open, or it was found unusable, until this time.
    Shut(Timestamp),
    /// All attempts it may carry at once are out.
    Busy,
    /// The call is larger than this limit of a pool.
    TooLarge(u64),
}

/// An endpoint as the call sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointView {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Whether it can start the call.
    pub standing: Standing,
}

/// The answer of [`Engine::explain`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The call.
    pub call: CallId,
    /// Where it stands.
    pub phase: Phase,
    /// Attempts so far.
    pub attempts: u32,
    /// Calls of the same tenant and model before it; `None` unless it is in the queue.
    pub ahead: Option<usize>,
    /// Every endpoint that residency allows.
    pub endpoints: Vec<EndpointView>,
}

impl Engine {
    /// Why a call that is under way has not been answered yet; `None` for one that is not under way.
    pub fn explain(&mut self, now: Timestamp, call: CallId) -> Option<Explanation> {
        let now = self.now.max(now);
        let state = self.calls.get(&call)?;
        let (tokens, model, place, attempts) = (state.tokens, state.model, state.place, state.attempts);
        let tenant = state.tenant;
        let phase = match state.phase() {
            CallPhase::Waiting => Phase::Waiting,
            CallPhase::Delayed(at) => Phase::Delayed(at),
            CallPhase::Out(attempt) => Phase::Out(attempt),
        };
        let ahead =
            (phase == Phase::Waiting).then(|| self.model(model).queue.before(&self.calls.states, tenant, place));
        let endpoints = self
            .model(model)
            .candidates
            .endpoints
            .clone()
            .into_iter()
            .map(|endpoint| EndpointView {
                endpoint,
                standing: match self.start(now, endpoint, tokens) {
                    Start::Now => Standing::Ready,
                    Start::At(at, Some(quota)) => Standing::Quota(quota, at),
                    Start::At(at, None) | Start::Unusable(at) => Standing::Shut(at),
                    Start::AfterAReport => Standing::Busy,
                    Start::Never { limit } => Standing::TooLarge(limit),
                },
            })
            .collect();
        Some(Explanation { call, phase, attempts, ahead, endpoints })
    }

    /// An explanation as one line.
    #[must_use]
    pub fn describe(&self, now: Timestamp, explanation: &Explanation) -> String {
        let wait = |at: Timestamp| at.saturating_since(now).as_millis();
        let mut line = String::new();
        let _ = write!(line, "call {}: ", explanation.call.0);
        let _ = match explanation.phase {
            Phase::Waiting => write!(line, "waiting behind {} others", explanation.ahead.unwrap_or(0)),
            Phase::Delayed(at) => write!(line, "tried again in {} ms", wait(at)),
            Phase::Out(attempt) => write!(line, "attempt {} is out", attempt.0),
        };
        for view in &explanation.endpoints {
            let name = self.policy.endpoint(view.endpoint).map_or("?", |endpoint| endpoint.name.as_str());
            let _ = match view.standing {
                Standing::Ready => write!(line, "; {name} is free"),
                Standing::Quota(quota, at) => {
                    let what = match quota {
                        Quota::Requests => "requests per minute",
                        Quota::Tokens => "tokens per minute",
                        Quota::Day => "tokens per day",
                        Quota::Unknown => "its quota",
                    };
                    write!(line, "; {name} has no {what} for {} ms", wait(at))
                }
                Standing::Shut(at) => write!(line, "; {name} is shut for {} ms", wait(at)),
                Standing::Busy => write!(line, "; {name} is busy"),
                Standing::TooLarge(limit) => write!(line, "; {name} holds at most {limit} tokens"),
            };
        }
        line
    }
}
