//! What a plan claims, and whether it holds.

use super::faults::Faults;
use super::figures::Median;
use super::plan::{Fault, RawPlan};

/// Bounds on one policy, at every point. Shares and ratios in thousandths, times in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Goal {
    /// The place of the policy.
    pub(crate) policy: usize,
    goodput: Option<u64>,
    attempts: Option<u64>,
    refused: Option<u64>,
    throttled: Option<u64>,
    wait: Option<u64>,
    refusal: Option<u64>,
    with_time: Option<u64>,
    full_after: Option<u64>,
    /// By the place of the tenant, with its name.
    tenants: Vec<(usize, String, u64)>,
    /// Why it is missed today.
    pub(crate) known_miss: Option<String>,
}

/// Reads the goal of a plan with these policies.
pub(crate) fn goal(raw: &RawPlan, policies: &[String], faults: &mut Faults) -> Option<Goal> {
    let place = raw.goal.as_ref()?.span().start;
    let goal = raw.goal.as_ref()?.get_ref();
    let policy = goal.policy.as_ref().map_or(Some(0), |name| {
        let found = policies.iter().position(|policy| policy == name.get_ref());
        if found.is_none() {
            let what = format!("the goal is for `{}`, which is none of the plan's policies", name.get_ref());
            faults.add(Fault::at(name, what));
        }
        found
    })?;
    let mut permille = |value: Option<f64>, what: &str| value.map(|value| faults.permille(value, Some(place), what));
    let goodput = permille(goal.goodput_at_least, "goodput_at_least");
    let attempts = permille(goal.attempts_per_success_at_most, "attempts_per_success_at_most");
    let refused = permille(goal.refused_at_most, "refused_at_most");
    let wait = permille(goal.wait_p50_at_most_s, "wait_p50_at_most_s").map(|ms| ms * 1_000);
    let refusal = permille(goal.refusal_p50_at_most_s, "refusal_p50_at_most_s").map(|ms| ms * 1_000);
    let with_time = permille(goal.refusals_with_time_at_least, "refusals_with_time_at_least");
    let full_after = permille(goal.full_after_at_most_s, "full_after_at_most_s").map(|ms| ms * 1_000);
    let mut tenants = Vec::new();
    for (name, share) in &goal.tenant_in_time_at_least {
        match raw.calls.tenants.iter().position(|tenant| tenant.name.get_ref() == name) {
            Some(found) => {
                tenants.push((found, name.clone(), faults.permille(*share, Some(place), "the tenant's share")))
            }
            None => faults.add(Fault { at: Some(place), what: format!("the calls have no tenant `{name}`") }),
        }
    }
    let throttled = goal.throttled_at_most;
    let known_miss = goal.known_miss.clone();
    Some(Goal {
        policy,
        goodput,
        attempts,
        refused,
        throttled,
        wait,
        refusal,
        with_time,
        full_after,
        tenants,
        known_miss,
    })
}

/// One bound and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// The bound in words.
    pub(crate) claim: String,
    /// What was found.
    pub(crate) found: String,
    /// Whether it holds.
    pub(crate) holds: bool,
}

impl Goal {
    /// Holds the figures of one point to it.
    pub(crate) fn check(&self, median: &Median) -> Vec<Check> {
        let mut checks = Vec::new();
        let ratio = |value: u64| format!("{:.3}", value as f64 / 1e3);
        let seconds = |value: u64| format!("{:.2} s", value as f64 / 1e6);
        let mut check = |claim: String, found: String, holds: bool| checks.push(Check { claim, found, holds });
        if let Some(least) = self.goodput {
            let found = median.goodput.map(|goodput| goodput.middle);
            let told = found.map_or_else(|| "nothing could be answered".to_owned(), ratio);
            check(format!("goodput at least {}", ratio(least)), told, found.is_some_and(|found| found >= least));
        }
        if let Some(most) = self.attempts {
            let found = median.attempts.map(|attempts| attempts.middle);
            let told = found.map_or_else(|| "no success".to_owned(), ratio);
            check(
                format!("attempts per success at most {}", ratio(most)),
                told,
                found.is_some_and(|found| found <= most),
            );
        }
        if let Some(most) = self.refused {
            let found = median.refused.middle;
            check(format!("refused at most {}", ratio(most)), ratio(found), found <= most);
        }
        if let Some(most) = self.throttled {
            let found = median.throttled.high;
            let claim = format!("calls that end as throttling errors at most {most} in any run");
            check(claim, found.to_string(), found <= most);
        }
        if let Some(most) = self.wait {
            let found = median.wait_p50.middle;
            check(format!("median wait at most {}", seconds(most)), seconds(found), found <= most);
        }
        if let Some(most) = self.refusal {
            let found = median.refusal_p50.middle;
            check(format!("median time to a refusal at most {}", seconds(most)), seconds(found), found <= most);
        }
        if let Some(least) = self.with_time {
            let found = median.with_time.middle;
            check(format!("refusals with a time at least {}", ratio(least)), ratio(found), found >= least);
        }
        if let Some(most) = self.full_after {
            let found = median.full_after.map(|after| after.middle);
            let claim = format!("in full use at most {} after the shortage", seconds(most));
            check(
                claim,
                found.map_or_else(|| "no shortage".to_owned(), seconds),
                found.is_some_and(|after| after <= most),
            );
        }
        for (place, name, least) in &self.tenants {
            let found = median.tenants.get(*place).map_or(0, |tenant| tenant.middle);
            check(format!("tenant {name} in time at least {}", ratio(*least)), ratio(found), found >= *least);
        }
        checks
    }
}
