//! Quotas, Regions and departures, seen through HTTP.

use std::time::Duration;

use sluicegate::Timestamp;
use sluicegate_fake_bedrock::{Fake, Options};
use sluicegate_sim::{Effect, ErrorKind, LaneConfig, ServiceConfig};

use super::{MODEL, REGION, client, client_with, lane, start, start_with, until, user};

#[tokio::test]
async fn a_used_up_quota_refuses_with_its_own_words() {
    let fake = start(vec![LaneConfig { requests_per_minute: Some(2), ..lane(REGION) }]).await;
    let client = client(&fake);
    let ask = || client.converse().model_id(MODEL).messages(user("hi")).send();
    ask().await.unwrap();
    ask().await.unwrap();
    let error = ask().await.unwrap_err().into_service_error();
    assert_eq!(error.meta().message(), Some("Too many requests, please wait before trying again."));
    let ledger = fake.ledger();
    assert_eq!((ledger.lanes[0].totals.admitted, ledger.lanes[0].totals.refused_quota), (2, 1));
}

#[tokio::test]
async fn one_port_serves_every_region_with_quotas_of_their_own() {
    let limited = |region| LaneConfig { requests_per_minute: Some(1), ..lane(region) };
    let fake = start(vec![limited("us-east-1"), limited("eu-west-1")]).await;
    for region in ["us-east-1", "eu-west-1"] {
        let client = client_with(&fake, region, "AKIDEXAMPLE");
        let ask = || client.converse().model_id(MODEL).messages(user("hi")).send();
        ask().await.unwrap();
        assert!(ask().await.unwrap_err().into_service_error().is_throttling_exception());
    }
    for lane in fake.ledger().lanes {
        assert_eq!((lane.totals.admitted, lane.totals.refused_quota), (1, 1));
    }
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_slot() {
    let slow = LaneConfig { first_token_us: 3_600_000_000, concurrency: Some(1), ..lane(REGION) };
    let fake = start(vec![slow]).await;
    let sdk = client(&fake);
    let call = tokio::spawn(sdk.converse().model_id(MODEL).messages(user("hi")).send());
    until(|| fake.with_ledger(|ledger| ledger.lanes[0].totals.admitted == 1)).await;
    call.abort();
    until(|| fake.with_ledger(|ledger| ledger.lanes[0].totals.abandoned == 1)).await;
    let mut stream = sdk.converse_stream().model_id(MODEL).messages(user("hi")).send().await.unwrap().stream;
    assert!(tokio::time::timeout(Duration::ZERO, stream.recv()).await.is_err());
    drop(stream);
    drop(sdk);
    until(|| fake.with_ledger(|ledger| ledger.lanes[0].totals.abandoned == 2)).await;
}

#[tokio::test]
async fn announced_calls_are_judged_by_their_deadline() {
    let fake = start(vec![lane(REGION)]).await;
    let now = fake.now();
    fake.with_ledger(|ledger| {
        for (tag, deadline) in [("answered", Timestamp::MAX), ("late", now), ("never made", now)] {
            ledger.expect(tag.to_owned(), now, deadline);
        }
    });
    for tag in ["answered", "late"] {
        let request = client(&fake).converse().model_id(MODEL).messages(user("hi"));
        request.request_metadata("sluicegate-call", tag).send().await.unwrap();
    }
    let summary = fake.stop().await.summary();
    assert_eq!((summary.in_time, summary.late, summary.never, summary.attempts), (1, 1, 1, 2));
}

#[tokio::test]
async fn a_fake_ends_with_its_lifetime_and_refuses_bad_configurations() {
    let options = Options { lifetime: Some(Duration::from_millis(1)), ..Options::default() };
    let fake = Fake::start(ServiceConfig::new(vec![lane(REGION)]), options).await.unwrap();
    fake.stopped().await;
    assert!(tokio::net::TcpStream::connect(fake.addr()).await.is_err());
    let error = Fake::start(ServiceConfig::new(vec![]), Options::default()).await.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn stopping_cuts_what_does_not_end() {
    let fake = start(vec![LaneConfig { first_token_us: 3_600_000_000, ..lane(REGION) }]).await;
    let call = tokio::spawn(client(&fake).converse().model_id(MODEL).messages(user("hi")).send());
    until(|| fake.with_ledger(|ledger| ledger.lanes[0].totals.admitted == 1)).await;
    assert_eq!(fake.stop().await.lanes[0].totals.abandoned, 1);
    assert!(call.await.unwrap().is_err());
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_their_turn() {
    let options = Options { max_connections: 1, ..Options::default() };
    let slow = LaneConfig { first_token_us: 3_600_000_000, ..lane(REGION) };
    let fake = Fake::start(ServiceConfig::new(vec![slow, lane("eu-west-1")]), options).await.unwrap();
    let first = client(&fake);
    let first = tokio::spawn(first.converse().model_id(MODEL).messages(user("hi")).send());
    until(|| fake.with_ledger(|ledger| ledger.lanes[0].totals.admitted == 1)).await;
    let second = client_with(&fake, "eu-west-1", "AKIDEXAMPLE");
    let second = tokio::spawn(second.converse().model_id(MODEL).messages(user("hi")).send());
    first.abort();
    assert!(first.await.is_err());
    second.await.unwrap().unwrap();
    let [first, second] = [0, 1].map(|lane| fake.ledger().lanes[lane].totals);
    assert_eq!((first.abandoned, second.completed), (1, 1));
}

#[tokio::test]
async fn two_fakes_of_one_seed_refuse_the_same_attempts() {
    let effect = Effect::Error { error: ErrorKind::InternalServer, share_permille: 500, retry_after_s: None };
    let mut seen = Vec::new();
    for _ in 0..2 {
        let fake = start_with(effect).await;
        let client = client(&fake);
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(client.converse().model_id(MODEL).messages(user("hi")).send().await.is_ok());
        }
        assert!(answers.contains(&true) && answers.contains(&false));
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1]);
}
