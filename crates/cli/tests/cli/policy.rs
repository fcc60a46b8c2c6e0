//! Policy files.

use crate::fixture::{Fixture, records};

const SEVEN: &str = "version: 2
pools:
  east: {requests_per_minute: 0, tokens_per_minute: many}
  west: {requests_per_minut: 60}
endpoints:
  a: {model: m, pools: [east, north]}
  b: {pools: [west]}
retry: {overloaded: {base_ms: 9000, cap_ms: 10}}
";

const SEVEN_FAULTS: [(&str, &str); 7] = [
    ("/version", "out_of_range"),
    ("/pools/east/requests_per_minute", "out_of_range"),
    ("/pools/east/tokens_per_minute", "wrong_type"),
    ("/pools/west/requests_per_minut", "unknown_field"),
    ("/endpoints/a/pools/1", "unknown_pool"),
    ("/endpoints/b/model", "missing"),
    ("/retry/overloaded/base_ms", "inconsistent"),
];

#[test]
fn every_fault_of_a_policy_is_listed_with_pointer_and_code() {
    let fixture = Fixture::new("seven");
    fixture.write("policy.yaml", SEVEN);
    fixture.write("in.jsonl", &records(1));
    for args in [&["policy", "check", "policy.yaml"][..], crate::fixture::LOCAL] {
        let (code, out, errors) = fixture.run(args);
        assert_eq!((code, out.as_str()), (3, ""), "{errors}");
        for (pointer, fault) in SEVEN_FAULTS {
            let start = format!("policy.yaml: {pointer}: ");
            let line = errors.lines().find(|line| line.starts_with(&start));
            assert!(line.is_some_and(|line| line.ends_with(&format!("[{fault}]"))), "{pointer}: {errors}");
        }
        assert!(errors.contains("the policy has 7 faults"), "{errors}");
    }
    assert!(!fixture.path("out.jsonl").exists());
}

#[test]
fn a_syntax_error_is_placed() {
    let fixture = Fixture::new("syntax");
    fixture.write("policy.yaml", "pools:\n  a: {requests_per_minute: 5\nendpoints: {}\n");
    let (code, _, errors) = fixture.run(&["policy", "check", "policy.yaml"]);
    assert_eq!(code, 3);
    assert!(errors.starts_with("error: policy.yaml:3:"), "{errors}");
}

#[test]
fn a_good_policy_is_summed_up() {
    let fixture = Fixture::new("good");
    let json =
        r#"{"pools": {"p": {"requests_per_minute": 60}}, "endpoints": {"us-east-1": {"model": "m", "pools": ["p"]}}}"#;
    fixture.write("policy.json", json);
    let (code, out, errors) = fixture.run(&["policy", "check", "policy.json"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(out.starts_with("policy.json: no faults\n\nm: up to 60 requests a minute over 1 endpoint\n"), "{out}");
}

#[test]
fn the_schema_is_json() {
    let (code, out, _) = Fixture::new("schema").run(&["policy", "schema"]);
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &schema["title"]), (0, &"sluicegate policy".into()));
}
