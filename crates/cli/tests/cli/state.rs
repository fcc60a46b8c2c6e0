//! What a run remembers from the one before.

use serde_json::Value;

use crate::fixture::{Fixture, LOCAL, NARROW, Running, WIDE, by_id, lines_in, record, records, until};

const STATE: &[&str] =
    &["run", "in.jsonl", "-o", "out.jsonl", "--policy", "policy.yaml", "--local", "--state", "state.json"];

fn names(fixture: &Fixture) -> Vec<String> {
    let entries = std::fs::read_dir(fixture.path(".")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_state_is_written_whole_and_the_next_run_goes_on_from_it() {
    let fixture = Fixture::new("state");
    fixture.write("policy.yaml", WIDE);
    fixture.write("in.jsonl", &records(30));
    let (code, _, errors) = fixture.run(STATE);
    assert_eq!(code, 0, "{errors}");
    assert!(!errors.contains("goes on from"), "{errors}");
    let state: Value = serde_json::from_str(&fixture.text("state.json")).unwrap();
    assert!(state["saved_at_unix_ms"].is_u64() && state["pools"]["p"].is_object(), "{state}");
    assert_eq!(names(&fixture), ["in.jsonl", "out.jsonl", "policy.yaml", "state.json"], "no other file is left");

    fixture.write("in.jsonl", &format!("{}{}", records(30), record("new")));
    let (code, _, errors) = fixture.run(STATE);
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains("goes on from state.json, saved 0:"), "{errors}");
}

#[test]
fn what_was_sent_before_a_restart_still_counts() {
    // Six a minute, of which a fresh engine sends what a quiet minute has saved up at once.
    let policy = "pools: {p: {requests_per_minute: 6}}\nendpoints: {e: {model: m, pools: [p]}}";
    let fixture = Fixture::new("state-counts");
    fixture.write("policy.yaml", policy);
    fixture.write("in.jsonl", &record("a"));
    let (code, _, errors) = fixture.run(STATE);
    assert_eq!(code, 0, "{errors}");
    fixture.write("in.jsonl", &record("b"));
    for (args, expected, why) in
        [(STATE, 5, "the next place is ten seconds away"), (LOCAL, 0, "without the state nobody knows")]
    {
        fixture.write("out.jsonl", "");
        let (code, _, errors) = fixture.run(&[args, &["--deadline-ms", "3000"]].concat());
        assert_eq!(code, expected, "{why}: {errors}");
    }
}

#[test]
fn a_state_that_cannot_be_used_is_told_with_its_remedy_and_nothing_is_touched() {
    for (name, text, expected, remedy) in [
        ("cut", "{\"version\":1,\"po", "state.json: this is no state of a run: EOF while", "delete it or name another"),
        ("other", "[1, 2]", "state.json: this is no state of a run: it has no version", "learns"),
        (
            "newer",
            "{\"version\":99}",
            "state.json: a newer sluicegate wrote this state: version 99, this one reads up to ",
            "update sluicegate, or name another --state",
        ),
    ] {
        let fixture = Fixture::new(&format!("state-{name}"));
        fixture.write("policy.yaml", WIDE);
        fixture.write("in.jsonl", &records(3));
        fixture.write("state.json", text);
        let (code, _, errors) = fixture.run(STATE);
        assert_eq!(code, 2, "{errors}");
        assert!(errors.contains(expected) && errors.contains(remedy), "{errors}");
        assert_eq!(fixture.text("state.json"), text);
        assert_eq!(names(&fixture), ["in.jsonl", "policy.yaml", "state.json"], "no output was begun");
    }
}

#[test]
fn a_state_that_cannot_be_written_is_told_before_anything_is_sent() {
    let fixture = Fixture::new("state-nowhere");
    fixture.write("policy.yaml", WIDE);
    fixture.write("in.jsonl", &records(3));
    let args = [LOCAL, &["--state", "no/such/state.json"]].concat();
    let (code, _, errors) = fixture.run(&args);
    assert_eq!(code, 7, "{errors}");
    assert!(errors.contains("no/such/state.json: cannot be written") && errors.contains("--state"), "{errors}");
    assert_eq!(fixture.text("out.jsonl"), "");

    for other in ["in.jsonl", "./out.jsonl", "policy.yaml"] {
        let args = [LOCAL, &["--state", other]].concat();
        let before = fixture.text(other);
        let (code, _, errors) = fixture.run(&args);
        assert_eq!(code, 2, "{errors}");
        assert!(errors.contains("give the state a file of its own"), "{errors}");
        assert_eq!(fixture.text(other), before);
    }
}

#[test]
fn an_interrupted_run_saves_its_state() {
    let fixture = Fixture::new("state-stop");
    fixture.write("policy.yaml", NARROW);
    fixture.write("in.jsonl", &records(400));
    let running = Running::start(fixture.command(STATE));
    until("enough lines", || lines_in(&fixture.path("out.jsonl")) >= 130);
    let first = fixture.text("state.json");
    running.signal("-INT");
    let (code, errors) = running.wait();
    assert_eq!(code, 130, "{errors}");
    assert_ne!(fixture.text("state.json"), first, "it was written at the start and at the end");
}

#[test]
fn a_run_says_which_cap_would_do() {
    let fixture = Fixture::new("advice");
    fixture.write("policy.yaml", &format!("{WIDE}output_cap: {{minimum_answers: 100}}\n"));
    let short = "\"maxTokens\":4000},\"requestMetadata\":{\"sluicegate-output-tokens\":\"10\"}";
    fixture.write("in.jsonl", &records(260).replace("\"maxTokens\":1}", short));
    let (code, errors) = fixture.local();
    assert_eq!(code, 0, "{errors}");
    assert_eq!(by_id(&fixture.text("out.jsonl")).len(), 260);
    let note = errors.lines().find(|line| line.starts_with("note: ")).unwrap_or_default();
    assert!(
        note.starts_with("note: 64 tokens hold 99.9 % of the answers of m; a maxTokens of that would free "),
        "{errors}"
    );
}
