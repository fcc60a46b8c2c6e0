//! Enumerations as numbers, and numbers as what they mean.

use std::time::Duration;

use sluicegate::{
    AttemptId, CallId, EndReason, InputError, ModelId, Outcome, OutcomeClass, Quota, Refusal, Spent, Timestamp,
    WakeReason,
};
use wasm_bindgen::prelude::wasm_bindgen;

/// What does not exist, where a number stands for something that may not.
pub(crate) const NONE: f64 = -1.0;

/// Every class, at the place that is its number.
const CLASSES: [(OutcomeClass, &str); 15] = [
    (OutcomeClass::Success, "success"),
    (OutcomeClass::Throttled(Quota::Requests), "throttled_requests"),
    (OutcomeClass::Throttled(Quota::Tokens), "throttled_tokens"),
    (OutcomeClass::Throttled(Quota::Day), "throttled_day"),
    (OutcomeClass::Throttled(Quota::Unknown), "throttled_unknown"),
    (OutcomeClass::Overloaded, "overloaded"),
    (OutcomeClass::Unavailable, "unavailable"),
    (OutcomeClass::NotReady, "not_ready"),
    (OutcomeClass::TimedOut, "timed_out"),
    (OutcomeClass::ModelError, "model_error"),
    (OutcomeClass::StreamBroken, "stream_broken"),
    (OutcomeClass::StreamBrokenDelivered, "stream_broken_delivered"),
    (OutcomeClass::Refused, "refused"),
    (OutcomeClass::Unusable, "unusable"),
    (OutcomeClass::Cancelled, "cancelled"),
];

const QUOTAS: [(Quota, &str); 4] =
    [(Quota::Requests, "requests"), (Quota::Tokens, "tokens"), (Quota::Day, "day"), (Quota::Unknown, "unknown")];

const WAKE_REASONS: [(WakeReason, &str); 6] = [
    (WakeReason::Undrained, "undrained"),
    (WakeReason::Start, "start"),
    (WakeReason::Retry, "retry"),
    (WakeReason::Deadline, "deadline"),
    (WakeReason::Hedge, "hedge"),
    (WakeReason::Lease, "lease"),
];

const REFUSALS: [&str; 5] = ["deadline", "too_large", "queue_full", "target_wait", "no_endpoint"];

/// The names behind the numbers, a line for each list (classes, quotas, refusals, wake reasons, input errors): what the package's own lists are held against.
#[must_use]
#[wasm_bindgen]
pub fn names() -> String {
    [
        CLASSES.map(|(_, name)| name).join(" "),
        QUOTAS.map(|(_, name)| name).join(" "),
        REFUSALS.join(" "),
        WAKE_REASONS.map(|(_, name)| name).join(" "),
        InputError::CODES.join(" "),
    ]
    .join("\n")
}

fn place<T: PartialEq, const N: usize>(list: &[(T, &str); N], value: &T) -> u32 {
    list.iter().position(|(known, _)| known == value).and_then(|index| u32::try_from(index).ok()).unwrap_or(u32::MAX)
}

fn at<T: Copy, const N: usize>(list: &[(T, &str); N], place: u32) -> Option<T> {
    list.get(usize::try_from(place).ok()?).map(|(value, _)| *value)
}

pub(crate) fn class_number(class: OutcomeClass) -> f64 {
    f64::from(place(&CLASSES, &class))
}

pub(crate) fn class(number: u32) -> OutcomeClass {
    at(&CLASSES, number).unwrap_or(OutcomeClass::Refused)
}

pub(crate) fn quota_number(quota: Quota) -> f64 {
    f64::from(place(&QUOTAS, &quota))
}

pub(crate) fn quota(number: u32) -> Quota {
    at(&QUOTAS, number).unwrap_or(Quota::Unknown)
}

pub(crate) fn wake_reason(reason: WakeReason) -> u32 {
    place(&WAKE_REASONS, &reason)
}

/// A number that JavaScript has checked, or clamped if it has not.
pub(crate) const fn whole(number: f64) -> u64 {
    number as u64
}

/// JavaScript reads numbers up to 2^53 exactly, and none in a policy or a trace is larger.
pub(crate) const fn number(whole: u64) -> f64 {
    whole as f64
}

pub(crate) fn optional(number: f64) -> Option<u64> {
    (number >= 0.0).then_some(whole(number))
}

pub(crate) fn small(number: f64) -> Option<u32> {
    optional(number).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

pub(crate) fn number_or_none(value: Option<u64>) -> f64 {
    value.map_or(NONE, number)
}

pub(crate) const fn time(micros: f64) -> Timestamp {
    Timestamp::from_micros(whole(micros))
}

pub(crate) const fn micros(time: Timestamp) -> f64 {
    number(time.as_micros())
}

pub(crate) const fn duration(micros: f64) -> Duration {
    Duration::from_micros(whole(micros))
}

pub(crate) fn length(duration: Duration) -> f64 {
    number(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

pub(crate) const fn call_id(id: f64) -> CallId {
    CallId(whole(id))
}

pub(crate) const fn attempt_id(id: f64) -> AttemptId {
    AttemptId(whole(id))
}

pub(crate) fn model_id(number: u32) -> ModelId {
    ModelId(u16::try_from(number).unwrap_or(u16::MAX))
}

/// What an attempt spent: a number of tokens, or one of these.
const UNKNOWN: f64 = -1.0;
const NOTHING: f64 = -2.0;
const NEVER_SENT: f64 = -3.0;

fn spent_number(spent: Spent) -> f64 {
    match spent {
        Spent::Tokens(tokens) => number(tokens),
        Spent::Unknown => UNKNOWN,
        Spent::Nothing => NOTHING,
        Spent::NeverSent => NEVER_SENT,
    }
}

/// Any other number means what the class normally costs.
pub(crate) fn spent(number: f64, class: OutcomeClass) -> Spent {
    if number >= 0.0 {
        Spent::Tokens(whole(number))
    } else if number == UNKNOWN {
        Spent::Unknown
    } else if number == NOTHING {
        Spent::Nothing
    } else if number == NEVER_SENT {
        Spent::NeverSent
    } else {
        Outcome::of(class).spent
    }
}

pub(crate) fn outcome(number: u32, cost: f64, retry_after: f64, output_tokens: f64, truncated: bool) -> Outcome {
    let class = class(number);
    Outcome {
        spent: spent(cost, class),
        retry_after: optional(retry_after).map(Duration::from_micros),
        output_tokens: small(output_tokens),
        truncated,
        ..Outcome::of(class)
    }
}

/// The numbers that [`outcome`] reads.
pub(crate) fn outcome_numbers(outcome: &Outcome) -> Vec<f64> {
    vec![
        class_number(outcome.class),
        spent_number(outcome.spent),
        outcome.retry_after.map_or(NONE, length),
        outcome.output_tokens.map_or(NONE, f64::from),
        f64::from(u8::from(outcome.truncated)),
    ]
}

/// 0 for no error, else its place among the codes, counted from 1.
pub(crate) fn input_error(error: InputError) -> u32 {
    let place = InputError::CODES.iter().position(|code| *code == error.code());
    place.and_then(|place| u32::try_from(place).ok()).map_or(u32::MAX, |place| place + 1)
}

/// A few numbers that JavaScript reads out of the module's memory, so that nothing has to be allocated for an answer.
#[derive(Debug)]
pub(crate) struct Slots(Box<[f64; 4]>);

impl Slots {
    pub(crate) fn new() -> Self {
        Self(Box::new([NONE; 4]))
    }

    pub(crate) fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    pub(crate) fn set(&mut self, numbers: [f64; 4]) {
        *self.0 = numbers;
    }

    /// How the call ended: what ended it, then of a refusal why, when to come back and the limit; of a failure its class.
    pub(crate) fn end(&mut self, reason: EndReason) {
        self.set(match reason {
            EndReason::Answered => [0.0, NONE, NONE, NONE],
            EndReason::Refused { why, retry_at } => {
                let (why, limit) = match why {
                    Refusal::Deadline => (0.0, NONE),
                    Refusal::TooLarge { limit } => (1.0, number(limit)),
                    Refusal::QueueFull => (2.0, NONE),
                    Refusal::TargetWait => (3.0, NONE),
                    Refusal::NoEndpoint => (4.0, NONE),
                };
                [1.0, why, retry_at.map_or(NONE, micros), limit]
            }
            EndReason::Expired => [2.0, NONE, NONE, NONE],
            EndReason::Cancelled => [3.0, NONE, NONE, NONE],
            EndReason::Failed { class } => [4.0, class_number(class), NONE, NONE],
        });
    }
}
