//! The traces together show everything that the engine can be told and can say.

use std::collections::BTreeSet;

use serde_json::Value;
use sluicegate::{
    Decision, EndReason, Event, Explanation, FAULT_CODES, Input, InputError, OutcomeClass, Phase, Quota, Refusal,
    SnapshotError, Spent, Standing, WakeReason, Wakeup,
};

/// A type of which every case must appear.
trait Cases {
    const ALL: &'static [&'static str];
    fn case(&self) -> &'static str;
}

/// Lists the cases of a type by a `match` without a wildcard, so that a new one does not compile until it is listed.
macro_rules! cases {
    ($type:ident { $($pattern:pat => $name:literal,)* }) => {
        impl Cases for $type {
            const ALL: &'static [&'static str] = &[$(concat!(stringify!($type), " ", $name)),*];
            fn case(&self) -> &'static str {
                match self {
                    $($pattern => concat!(stringify!($type), " ", $name),)*
                }
            }
        }
    };
}

cases!(Input {
    Self::Submit(_) => "submit",
    Self::Report { .. } => "report",
    Self::Cancel(_) => "cancel",
    Self::Wake => "wake",
});
cases!(Decision {
    Self::Send { max_tokens: None, .. } => "send",
    Self::Send { max_tokens: Some(_), .. } => "send with another cap",
    Self::Hedge { .. } => "hedge",
    Self::Abort { .. } => "abort",
    Self::End { .. } => "end",
});
cases!(EndReason {
    Self::Answered => "answered",
    Self::Refused { retry_at: None, .. } => "refused",
    Self::Refused { retry_at: Some(_), .. } => "refused until",
    Self::Expired => "expired",
    Self::Cancelled => "cancelled",
    Self::Failed { .. } => "failed",
});
cases!(Refusal {
    Self::Deadline => "deadline",
    Self::TooLarge { .. } => "too large",
    Self::QueueFull => "queue full",
    Self::TargetWait => "target wait",
    Self::NoEndpoint => "no endpoint",
});
cases!(OutcomeClass {
    Self::Success => "success",
    Self::Throttled(Quota::Requests) => "throttled by requests",
    Self::Throttled(Quota::Tokens) => "throttled by tokens",
    Self::Throttled(Quota::Day) => "throttled by the day",
    Self::Throttled(Quota::Unknown) => "throttled",
    Self::Overloaded => "overloaded",
    Self::Unavailable => "unavailable",
    Self::NotReady => "not ready",
    Self::TimedOut => "timed out",
    Self::ModelError => "model error",
    Self::StreamBroken => "stream broken",
    Self::StreamBrokenDelivered => "stream broken after delivery",
    Self::Refused => "refused",
    Self::Unusable => "unusable",
    Self::Cancelled => "cancelled",
});
cases!(Spent {
    Self::Tokens(_) => "tokens",
    Self::Unknown => "unknown",
    Self::Nothing => "nothing",
    Self::NeverSent => "never sent",
});
cases!(WakeReason {
    Self::Undrained => "undrained",
    Self::Start => "start",
    Self::Retry => "retry",
    Self::Deadline => "deadline",
    Self::Hedge => "hedge",
    Self::Lease => "lease",
});
cases!(Phase {
    Self::Waiting => "waiting",
    Self::Delayed(_) => "delayed",
    Self::Out(_) => "out",
    Self::Ended(_) => "ended",
});
cases!(Standing {
    Self::Chosen => "chosen",
    Self::Ready => "ready",
    Self::TooSlow => "too slow",
    Self::InReserve => "in reserve",
    Self::Quota(..) => "quota",
    Self::Shut(_) => "shut",
    Self::Busy => "busy",
    Self::TooLarge(_) => "too large",
    Self::Excluded => "excluded",
});

/// What was seen in the traces.
#[derive(Default)]
struct Seen(BTreeSet<String>);

impl Seen {
    fn see(&mut self, case: &impl Cases) {
        self.0.insert(case.case().to_owned());
    }

    fn told(&mut self, input: &Input) {
        self.see(input);
        if let Input::Report { outcome, .. } = input {
            self.see(&outcome.class);
            self.see(&outcome.spent);
        }
    }

    fn said(&mut self, out: &Value) {
        for fault in list(out, "faults") {
            self.0.insert(format!("fault {}", fault["code"].as_str().expect("a code")));
        }
        if let Some(code) = out["error"].as_str() {
            self.0.insert(format!("error {code}"));
        }
        for decision in list(out, "decisions") {
            let decision: Decision = read(decision);
            self.see(&decision);
            if let Decision::End { reason, .. } = decision {
                self.see(&reason);
                if let EndReason::Refused { why, .. } = reason {
                    self.see(&why);
                }
            }
        }
        for event in list(out, "events") {
            let name = event.as_object().and_then(|event| event.keys().next()).expect("an event has a name");
            let again = serde_json::to_value(read::<Event>(event)).expect("it can be written");
            assert_eq!(&again, event, "it reads what it writes");
            self.0.insert(format!("Event {name}"));
            let kind = Event::KINDS.iter().find(|kind| kind.name == name).expect("every event is in the table");
            let listed: BTreeSet<&str> = kind.fields.iter().map(|field| field.name).collect();
            let written: BTreeSet<&str> =
                event[name].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
            assert_eq!(listed, written, "the fields of {name}");
        }
        if let Some(wakeup) = out.get("wakeup") {
            self.see(&read::<Wakeup>(wakeup).reason);
        }
        if let Some(explanation) = out.get("explanation").filter(|explanation| !explanation.is_null()) {
            let explanation: Explanation = read(explanation);
            self.see(&explanation.phase);
            explanation.endpoints.iter().for_each(|view| self.see(&view.standing));
        }
    }
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    T::deserialize(value).unwrap_or_else(|error| panic!("{value}: {error}"))
}

/// All that must be seen.
fn all() -> BTreeSet<String> {
    fn of<T: Cases>() -> impl Iterator<Item = String> {
        T::ALL.iter().map(|case| (*case).to_owned())
    }
    let cases = of::<Input>()
        .chain(of::<Decision>())
        .chain(of::<EndReason>())
        .chain(of::<Refusal>())
        .chain(of::<OutcomeClass>())
        .chain(of::<Spent>())
        .chain(of::<WakeReason>())
        .chain(of::<Phase>())
        .chain(of::<Standing>());
    let faults = FAULT_CODES.iter().map(|code| format!("fault {code}"));
    let errors = InputError::CODES.iter().chain(SnapshotError::CODES).map(|code| format!("error {code}"));
    let events = Event::KINDS.iter().map(|kind| format!("Event {}", kind.name));
    cases.chain(faults).chain(errors).chain(events).collect()
}

#[test]
fn the_traces_show_every_input_decision_class_event_and_code() {
    let mut seen = Seen::default();
    for trace in super::traces() {
        for step in list(&trace.document, "steps") {
            if let Some(input) = step.get("input") {
                seen.told(&read(input));
            }
        }
        super::replay(&trace).iter().for_each(|out| seen.said(out));
    }
    let all = all();
    let missing: Vec<String> = all.difference(&seen.0).cloned().collect();
    assert!(missing.is_empty(), "no trace shows: {}", missing.join(", "));
    let unknown: Vec<&String> = seen.0.difference(&all).collect();
    assert!(unknown.is_empty(), "nobody lists: {unknown:?}");
}
