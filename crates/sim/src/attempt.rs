//! What goes to the service and what comes back.

use core::time::Duration;

use sluicegate::Timestamp;

use crate::error::ErrorKind;

/// A lane, by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub usize);

/// An admitted attempt, until it is finished or abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

/// What an attempt asks of a model, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Input that no cache holds.
    pub input_tokens: u64,
    /// Input read from the prompt cache.
    pub cache_read_tokens: u64,
    /// Input written to the prompt cache.
    pub cache_write_tokens: u64,
    /// Output cap; absent: the model's own.
    pub max_tokens: Option<u64>,
    /// How long the output wants to be; absent: drawn from the lane's distribution.
    pub output_tokens: Option<u64>,
    /// Further input at the head of the prompt that the lane's prompt cache may hold: read or written as it does.
    pub prefix: Option<Prefix>,
}

/// The head of a prompt that a conversation sends again with every turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    /// The conversation; what it sends grows from turn to turn.
    pub conversation: u64,
    /// Its length.
    pub tokens: u64,
}

impl Load {
    /// All input, whether a cache holds it or not.
    #[must_use]
    pub fn all_input(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.cache_read_tokens)
            .saturating_add(self.cache_write_tokens)
            .saturating_add(self.prefix.map_or(0, |prefix| prefix.tokens))
    }

    /// All input but what is read from a cache: what has to be worked on, and is charged.
    pub(crate) fn charged_input(&self) -> u64 {
        self.all_input().saturating_sub(self.cache_read_tokens)
    }
}

/// One request on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Source Region.
    pub region: String,
    /// Model id or inference profile as sent.
    pub model: String,
    /// The call it belongs to, for the ledger.
    pub tag: Option<String>,
    /// What it asks.
    pub load: Load,
}

/// The service's answer to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is being worked on.
    Accepted(Accepted),
    /// It was refused at once.
    Refused(Refusal),
    /// The connection was cut without a reply.
    Reset,
}

/// An attempt that is being worked on. Its caller owes a [`Service::finish`](crate::Service::finish) or a
/// [`Service::abandon`](crate::Service::abandon).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What to finish or to abandon.
    pub ticket: Ticket,
    /// Where it runs.
    pub lane: LaneId,
    /// When the first output token is out.
    pub first_token_at: Timestamp,
    /// When the last one is out, and the answer complete.
    pub finish_at: Timestamp,
    /// Tokens of output.
    pub output_tokens: u64,
    /// Whether `max_tokens` cut the output short.
    pub truncated: bool,
    /// The error it will end in before `finish_at`, if any.
    pub stream_error: Option<StreamError>,
}

/// An error that ends an admitted attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// When.
    pub at: Timestamp,
    /// Output tokens before it.
    pub after_output_tokens: u64,
    /// Which.
    pub error: ErrorKind,
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which error.
    pub error: ErrorKind,
    /// The service's word on when to come back.
    pub retry_after: Option<Duration>,
}

impl From<ErrorKind> for Refusal {
    fn from(error: ErrorKind) -> Self {
        Self { error, retry_after: None }
    }
}

impl Accepted {
    /// When `tokens` tokens of the output are out.
    #[must_use]
    pub fn token_at(&self, tokens: u64) -> Timestamp {
        let span = self.finish_at.as_micros().saturating_sub(self.first_token_at.as_micros());
        let part =
            u128::from(span) * u128::from(tokens.min(self.output_tokens)) / u128::from(self.output_tokens.max(1));
        let micros = self.first_token_at.as_micros().saturating_add(u64::try_from(part).unwrap_or(u64::MAX));
        Timestamp::from_micros(micros)
    }

    /// Output tokens that are out at `now`.
    #[must_use]
    pub fn generated(&self, now: Timestamp) -> u64 {
        let passed = now.as_micros().saturating_sub(self.first_token_at.as_micros());
        let span = self.finish_at.as_micros().saturating_sub(self.first_token_at.as_micros());
        let cap = self.stream_error.map_or(self.output_tokens, |error| error.after_output_tokens);
        let part = u128::from(self.output_tokens) * u128::from(passed) / u128::from(span.max(1));
        u64::try_from(part).unwrap_or(u64::MAX).min(cap)
    }
}
