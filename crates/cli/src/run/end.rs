//! From what happened to the exit code and the last words.

use std::path::Path;

use aws_types::SdkConfig;
use sluicegate::{EndReason, EndpointId, Refusal};
use sluicegate_bedrock::aws_sdk::CallError;

use super::Context;
use super::pump::Ended;
use super::stop::Stop;
use super::summary::Tally;
use super::writer::ErrorObject;
use crate::exit::{Code, Failure};
use crate::policy_check::{grouped, tell};
use crate::service::{CREDENTIALS_REMEDY, url};

/// The exit code of a run that came to the end of its input.
pub(crate) const fn code(tally: &Tally) -> Code {
    if tally.faulty > 0 {
        Code::FaultyLines
    } else if tally.failed > 0 || tally.failed_before > 0 {
        Code::SomeFailed
    } else {
        Code::Done
    }
}

/// A failure that stands for why a run stopped.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// Where, if anywhere.
    pub(crate) endpoint: Option<EndpointId>,
    /// The service's word for it.
    pub(crate) text: String,
}

/// The exit code, after the message that goes with it.
pub(crate) fn judge(ended: Ended, context: &Context, config: &SdkConfig, output: &Path) -> Result<Code, Failure> {
    if let Some(failure) = ended.written.failure {
        let lost = match ended.written.lost {
            0 => String::new(),
            1 => "; 1 answer could not be kept, and its record will be sent again".to_owned(),
            lost => format!("; {} answers could not be kept, and their records will be sent again", grouped(lost)),
        };
        return Err(Failure { what: format!("{}{lost}", failure.what), ..failure });
    }
    let trouble = || match &ended.trouble {
        Some(Trouble { endpoint, text }) => format!("{}: {text}", place(context, config, *endpoint)),
        None => "no endpoint answers".to_owned(),
    };
    match ended.stop {
        Some(Stop::Broken(failure)) => Err(failure),
        Some(Stop::Credentials) => {
            Err(Failure::new(Code::Credentials, format!("not let in at {}", trouble())).remedy(CREDENTIALS_REMEDY))
        }
        Some(Stop::Unreachable) => {
            let mut what = format!("nothing can be sent: {}", trouble());
            let names: Vec<&str> =
                context.loaded.policy.endpoints().iter().map(|endpoint| endpoint.name.as_str()).collect();
            what.push_str(&format!("\n  endpoints tried: {}", names.join(", ")));
            Err(Failure::new(Code::Unreachable, what).remedy(
                "check the network, AWS_ENDPOINT_URL_BEDROCK_RUNTIME and the policy's Regions and targets; then run the \
                 same command again",
            ))
        }
        Some(Stop::Interrupted) => {
            tell("interrupted; run the same command again and it goes on from here");
            Ok(Code::Interrupted)
        }
        // The writer's failure has been told above.
        Some(Stop::CannotWrite) => Ok(Code::CannotWrite),
        None => {
            let errors = ended.tally.failed + ended.tally.failed_before;
            if errors > 0 {
                tell(format!(
                    "{} records in {} are errors; to send them again, delete their lines and run the same command",
                    grouped(errors),
                    output.display()
                ));
            }
            Ok(code(&ended.tally))
        }
    }
}

fn place(context: &Context, config: &SdkConfig, id: Option<EndpointId>) -> String {
    match id.and_then(|id| context.loaded.policy.endpoint(id)) {
        Some(endpoint) => format!("endpoint {} ({})", endpoint.name, url(config, &endpoint.region)),
        None => "every endpoint".to_owned(),
    }
}

/// A failed attempt in one line.
pub(crate) fn in_words(error: &CallError) -> String {
    match error {
        CallError::Failed { code, status, message, .. } => {
            let status = status.map_or_else(String::new, |status| format!(" ({status})"));
            let code = code.as_ref().map_or_else(String::new, |code| format!("{code}{status}: "));
            format!("{code}{message}")
        }
        other => other.to_string(),
    }
}

/// An unanswered call as the output tells it.
pub(crate) fn error_object(context: &Context, error: &CallError) -> ErrorObject {
    let (error_code, endpoint, attempts) = match error {
        CallError::Failed { code, verdict, endpoint, attempts, reason, .. } => {
            let code = match reason {
                EndReason::Failed { .. } => code.clone().unwrap_or_else(|| (*verdict).to_owned()),
                other => word(other).to_owned(),
            };
            (code, context.loaded.policy.endpoint(*endpoint), *attempts)
        }
        CallError::NotSent { reason } => (word(reason).to_owned(), None, 0),
        CallError::Body(_) => ("InvalidBody".to_owned(), None, 0),
        CallError::UnknownModel(_) => ("UnknownModel".to_owned(), None, 0),
    };
    let error_message = match error {
        CallError::Failed { reason: EndReason::Failed { .. }, message, .. } => message.clone(),
        CallError::NotSent { reason: EndReason::Refused { why: Refusal::TooLarge { limit }, .. } } => format!(
            "larger than any quota pool of its model: it needs more than the {limit} tokens that the largest holds; \
             lower its maxTokens, shorten it, or raise the pool's limit"
        ),
        other => other.to_string(),
    };
    ErrorObject { error_code, error_message, endpoint: endpoint.map(|endpoint| endpoint.name.clone()), attempts }
}

/// Our own word for an end that the service did not name.
const fn word(reason: &EndReason) -> &'static str {
    match reason {
        EndReason::Refused { why: Refusal::TooLarge { .. }, .. } => "TooLarge",
        EndReason::Refused { why: Refusal::Deadline, .. } | EndReason::Expired => "DeadlineExceeded",
        EndReason::Refused { why: Refusal::QueueFull, .. } => "QueueFull",
        EndReason::Refused { why: Refusal::TargetWait, .. } => "TargetWait",
        EndReason::Refused { why: Refusal::NoEndpoint, .. } => "NoEndpoint",
        EndReason::Cancelled => "Cancelled",
        EndReason::Answered | EndReason::Failed { .. } => "Failed",
    }
}
