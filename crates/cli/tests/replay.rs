//! `replay` from end to end, on the sample of Bedrock's invocation log and on the log of a run.

#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

mod folder;

use folder::{Folder, root};
use serde_json::{Value, json};

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
    assert_eq!((count(all, "would", "late"), count(all, "would", "refused")), (0, 0));
    let rows = figures["by_hour_and_tenant"].as_array().unwrap();
    let names: Vec<_> =
        rows.iter().map(|row| (row["hour"].as_str().unwrap(), row["tenant"].as_str().unwrap())).collect();
    let expected =
        [("2026-04-09 23:00", "role batch"), ("2026-04-09 23:00", "role chat"), ("2026-04-10 00:00", "role batch")];
    assert_eq!(names[..3], expected);
    assert_eq!(rows.iter().map(|row| row["calls"].as_u64().unwrap()).sum::<u64>(), 220);
    let page = folder.text("page.html").replace("http://www.w3.org/2000/svg", "");
    assert!(!page.contains("http") && page.contains("role chat") && page.matches("<svg ").count() == 4);
    assert!(page.contains("<h1>What policy.yaml would have done</h1>") && page.contains("a minute (UTC)"));
    assert!(page.contains("<h3>By hour and tenant</h3>") && page.matches("2026-04-09 23:00").count() == 3);
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
    let figures = sample(&folder, &[&capped[..], &["--html", "page.html"]].concat());
    assert_eq!(figures["cut_answers"], 35);
    assert!(folder.text("page.html").contains("<p>35 of the answers given would have been cut by --max-tokens.</p>"));
    // Each call has one end.
    let would = |name: &str| figures["all"]["would"][name].as_u64().unwrap();
    assert_eq!(would("answered") + would("late") + would("refused"), 220);
}

#[test]
fn a_bucket_holds_the_largest_call() {
    let folder = Folder::new("bucket");
    let figures = sample(&folder, &["--law", "continuous"]);
    assert_eq!(figures["all"]["would"]["answered"], 220);
    assert!(notes(&figures).contains("each quota refills into a bucket of "), "{}", notes(&figures));
    // What does not fit into a minute never starts, and that is told.
    let figures = sample(&folder, &["--quota", "tokens_per_minute=1000"]);
    assert_eq!(figures["all"]["would"]["answered"], 0);
    let told = "220 calls reserve more tokens than any endpoint has in a minute, so they can never start";
    assert!(notes(&figures).contains(told), "{}", notes(&figures));
}

fn notes(figures: &Value) -> String {
    figures["notes"].as_array().unwrap().iter().map(|note| format!("{}\n", note.as_str().unwrap())).collect()
}

const POLICY: &str = "pools: {p: {requests_per_minute: 6000}}\nendpoints: {e: {model: m, region: r, pools: [p]}}";

#[test]
fn the_log_of_a_run_can_be_played_again_with_a_smaller_cap() {
    let folder = Folder::new("run");
    folder.write("policy.yaml", POLICY);
    let record = |number: usize| {
        let cap = if number < 6 { 3 } else { 300 };
        let text = "Tell me a story. ".repeat(40);
        let input = format!(
            "{{\"messages\":[{{\"role\":\"user\",\"content\":[{{\"text\":\"{text}\"}}]}}],\"inferenceConfig\":{{\"maxTokens\":{cap}}}}}"
        );
        format!("{{\"recordId\":\"r{number}\",\"modelInput\":{input}}}\n")
    };
    folder.write("in.jsonl", &(0..12).map(record).collect::<String>());
    let run = ["run", "in.jsonl", "-o", "out.jsonl", "--policy", "policy.yaml", "--local", "--events", "events.jsonl"];
    let (code, _, stderr) = folder.run(&run);
    assert_eq!(code, 0, "{stderr}");
    let play = |log: &str, more: &[&str]| {
        folder.run(&[&["replay", log, "--policy", "policy.yaml", "--json", "f.json"], more].concat())
    };
    let (code, stdout, stderr) = play("events.jsonl", &[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.starts_with("Of 12 calls 12 were answered; under the policy 12 would have been in time, 0 late"),
        "{stdout}"
    );
    // Answers are known to the token: six of them are three long, the others as long as the fake makes them.
    let written: Vec<u64> = folder
        .text("out.jsonl")
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["modelOutput"]["usage"]["outputTokens"].as_u64().unwrap()
        })
        .collect();
    let longer = written.iter().filter(|tokens| **tokens > 2).count() as u64;
    assert!(longer >= 6, "{written:?}");
    let (code, _, stderr) = play("events.jsonl", &["--max-tokens", "2"]);
    assert_eq!(code, 0, "{stderr}");
    let figures: Value = serde_json::from_str(&folder.text("f.json")).unwrap();
    assert_eq!(figures["cut_answers"].as_u64(), Some(longer));

    // A process that was killed leaves half a line; the log of an older version holds events alone.
    let whole = folder.text("events.jsonl");
    folder.write("torn.jsonl", &whole[..whole.len() - 20]);
    let (code, stdout, stderr) = play("torn.jsonl", &[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("which breaks off where its writer was stopped"), "{stdout}");
    let older: String =
        whole.lines().filter(|line| !line.contains("\"input\"")).map(|line| format!("{line}\n")).collect();
    folder.write("older.jsonl", &older);
    let (code, stdout, stderr) = play("older.jsonl", &[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("Of 12 calls 12 were answered"), "{stdout}");
    let (code, _, stderr) = play("older.jsonl", &["--max-tokens", "2"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("does not say what each call asked for"), "{stderr}");
}

/// A record of Bedrock's log.
fn record(second: u32, more: &Value) -> String {
    let mut record = json!({
        "schemaType": "ModelInvocationLog", "timestamp": format!("2026-04-09T23:58:{second:02}Z"), "operation": "Converse",
        "modelId": "m", "requestId": format!("id-{second}"), "identity": {"arn": "arn:aws:iam::1:user/one"},
        "input": {"inputTokenCount": 10, "inputBodyJson": {"inferenceConfig": {"maxTokens": 100}}},
        "output": {"outputTokenCount": 20},
    });
    for (name, value) in more.as_object().unwrap() {
        record[name] = value.clone();
    }
    format!("{record}\n")
}

#[test]
fn what_a_log_does_not_say_is_told() {
    let folder = Folder::new("told");
    folder.write("policy.yaml", POLICY);
    let plain = || json!({});
    let refused =
        json!({"errorCode": "ThrottlingException", "output": null, "input": {"inputBodyJson": {"max_tokens": 50}}});
    let escape = json!({"identity": {"arn": "arn:aws:iam::1:user/\u{1b}[31mred"}});
    for (log, told) in [
        (record(1, &plain()) + &record(1, &plain()), "left out: records that came a second time, by their requestId"),
        (
            record(1, &plain()) + &record(2, &json!({"output": {}})),
            "left out: calls that were answered, whose tokens the",
        ),
        (
            record(1, &plain()) + &record(2, &refused),
            "the log does not tell the prompts of 1 calls; that of a middling",
        ),
        (record(1, &plain()) + &record(2, &refused), "1 calls were not answered; an answer to them is taken to be of"),
        (record(2, &plain()) + &record(1, &plain()), "sorted by time: 1 records stood behind later ones"),
        (record(1, &escape), "user \\u{1b}[31mred"),
    ] {
        folder.write("log.jsonl", &log);
        let (code, stdout, stderr) = folder.run(&["replay", "log.jsonl", "--policy", "policy.yaml"]);
        assert_eq!(code, 0, "{stderr}");
        assert!(stdout.contains(told) && !stdout.contains('\u{1b}'), "{told}\n{stdout}");
        assert!(!stdout.contains("never went out"), "{stdout}");
    }
}

#[test]
fn outputs_do_not_replace_inputs_or_each_other() {
    let folder = Folder::new("apart");
    folder.write("policy.yaml", POLICY);
    folder.write("log.jsonl", &record(1, &json!({})));
    for (outputs, told) in [
        (&["--json", "./log.jsonl"][..], "--json ./log.jsonl: this file is the log as well, which would be lost"),
        (&["--html", "policy.yaml"], "--html policy.yaml: this file is the policy as well, which would be lost"),
        (&["--json", "new", "--html", "./new"], "--html ./new: this file is --json as well, which would be lost"),
    ] {
        let (code, stdout, stderr) =
            folder.run(&[&["replay", "log.jsonl", "--policy", "policy.yaml"], outputs].concat());
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains(told), "{stderr}");
    }
    assert_eq!((folder.text("log.jsonl"), folder.text("policy.yaml").as_str()), (record(1, &json!({})), POLICY));
    assert!(!folder.0.join("new").exists());
    let run = ["run", "log.jsonl", "-o", "out.jsonl", "--local", "--events", "./out.jsonl"];
    let (code, _, stderr) = folder.run(&run);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("--events ./out.jsonl: this file is the output as well"), "{stderr}");
}

#[test]
fn bad_logs_and_flags_are_told() {
    let folder = Folder::new("bad");
    let policy = "pools: {p: {requests_per_minute: 60}}\nendpoints: {e: {model: m, region: r, pools: [p]}}";
    folder.write("policy.yaml", policy);
    folder.write("faulty.jsonl", "{\"timestamp\": \"yesterday\", \"modelId\": \"m\"}\n\nnot json\n{\"x\": 1}\n");
    folder.write("negative.jsonl", &(record(1, &json!({})) + &record(2, &json!({"input": {"inputTokenCount": -5}}))));
    let head = "{\"log\":\"sluicegate\",\"version\":1,\"origin_unix_us\":0}";
    let submit =
        |at: u64| format!("{{\"at_us\":{at},\"input\":{{\"submit\":{{\"id\":7,\"model\":0,\"tokens\":900}}}}}}");
    folder.write("back.jsonl", &format!("{head}\n{}\n{{\"at_us\":5,\"event\":{{}}}}\n", submit(9)));
    folder.write("twice.jsonl", &format!("{head}\n{}\n{}\n", submit(9), submit(9)));
    folder.write("mixed.jsonl", &format!("{head}\n{}\n{}", submit(9), record(1, &json!({}))));
    std::fs::write(folder.0.join("latin.jsonl"), [record(1, &json!({})).as_bytes(), b"{\"a\":\"\xe9\"}"].concat())
        .unwrap();
    std::fs::write(folder.0.join("log.gz"), b"\x1f\x8b\x08").unwrap();
    folder.write("left_out.jsonl", &record(1, &json!({"operation": "StartAsyncInvoke"})));
    folder.write("other.jsonl", &record(1, &json!({"modelId": "other"})));
    for (args, code, expected) in [
        (
            &["faulty.jsonl"][..],
            11,
            "faulty.jsonl:1: timestamp yesterday is none in UTC since 1970\nfaulty.jsonl:3: not JSON: ",
        ),
        (&["faulty.jsonl"], 11, "faulty.jsonl:4: neither an event of the engine nor a ModelInvocationLog record"),
        (&["other.jsonl"], 2, "policy.yaml: has no endpoint for the models of the log: other"),
        (&["negative.jsonl"], 11, "negative.jsonl:2: inputTokenCount is -5, which is no whole number from 0 to "),
        (&["back.jsonl"], 11, "back.jsonl:3: at_us goes back from 9 in line 2 to 5; "),
        (&["twice.jsonl"], 11, "twice.jsonl:3: call 7 was submitted already, in line 2; "),
        (
            &["mixed.jsonl"],
            11,
            "mixed.jsonl:3: this is of Bedrock's invocation log and line 1 of the engine's own log; split",
        ),
        (&["latin.jsonl"], 11, "latin.jsonl:2: not UTF-8 text; nothing was run"),
        (&["log.gz"], 2, "log.gz: cannot be read: it is compressed\n  help: unpack it with gunzip: gunzip log.gz"),
        (&["left_out.jsonl"], 11, "left_out.jsonl:1: the log holds no calls; left out: calls of StartAsyncInvoke"),
        (&["other.jsonl", "--quota", "concurrency=0"], 2, "concurrency of 0 would let nothing out; 1 is the least"),
        (
            &["other.jsonl", "--quota", "concurrency=99999999999999"],
            2,
            "policy.yaml with --quota: /pools/p/concurrency: ",
        ),
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
