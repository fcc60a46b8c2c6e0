//! The engine's own log: a first line that says what its times and numbers mean, then an event a line, and inputs if they were kept.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use sluicegate::{Call, CallId, EndReason, Event, Input, OutcomeClass, Timestamp};

use super::{Log, Logged, Size};

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

#[derive(Default)]
struct Reader {
    log: Log,
    open: BTreeMap<CallId, Logged>,
    origin: u64,
    tenants: Vec<String>,
    models: Vec<String>,
}

/// Reads the lines.
pub(super) fn read(lines: Vec<(usize, Value)>, faults: &mut Vec<(usize, String)>) -> Log {
    let mut reader = Reader::default();
    for (number, value) in lines {
        if let Err(what) = reader.line(value) {
            faults.push((number, what));
        }
    }
    reader.close();
    reader.log
}

impl Reader {
    fn line(&mut self, value: Value) -> Result<(), String> {
        if value.get("log").is_some() {
            let head: Head = serde_json::from_value(value).map_err(|error| error.to_string())?;
            if head.log != "sluicegate" || head.version != 1 {
                return Err(format!("log `{}` of version {} is unknown here", head.log, head.version));
            }
            // Another process begins, with names of its own.
            self.close();
            (self.origin, self.tenants, self.models) = (head.origin_unix_us, head.tenants, head.models);
            self.log.dated = true;
            return Ok(());
        }
        let line: Line = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let at = self.origin.saturating_add(line.at_us);
        match (line.event, line.input) {
            (Some(event), None) => match serde_json::from_value::<Event>(event) {
                Ok(event) => self.event(at, line.at_us, &event),
                // A later version may have more kinds.
                Err(_) => *self.log.left_out.entry("events of an unknown kind".to_owned()).or_default() += 1,
            },
            (None, Some(Input::Submit(call))) => self.submit(at, line.at_us, &call),
            (None, Some(_)) => {}
            _ => return Err("neither an event nor an input".to_owned()),
        }
        Ok(())
    }

    fn submit(&mut self, at: u64, own: u64, call: &Call) {
        let name = |names: &[String], number: usize| names.get(number).cloned();
        let tenant = usize::try_from(call.tenant.0).unwrap_or(usize::MAX);
        let size = Size::Charged { reserved: call.tokens, settled: 0, max_tokens: call.max_tokens.map(u64::from) };
        let due = |deadline: Timestamp| deadline.as_micros().saturating_sub(own);
        let logged = Logged {
            at_us: at,
            tenant: name(&self.tenants, tenant).unwrap_or_else(|| format!("tenant {tenant}")),
            model: name(&self.models, usize::from(call.model.0)),
            size: Some(size),
            deadline_us: call.deadline.map(due),
            ..Logged::default()
        };
        self.over(call.id);
        self.open.insert(call.id, logged);
    }

    fn call(&mut self, id: CallId, made: u64) -> &mut Logged {
        self.open.entry(id).or_insert_with(|| Logged { at_us: made, tenant: "all".to_owned(), ..Logged::default() })
    }

    fn event(&mut self, at: u64, _: u64, event: &Event) {
        match event {
            Event::Sent { call, waited, reserved_tokens, .. } => {
                let logged = self.call(*call, at.saturating_sub(micros(*waited)));
                logged.size.get_or_insert(Size::Charged { reserved: *reserved_tokens, settled: 0, max_tokens: None });
            }
            Event::Settled { call, class, spent_tokens, took, .. } => {
                let logged = self.call(*call, at);
                logged.attempts += 1;
                match class {
                    OutcomeClass::Success => {
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
                self.over(*call);
            }
            _ => {}
        }
    }

    fn over(&mut self, call: CallId) {
        self.log.calls.extend(self.open.remove(&call));
    }

    /// What the log breaks off before it ends.
    fn close(&mut self) {
        self.log.calls.extend(std::mem::take(&mut self.open).into_values());
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_put_together_from_its_events() {
        let lines = [
            json!({"log": "sluicegate", "version": 1, "origin_unix_us": 1_000_000, "tenants": ["a", "b"]}),
            json!({"at_us": 5, "input": {"submit": {"id": 7, "model": 0, "tokens": 900, "max_tokens": 500, "tenant": 1, "deadline": 2_005}}}),
            json!({"at_us": 9, "event": {"sent": {"call": 7, "attempt": 1, "endpoint": 0, "number": 1, "waited_us": 4, "reserved_tokens": 900}}}),
            json!({"at_us": 50, "event": {"settled": {"call": 7, "attempt": 1, "endpoint": 0, "class": "overloaded", "reserved_tokens": 900, "spent_tokens": 0, "took_us": 41}}}),
            json!({"at_us": 60, "event": {"settled": {"call": 7, "attempt": 2, "endpoint": 0, "class": "success", "reserved_tokens": 900, "spent_tokens": 450, "took_us": 8}}}),
            json!({"at_us": 60, "event": {"ended": {"call": 7, "reason": "answered", "attempts": 2, "took_us": 55}}}),
            json!({"at_us": 90, "event": {"ended": {"call": 8, "reason": "expired", "attempts": 0, "took_us": 30}}}),
            json!({"at_us": 91, "event": {"from_the_future": {}}}),
        ];
        let mut faults = Vec::new();
        let log = read((1..).zip(lines).collect(), &mut faults);
        assert_eq!(faults, []);
        let first = Logged {
            at_us: 1_000_005,
            tenant: "b".to_owned(),
            model: None,
            size: Some(Size::Charged { reserved: 900, settled: 450, max_tokens: Some(500) }),
            answered: true,
            attempts: 2,
            refused: 1,
            took_us: Some(8),
            deadline_us: Some(2_000),
        };
        assert_eq!(log.calls[0], first);
        assert_eq!((log.calls[1].at_us, log.calls[1].size, log.calls[1].answered), (1_000_060, None, false));
        assert_eq!(log.left_out["events of an unknown kind"], 1);
    }
}
