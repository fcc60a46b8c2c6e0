//! A call from its submission to its end, with at most two attempts out at once.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use sluicegate::{AttemptId, Outcome, OutcomeClass};

use crate::gate::Gate;
use crate::request::{Attempt, Ended, Request, Turn};

/// The attempts that are out.
struct Out<F>(Vec<(AttemptId, Pin<Box<F>>)>);

impl<F: Future> Out<F> {
    /// Waits until one of them ends; for ever while none is out.
    async fn next(&mut self) -> (AttemptId, F::Output) {
        poll_fn(|cx| {
            for (index, (id, attempt)) in self.0.iter_mut().enumerate() {
                let id = *id;
                if let Poll::Ready(output) = attempt.as_mut().poll(cx) {
                    self.0.swap_remove(index);
                    return Poll::Ready((id, output));
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Gate {
    /// Runs a call to its end: waits for its turns, makes an attempt at each, reports how it ended.
    ///
    /// `attempt` sends one wire request and says how it ended, in the engine's terms and in the caller's. Where the policy
    /// hedges calls, two attempts may run at once on the caller's task; the one that is given up is dropped. Only the
    /// engine ends the call: an answer that was [cut short](Outcome::truncated) by a [lowered cap](Attempt::max_tokens) is
    /// asked for again, and is returned after all if nothing better comes. Dropping the returned future cancels the call.
    ///
    /// # Errors
    /// The call ended without an answer: see [`Ended::reason`].
    pub async fn run<T, E, F>(&self, request: Request, mut attempt: impl FnMut(Attempt) -> F) -> Result<T, Ended<E>>
    where
        F: Future<Output = (Outcome, Result<T, E>)>,
    {
        let mut ticket = self.submit(request);
        // Dropped before the ticket, which then reports what was out.
        let mut out = Out(Vec::new());
        let (mut answer, mut last) = (None, None);
        loop {
            tokio::select! {
                biased;
                turn = ticket.turn() => match turn {
                    Turn::Send(turn) | Turn::Hedge(turn) => out.0.push((turn.id, Box::pin(attempt(turn)))),
                    Turn::Abort(loser) => {
                        out.0.retain(|(id, _)| *id != loser);
                        ticket.report(loser, Outcome::of(OutcomeClass::Cancelled));
                    }
                    Turn::End(reason) => return answer.ok_or(Ended { reason, last }),
                },
                (id, (outcome, result)) = out.next() => {
                    ticket.report(id, outcome);
                    match result {
                        Ok(better) => answer = Some(better),
                        Err(error) => last = Some(error),
                    }
                }
            }
        }
    }
}
