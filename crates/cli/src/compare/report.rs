//! The report: one HTML file that needs nothing else, no network and no script.

use std::fmt::Write as _;

use super::clients::Kind;
use super::measure::{Criterion, Measured, RegionCounts};
use super::scenario::{
    BROWNOUT_PERMILLE, MAX_TOKENS, MODEL, OUTPUT_MULTIPLIER, Oracle, REGIONS, Scenario, TOKENS_PER_MINUTE,
};
use super::{plots, table};
use crate::exit::Failure;
use crate::page::{self, NARROW, WIDE, both, command, escape};
use crate::policy_check::grouped;

/// What the report is about.
pub(crate) struct Result<'a> {
    /// What was the same for all.
    pub(crate) scenario: &'a Scenario,
    /// What full knowledge could do.
    pub(crate) oracle: &'a Oracle,
    /// What each client did.
    pub(crate) clients: &'a [Measured],
    /// What was promised.
    pub(crate) criteria: &'a [Criterion],
}

/// The page.
pub(crate) fn html(result: &Result<'_>) -> std::result::Result<String, Failure> {
    let mut page = String::new();
    page.push_str(&opening(result));
    page.push_str(&figures(result));
    page.push_str(&answers(result)?);
    page.push_str(&panels(result)?);
    page.push_str(&waiting(result)?);
    page.push_str(&reading(result));
    page.push_str(&made(result));
    Ok(page::document(&format!("sluicegate compare: {}", headline(result)), "", &page))
}

fn headline(result: &Result<'_>) -> String {
    let Some(ours) = result.clients.iter().find(|client| client.kind == Kind::Sluicegate) else { return String::new() };
    let others = result.clients.iter().filter(|client| !client.kind.is_ours());
    let next = others.max_by_key(|client| client.summary.in_time);
    let next = next.map_or_else(String::new, |next| {
        format!("; the best of the others, {}, answered {}", next.kind.name(), whole(next.goodput(result.oracle)))
    });
    format!("sluicegate answered {} of what an oracle could answer in time{next}", whole(ours.goodput(result.oracle)))
}

fn opening(result: &Result<'_>) -> String {
    let args = result.scenario.args();
    let brownout = match args.brownout {
        0 => String::new(),
        seconds => format!(", with {seconds} s of brownout"),
    };
    let mut text = format!(
        "<h1>{}</h1>\n<p class=\"lead\">The same {} calls went through {} clients side by side, each against its own \
         fake Bedrock of three Regions, at {} times the request quota{brownout}. Each call had {} s to be \
         answered.</p>\n<ul class=\"verdicts\">\n",
        escape(&headline(result)),
        grouped(result.clients.first().map_or(0, |client| client.summary.calls)),
        result.clients.len(),
        f64::from(args.load) / 1_000.0,
        args.deadline
    );
    for Criterion { client, promise, measured, holds } in result.criteria {
        let (class, word) = if *holds { ("pass", "✓ pass") } else { ("miss", "✗ miss") };
        let promise = escape(promise);
        let _ = writeln!(
            text,
            "<li class=\"{class}\"><strong>{word}</strong><span>{client} {promise} <span>{}</span></span></li>",
            escape(measured)
        );
    }
    text.push_str("</ul>\n");
    text
}

fn figures(result: &Result<'_>) -> String {
    let mut text = String::from(
        "<div class=\"scroll\"><table>\n<thead><tr><th>client</th><th>answered in time</th><th>goodput<br>(oracle = \
         1)</th><th>attempts per answer</th><th>refused in all</th><th>refused while quotas bind</th><th>wait, \
         median</th><th>wait, p99</th></tr></thead>\n<tbody>\n",
    );
    for client in result.clients {
        let [name, in_time, goodput, rest @ ..] = table::cells(client, result.oracle);
        let ours = if client.kind.is_ours() { " class=\"ours\"" } else { "" };
        let width = (client.goodput(result.oracle) * 100.0).clamp(0.0, 100.0);
        let _ = write!(
            text,
            "<tr{ours}><th scope=\"row\" class=\"{name}\">{name}</th><td>{in_time}</td><td class=\"bar \
             {name}\"><span>{goodput}</span><i><i style=\"width:{width:.1}%\"></i></i></td>"
        );
        rest.iter().for_each(|cell| {
            let _ = write!(text, "<td>{cell}</td>");
        });
        text.push_str("</tr>\n");
    }
    for (name, count) in [("oracle", result.oracle.in_time), ("upper bound", result.oracle.upper_bound)] {
        let ratio = count as f64 / result.oracle.in_time.max(1) as f64;
        let _ = writeln!(
            text,
            "<tr class=\"quiet\"><th scope=\"row\">{name}</th><td>{}</td><td>{ratio:.3}</td><td></td><td></td><td></td>\
             <td></td><td></td></tr>",
            grouped(count)
        );
    }
    text.push_str("</tbody></table></div>\n");
    text
}

fn answers(result: &Result<'_>) -> std::result::Result<String, Failure> {
    let plot = |width| plots::goodput(result.scenario, result.oracle, result.clients, width);
    Ok(format!(
        "<h2>Calls answered in time, per second</h2>\n<p class=\"note\">By the second in which the answer was complete, \
         averaged over {} s. The grey area is what the oracle \
         answers.</p>\n{}",
        plots::SMOOTH,
        both(&plot(WIDE)?, &plot(NARROW)?)
    ))
}

fn panels(result: &Result<'_>) -> std::result::Result<String, Failure> {
    let mut refusals = String::from(
        "<h2>Attempts refused, per second</h2>\n<p class=\"note\">For quota (429) or capacity (503), all Regions \
         together, the same scale for all.</p>\n<div class=\"panels\">\n",
    );
    let mut quotas = String::from(
        "<h2>What is left of the request quota</h2>\n<p class=\"note\">By Region. Near zero all of the quota is in use, \
         which is good; what stays above is quota that nobody used.</p>\n<div class=\"panels\">\n",
    );
    let top = plots::most_refusals(result.clients);
    for client in result.clients {
        let sum = |figure: fn(&RegionCounts) -> u64| grouped(client.regions.iter().map(figure).sum());
        let caption = format!(
            "{} for quota, {} for capacity",
            sum(|counts| counts.refused_quota),
            sum(|counts| counts.refused_capacity)
        );
        refusals.push_str(&panel(client.kind, &caption, &plots::refusals(result.scenario, client, top)?));
        quotas.push_str(&panel(client.kind, "", &plots::quota(result.scenario, client)?));
    }
    Ok(format!("{refusals}</div>\n{quotas}</div>\n"))
}

fn waiting(result: &Result<'_>) -> std::result::Result<String, Failure> {
    let plot = |width| plots::waits(result.scenario, result.oracle, result.clients, width);
    Ok(format!(
        "<h2>How long calls waited to be admitted</h2>\n<p class=\"note\">Share of the measured calls that a Region had \
         admitted so long after their arrival. Higher is more, further left is sooner; what a curve lacks to 100 % was \
         never admitted. The oracle \
         serves the oldest call that it still can, so under overload its calls all wait.</p>\n{}",
        both(&plot(WIDE)?, &plot(NARROW)?)
    ))
}

fn panel(kind: Kind, caption: &str, plot: &str) -> String {
    let name = kind.name();
    let caption = format!("<b class=\"{name}\">{name}</b> <span>{caption}</span>");
    format!("<figure class=\"plot\"><figcaption>{caption}</figcaption>{plot}</figure>\n")
}

fn reading(result: &Result<'_>) -> String {
    let mut text = String::from("<h2>How to read this</h2>\n<ul>\n");
    for kind in result.scenario.kinds() {
        let name = kind.name();
        let _ = writeln!(text, "<li><b class=\"{name}\">{name}</b>: {}.</li>", escape(kind.text()));
    }
    let late = |permille| {
        let most = result.clients.iter().filter_map(|client| client.late.quantile(permille)).max();
        most.unwrap_or(0) as f64 / 1e3
    };
    let _ = writeln!(
        text,
        "<li>All SDKs have a client for each Region; their calls take the Regions in turn, and end at the \
         deadline, so that no quota goes into answers nobody waits for.</li>\n<li>Every figure comes from the books of \
         the fakes, none from a client. Calls count by their arrival: those of the warm-up and the run-out are load \
         only.</li>\n<li><b>Goodput</b> is calls answered by their deadline over those of the <b>oracle</b>, a \
         schedule made with full knowledge of all arrivals, lengths, quotas and trouble to come, earliest deadline \
         first. No schedule at all exceeds the <b>upper bound</b>.</li>\n<li><b>Refused while quotas bind</b> counts \
         attempts made in that phase. Some of them are for capacity, which no client is told.</li>\n<li><b>Wait</b> \
         is the time from a call's arrival to its admission, of calls that were admitted.</li>\n\
         <li>Calls went out at most {:.1} ms late (p99 {:.1} ms): what this machine added.</li>\n</ul>",
        late(1_000),
        late(990)
    );
    text
}

fn made(result: &Result<'_>) -> String {
    let args = result.scenario.args();
    let phases = result.scenario.phases.iter().map(|phase| format!("{} {} s", phase.name, phase.to - phase.from));
    let rows = [
        ("Regions", REGIONS.join(", ")),
        ("model", format!("{MODEL}, output counted {OUTPUT_MULTIPLIER} times")),
        (
            "quotas in each Region",
            format!(
                "{} requests and {} tokens a minute; {}",
                grouped(args.requests_per_minute),
                grouped(TOKENS_PER_MINUTE),
                args.law.text()
            ),
        ),
        (
            "capacity of each Region",
            format!("{} attempts at once; {} % of that in the brownout", args.slots, BROWNOUT_PERMILLE / 10),
        ),
        (
            "calls",
            format!(
                "Poisson arrivals, {:.1} a second; sizes of the Azure 2023 conversation trace; max_tokens {}",
                result.scenario.calls_per_1000_s() as f64 / 1e3,
                grouped(MAX_TOKENS)
            ),
        ),
        ("deadline", format!("{} s", args.deadline)),
        ("timeline", phases.collect::<Vec<_>>().join(", ")),
        ("seed", args.seed.to_string()),
    ];
    let versions = result.clients.iter().filter_map(|client| Some((client.kind.name(), client.versions.clone()?)));
    let rows = rows.into_iter().chain(versions);
    let mut text = String::from("<h2>What made this</h2>\n<dl>\n");
    for (term, value) in rows {
        let _ = writeln!(text, "<dt>{term}</dt><dd>{}</dd>", escape(&value));
    }
    let _ = writeln!(text, "</dl>\n<pre>{}</pre>\n{}", escape(&command()), regions(result));
    let _ = writeln!(text, "<footer>sluicegate {}</footer>", env!("CARGO_PKG_VERSION"));
    text
}

fn regions(result: &Result<'_>) -> String {
    let mut text = String::from(
        "<h2>By Region</h2>\n<p class=\"note\">Over the whole run, warm-up included.</p>\n<div \
         class=\"scroll\"><table>\n<thead><tr><th>client</th><th>Region</th><th>attempts</th><th>answered</th>\
         <th>refused for quota</th><th>refused for capacity</th><th>given up</th></tr></thead>\n<tbody>\n",
    );
    for client in result.clients {
        for (row, counts) in client.regions.iter().enumerate() {
            let name = if row == 0 { client.kind.name() } else { "" };
            let figures =
                [counts.attempts, counts.answered, counts.refused_quota, counts.refused_capacity, counts.abandoned];
            let _ = write!(text, "<tr><th class=\"{name}\">{name}</th><td>{}</td>", escape(&counts.region));
            figures.iter().for_each(|figure| {
                let _ = write!(text, "<td>{}</td>", grouped(*figure));
            });
            text.push_str("</tr>\n");
        }
    }
    text.push_str("</tbody></table></div>\n");
    text
}

fn whole(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
