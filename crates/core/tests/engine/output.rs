//! Caps on the length of answers: advice, and lowering them.

use super::*;
use sluicegate::LabelId;

fn policy(clamp: bool) -> Value {
    let policy = single(&json!({"tokens_per_minute": 10_000_000}));
    with(policy, "output_cap", json!({"clamp": clamp, "minimum_answers": 100}))
}

fn asking(id: u64, cap: u32) -> Call {
    call(id, 500 + u64::from(cap)).max_tokens(cap)
}

/// `count` calls with a cap of 8,000 are answered with 100 to 900 tokens, one a second.
fn answered(desk: &mut Desk, count: u64, label: LabelId) {
    for id in 0..count {
        desk.does(Input::Submit(asking(10_000 + id, 8_000).label(label)));
        let length = 100 + u32::try_from(id * 7_919 % 800).expect("small");
        desk.pass(seconds(1));
        desk.report(desk.last_sent().attempt, Outcome::success(600).output_tokens(length));
    }
}

fn advised(desk: &Desk) -> Vec<(u32, u64)> {
    let advice = |event: &Event| match event {
        Event::CapAdvised { cap, frees_tokens_per_minute, .. } => Some((*cap, *frees_tokens_per_minute)),
        _ => None,
    };
    desk.events.iter().filter_map(advice).collect()
}

#[test]
fn a_cap_that_is_far_too_high_is_pointed_out_with_what_it_keeps_from_others() {
    let mut desk = Desk::new(&policy(false));
    answered(&mut desk, 3_000, LabelId(3));
    let advice = advised(&desk);
    let (cap, frees) = *advice.last().expect("there is advice");
    // The longest of the first hundred has nearly 900; 60 calls a minute ask for 8,000.
    assert!((832..=1_024).contains(&cap), "{advice:?}");
    assert!((frees as i64 - 60 * (8_000 - i64::from(cap))).abs() < 10_000, "{advice:?}");
    assert!(advice.len() <= 5, "it is not said again and again: {advice:?}");
    assert!(desk.sent.iter().all(|sent| sent.max_tokens.is_none()), "nobody asked for caps to be lowered");
}

#[test]
fn fitting_caps_and_few_answers_bring_no_advice() {
    let mut desk = Desk::new(&policy(false));
    answered(&mut desk, 90, LabelId(0));
    for id in 0..1_000 {
        desk.does(Input::Submit(asking(id, 1_024).label(LabelId(1))));
        desk.report(desk.last_sent().attempt, Outcome::success(600).output_tokens(900));
        desk.pass(seconds(1));
    }
    assert_eq!(advised(&desk), []);
}

#[test]
fn a_lowered_cap_reserves_less_and_is_told_to_the_sender() {
    let mut desk = Desk::new(&policy(true));
    answered(&mut desk, 1_000, LabelId(0));
    desk.does(Input::Submit(asking(1, 8_000)));
    let cap = desk.last_sent().max_tokens.expect("it is lowered");
    let reserved = desk.events.iter().rev().find_map(|event| match event {
        Event::Sent { reserved_tokens, .. } => Some(*reserved_tokens),
        _ => None,
    });
    assert_eq!(reserved, Some(500 + u64::from(cap)));
    // A cap that is lower still stays.
    desk.does(Input::Submit(asking(2, 200)));
    assert_eq!(desk.last_sent().max_tokens, None);
    // Nothing is known of other labels.
    desk.does(Input::Submit(asking(3, 8_000).label(LabelId(9))));
    assert_eq!(desk.last_sent().max_tokens, None);
}

#[test]
fn a_cap_that_is_no_part_of_the_tokens_is_not_lowered() {
    let mut desk = Desk::new(&policy(true));
    answered(&mut desk, 1_000, LabelId(0));
    desk.does(Input::Submit(call(1, 500).max_tokens(8_000)));
    assert_eq!(desk.last_sent().max_tokens, None, "lifting it again would reserve more than the call asked for");
}

#[test]
fn an_answer_that_a_lowered_cap_cut_short_is_asked_for_again_with_the_call_s_own() {
    let mut desk = Desk::new(&policy(true));
    answered(&mut desk, 1_000, LabelId(0));
    desk.does(Input::Submit(asking(1, 8_000)));
    let first = desk.last_sent();
    let cap = first.max_tokens.expect("it is lowered");
    desk.report(first.attempt, Outcome::success(600).output_tokens(cap).truncated());
    assert!(desk.events.contains(&Event::CapLifted { call: CallId(1), cap }));
    let [_, second] = desk.attempts(1)[..] else { panic!("two attempts") };
    assert_eq!(second.max_tokens, None);
    // Its own cap may cut it short as well: that is the answer.
    desk.report(second.attempt, Outcome::success(8_500).output_tokens(8_000).truncated());
    assert_eq!(desk.end_of(1), Some(EndReason::Answered));
}

#[test]
fn a_call_without_time_for_a_second_attempt_keeps_what_it_got() {
    let mut desk = Desk::new(&policy(true));
    answered(&mut desk, 1_000, LabelId(0));
    let deadline = desk.now.saturating_add(seconds(2));
    desk.does(Input::Submit(asking(1, 8_000).deadline(deadline)));
    desk.pass(Duration::from_millis(1_900));
    desk.report(desk.last_sent().attempt, Outcome::success(600).output_tokens(1_000).truncated());
    assert_eq!(desk.end_of(1), Some(EndReason::Answered));
}
