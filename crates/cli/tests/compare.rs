//! `compare` from end to end, in small: what it writes hangs together. How well clients do is not judged here, since a
//! few seconds on a busy machine say nothing about it.

#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const CLIENTS: [&str; 4] = ["article", "sdk-standard", "sdk-adaptive", "sluicegate"];
/// The only address that a page without external resources may name: it is never fetched.
const SVG: &str = "http://www.w3.org/2000/svg";

fn compare(folder: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluicegate")).arg("compare").args(more).current_dir(folder).output().unwrap()
}

/// A folder of this test run's own.
fn folder(name: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("compare-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_short_comparison_writes_a_report_and_figures_that_agree() {
    let folder = folder("short");
    let timeline = ["--warm-up", "1", "--seconds", "3", "--brownout", "1", "--recovery", "1", "--deadline", "3"];
    let files = ["-o", "report.html", "--json", "figures.json", "--twins"];
    let output = compare(&folder, &[&["--local", "--requests-per-minute", "600"], &timeline[..], &files[..]].concat());
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let figures: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("figures.json")).unwrap()).unwrap();
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();

    let code = if figures["passed"] == true { 0 } else { 10 };
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    let criteria = figures["criteria"].as_array().unwrap();
    assert_eq!(criteria.len(), 5);
    assert!(criteria.iter().all(|criterion| criterion["client"] == "sluicegate"), "{criteria:?}");
    assert_eq!(figures["passed"], criteria.iter().all(|criterion| criterion["holds"] == true));
    assert_eq!(stdout.matches("MISS").count(), criteria.iter().filter(|criterion| criterion["holds"] == false).count());
    // Not a terminal: no progress.
    assert_eq!(stderr, "report: report.html\n");
    agree(&figures);
    let twins = figures["twins"]["clients"].as_array().unwrap();
    assert_eq!(twins.len(), CLIENTS.len());
    assert!(twins.iter().all(|twin| twin["goodput"]["simulated"].as_f64().unwrap() > 0.0), "{twins:?}");
    self_contained(&page, &figures);
    for client in CLIENTS {
        assert!(stdout.contains(client), "{stdout}");
        assert!(page.contains(&format!("<b class=\"{client}\">{client}</b>")), "{client}");
    }
}

fn agree(figures: &Value) {
    let names: Vec<&str> = figures["clients"].as_array().unwrap().iter().filter_map(|c| c["client"].as_str()).collect();
    assert_eq!(names, CLIENTS);
    let oracle = figures["oracle"]["in_time"].as_u64().unwrap();
    assert!(oracle > 0 && oracle <= figures["oracle"]["upper_bound"].as_u64().unwrap());
    let mut calls = BTreeSet::new();
    for client in figures["clients"].as_array().unwrap() {
        let count = |name: &str| client[name].as_u64().unwrap();
        let sum =
            |name: &str| client["per_second"][name].as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>();
        calls.insert(count("calls"));
        assert_eq!(count("in_time") + count("late") + count("never"), count("calls"), "{client}");
        assert!(
            (client["goodput"].as_f64().unwrap() - count("in_time") as f64 / oracle as f64).abs() < 1e-9,
            "{client}"
        );
        assert!(count("refused") <= count("attempts"), "{client}");
        let regions = client["regions"].as_array().unwrap();
        assert_eq!(regions.len(), 3);
        let of_regions = |name: &str| regions.iter().filter_map(|region| region[name].as_u64()).sum::<u64>();
        // Attempts of measured calls, of the timeline, of the whole run.
        assert!(count("attempts") <= of_regions("attempts") && sum("attempts") <= of_regions("attempts"), "{client}");
        assert!(of_regions("answered") + of_regions("refused_quota") <= of_regions("attempts"), "{client}");
        assert!(sum("in_time") > 0 && sum("in_time") <= of_regions("answered"), "{client}");
        assert!(client["quota_phase"]["refused"].as_u64() <= client["quota_phase"]["attempts"].as_u64(), "{client}");
    }
    // All four got the same calls: 45 a second for 5 s.
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert!((150..310).contains(calls.first().unwrap()), "{calls:?}");
}

fn self_contained(page: &str, figures: &Value) {
    assert_eq!(page.matches("http").count(), page.matches(SVG).count());
    for outside in ["<script", "<link", "<img", "<iframe", "@import", "url(", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
    // Two plots for wide and for narrow screens, two panels for each client.
    assert_eq!(page.matches("<svg ").count(), 4 + 8);
    assert_eq!(page.matches("</svg>").count(), 4 + 8);
    for phase in figures["scenario"]["phases"].as_array().unwrap() {
        assert!(page.contains(&format!("{}\n</text>", phase["name"].as_str().unwrap())), "{phase}");
    }
    assert!(page.contains("<pre>sluicegate compare --local --requests-per-minute 600"));
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let folder = folder("wrong");
    for (more, code, message) in [
        (&["--seed", "1"][..], 2, "--local"),
        (&["--local", "--load", "0"], 2, "0.1 to 10"),
        (&["--local", "--seconds", "0"], 2, "--seconds"),
        (&["--local", "--peer", "curl"], 2, "boto3-standard"),
        (&["--local", "--peer", "litellm"], 2, "the peer litellm does not run: target/peers/bin/python: "),
        (&["--local", "--peer", "litellm"], 2, "`cargo xtask peers` makes the environment"),
        (&["--local", "--peer", "sluicegate-python"], 2, "the peer sluicegate-python does not run: "),
        (&["--local", "-o", "no/such/folder.html"], 7, "no/such/folder.html: cannot be written"),
    ] {
        let output = compare(&folder, more);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(message), "{stderr}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A shell stands in for Python: one that says what nobody asked for, and one that ends at once.
#[cfg(unix)]
#[test]
fn a_peer_that_does_not_speak_as_agreed_is_named() {
    let folder = folder("peer");
    for (client, message) in [("echo nonsense; cat > taken", "it said `nonsense`"), ("exit 1", "it ")] {
        std::fs::write(folder.join("client.sh"), client).unwrap();
        let peer = ["--local", "--peer", "boto3-adaptive", "--peer-client", "client.sh", "--peer-python", "/bin/sh"];
        let output = compare(&folder, &peer);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{client}: {stderr}");
        assert!(stderr.contains(&format!("the peer boto3-adaptive does not run: {message}")), "{client}: {stderr}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
