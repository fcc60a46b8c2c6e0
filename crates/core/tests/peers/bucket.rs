//! governor's drills of its token bucket.

use std::time::Duration;

use serde_json::Value;
use sluicegate::Bucket;

use super::{at_ms, field, list, number, table, text};

const CASES: &str = include_str!("../../../../tests/vectors/peers/gcra_governor.json");

#[test]
fn a_bucket_admits_what_governor_admits() {
    let table = table(CASES);
    let mut steps = 0;
    for case in list(&table, "cases") {
        let Some(script) = case.get("steps").and_then(Value::as_array) else { continue };
        let mut bucket = bucket(case);
        let mut now = 0;
        for (index, step) in script.iter().enumerate() {
            now += number(step, "advance_ms");
            let amount = number(step, "n");
            let place = format!("{} step {index}", text(case, "id"));
            // governor answers "never" by itself. Ours goes into debt when it is full and leaves the question to
            // `fits`, because a service admits a single large request and so must we.
            let impossible = step.get("impossible").and_then(Value::as_bool).unwrap_or(false);
            assert_eq!(bucket.fits(amount), !impossible, "{place}");
            if !impossible {
                let admitted = bucket.try_take(at_ms(now), amount).is_ok();
                assert_eq!(Some(admitted), field(step, "ok").as_bool(), "{place}");
            }
            steps += 1;
        }
    }
    assert_eq!(steps, 30);
}

#[test]
fn waiting_the_stated_time_always_succeeds() {
    let table = table(CASES);
    let case = list(&table, "cases").iter().find(|case| case.get("loop").is_some()).expect("there is one");
    let (steps, mut bucket) = (field(case, "loop"), bucket(case));
    let mut now = at_ms(0);
    let mut waits = 0;
    for _ in 0..number(steps, "times") {
        now = now.saturating_add(Duration::from_millis(number(steps, "advance_ms")));
        if let Err(at) = bucket.try_take(now, number(steps, "ask")) {
            now = at;
            assert_eq!(bucket.try_take(now, number(steps, "ask")), Ok(()));
            waits += 1;
        }
    }
    assert_eq!(waits, 15, "the burst of 5 goes out at once");
}

fn bucket(case: &Value) -> Bucket {
    let quota = field(case, "quota");
    Bucket::new(number(quota, "per_s"), Duration::from_secs(1), number(quota, "burst"), at_ms(0))
}
