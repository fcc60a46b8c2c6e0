//! The last decisions, kept so that they can be explained.

use alloc::vec::Vec;

use super::explain::{EndpointView, Standing, Trial};
use super::io::{AttemptId, CallId, EndReason};
use crate::defaults::DECISIONS_KEPT;
use crate::outcome::OutcomeClass;
use crate::policy::EndpointId;
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug)]
enum What {
    Sent { attempt: AttemptId, endpoint: EndpointId },
    Reported { attempt: AttemptId, class: OutcomeClass },
    Ended { reason: EndReason, attempts: u32 },
}

#[derive(Clone, Debug)]
struct Record {
    call: CallId,
    at: Timestamp,
    what: What,
    /// What was considered. The room is used again by later records.
    views: Vec<EndpointView>,
}

/// The last [`DECISIONS_KEPT`] things that happened to calls, and what is being considered at present. Allocates nothing
/// once it is full.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    ring: Vec<Record>,
    next: usize,
    considered: Vec<EndpointView>,
    /// For whom.
    considering: Option<CallId>,
}

/// What is known of a call that has ended.
pub(super) struct End {
    pub(super) reason: EndReason,
    pub(super) attempts: u32,
    pub(super) at: Timestamp,
}

impl History {
    /// A look at the endpoints for this call begins.
    pub(super) fn consider(&mut self, call: CallId) {
        self.considered.clear();
        self.considering = Some(call);
    }

    /// The look is over; what was seen will be old when the next thing happens.
    pub(super) fn look_away(&mut self) {
        self.considering = None;
    }

    pub(super) fn view(&mut self, endpoint: EndpointId, standing: Standing) {
        self.considered.push(EndpointView { endpoint, standing });
    }

    pub(super) fn sent(&mut self, now: Timestamp, call: CallId, attempt: AttemptId, endpoint: EndpointId) {
        if self.considering == Some(call)
            && let Some(view) = self.considered.iter_mut().find(|view| view.endpoint == endpoint)
        {
            view.standing = Standing::Chosen;
        }
        self.push(call, now, What::Sent { attempt, endpoint });
    }

    pub(super) fn reported(&mut self, now: Timestamp, call: CallId, attempt: AttemptId, class: OutcomeClass) {
        self.push(call, now, What::Reported { attempt, class });
    }

    pub(super) fn ended(&mut self, now: Timestamp, call: CallId, reason: EndReason, attempts: u32) {
        self.push(call, now, What::Ended { reason, attempts });
    }

    fn push(&mut self, call: CallId, at: Timestamp, what: What) {
        if self.ring.len() < DECISIONS_KEPT {
            self.ring.push(Record { call, at, what, views: Vec::new() });
            self.next = self.ring.len() - 1;
        }
        let Some(record) = self.ring.get_mut(self.next) else { return };
        (record.call, record.at, record.what) = (call, at, what);
        record.views.clear();
        if self.considering == Some(call) {
            record.views.extend_from_slice(&self.considered);
            self.considering = None;
        }
        self.next = (self.next + 1) % DECISIONS_KEPT;
    }

    /// What is kept of a call, oldest first.
    fn of(&self, call: CallId) -> impl DoubleEndedIterator<Item = &Record> {
        let (newer, older) = self.ring.split_at(self.next.min(self.ring.len()));
        older.iter().chain(newer).filter(move |record| record.call == call)
    }

    /// The attempts made for a call, as far as they are kept.
    pub(super) fn trials(&self, call: CallId) -> Vec<Trial> {
        let mut trials: Vec<Trial> = Vec::new();
        for record in self.of(call) {
            match record.what {
                What::Sent { attempt, endpoint } => {
                    trials.push(Trial { attempt, endpoint, sent_at: record.at, class: None });
                }
                What::Reported { attempt, class } => {
                    if let Some(trial) = trials.iter_mut().find(|trial| trial.attempt == attempt) {
                        trial.class = Some(class);
                    }
                }
                What::Ended { .. } => {}
            }
        }
        trials
    }

    /// What was considered when it was last decided about a call, and when that was.
    pub(super) fn last_views(&self, call: CallId) -> Option<(Timestamp, &[EndpointView])> {
        let record = self.of(call).rev().find(|record| !record.views.is_empty())?;
        Some((record.at, &record.views))
    }

    pub(super) fn end(&self, call: CallId) -> Option<End> {
        let record = self.of(call).next_back()?;
        match record.what {
            What::Ended { reason, attempts } => Some(End { reason, attempts, at: record.at }),
            _ => None,
        }
    }

    /// Endpoints have other ids now: what was is not explained any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}
