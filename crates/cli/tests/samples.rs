//! The committed sample is what its generator makes, and as large as it says.

#[path = "../examples/make_samples.rs"]
#[expect(dead_code, reason = "the example's main function is of no use to a test")]
mod make_samples;

use std::collections::HashSet;

const COMMITTED: &str = include_str!("../../../tests/samples/prompts.jsonl");

#[test]
fn the_committed_sample_is_what_the_generator_makes() {
    assert!(
        make_samples::samples() == COMMITTED,
        "cargo run -p sluicegate-cli --example make_samples > tests/samples/prompts.jsonl"
    );
}

#[test]
fn the_sample_has_six_hundred_records_of_realistic_sizes() {
    let mut sizes = Vec::new();
    let mut ids = HashSet::new();
    let mut converse = 0;
    for line in COMMITTED.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = record.pointer("/modelInput/messages/0/content/0/text").and_then(|text| text.as_str()).unwrap();
        sizes.push(text.len());
        converse += usize::from(record.pointer("/modelInput/inferenceConfig").is_some());
        assert!(ids.insert(record["recordId"].to_string()), "{line}");
    }
    sizes.sort_unstable();
    assert_eq!((sizes.len() as u64, converse), (make_samples::PROMPTS, 480));
    assert!(COMMITTED.len() < 400_000, "{}", COMMITTED.len());
    // A thirteenth of 1,020 and of 4,142 tokens at 4.2 bytes, and a sentence at most.
    assert!((300..450).contains(&sizes[300]), "{}", sizes[300]);
    assert!((1_250..1_550).contains(&sizes[594]), "{}", sizes[594]);
}
