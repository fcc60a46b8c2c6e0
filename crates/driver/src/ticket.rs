//! A submitted call, as its caller holds it.

use std::future::poll_fn;

use sluicegate::{AttemptId, CallId, EndReason, Outcome};

use crate::gate::Gate;
use crate::request::Turn;

/// A submitted call. Dropping it cancels the call and settles what is out.
#[derive(Debug)]
pub struct Ticket {
    gate: Gate,
    /// `None` for a call that the gate would not take.
    call: Option<CallId>,
    over: Option<EndReason>,
}

impl Ticket {
    pub(crate) const fn new(gate: Gate, call: CallId) -> Self {
        Self { gate, call: Some(call), over: None }
    }

    pub(crate) const fn refused(gate: Gate, reason: EndReason) -> Self {
        Self { gate, call: None, over: Some(reason) }
    }

    /// The call's name in the engine; `None` where its model is of another policy.
    #[must_use]
    pub const fn call(&self) -> Option<CallId> {
        self.call
    }

    /// Waits for what is next. After [`Turn::End`] it says the same again. Nothing is lost if the future is dropped.
    pub async fn turn(&mut self) -> Turn {
        let (None, Some(call)) = (self.over, self.call) else {
            return Turn::End(self.over.unwrap_or(EndReason::Cancelled));
        };
        let turn = poll_fn(|context| self.gate.poll_turn(call, context.waker())).await;
        if let Turn::End(reason) = turn {
            self.over = Some(reason);
        }
        turn
    }

    /// Reports how an attempt has ended. For one that is not out it does nothing. The next [turn](Ticket::turn) tells
    /// whether that was the end of the call: an answer that was cut short, for one, may be asked for again.
    pub fn report(&mut self, attempt: AttemptId, outcome: Outcome) {
        if let Some(call) = self.call {
            self.gate.report(call, attempt, outcome);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.gate.leave(call);
        }
    }
}
