"""Everything that this package raises."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Optional


class Fault(NamedTuple):
    """One thing that is wrong with a policy."""

    #: Stable snake_case name of the kind of fault.
    code: str
    #: JSON pointer to the place.
    pointer: str
    #: What is wrong and what would be right.
    message: str

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.message} [{self.code}]"


class SluicegateError(Exception):
    """The base of all errors of this package."""

    #: Stable snake_case name of the error.
    code: str

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, code)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


class PolicyError(SluicegateError, ValueError):
    """A policy has faults; the message lists them all."""

    #: Every fault, in the order of reading.
    faults: tuple[Fault, ...]

    def __init__(self, faults: Iterable[tuple[str, str, str]]) -> None:
        self.faults = tuple(Fault(*fault) for fault in faults)
        count = len(self.faults)
        lines = "".join(f"\n  {fault}" for fault in self.faults)
        self._message = f"the policy has {count} fault{'' if count == 1 else 's'}{lines}"
        super().__init__(self._message, "policy")
        self.args = (self.faults,)

    def __str__(self) -> str:
        return self._message


class PlanError(SluicegateError, ValueError):
    """A plan for the simulator has faults, or cannot be played; the message lists them all."""

    #: Every fault, a line with its place.
    faults: tuple[str, ...]

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults), "plan")
        self.args = (self.faults,)

    def __str__(self) -> str:
        return "\n".join(self.faults)


class InputError(SluicegateError, ValueError):
    """Misuse of the engine or of one of its pieces. Nothing has changed.

    The codes: ``duplicate_call``, ``unknown_call``, ``unknown_attempt``, ``unknown_model`` of the engine; ``out_of_range`` and
    ``unknown_name`` of arguments.
    """


class SnapshotError(SluicegateError, ValueError):
    """A snapshot cannot be used (``snapshot_newer``, ``snapshot_malformed``); start without it."""


class Closed(SluicegateError):
    """The gate is closed: nothing more can be submitted. Open another one."""

    def __init__(self, message: str = "the gate is closed; open another one", code: str = "closed") -> None:
        super().__init__(message, code)


class Forked(SluicegateError):
    """The gate was made in another process, which this one was forked from: two would count the same quota. Open one here,
    with this process's share of the quota."""

    def __init__(
        self,
        message: str = "this gate belongs to the process that this one was forked from; open another gate here",
        code: str = "forked",
    ) -> None:
        super().__init__(message, code)


class CallEnded(SluicegateError):
    """The engine ended a call without an answer. An error of the service's own is raised as the SDK raises it instead."""

    #: Seconds from the moment this was raised until submitting the call again could help; None where nobody knows.
    retry_at: Optional[float]

    def __init__(self, message: str, code: str, retry_at: Optional[float] = None) -> None:
        super().__init__(message, code)
        self.args = (message, code, retry_at)
        self.retry_at = retry_at


class Refused(CallEnded):
    """It was not sent, or not again, because that could not have helped.

    The codes: ``deadline``, ``too_large``, ``queue_full``, ``target_wait``, ``no_endpoint``.
    """


class Expired(CallEnded):
    """Its deadline passed while it waited (``expired``)."""


class Cancelled(CallEnded):
    """It was cancelled by someone else than its caller, for instance because the gate was closed (``cancelled``)."""


class Failed(CallEnded):
    """Its last attempt failed without an error of the service's own to raise (``failed``)."""
