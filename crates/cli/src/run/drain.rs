//! Ends the calls that have not gone out.

use sluicegate::random::Draws;
use sluicegate::{CallId, Input, Phase};
use sluicegate_driver::Gate;

/// Cancels every call that waits, for room or for a retry, and leaves those that are out. A gate numbers its calls from
/// zero; `submitted` is how many it has had at most.
///
/// Their tickets hear of it when the engine next takes an input, which is when an attempt that is out ends.
pub(crate) fn cancel_waiting(gate: &Gate, submitted: u64) {
    gate.inspect(|engine, now| {
        for call in (0..submitted).map(CallId) {
            let waits = engine.explain(now, call).is_some_and(|it| !matches!(it.phase, Phase::Out(_)));
            if waits {
                // An error means that the call has just ended by itself. A cancellation draws nothing.
                let _ = engine.handle(now, Input::Cancel(call), &mut Draws::new(&[]));
            }
        }
    });
}
