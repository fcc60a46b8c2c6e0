//! What goes into the engine and what comes out of it.

use serde::{Deserialize, Serialize};

use crate::outcome::{Outcome, OutcomeClass};
use crate::policy::{EndpointId, ModelId};
use crate::time::Timestamp;

/// Names one logical request of the application; the caller picks it and does not use it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub u64);

/// Names one wire request made for a call; the engine picks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(pub u64);

/// Names whom a call is made for; fairness is measured between tenants. The tenants of the policy come first, in the
/// order of [`Policy::tenants`](crate::Policy::tenants); any other number is a tenant of weight 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub u32);

/// Names a kind of call, for what is learned of the length of answers; the caller picks it. 0 where it does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LabelId(pub u16);

/// One logical request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Call {
    /// Its name.
    pub id: CallId,
    /// The model it asks for.
    pub model: ModelId,
    /// The tokens the service reserves when it admits the call.
    pub tokens: u64,
    /// When it must have been answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Higher goes first among the calls of its tenant; each level is worth the policy's `priority_step_ms` of waiting.
    #[serde(default)]
    pub priority: u8,
    /// Whom it is made for.
    #[serde(default)]
    pub tenant: TenantId,
    /// What calls share that reuse one prompt cache, such as a conversation; it keeps them on one endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<u64>,
    /// How many tokens of the prompt that cache is expected to hold: what moving elsewhere costs.
    #[serde(default)]
    pub cached_tokens: u32,
    /// The cap on the answer's length that is part of `tokens`, where the sender can still lower it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// What kind of call it is: lengths of answers are learned for each model and label.
    #[serde(default)]
    pub label: LabelId,
    /// A hash of what is asked. A call that comes again soon after it failed shows that somebody else retries as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<u64>,
    /// Never sent twice at once, whatever the policy says of hedging.
    #[serde(default)]
    pub lone: bool,
}

impl Call {
    /// A call for `tokens` tokens without deadline, at priority 0, for tenant 0.
    #[must_use]
    pub const fn new(id: CallId, model: ModelId, tokens: u64) -> Self {
        Self {
            id,
            model,
            tokens,
            deadline: None,
            priority: 0,
            tenant: TenantId(0),
            affinity: None,
            cached_tokens: 0,
            max_tokens: None,
            label: LabelId(0),
            fingerprint: None,
            lone: false,
        }
    }

    /// The same call with a deadline.
    #[must_use]
    pub const fn deadline(mut self, deadline: Timestamp) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The same call with a priority.
    #[must_use]
    pub const fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// The same call for a tenant.
    #[must_use]
    pub const fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = tenant;
        self
    }

    /// The same call, kept with others of `key` where their prompt cache is, which holds `cached_tokens` of its prompt.
    #[must_use]
    pub const fn affinity(mut self, key: u64, cached_tokens: u32) -> Self {
        self.affinity = Some(key);
        self.cached_tokens = cached_tokens;
        self
    }

    /// The same call with the cap on its answer that is part of its tokens.
    #[must_use]
    pub const fn max_tokens(mut self, cap: u32) -> Self {
        self.max_tokens = Some(cap);
        self
    }

    /// The same call with a label.
    #[must_use]
    pub const fn label(mut self, label: LabelId) -> Self {
        self.label = label;
        self
    }

    /// The same call with a hash of what it asks.
    #[must_use]
    pub const fn fingerprint(mut self, hash: u64) -> Self {
        self.fingerprint = Some(hash);
        self
    }

    /// The same call, never to be hedged.
    #[must_use]
    pub const fn lone(mut self) -> Self {
        self.lone = true;
        self
    }
}

/// What the engine is told. A list of times and inputs is a trace: it replays to the same decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A new call.
    Submit(Call),
    /// How an attempt ended.
    Report {
        /// The attempt, as named by [`Decision::Send`].
        attempt: AttemptId,
        /// Its end.
        outcome: Outcome,
    },
    /// The caller no longer wants the call. Attempts that are out must still be reported.
    Cancel(CallId),
    /// The time of [`Engine::next_wakeup`](crate::Engine::next_wakeup) has come. At any other time it changes nothing.
    Wake,
}

/// What the engine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Send an attempt for `call` to `endpoint` now, and report its end.
    Send {
        /// The call.
        call: CallId,
        /// The name of the attempt, for the report.
        attempt: AttemptId,
        /// Where to.
        endpoint: EndpointId,
        /// The cap on the answer to ask for instead of the call's own, where the policy has it lowered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_tokens: Option<u32>,
    },
    /// Send a second attempt for `call` beside the one that is out, to another endpoint, and report its end as well. The
    /// first to answer ends the call.
    Hedge {
        /// The call.
        call: CallId,
        /// The name of the attempt, for the report.
        attempt: AttemptId,
        /// Where to.
        endpoint: EndpointId,
        /// As in [`Decision::Send`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_tokens: Option<u32>,
    },
    /// Give up this attempt: the call's other one has ended the call. Report it as cancelled, with what is known of its
    /// cost.
    Abort {
        /// The call.
        call: CallId,
        /// The attempt.
        attempt: AttemptId,
    },
    /// The call is over. Comes exactly once for every submitted call, and nothing else ends one: an answer that was cut
    /// short may be [asked for again](Outcome::truncated), and is then the call's answer only if this comes without a
    /// better one.
    End {
        /// The call.
        call: CallId,
        /// How it ended.
        reason: EndReason,
    },
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// An attempt succeeded.
    Answered,
    /// It was not sent (again), because that could not have helped.
    Refused {
        /// Why.
        why: Refusal,
        /// The earliest time at which submitting it could help, where one is known.
        retry_at: Option<Timestamp>,
    },
    /// Its deadline passed while it waited.
    Expired,
    /// The caller cancelled it.
    Cancelled,
    /// Its last attempt failed and was not to be repeated.
    Failed {
        /// How the last attempt ended.
        class: OutcomeClass,
    },
}

/// Why a call was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It could not be answered before its deadline.
    Deadline,
    /// It needs more tokens than any endpoint's pools hold.
    TooLarge {
        /// The largest size that fits.
        limit: u64,
    },
    /// As many calls wait as the policy allows.
    QueueFull,
    /// It would have to wait longer than the policy's target.
    TargetWait,
    /// No endpoint for its model is usable.
    NoEndpoint,
}

impl Refusal {
    /// The stable name of the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::TooLarge { .. } => "too_large",
            Self::QueueFull => "queue_full",
            Self::TargetWait => "target_wait",
            Self::NoEndpoint => "no_endpoint",
        }
    }
}

impl EndReason {
    /// The stable name of the end; [`Refusal::code`] says more of a refused call.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused { .. } => "refused",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Failed { .. } => "failed",
        }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Deadline => write!(f, "it could not be answered before its deadline"),
            Self::TooLarge { limit } => write!(f, "it needs more than the {limit} tokens that its quota pools hold"),
            Self::TargetWait => write!(f, "it would have to wait longer than the policy wants anyone to"),
            Self::QueueFull => write!(f, "as many calls wait as the policy allows"),
            Self::NoEndpoint => write!(f, "no endpoint for its model is usable"),
        }
    }
}

impl core::fmt::Display for EndReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Answered => write!(f, "answered"),
            Self::Refused { why, .. } => write!(f, "refused: {why}"),
            Self::Expired => write!(f, "expired: its deadline passed while it waited"),
            Self::Cancelled => write!(f, "cancelled"),
            Self::Failed { class } => write!(f, "failed: {class}"),
        }
    }
}

/// Misuse by the caller. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InputError {
    /// A call of this name is under way.
    DuplicateCall(CallId),
    /// No call of this name is under way.
    UnknownCall(CallId),
    /// No attempt of this name is out: never sent, already reported, or its lease has expired.
    UnknownAttempt(AttemptId),
    /// The policy has no such model.
    UnknownModel(ModelId),
}

impl InputError {
    /// The codes of all such errors.
    pub const CODES: &[&str] = &["duplicate_call", "unknown_call", "unknown_attempt", "unknown_model"];

    /// The stable name of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::DuplicateCall(_) => "duplicate_call",
            Self::UnknownCall(_) => "unknown_call",
            Self::UnknownAttempt(_) => "unknown_attempt",
            Self::UnknownModel(_) => "unknown_model",
        }
    }
}

impl core::fmt::Display for InputError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::DuplicateCall(call) => write!(f, "call {} is already under way; give each call its own id", call.0),
            Self::UnknownCall(call) => write!(f, "no call {} is under way", call.0),
            Self::UnknownAttempt(attempt) => write!(f, "attempt {} is not out; report each attempt once", attempt.0),
            Self::UnknownModel(model) => write!(f, "the policy has no model number {}", model.0),
        }
    }
}

impl core::error::Error for InputError {}

/// When to hand the engine the next [`Input::Wake`], and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Wakeup {
    /// The time; it may lie in the past, meaning now.
    pub at: Timestamp,
    /// What happens then.
    pub reason: WakeReason,
}

/// What a wake-up is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WakeReason {
    /// Decisions wait to be taken out.
    Undrained,
    /// A pool has refilled, or an endpoint may be probed.
    Start,
    /// A call that was put off is due: a retry, or a wait for its prompt cache.
    Retry,
    /// A waiting call can no longer be answered in time.
    Deadline,
    /// An attempt takes so long that a second one may be sent.
    Hedge,
    /// A permit was held too long.
    Lease,
}
