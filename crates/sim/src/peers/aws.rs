//! How the AWS SDKs read a reply, by botocore 1.44.5 and what it did against a fake Bedrock.

use crate::client::{ClientReply, End};
use crate::error::ErrorKind;
use crate::run::is_throttling;

/// What a reply is to an AWS SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsClass {
    /// The answer.
    Success,
    /// A throttling error, by its name.
    Throttling,
    /// `ModelNotReadyException`: modelled as retryable but not as throttling, so that it is retried as a transient one.
    NotReady,
    /// 500, 502, 503, 504, or a connection that broke.
    Transient,
    /// Anything else: 408, 424 and 529 among them, and every error inside a stream.
    Final,
}

impl AwsClass {
    /// What a reply is.
    #[must_use]
    pub const fn of(reply: &ClientReply) -> Self {
        match reply {
            ClientReply::Answer { .. } => Self::Success,
            ClientReply::Cut => Self::Transient,
            ClientReply::Error { delivered: true, .. } | ClientReply::Aborted { .. } => Self::Final,
            ClientReply::Error { error, .. } if is_throttling(*error) => Self::Throttling,
            ClientReply::Error { error: ErrorKind::ModelNotReady, .. } => Self::NotReady,
            ClientReply::Error { error, .. } => match error.status() {
                500 | 502 | 503 | 504 => Self::Transient,
                _ => Self::Final,
            },
        }
    }
}

/// How a call ends whose last reply this is.
pub(super) const fn end_of(reply: &ClientReply) -> End {
    match reply {
        ClientReply::Answer { .. } => End::Answered,
        ClientReply::Cut => End::Failed("connection cut"),
        ClientReply::Aborted { .. } => End::GaveUp,
        ClientReply::Error { error, .. } if is_throttling(*error) => End::Throttled,
        ClientReply::Error { error, .. } => End::Failed(error.exception()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows measured with botocore 1.44.5: which replies it tries again.
    #[test]
    fn replies_are_read_as_botocore_reads_them() {
        let class =
            |error| AwsClass::of(&ClientReply::Error { error, retry_after: None, delivered: false, charged: false });
        for error in [ErrorKind::RequestsPerMinute, ErrorKind::TokensPerDay, ErrorKind::ModelOverloaded] {
            assert_eq!(class(error), AwsClass::Throttling);
        }
        for error in [ErrorKind::TooManyConnections, ErrorKind::InternalServer, ErrorKind::UnableToProcess] {
            assert_eq!(class(error), AwsClass::Transient);
        }
        assert_eq!(class(ErrorKind::ModelNotReady), AwsClass::NotReady);
        for error in [
            ErrorKind::ModelTimeout,
            ErrorKind::ModelError,
            ErrorKind::Overloaded,
            ErrorKind::ServiceQuotaExceeded,
            ErrorKind::Validation,
        ] {
            assert_eq!(class(error), AwsClass::Final);
        }
        let in_stream = ClientReply::Error {
            error: ErrorKind::RequestsPerMinute,
            retry_after: None,
            delivered: true,
            charged: true,
        };
        assert_eq!(AwsClass::of(&in_stream), AwsClass::Final);
    }
}
