//! resilience4j's drills of its circuit breaker.

use std::time::Duration;

use serde_json::Value;
use sluicegate::random::Draws;
use sluicegate::{Breaker, BreakerConfig, BreakerMode, BreakerState, BreakerVerdict, BreakerWindow, Timestamp};

use super::{field, list, number, seconds, table, text};

const DRILLS: &str = include_str!("../../../../tests/vectors/peers/circuit_breaker_resilience4j.json");

/// Not replayed, because ours has no such thing:
/// - `not_permitted` and `ok`: counters of refused and of good calls. The engine's events tell both.
/// - `max_wait_half_open_s`: ours waits for its probes as long as their leases last, which free the place of a lost one.
#[test]
fn a_breaker_goes_through_the_same_states_as_resilience4j() {
    let table = table(DRILLS);
    let drills = list(&table, "cases");
    assert_eq!(drills.len(), 12);
    for drill in drills {
        let mut breaker = Breaker::new(config(field(&table, "config"), drill.get("config_override")));
        let mut now = Timestamp::ZERO;
        for (index, step) in list(drill, "steps").iter().enumerate() {
            play(&mut breaker, &mut now, step, &format!("{} step {index}", text(drill, "id")));
        }
    }
}

fn config(config: &Value, changes: Option<&Value>) -> BreakerConfig {
    let small = |value: &Value, key| u32::try_from(number(value, key)).expect("a small number");
    let window = changes.unwrap_or(config).get("window").expect("a window");
    let open_for = Duration::from_secs(number(config, "wait_open_s"));
    let doubles = changes.is_some_and(|changes| changes.get("wait_open_doubles").is_some());
    BreakerConfig {
        mode: BreakerMode::Enabled,
        open_jitter_permille: 0,
        failure_rate_percent: small(config, "failure_rate_threshold_pct"),
        slow_rate_percent: small(config, "slow_call_rate_threshold_pct"),
        slow_after: Some(Duration::from_secs(number(config, "slow_call_threshold_s"))),
        window: match text(window, "type") {
            "time" => BreakerWindow::Seconds(small(window, "seconds")),
            _ => BreakerWindow::Attempts(small(window, "size")),
        },
        minimum_attempts: small(window, "minimum_calls"),
        open_for,
        open_at_most: if doubles { open_for * 16 } else { open_for },
        probes: small(config, "permitted_half_open"),
    }
}

fn play(breaker: &mut Breaker, now: &mut Timestamp, step: &Value, place: &str) {
    let mut no_jitter = Draws::new(&[]);
    let (action, value) = step.as_object().and_then(|step| step.iter().next()).expect("a step does one thing");
    match action.as_str() {
        "advance_s" => *now = now.saturating_add(seconds(value)),
        "acquire" => {
            let passed = matches!(breaker.acquire(*now), BreakerVerdict::Pass | BreakerVerdict::Probe);
            assert_eq!(Some(passed), value.as_bool(), "{place}");
        }
        "release" => breaker.release(),
        "success_s" | "error_s" => {
            breaker.record(*now, action == "error_s", seconds(value), &mut no_jitter);
        }
        "force" | "for_s" => match (text(step, "force"), step.get("for_s")) {
            ("open", Some(wait)) => breaker.open_for(*now, seconds(wait)),
            ("open", None) => breaker.open(*now, &mut no_jitter),
            _ => breaker.half_open(),
        },
        "expect" => expect(breaker, value, place),
        other => panic!("{place}: {other}"),
    }
}

fn expect(breaker: &Breaker, expected: &Value, place: &str) {
    for (key, value) in expected.as_object().expect("an expectation has fields") {
        let rate = |rate: Option<u32>| rate.map_or(-1, i64::from);
        let found = match key.as_str() {
            "state" => {
                let state = match breaker.state() {
                    BreakerState::Closed => "closed",
                    BreakerState::Open => "open",
                    BreakerState::HalfOpen => "half_open",
                };
                assert_eq!(Some(state), value.as_str(), "{place}");
                continue;
            }
            "failure_rate" => rate(breaker.failure_rate_percent()),
            "slow_rate" => rate(breaker.slow_rate_percent()),
            "buffered" => i64::from(breaker.counted()),
            "failed" | "slow" => {
                // Ours tells shares: they are the counts wherever enough was counted.
                let share = if key == "failed" { breaker.failure_rate_percent() } else { breaker.slow_rate_percent() };
                let Some(share) = share else { continue };
                i64::from(share * breaker.counted() / 100)
            }
            "ok" | "not_permitted" => continue,
            other => panic!("{place}: {other}"),
        };
        assert_eq!(Some(found), value.as_i64(), "{place}: {key}");
    }
}
