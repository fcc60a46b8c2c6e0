//! What was and what would have been, by tenant and hour.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sluicegate_sim::Played;

use super::rebuild::Rebuilt;

/// One hour in microseconds.
const HOUR_US: u64 = 3_600_000_000;
/// A call that is admitted later than this has waited, in microseconds.
const WAITED_US: u64 = 1_000_000;

/// Counts of calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Calls.
    pub(crate) calls: u64,
    /// As it was: answered; attempts; of those, refused.
    pub(crate) was: [u64; 3],
    /// Under the policy: answered in time; attempts; of those, refused.
    pub(crate) would: [u64; 3],
    /// Of the calls, answered after they were due.
    pub(crate) late: u64,
    /// Of the calls, never answered: the policy refused them at once, or gave them up while they waited.
    pub(crate) given_up: u64,
    /// Of the calls, admitted after more than a second.
    pub(crate) waited: u64,
    waits: Vec<u64>,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.late += other.late;
        self.given_up += other.given_up;
        self.waited += other.waited;
        let pairs = self.was.iter_mut().zip(other.was).chain(self.would.iter_mut().zip(other.would));
        pairs.for_each(|(sum, more)| *sum += more);
        self.waits.extend(&other.waits);
    }

    /// The median wait of admitted calls, in microseconds.
    pub(crate) fn wait_p50(&self) -> u64 {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        waits.get(waits.len() / 2).copied().unwrap_or(0)
    }

    fn json(&self) -> Value {
        let side = |[answered, attempts, refused]: [u64; 3]| json!({"answered": answered, "attempts": attempts, "refused_attempts": refused});
        let mut would = side(self.would);
        would["not_in_time"] = (self.late + self.given_up).into();
        would["late"] = self.late.into();
        would["refused"] = self.given_up.into();
        would["waited_over_1_s"] = self.waited.into();
        would["wait_p50_us"] = self.wait_p50().into();
        json!({"calls": self.calls, "was": side(self.was), "would": would})
    }
}

/// Everything by hour and tenant.
pub(crate) struct Outcome {
    by_both: BTreeMap<(u64, u32), Counts>,
    /// Whether times are since 1970.
    pub(crate) dated: bool,
    tenants: Vec<String>,
}

impl Outcome {
    pub(crate) fn new(rebuilt: &Rebuilt, played: &Played, dated: bool) -> Self {
        let mut by_both: BTreeMap<(u64, u32), Counts> = BTreeMap::new();
        let calls = rebuilt.logged.iter().zip(&played.arrivals).zip(&played.fates);
        for ((logged, arrival), fate) in calls {
            let counts = by_both.entry((logged.at_us / HOUR_US, arrival.tenant)).or_default();
            let in_time = fate.completed.is_some_and(|at| at <= rebuilt.scenario.due(arrival));
            counts.calls += 1;
            let was = [u64::from(logged.answered), logged.attempts, logged.refused];
            let would = [u64::from(in_time), u64::from(fate.attempts), u64::from(fate.refused)];
            let pairs = counts.was.iter_mut().zip(was).chain(counts.would.iter_mut().zip(would));
            pairs.for_each(|(sum, more)| *sum += more);
            counts.late += u64::from(fate.completed.is_some() && !in_time);
            counts.given_up += u64::from(fate.completed.is_none());
            if let Some(admitted) = fate.admitted {
                let wait = admitted.as_micros().saturating_sub(arrival.at.as_micros());
                counts.waited += u64::from(wait > WAITED_US);
                counts.waits.push(wait);
            }
        }
        Self { by_both, dated, tenants: rebuilt.tenants.clone() }
    }

    /// By tenant, over all hours.
    pub(crate) fn by_tenant(&self) -> Vec<(String, Counts)> {
        self.by(|(_, tenant)| u64::from(tenant), |tenant| self.tenant(tenant))
    }

    /// By hour, over all tenants.
    pub(crate) fn by_hour(&self) -> Vec<(String, Counts)> {
        self.by(|(hour, _)| hour, |hour| self.hour(hour))
    }

    /// By hour and tenant.
    pub(crate) fn by_hour_and_tenant(&self) -> impl Iterator<Item = (String, String, &Counts)> {
        self.by_both.iter().map(|((hour, tenant), counts)| (self.hour(*hour), self.tenant(u64::from(*tenant)), counts))
    }

    /// What hours are called.
    pub(crate) const fn hours(&self) -> &'static str {
        if self.dated { "hour (UTC)" } else { "hour" }
    }

    /// All together.
    pub(crate) fn all(&self) -> Counts {
        let mut all = Counts::default();
        self.by_both.values().for_each(|counts| all.add(counts));
        all
    }

    fn by(&self, key: impl Fn((u64, u32)) -> u64, name: impl Fn(u64) -> String) -> Vec<(String, Counts)> {
        let mut sums: BTreeMap<u64, Counts> = BTreeMap::new();
        for (both, counts) in &self.by_both {
            sums.entry(key(*both)).or_default().add(counts);
        }
        sums.into_iter().map(|(key, counts)| (name(key), counts)).collect()
    }

    fn tenant(&self, number: u64) -> String {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        self.tenants.get(place).cloned().unwrap_or_default()
    }

    fn hour(&self, hour: u64) -> String {
        if !self.dated {
            return format!("hour {hour}");
        }
        let seconds = i64::try_from(hour.saturating_mul(3_600)).unwrap_or(i64::MAX);
        let text = aws_smithy_types::DateTime::from_secs(seconds).fmt(aws_smithy_types::date_time::Format::DateTime);
        // 2026-04-09T23:00:00Z
        text.map_or_else(|_| format!("hour {hour}"), |text| text.get(..16).unwrap_or(&text).replace('T', " "))
    }

    /// The figures for machines.
    pub(crate) fn json(&self, rebuilt: &Rebuilt) -> Value {
        let rows = self.by_hour_and_tenant().map(|(hour, tenant, counts)| {
            let mut row = counts.json();
            row["hour"] = hour.into();
            row["tenant"] = tenant.into();
            row
        });
        json!({
            "version": 1,
            "policy": rebuilt.loaded.name,
            "all": self.all().json(),
            "by_hour_and_tenant": rows.collect::<Vec<_>>(),
            "cut_answers": rebuilt.cut,
            "notes": rebuilt.notes,
        })
    }
}
