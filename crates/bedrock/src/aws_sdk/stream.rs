//! Streams: held back until they carry something, settled at their end.

use std::collections::VecDeque;

use aws_sdk_bedrockruntime::Client as SdkClient;
use aws_sdk_bedrockruntime::config::http::HttpResponse;
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_bedrockruntime::primitives::event_stream::EventReceiver;
use aws_sdk_bedrockruntime::types::error::{ConverseStreamOutputError, ResponseStreamError};
use aws_sdk_bedrockruntime::types::{ConverseStreamOutput, PerformanceConfigLatency, ResponseStream, ServiceTierType};
use aws_smithy_types::event_stream::RawMessage;
use sluicegate::{Outcome, OutcomeClass};
use sluicegate_driver::{Attempt, Ticket, Turn};

use super::client::{Client, request, sdk_error};
use super::failure::Failed;
use crate::{Failure, Plan, StreamNote, StreamSoFar, Usage, classify};

/// An error inside a stream: the SDK's own type.
pub type StreamError<E> = SdkError<E, RawMessage>;

/// The answer to ConverseStream.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConverseStreamAnswer {
    /// The events.
    pub stream: EventStream<ConverseStreamOutput, ConverseStreamOutputError>,
}

/// The answer to InvokeModelWithResponseStream.
#[derive(Debug)]
#[non_exhaustive]
pub struct InvokeModelStreamAnswer {
    /// The chunks.
    pub body: EventStream<ResponseStream, ResponseStreamError>,
    /// The form of the chunks.
    pub content_type: String,
    /// The latency setting that served it.
    pub performance_config_latency: Option<PerformanceConfigLatency>,
    /// The tier that served it.
    pub service_tier: Option<ServiceTierType>,
}

/// Reads what an event means to the gate.
pub(super) trait Reading<E> {
    fn note(&self) -> StreamNote;
    /// The name of an error frame, as the service sends it.
    fn error_name(error: &E) -> Option<&'static str>;
}

impl Reading<ConverseStreamOutputError> for ConverseStreamOutput {
    fn note(&self) -> StreamNote {
        match self {
            Self::ContentBlockDelta(_) => StreamNote { delivers: true, ..StreamNote::default() },
            Self::MessageStop(_) => StreamNote { delivers: true, completes: true, usage: None },
            Self::Metadata(metadata) => {
                let count = |tokens: i32| u64::try_from(tokens).unwrap_or(0);
                let usage = metadata.usage().map(|usage| Usage {
                    input: count(usage.input_tokens()),
                    output: count(usage.output_tokens()),
                    cache_read: count(usage.cache_read_input_tokens().unwrap_or(0)),
                    cache_write: count(usage.cache_write_input_tokens().unwrap_or(0)),
                });
                StreamNote { delivers: true, completes: true, usage }
            }
            _ => StreamNote::default(),
        }
    }

    fn error_name(error: &ConverseStreamOutputError) -> Option<&'static str> {
        match error {
            ConverseStreamOutputError::InternalServerException(_) => Some("internalServerException"),
            ConverseStreamOutputError::ModelStreamErrorException(_) => Some("modelStreamErrorException"),
            ConverseStreamOutputError::ServiceUnavailableException(_) => Some("serviceUnavailableException"),
            ConverseStreamOutputError::ThrottlingException(_) => Some("throttlingException"),
            ConverseStreamOutputError::ValidationException(_) => Some("validationException"),
            _ => None,
        }
    }
}

impl Reading<ResponseStreamError> for ResponseStream {
    fn note(&self) -> StreamNote {
        let Self::Chunk(part) = self else { return StreamNote::default() };
        StreamNote::of_chunk(part.bytes().map(AsRef::as_ref).unwrap_or_default())
    }

    fn error_name(error: &ResponseStreamError) -> Option<&'static str> {
        match error {
            ResponseStreamError::InternalServerException(_) => Some("internalServerException"),
            ResponseStreamError::ModelStreamErrorException(_) => Some("modelStreamErrorException"),
            ResponseStreamError::ModelTimeoutException(_) => Some("modelTimeoutException"),
            ResponseStreamError::ServiceUnavailableException(_) => Some("serviceUnavailableException"),
            ResponseStreamError::ThrottlingException(_) => Some("throttlingException"),
            ResponseStreamError::ValidationException(_) => Some("validationException"),
            _ => None,
        }
    }
}

/// The events of a stream, received as from the SDK's own receiver. Its call is settled at the end of the stream, by
/// the usage in its last event; where it is dropped before, by what is known.
pub struct EventStream<T, E> {
    client: Client,
    plan: Plan,
    /// `None` once the call is settled.
    ticket: Option<Ticket>,
    attempt: Attempt,
    receiver: EventReceiver<T, E>,
    /// Events that came before the first that carries something.
    held: VecDeque<T>,
    so_far: StreamSoFar,
}

impl<T, E> std::fmt::Debug for EventStream<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("so_far", &self.so_far).finish_non_exhaustive()
    }
}

impl<T, E> EventStream<T, E> {
    /// What the call used, as far as the events received so far say.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.so_far.usage
    }

    fn settle(&mut self, outcome: impl FnOnce(&Self) -> Outcome) {
        if let Some(mut ticket) = self.ticket.take() {
            let outcome = outcome(self);
            ticket.report(self.attempt.id, outcome);
        }
    }

    fn streamed(&self, dropped: bool) -> Outcome {
        self.client.streamed(&self.plan, self.attempt.endpoint, &self.so_far, dropped)
    }
}

#[expect(private_bounds, reason = "sealed: only Bedrock's two kinds of stream can be read")]
impl<T, E> EventStream<T, E>
where
    T: Reading<E>,
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    /// The next event, or `None` at the end of the stream.
    ///
    /// # Errors
    /// As the SDK's receiver. Something of the answer was handed out by then, so the call is not tried again.
    pub async fn recv(&mut self) -> Result<Option<T>, StreamError<E>> {
        if let Some(event) = self.held.pop_front() {
            return Ok(Some(event));
        }
        match self.receiver.recv().await {
            Ok(Some(event)) => {
                self.so_far.take_in(&event.note());
                Ok(Some(event))
            }
            Ok(None) => {
                self.settle(|stream| stream.streamed(false));
                Ok(None)
            }
            Err(error) => {
                self.settle(|_| failed::<T, E>(&error, true).outcome);
                Err(error)
            }
        }
    }
}

impl<T, E> Drop for EventStream<T, E> {
    fn drop(&mut self) {
        self.settle(|stream| stream.streamed(true));
    }
}

/// Classifies an error inside a stream, by the frame's name: the SDK gives it no code and its status was 200.
fn failed<T, E>(error: &StreamError<E>, delivered: bool) -> Failed
where
    T: Reading<E>,
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let service = error.as_service_error();
    let code = service.and_then(|error| T::error_name(error).or_else(|| error.code()));
    let message = service.and_then(ProvideErrorMetadata::message).map_or_else(|| error.to_string(), str::to_owned);
    let failure = Failure { code, message: Some(&message), in_stream: true, delivered, ..Failure::default() };
    let verdict = classify(&failure);
    Failed { code: code.map(str::to_owned), status: None, outcome: verdict.outcome(None), verdict, message }
}

/// How an attempt to open a stream failed: as a request, or inside the stream before it carried anything.
pub(super) enum OpenError<F, E> {
    Request(SdkError<F, HttpResponse>),
    Stream(StreamError<E>),
}

impl Client {
    /// Opens a stream: attempts are repeated as long as nothing of the answer has come.
    pub(super) async fn open<H, T, E, F, O>(
        &self,
        plan: Plan,
        send: impl Fn(SdkClient, String) -> O,
    ) -> Result<(H, EventStream<T, E>), SdkError<F, HttpResponse>>
    where
        T: Reading<E>,
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
        F: std::error::Error + ProvideErrorMetadata + 'static,
        O: Future<Output = Result<(H, EventReceiver<T, E>), SdkError<F, HttpResponse>>>,
    {
        // A stream is handed out as it comes, so there is no choosing between two.
        let mut ticket = self.gate().submit(request(&plan).lone());
        let mut last: Option<OpenError<F, E>> = None;
        loop {
            let attempt = match ticket.turn().await {
                Turn::Send(attempt) | Turn::Hedge(attempt) => attempt,
                Turn::Abort(attempt) => {
                    ticket.report(attempt, Outcome::of(OutcomeClass::Cancelled));
                    continue;
                }
                Turn::End(reason) => {
                    let last = last.map(|error| match error {
                        OpenError::Request(error) => error,
                        // The SDK has no error of this operation for what came in its stream.
                        OpenError::Stream(error) => SdkError::dispatch_failure(
                            aws_smithy_runtime_api::client::result::ConnectorError::other(error.into(), None),
                        ),
                    });
                    return Err(sdk_error(reason, last));
                }
            };
            let (client, endpoint) = self.endpoint(attempt.endpoint);
            let (head, mut receiver) = match send(client.clone(), endpoint.target.clone()).await {
                Ok(answer) => answer,
                Err(error) => {
                    ticket.report(attempt.id, Failed::of(&error).outcome);
                    last = Some(OpenError::Request(error));
                    continue;
                }
            };
            match first_events(&mut receiver).await {
                Ok((held, so_far)) => {
                    let stream = EventStream {
                        client: self.clone(),
                        plan,
                        ticket: Some(ticket),
                        attempt,
                        receiver,
                        held,
                        so_far,
                    };
                    return Ok((head, stream));
                }
                Err(Some(error)) => {
                    ticket.report(attempt.id, failed::<T, E>(&error, false).outcome);
                    last = Some(OpenError::Stream(error));
                }
                Err(None) => ticket.report(attempt.id, Outcome::of(OutcomeClass::StreamBroken)),
            }
        }
    }
}

/// Receives events up to the first one that carries part of the answer. `Err(None)` where the stream ends before.
async fn first_events<T, E>(
    receiver: &mut EventReceiver<T, E>,
) -> Result<(VecDeque<T>, StreamSoFar), Option<StreamError<E>>>
where
    T: Reading<E>,
{
    let mut held = VecDeque::new();
    let mut so_far = StreamSoFar::default();
    while !so_far.delivers {
        let Some(event) = receiver.recv().await.map_err(Some)? else { return Err(None) };
        so_far.take_in(&event.note());
        held.push_back(event);
    }
    Ok((held, so_far))
}
