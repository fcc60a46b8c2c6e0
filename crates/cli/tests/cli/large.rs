//! A large input runs in memory that does not grow with it.

use std::io::Write as _;

use crate::fixture::{Fixture, REMOTE, Running, against, lines_in, record, serve, until};

/// About half a minute in a debug build on two cores.
const RECORDS: usize = 100_000;
/// Measured: 57 MiB with 100,000 records and 400 calls held, most of it the program, the SDK and its connections.
const MOST_KIB: u64 = 112 * 1_024;

#[test]
#[cfg(target_os = "linux")]
fn a_large_input_runs_in_bounded_memory() {
    let fixture = Fixture::new("large");
    fixture.write(
        "policy.yaml",
        "pools: {p: {requests_per_minute: 1_000_000_000}}\nendpoints: {e: {model: m, region: us-east-1, pools: [p]}}",
    );
    fixture.write("fake.yaml", "lanes: [{region: us-east-1, model: m, first_token_us: 0, per_input_token_ns: 0}]");
    let mut input = std::io::BufWriter::new(std::fs::File::create(fixture.path("in.jsonl")).unwrap());
    for number in 0..RECORDS {
        input.write_all(record(&format!("r{number}")).as_bytes()).unwrap();
    }
    drop(input);
    let served = serve(&fixture, &["--config", "fake.yaml"]);
    let mut running = Running::start(against(&fixture, &served.url, "AKIAEXAMPLE", REMOTE));
    let status = format!("/proc/{}/status", running.0.id());
    let mut peak = 0;
    until("the end", || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let now = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(|rest| rest.replace("kB", ""));
        peak = now.and_then(|now| now.trim().parse().ok()).unwrap_or(0).max(peak);
        running.0.try_wait().unwrap().is_some()
    });
    let (code, errors) = running.wait();
    assert_eq!(code, 0, "{errors}");
    assert_eq!(lines_in(&fixture.path("out.jsonl")), RECORDS);
    assert!((1..MOST_KIB).contains(&peak), "peak of {peak} KiB\n{errors}");
}
