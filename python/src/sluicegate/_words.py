"""The words that stand for one of a few, as types."""

from __future__ import annotations

from typing import Literal

#: How an attempt ended.
OutcomeClass = Literal[
    "success",
    "throttled_requests",
    "throttled_tokens",
    "throttled_day",
    "throttled_unknown",
    "overloaded",
    "unavailable",
    "not_ready",
    "timed_out",
    "model_error",
    "stream_broken",
    "stream_broken_delivered",
    "refused",
    "unusable",
    "cancelled",
]
#: Which quota a refusal names: requests or tokens a minute, tokens a day, or nobody knows.
Quota = Literal["requests", "tokens", "day", "unknown"]
#: Why a call was not sent.
Why = Literal["deadline", "too_large", "queue_full", "target_wait", "no_endpoint"]
#: What a wake-up is for.
WakeReason = Literal["undrained", "start", "retry", "deadline", "hedge", "lease"]
#: Attempts pass; nothing passes; a few probes pass.
BreakerState = Literal["closed", "open", "half_open"]
#: What was spent where it is no number of tokens.
SpentWord = Literal["unknown", "nothing", "never_sent"]
#: What an attempt beyond a call's first is made for.
RetryKind = Literal["throttled", "other", "hedge"]
#: What a field of an event is: it says which; it adds up; it has a distribution.
FieldKind = Literal["identity", "counter", "measure"]
