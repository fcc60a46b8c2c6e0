//! Runs against a service that is not embedded.

use std::net::TcpListener;

use crate::fixture::{Fixture, REMOTE, WIDE, against, by_id, ended, lines_in, record, records, serve};

const TWO: &str = "
pools: {p: {requests_per_minute: 1_000_000}}
endpoints: {east: {model: m, region: us-east-1, pools: [p]}, west: {model: m, region: us-west-2, pools: [p]}}
";

#[test]
fn the_usual_variables_lead_to_another_endpoint() {
    let fixture = Fixture::new("remote");
    fixture.write("policy.yaml", TWO);
    fixture.write("in.jsonl", &records(50));
    let served = serve(&fixture, &["--policy", "policy.yaml"]);
    let (code, _, errors) = ended(against(&fixture, &served.url, "AKIAEXAMPLE", REMOTE).output().unwrap());
    assert_eq!(code, 0, "{errors}");
    assert_eq!(by_id(&fixture.text("out.jsonl")).len(), 50);
}

#[test]
fn wrong_credentials_stop_the_run_and_are_no_records_fault() {
    let fixture = Fixture::new("wrong-key");
    fixture.write("policy.yaml", WIDE);
    fixture.write("in.jsonl", &records(300));
    let served = serve(&fixture, &["--policy", "policy.yaml"]);
    let (code, _, errors) = ended(against(&fixture, &served.url, "AKIAINVALID7", REMOTE).output().unwrap());
    assert_eq!(code, 8, "{errors}");
    assert!(errors.contains(&format!("error: not let in at endpoint east ({}): ", served.url)), "{errors}");
    assert!(errors.contains("help: set AWS_PROFILE"), "{errors}");
    assert!(errors.contains("300 left for the next run"), "{errors}");
    assert_eq!(lines_in(&fixture.path("out.jsonl")), 0);
    let (code, _, errors) = ended(against(&fixture, &served.url, "AKIAEXAMPLE", REMOTE).output().unwrap());
    assert_eq!(code, 0, "{errors}");
}

#[test]
fn missing_credentials_are_found_before_anything_is_sent() {
    let fixture = Fixture::new("no-key");
    fixture.write("policy.yaml", WIDE);
    fixture.write("in.jsonl", &records(1));
    let (code, _, errors) = fixture.run(REMOTE);
    assert_eq!(code, 8, "{errors}");
    assert!(errors.starts_with("error: there are no AWS credentials: "), "{errors}");
    assert!(errors.contains("add --local"), "{errors}");
}

#[test]
fn a_dead_endpoint_stops_the_run_and_writes_nothing() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    for count in [3, 300] {
        let fixture = Fixture::new(&format!("dead-{count}"));
        let once = format!("{TWO}retry: {{max_attempts: 1}}\n");
        fixture.write("policy.yaml", if count == 3 { &once } else { TWO });
        fixture.write("in.jsonl", &records(count));
        let (code, _, errors) = ended(against(&fixture, &url, "AKIAEXAMPLE", REMOTE).output().unwrap());
        assert_eq!(code, 9, "{errors}");
        assert!(errors.contains("error: nothing can be sent: ") && errors.contains(&url), "{errors}");
        assert!(errors.contains("endpoints tried: east, west"), "{errors}");
        assert!(errors.contains(&format!("{count} left for the next run")), "{errors}");
        assert_eq!(lines_in(&fixture.path("out.jsonl")), 0);
    }
}

#[test]
fn a_model_that_no_endpoint_serves_stops_the_run() {
    let fixture = Fixture::new("no-model");
    fixture.write("policy.yaml", WIDE);
    fixture.write("in.jsonl", &records(100));
    let other = "pools: {p: {}}\nendpoints: {e: {model: other, region: us-east-1, pools: [p]}}";
    fixture.write("other.yaml", other);
    let served = serve(&fixture, &["--policy", "other.yaml"]);
    let (code, _, errors) = ended(against(&fixture, &served.url, "AKIAEXAMPLE", REMOTE).output().unwrap());
    assert_eq!(code, 9, "{errors}");
    assert!(errors.contains(&format!("error: nothing can be sent: endpoint east ({}): ", served.url)), "{errors}");
    assert!(errors.contains("100 left for the next run"), "{errors}");
}

#[test]
fn a_single_endpoint_that_dies_leaves_the_run_to_the_others() {
    let fixture = Fixture::new("one-dead");
    fixture.write("policy.yaml", TWO);
    fixture.write("in.jsonl", &[records(100), record("last")].concat());
    let outage = r#"{"lanes": [
        {"region": "us-east-1", "model": "m", "faults": [{"from_us": 0, "to_us": 600000000, "effect": "outage"}]},
        {"region": "us-west-2", "model": "m"}
    ]}"#;
    fixture.write("fake.json", outage);
    let served = serve(&fixture, &["--config", "fake.json"]);
    let (code, _, errors) = ended(against(&fixture, &served.url, "AKIAEXAMPLE", REMOTE).output().unwrap());
    assert_eq!(code, 0, "{errors}");
    assert_eq!(by_id(&fixture.text("out.jsonl")).len(), 101);
}
