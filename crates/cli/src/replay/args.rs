//! What `replay` is told.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::compare::LawName;

/// What `replay --help` says.
pub(crate) const ABOUT: &str = "\
Play a log again under another policy, and show what would have become of its calls.

The log is the engine's own (`sluicegate run --events FILE`), or Amazon Bedrock's model invocation log: JSON lines as S3 \
holds them, unpacked (`gunzip`), what `aws logs filter-log-events` prints, what a CloudWatch subscription delivers, or lines \
of CloudWatch's export to S3; several in one file too. The service is simulated with the quotas that the policy declares, so \
--quota changes both what the engine is told and what the service grants.

  sluicegate replay events.jsonl --policy new.yaml
  sluicegate replay invocations.jsonl --policy policy.yaml --quota tokens_per_minute=2000000 --html what-if.html
  sluicegate replay invocations.jsonl --policy policy.yaml --max-tokens 512

What a log does not say is assumed, and told in a note: deadlines (--deadline), how long answers take and are, and prompts \
of refused calls. A refused attempt of Bedrock's log is joined with the same request coming again within a minute; a record \
that was delivered twice counts once, by its requestId and time; one that was answered without counts of its tokens is left out. AWS \
delivers records in no order, so they are sorted by time. In the engine's own log times do not go back: where they do, where \
a count is no whole number, or a call is submitted twice, the line is told and nothing is run. The answer names each call \
once: answered in time, answered too late, or refused, because the policy let it go unanswered.";

/// What `replay` is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The log, as JSON lines
    #[arg(value_name = "LOG", value_hint = ValueHint::FilePath)]
    pub(crate) log: PathBuf,

    /// The policy to play it under, YAML or JSON
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) policy: PathBuf,

    /// Another quota, of all pools or of one: requests_per_minute=500, POOL.tokens_per_minute=2000000
    #[arg(long, value_name = "NAME=VALUE", value_parser = quota)]
    pub(crate) quota: Vec<Quota>,

    /// Let no call ask for more output tokens than this; longer answers are cut
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_tokens: Option<u64>,

    /// Seconds in which a call must be answered, where the log does not say
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub(crate) deadline: u64,

    /// How the quotas refill; AWS does not say, so try all. A bucket is here as large as the largest call needs
    #[arg(long, value_enum, default_value_t = LawName::Sliding)]
    pub(crate) law: LawName,

    /// Decides all that is left to chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Write the figures by tenant and hour as JSON; not to the log or the policy
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) json: Option<PathBuf>,

    /// Write a page with tables and plots: one HTML file that needs nothing else
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) html: Option<PathBuf>,
}

/// A quota to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Which pool; all, if absent.
    pub(crate) pool: Option<String>,
    /// Which of its quotas.
    pub(crate) name: String,
    /// To what.
    pub(crate) value: u64,
}

const QUOTAS: [&str; 4] = ["requests_per_minute", "tokens_per_minute", "tokens_per_day", "concurrency"];

fn quota(text: &str) -> Result<Quota, String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE, such as requests_per_minute=500")?;
    let (pool, name) = match name.rsplit_once('.') {
        Some((pool, name)) => (Some(pool.to_owned()), name),
        None => (None, name),
    };
    if !QUOTAS.contains(&name) {
        return Err(format!("`{name}` is no quota; there are {}", QUOTAS.join(", ")));
    }
    let value = value.replace('_', "").parse().map_err(|_| format!("`{value}` is not a whole number"))?;
    if value == 0 {
        return Err(format!("{name} of 0 would let nothing out; 1 is the least"));
    }
    Ok(Quota { pool, name: name.to_owned(), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_of_all_pools_or_of_one() {
        let all = quota("requests_per_minute=1_500").unwrap();
        assert_eq!((all.pool, all.name.as_str(), all.value), (None, "requests_per_minute", 1_500));
        assert_eq!(quota("east.1.concurrency=5").unwrap().pool.as_deref(), Some("east.1"));
        for text in
            ["", "rpm=5", "requests_per_minute", "requests_per_minute=-1", "requests_per_minute=1.5", "concurrency=0"]
        {
            assert!(quota(text).is_err(), "{text}");
        }
    }
}
