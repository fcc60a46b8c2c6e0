//! What is misuse by the caller, or a document that says what cannot be.

use sluicegate_driver::DeskError;

/// One thing that is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub(crate) struct Fault {
    /// Its stable name, such as `out_of_range`.
    pub(crate) code: String,
    /// The JSON pointer to it.
    pub(crate) pointer: String,
    /// What is wrong and what to write instead.
    pub(crate) message: String,
}

/// A policy that cannot be put in force.
#[derive(Debug, PartialEq, Eq, uniffi::Error)]
pub(crate) enum PolicyError {
    /// Everything that is wrong with it.
    Faulty {
        /// In the order of the document.
        faults: Vec<Fault>,
    },
}

impl std::fmt::Display for PolicyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Faulty { faults } = self;
        let lines: Vec<String> =
            faults.iter().map(|fault| format!("{}: {} [{}]", fault.pointer, fault.message, fault.code)).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl From<&[sluicegate::Fault]> for PolicyError {
    fn from(faults: &[sluicegate::Fault]) -> Self {
        let fault = |fault: &sluicegate::Fault| Fault {
            code: fault.code.to_owned(),
            pointer: fault.pointer.clone(),
            message: fault.message.clone(),
        };
        Self::Faulty { faults: faults.iter().map(fault).collect() }
    }
}

/// Misuse. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Error)]
pub(crate) enum InputError {
    /// A call of this number is already under way; give each its own.
    DuplicateCall {
        /// The call.
        call: u64,
    },
    /// No call of this number is under way.
    UnknownCall {
        /// The call.
        call: u64,
    },
    /// No attempt of this number is out; report each once.
    UnknownAttempt {
        /// The attempt.
        attempt: u64,
    },
    /// The policy has no model of this name, or number.
    UnknownModel {
        /// The model.
        model: String,
    },
    /// The permit is settled already; settle each exactly once.
    PermitSettled,
    /// The gate is closed; open another one.
    Closed,
    /// A number that is out of its range, such as a negative time.
    OutOfRange {
        /// What is, and what its range is.
        what: String,
    },
}

#[uniffi::export]
impl InputError {
    /// The stable name of the error, the same in every language.
    pub(crate) fn code(&self) -> String {
        let code = match self {
            Self::DuplicateCall { .. } => "duplicate_call",
            Self::UnknownCall { .. } => "unknown_call",
            Self::UnknownAttempt { .. } => "unknown_attempt",
            Self::UnknownModel { .. } => "unknown_model",
            Self::PermitSettled => "permit_settled",
            Self::Closed => "closed",
            Self::OutOfRange { .. } => "out_of_range",
        };
        code.to_owned()
    }
}

impl std::fmt::Display for InputError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DuplicateCall { call } => write!(f, "call {call} is already under way; give each call its own id"),
            Self::UnknownCall { call } => write!(f, "no call {call} is under way"),
            Self::UnknownAttempt { attempt } => write!(f, "attempt {attempt} is not out; report each attempt once"),
            Self::UnknownModel { model } => write!(f, "the policy has no endpoint for model {model}"),
            Self::PermitSettled => write!(f, "the permit is settled already; settle each exactly once"),
            Self::Closed => write!(f, "the gate is closed; open another one"),
            Self::OutOfRange { what } => f.write_str(what),
        }
    }
}

impl From<sluicegate::InputError> for InputError {
    fn from(error: sluicegate::InputError) -> Self {
        match error {
            sluicegate::InputError::DuplicateCall(call) => Self::DuplicateCall { call: call.0 },
            sluicegate::InputError::UnknownCall(call) => Self::UnknownCall { call: call.0 },
            sluicegate::InputError::UnknownAttempt(attempt) => Self::UnknownAttempt { attempt: attempt.0 },
            sluicegate::InputError::UnknownModel(model) => Self::UnknownModel { model: format!("number {}", model.0) },
            other => Self::OutOfRange { what: other.to_string() },
        }
    }
}

impl From<DeskError> for InputError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Input(error) => error.into(),
            _ => Self::Closed,
        }
    }
}

/// A text that is no snapshot, or one of a newer version.
#[derive(Debug, PartialEq, Eq, uniffi::Error)]
pub(crate) enum SnapshotError {
    /// It cannot be restored.
    Unreadable {
        /// The stable name of the error.
        code: String,
        /// Why.
        reason: String,
    },
}

impl std::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Unreadable { code, reason } = self;
        write!(f, "{reason} [{code}]")
    }
}

impl From<sluicegate::SnapshotError> for SnapshotError {
    fn from(error: sluicegate::SnapshotError) -> Self {
        Self::Unreadable { code: error.code().to_owned(), reason: error.to_string() }
    }
}
