//! What becomes of each call of a run, seen at the service.

use std::collections::BTreeMap;

use sluicegate::Timestamp;

use crate::attempt::{Load, Reply};
use crate::client::End;
use crate::error::RefusalClass;
use crate::ledger::LaneLedger;
use crate::report::{Fate, Figures, Report, Spread};
use crate::scenario::Scenario;
use crate::workload::Arrival;

/// A time that does not come, and the name of no attempt.
pub(crate) const NEVER: u64 = u64::MAX;

/// The fate of one call, in little space: a day has millions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) attempts: u32,
    pub(crate) refused: u32,
    pub(crate) errors: u32,
    pub(crate) ended: bool,
    pub(crate) admitted: u64,
    pub(crate) completed: u64,
    /// Its latest attempt that is out.
    pub(crate) out: u64,
}

impl Record {
    const NEW: Self =
        Self { attempts: 0, refused: 0, errors: 0, ended: false, admitted: NEVER, completed: NEVER, out: NEVER };
}

#[derive(Clone, Debug)]
pub(crate) struct Books {
    pub(crate) arrivals: Vec<Arrival>,
    records: Vec<Record>,
    /// The few ends that there are, in the order in which they came up.
    ends: Vec<(End, u64)>,
    throttled: u64,
    refusals: Vec<u64>,
    refusals_with_time: u64,
    digest: u64,
}

impl Books {
    pub(crate) fn new(arrivals: Vec<Arrival>) -> Self {
        Self {
            records: Vec::with_capacity(arrivals.len()),
            arrivals,
            ends: Vec::new(),
            throttled: 0,
            refusals: Vec::new(),
            refusals_with_time: 0,
            digest: 0xcbf2_9ce4_8422_2325,
        }
    }

    pub(crate) fn add(&mut self, arrival: Arrival) {
        self.arrivals.push(arrival);
    }

    /// The calls made so far, from the one at a place on.
    pub(crate) fn from(&self, place: usize) -> impl Iterator<Item = (&Arrival, &Record)> {
        let records = self.records.get(place..).unwrap_or_default();
        self.arrivals.get(place..).unwrap_or_default().iter().zip(records)
    }

    /// Their ends so far.
    pub(crate) fn ends(&self) -> BTreeMap<String, u64> {
        self.ends.iter().map(|(end, count)| (end.name(), *count)).collect()
    }

    /// Opens the record of the next call.
    pub(crate) fn open(&mut self) {
        self.records.push(Record::NEW);
    }

    pub(crate) fn record_mut(&mut self, call: u32) -> Option<&mut Record> {
        self.records.get_mut(call as usize)
    }

    pub(crate) fn load(&self, call: u32) -> Load {
        self.arrivals.get(call as usize).map_or_else(Load::default, Arrival::load)
    }

    /// FNV-1a over whole words.
    pub(crate) fn note(&mut self, words: &[u64]) {
        for word in words {
            self.digest = (self.digest ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(crate) fn reached(&mut self, now: Timestamp, call: u32, reply: &Reply) {
        let Some(record) = self.record_mut(call) else { return };
        record.attempts += 1;
        match reply {
            Reply::Accepted(_) => record.admitted = record.admitted.min(now.as_micros()),
            Reply::Refused(refusal) if refusal.error.class() != RefusalClass::Other => record.refused += 1,
            Reply::Refused(_) | Reply::Reset => record.errors += 1,
        }
    }

    pub(crate) fn finished(&mut self, now: Timestamp, call: u32, answered: bool) {
        let Some(record) = self.record_mut(call) else { return };
        if answered {
            record.completed = record.completed.min(now.as_micros());
        } else {
            record.errors += 1;
        }
    }

    /// Ends a call; answers whether it had not ended before.
    pub(crate) fn ended(
        &mut self,
        now: Timestamp,
        call: u32,
        end: End,
        retry_at: Option<Timestamp>,
        measured: bool,
    ) -> bool {
        let Some(record) = self.records.get_mut(call as usize).filter(|record| !record.ended) else { return false };
        record.ended = true;
        if measured {
            match self.ends.iter_mut().find(|(known, _)| *known == end) {
                Some((_, count)) => *count += 1,
                None => self.ends.push((end, 1)),
            }
            self.throttled += u64::from(end == End::Throttled);
            if let (End::Refused(_), Some(arrival)) = (end, self.arrivals.get(call as usize)) {
                self.refusals.push(now.as_micros().saturating_sub(arrival.at.as_micros()));
                self.refusals_with_time += u64::from(retry_at.is_some());
            }
        }
        true
    }

    /// The calls, and what became of each.
    pub(crate) fn into_fates(self) -> (Vec<Arrival>, Vec<Fate>) {
        let time = |us: u64| (us != NEVER).then_some(Timestamp::from_micros(us));
        let fate = |record: Record| Fate {
            attempts: record.attempts,
            refused: record.refused,
            admitted: time(record.admitted),
            completed: time(record.completed),
        };
        (self.arrivals, self.records.into_iter().map(fate).collect())
    }

    /// The report.
    pub(crate) fn report(&self, scenario: &Scenario, client: &str, lanes: &[LaneLedger]) -> Report {
        let names = &scenario.workload.tenants;
        let mut all = Sums::with_room(self.records.len());
        let mut tenants = vec![Sums::default(); if names.len() > 1 { names.len() } else { 0 }];
        for (arrival, record) in self.arrivals.iter().zip(&self.records) {
            if scenario.measures(arrival) {
                let due = scenario.due(arrival).as_micros();
                all.add(arrival, record, due);
                if let Some(tenant) = tenants.get_mut(arrival.tenant as usize) {
                    tenant.add(arrival, record, due);
                }
            }
        }
        let tenants = names.iter().zip(tenants).map(|(tenant, sums)| (tenant.name.clone(), sums.close())).collect();
        Report {
            client: client.to_owned(),
            all: all.close(),
            tenants,
            ends: self.ends(),
            throttled: self.throttled,
            refusals: Spread::of(&mut self.refusals.clone()),
            refusals_with_time: self.refusals_with_time,
            lanes: lanes.iter().map(|lane| lane.totals).collect(),
            digest: self.digest,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Sums {
    figures: Figures,
    waits: Vec<u64>,
    services: Vec<u64>,
}

impl Sums {
    fn with_room(calls: usize) -> Self {
        Self { waits: Vec::with_capacity(calls), services: Vec::with_capacity(calls), ..Self::default() }
    }

    fn add(&mut self, arrival: &Arrival, record: &Record, due: u64) {
        let figures = &mut self.figures;
        figures.calls += 1;
        figures.attempts += u64::from(record.attempts);
        figures.refused += u64::from(record.refused);
        figures.errors += u64::from(record.errors);
        match record.completed {
            NEVER => figures.never += 1,
            at if at <= due => figures.in_time += 1,
            _ => figures.late += 1,
        }
        if record.admitted != NEVER {
            self.waits.push(record.admitted.saturating_sub(arrival.at.as_micros()));
            if record.completed != NEVER {
                self.services.push(record.completed.saturating_sub(record.admitted));
            }
        }
    }

    fn close(mut self) -> Figures {
        Figures { waits: Spread::of(&mut self.waits), services: Spread::of(&mut self.services), ..self.figures }
    }
}
