//! Ends the calls that have not gone out.

use sluicegate::random::Draws;
use sluicegate::{CallId, Input, ModelId, Phase};
use sluicegate_driver::{Gate, Request};

use super::stats::Shared;

/// Cancels every call that waits, for room or for a retry, and leaves those that are out. A gate numbers its calls from
/// zero; `submitted` is how many it has had at most.
pub(crate) fn cancel_waiting(gate: &Gate, submitted: u64, stats: &Shared) {
    let any = gate.inspect(|engine, now| {
        if engine.waiting() == 0 {
            return false;
        }
        for call in (0..submitted).map(CallId) {
            let waits = engine.explain(now, call).is_some_and(|it| !matches!(it.phase, Phase::Out(_)));
            if waits {
                // An error means that the call has just ended by itself. A cancellation draws nothing.
                let _ = engine.handle(now, Input::Cancel(call), &mut Draws::new(&[]));
            }
        }
        true
    });
    if any {
        // The gate tells its tickets what the engine decided when it next hands it an input. This call never goes out.
        stats.leave_out(|| gate.submit(Request::new(ModelId(0), 1)).call());
    }
}
