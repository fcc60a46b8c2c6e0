//! What a call asks for, and what it is told.

use std::time::Duration;

use sluicegate::{AttemptId, Call, CallId, EndReason, EndpointId, LabelId, ModelId, TenantId, Timestamp};

/// What one call asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    call: Call,
    within: Option<Duration>,
}

impl Request {
    /// A call to `model` for which the service reserves `tokens` tokens.
    #[must_use]
    pub const fn new(model: ModelId, tokens: u64) -> Self {
        // The gate names the call when it is submitted.
        Self { call: Call::new(CallId(0), model, tokens), within: None }
    }

    /// The same request with a deadline, counted from its submission.
    #[must_use]
    pub const fn within(mut self, deadline: Duration) -> Self {
        self.within = Some(deadline);
        self
    }

    /// The same request with a priority; higher goes first.
    #[must_use]
    pub const fn priority(mut self, priority: u8) -> Self {
        self.call.priority = priority;
        self
    }

    /// The same request for a tenant.
    #[must_use]
    pub const fn tenant(mut self, tenant: TenantId) -> Self {
        self.call.tenant = tenant;
        self
    }

    /// The same request, kept with others of `key` where their prompt cache is, which is expected to hold `cached_tokens`
    /// tokens of its prompt.
    #[must_use]
    pub const fn affinity(mut self, key: u64, cached_tokens: u32) -> Self {
        self.call = self.call.affinity(key, cached_tokens);
        self
    }

    /// The same request with the cap on its answer, in tokens, that is part of its tokens. Give it only where each attempt
    /// can be sent with the lower one of [`Attempt::max_tokens`].
    #[must_use]
    pub const fn max_tokens(mut self, cap: u32) -> Self {
        self.call = self.call.max_tokens(cap);
        self
    }

    /// The same request with a label: lengths of answers are learned for each model and label.
    #[must_use]
    pub const fn label(mut self, label: LabelId) -> Self {
        self.call = self.call.label(label);
        self
    }

    /// The same request with a hash of what it asks, by which the engine notices that somebody else retries as well.
    #[must_use]
    pub const fn fingerprint(mut self, hash: u64) -> Self {
        self.call = self.call.fingerprint(hash);
        self
    }

    /// The same request, never to be sent twice at once.
    #[must_use]
    pub const fn lone(mut self) -> Self {
        self.call = self.call.lone();
        self
    }

    pub(crate) fn call(&self, id: CallId, now: Timestamp) -> Call {
        let deadline = self.within.map(|within| now.saturating_add(within));
        Call { id, deadline: deadline.or(self.call.deadline), ..self.call }
    }
}

/// Asks for what the call says; it is named anew when it is submitted.
impl From<Call> for Request {
    fn from(call: Call) -> Self {
        Self { call, within: None }
    }
}

/// An attempt that is to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its name.
    pub id: AttemptId,
    /// Where to send it.
    pub endpoint: EndpointId,
    /// 1 for the call's first attempt.
    pub number: u32,
    /// The cap on the answer to ask for in place of the request's own, in tokens; always lower. `None` for its own.
    pub max_tokens: Option<u32>,
}

/// What a call is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Send an attempt and [report](crate::Desk::report) its end.
    Send(Attempt),
    /// Send a second attempt beside the one that is out, and report its end as well. Never comes to a
    /// [lone](Request::lone) call.
    Hedge(Attempt),
    /// Give this attempt up, the other one has ended the call: stop it and report it as cancelled.
    Abort(AttemptId),
    /// The call is over.
    End(EndReason),
}

/// A call that ended without an answer.
#[derive(Debug)]
pub struct Ended<E> {
    /// How the engine ended it.
    pub reason: EndReason,
    /// The error of the attempt that ended last, if one was made.
    pub last: Option<E>,
}
