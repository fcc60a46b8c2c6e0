//! Stopping a run.

use crate::fixture::{Fixture, LOCAL, NARROW, Running, by_id, lines_in, record, records, until};

#[test]
fn ctrl_c_waits_for_what_is_in_flight_and_leaves_the_rest() {
    for signal in ["-INT", "-TERM"] {
        let fixture = Fixture::new(&format!("drain{signal}"));
        fixture.write("policy.yaml", NARROW);
        fixture.write("in.jsonl", &records(400));
        let running = Running::start(fixture.command(LOCAL));
        until("enough lines", || lines_in(&fixture.path("out.jsonl")) >= 130);
        running.signal(signal);
        let (code, errors) = running.wait();
        assert_eq!(code, 130, "{errors}");
        assert!(errors.contains("stopping; waiting for "), "{errors}");
        assert!(errors.contains("run the same command again"), "{errors}");
        let lines = by_id(&fixture.text("out.jsonl"));
        assert!(lines.values().all(|line| line["modelOutput"].is_object()));
        let left = 400 - lines.len();
        assert!(left > 100, "{left}: the records that wait were not to be sent");
        assert!(errors.contains(&format!("{left} left for the next run")), "{errors}");
        // Whatever was sent has been answered and kept.
        assert!(errors.contains(&format!("\n{} attempts, 1.00 per call", lines.len())), "{errors}");
    }
}

#[test]
fn a_second_ctrl_c_stops_at_once() {
    let fixture = Fixture::new("twice");
    fixture.write("policy.yaml", NARROW);
    // Answers of 1,000 tokens take 12 s.
    let long = "\"maxTokens\":1000},\"requestMetadata\":{\"sluicegate-output-tokens\":\"1000\"}";
    fixture.write("in.jsonl", &format!("{}{}", record("short"), records(99).replace("\"maxTokens\":1}", long)));
    let mut running = Running::start(fixture.command(LOCAL));
    let mut errors = std::io::BufReader::new(running.0.stderr.take().unwrap());
    let mut text = String::new();
    // By then the others are in flight.
    until("the short answer", || lines_in(&fixture.path("out.jsonl")) == 1);
    running.signal("-INT");
    while !text.contains("Ctrl-C: stop at once") {
        assert!(std::io::BufRead::read_line(&mut errors, &mut text).unwrap() > 0, "{text}");
    }
    running.signal("-INT");
    let rest = std::io::read_to_string(errors).unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(130), "{text}{rest}");
    assert!(rest.contains("stopping at once") && rest.contains("99 left for the next run"), "{rest}");
}
