//! Every bad input has its message and its exit code, and harms no other record.

use crate::fixture::{Fixture, Running, WIDE, by_id, lines_in, record, records, until};

#[test]
fn faulty_lines_are_named_and_the_others_are_answered() {
    let fixture = Fixture::new("faulty");
    fixture.write("policy.yaml", WIDE);
    let lines = [
        record("a"),
        "{\"recordId\": \"b\", \"modelInput\": \n".to_owned(),
        record("a"),
        "{\"modelInput\": {}}\n".to_owned(),
        "{\"recordId\": \"c\", \"modelId\": \"other\", \"modelInput\": {}}\n".to_owned(),
        record("d"),
    ];
    fixture.write("in.jsonl", &lines.concat());
    let (code, errors) = fixture.local();
    assert_eq!(code, 4, "{errors}");
    let expected = [
        "in.jsonl:2: not JSON: EOF while parsing a value, at column ",
        "in.jsonl:3: recordId \"a\" was on an earlier line; give each record one of its own",
        "in.jsonl:4: no \"recordId\"; give each record one of its own",
        "in.jsonl:5: record \"c\" wants model \"other\", for which the policy has no endpoint; it has: m",
    ];
    for (line, expected) in errors.lines().zip(expected) {
        assert!(line.starts_with(expected), "{errors}");
    }
    assert!(errors.contains("2 answered, 0 failed, 4 faulty lines in "), "{errors}");
    let ids: Vec<String> = by_id(&fixture.text("out.jsonl")).into_keys().collect();
    assert_eq!(ids, ["a", "d"]);
    // What was mended is all that is sent the next time.
    fixture.write("in.jsonl", &[record("a"), record("b"), record("d")].concat());
    let (code, errors) = fixture.local();
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains("1 answered, 0 failed, 2 in the output already in "), "{errors}");
}

#[test]
fn only_the_first_twenty_faulty_lines_are_shown() {
    let fixture = Fixture::new("many");
    fixture.write("policy.yaml", WIDE);
    fixture.write("in.jsonl", &"x\n".repeat(500));
    let (code, errors) = fixture.local();
    assert_eq!(code, 4);
    assert_eq!(errors.lines().count(), 22, "{errors}");
    assert!(errors.ends_with("0 answered, 0 failed, 500 faulty lines\n"), "{errors}");
}

#[test]
fn a_model_is_missing_where_the_policy_has_several() {
    let fixture = Fixture::new("model");
    let two = "pools: {p: {}}\nendpoints: {e: {model: m, pools: [p]}, f: {model: n, pools: [p]}}";
    fixture.write("policy.yaml", two);
    fixture.write("in.jsonl", &record("a"));
    let (code, errors) = fixture.local();
    assert_eq!(code, 4);
    assert!(errors.contains("in.jsonl:1: record \"a\" names no model; add \"modelId\", or pass --model"), "{errors}");
    let (code, _, errors) =
        fixture.run(&["run", "in.jsonl", "-o", "out.jsonl", "--policy", "policy.yaml", "--local", "--model", "n"]);
    assert_eq!(code, 0, "{errors}");
}

#[test]
fn a_wrong_model_flag_is_told_once() {
    let fixture = Fixture::new("model-flag");
    fixture.write("policy.yaml", WIDE);
    fixture.write("in.jsonl", &records(3));
    let args = ["run", "in.jsonl", "-o", "out.jsonl", "--policy", "policy.yaml", "--local", "--model", "x"];
    let (code, _, errors) = fixture.run(&args);
    assert_eq!(code, 2);
    assert_eq!(errors, "error: --model x: policy.yaml has no endpoint for it\n  help: pick one of: m\n");
}

#[test]
fn an_empty_input_is_noted() {
    let fixture = Fixture::new("empty");
    fixture.write("policy.yaml", WIDE);
    fixture.write("in.jsonl", "\n\n");
    let (code, errors) = fixture.local();
    assert_eq!((code, errors.as_str()), (0, "note: in.jsonl holds no records\n0 answered, 0 failed\n"));
}

#[test]
fn a_call_larger_than_any_pool_is_an_error_of_its_own() {
    let fixture = Fixture::new("large-call");
    fixture.write("policy.yaml", "pools: {p: {tokens_per_minute: 50_000}}\nendpoints: {e: {model: m, pools: [p]}}");
    let large = record("large").replace("\"maxTokens\":1}", "\"maxTokens\":90000}");
    fixture.write("in.jsonl", &[record("a"), large, record("b")].concat());
    let (code, errors) = fixture.local();
    assert_eq!(code, 5, "{errors}");
    assert!(errors.contains("in.jsonl:2: record \"large\": TooLarge: larger than any quota pool"), "{errors}");
    assert!(errors.contains("1 records in out.jsonl are errors"), "{errors}");
    let lines = by_id(&fixture.text("out.jsonl"));
    assert_eq!(lines["large"]["error"]["errorCode"], "TooLarge");
    assert_eq!(lines["large"]["error"]["attempts"], 0);
    assert!(lines["a"]["modelOutput"].is_object() && lines["b"]["modelOutput"].is_object());
}

#[test]
fn a_refused_request_is_told_with_the_services_words() {
    let fixture = Fixture::new("refused");
    fixture.write("policy.yaml", WIDE);
    let bad = "{\"recordId\":\"bad\",\"modelInput\":{\"messages\":[]}}\n".to_owned();
    fixture.write("in.jsonl", &[record("a"), bad, record("b")].concat());
    let (code, errors) = fixture.local();
    assert_eq!(code, 5, "{errors}");
    let error = &by_id(&fixture.text("out.jsonl"))["bad"]["error"];
    assert_eq!((&error["errorCode"], &error["endpoint"]), (&"ValidationException".into(), &"east".into()), "{errors}");
    assert!(errors.contains("in.jsonl:2: record \"bad\": ValidationException at east: "), "{errors}");
}

#[test]
fn a_foreign_output_is_left_alone() {
    let fixture = Fixture::new("foreign");
    fixture.write("policy.yaml", WIDE);
    fixture.write("in.jsonl", &records(1));
    for (text, line) in [("my thesis\n", 1), (records(1).as_str(), 1), ("{\"recordId\":\"a\",\"error\":{}}\n[]\n", 2)] {
        fixture.write("out.jsonl", text);
        let (code, errors) = fixture.local();
        assert_eq!(code, 6, "{errors}");
        assert!(errors.starts_with(&format!("error: out.jsonl:{line}: not a line that `run` writes")), "{errors}");
        assert_eq!(fixture.text("out.jsonl"), text);
    }
}

#[test]
fn two_runs_do_not_write_one_output() {
    let fixture = Fixture::new("lock");
    fixture.write("policy.yaml", crate::fixture::NARROW);
    fixture.write("in.jsonl", &records(200));
    let running = Running::start(fixture.command(crate::fixture::LOCAL));
    until("a line", || lines_in(&fixture.path("out.jsonl")) > 0);
    let (code, errors) = fixture.local();
    assert_eq!(code, 6, "{errors}");
    assert!(errors.contains("out.jsonl: another run is writing it"), "{errors}");
    drop(running);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_has_its_own_code() {
    let fixture = Fixture::new("full-disk");
    fixture.write("policy.yaml", WIDE);
    fixture.write("in.jsonl", &records(300));
    let (code, _, errors) = fixture.run(&["run", "in.jsonl", "-o", "/dev/full", "--policy", "policy.yaml", "--local"]);
    assert_eq!(code, 7, "{errors}");
    assert!(errors.contains("error: /dev/full: cannot be written: No space left on device"), "{errors}");
    assert!(errors.contains("answers could not be kept, and their records will be sent again"), "{errors}");
    assert!(errors.contains("help: make room and run the same command again"), "{errors}");
}

#[test]
fn files_that_cannot_be_opened_are_named() {
    let fixture = Fixture::new("unopened");
    fixture.write("policy.yaml", WIDE);
    let (code, errors) = fixture.local();
    assert_eq!(code, 2);
    assert!(errors.contains("in.jsonl: cannot be read: No such file"), "{errors}");
    fixture.write("in.jsonl", &records(1));
    let (code, _, errors) =
        fixture.run(&["run", "in.jsonl", "-o", "no/out.jsonl", "--policy", "policy.yaml", "--local"]);
    assert_eq!(code, 7);
    assert!(errors.contains("no/out.jsonl: cannot be written") && errors.contains("create the directory"), "{errors}");
    let (code, _, errors) = fixture.run(&["run", "/dev/null", "-o", "out.jsonl", "--policy", "policy.yaml", "--local"]);
    assert_eq!(code, 2);
    assert!(errors.contains("/dev/null: cannot be read: it is no regular file"), "{errors}");
    let (code, _, errors) = fixture.run(&["run", "in.jsonl", "-o", "out.jsonl", "--policy", "none.yaml"]);
    assert_eq!(code, 2);
    assert!(errors.contains("none.yaml: cannot be read"), "{errors}");
}
