//! gRPC's drills of its retry throttling (gRFC A6).

use std::time::Duration;

use serde_json::Value;
use sluicegate::random::Draws;
use sluicegate::{Backoff, Curve, RetryBudget, RetryBudgetConfig, RetryKind, Timestamp};

use super::{field, list, milli, number, table, text};

const ROWS: &str = include_str!("../../../../tests/vectors/peers/grpc_retry_throttling.json");

#[test]
fn a_budget_throttles_retries_as_grpc_does() {
    let table = table(ROWS);
    let given = field(&table, "given");
    let good: Vec<u64> = list(given, "successful_server_calls").iter().filter_map(Value::as_u64).collect();
    let config = RetryBudgetConfig::grpc(number(given, "max_tokens"), milli(field(given, "token_ratio")));
    let mut budget = RetryBudget::new(config, Timestamp::ZERO);
    let mut server_call = 0;
    let rows = list(&table, "rows");
    assert_eq!(rows.len(), 12);
    for (index, row) in rows.iter().enumerate() {
        let mut attempts = 0;
        let result = loop {
            attempts += 1;
            server_call += 1;
            if good.contains(&(server_call - 1)) {
                budget.success(Timestamp::ZERO, None);
                break "ok";
            }
            let allowed = budget.withdraw(Timestamp::ZERO, RetryKind::Other).is_ok();
            if !allowed || attempts == number(given, "max_attempts") {
                break "unavailable";
            }
        };
        assert_eq!(result, text(row, "result"), "row {index}");
        assert_eq!(attempts, number(row, "attempts"), "row {index}");
        assert_eq!(server_call - 1, number(row, "last_server_call_index"), "row {index}");
        assert_eq!(budget.left(Timestamp::ZERO), milli(field(row, "tokens_after")), "row {index}");
    }
}

/// The header is the adapter's to read, and so is "do not retry": it reports such an attempt as refused. What reaches
/// the core is a time, and no delay is shorter than it.
#[test]
fn a_pushback_time_is_the_least_delay() {
    let table = table(ROWS);
    let mut rows = 0;
    for row in list(&table, "pushback_ms_header") {
        let Some(least) = row.get("min_delay_ms").and_then(Value::as_u64).map(Duration::from_millis) else { continue };
        for (base, expected) in [(least / 2, least), (least * 2, least * 2)] {
            let backoff = Backoff::new(Curve::Exponential, base, Duration::from_secs(60));
            assert_eq!(backoff.delay(0, Duration::ZERO, Some(least), &mut Draws::new(&[])), expected);
        }
        rows += 1;
    }
    assert_eq!(rows, 1);
}
