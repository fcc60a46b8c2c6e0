//! What happened: totals, a row per second, and the fate of each tagged call. The evidence comes from here.

use std::collections::BTreeMap;

use serde::Serialize;
use sluicegate::Timestamp;

use crate::error::{ErrorKind, RefusalClass};

/// Rows kept per lane: two and a half days of seconds. Later seconds count in the totals only.
pub const MAX_SECONDS: usize = 216_000;
/// Tagged calls kept. Further ones are counted in [`Ledger::calls_dropped`].
pub const MAX_CALLS: usize = 1_000_000;

/// One second in microseconds.
const SECOND_US: u64 = 1_000_000;

/// The books of a service.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    /// Per lane, in the order of the configuration.
    pub lanes: Vec<LaneLedger>,
    /// Per tag.
    pub calls: BTreeMap<String, CallRecord>,
    /// Calls not kept because [`MAX_CALLS`] was reached.
    pub calls_dropped: u64,
    /// Attempts for a Region or model that no lane serves.
    pub unknown_lane: u64,
}

/// The books of one lane.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LaneLedger {
    /// Region of the lane.
    pub region: String,
    /// Model of the lane.
    pub model: String,
    /// Sums over all time.
    pub totals: Totals,
    /// The second, counted from the origin, that the first row is for.
    pub first_second: u64,
    /// One row per second.
    pub seconds: Vec<Second>,
}

/// Sums of one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Attempts that reached the lane.
    pub attempts: u64,
    /// Of those, admitted.
    pub admitted: u64,
    /// Of those, refused for the caller's quota.
    pub refused_quota: u64,
    /// Of those, refused for the service's capacity.
    pub refused_capacity: u64,
    /// Of those, refused for other reasons.
    pub refused_other: u64,
    /// Of those, cut without a reply.
    pub reset: u64,
    /// Admitted attempts that were answered in full.
    pub completed: u64,
    /// Admitted attempts that ended in an error.
    pub failed: u64,
    /// Admitted attempts whose client went away.
    pub abandoned: u64,
    /// Quota tokens reserved at admission.
    pub tokens_reserved: u64,
    /// Quota tokens settled at the end.
    pub tokens_settled: u64,
}

/// One second of one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Second {
    /// Attempts that reached the lane.
    pub attempts: u32,
    /// Of those, refused or cut.
    pub refused: u32,
    /// Attempts answered in full.
    pub completed: u32,
    /// Of those, not late. A call without a deadline is never late.
    pub in_time: u32,
    /// Attempts in flight at the end of the second.
    pub in_flight: u32,
    /// What is left of the requests per minute at the end of the second, in thousandths; absent if unlimited.
    pub requests_permille: Option<i64>,
    /// What is left of the tokens per minute at the end of the second, in thousandths; absent if unlimited.
    pub tokens_permille: Option<i64>,
}

/// The fate of one tagged call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CallRecord {
    /// When the application made it: as expected, else its first attempt.
    pub arrival: Timestamp,
    /// When its answer is due; absent if nobody said.
    pub deadline: Option<Timestamp>,
    /// Attempts made for it.
    pub attempts: u32,
    /// Of those, refused or cut.
    pub refused: u32,
    /// When an attempt was first admitted.
    pub admitted: Option<Timestamp>,
    /// When an attempt was first answered in full.
    pub completed: Option<Timestamp>,
}

impl CallRecord {
    const fn new(arrival: Timestamp, deadline: Option<Timestamp>) -> Self {
        Self { arrival, deadline, attempts: 0, refused: 0, admitted: None, completed: None }
    }

    /// Whether it was answered, and not after its deadline.
    #[must_use]
    pub fn in_time(&self) -> bool {
        self.completed.is_some_and(|at| self.deadline.is_none_or(|deadline| at <= deadline))
    }
}

/// What became of all tagged calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Tagged calls.
    pub calls: u64,
    /// Answered by their deadline.
    pub in_time: u64,
    /// Answered after it.
    pub late: u64,
    /// Never answered.
    pub never: u64,
    /// Attempts made for them.
    pub attempts: u64,
    /// Attempts per answered call, in thousandths; 0 if none was answered.
    pub attempts_per_success_permille: u64,
    /// Refused or cut attempts in thousandths of all.
    pub refused_permille: u64,
    /// First admission minus arrival, in microseconds.
    pub waits: Sorted,
    /// Answer minus first admission, in microseconds.
    pub services: Sorted,
}

/// The place of a quantile among so many sorted values: the first that at least `permille` thousandths do not exceed
/// (nearest rank).
pub(crate) fn place_of(permille: u32, count: usize) -> usize {
    let rank = (count as u128 * u128::from(permille.min(1000))).div_ceil(1000);
    usize::try_from(rank).unwrap_or(usize::MAX).saturating_sub(1)
}

/// Sorted microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Sorted(Vec<u64>);

impl Sorted {
    /// Sorts what it is given.
    #[must_use]
    pub fn new(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        Self(values)
    }

    /// The values, smallest first.
    #[must_use]
    pub fn as_slice(&self) -> &[u64] {
        &self.0
    }

    /// The smallest value that at least `permille` thousandths of all do not exceed (nearest rank).
    #[must_use]
    pub fn quantile(&self, permille: u32) -> Option<u64> {
        self.0.get(place_of(permille, self.0.len())).copied()
    }
}

/// How an admitted attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Failed,
    Abandoned,
}

impl Ledger {
    /// Announces a call, so that its waiting time and its deadline count even if no attempt is ever made.
    pub fn expect(&mut self, tag: String, arrival: Timestamp, deadline: Timestamp) {
        if let Some(record) = self.record(&tag, arrival) {
            record.arrival = arrival;
            record.deadline = Some(deadline);
        }
    }

    /// What became of all tagged calls.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        let (mut waits, mut services, mut refused) = (Vec::new(), Vec::new(), 0_u64);
        for call in self.calls.values() {
            summary.calls += 1;
            summary.attempts += u64::from(call.attempts);
            refused += u64::from(call.refused);
            match call.completed {
                None => summary.never += 1,
                Some(_) if call.in_time() => summary.in_time += 1,
                Some(_) => summary.late += 1,
            }
            if let Some(admitted) = call.admitted {
                waits.push(admitted.as_micros().saturating_sub(call.arrival.as_micros()));
                if let Some(completed) = call.completed {
                    services.push(completed.as_micros().saturating_sub(admitted.as_micros()));
                }
            }
        }
        let answered = summary.in_time + summary.late;
        summary.attempts_per_success_permille = (summary.attempts * 1000).checked_div(answered).unwrap_or(0);
        summary.refused_permille = (refused * 1000).checked_div(summary.attempts).unwrap_or(0);
        summary.waits = Sorted::new(waits);
        summary.services = Sorted::new(services);
        summary
    }

    fn record(&mut self, tag: &str, now: Timestamp) -> Option<&mut CallRecord> {
        if !self.calls.contains_key(tag) {
            if self.calls.len() >= MAX_CALLS {
                self.calls_dropped += 1;
                return None;
            }
            self.calls.insert(tag.to_owned(), CallRecord::new(now, None));
        }
        self.calls.get_mut(tag)
    }

    pub(crate) fn attempt(&mut self, now: Timestamp, lane: Option<usize>, tag: Option<&str>) {
        match lane.and_then(|lane| self.lanes.get_mut(lane)) {
            Some(lane) => {
                lane.totals.attempts += 1;
                lane.row(now, |row| row.attempts += 1);
            }
            None => self.unknown_lane += 1,
        }
        if let Some(record) = tag.and_then(|tag| self.record(tag, now)) {
            record.attempts += 1;
        }
    }

    /// `error` is absent for a cut connection.
    pub(crate) fn refused(&mut self, now: Timestamp, lane: Option<usize>, tag: Option<&str>, error: Option<ErrorKind>) {
        if let Some(lane) = lane.and_then(|lane| self.lanes.get_mut(lane)) {
            match error.map(ErrorKind::class) {
                Some(RefusalClass::Quota) => lane.totals.refused_quota += 1,
                Some(RefusalClass::Capacity) => lane.totals.refused_capacity += 1,
                Some(RefusalClass::Other) => lane.totals.refused_other += 1,
                None => lane.totals.reset += 1,
            }
            lane.row(now, |row| row.refused += 1);
        }
        if let Some(record) = tag.and_then(|tag| self.calls.get_mut(tag)) {
            record.refused += 1;
        }
    }

    pub(crate) fn admitted(&mut self, now: Timestamp, lane: usize, tag: Option<&str>, reserved: u64) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.totals.admitted += 1;
            lane.totals.tokens_reserved = lane.totals.tokens_reserved.saturating_add(reserved);
        }
        if let Some(record) = tag.and_then(|tag| self.calls.get_mut(tag)) {
            record.admitted.get_or_insert(now);
        }
    }

    pub(crate) fn ended(&mut self, now: Timestamp, lane: usize, tag: Option<&str>, settled: u64, end: End) {
        let mut in_time = true;
        if end == End::Completed
            && let Some(record) = tag.and_then(|tag| self.calls.get_mut(tag))
        {
            record.completed.get_or_insert(now);
            in_time = record.in_time();
        }
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        lane.totals.tokens_settled = lane.totals.tokens_settled.saturating_add(settled);
        match end {
            End::Completed => {
                lane.totals.completed += 1;
                lane.row(now, |row| {
                    row.completed += 1;
                    row.in_time += u32::from(in_time);
                });
            }
            End::Failed => lane.totals.failed += 1,
            End::Abandoned => lane.totals.abandoned += 1,
        }
    }
}

impl LaneLedger {
    /// Changes the row of `now`, which [`LaneLedger::close_rows`] has made the last one.
    fn row(&mut self, now: Timestamp, change: impl FnOnce(&mut Second)) {
        let second = now.as_micros() / SECOND_US;
        if self.seconds.is_empty() {
            self.first_second = second;
            self.seconds.push(Second::default());
        }
        let index = usize::try_from(second.saturating_sub(self.first_second)).unwrap_or(usize::MAX);
        if let Some(row) = self.seconds.get_mut(index) {
            change(row);
        }
    }

    /// Lets the row of `now`, where it is the open one, show the state of now.
    pub(crate) fn show(&mut self, now: Timestamp, measure: impl Fn(Timestamp, &mut Second)) {
        let current = self.first_second + self.seconds.len() as u64 - 1;
        if let Some(row) = self.seconds.last_mut().filter(|_| current == now.as_micros() / SECOND_US) {
            measure(now, row);
        }
    }

    /// Closes the rows of every second before that of `now`: `measure` fills in the state at the end of each. The last row
    /// is open then.
    pub(crate) fn close_rows(&mut self, now: Timestamp, measure: impl Fn(Timestamp, &mut Second)) {
        let second = now.as_micros() / SECOND_US;
        if self.seconds.is_empty() {
            self.first_second = second;
            self.seconds.push(Second::default());
        }
        loop {
            let current = self.first_second + self.seconds.len() as u64 - 1;
            let end = Timestamp::from_micros(current.saturating_add(1).saturating_mul(SECOND_US));
            if current >= second || self.seconds.len() >= MAX_SECONDS {
                // The last row that there can be is never closed, so it shows the state of now.
                if current == second && self.seconds.len() >= MAX_SECONDS {
                    self.show(now, measure);
                }
                return;
            }
            if let Some(row) = self.seconds.last_mut() {
                measure(end, row);
            }
            self.seconds.push(Second::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_rank() {
        let sorted = Sorted::new(vec![30, 10, 20, 40]);
        assert_eq!(sorted.as_slice(), [10, 20, 30, 40]);
        assert_eq!(sorted.quantile(0), Some(10));
        assert_eq!(sorted.quantile(500), Some(20));
        assert_eq!(sorted.quantile(501), Some(30));
        assert_eq!(sorted.quantile(1000), Some(40));
        assert_eq!(Sorted::default().quantile(500), None);
    }

    #[test]
    fn rows_end_at_their_bound() {
        let mut lane = LaneLedger::default();
        let far = Timestamp::from_micros(SECOND_US * (MAX_SECONDS as u64 + 500));
        lane.close_rows(Timestamp::from_micros(SECOND_US * 100), |_, row| row.in_flight = 1);
        assert_eq!((lane.first_second, lane.seconds.len()), (100, 1));
        lane.close_rows(far, |_, row| row.in_flight = 2);
        lane.close_rows(far, |_, row| row.in_flight = 3);
        lane.row(far, |row| row.attempts += 1);
        assert_eq!(lane.seconds.len(), MAX_SECONDS);
        assert!(lane.seconds.iter().all(|row| row.in_flight <= 2 && row.attempts == 0));
    }

    #[test]
    fn calls_are_in_time_late_or_never() {
        let at = Timestamp::from_micros;
        let mut ledger = Ledger { lanes: vec![LaneLedger::default()], ..Ledger::default() };
        for tag in ["a", "b", "c"] {
            ledger.expect(tag.to_owned(), at(10), at(100));
        }
        for tag in ["a", "b"] {
            ledger.attempt(at(20), Some(0), Some(tag));
        }
        ledger.refused(at(20), Some(0), Some("a"), Some(ErrorKind::RequestsPerMinute));
        ledger.attempt(at(30), Some(0), Some("a"));
        ledger.admitted(at(30), 0, Some("a"), 5);
        ledger.admitted(at(20), 0, Some("b"), 5);
        ledger.ended(at(100), 0, Some("a"), 5, End::Completed);
        ledger.ended(at(101), 0, Some("b"), 5, End::Completed);
        let summary = ledger.summary();
        assert_eq!((summary.calls, summary.in_time, summary.late, summary.never), (3, 1, 1, 1));
        assert_eq!((summary.attempts_per_success_permille, summary.refused_permille), (1500, 333));
        assert_eq!(summary.waits.as_slice(), [10, 20]);
        assert_eq!(summary.services.as_slice(), [70, 81]);
        assert!(serde_json::to_string(&ledger).unwrap().contains("refused_quota"));
    }
}
