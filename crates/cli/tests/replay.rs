//! `replay` from end to end, on the sample of Bedrock's invocation log and on the log of a run.

#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

mod folder;

use folder::{Folder, root};
use serde_json::Value;

/// The figures of the sample under the sample policy.
fn sample(folder: &Folder, more: &[&str]) -> Value {
    let (log, policy) = (root().join("tests/samples/invocations.jsonl"), root().join("tests/samples/policy.yaml"));
    let args = ["replay", log.to_str().unwrap(), "--policy", policy.to_str().unwrap(), "--json", "f.json"];
    let (code, _, stderr) = folder.run(&[&args[..], more].concat());
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&folder.text("f.json")).unwrap()
}

#[test]
fn the_sample_gives_the_same_figures_each_time_and_by_tenant_and_hour() {
    let folder = Folder::new("sample");
    let figures = sample(&folder, &["--html", "page.html"]);
    assert_eq!(figures, sample(&folder, &[]));
    let count = |value: &Value, side: &str, name: &str| value[side][name].as_u64().unwrap();
    let all = &figures["all"];
    assert_eq!((all["calls"].as_u64(), count(all, "was", "answered")), (Some(220), 213));
    assert_eq!((count(all, "was", "refused_attempts"), count(all, "would", "refused_attempts")), (156, 0));
    assert_eq!((count(all, "would", "answered"), count(all, "would", "attempts")), (220, 220));
    let rows = figures["by_hour_and_tenant"].as_array().unwrap();
    let names: Vec<_> =
        rows.iter().map(|row| (row["hour"].as_str().unwrap(), row["tenant"].as_str().unwrap())).collect();
    let expected =
        [("2026-04-09 23:00", "role batch"), ("2026-04-09 23:00", "role chat"), ("2026-04-10 00:00", "role batch")];
    assert_eq!(names[..3], expected);
    assert_eq!(rows.iter().map(|row| row["calls"].as_u64().unwrap()).sum::<u64>(), 220);
    let page = folder.text("page.html").replace("http://www.w3.org/2000/svg", "");
    assert!(!page.contains("http") && page.contains("role chat") && page.matches("<svg ").count() == 4);
}

#[test]
fn a_smaller_quota_answers_less_and_a_smaller_cap_reserves_less() {
    let folder = Folder::new("quota");
    let answered = |more: &[&str]| sample(&folder, more)["all"]["would"]["answered"].as_u64().unwrap();
    let few = ["--quota", "requests_per_minute=10", "--deadline", "20"];
    assert!(answered(&few) < 150, "{}", answered(&few));
    let tight = ["--quota", "tokens_per_minute=30000", "--deadline", "20"];
    let capped = [&tight[..], &["--max-tokens", "512"]].concat();
    assert!(answered(&capped) > answered(&tight), "{} {}", answered(&capped), answered(&tight));
    assert_eq!(sample(&folder, &capped)["cut_answers"], 35);
}

#[test]
fn the_log_of_a_run_can_be_played_again() {
    let folder = Folder::new("run");
    folder.write(
        "policy.yaml",
        "pools: {p: {requests_per_minute: 6000}}\nendpoints: {e: {model: m, region: r, pools: [p]}}",
    );
    let record = |number: usize| {
        let input = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Hi\"}]}],\"inferenceConfig\":{\"maxTokens\":1}}";
        format!("{{\"recordId\":\"r{number}\",\"modelInput\":{input}}}\n")
    };
    folder.write("in.jsonl", &(0..12).map(record).collect::<String>());
    let run = ["run", "in.jsonl", "-o", "out.jsonl", "--policy", "policy.yaml", "--local", "--events", "events.jsonl"];
    let (code, _, stderr) = folder.run(&run);
    assert_eq!(code, 0, "{stderr}");
    let (code, stdout, stderr) = folder.run(&["replay", "events.jsonl", "--policy", "policy.yaml"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.starts_with("Of 12 calls 12 were answered; under the policy 12 would have been in time"),
        "{stdout}"
    );
    let (code, _, stderr) = folder.run(&["replay", "events.jsonl", "--policy", "policy.yaml", "--max-tokens", "5"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("does not say what each call asked for"), "{stderr}");
}

#[test]
fn bad_logs_and_flags_are_told() {
    let folder = Folder::new("bad");
    let policy = "pools: {p: {requests_per_minute: 60}}\nendpoints: {e: {model: m, region: r, pools: [p]}}";
    folder.write("policy.yaml", policy);
    folder.write("faulty.jsonl", "{\"timestamp\": \"yesterday\", \"modelId\": \"m\"}\n\nnot json\n{\"x\": 1}\n");
    folder.write("other.jsonl", "{\"timestamp\": \"2026-04-09T23:00:00Z\", \"modelId\": \"other\"}\n");
    for (args, code, expected) in [
        (
            &["faulty.jsonl"][..],
            11,
            "faulty.jsonl:1: timestamp yesterday is none in UTC since 1970\nfaulty.jsonl:3: not JSON: ",
        ),
        (&["faulty.jsonl"], 11, "faulty.jsonl:4: neither an event of the engine nor a ModelInvocationLog record"),
        (&["other.jsonl"], 2, "policy.yaml: has no endpoint for the models of the log: other"),
        (&["none.jsonl"], 2, "none.jsonl: cannot be read: "),
        (&["other.jsonl", "--quota", "rpm=5"], 2, "`rpm` is no quota; there are requests_per_minute, "),
        (&["other.jsonl", "--quota", "q.concurrency=5"], 2, "--quota q.concurrency: policy.yaml has no such pool"),
    ] {
        let all = [&["replay"], args, &["--policy", "policy.yaml"][..]].concat();
        let (found, stdout, stderr) = folder.run(&all);
        assert_eq!((found, stdout.as_str()), (code, ""), "{stderr}");
        assert!(stderr.contains(expected), "{expected}\n{stderr}");
    }
}
