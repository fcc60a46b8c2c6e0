//! `sluicegate policy check` and `sluicegate policy schema`.

use std::io::Write as _;
use std::path::Path;

use comfy_table::{LineStyle, Table, TableStyle};
use sluicegate::{Endpoint, LimiterConfig, Policy};

use crate::exit::{Code, Failure};
use crate::policy_file::{self, Loaded};

/// Lists the faults of a policy, or says what it allows.
pub(crate) fn check(file: &Path) -> Result<Code, Failure> {
    let loaded = policy_file::load(Some(file))?;
    print(summary(&loaded).as_bytes())
}

/// Prints the schema.
pub(crate) fn schema() -> Result<Code, Failure> {
    let mut text = serde_json::to_string_pretty(&Policy::schema())
        .map_err(|error| Failure::new(Code::Unexpected, format!("the schema cannot be written as JSON: {error}")))?;
    text.push('\n');
    print(text.as_bytes())
}

/// Writes to standard output. A reader that has enough (`| head`) is no failure.
pub(crate) fn print(bytes: &[u8]) -> Result<Code, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Code::CannotWrite, format!("standard output: {error}")))
        }
        _ => Ok(Code::Done),
    }
}

/// Writes a line to standard error. A reader that has gone must not end a run.
pub(crate) fn tell(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn summary(loaded: &Loaded) -> String {
    let policy = &loaded.policy;
    let mut text = format!("{}: no faults\n\n", loaded.name);
    for (index, model) in policy.models().iter().enumerate() {
        let of_model = |endpoint: &&Endpoint| usize::from(endpoint.model.0) == index;
        let endpoints: Vec<&Endpoint> = policy.endpoints().iter().filter(of_model).collect();
        let usable: Vec<&&Endpoint> = endpoints.iter().filter(|endpoint| policy.allows(endpoint)).collect();
        text.push_str(&format!("{model}: {}\n", allowance(policy, &usable)));
        let mut table = table(&["endpoint", "Region", "geography", "sent as", "pools"]);
        for endpoint in &endpoints {
            let pools: Vec<&str> = endpoint
                .pools
                .iter()
                .filter_map(|pool| policy.pools().get(usize::from(pool.0)))
                .map(|pool| pool.name.as_str())
                .collect();
            let name = match policy.allows(endpoint) {
                true => endpoint.name.clone(),
                false => format!("{} (not used: residency)", endpoint.name),
            };
            let geography = endpoint.geography.as_deref().unwrap_or("-");
            table.add_row([&name, &endpoint.region, geography, &endpoint.target, &pools.join(", ")]);
        }
        text.push_str(&format!("{}\n\n", table.trim_fmt()));
    }
    let mut table = table(&["pool", "requests/min", "tokens/min", "tokens/day", "at once"]);
    for pool in policy.pools() {
        let LimiterConfig { requests_per_minute, tokens_per_minute, tokens_per_day, concurrency, .. } = pool.limits;
        let limit = |limit: Option<u64>| limit.map_or_else(|| "learned".to_owned(), grouped);
        let optional = |limit: Option<u64>| limit.map_or_else(|| "-".to_owned(), grouped);
        table.add_row([
            pool.name.clone(),
            limit(requests_per_minute),
            limit(tokens_per_minute),
            optional(tokens_per_day),
            optional(concurrency),
        ]);
    }
    text.push_str(&format!("{}\n", table.trim_fmt()));
    text.push_str(&unknown_figures(loaded));
    text
}

/// What the pools of these endpoints let through in a minute, each pool counted once.
fn allowance(policy: &Policy, endpoints: &[&&Endpoint]) -> String {
    let mut pools: Vec<usize> =
        endpoints.iter().flat_map(|endpoint| endpoint.pools.iter().map(|pool| usize::from(pool.0))).collect();
    pools.sort_unstable();
    pools.dedup();
    let limits = || pools.iter().filter_map(|pool| policy.pools().get(*pool)).map(|pool| pool.limits);
    let sum = |limit: fn(&LimiterConfig) -> Option<u64>, unit: &str| {
        let total: Option<u64> = limits().map(|limits| limit(&limits)).sum();
        total.map(|total| format!("{} {unit}", grouped(total)))
    };
    let parts: Vec<String> =
        [sum(|limits| limits.requests_per_minute, "requests"), sum(|limits| limits.tokens_per_minute, "tokens")]
            .into_iter()
            .flatten()
            .collect();
    let count = endpoints.len();
    let plural = if count == 1 { "" } else { "s" };
    match parts.is_empty() {
        true => format!("{count} endpoint{plural}; the quotas will be learned from refusals"),
        false => format!("up to {} a minute over {count} endpoint{plural}", parts.join(" and ")),
    }
}

/// Models whose output rate nobody stated: the highest is assumed, which costs speed.
fn unknown_figures(loaded: &Loaded) -> String {
    let mut targets: Vec<&str> = loaded.policy.endpoints().iter().map(|endpoint| endpoint.target.as_str()).collect();
    targets.sort_unstable();
    targets.dedup();
    let mut text = String::new();
    for target in targets {
        let burndown = loaded.catalogue.burndown(&loaded.catalogue.model(target));
        if !burndown.known {
            text.push_str(&format!(
                "\nnote: how much quota an output token of \"{target}\" takes is not known here; {} is assumed. If AWS \
                 lists less, set /data/bedrock/models/…/output_multiplier and gain speed.\n",
                burndown.rate
            ));
        }
    }
    text
}

/// An empty table in the house style.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line)).set_header(header.iter().copied());
    table
}

/// 1234567 as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_adds_up_what_the_pools_allow() {
        let text = summary(&policy_file::load(None).unwrap());
        assert!(text.contains("up to 800 requests and 800,000 tokens a minute over 3 endpoints"), "{text}");
        assert!(!text.contains("note:"), "{text}");
    }

    #[test]
    fn a_model_without_a_known_rate_is_noted() {
        let text = "pools: {a: {}}\nendpoints: {e: {model: anthropic.claude-new-9, pools: [a]}}";
        let text = summary(&policy_file::parse(text, "p").unwrap());
        assert!(text.contains("learned from refusals"), "{text}");
        assert!(text.contains("note: how much quota an output token of \"anthropic.claude-new-9\""), "{text}");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
