//! Why a run stops before its input is over.

use sluicegate::{EndReason, OutcomeClass, Refusal};
use sluicegate_bedrock::aws_sdk::CallError;
use sluicegate_bedrock::reason;

use crate::exit::Failure;

/// A reason to take no more records. What is out comes home first.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A signal.
    Interrupted,
    /// The output cannot be written; the writer knows why.
    CannotWrite,
    /// No endpoint can be reached, or none serves the model.
    Unreachable,
    /// Nobody with these credentials is let in.
    Credentials,
    /// The input failed, or a task of ours did.
    Broken(Failure),
}

impl Stop {
    /// The one of two that says more about what has to be done.
    pub(crate) fn or(self, other: Self) -> Self {
        if other.weight() > self.weight() { other } else { self }
    }

    /// The first words about it.
    pub(crate) const fn what(&self) -> &'static str {
        match self {
            Self::Interrupted => "stopping",
            Self::CannotWrite => "the output cannot be written",
            Self::Unreachable => "no endpoint answers",
            Self::Credentials => "the credentials are not accepted",
            Self::Broken(_) => "the run cannot go on",
        }
    }

    const fn weight(&self) -> u8 {
        match self {
            Self::Interrupted => 0,
            Self::Unreachable => 1,
            Self::Credentials => 2,
            Self::CannotWrite => 3,
            Self::Broken(_) => 4,
        }
    }
}

/// What an unanswered call means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The call failed; the others may do better.
    Failed,
    /// The endpoint gave no sign of serving anything. As long as none did, this is no one record's fault.
    NoSign,
    /// No endpoint is left that could serve the model.
    NoEndpoint,
    /// The credentials do not do.
    Credentials,
    /// It was called off and may be sent again.
    CalledOff,
}

/// Says what a failure means; `alive` is whether any call has been served so far.
pub(crate) fn meaning(error: &CallError, alive: bool) -> Meaning {
    let reason = match error {
        CallError::Failed { verdict: reason::CREDENTIALS, .. } => return Meaning::Credentials,
        CallError::Failed { verdict: reason::ACCESS_DENIED | reason::MODEL_ACCESS, .. } if !alive => {
            return Meaning::Credentials;
        }
        CallError::Failed { reason, .. } | CallError::NotSent { reason } => reason,
        CallError::Body(_) | CallError::UnknownModel(_) => return Meaning::Failed,
    };
    match (error, reason) {
        (_, EndReason::Cancelled) => Meaning::CalledOff,
        (CallError::NotSent { .. }, EndReason::Refused { why: Refusal::NoEndpoint, .. }) => Meaning::NoEndpoint,
        (CallError::Failed { class: OutcomeClass::Unavailable | OutcomeClass::Unusable, .. }, _) if !alive => {
            Meaning::NoSign
        }
        _ => Meaning::Failed,
    }
}

#[cfg(test)]
mod tests {
    use sluicegate::EndpointId;

    use super::*;

    fn failed(class: OutcomeClass, verdict: &'static str) -> CallError {
        CallError::Failed {
            reason: EndReason::Failed { class },
            endpoint: EndpointId(0),
            code: None,
            status: None,
            message: String::new(),
            class,
            verdict,
            attempts: 1,
        }
    }

    #[test]
    fn a_failure_is_the_records_own_once_something_was_served() {
        for (error, before, after) in [
            (failed(OutcomeClass::Refused, reason::CREDENTIALS), Meaning::Credentials, Meaning::Credentials),
            (failed(OutcomeClass::Unusable, reason::ACCESS_DENIED), Meaning::Credentials, Meaning::Failed),
            (failed(OutcomeClass::Unusable, reason::NOT_FOUND), Meaning::NoSign, Meaning::Failed),
            (failed(OutcomeClass::Unavailable, reason::CONNECT), Meaning::NoSign, Meaning::Failed),
            (failed(OutcomeClass::Refused, reason::VALIDATION), Meaning::Failed, Meaning::Failed),
            (CallError::NotSent { reason: EndReason::Cancelled }, Meaning::CalledOff, Meaning::CalledOff),
            (CallError::NotSent { reason: EndReason::Expired }, Meaning::Failed, Meaning::Failed),
        ] {
            assert_eq!((meaning(&error, false), meaning(&error, true)), (before, after), "{error}");
        }
        let reason = EndReason::Refused { why: Refusal::NoEndpoint, retry_at: None };
        assert_eq!(meaning(&CallError::NotSent { reason }, true), Meaning::NoEndpoint);
    }

    #[test]
    fn the_stop_that_says_more_wins() {
        assert!(matches!(Stop::Unreachable.or(Stop::Credentials), Stop::Credentials));
        assert!(matches!(Stop::Credentials.or(Stop::Interrupted), Stop::Credentials));
    }
}
