//! The report of plans.

use std::fmt::Write as _;

use sluicegate_sim::Pattern;

use super::build::Point;
use super::figures::{Median, Middle};
use super::play::{Outcome, Sample, Seconds};
use super::plots::{self, PALETTE};
use super::table::{self, ratio};
use crate::exit::Failure;
use crate::page::{self, NARROW, WIDE, both, command, escape};
use crate::policy_check::grouped;

/// Panels of one kind at most; a sweep of more combinations shows the first.
const MOST_PANELS: usize = 6;
/// Lines of figures that stand before the plots at most; longer tables come after them, folded.
const MOST_ROWS: usize = 12;

/// The page.
pub(crate) fn html(outcomes: &[Outcome]) -> Result<String, Failure> {
    let mut body = String::new();
    let title = match outcomes {
        [outcome] => outcome.plan.title.clone(),
        _ => {
            let claiming = outcomes.iter().filter(|outcome| outcome.plan.goal.is_some()).count();
            let missed = outcomes.iter().filter(|outcome| super::misses(outcome).0 > 0).count();
            format!("{} of {claiming} goals hold", claiming - missed)
        }
    };
    let _ = writeln!(body, "<h1>{}</h1>", escape(&title));
    if outcomes.len() > 1 {
        body.push_str(&contents(outcomes));
    }
    for (place, outcome) in outcomes.iter().enumerate() {
        section(&mut body, place, outcome, outcomes.len() > 1)?;
    }
    body.push_str(READING);
    let _ =
        writeln!(body, "<pre>{}</pre>\n<footer>sluicegate {}</footer>", escape(&command()), env!("CARGO_PKG_VERSION"));
    Ok(page::document(&format!("sluicegate simulate: {title}"), &style(), &body))
}

const READING: &str = "<h2>How to read this</h2>\n<ul>\n<li><b>Goodput</b> is calls answered by their deadline over those that a \
     fair queue with full knowledge of the service answers. It can be a little above 1: a fair queue is not the best \
     there is.</li>\n<li><b>All-knowing</b>, in the same unit and for seed 1, is the best schedule found that knows every call, \
     answer and fault beforehand. Where tokens are scarce it serves the short answers, which no client can know. No \
     schedule at all exceeds the <b>upper bound</b>; the truth lies between the two.</li>\n<li><b>Refused</b> is the share of attempts that the service answers with 429 or 503.</li>\n\
     <li><b>Wait</b> is from a call to the admission of an attempt for it, of calls that were admitted.</li>\n\
     <li>Figures are medians over the seeds; of an even number of seeds, the worse of the two in the middle. Every \
     figure is the service's own count.</li>\n<li>Calls count by their arrival: those before and after the measured time are \
     load only, and grey in the plots.</li>\n</ul>\n";

/// The colours of the policies, which change with the theme.
fn style() -> String {
    let mut text = String::new();
    let vars = |column: fn(&plots::Tone) -> (&'static str, &'static str)| {
        let each = PALETTE.iter().enumerate().map(|(place, tone)| {
            let (line, text) = column(tone);
            format!("--p{place}: {line}; --t{place}: {text};")
        });
        each.collect::<Vec<_>>().join(" ")
    };
    let _ = writeln!(text, ":root {{ {} }}", vars(|tone| tone.light));
    let _ = writeln!(text, "@media (prefers-color-scheme: dark) {{ :root {{ {} }} }}", vars(|tone| tone.dark));
    for (place, tone) in PALETTE.iter().enumerate() {
        let hex = plots::hex(tone.colour);
        let _ = writeln!(
            text,
            ".p{place} {{ color: var(--t{place}); }} td.bar.p{place} i i {{ background: var(--p{place}); }}\n\
             .plot [stroke=\"{hex}\"] {{ stroke: var(--p{place}); }} .plot [fill=\"{hex}\"] {{ fill: var(--p{place}); }}\n\
             .plot text[fill=\"{hex}\"] {{ fill: var(--t{place}); font-weight: 400; }}"
        );
    }
    let bad = plots::hex(plots::BAD);
    let _ = writeln!(
        text,
        ".plot [stroke=\"{bad}\"] {{ stroke: var(--bad); }} .plot [fill=\"{bad}\"] {{ fill: var(--bad); }}"
    );
    text.push_str(include_str!("page.css"));
    text
}

fn contents(outcomes: &[Outcome]) -> String {
    let mut text = String::from("<ul class=\"verdicts index\">\n");
    for (place, outcome) in outcomes.iter().enumerate() {
        let (class, word) = mark(outcome);
        let _ = writeln!(
            text,
            "<li class=\"{class}\"><strong>{word}</strong><span><a href=\"#plan{place}\">{}</a> <span>{}</span></span></li>",
            escape(&outcome.plan.title),
            escape(&range(outcome, main_policy(outcome)))
        );
    }
    text.push_str("</ul>\n");
    text
}

fn mark(outcome: &Outcome) -> (&'static str, &'static str) {
    match (&outcome.plan.goal, super::misses(outcome).0) {
        (None, _) => ("none", ""),
        (Some(_), 0) => ("pass", "✓ holds"),
        (Some(_), _) => ("miss", "✗ missed"),
    }
}

fn main_policy(outcome: &Outcome) -> usize {
    outcome.plan.goal.as_ref().map_or(0, |goal| goal.policy)
}

/// The lowest and highest of a policy's medians over all points that have one.
fn extent(outcome: &Outcome, policy: usize, figure: impl Fn(&Median) -> Option<Middle>) -> (u64, u64) {
    let medians = || outcome.points.iter().filter_map(|point| point.policies.get(policy));
    let values = || medians().filter_map(|(median, _)| Some(figure(median)?.middle));
    (values().min().unwrap_or(0), values().max().unwrap_or(0))
}

fn between((low, high): (u64, u64)) -> String {
    if low == high { ratio(low) } else { format!("{} to {}", ratio(low), ratio(high)) }
}

fn range(outcome: &Outcome, policy: usize) -> String {
    let goodput = between(extent(outcome, policy, |median| median.goodput));
    let (_, attempts) = extent(outcome, policy, |median| median.attempts);
    format!("goodput {goodput}, at most {} attempts per success", ratio(attempts))
}

/// What it shows, in a sentence.
fn sentence(outcome: &Outcome) -> String {
    let main = main_policy(outcome);
    let name = |place: usize| outcome.plan.policies.get(place).map_or("", String::as_str);
    let goodput = between(extent(outcome, main, |median| median.goodput));
    let (_, attempts) = extent(outcome, main, |median| median.attempts);
    let (_, refused) = extent(outcome, main, |median| Some(median.refused));
    let mut text = format!(
        "{} answers {goodput} of what a fair queue could answer in time, with at most {} attempts for each answer and {} of \
         them refused",
        name(main),
        ratio(attempts),
        table::percent(refused)
    );
    let others = (0..outcome.plan.policies.len()).filter(|place| *place != main);
    let best = others.max_by_key(|place| extent(outcome, *place, |median| median.goodput).0);
    if let Some(best) = best {
        let goodput = between(extent(outcome, best, |median| median.goodput));
        let (_, attempts) = extent(outcome, best, |median| median.attempts);
        let _ = write!(
            text,
            "; the best of the others is {} with {goodput} and up to {} attempts",
            name(best),
            ratio(attempts)
        );
    }
    text.push('.');
    text
}

fn section(body: &mut String, place: usize, outcome: &Outcome, titled: bool) -> Result<(), Failure> {
    let plan = &outcome.plan;
    let _ = writeln!(body, "<section id=\"plan{place}\">");
    if titled {
        let _ = writeln!(body, "<h2>{}</h2>", escape(&plan.title));
    }
    let _ = writeln!(body, "<p class=\"lead\">{}</p>", escape(&sentence(outcome)));
    if !plan.about.is_empty() {
        let _ = writeln!(body, "<p class=\"note\">{}</p>", escape(&plan.about));
    }
    body.push_str(&claims(outcome));
    let table = figures(outcome);
    let long = outcome.plan.points.len() * outcome.plan.policies.len() > MOST_ROWS;
    if !long {
        body.push_str(&table);
    }
    sweep(body, outcome)?;
    if let Some(sample) = &outcome.sample {
        timeline(body, outcome, sample)?;
    }
    if long {
        let _ = write!(body, "<details><summary>All figures</summary>\n{table}</details>\n");
    }
    body.push_str("</section>\n");
    Ok(())
}

fn claims(outcome: &Outcome) -> String {
    let Some(goal) = &outcome.plan.goal else { return String::new() };
    let checks: Vec<_> = outcome
        .points
        .iter()
        .filter_map(|point| point.policies.get(goal.policy))
        .map(|(median, _)| goal.check(median))
        .collect();
    let mut text = String::from("<ul class=\"verdicts\">\n");
    let policy = outcome.plan.policies.get(goal.policy).map_or("", String::as_str);
    for (place, check) in checks.first().into_iter().flatten().enumerate() {
        let held = checks.iter().filter(|point| point.get(place).is_some_and(|check| check.holds)).count();
        let (class, word) = if held == checks.len() { ("pass", "✓ holds") } else { ("miss", "✗ missed") };
        let found = match checks.len() {
            1 => check.found.clone(),
            all => format!("holds at {held} of {all} points"),
        };
        let _ = writeln!(
            text,
            "<li class=\"{class}\"><strong>{word}</strong><span>{}: {} <span>{}</span></span></li>",
            escape(policy),
            escape(&check.claim),
            escape(&found)
        );
    }
    text.push_str("</ul>\n");
    if let (Some(why), true) = (&goal.known_miss, super::misses(outcome).0 > 0) {
        let _ = writeln!(text, "<p class=\"note\">Known: {}</p>", escape(why.trim()));
    }
    text
}

fn figures(outcome: &Outcome) -> String {
    let plan = &outcome.plan;
    let mut text = String::from("<div class=\"scroll\"><table>\n<thead><tr>");
    for axis in &plan.axes {
        let _ = write!(text, "<th>{}</th>", escape(&axis.name));
    }
    text.push_str("<th style=\"text-align:left\">policy</th>");
    for head in table::heads(outcome) {
        let _ = write!(text, "<th>{}</th>", escape(&head));
    }
    text.push_str("<th>goal</th></tr></thead>\n<tbody>\n");
    let mut before: Vec<String> = Vec::new();
    for (row, line) in table::lines(outcome).into_iter().enumerate() {
        let place = row % plan.policies.len().max(1);
        let tone = place % PALETTE.len();
        let again = if line.settings == before && !plan.axes.is_empty() { " class=\"again\"" } else { "" };
        let _ = write!(text, "<tr{again}>");
        for setting in &line.settings {
            let _ = write!(text, "<th class=\"at\">{}</th>", escape(setting));
        }
        let _ = write!(text, "<th scope=\"row\" class=\"p{tone}\">{}</th>", escape(&line.policy));
        let width = line.median.goodput.map_or(0.0, |goodput| (goodput.middle as f64 / 10.0).clamp(0.0, 100.0));
        for (column, cell) in line.cells.iter().enumerate() {
            match column {
                0 => {
                    let bar = format!("<i><i style=\"width:{width:.1}%\"></i></i>");
                    let _ = write!(text, "<td class=\"bar p{tone}\"><span>{}</span>{bar}</td>", escape(cell));
                }
                _ => {
                    let _ = write!(text, "<td>{}</td>", escape(cell));
                }
            }
        }
        let (class, word) = match line.verdict {
            None => ("", ""),
            Some(true) => ("yes", "✓"),
            Some(false) => ("no", "✗ missed"),
        };
        let _ = writeln!(text, "<td class=\"{class}\">{word}</td></tr>");
        before = line.settings;
    }
    text.push_str("</tbody></table></div>\n");
    text
}

/// Plots over the numeric axis with the most values, one for each combination of the others.
fn sweep(body: &mut String, outcome: &Outcome) -> Result<(), Failure> {
    let plan = &outcome.plan;
    let numeric =
        plan.axes.iter().enumerate().filter(|(_, axis)| axis.values.iter().all(|value| value.number().is_some()));
    let Some((along, axis)) = numeric.max_by_key(|(place, axis)| (axis.values.len(), usize::MAX - place)) else {
        return Ok(());
    };
    if axis.values.len() < 3 {
        return Ok(());
    }
    let groups = plots::groups(outcome, along);
    let figures: [(&str, &str, plots::Figure); 3] = [
        ("Goodput", "Higher is better; 1 is what a fair queue with full knowledge answers in time.", |m| {
            Some(m.goodput?.middle as f64 / 1e3)
        }),
        ("Refused share of the attempts", "Lower is better.", |m| Some(m.refused.middle as f64 / 10.0)),
        ("Attempts per success", "Lower is better; 1 is the least.", |m| Some(m.attempts?.middle as f64 / 1e3)),
    ];
    for (number, (head, note, figure)) in figures.into_iter().enumerate() {
        let _ = writeln!(body, "<h3>{head}, by {}</h3>\n<p class=\"note\">{note}</p>", escape(&axis.name));
        if let [group] = groups.as_slice() {
            let plot = |width| plots::sweep(outcome, group, axis, figure, number == 1, (width, 300));
            body.push_str(&both(&plot(WIDE)?, &plot(NARROW)?));
            continue;
        }
        body.push_str("<div class=\"panels\">\n");
        for group in groups.iter().take(MOST_PANELS) {
            let plot = plots::sweep(outcome, group, axis, figure, number == 1, (440, 240))?;
            let _ = writeln!(
                body,
                "<figure class=\"plot\"><figcaption>{}</figcaption>{plot}</figure>",
                escape(&group.name)
            );
        }
        body.push_str("</div>\n");
    }
    if groups.len() > MOST_PANELS {
        let _ =
            writeln!(body, "<p class=\"note\">The first {MOST_PANELS} of {} combinations are drawn.</p>", groups.len());
    }
    Ok(())
}

fn timeline(body: &mut String, outcome: &Outcome, sample: &Sample) -> Result<(), Failure> {
    let plan = &outcome.plan;
    let Some(point) = plan.points.last() else { return Ok(()) };
    let at = point.text(&plan.axes);
    let at = if at.is_empty() { String::new() } else { format!(", {at}") };
    let _ = writeln!(
        body,
        "<h3>One run, second by second: seed 1{}</h3>\n<p class=\"note\">{}</p>",
        escape(&at),
        escape(&known(point, sample))
    );
    let most = |seconds: &Seconds| {
        let all = seconds.answered.iter().chain(&seconds.refused).chain(&seconds.offered);
        all.copied().max().unwrap_or(0)
    };
    let top = sample.policies.iter().map(most).max().unwrap_or(1);
    if let ([seconds], [_]) = (sample.policies.as_slice(), plan.policies.as_slice()) {
        let plot = |width| plots::timeline(point, seconds, 0, f64::from(top), (width, 300));
        body.push_str(&both(&plot(WIDE)?, &plot(NARROW)?));
        return Ok(());
    }
    body.push_str("<div class=\"panels\">\n");
    for (place, (seconds, policy)) in sample.policies.iter().zip(&plan.policies).enumerate() {
        let plot = plots::timeline(point, seconds, place, f64::from(top), (440, 220))?;
        let tone = place % PALETTE.len();
        let _ = writeln!(
            body,
            "<figure class=\"plot\"><figcaption><b class=\"p{tone}\">{}</b></figcaption>{plot}</figure>",
            escape(policy)
        );
    }
    body.push_str("</div>\n");
    Ok(())
}

/// What could have been done with these calls.
fn known(point: &Point, sample: &Sample) -> String {
    let oracle = &sample.oracle;
    let span = plots::smoothed_over(&sample.policies);
    let mut text = String::from("Calls made, answered and refused, a second");
    if span > 1 {
        let _ = write!(text, ", as the mean of {span} seconds");
    }
    if point.scenario.service.lanes.iter().any(|lane| !lane.faults.is_empty()) {
        text.push_str("; behind them, in orange, when something is wrong");
    }
    let _ = write!(
        text,
        ". Of {} measured calls{} a fair queue answers {} in time",
        grouped(oracle.calls),
        if matches!(point.scenario.workload.arrivals, Pattern::ClosedLoop { .. }) {
            " of the first policy's users"
        } else {
            ""
        },
        grouped(oracle.fair)
    );
    if oracle.clairvoyant > 0 {
        let _ = write!(text, ", a schedule that knows everything {}", grouped(oracle.clairvoyant));
    }
    if let Some(bound) = oracle.upper_bound {
        let _ = write!(text, ", and none can answer more than {}", grouped(bound));
    }
    text.push('.');
    text
}
