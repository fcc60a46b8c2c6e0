//! A submitted call, as its caller holds it.

use sluicegate::{AttemptId, CallId, EndReason, Input, Outcome, OutcomeClass};
use tokio::sync::mpsc;

use crate::gate::Gate;
use crate::request::{Attempt, Turn};

/// A submitted call. Dropping it cancels the call and settles what is out.
#[derive(Debug)]
pub struct Ticket {
    gate: Gate,
    call: CallId,
    turns: mpsc::UnboundedReceiver<Turn>,
    /// Sent and not reported: two at most, but for one that was to be given up and is not reported yet.
    out: Vec<AttemptId>,
    attempts: u32,
    over: Option<EndReason>,
}

impl Ticket {
    pub(crate) const fn new(gate: Gate, call: CallId, turns: mpsc::UnboundedReceiver<Turn>) -> Self {
        Self { gate, call, turns, out: Vec::new(), attempts: 0, over: None }
    }

    /// The call's name in the engine.
    #[must_use]
    pub const fn call(&self) -> CallId {
        self.call
    }

    /// Waits for what is next. After [`Turn::End`] it says the same again. Nothing is lost if the future is dropped.
    pub async fn turn(&mut self) -> Turn {
        loop {
            if let Some(reason) = self.over {
                return Turn::End(reason);
            }
            match self.turns.recv().await {
                Some(Turn::Send(attempt)) => return Turn::Send(self.goes_out(attempt)),
                Some(Turn::Hedge(attempt)) => return Turn::Hedge(self.goes_out(attempt)),
                Some(Turn::Abort(attempt)) if self.out.contains(&attempt) => return Turn::Abort(attempt),
                // Its report crossed the turn.
                Some(Turn::Abort(_)) => {}
                Some(Turn::End(reason)) => self.over = Some(reason),
                None => self.over = Some(EndReason::Cancelled),
            }
        }
    }

    fn goes_out(&mut self, attempt: Attempt) -> Attempt {
        self.out.push(attempt.id);
        self.attempts = self.attempts.saturating_add(1);
        Attempt { number: self.attempts, ..attempt }
    }

    /// Reports how an attempt has ended. For one that is not out it does nothing. The next [turn](Ticket::turn) tells
    /// whether that was the end of the call: an answer that was cut short, for one, may be asked for again.
    pub fn report(&mut self, attempt: AttemptId, outcome: Outcome) {
        let Some(index) = self.out.iter().position(|out| *out == attempt) else { return };
        self.out.swap_remove(index);
        // An error means that the attempt's lease has expired: the engine has settled it already.
        let _ = self.gate.tell(Input::Report { attempt, outcome });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.over.is_some() && self.out.is_empty() {
            return;
        }
        let Self { gate, call, turns, out, over, .. } = self;
        gate.tell_all(|tell| {
            if over.is_none() {
                // An error means that the call ended by itself in the meantime.
                let _ = tell(Input::Cancel(*call));
            }
            // Turns that were never taken: their attempts never left.
            while let Ok(turn) = turns.try_recv() {
                if let Turn::Send(attempt) | Turn::Hedge(attempt) = turn {
                    let _ = tell(Input::Report { attempt: attempt.id, outcome: Outcome::never_sent() });
                }
            }
            for attempt in out.drain(..) {
                let _ = tell(Input::Report { attempt, outcome: Outcome::of(OutcomeClass::Cancelled) });
            }
        });
    }
}
