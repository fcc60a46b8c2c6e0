//! What a plan varies, and the points that makes.

use serde_json::Value;
use sluicegate_sim::{Declared, Law};
use toml::Spanned;

use super::faults::{Faults, MOST_SECONDS, MOST_TIMES, scale};
use super::plan::{Fault, Numbers, Range, RawPlan};
use super::service::law_name;
use crate::policy_check::grouped;

/// Points of a plan at most.
pub(crate) const MOST_POINTS: u64 = 10_000;
/// Runs of a plan at most: points times seeds times policies.
pub(crate) const MOST_RUNS: u64 = 100_000;

/// What is varied.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// Its name in tables and in the JSON.
    pub(crate) name: String,
    /// Its values, in the plan's order.
    pub(crate) values: Vec<Setting>,
}

/// One value of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Setting {
    /// How quotas refill.
    Law(Law),
    /// What clients are told of the quotas.
    Declared(Declared),
    /// A multiple of what the service carries, in thousandths.
    Load(u64),
    /// In microseconds.
    Deadline(u64),
    /// Clients that know nothing of each other.
    Clients(u32),
    /// A value of sluicegate's policies, with its dotted path.
    Policy(String, Value),
}

impl Setting {
    /// As a number, for an axis of a plot.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Law(_) | Self::Declared(Declared::Nothing) => None,
            Self::Declared(Declared::Right) => Some(1.0),
            Self::Declared(Declared::Permille(permille)) => Some(f64::from(*permille) / 1e3),
            Self::Load(permille) => Some(*permille as f64 / 1e3),
            Self::Deadline(us) => Some(*us as f64 / 1e6),
            Self::Clients(clients) => Some(f64::from(*clients)),
            Self::Policy(_, value) => value.as_f64(),
        }
    }

    /// In words.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Law(law) => law_name(*law),
            Self::Declared(Declared::Right) => "right".to_owned(),
            Self::Declared(Declared::Nothing) => "nothing".to_owned(),
            Self::Declared(Declared::Permille(permille)) => format!("{} times", f64::from(*permille) / 1e3),
            Self::Load(permille) => format!("{}", *permille as f64 / 1e3),
            Self::Deadline(us) => format!("{} s", *us as f64 / 1e6),
            Self::Clients(clients) => clients.to_string(),
            Self::Policy(_, Value::String(text)) => text.clone(),
            Self::Policy(_, value) => value.to_string(),
        }
    }
}

/// The axes of a plan. A plan that has too many points has none here, and a fault.
pub(crate) fn axes(raw: &RawPlan, seeds: u32, policies: usize, faults: &mut Faults) -> Vec<Axis> {
    let sweep = &raw.sweep;
    let mut counts: Vec<(u64, usize)> = Vec::new();
    let mut count = |length: u64, at: usize| counts.push((length, at));
    sweep.law.iter().for_each(|list| count(list.get_ref().len() as u64, list.span().start));
    sweep.declared.iter().for_each(|list| count(list.get_ref().len() as u64, list.span().start));
    for numbers in [&sweep.load, &sweep.deadline_s, &sweep.clients].into_iter().flatten() {
        count(length(numbers.get_ref()), numbers.span().start);
    }
    sweep.policy.values().for_each(|list| count(list.get_ref().len() as u64, list.span().start));
    if let Some((_, at)) = counts.iter().find(|(length, _)| *length == 0) {
        let what = "nothing to sweep over here; a range needs a step above 0 and an end not below its start";
        faults.add(Fault { at: Some(*at), what: what.to_owned() });
        return Vec::new();
    }
    let points = counts.iter().fold(1_u64, |points, (length, _)| points.saturating_mul(*length));
    let runs = points.saturating_mul(u64::from(seeds)).saturating_mul(policies as u64);
    if points > MOST_POINTS || runs > MOST_RUNS {
        let what = format!(
            "the sweep has {} points, with {seeds} seeds and {policies} policies {} runs; at most {} points and {} runs are \
             played: take fewer values, seeds or policies",
            grouped(points),
            grouped(runs),
            grouped(MOST_POINTS),
            grouped(MOST_RUNS)
        );
        // The longest list is the one to shorten.
        let at = counts.iter().max_by_key(|(length, _)| *length).map(|(_, at)| *at);
        faults.add(Fault { at, what });
        return Vec::new();
    }
    let mut axes = Vec::new();
    let mut axis = |name: &str, values: Vec<Setting>| axes.push(Axis { name: name.to_owned(), values });
    if let Some(laws) = &sweep.law {
        axis("law", laws.get_ref().iter().map(|law| Setting::Law(*law)).collect());
    }
    if let Some(told) = &sweep.declared {
        axis("declared", told.get_ref().iter().map(|told| Setting::Declared(*told)).collect());
    }
    if let Some(loads) = &sweep.load {
        let loads = numbers(loads, "load", 1e3, (0.001, MOST_TIMES), faults);
        axis("load", loads.into_iter().map(Setting::Load).collect());
    }
    if let Some(deadlines) = &sweep.deadline_s {
        let deadlines = numbers(deadlines, "deadline_s", 1e6, (0.001, MOST_SECONDS), faults);
        axis("deadline", deadlines.into_iter().map(Setting::Deadline).collect());
    }
    if let Some(clients) = &sweep.clients {
        let clients = numbers(clients, "clients", 1.0, (1.0, 10_000.0), faults);
        let clients = clients.into_iter().map(|clients| u32::try_from(clients).unwrap_or(u32::MAX));
        axis("clients", clients.map(Setting::Clients).collect());
    }
    for (path, values) in &sweep.policy {
        let path = path.get_ref();
        let value = |value: &toml::Value| serde_json::to_value(value).unwrap_or_default();
        axis(path, values.get_ref().iter().map(|one| Setting::Policy(path.clone(), value(one))).collect());
    }
    axes
}

/// How many numbers; 0 for a range that leads nowhere.
fn length(numbers: &Numbers) -> u64 {
    match numbers {
        Numbers::List(list) => list.len() as u64,
        Numbers::Range(Range { from, to, step }) if *step > 0.0 && to >= from => {
            // Saturates, and a sum of rounding errors does not lose the end.
            (((to - from) / step + 1e-9).floor() as u64).saturating_add(1)
        }
        Numbers::Range(_) => 0,
    }
}

fn numbers(raw: &Spanned<Numbers>, what: &str, per: f64, range: (f64, f64), faults: &mut Faults) -> Vec<u64> {
    let place = Some(raw.span().start);
    match raw.get_ref() {
        Numbers::List(list) => list.iter().map(|number| faults.scaled(*number, place, what, per, range)).collect(),
        Numbers::Range(bounds) => {
            // In steps of whole units, so that no rounding error adds up.
            let first = faults.scaled(bounds.from, place, what, per, range);
            faults.scaled(bounds.to, place, what, per, range);
            let step = scale(bounds.step.max(0.0), per);
            (0..length(raw.get_ref())).map(|number| first.saturating_add(number.saturating_mul(step))).collect()
        }
    }
}

/// Every combination, the last axis changing fastest.
pub(crate) fn combinations(axes: &[Axis]) -> Vec<Vec<Setting>> {
    axes.iter().fold(vec![Vec::new()], |points, axis| {
        let with = |point: &Vec<Setting>, value: &Setting| point.iter().cloned().chain([value.clone()]).collect();
        points.iter().flat_map(|point| axis.values.iter().map(move |value| with(point, value))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::super::plan;
    use super::*;

    fn read(sweep: &str) -> (Vec<Axis>, Faults) {
        let text = format!("[service]\nregions = [\"r\"]\n[calls]\nload = 1\n[sweep]\n{sweep}");
        let mut faults = Faults::default();
        let axes = axes(&plan::read(&text).unwrap(), 10, 2, &mut faults);
        (axes, faults)
    }

    #[test]
    fn every_combination_is_a_point() {
        let (axes, faults) = read("load = { from = 0.5, to = 2.0, step = 0.1 }\nlaw = [\"sliding\"]\nclients = [1, 4]");
        assert!(faults.0.is_empty(), "{faults:?}");
        let points = combinations(&axes);
        assert_eq!(points.len(), 32);
        assert_eq!(points[3], [Setting::Law(Law::Sliding), Setting::Load(600), Setting::Clients(4)]);
        assert_eq!(points[31][1].text(), "2");
        assert_eq!(combinations(&[]), [Vec::new()]);
    }

    #[test]
    fn too_many_points_are_told_before_any_is_made() {
        for sweep in [
            "load = { from = 1, to = 1000000000, step = 1 }",
            "load = { from = 0, to = 1e300, step = 1e-300 }",
            "load = { from = 1, to = 100, step = 0.1 }\ndeadline_s = { from = 1, to = 1000, step = 1 }",
        ] {
            let (axes, faults) = read(sweep);
            assert!(axes.is_empty() && faults.0.len() == 1, "{faults:?}");
            assert!(faults.0[0].what.contains("points and 100,000 runs are played"), "{faults:?}");
        }
        let (_, faults) = read("load = { from = 1, to = 1000000000, step = 1 }");
        assert!(faults.0[0].what.starts_with("the sweep has 1,000,000,000 points, "), "{faults:?}");
        for empty in ["load = []", "load = { from = 2, to = 1, step = 1 }", "load = { from = 1, to = 2, step = 0 }"] {
            assert!(read(empty).1.0[0].what.starts_with("nothing to sweep"), "{empty}");
        }
    }
}
