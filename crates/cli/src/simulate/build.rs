//! From a plan as written to one that can be played.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sluicegate::{Policy, Timestamp};
use sluicegate_sim::{ClientKind, Pattern, Peer, Scenario};
use toml::Spanned;

use super::calls::{self, Absent, Places};
use super::faults::Faults;
use super::goal::{self, Goal};
use super::plan::{Fault, MOST_SEEDS, RawPlan, RawPolicy};
use super::service;
use super::sweep::{self, Axis, Setting};
use crate::policy_file;

/// The engine under a policy made of what the service declares.
pub(crate) const OURS: &str = "sluicegate";
/// Seeds of a plan that does not say: as many as a claim of this project rests on.
const DEFAULT_SEEDS: u32 = 10;
/// Rows of traces held at most, over all points of a plan: each point has its own.
const MOST_ROWS: usize = 20_000_000;

/// Pieces of trouble held at most, over all points of a plan, likewise.
const MOST_TROUBLE: usize = 2_000_000;

/// A plan that can be played.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The name of its file, without the ending.
    pub(crate) name: String,
    /// In a few words.
    pub(crate) title: String,
    /// In more words.
    pub(crate) about: String,
    /// How many seeds, beginning with 1.
    pub(crate) seeds: u32,
    /// The names of the policies.
    pub(crate) policies: Vec<String>,
    /// Who makes the calls, where that is more than one.
    pub(crate) tenants: Vec<String>,
    /// The files that it names, which nothing may be written over.
    pub(crate) reads: Vec<(&'static str, PathBuf)>,
    /// What is varied.
    pub(crate) axes: Vec<Axis>,
    /// Every combination of it.
    pub(crate) points: Vec<Point>,
    /// What is claimed.
    pub(crate) goal: Option<Goal>,
}

/// One point of the sweep.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// The value of each axis.
    pub(crate) settings: Vec<Setting>,
    /// The scenario, at seed 0.
    pub(crate) scenario: Scenario,
    /// The policies.
    pub(crate) kinds: Vec<ClientKind>,
    /// How many calls a run makes, about.
    pub(crate) calls: usize,
}

/// What came of reading a plan.
pub(crate) enum Built {
    /// It can be played.
    Plan(Box<Plan>),
    /// It has faults.
    Faults(Vec<Fault>),
    /// All that is wrong is that its trace is not there.
    Absent(Fault),
}

/// Where sluicegate's policies come from.
enum Source<'a> {
    Peer(Peer),
    Ours(Option<&'a RawPolicy>, Option<Value>),
}

/// Builds the plan in `text`.
pub(crate) fn build(path: &Path, text: &str, seeds: Option<u32>, traces: Option<&Path>) -> Built {
    let raw = match super::plan::read(text) {
        Ok(raw) => raw,
        Err(fault) => return Built::Faults(vec![fault]),
    };
    let mut faults = Faults::default();
    let seeds = seeds.unwrap_or_else(|| own_seeds(&raw, &mut faults));
    let (names, sources) = policies(&raw, path, &mut faults);
    let axes = sweep::axes(&raw, seeds, names.len(), &mut faults);
    let service = service::service(&raw.service, &mut faults);
    let goal = goal::goal(&raw, &names, &mut faults);
    if let (Some(swept), Some(_)) = (&raw.sweep.deadline_s, &raw.calls.deadline_ms) {
        faults.add(Fault::at(swept, "the calls have deadlines of their own (deadline_ms), which no sweep changes"));
    }
    if let (Some(swept), Some(_)) = (&raw.sweep.load, &raw.calls.closed_loop) {
        faults.add(Fault::at(swept, "users of a closed loop set the rate themselves: leave load out of the sweep"));
    }
    let calls = match calls::read(&raw.calls, Places { plan: path, traces }, &mut faults) {
        Ok(calls) => calls,
        Err(Absent) => {
            // The fault about it is the last.
            return match (faults.0.pop(), faults.0.is_empty()) {
                (Some(fault), true) => Built::Absent(fault),
                (fault, _) => Built::Faults(faults.0.into_iter().chain(fault).collect()),
            };
        }
    };
    let mut points = Vec::new();
    let (mut rows, mut troubles) = (0_usize, 0_usize);
    for settings in sweep::combinations(&axes) {
        if !faults.0.is_empty() {
            break;
        }
        let scenario = scenario(&raw, &calls, service.clone(), &settings, &mut faults);
        let number = calls::check_size(&scenario.workload, load_us(&scenario), &mut faults);
        if let Pattern::Recorded { trace, .. } = &scenario.workload.arrivals {
            rows = rows.saturating_add(trace.rows().len());
        }
        troubles = troubles.saturating_add(scenario.service.lanes.iter().map(|lane| lane.faults.len()).sum());
        if troubles > MOST_TROUBLE {
            faults.add(Fault::anywhere(format!(
                "with so much trouble the sweep has too many points; {MOST_TROUBLE} pieces are the most, flaps counted one by one"
            )));
            break;
        }
        if rows > MOST_ROWS {
            faults.add(Fault::anywhere(format!(
                "a trace of this length has too many points; {MOST_ROWS} rows are the most"
            )));
            break;
        }
        let kinds = kinds(&names, &sources, &raw, &scenario, &settings, &mut faults);
        points.push(Point { settings, scenario, kinds, calls: number });
    }
    for text in [&raw.title, &raw.about].into_iter().flatten() {
        if text.chars().any(|letter| letter.is_control() && letter != '\n') {
            faults.add(Fault::anywhere("title and about must be plain text: take the control characters out"));
        }
    }
    if !faults.0.is_empty() {
        return Built::Faults(faults.0);
    }
    let reads = reads(&raw, path, traces);
    let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Built::Plan(Box::new(Plan {
        title: raw.title.unwrap_or_else(|| name.clone()),
        name,
        about: raw.about.unwrap_or_default().trim().to_owned(),
        seeds,
        policies: names,
        tenants: if raw.calls.tenants.len() > 1 {
            raw.calls.tenants.iter().map(|tenant| tenant.name.get_ref().clone()).collect()
        } else {
            Vec::new()
        },
        reads,
        axes,
        points,
        goal,
    }))
}

fn reads(raw: &RawPlan, path: &Path, traces: Option<&Path>) -> Vec<(&'static str, PathBuf)> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let policies = raw.policy.values().filter_map(|policy| policy.file.as_ref());
    let mut reads: Vec<_> = policies.map(|file| ("a policy of the plan", folder.join(file.get_ref()))).collect();
    if let Some(trace) = &raw.calls.trace {
        let places = std::iter::once(folder).chain(traces);
        reads.extend(places.map(|place| ("the plan's trace", place.join(trace.get_ref().file.get_ref()))));
    }
    reads
}

fn own_seeds(raw: &RawPlan, faults: &mut Faults) -> u32 {
    let Some(seeds) = &raw.seeds else { return DEFAULT_SEEDS };
    let number = *seeds.get_ref();
    if number == 0 || i64::from(number) > MOST_SEEDS {
        faults.add(Fault::at(seeds, format!("seeds must be from 1 to {MOST_SEEDS}, not {number}")));
        return 1;
    }
    number
}

/// The policies that are compared, by name.
fn policies<'a>(raw: &'a RawPlan, path: &Path, faults: &mut Faults) -> (Vec<String>, Vec<Source<'a>>) {
    let own = |name: &str| raw.policy.iter().find(|(own, _)| own.get_ref() == name).map(|(_, policy)| policy);
    let named: Vec<Spanned<String>> = match &raw.policies {
        Some(names) => names.clone(),
        None if raw.policy.is_empty() => vec![Spanned::new(0..0, OURS.to_owned())],
        None => raw.policy.keys().cloned().collect(),
    };
    for name in raw.policy.keys().filter(|name| !named.iter().any(|other| other.get_ref() == name.get_ref())) {
        faults.add(Fault::at(name, format!("policy `{}` is not used; add it to `policies`", name.get_ref())));
    }
    if named.is_empty() {
        faults.add(Fault::anywhere("`policies` is empty; name one at least"));
    }
    let (mut names, mut sources) = (Vec::new(), Vec::new());
    for name in &named {
        let text = name.get_ref();
        if Peer::named(text).is_some() && own(text).is_some() {
            let what = format!("`{text}` is a simulated peer; give the policy of the plan another name");
            faults.add(Fault::at(name, what));
            continue;
        }
        if names.contains(text) {
            faults.add(Fault::at(name, format!("policy `{text}` is named twice")));
            continue;
        }
        let source = match (own(text), Peer::named(text)) {
            (Some(policy), _) => Source::Ours(Some(policy), document(policy, path, faults)),
            (None, _) if text == OURS => Source::Ours(None, None),
            (None, Some(peer)) => Source::Peer(peer),
            (None, None) => {
                let known: Vec<&str> = std::iter::once(OURS).chain(Peer::ALL.into_iter().map(Peer::name)).collect();
                let known = known.join(", ");
                let what = format!("unknown policy `{text}`; there are {known}, and what [policy.{text}] would define");
                faults.add(Fault::at(name, what));
                continue;
            }
        };
        names.push(text.clone());
        sources.push(source);
    }
    (names, sources)
}

/// The policy file that a policy of the plan names.
fn document(policy: &RawPolicy, path: &Path, faults: &mut Faults) -> Option<Value> {
    let file = policy.file.as_ref()?;
    let place = path.parent().unwrap_or(Path::new("")).join(file.get_ref());
    let read = policy_file::read(&place).and_then(|text| policy_file::document(&text, &place.display().to_string()));
    match read {
        Ok(document) => Some(document),
        Err(failure) => {
            faults.add(Fault::at(file, failure.what));
            None
        }
    }
}

fn scenario(
    raw: &RawPlan,
    calls: &calls::Calls,
    mut service: sluicegate_sim::ServiceConfig,
    settings: &[Setting],
    faults: &mut Faults,
) -> Scenario {
    let (mut load, mut told, mut deadline, mut clients) = (None, raw.service.declared, None, None);
    for setting in settings {
        match setting {
            Setting::Law(law) => service.lanes.iter_mut().for_each(|lane| lane.law = *law),
            Setting::Declared(declared) => told = *declared,
            Setting::Load(permille) => load = Some(*permille),
            Setting::Deadline(us) => deadline = Some(*us),
            Setting::Clients(number) => clients = Some(*number),
            Setting::Policy(..) => {}
        }
    }
    let workload = calls::at_load(calls, &raw.calls, load, &service, faults);
    let mut scenario = Scenario::new(service, workload);
    scenario.declared = told;
    scenario.streaming = raw.calls.streaming;
    if let Some(own) = &raw.calls.deadline_s {
        scenario.deadline_us = faults.seconds(own, "deadline_s");
    }
    scenario.deadline_us = deadline.unwrap_or(scenario.deadline_us);
    if let Some(own) = &raw.calls.clients {
        let range = (1.0, 10_000.0);
        let own = faults.scaled(f64::from(*own.get_ref()), Some(own.span().start), "clients", 1.0, range);
        scenario.clients = u32::try_from(own).unwrap_or(u32::MAX);
    }
    scenario.clients = clients.unwrap_or(scenario.clients);
    if let Some(warm_up) = &raw.run.warm_up_s {
        scenario.warm_up_us = faults.seconds(warm_up, "warm_up_s");
    }
    if let Some(measured) = &raw.run.measured_s {
        scenario.measured_us = faults.seconds(measured, "measured_s");
    }
    scenario.hop_us = raw.run.hop_us.unwrap_or(scenario.hop_us);
    let at = raw.calls.trace.as_ref().map(|trace| trace.span().start);
    calls::check_length(&scenario.workload, scenario.warm_up_us.saturating_add(scenario.measured_us), at, faults);
    scenario
}

/// How long calls are made.
const fn load_us(scenario: &Scenario) -> u64 {
    scenario.warm_up_us.saturating_add(scenario.measured_us).saturating_add(scenario.deadline_us)
}

/// The policies at one point.
fn kinds(
    names: &[String],
    sources: &[Source<'_>],
    raw: &RawPlan,
    scenario: &Scenario,
    settings: &[Setting],
    faults: &mut Faults,
) -> Vec<ClientKind> {
    let mut kinds = Vec::new();
    for (name, source) in names.iter().zip(sources) {
        let kind = match source {
            Source::Peer(peer) => ClientKind::Peer(*peer),
            Source::Ours(own, file) => {
                let mut document = file.clone().unwrap_or_else(|| scenario.policy_document());
                if let Some(set) = own.and_then(|own| own.set.as_ref()) {
                    merge(&mut document, &serde_json::to_value(set).unwrap_or_default());
                }
                for setting in settings {
                    if let Setting::Policy(path, value) = setting {
                        set(&mut document, path, value);
                    }
                }
                match Policy::parse(&document) {
                    Ok(policy) => ClientKind::sluicegate(policy),
                    Err(error) => {
                        let place = raw.policy.keys().find(|own| own.get_ref() == name).map(|own| own.span().start);
                        let place = place.or_else(|| raw.sweep.policy.keys().next().map(|path| path.span().start));
                        for fault in &error.faults {
                            faults.add(Fault { at: place, what: format!("policy `{name}`: {fault}") });
                        }
                        continue;
                    }
                }
            }
        };
        if let Err(error) = kind.fits(scenario) {
            let place = raw.policy.keys().find(|own| own.get_ref() == name).map(|own| own.span().start);
            let what = format!(
                "policy `{name}` does not fit the service: {error}; the plan's lanes are its `regions` and the model id \
                 `{}` ([service] model)",
                raw.service.model()
            );
            faults.add(Fault { at: place, what });
        }
        kinds.push(kind);
    }
    kinds
}

/// Puts the values of `more` over those of `document`, field by field.
fn merge(document: &mut Value, more: &Value) {
    match (document, more) {
        (Value::Object(fields), Value::Object(more)) => {
            for (name, value) in more {
                merge(fields.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (document, more) => *document = more.clone(),
    }
}

/// Sets the value at a dotted path.
fn set(document: &mut Value, path: &str, value: &Value) {
    let nested = path.rsplit('.').fold(value.clone(), |inner, name| serde_json::json!({ name: inner }));
    merge(document, &nested);
}

impl Point {
    /// In words: `load 1.5, law sliding`.
    pub(crate) fn text(&self, axes: &[Axis]) -> String {
        let parts = axes.iter().zip(&self.settings).map(|(axis, value)| format!("{} {}", axis.name, value.text()));
        parts.collect::<Vec<_>>().join(", ")
    }

    /// From when to when calls are measured.
    pub(crate) fn measured(&self) -> (Timestamp, Timestamp) {
        let from = self.scenario.warm_up_us;
        (Timestamp::from_micros(from), Timestamp::from_micros(from.saturating_add(self.scenario.measured_us)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluicegate_sim::Declared;

    use super::*;

    #[test]
    fn values_go_where_their_path_says_and_leave_the_others() {
        let mut document = json!({"queue": {"capacity": 5}, "pools": {}});
        set(&mut document, "queue.target_wait_ms", &json!(2_000));
        set(&mut document, "retry.max_attempts", &json!(3));
        let expected =
            json!({"queue": {"capacity": 5, "target_wait_ms": 2_000}, "pools": {}, "retry": {"max_attempts": 3}});
        assert_eq!(document, expected);
    }

    #[test]
    fn a_plan_lists_all_its_faults() {
        let text = "policies = [\"sluicegate\", \"luck\"]\nseeds = 0\n[service]\nregions = [\"r\"]\n\
                    each = { requests_per_minute = 60 }\n[[service.trouble]]\nregions = [\"s\"]\nfrom_s = 5\nto_s = 5\n\
                    effect = \"outage\"\n[calls]\nload = 1\n[goal]\ngoodput_at_least = 0.9\npolicy = \"article\"\n";
        let Built::Faults(faults) = build(Path::new("p.toml"), text, None, None) else { panic!() };
        let lines: Vec<String> = faults.iter().map(|fault| fault.line("p", text)).collect();
        for expected in [
            "p:2:9: seeds must be",
            "p:1:27: unknown policy `luck`",
            "p:9:8: to_s must",
            "p:7:12: `s`",
            "p:15:10: the goal",
        ] {
            assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}: {lines:#?}");
        }
    }

    #[test]
    fn a_policy_value_that_no_policy_can_hold_is_a_fault() {
        let text = "[service]\nregions = [\"r\"]\neach = { requests_per_minute = 60 }\n[calls]\nload = 1\n\
                    [sweep.policy]\n\"queue.target_wait\" = [1]\n";
        let Built::Faults(faults) = build(Path::new("p.toml"), text, None, None) else { panic!() };
        let line = faults[0].line("p", text);
        assert!(line.starts_with("p:7:1: policy `sluicegate`: /queue/target_wait"), "{line}");
    }

    #[test]
    fn what_clients_are_told_can_be_swept() {
        let text = "[service]\nregions = [\"r\"]\neach = { requests_per_minute = 60 }\n[calls]\nload = 1\n\
                    [sweep]\ndeclared = [\"right\", { permille = 2000 }, \"nothing\"]\n";
        let Built::Plan(plan) = build(Path::new("p.toml"), text, None, None) else { panic!() };
        assert_eq!(plan.points[1].scenario.declared, Declared::Permille(2_000));
        assert_eq!(plan.points[1].text(&plan.axes), "declared 2 times");
    }
}
