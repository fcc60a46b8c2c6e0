use sluicegate::Timestamp;

use super::{LANE, accepted, at_s, rng, service, small};
use crate::{
    Attempt, Effect, ErrorKind, Fault, LaneConfig, LaneId, Law, Load, OtherUser, Prefix, Reply, Service, ServiceConfig,
};

fn fault(effect: Effect) -> Fault {
    Fault { from_us: 0, to_us: 60_000_000, effect }
}

fn error_of(reply: Reply) -> ErrorKind {
    match reply {
        Reply::Refused(refusal) => refusal.error,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn unknown_lanes_are_not_found_and_aliases_are() {
    let mut service = service(|lane| lane.aliases.push("arn:aws:bedrock:m".to_owned()));
    let mut attempt = Attempt { region: "us-east-1".into(), model: "other".into(), load: small(), tag: None };
    assert_eq!(error_of(service.admit(at_s(0), &attempt, &mut rng())), ErrorKind::ResourceNotFound);
    attempt.region = "mars-1".to_owned();
    assert_eq!(error_of(service.admit(at_s(0), &attempt, &mut rng())), ErrorKind::ResourceNotFound);
    attempt.region = "us-east-1".to_owned();
    attempt.model = "arn:aws:bedrock:m".to_owned();
    accepted(service.admit(at_s(0), &attempt, &mut rng()));
    assert_eq!(service.ledger().unknown_lane, 2);
}

#[test]
fn checks_come_in_the_documented_order() {
    let mut service = service(|lane| {
        lane.concurrency = Some(1);
        lane.requests_per_minute = Some(2);
        lane.tokens_per_minute = Some(400);
        lane.tokens_per_day = Some(500);
    });
    let admit = |now, service: &mut Service| service.admit_on(now, LANE, &small(), None, &mut rng());
    let first = accepted(admit(at_s(0), &mut service));
    assert_eq!(error_of(admit(at_s(0), &mut service)), ErrorKind::TooManyConnections);
    service.finish(at_s(0), first.ticket);
    let second = accepted(admit(at_s(0), &mut service));
    service.finish(at_s(0), second.ticket);
    assert_eq!(error_of(admit(at_s(0), &mut service)), ErrorKind::RequestsPerMinute);
    // Two calls settled at 150: 100 of 400 left after a third, requests are back after a minute, the day is not.
    let third = accepted(admit(at_s(60), &mut service));
    service.finish(at_s(60), third.ticket);
    assert_eq!(error_of(admit(at_s(120), &mut service)), ErrorKind::TokensPerDay);
    accepted(admit(at_s(86_400), &mut service));
    let totals = service.ledger().lanes[0].totals;
    assert_eq!((totals.refused_capacity, totals.refused_quota, totals.admitted), (1, 2, 4));
}

#[test]
fn tokens_are_refused_by_reservation_and_come_back_at_the_end() {
    let mut service = service(|lane| {
        lane.tokens_per_minute = Some(8_192 + 100);
        lane.law = crate::Law::Sliding;
    });
    let open = Load { max_tokens: None, ..small() };
    let first = accepted(service.admit_on(at_s(0), LANE, &open, None, &mut rng()));
    assert_eq!(error_of(service.admit_on(at_s(1), LANE, &small(), None, &mut rng())), ErrorKind::TokensPerMinute);
    service.finish(at_s(2), first.ticket);
    accepted(service.admit_on(at_s(2), LANE, &small(), None, &mut rng()));
    // The same ticket settles once.
    service.finish(at_s(3), first.ticket);
    assert_eq!(service.ledger().lanes[0].totals.completed, 1);
}

#[test]
fn the_day_is_shared_by_the_lanes_of_a_region_only() {
    let lane = |region: &str, model: &str| {
        let mut lane = LaneConfig::new(region, model);
        lane.tokens_per_day = Some(300);
        lane
    };
    let lanes = vec![lane("a", "x"), lane("a", "y"), lane("b", "x")];
    let mut service = Service::new(&ServiceConfig::new(lanes)).unwrap();
    accepted(service.admit_on(at_s(0), LaneId(0), &small(), None, &mut rng()));
    let reply = service.admit_on(at_s(0), LaneId(1), &small(), None, &mut rng());
    assert_eq!(error_of(reply), ErrorKind::TokensPerDay);
    accepted(service.admit_on(at_s(0), LaneId(2), &small(), None, &mut rng()));
}

#[test]
fn an_abandoned_attempt_is_charged_for_what_was_generated() {
    let mut service = service(|lane| {
        lane.first_token_us = 1_000_000;
        lane.per_input_token_ns = 0;
        lane.tokens_per_second = 10;
    });
    let load = Load { output_tokens: Some(100), ..small() };
    let first = accepted(service.admit_on(at_s(0), LANE, &load, None, &mut rng()));
    assert_eq!((first.first_token_at, first.finish_at), (at_s(1), at_s(11)));
    assert_eq!(first.token_at(50), at_s(6));
    service.abandon(at_s(6), first.ticket);
    assert_eq!(service.ledger().lanes[0].totals.tokens_settled, 150);
    let second = accepted(service.admit_on(at_s(6), LANE, &load, None, &mut rng()));
    service.abandon(at_s(6), second.ticket);
    assert_eq!(service.ledger().lanes[0].totals.tokens_settled, 250);
    assert_eq!(service.ledger().lanes[0].totals.abandoned, 2);
}

#[test]
fn outputs_are_cut_at_max_tokens_and_drawn_where_not_given() {
    let mut service = service(|_| {});
    let cut = Load { output_tokens: Some(500), ..small() };
    let cut = accepted(service.admit_on(at_s(0), LANE, &cut, None, &mut rng()));
    assert_eq!((cut.output_tokens, cut.truncated), (100, true));
    let drawn = Load { output_tokens: None, max_tokens: None, ..small() };
    let mut rng = rng();
    let lengths: Vec<_> =
        (0..50).map(|_| accepted(service.admit_on(at_s(0), LANE, &drawn, None, &mut rng)).output_tokens).collect();
    assert!(lengths.iter().all(|length| (7..=1_000).contains(length)));
    assert!(lengths.windows(2).any(|pair| pair[0] != pair[1]));
}

#[test]
fn faults_begin_and_end_on_time() {
    for (effect, error) in [
        (Effect::Outage, Some(ErrorKind::TemporarilyUnavailable)),
        (
            Effect::Error { error: ErrorKind::ModelNotReady, share_permille: 1000, retry_after_s: Some(3) },
            Some(ErrorKind::ModelNotReady),
        ),
        (Effect::ConnectionReset { share_permille: 1000 }, None),
    ] {
        let mut service = service(|lane| lane.faults.push(fault(effect)));
        let last = Timestamp::from_micros(59_999_999);
        assert!(!service.would_admit(last, LANE, &small()));
        assert_eq!(service.earliest(last, LANE, &small()), Some(at_s(60)));
        match (service.admit_on(last, LANE, &small(), None, &mut rng()), error) {
            (Reply::Refused(refusal), Some(error)) => assert_eq!(refusal.error, error),
            (Reply::Reset, None) => {}
            other => panic!("{other:?}"),
        }
        accepted(service.admit_on(at_s(60), LANE, &small(), None, &mut rng()));
    }
}

#[test]
fn shares_strike_about_that_many() {
    let effect = Effect::Error { error: ErrorKind::InternalServer, share_permille: 250, retry_after_s: None };
    let mut service = service(|lane| lane.faults.push(fault(effect)));
    let mut rng = rng();
    let refused = (0..2_000)
        .filter(|_| matches!(service.admit_on(at_s(0), LANE, &small(), None, &mut rng), Reply::Refused(_)))
        .count();
    assert!((430..570).contains(&refused), "{refused}");
}

#[test]
fn a_brownout_leaves_a_share_of_the_slots() {
    let mut service = service(|lane| {
        lane.concurrency = Some(10);
        lane.faults.push(fault(Effect::Capacity { permille: 300 }));
    });
    for _ in 0..3 {
        accepted(service.admit_on(at_s(0), LANE, &small(), None, &mut rng()));
    }
    let reply = service.admit_on(at_s(0), LANE, &small(), None, &mut rng());
    assert_eq!(error_of(reply), ErrorKind::TooManyConnections);
    accepted(service.admit_on(at_s(60), LANE, &small(), None, &mut rng()));
}

#[test]
fn slowness_stretches_and_a_broken_stream_charges_what_was_out() {
    let mut service = service(|lane| {
        (lane.first_token_us, lane.per_input_token_ns, lane.tokens_per_second) = (1_000_000, 0, 50);
        lane.faults.push(fault(Effect::Slow { factor_permille: 3_000 }));
        lane.faults.push(fault(Effect::StreamError {
            error: ErrorKind::ModelStreamError,
            after_output_tokens: 20,
            share_permille: 1000,
        }));
    });
    let broken = accepted(service.admit_on(at_s(0), LANE, &small(), None, &mut rng()));
    assert_eq!((broken.first_token_at, broken.finish_at), (at_s(3), at_s(6)));
    let error = broken.stream_error.unwrap();
    assert_eq!((error.at, error.after_output_tokens), (Timestamp::from_micros(4_200_000), 20));
    service.finish(error.at, broken.ticket);
    let totals = service.ledger().lanes[0].totals;
    assert_eq!((totals.failed, totals.completed, totals.tokens_settled), (1, 0, 120));
}

#[test]
fn a_quota_factor_applies_exactly_while_it_lasts() {
    let mut service = service(|lane| {
        lane.requests_per_minute = Some(60);
        let effect = Effect::QuotaFactor { permille: 500 };
        lane.faults.push(Fault { from_us: 10_000_000, to_us: 70_000_000, effect });
    });
    for _ in 0..60 {
        accepted(service.admit_on(at_s(0), LANE, &small(), None, &mut rng()));
    }
    // Ten seconds at one per second, ten at one per two, first seen only at the end of them.
    for _ in 0..15 {
        accepted(service.admit_on(at_s(20), LANE, &small(), None, &mut rng()));
    }
    assert_eq!(error_of(service.admit_on(at_s(20), LANE, &small(), None, &mut rng())), ErrorKind::RequestsPerMinute);
    assert_eq!(service.earliest(at_s(20), LANE, &small()), Some(at_s(22)));
}

#[test]
fn refusals_that_cost_keep_a_hammering_client_out() {
    let mut service = service(|lane| {
        lane.requests_per_minute = Some(60);
        lane.refusal_cost_permille = 1000;
        lane.law = crate::Law::Continuous { burst_permille: 1000, start_permille: 0 };
    });
    for tenth in 1..600 {
        let now = Timestamp::from_micros(tenth * 100_000);
        error_of(service.admit_on(now, LANE, &small(), None, &mut rng()));
    }
    accepted(service.admit_on(at_s(61), LANE, &small(), None, &mut rng()));
}

#[test]
fn rows_cover_every_second_and_calls_are_traced_by_tag() {
    let mut service = service(|lane| lane.requests_per_minute = Some(60));
    service.ledger_mut().expect("a".to_owned(), at_s(1), at_s(30));
    let call = accepted(service.admit_on(at_s(2), LANE, &small(), Some("a"), &mut rng()));
    service.finish(call.finish_at, call.ticket);
    service.advance(at_s(10));
    let books = &service.ledger().lanes[0];
    assert_eq!((books.first_second, books.seconds.len()), (0, 11));
    assert_eq!((books.seconds[2].attempts, books.seconds[2].in_flight), (1, 1));
    assert_eq!(books.seconds[3].in_time, 1);
    assert_eq!((books.seconds[1].requests_permille, books.seconds[2].requests_permille), (Some(1000), Some(1000)));
    let summary = service.ledger().summary();
    assert_eq!((summary.in_time, summary.waits.quantile(500)), (1, Some(1_000_000)));
}

#[test]
fn time_never_goes_backwards() {
    let mut service = service(|lane| lane.requests_per_minute = Some(1));
    accepted(service.admit_on(at_s(100), LANE, &small(), None, &mut rng()));
    error_of(service.admit_on(at_s(1), LANE, &small(), None, &mut rng()));
    assert_eq!(service.advance(at_s(1)), at_s(100));
}

#[test]
fn another_user_takes_his_share_whatever_we_do() {
    let bucket = Law::Continuous { burst_permille: 100, start_permille: 0 };
    // Twenty minutes of 600 requests, less his four in ten; in fixed minutes, those that we leave him.
    let cases = [(Law::Sliding, 6_900..7_700), (bucket, 6_900..7_700), (Law::Fixed { phase_us: 7 }, 9_500..10_500)];
    for (law, expected) in cases {
        let mut service = service(|lane| {
            lane.law = law;
            lane.requests_per_minute = Some(600);
            lane.other_user = Some(OtherUser { share_permille: 400, takes_per_minute: 60, seed: 3 });
        });
        let (mut admitted, mut rng) = (0, rng());
        for tick in 0..60 * 20 * 20 {
            let now = Timestamp::from_micros(tick * 50_000);
            if let Reply::Accepted(accepted) = service.admit_on(now, LANE, &small(), None, &mut rng) {
                service.finish(now, accepted.ticket);
                admitted += 1;
            }
        }
        assert!(expected.contains(&admitted), "{law:?}: {admitted}");
    }
}

#[test]
fn a_conversation_is_cheap_where_its_prefix_is_held() {
    let mut service = service(|lane| {
        lane.tokens_per_minute = Some(1_000_000);
        lane.reserve_cache_reads = false;
    });
    let turn = |tokens| Load { prefix: Some(Prefix { conversation: 9, tokens }), ..small() };
    let mut settle = |at, tokens| {
        let accepted = accepted(service.admit_on(at_s(at), LANE, &turn(tokens), None, &mut rng()));
        service.finish(accepted.finish_at, accepted.ticket).unwrap()
    };
    assert_eq!(settle(0, 5_000), 100 + 5_000 + 50);
    assert_eq!(settle(10, 5_150), 100 + 150 + 50, "the rest is read");
    assert_eq!(settle(400, 5_300), 100 + 5_300 + 50, "forgotten after five minutes");
    let totals = service.ledger().lanes[0].totals;
    assert_eq!(totals.tokens_reserved, 5_200 + 350 + 5_500);
}
