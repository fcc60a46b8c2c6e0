//! `simulate` from end to end: bad plans, good plans, and the plans of the repository with their figures.

#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

mod folder;

use folder::{Folder, root};
use serde_json::Value;

/// The only address that a page without external resources may name: it is never fetched.
const SVG: &str = "http://www.w3.org/2000/svg";

const SMALL: &str = "
policies = [\"sluicegate\", \"article\"]
seeds = 3
[service]
regions = [\"us-east-1\", \"us-west-2\"]
each = { requests_per_minute = 60 }
[calls]
max_tokens = { fixed = 1024 }
[run]
warm_up_s = 10
measured_s = 30
[sweep]
law = [\"sliding\", { continuous = { burst_permille = 100 } }]
load = { from = 0.5, to = 2.0, step = 0.5 }
";

/// Runs `sluicegate simulate` in a folder.
fn simulate(folder: &Folder, args: &[&str]) -> (i32, String, String) {
    folder.run(&[&["simulate"], args].concat())
}

#[test]
fn one_thread_and_several_write_the_same_bytes() {
    let folder = Folder::new("threads");
    folder.write("small.toml", SMALL);
    let written = |threads: &str| {
        let files = ["--json", "f.json", "--figures", "f.md"];
        let (code, stdout, stderr) = simulate(&folder, &[&["small.toml", "--threads", threads], &files[..]].concat());
        // Not a terminal: no progress.
        let (speed, rest) = stderr.split_once('\n').unwrap();
        assert_eq!((code, rest), (0, "written: f.json\nwritten: f.md\n"), "{stdout}");
        assert!(
            speed.starts_with("simulated: ") && speed.contains(&format!(" a second on {threads} thread")),
            "{speed}"
        );
        (stdout, folder.text("f.json"), folder.text("f.md"))
    };
    let one = written("1");
    assert_eq!(one, written("2"));
    assert_eq!(one, written("7"));
    let figures: Value = serde_json::from_str(&one.1).unwrap();
    let points = figures["plans"][0]["points"].as_array().unwrap();
    assert_eq!(points.len(), 8);
    for point in points {
        for policy in point["policies"].as_array().unwrap() {
            let runs = policy["runs"].as_array().unwrap();
            assert_eq!(runs.len(), 3);
            for run in runs {
                let count = |name: &str| run[name].as_u64().unwrap();
                assert_eq!(count("in_time") + count("late") + count("never"), count("calls"), "{run}");
            }
        }
    }
    assert_eq!(points[1]["at"]["load"], "1");
    assert_eq!(figures["plans"][0]["holds"], Value::Null, "nothing is claimed");
}

#[test]
fn a_page_needs_nothing_else() {
    let folder = Folder::new("page");
    folder.write("small.toml", &format!("title = \"<b>\"\n{SMALL}"));
    let (code, _, stderr) = simulate(&folder, &["small.toml", "--seeds", "1", "--html", "page.html"]);
    assert_eq!(code, 0, "{stderr}");
    let page = folder.text("page.html");
    let page = page.replace(SVG, "");
    for outside in ["http:", "https:", "<script", "src=", "@import", "url(", "<b>Higher"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("<h1>&lt;b&gt;</h1>") && page.contains("prefers-color-scheme: dark"));
    // Two laws, three figures along the load; two policies second by second.
    assert_eq!(page.matches("<svg ").count(), 8);
}

#[test]
fn a_goal_that_is_missed_ends_with_10_unless_it_is_known() {
    let folder = Folder::new("goal");
    let goal = format!("{SMALL}[goal]\npolicy = \"article\"\nattempts_per_success_at_most = 1.0\n");
    folder.write("small.toml", &goal);
    let (code, stdout, _) = simulate(&folder, &["small.toml", "--seeds", "1"]);
    assert_eq!(code, 10, "{stdout}");
    assert!(
        stdout.contains("\nMISSED at ") && stdout.contains(" of 8 points: article: attempts per success"),
        "{stdout}"
    );
    folder.write("small.toml", &format!("{goal}known_miss = \"it hammers\"\n"));
    let (code, stdout, _) = simulate(&folder, &["small.toml", "--seeds", "1"]);
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.contains("(known: it hammers)"), "{stdout}");
}

#[test]
fn bad_plans_are_told_with_their_lines_and_nothing_is_run() {
    let folder = Folder::new("bad");
    let trace = "[calls.trace]\nfile = \"t.csv\"\nsource = \"the archive\"\n";
    folder.write("back.csv", "arrival_ms,input_tokens,output_tokens\n5,1,1\n4,1,1\n");
    folder.write("minus.csv", "arrival_ms,input_tokens,output_tokens\n5,1,1\n6,-4,1\n");
    folder.write("short.csv", "arrival_ms,input_tokens,output_tokens\n5,1,1\n1000,4,1\n");
    let calls = |line: &str| SMALL.replace("[calls]\n", &format!("[calls]\n{line}\n"));
    for (plan, expected) in [
        (SMALL.replace("article", "luck"), "p.toml:2:27: unknown policy `luck`; there are sluicegate, article, "),
        (SMALL.replace("seeds = 3", "sedes = 3"), "p.toml:3:1: unknown field `sedes`"),
        (SMALL.replace("to = 2.0", "to = 500_000_000"), "p.toml:14:8: the sweep has 2,000,000,000 points, "),
        (
            SMALL.replace("[run]", &format!("{trace}[run]")),
            "p.toml:10:8: the trace is not there: t.csv; get it from the archive",
        ),
        (
            SMALL.replace("[run]", &format!("{trace}[run]")).replace("t.csv", "back.csv"),
            "p.toml:10:8: back.csv: line 3: arrival_ms is before that of the line above; sort the file by time",
        ),
        (
            SMALL.replace("[run]", &format!("{trace}[run]")).replace("t.csv", "minus.csv"),
            "p.toml:10:8: minus.csv: line 3: input_tokens is negative",
        ),
        (SMALL.replace("requests_per_minute = 60", "max_output_tokens = 5"), "has no limit: give per_minute"),
        ("x = [".to_owned(), "p.toml:1:"),
        (
            SMALL.replace("[run]", &format!("{trace}[run]")).replace("t.csv", "short.csv"),
            "p.toml:9:1: at this rate the trace lasts for 1 s, and calls are counted up to second",
        ),
        (
            calls("closed_loop = { users = 0, think_ms = [[0, 1], [1000, 1]] }"),
            ": users must be from 1 to 100000, not 0",
        ),
        (calls("closed_loop = { users = 2, think_ms = [[0, 1], [1000, 1]] }"), ": users of a closed loop set the rate"),
        (calls("spike = { times = 2.0, from_s = 9.0, to_s = 3.0 }"), ": to_s must be after from_s"),
        (calls("diurnal = { swing = 0.5, period_s = 0.0, peak_s = 1.0 }"), ": period_s must be from 0.001 to"),
        (calls("deadline_ms = [[0, 5], [1000, 3]]"), ": deadline_ms: pairs of [permille, value]"),
        (calls("tenants = [{ name = \"a\", calls = 1 }, { name = \"a\", calls = 1 }]"), ": tenant `a` is named twice"),
        (SMALL.replace("requests_per_minute = 60", "requests_per_minute = 0"), ": requests_per_minute must be above 0"),
        (
            format!("{SMALL}[[service.trouble]]\nfrom_s = 0\nto_s = 9\nflapping_s = [1, 2, 3]\neffect = \"outage\"\n"),
            ": flapping_s is two numbers",
        ),
        (
            format!("{SMALL}[[service.trouble]]\nfrom_s = 0\nto_s = 9\neffect = {{ capacity = {{ permille = 5 }} }}\n"),
            ": the effect `capacity` needs `concurrency`",
        ),
        (format!("{SMALL}[policy.article]\nset = {{}}\n"), ": `article` is a simulated peer; give the policy"),
    ] {
        folder.write("p.toml", &plan);
        let (code, stdout, stderr) = simulate(&folder, &["p.toml", "--json", "never.json"]);
        assert_eq!((code, stdout.as_str()), (11, ""), "{stderr}");
        assert!(stderr.contains(expected), "{expected}\n{stderr}");
        assert!(stderr.contains("nothing was run") && stderr.contains("help: "), "{stderr}");
    }
    assert!(!folder.0.join("never.json").exists());
    let (code, _, stderr) = simulate(&folder, &["none.toml"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("none.toml: cannot be read: "), "{stderr}");
    folder.write("p.toml", SMALL);
    for outputs in [["--html", "p.toml"], ["--json", "./p.toml"]] {
        let (code, _, stderr) = simulate(&folder, &[&["p.toml"], &outputs[..]].concat());
        assert_eq!((code, folder.text("p.toml").as_str()), (2, SMALL), "{stderr}");
        assert!(stderr.contains("this file is the plan as well"), "{stderr}");
    }
    let (code, _, stderr) = simulate(&folder, &["p.toml", "--html", "no/such/page.html"]);
    assert_eq!(code, 7);
    assert!(stderr.contains("no/such/page.html: cannot be written"), "{stderr}");
}

#[test]
fn a_plan_without_its_trace_can_be_left_out() {
    let folder = Folder::new("absent");
    folder.write("a.toml", SMALL);
    folder.write("b.toml", &SMALL.replace("[run]", "[calls.trace]\nfile = \"t.csv\"\nsource = \"x\"\n[run]"));
    let (code, stdout, stderr) = simulate(&folder, &[".", "--seeds", "1", "--skip-absent-traces"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("NOT RUN: ") && stderr.contains("b.toml:10:8: the trace is not there"), "{stderr}");
    assert!(stdout.contains("(a, 1 seed)") && !stdout.contains("(b, "), "{stdout}");
}

/// By heading.
fn sections(text: &str) -> Vec<(&str, &str)> {
    text.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect()
}

/// `tests/plans/FIGURES.md` says what every plan of the repository gives. Plans whose trace is not in
/// the folder that `SLUICEGATE_TRACES` names keep what stands there. `SLUICEGATE_BLESS=1` writes it anew, which wants the traces.
#[test]
fn the_plans_of_the_repository_give_the_figures_that_are_kept() {
    let folder = Folder::new("plans");
    let (plans, kept) = (root().join("tests/plans"), root().join("tests/plans/FIGURES.md"));
    let bless = std::env::var("SLUICEGATE_BLESS").is_ok_and(|value| value == "1");
    let traces = std::env::var("SLUICEGATE_TRACES").ok();
    let mut args = vec![plans.to_str().unwrap(), "--figures", "now.md"];
    if let Some(traces) = &traces {
        args.extend(["--traces", traces]);
    }
    if !bless {
        args.push("--skip-absent-traces");
    }
    let (code, stdout, stderr) = simulate(&folder, &args);
    print!("{stderr}");
    assert!([0, 10].contains(&code), "{stdout}{stderr}");
    let now = folder.text("now.md");
    if bless {
        std::fs::write(&kept, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&kept).unwrap();
    let kept = sections(&kept);
    let mut differences = String::new();
    for (name, now) in sections(&now) {
        let before = kept.iter().find(|(kept, _)| *kept == name).map_or("", |(_, text)| text);
        for line in before.lines().filter(|line| !now.lines().any(|other| other == *line)) {
            differences.push_str(&format!("{name}\n- {line}\n"));
        }
        for line in now.lines().filter(|line| !before.lines().any(|other| other == *line)) {
            differences.push_str(&format!("{name}\n+ {line}\n"));
        }
    }
    let stale: Vec<&str> =
        kept.iter().map(|(name, _)| *name).filter(|name| !plans.join(format!("{name}.toml")).is_file()).collect();
    if !differences.is_empty() || !stale.is_empty() {
        panic!("the figures have changed; SLUICEGATE_BLESS=1 writes them anew\n{differences}{stale:?}");
    }
    assert_eq!(code, 0, "a goal is missed that no plan knows of\n{stdout}");
}
