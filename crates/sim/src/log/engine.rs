//! The engine's own log, JSON lines of three kinds:
//!
//! - `{"log": "sluicegate", "version": 1, "origin_unix_us": .., "tenants": [..], "models": [..]}` begins a run: what its
//!   times and numbers mean. Several runs may follow each other in one file.
//! - `{"at_us": .., "event": {..}}` is an [`Event`].
//! - `{"at_us": .., "input": {..}}` is an [`Input`]: a submission says whom a call is for, what it reserves and how much of
//!   that is the cap on its answer, a report how long the answer was. Without them, as in logs of older versions, sizes
//!   are what was reserved and settled. They come before the events that follow from them.
//!
//! Times never go back within a run, and an id names one call of it. The last line of a run may be torn.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use sluicegate::{AttemptId, Call, CallId, EndReason, Event, Input, Outcome, OutcomeClass, Timestamp};

use super::{Log, Logged, Size};

/// The tenant of calls where the log names none.
const EVERYBODY: &str = "all";

/// The first line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    log: String,
    version: u32,
    /// The origin of all times, in microseconds since 1970.
    origin_unix_us: u64,
    /// Names of the tenants, by number.
    #[serde(default)]
    tenants: Vec<String>,
    /// Names of the models, by number.
    #[serde(default)]
    models: Vec<String>,
}

/// Any other line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at_us: u64,
    event: Option<Value>,
    input: Option<Input>,
}

/// Where a call is.
struct Place {
    /// In [`Log::calls`].
    index: usize,
    /// The line of its submission.
    submitted: Option<usize>,
}

/// Takes lines in, one by one, and keeps of each what is needed.
#[derive(Default)]
pub(super) struct Reader {
    /// What they make up.
    pub(super) log: Log,
    /// The calls of this run. None is forgotten: attempts that a call gave up may end after it.
    calls: BTreeMap<CallId, Place>,
    /// The attempts that are out.
    attempts: BTreeMap<AttemptId, CallId>,
    origin: u64,
    /// The last time of this run, and its line.
    last: Option<(u64, usize)>,
    tenants: Vec<String>,
    models: Vec<String>,
}

impl Reader {
    /// Takes a line in.
    pub(super) fn line(&mut self, number: usize, value: Value) -> Result<(), String> {
        if value.get("log").is_some() {
            let head: Head = serde_json::from_value(value).map_err(|error| error.to_string())?;
            if head.log != "sluicegate" || head.version != 1 {
                return Err(format!("log `{}` of version {} is unknown here", head.log, head.version));
            }
            // Another process begins, with names and a clock of its own.
            (self.calls, self.attempts, self.last) = Default::default();
            (self.origin, self.tenants, self.models) = (head.origin_unix_us, head.tenants, head.models);
            self.log.dated = true;
            return Ok(());
        }
        if let Some(at) = value.get("at_us").filter(|at| !at.is_u64()) {
            return Err(format!("at_us is {at}, which is no whole number from 0 on"));
        }
        let line: Line = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let before = self.last.replace((line.at_us, number));
        if let Some((last, earlier)) = before
            && line.at_us < last
        {
            // One gate writes its events in the order of its clock, which never goes back.
            return Err(format!(
                "at_us goes back from {last} in line {earlier} to {}; within a run it may not, so the lines were moved \
                 or two runs wrote at once",
                line.at_us
            ));
        }
        let at = self.origin.saturating_add(line.at_us);
        match (line.event, line.input) {
            (Some(event), None) => {
                let kind = event.as_object().and_then(|fields| fields.keys().next()).cloned().unwrap_or_default();
                match serde_json::from_value::<Event>(event) {
                    Ok(event) => self.event(at, &event),
                    Err(error) if Event::KINDS.iter().any(|known| known.name == kind) => {
                        return Err(format!("the event {kind} is not as this version writes it: {error}"));
                    }
                    // A later version may have more kinds.
                    Err(_) => *self.log.left_out.entry("events of an unknown kind".to_owned()).or_default() += 1,
                }
            }
            (None, Some(Input::Submit(call))) => return self.submit(number, at, line.at_us, &call),
            (None, Some(Input::Report { attempt, outcome })) => self.report(attempt, &outcome),
            (None, Some(_)) => {}
            _ => return Err("neither an event nor an input".to_owned()),
        }
        Ok(())
    }

    fn submit(&mut self, number: usize, at: u64, own: u64, call: &Call) -> Result<(), String> {
        if let Some(Place { submitted: Some(line), .. }) = self.calls.get(&call.id) {
            return Err(format!(
                "call {} was submitted already, in line {line}; an id names one call of a run",
                call.id.0
            ));
        }
        let name = |names: &[String], number: usize| names.get(number).cloned();
        let tenant = usize::try_from(call.tenant.0).unwrap_or(usize::MAX);
        let max_tokens = call.max_tokens.map(u64::from);
        let due = |deadline: Timestamp| deadline.as_micros().saturating_sub(own);
        let (tenant_name, model) = (name(&self.tenants, tenant), name(&self.models, usize::from(call.model.0)));
        let nobody =
            if tenant == 0 && self.tenants.is_empty() { EVERYBODY.to_owned() } else { format!("tenant {tenant}") };
        let logged = self.call(call.id, at);
        logged.at_us = at;
        logged.tenant = tenant_name.unwrap_or(nobody);
        logged.model = model;
        logged.size = Some(Size::Charged { reserved: call.tokens, settled: 0, output: None, max_tokens });
        logged.deadline_us = call.deadline.map(due);
        if let Some(place) = self.calls.get_mut(&call.id) {
            place.submitted = Some(number);
        }
        Ok(())
    }

    /// The call of this name; one of which nothing was said before was made then.
    fn call(&mut self, id: CallId, made: u64) -> &mut Logged {
        let calls = &mut self.log.calls;
        let place = self.calls.entry(id).or_insert_with(|| {
            calls.push(Logged { at_us: made, tenant: EVERYBODY.to_owned(), ..Logged::default() });
            Place { index: calls.len() - 1, submitted: None }
        });
        &mut calls[place.index]
    }

    fn report(&mut self, attempt: AttemptId, outcome: &Outcome) {
        if let (OutcomeClass::Success, Some(tokens)) = (outcome.class, outcome.output_tokens)
            && let Some(place) = self.attempts.get(&attempt).and_then(|call| self.calls.get(call))
            && let Some(Size::Charged { output, .. }) = &mut self.log.calls[place.index].size
        {
            *output = Some(u64::from(tokens));
        }
    }

    fn event(&mut self, at: u64, event: &Event) {
        match event {
            Event::Sent { call, attempt, waited, reserved_tokens, .. } => {
                self.attempts.insert(*attempt, *call);
                let reserved = *reserved_tokens;
                let unknown = Size::Charged { reserved, settled: 0, output: None, max_tokens: None };
                self.call(*call, at.saturating_sub(micros(*waited))).size.get_or_insert(unknown);
            }
            Event::Settled { call, attempt, class, spent_tokens, took, .. } => {
                self.attempts.remove(attempt);
                let logged = self.call(*call, at);
                logged.attempts += 1;
                match class {
                    OutcomeClass::Success => {
                        // Unless the end of the call says otherwise, which the log may break off before.
                        logged.answered = true;
                        logged.took_us = Some(micros(*took));
                        if let Some(Size::Charged { settled, .. }) = &mut logged.size {
                            *settled = *spent_tokens;
                        }
                    }
                    OutcomeClass::Throttled(_) | OutcomeClass::Overloaded | OutcomeClass::Unavailable => {
                        logged.refused += 1;
                    }
                    _ => {}
                }
            }
            Event::Ended { call, reason, took, .. } => {
                self.call(*call, at.saturating_sub(micros(*took))).answered = *reason == EndReason::Answered;
            }
            _ => {}
        }
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn log(lines: &[Value]) -> Result<Log, String> {
        let mut reader = Reader::default();
        (1..).zip(lines).try_for_each(|(number, line)| reader.line(number, line.clone()))?;
        Ok(reader.log)
    }

    #[test]
    fn a_call_is_put_together_from_its_events() {
        let lines = [
            json!({"log": "sluicegate", "version": 1, "origin_unix_us": 1_000_000, "tenants": ["a", "b"]}),
            json!({"at_us": 5, "input": {"submit": {"id": 7, "model": 0, "tokens": 900, "max_tokens": 500, "tenant": 1, "deadline": 2_005}}}),
            json!({"at_us": 9, "event": {"sent": {"call": 7, "attempt": 1, "endpoint": 0, "number": 1, "waited_us": 4, "reserved_tokens": 900}}}),
            json!({"at_us": 50, "event": {"settled": {"call": 7, "attempt": 1, "endpoint": 0, "class": "overloaded", "reserved_tokens": 900, "spent_tokens": 0, "took_us": 41}}}),
            json!({"at_us": 55, "event": {"sent": {"call": 7, "attempt": 2, "endpoint": 0, "number": 2, "waited_us": 50, "reserved_tokens": 900}}}),
            json!({"at_us": 60, "input": {"report": {"attempt": 2, "outcome": {"class": "success", "spent": {"tokens": 450}, "output_tokens": 10}}}}),
            json!({"at_us": 60, "event": {"settled": {"call": 7, "attempt": 2, "endpoint": 0, "class": "success", "reserved_tokens": 900, "spent_tokens": 450, "took_us": 8}}}),
            json!({"at_us": 60, "event": {"ended": {"call": 7, "reason": "answered", "attempts": 2, "took_us": 55}}}),
            json!({"at_us": 90, "event": {"ended": {"call": 8, "reason": "expired", "attempts": 0, "took_us": 30}}}),
            json!({"at_us": 91, "event": {"from_the_future": {}}}),
            // A second attempt that is given up ends after its call, and is no call of its own.
            json!({"at_us": 92, "event": {"settled": {"call": 7, "attempt": 3, "endpoint": 0, "class": "cancelled", "reserved_tokens": 900, "spent_tokens": 0, "took_us": 8}}}),
        ];
        let log = log(&lines).unwrap();
        let first = Logged {
            at_us: 1_000_005,
            tenant: "b".to_owned(),
            model: None,
            size: Some(Size::Charged { reserved: 900, settled: 450, output: Some(10), max_tokens: Some(500) }),
            answered: true,
            attempts: 3,
            refused: 1,
            took_us: Some(8),
            deadline_us: Some(2_000),
        };
        assert_eq!((log.calls.len(), &log.calls[0]), (2, &first));
        assert_eq!((log.calls[1].at_us, log.calls[1].size, log.calls[1].answered), (1_000_060, None, false));
        assert_eq!(log.left_out["events of an unknown kind"], 1);
    }

    #[test]
    fn times_that_go_back_and_ids_that_come_again_are_told() {
        let head = json!({"log": "sluicegate", "version": 1, "origin_unix_us": 0});
        let submit = |at: u64| json!({"at_us": at, "input": {"submit": {"id": 7, "model": 0, "tokens": 900}}});
        let back = log(&[head.clone(), submit(9), json!({"at_us": 8, "event": {}})]).unwrap_err();
        assert!(back.starts_with("at_us goes back from 9 in line 2 to 8; "), "{back}");
        let again = log(&[head.clone(), submit(9), submit(10)]).unwrap_err();
        assert_eq!(again, "call 7 was submitted already, in line 2; an id names one call of a run");
        let negative = json!({"at_us": 9, "event": {"sent": {"call": 7, "attempt": 1, "endpoint": 0, "number": 1, "waited_us": 4, "reserved_tokens": -1}}});
        let told = log(&[head.clone(), negative]).unwrap_err();
        assert!(
            told.starts_with("the event sent is not as this version writes it: invalid value: integer `-1`"),
            "{told}"
        );
        let told = log(&[json!({"at_us": -9, "event": {}})]).unwrap_err();
        assert_eq!(told, "at_us is -9, which is no whole number from 0 on");
        // Another run has a clock and ids of its own.
        assert_eq!(log(&[head.clone(), submit(9), head, submit(8)]).unwrap().calls.len(), 2);
    }
}
