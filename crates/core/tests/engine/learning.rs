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

#[test]
fn a_refusal_without_a_name_is_held_against_the_quota_that_the_refused_call_strained() {
    let pool = json!({"requests_per_minute": 6_000, "tokens_per_minute": 60_000});
    let mut desk = Desk::new(&single(&pool));
    for id in 0..2 {
        desk.submit(id, 50_000);
        desk.report(desk.last_sent().attempt, failed(OutcomeClass::Throttled(Quota::Unknown)));
        desk.does(Input::Cancel(CallId(id)));
        desk.pass(seconds(60));
    }
    let learned = desk.events.iter().find_map(|event| match event {
        Event::LimitLearned { quota, .. } => Some(*quota),
        _ => None,
    });
    assert_eq!(learned, Some(Quota::Tokens));
}
