//! What can happen to an engine.

use std::time::Duration;

use sluicegate::{Call, CallId, LabelId, ModelId, Outcome, OutcomeClass, Quota, Spent, TenantId};

use super::Bytes;

/// What happens, in order.
pub(crate) type Life = Vec<Op>;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Its name and its deadline come when it is submitted.
    Submit {
        call: Call,
        within: Option<Duration>,
    },
    Report {
        which: usize,
        outcome: Outcome,
    },
    /// So many such calls come in one after the other, and each time one attempt ends so much later.
    Serve {
        rounds: u8,
        call: Call,
        took: Duration,
        outcome: Outcome,
    },
    Cancel {
        which: usize,
    },
    Jump {
        by: Duration,
    },
    Back {
        by: Duration,
    },
    NextWake,
    Misuse,
    Reconfigure {
        which: usize,
    },
    /// The engine is saved, and another goes on from that so much later. Whether it is told how much is open.
    Restart {
        asleep: Duration,
        told: bool,
    },
}

impl Op {
    pub(crate) fn list(bytes: &mut Bytes<'_>) -> Life {
        let mut life = Vec::new();
        while !bytes.is_empty() {
            life.push(Self::read(bytes));
        }
        life
    }

    pub(crate) fn read(bytes: &mut Bytes<'_>) -> Self {
        match bytes.byte() % 64 {
            0..=19 => {
                let (call, within) = call(bytes);
                Self::Submit { call, within }
            }
            20..=37 => Self::Report { which: usize::from(bytes.byte()), outcome: outcome(bytes) },
            38..=39 => Self::Cancel { which: usize::from(bytes.byte()) },
            40 => serve(bytes),
            41..=48 => Self::Jump { by: millis(bytes.below(3_000)) },
            49 => Self::Jump { by: millis(bytes.mixed(200_000)) },
            50 => Self::Jump { by: Duration::from_secs(600 * bytes.below(300)) },
            51 => Self::Jump { by: Duration::from_micros(bytes.below(256)) },
            52..=53 => Self::Back { by: millis(bytes.mixed(5_000)) },
            54..=60 => Self::NextWake,
            61 => Self::Misuse,
            62 => Self::Reconfigure { which: usize::from(bytes.byte()) },
            _ => {
                let flags = bytes.byte();
                // Most bytes that end up here change the policy instead, since a restart ends all that is under way.
                if flags < 160 {
                    return Self::Reconfigure { which: usize::from(flags) };
                }
                Self::Restart { asleep: millis(bytes.below(200_000)), told: flags & 1 == 0 }
            }
        }
    }

    /// It moves time by no more than days.
    pub(crate) fn is_sober(&self) -> bool {
        match self {
            Self::Jump { by } => *by < Duration::from_secs(10 * 24 * 60 * 60),
            Self::Report { outcome, .. } | Self::Serve { outcome, .. } => {
                outcome.retry_after.is_none_or(|wait| wait < Duration::from_secs(600))
            }
            _ => true,
        }
    }

    pub(crate) const fn throttles(&self) -> bool {
        let (Self::Report { outcome, .. } | Self::Serve { outcome, .. }) = self else { return false };
        matches!(outcome.class, OutcomeClass::Throttled(_))
    }

    pub(crate) const fn goes_back(&self) -> bool {
        matches!(self, Self::Back { .. })
    }
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Mostly few rounds, now and then as many as it takes to know the service times and lengths of answers well.
fn serve(bytes: &mut Bytes<'_>) -> Op {
    let (many, took) = (u16::from(bytes.byte()), millis(bytes.below(1_000)));
    let (call, _) = call(bytes);
    let call = if call.max_tokens.is_none() { call.max_tokens(call.tokens.min(900) as u32) } else { call };
    let outcome = outcome(bytes);
    let outcome =
        if outcome.output_tokens.is_none() { outcome.output_tokens(u32::from(bytes.byte())) } else { outcome };
    Op::Serve { rounds: (many * many / 256) as u8, call, took, outcome }
}

fn call(bytes: &mut Bytes<'_>) -> (Call, Option<Duration>) {
    let (flags, more) = (bytes.byte(), bytes.byte());
    let tokens = if more & 3 == 2 { bytes.mixed(70_000) } else { bytes.below(9_000) };
    let within = if flags & 192 == 192 { None } else { Some(millis(bytes.mixed(120_000))) };
    let mut call = Call::new(CallId(0), ModelId(u16::from(flags & 1)), tokens)
        // Three that policies name and one that none does.
        .tenant(TenantId(if flags & 14 == 14 { u32::MAX } else { u32::from(flags >> 1 & 3) }))
        .priority(if flags & 48 == 48 { u8::MAX } else { flags >> 4 & 3 });
    if more & 3 == 3 {
        call = call.affinity(bytes.below(3), bytes.mixed(8_000) as u32);
    }
    if more & 12 == 12 {
        call = call.max_tokens(bytes.mixed(4_000) as u32);
    }
    if more & 48 == 48 {
        call = call.fingerprint(bytes.below(4));
    }
    if more & 192 == 192 {
        call = call.label(LabelId(bytes.mixed(3) as u16));
    }
    if more & 192 == 64 {
        call = call.lone();
    }
    (call, within)
}

fn outcome(bytes: &mut Bytes<'_>) -> Outcome {
    let class = match bytes.byte() % 22 {
        0..=6 => OutcomeClass::Success,
        7 => OutcomeClass::Throttled(Quota::Requests),
        8 => OutcomeClass::Throttled(Quota::Tokens),
        9 => OutcomeClass::Throttled(Quota::Day),
        10 => OutcomeClass::Throttled(Quota::Unknown),
        11..=12 => OutcomeClass::Overloaded,
        13 => OutcomeClass::Unavailable,
        14 => OutcomeClass::NotReady,
        15 => OutcomeClass::TimedOut,
        16 => OutcomeClass::ModelError,
        17 => OutcomeClass::StreamBroken,
        18 => OutcomeClass::StreamBrokenDelivered,
        19 => OutcomeClass::Refused,
        20 => OutcomeClass::Unusable,
        _ => OutcomeClass::Cancelled,
    };
    let tag = bytes.byte();
    let spent = match tag % 8 {
        0..=4 => Spent::Tokens(bytes.mixed(20_000)),
        5 => Spent::Unknown,
        6 => Spent::Nothing,
        _ => Spent::NeverSent,
    };
    let mut outcome = Outcome { spent, ..Outcome::of(class) };
    if tag > 230 {
        outcome = outcome.retry_after(millis(bytes.mixed(20_000)));
    }
    if tag & 96 == 96 {
        outcome = outcome.output_tokens(bytes.mixed(4_000) as u32);
    }
    if tag & 24 == 24 { outcome.truncated() } else { outcome }
}
