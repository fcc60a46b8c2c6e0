//! How soon a service is used in full again after a shortage of capacity.

use sluicegate_sim::{Effect, Fate, Scenario};

/// From the end of the last shortage of capacity until 95 % as many calls are worked on as there were on average between
/// the warm-up and the beginning of the first one, in microseconds. A call is worked on from its admission to its answer;
/// one that is never answered does not count. `None` where no such shortage ends, or none begins after the warm-up; where
/// it takes until the last answer, that long.
pub(crate) fn full_after(scenario: &Scenario, fates: &[Fate]) -> Option<u64> {
    let faults = || scenario.service.lanes.iter().flat_map(|lane| &lane.faults);
    let shortages = || faults().filter(|fault| matches!(fault.effect, Effect::Capacity { .. }));
    let (from, to) = (shortages().map(|fault| fault.from_us).min()?, shortages().map(|fault| fault.to_us).max()?);
    let mut changes: Vec<(u64, i64)> = Vec::with_capacity(2 * fates.len());
    for fate in fates {
        if let (Some(admitted), Some(completed)) = (fate.admitted, fate.completed) {
            changes.extend([(admitted.as_micros(), 1), (completed.as_micros(), -1)]);
        }
    }
    changes.sort_unstable();
    let last = changes.last().map(|(at, _)| *at).filter(|last| to <= *last)?;
    let before = scenario.warm_up_us..from;
    if before.is_empty() {
        return None;
    }
    // Calls times microseconds.
    let (mut area, mut count, mut since) = (0_i128, 0_i64, 0);
    let usual = |area: i128| area * 95 / 100 / i128::from(before.end - before.start);
    for (at, change) in changes {
        let (start, end) = (before.start.max(since), before.end.min(at));
        area += i128::from(count) * i128::from(end.saturating_sub(start));
        if at > to && i128::from(count) >= usual(area) {
            return Some(since.saturating_sub(to));
        }
        (count, since) = (count + change, at);
    }
    Some(last - to)
}

#[cfg(test)]
mod tests {
    use sluicegate::Timestamp;
    use sluicegate_sim::{Fault, LaneConfig, MaxTokens, ServiceConfig, Workload};

    use super::*;

    const SECOND: u64 = 1_000_000;

    fn scene(from_s: u64, to_s: u64) -> Scenario {
        let mut lane = LaneConfig::new("us-east-1", "m");
        let effect = Effect::Capacity { permille: 100 };
        lane.faults.push(Fault { from_us: from_s * SECOND, to_us: to_s * SECOND, effect });
        let workload = Workload::azure_conversation(1_000, MaxTokens::Omitted);
        Scenario { warm_up_us: 10 * SECOND, ..Scenario::new(ServiceConfig::new(vec![lane]), workload) }
    }

    /// So many calls, worked on from one second to another.
    fn calls(count: usize, admitted_s: u64, completed_s: u64) -> Vec<Fate> {
        let at = |seconds: u64| Some(Timestamp::from_micros(seconds * SECOND));
        vec![Fate { attempts: 1, refused: 0, admitted: at(admitted_s), completed: at(completed_s) }; count]
    }

    #[test]
    fn full_is_what_it_was_before_the_first_shortage() {
        // 100 at first, which is warm-up; then 20; then 2; at the end 5, 18, 19.
        let shortage = [calls(100, 0, 10), calls(20, 10, 50), calls(2, 50, 90)].concat();
        let after = [calls(3, 73, 90), calls(13, 75, 90), calls(1, 77, 90)].concat();
        let all = [shortage.clone(), after].concat();
        assert_eq!(full_after(&scene(50, 70), &all), Some(7 * SECOND));
        assert_eq!(full_after(&scene(50, 80), &all), Some(0), "rounded down to the end");
        assert_eq!(full_after(&scene(50, 70), &shortage), Some(20 * SECOND), "never: as long as anything went on");
        assert_eq!(full_after(&scene(50, 100), &all), None, "it lasts to the end");
        assert_eq!(full_after(&scene(5, 70), &all), None, "nothing to compare with");
    }
}
