//! Every way Amazon Bedrock is known to say no, with its status, its name and the words seen in the wild.
//!
//! Names and statuses follow the `bedrock-runtime` 2023-09-30 API model; the others are listed in the Bedrock user
//! guide, "Troubleshooting Amazon Bedrock API Error Codes". Texts come from public issue threads and AWS pages named at
//! [`ErrorKind::message`].

use serde::{Deserialize, Serialize};

/// One error reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// 429: requests per minute used up.
    RequestsPerMinute,
    /// 429: requests per minute used up, in the other wording.
    RequestRate,
    /// 429: tokens per minute used up.
    TokensPerMinute,
    /// 429: tokens per day used up.
    TokensPerDay,
    /// 429 `ThrottlingException` whose cause is the model's load, not the caller's quota.
    ModelOverloaded,
    /// 429: the model is being loaded.
    ModelNotReady,
    /// 503: too many connections.
    TooManyConnections,
    /// 503: unable to process the request.
    UnableToProcess,
    /// 503: temporarily unavailable.
    TemporarilyUnavailable,
    /// 529 `overloaded_error`, as Messages-style APIs answer; no SDK models it.
    Overloaded,
    /// 408: the model took too long; the work was probably charged.
    ModelTimeout,
    /// 424 with `originalStatusCode` and `resourceName`: the model failed.
    ModelError,
    /// 424 with `originalStatusCode` and `originalMessage`: the stream broke.
    ModelStreamError,
    /// 500: an error inside the service.
    InternalServer,
    /// 400: malformed request.
    Validation,
    /// 400: the model id can only be called through an inference profile.
    NeedsProfile,
    /// 400: a service quota is exceeded; InvokeModel only.
    ServiceQuotaExceeded,
    /// 403: no permission.
    AccessDenied,
    /// 403: no credentials at all.
    MissingAuthenticationToken,
    /// 403: credentials nobody knows.
    UnrecognizedClient,
    /// 403: an unknown access key id or bearer token.
    InvalidClientTokenId,
    /// 403: the marketplace agreement is still being made.
    AgreementPending,
    /// 400: a signature with missing parts.
    IncompleteSignature,
    /// 400: a signature that is too old.
    RequestExpired,
    /// 404: no such model or profile in this Region.
    ResourceNotFound,
    /// 404: the use-case form was not filled in.
    UseCaseFormMissing,
    /// 404: no such operation.
    UnknownOperation,
}

/// Why an attempt was refused, as the ledger counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalClass {
    /// The caller's quota.
    Quota,
    /// The service's capacity.
    Capacity,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// Every kind, for tests and for documentation.
    pub const ALL: &'static [Self] = &[
        Self::RequestsPerMinute,
        Self::RequestRate,
        Self::TokensPerMinute,
        Self::TokensPerDay,
        Self::ModelOverloaded,
        Self::ModelNotReady,
        Self::TooManyConnections,
        Self::UnableToProcess,
        Self::TemporarilyUnavailable,
        Self::Overloaded,
        Self::ModelTimeout,
        Self::ModelError,
        Self::ModelStreamError,
        Self::InternalServer,
        Self::Validation,
        Self::NeedsProfile,
        Self::ServiceQuotaExceeded,
        Self::AccessDenied,
        Self::MissingAuthenticationToken,
        Self::UnrecognizedClient,
        Self::InvalidClientTokenId,
        Self::AgreementPending,
        Self::IncompleteSignature,
        Self::RequestExpired,
        Self::ResourceNotFound,
        Self::UseCaseFormMissing,
        Self::UnknownOperation,
    ];

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Validation
            | Self::NeedsProfile
            | Self::ServiceQuotaExceeded
            | Self::IncompleteSignature
            | Self::RequestExpired => 400,
            Self::AccessDenied
            | Self::MissingAuthenticationToken
            | Self::UnrecognizedClient
            | Self::InvalidClientTokenId
            | Self::AgreementPending => 403,
            Self::ResourceNotFound | Self::UseCaseFormMissing | Self::UnknownOperation => 404,
            Self::ModelTimeout => 408,
            Self::ModelError | Self::ModelStreamError => 424,
            Self::RequestsPerMinute
            | Self::RequestRate
            | Self::TokensPerMinute
            | Self::TokensPerDay
            | Self::ModelOverloaded
            | Self::ModelNotReady => 429,
            Self::InternalServer => 500,
            Self::TooManyConnections | Self::UnableToProcess | Self::TemporarilyUnavailable => 503,
            Self::Overloaded => 529,
        }
    }

    /// The name in `x-amzn-ErrorType`, or the `error.type` of the body for 529.
    #[must_use]
    pub const fn exception(self) -> &'static str {
        match self {
            Self::RequestsPerMinute
            | Self::RequestRate
            | Self::TokensPerMinute
            | Self::TokensPerDay
            | Self::ModelOverloaded => "ThrottlingException",
            Self::ModelNotReady => "ModelNotReadyException",
            Self::TooManyConnections | Self::UnableToProcess | Self::TemporarilyUnavailable => {
                "ServiceUnavailableException"
            }
            Self::Overloaded => "overloaded_error",
            Self::ModelTimeout => "ModelTimeoutException",
            Self::ModelError => "ModelErrorException",
            Self::ModelStreamError => "ModelStreamErrorException",
            Self::InternalServer => "InternalServerException",
            Self::Validation | Self::NeedsProfile => "ValidationException",
            Self::ServiceQuotaExceeded => "ServiceQuotaExceededException",
            Self::AccessDenied => "AccessDeniedException",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::InvalidClientTokenId => "InvalidClientTokenId",
            Self::AgreementPending => "MPAgreementBeingCreated",
            Self::IncompleteSignature => "IncompleteSignature",
            Self::RequestExpired => "RequestExpired",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::UseCaseFormMissing => "FTUFormNotFilled",
            Self::UnknownOperation => "UnknownOperationException",
        }
    }

    /// The words of the reply. Where public threads show the real ones these are they: re:Post
    /// bedrock-throttling-error (requests), anthropics/claude-code#1466 (tokens), minorun365/agent-book#29 (day),
    /// anthropics/claude-code#562 (connections), and the AWS Machine Learning blog "Mastering Amazon Bedrock throttling
    /// and service availability" (overloaded, temporarily unavailable).
    #[must_use]
    pub fn message(self, model: &str) -> String {
        let text = match self {
            Self::RequestsPerMinute => "Too many requests, please wait before trying again.",
            Self::RequestRate => "Your request rate is too high. Reduce the frequency of requests.",
            Self::TokensPerMinute => "Too many tokens, please wait before trying again.",
            Self::TokensPerDay => "Too many tokens per day, please wait before trying again.",
            Self::ModelOverloaded => {
                return format!("Model {model} is currently overloaded. Please try again later.");
            }
            Self::ModelNotReady => "Model is not ready for inference. Please try again.",
            Self::TooManyConnections => "Too many connections, please wait before trying again.",
            Self::UnableToProcess => "Bedrock is unable to process your request.",
            Self::TemporarilyUnavailable => "Service temporarily unavailable, please try again.",
            Self::Overloaded => "Overloaded",
            Self::ModelTimeout => "Model has timed out in processing the request. Try your request again.",
            Self::ModelError => "The model failed to process the request.",
            Self::ModelStreamError => "An error occurred while streaming the response. Retry your request.",
            Self::InternalServer => "The system encountered an unexpected error during processing. Try again.",
            Self::Validation => "The provided request is not valid.",
            Self::NeedsProfile => {
                return format!(
                    "Invocation of model ID {model} with on-demand throughput isn't supported. Retry your request \
                     with the ID or ARN of an inference profile that contains this model."
                );
            }
            Self::ServiceQuotaExceeded => "Your request exceeds the service quota for your account.",
            Self::AccessDenied => "You don't have access to the model with the specified model ID.",
            Self::MissingAuthenticationToken => "Missing Authentication Token",
            Self::UnrecognizedClient | Self::InvalidClientTokenId => {
                "The security token included in the request is invalid."
            }
            Self::AgreementPending => "The agreement for this model is still being created. Try again later.",
            Self::IncompleteSignature => "The request signature does not conform to AWS standards.",
            Self::RequestExpired => "The request is no longer valid: its signature has expired.",
            Self::ResourceNotFound => {
                return format!("Could not resolve the foundation model from the provided model identifier: {model}");
            }
            Self::UseCaseFormMissing => "Model use case details have not been submitted for this account.",
            Self::UnknownOperation => "The requested operation is not recognized by the service.",
        };
        text.to_owned()
    }

    /// The `:exception-type` of an event-stream frame: the name with a small first letter. A kind the stream has no
    /// frame for travels as a neighbour that it has.
    #[must_use]
    pub const fn stream_exception(self) -> &'static str {
        match self.status() {
            400 | 403 | 404 => "validationException",
            408 => "modelTimeoutException",
            424 => "modelStreamErrorException",
            429 => "throttlingException",
            503 | 529 => "serviceUnavailableException",
            _ => "internalServerException",
        }
    }

    /// Whose fault it is, as the ledger counts it.
    #[must_use]
    pub const fn class(self) -> RefusalClass {
        match self {
            Self::RequestsPerMinute | Self::RequestRate | Self::TokensPerMinute | Self::TokensPerDay => {
                RefusalClass::Quota
            }
            Self::ModelOverloaded
            | Self::ModelNotReady
            | Self::TooManyConnections
            | Self::UnableToProcess
            | Self::TemporarilyUnavailable
            | Self::Overloaded => RefusalClass::Capacity,
            _ => RefusalClass::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_an_error_status_and_words() {
        for kind in ErrorKind::ALL {
            assert!((400..600).contains(&kind.status()), "{kind:?}");
            assert!(!kind.message("m").is_empty() && !kind.exception().is_empty());
            assert!(kind.stream_exception().chars().next().is_some_and(char::is_lowercase));
        }
        let mut all = ErrorKind::ALL.to_vec();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn names_in_files_are_snake_case() {
        assert_eq!(serde_json::to_string(&ErrorKind::TokensPerDay).unwrap(), "\"tokens_per_day\"");
    }
}
