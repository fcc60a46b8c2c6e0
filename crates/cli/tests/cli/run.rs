//! A run from beginning to end.

use serde_json::Value;

use crate::fixture::{Fixture, NARROW, Running, WIDE, by_id, lines_in, record, records, until};

#[test]
fn a_run_answers_every_record_and_keeps_its_input_to_the_byte() {
    let fixture = Fixture::new("full");
    fixture.write("policy.yaml", WIDE);
    let odd = r#"{"modelInput": {"messages":[{"role":"user","content":[{"text":"é"}]}],  "inferenceConfig":{"maxTokens":1, "temperature":1.50}}, "recordId": "odd"}"#;
    let claude = r#"{"recordId":"claude","modelInput":{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"messages":[{"role":"user","content":"Hi"}]}}"#;
    fixture.write("in.jsonl", &format!("{}{odd}\n\n{claude}", records(150)));
    let (code, errors) = fixture.local();
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains("152 answered, 0 failed in "), "{errors}");
    assert!(errors.contains("152 attempts, 1.00 per call; 0 refused (0.0 %)"), "{errors}");
    let text = fixture.text("out.jsonl");
    let lines = by_id(&text);
    assert_eq!(lines.len(), 152);
    assert!(lines.values().all(|line| line["modelOutput"].is_object() && line["error"].is_null()));
    let same = r#""modelInput":{"messages":[{"role":"user","content":[{"text":"é"}]}],  "inferenceConfig":{"maxTokens":1, "temperature":1.50}},"modelOutput""#;
    assert!(text.contains(same), "{text}");
    assert_eq!(lines["odd"].pointer("/modelOutput/usage/outputTokens").and_then(Value::as_u64), Some(1));
    assert_eq!(lines["claude"].pointer("/modelOutput/usage/output_tokens").and_then(Value::as_u64), Some(1));
}

#[test]
fn a_finished_run_has_nothing_left_to_do() {
    let fixture = Fixture::new("again");
    fixture.write("policy.yaml", WIDE);
    fixture.write("in.jsonl", &records(3));
    assert_eq!(fixture.local().0, 0);
    let before = fixture.text("out.jsonl");
    let (code, errors) = fixture.local();
    assert_eq!((code, errors.as_str()), (0, "0 answered, 0 failed, 3 in the output already\n"));
    assert_eq!(fixture.text("out.jsonl"), before);
    fixture.write("in.jsonl", &format!("{}{}", records(2), record("new")));
    let (code, errors) = fixture.local();
    assert_eq!(code, 0);
    assert!(errors.contains("note: out.jsonl holds 1 records that are not in in.jsonl"), "{errors}");
    assert!(fixture.text("out.jsonl").starts_with(&before));
    assert!(by_id(&fixture.text("out.jsonl")).contains_key("new"));
}

#[test]
fn a_killed_run_goes_on_where_it_was_and_sends_every_record_once() {
    let fixture = Fixture::new("kill");
    fixture.write("policy.yaml", NARROW);
    fixture.write("in.jsonl", &records(240));
    for enough in [70, 160] {
        let mut running = Running::start(fixture.command(crate::fixture::LOCAL));
        until("enough lines", || lines_in(&fixture.path("out.jsonl")) >= enough);
        running.0.kill().unwrap();
        running.wait();
        let before = fixture.text("out.jsonl");
        assert!(before.lines().count() < 240);
        // As if the kill had come amid a write.
        fixture.write("out.jsonl", &format!("{before}{{\"recordId\":\"r1\",\"modelInput\":{{\"mess"));
        let again = Running::start(fixture.command(crate::fixture::LOCAL));
        until("one line more", || fixture.text("out.jsonl").len() > before.len() + 30);
        drop(again);
        assert!(fixture.text("out.jsonl").starts_with(&before));
    }
    let before = fixture.text("out.jsonl");
    let whole = before.lines().count() - usize::from(!before.ends_with('\n'));
    let (code, errors) = fixture.local();
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains(&format!("{} answered, 0 failed, {whole} in the output already", 240 - whole)), "{errors}");
    let lines = by_id(&fixture.text("out.jsonl"));
    assert_eq!(lines.len(), 240);
    assert!(lines.values().all(|line| line["modelOutput"].is_object()));
}

#[test]
fn a_run_does_not_mind_that_nobody_reads_what_it_says() {
    let fixture = Fixture::new("unread");
    fixture.write("policy.yaml", WIDE);
    fixture.write("in.jsonl", &format!("{}x\n", records(3)));
    let mut running = Running::start(fixture.command(crate::fixture::LOCAL));
    drop(running.0.stderr.take());
    assert_eq!(running.0.wait().unwrap().code(), Some(4));
    assert_eq!(by_id(&fixture.text("out.jsonl")).len(), 3);
}

#[test]
fn without_a_policy_the_built_in_sample_holds() {
    let fixture = Fixture::new("builtin");
    fixture.write("in.jsonl", &records(3));
    let (code, _, errors) = fixture.run(&["run", "in.jsonl", "-o", "out.jsonl", "--local"]);
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains("us-west-2"), "{errors}");
}

#[test]
fn a_record_that_has_no_time_is_an_error_and_not_sent() {
    let fixture = Fixture::new("deadline");
    fixture.write("policy.yaml", "pools: {p: {requests_per_minute: 10}}\nendpoints: {e: {model: m, pools: [p]}}");
    fixture.write("in.jsonl", &records(4));
    let (code, _, errors) = fixture.run(&[
        "run",
        "in.jsonl",
        "-o",
        "out.jsonl",
        "--policy",
        "policy.yaml",
        "--local",
        "--deadline-ms",
        "900",
    ]);
    assert_eq!(code, 5, "{errors}");
    let lines = by_id(&fixture.text("out.jsonl"));
    let late = lines.values().filter(|line| line["error"]["errorCode"] == "DeadlineExceeded").count();
    let answered = lines.values().filter(|line| line["modelOutput"].is_object()).count();
    assert!(answered >= 1 && late >= 2 && answered + late == 4, "{lines:?}");
}
