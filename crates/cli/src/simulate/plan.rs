//! A plan as it is written: TOML in, every fault with its place out.

use std::collections::BTreeMap;

use serde::Deserialize;
use sluicegate_sim::{Conversations, Declared, Effect, Law, MaxTokens, OtherUser, Quantiles};
use toml::Spanned;

/// Seeds of a plan at most.
pub(crate) const MOST_SEEDS: i64 = 1_000;

/// A whole plan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPlan {
    pub(crate) title: Option<String>,
    pub(crate) about: Option<String>,
    pub(crate) seeds: Option<Spanned<u32>>,
    pub(crate) policies: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(crate) policy: BTreeMap<Spanned<String>, RawPolicy>,
    pub(crate) service: RawService,
    pub(crate) calls: RawCalls,
    #[serde(default)]
    pub(crate) run: RawRun,
    #[serde(default)]
    pub(crate) sweep: RawSweep,
    pub(crate) goal: Option<Spanned<RawGoal>>,
}

/// A sluicegate policy that the plan makes: from a file, or of what the service declares; then with some values set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPolicy {
    pub(crate) file: Option<Spanned<String>>,
    pub(crate) set: Option<toml::Table>,
}

/// The service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawService {
    pub(crate) regions: Spanned<Vec<String>>,
    /// What endpoints of policy files name as their target.
    pub(crate) model: Option<String>,
    /// What every Region is like.
    #[serde(default)]
    pub(crate) each: RawLane,
    /// What single Regions are like instead.
    #[serde(default)]
    pub(crate) only: BTreeMap<Spanned<String>, RawLane>,
    #[serde(default)]
    pub(crate) trouble: Vec<RawTrouble>,
    #[serde(default)]
    pub(crate) declared: Declared,
}

impl RawService {
    /// The model id of its lanes.
    pub(crate) fn model(&self) -> &str {
        self.model.as_deref().unwrap_or(super::service::MODEL)
    }
}

/// One Region; the fields and units are those of the simulator's lanes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLane {
    pub(crate) requests_per_minute: Option<u64>,
    pub(crate) tokens_per_minute: Option<u64>,
    pub(crate) tokens_per_day: Option<u64>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) law: Option<Law>,
    pub(crate) output_multiplier: Option<u64>,
    pub(crate) reserve_cache_reads: Option<bool>,
    pub(crate) refusal_cost_permille: Option<u32>,
    pub(crate) max_output_tokens: Option<u64>,
    pub(crate) first_token_us: Option<u64>,
    pub(crate) per_input_token_ns: Option<u64>,
    pub(crate) tokens_per_second: Option<u64>,
    pub(crate) cache_ttl_us: Option<u64>,
    pub(crate) cache_min_tokens: Option<u64>,
    pub(crate) other_user: Option<OtherUser>,
}

/// Something that goes wrong for a while.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTrouble {
    /// In all, if absent.
    pub(crate) regions: Option<Vec<Spanned<String>>>,
    pub(crate) from_s: Spanned<f64>,
    pub(crate) to_s: Spanned<f64>,
    /// It comes and goes: so long it is wrong, then so long it is well.
    pub(crate) flapping_s: Option<Spanned<Vec<f64>>>,
    pub(crate) effect: Effect,
}

/// The calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCalls {
    pub(crate) load: Option<Spanned<f64>>,
    pub(crate) per_minute: Option<Spanned<f64>>,
    #[serde(default)]
    pub(crate) spike: Option<Spanned<RawSpike>>,
    pub(crate) on_off: Option<Spanned<RawOnOff>>,
    pub(crate) diurnal: Option<Spanned<RawDiurnal>>,
    pub(crate) closed_loop: Option<Spanned<RawClosedLoop>>,
    pub(crate) trace: Option<Spanned<RawTrace>>,
    pub(crate) input_tokens: Option<Spanned<Quantiles>>,
    pub(crate) output_tokens: Option<Spanned<Quantiles>>,
    pub(crate) max_tokens: Option<Spanned<MaxTokens>>,
    pub(crate) deadline_s: Option<Spanned<f64>>,
    pub(crate) deadline_ms: Option<Spanned<Quantiles>>,
    #[serde(default)]
    pub(crate) tenants: Vec<RawTenant>,
    pub(crate) conversations: Option<Spanned<Conversations>>,
    #[serde(default)]
    pub(crate) streaming: bool,
    pub(crate) clients: Option<Spanned<u32>>,
}

/// For a while at a multiple of the rate.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSpike {
    pub(crate) times: f64,
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
}

/// By turns at two multiples of the rate.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawOnOff {
    pub(crate) on: f64,
    pub(crate) off: f64,
    pub(crate) on_s: f64,
    pub(crate) off_s: f64,
}

/// Rising and falling around the rate.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDiurnal {
    pub(crate) swing: f64,
    pub(crate) period_s: f64,
    pub(crate) peak_s: f64,
}

/// Users who wait for an answer, think, and call again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawClosedLoop {
    pub(crate) users: Spanned<u32>,
    pub(crate) think_ms: Spanned<Quantiles>,
}

/// A recorded trace.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTrace {
    pub(crate) file: Spanned<String>,
    #[serde(default)]
    pub(crate) spread_s: f64,
    /// How to get it.
    pub(crate) source: String,
}

/// Somebody who makes a share of the calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTenant {
    pub(crate) name: Spanned<String>,
    pub(crate) calls: u32,
    pub(crate) weight: Option<u32>,
}

/// How long it goes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRun {
    pub(crate) warm_up_s: Option<Spanned<f64>>,
    pub(crate) measured_s: Option<Spanned<f64>>,
    pub(crate) hop_us: Option<u64>,
}

/// What is varied: every combination is played.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSweep {
    pub(crate) law: Option<Spanned<Vec<Law>>>,
    pub(crate) declared: Option<Spanned<Vec<Declared>>>,
    pub(crate) load: Option<Spanned<Numbers>>,
    pub(crate) deadline_s: Option<Spanned<Numbers>>,
    pub(crate) clients: Option<Spanned<Numbers>>,
    /// Values of sluicegate's policies, by dotted path.
    #[serde(default)]
    pub(crate) policy: BTreeMap<Spanned<String>, Spanned<Vec<toml::Value>>>,
}

/// A list, or a range with both ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a list of numbers, or { from = .., to = .., step = .. }")]
pub(crate) enum Numbers {
    List(Vec<f64>),
    Range(Range),
}

/// From one number to another.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) step: f64,
}

/// What is claimed, of every point of the sweep.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawGoal {
    /// Whom it is for; the first policy, if absent.
    pub(crate) policy: Option<Spanned<String>>,
    pub(crate) goodput_at_least: Option<f64>,
    pub(crate) attempts_per_success_at_most: Option<f64>,
    pub(crate) refused_at_most: Option<f64>,
    pub(crate) throttled_at_most: Option<u64>,
    pub(crate) wait_p50_at_most_s: Option<f64>,
    pub(crate) refusal_p50_at_most_s: Option<f64>,
    pub(crate) refusals_with_time_at_least: Option<f64>,
    pub(crate) full_after_at_most_s: Option<f64>,
    /// The share of a tenant's calls that is answered in time.
    #[serde(default)]
    pub(crate) tenant_in_time_at_least: BTreeMap<String, f64>,
    /// Why it is missed today.
    pub(crate) known_miss: Option<String>,
}

/// Something wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where, in bytes from its start.
    pub(crate) at: Option<usize>,
    /// What, and what to do about it.
    pub(crate) what: String,
}

impl Fault {
    pub(crate) fn at<T>(place: &Spanned<T>, what: impl Into<String>) -> Self {
        Self { at: Some(place.span().start), what: what.into() }
    }

    pub(crate) fn anywhere(what: impl Into<String>) -> Self {
        Self { at: None, what: what.into() }
    }

    /// As a line of its own.
    pub(crate) fn line(&self, name: &str, text: &str) -> String {
        match self.at {
            Some(at) => {
                let before = text.get(..at).unwrap_or(text);
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
                format!("{name}:{line}:{column}: {}", self.what)
            }
            None => format!("{name}: {}", self.what),
        }
    }
}

/// Reads a plan. What TOML or the plan's form do not allow ends the reading, so that there is one such fault at most.
pub(crate) fn read(text: &str) -> Result<RawPlan, Fault> {
    toml::from_str(text).map_err(|error| {
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        Fault { at: error.span().map(|span| span.start), what: message }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[service]\nregions = [\"r\"]\n[calls]\nload = 1.5\n";

    #[test]
    fn a_small_plan_is_enough() {
        let plan = read(SMALL).unwrap();
        assert_eq!(plan.service.regions.get_ref().len(), 1);
        assert_eq!(*plan.calls.load.unwrap().get_ref(), 1.5);
    }

    #[test]
    fn what_the_form_does_not_allow_is_named_with_its_place() {
        for (text, place, words) in [
            ("[service]\nregions = [\"r\"]\nquota = 5\n[calls]\nload = 1\n", "p:3:1: ", "unknown field `quota`"),
            ("[service]\nregions = [\"r\"]\n[calls]\nload = \"x\"\n", "p:4:8: ", "expected"),
            ("[service\n", "p:1:", ""),
            ("[service]\nregions = [\"r\"]\n[calls]\nload = 1\n[sweep]\nload = 3\n", "p:6:8: ", "a list of numbers"),
        ] {
            let line = read(text).unwrap_err().line("p", text);
            assert!(line.starts_with(place) && line.contains(words), "{line}");
        }
    }
}
