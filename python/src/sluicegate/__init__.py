"""One deterministic engine decides when, where and whether a call to Amazon Bedrock may go out."""

from __future__ import annotations

from ._errors import (
    CallEnded,
    Cancelled,
    Closed,
    Expired,
    Failed,
    Fault,
    InputError,
    PolicyError,
    Refused,
    SluicegateError,
    SnapshotError,
)
from ._sluicegate import EndReason, Endpoint, Outcome, Policy, policy_schema

__all__ = [
    "CallEnded",
    "Cancelled",
    "Closed",
    "EndReason",
    "Endpoint",
    "Expired",
    "Failed",
    "Fault",
    "InputError",
    "Outcome",
    "Policy",
    "PolicyError",
    "Refused",
    "SluicegateError",
    "SnapshotError",
    "policy_schema",
]
