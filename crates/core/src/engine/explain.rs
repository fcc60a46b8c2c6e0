//! Why a call waits, or what became of it, as data and as a line to read.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::io::{AttemptId, Call, CallId, EndReason};
use super::start::Start;
use super::{CallPhase, Engine};
use crate::outcome::{OutcomeClass, Quota};
use crate::policy::EndpointId;
use crate::time::{Timestamp, micros};

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// In the queue.
    Waiting,
    /// Put off until this time: between two attempts, or for its prompt cache.
    Delayed(Timestamp),
    /// Sent; this attempt is out.
    Out(AttemptId),
    /// Over.
    Ended(EndReason),
}

/// Whether an endpoint can start a call, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The call was sent there.
    Chosen,
    /// It can start the call now.
    Ready,
    /// It can start the call now, and is expected to answer too late.
    TooSlow,
    /// It belongs to a later group or to a fallback, and one before it serves.
    InReserve,
    /// Not before this time, because of this quota of a pool.
    Quota(Quota, Timestamp),
    /// Its breaker is open, it was found unusable, or it has no capacity, until this time; without one until the policy
    /// says otherwise.
    Shut(Option<Timestamp>),
    /// All attempts it may carry at once are out, or another call that waits longer has its pools.
    Busy,
    /// The call is larger than this limit of a pool.
    TooLarge(u64),
    /// Residency does not allow it.
    Excluded,
}

impl Standing {
    pub(super) const fn of(start: Start) -> Self {
        match start {
            Start::Now => Self::Ready,
            Start::At(at, Some(quota)) => Self::Quota(quota, at),
            Start::Unusable(Timestamp::MAX) => Self::Shut(None),
            Start::At(at, None) | Start::Unusable(at) => Self::Shut(Some(at)),
            Start::AfterAReport => Self::Busy,
            Start::Never { limit } => Self::TooLarge(limit),
        }
    }
}

/// An endpoint as the call sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointView {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Whether it can start the call.
    pub standing: Standing,
}

/// An attempt that was made for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Its name.
    pub attempt: AttemptId,
    /// Where it went.
    pub endpoint: EndpointId,
    /// When.
    pub sent_at: Timestamp,
    /// How it ended; `None` while it is out.
    pub class: Option<OutcomeClass>,
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
    /// When the endpoints were as they are described: now for a call that waits, else when it was last decided about.
    pub as_of: Timestamp,
    /// The endpoints for its model and its fallbacks. Of a call that does not wait: those that were considered.
    pub endpoints: Vec<EndpointView>,
    /// The attempts made for it, oldest first, as far as they are remembered.
    pub trials: Vec<Trial>,
}

impl Engine {
    /// Why a call waits, where it was sent, or how it ended, and why each endpoint was passed over. `None` for a call that
    /// was never submitted, or ended more than [`DECISIONS_KEPT`](crate::defaults::DECISIONS_KEPT) decisions ago.
    pub fn explain(&mut self, now: Timestamp, call: CallId) -> Option<Explanation> {
        let now = self.now.max(now);
        let trials = self.history.trials(call);
        let Some(state) = self.calls.get(&call) else {
            let end = self.history.end(call)?;
            let (as_of, endpoints) = self.history.last_views(call).unwrap_or((end.at, &[]));
            let (phase, attempts, endpoints) = (Phase::Ended(end.reason), end.attempts, endpoints.to_vec());
            return Some(Explanation { call, phase, attempts, ahead: None, as_of, endpoints, trials });
        };
        let (of, place, attempts, submitted) = (state.call(), state.place, state.attempts, state.submitted);
        let phase = match state.phase() {
            CallPhase::Waiting => Phase::Waiting,
            CallPhase::Delayed(at) => Phase::Delayed(at),
            CallPhase::Out(attempt) => Phase::Out(attempt),
        };
        if let Phase::Out(_) = phase {
            let (as_of, endpoints) = self.history.last_views(call).unwrap_or((now, &[]));
            let endpoints = endpoints.to_vec();
            return Some(Explanation { call, phase, attempts, ahead: None, as_of, endpoints, trials });
        }
        let waiting = phase == Phase::Waiting;
        let ahead = waiting.then(|| self.model(of.model).queue.before(&self.calls.states, of.tenant, place));
        let endpoints = self.views(now, &of, submitted);
        Some(Explanation { call, phase, attempts, ahead, as_of: now, endpoints, trials })
    }

    /// Every endpoint for the call's model and its fallbacks, and those that residency keeps out.
    fn views(&mut self, now: Timestamp, call: &Call, submitted: Timestamp) -> Vec<EndpointView> {
        let mut views: Vec<EndpointView> = Vec::new();
        for index in 0.. {
            let candidates = &self.model(call.model).candidates;
            let Some(endpoint) = candidates.endpoints.get(index).copied() else { break };
            let reserved = now < submitted.saturating_add(candidates.patience_at(index));
            let last = self.latest_start_at(endpoint, &self.due(call.model, call.deadline, submitted, call.max_tokens));
            let standing = match self.start(now, endpoint, call.tokens) {
                Start::Now if last.is_some_and(|last| now > last) => Standing::TooSlow,
                Start::Now if reserved => Standing::InReserve,
                other => Standing::of(other),
            };
            views.push(EndpointView { endpoint, standing });
        }
        for (index, endpoint) in self.policy.endpoints().iter().enumerate() {
            if endpoint.model == call.model && !self.policy.allows(endpoint) {
                let endpoint = EndpointId(u16::try_from(index).unwrap_or(u16::MAX));
                views.push(EndpointView { endpoint, standing: Standing::Excluded });
            }
        }
        views
    }

    /// An explanation as one line.
    #[must_use]
    pub fn describe(&self, now: Timestamp, explanation: &Explanation) -> String {
        let name = |id: EndpointId| self.policy.endpoint(id).map_or("?", |endpoint| endpoint.name.as_str());
        let wait = |at: Timestamp| micros(at.saturating_since(explanation.as_of)) / 1_000;
        let mut line = String::new();
        let _ = write!(line, "call {}: ", explanation.call.0);
        let _ = match explanation.phase {
            Phase::Waiting => write!(line, "waiting behind {} others", explanation.ahead.unwrap_or(0)),
            Phase::Delayed(at) => write!(line, "tried again in {} ms", micros(at.saturating_since(now)) / 1_000),
            Phase::Out(attempt) => write!(line, "attempt {} is out", attempt.0),
            Phase::Ended(reason) => write!(line, "{reason}"),
        };
        for trial in &explanation.trials {
            let _ = match trial.class {
                Some(class) => write!(line, "; sent to {}: {class}", name(trial.endpoint)),
                None => write!(line, "; sent to {}", name(trial.endpoint)),
            };
        }
        for view in &explanation.endpoints {
            let name = name(view.endpoint);
            let _ = match view.standing {
                Standing::Chosen => Ok(()),
                Standing::Ready => write!(line, "; {name} is free"),
                Standing::TooSlow => write!(line, "; {name} is free and would answer too late"),
                Standing::InReserve => write!(line, "; {name} is kept in reserve"),
                Standing::Quota(quota, at) => {
                    let what = match quota {
                        Quota::Requests => "requests per minute",
                        Quota::Tokens => "tokens per minute",
                        Quota::Day => "tokens per day",
                        Quota::Unknown => "its quota",
                    };
                    write!(line, "; {name} has no {what} for {} ms", wait(at))
                }
                Standing::Shut(None) => write!(line, "; {name} is shut"),
                Standing::Shut(Some(at)) => write!(line, "; {name} is shut for {} ms", wait(at)),
                Standing::Busy => write!(line, "; {name} is busy"),
                Standing::TooLarge(limit) => write!(line, "; {name} holds at most {limit} tokens"),
                Standing::Excluded => write!(line, "; {name} is outside the residency"),
            };
        }
        line
    }
}
