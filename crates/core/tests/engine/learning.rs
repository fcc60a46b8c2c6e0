//! Quotas that nobody declared.

use sluicegate::Quota;

use super::*;

#[test]
fn a_quota_of_two_a_minute_is_learned_and_kept_without_asking_for_more_all_the_time() {
    let mut desk = Desk::new(&single(&json!({})));
    let mut granted: Vec<Timestamp> = Vec::new();
    let (mut refused, mut next) = (0, 0);
    let end = seconds(1_200);
    while desk.now.saturating_since(Timestamp::ZERO) < end {
        if desk.engine.waiting() == 0 {
            desk.submit(next, 10);
            next += 1;
        }
        while let Some(sent) = desk.sent.pop() {
            // A service that grants two in any minute.
            let recent = granted.iter().filter(|at| desk.now.saturating_since(**at) < seconds(60)).count();
            let outcome =
                if recent < 2 { Outcome::success(10) } else { failed(OutcomeClass::Throttled(Quota::Requests)) };
            refused += u32::from(recent >= 2);
            granted.extend((recent < 2).then_some(desk.now));
            desk.report(sent.attempt, outcome);
        }
        desk.pass(Duration::from_millis(100));
        desk.does(Input::Wake);
    }
    assert!(granted.len() >= 30 && refused <= 10, "{} granted, {refused} refused", granted.len());
}
