"""What a caller may add to a call, given with it or by a ``with`` statement around it."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Optional, Union

from ._sluicegate import CallOptions

#: Seconds, or a ``timedelta``.
Seconds = Union[float, timedelta]

_PLAIN = CallOptions()
_around: contextvars.ContextVar[Optional[dict[str, Any]]] = contextvars.ContextVar("sluicegate.call", default=None)


def micros(span: Seconds) -> int:
    """Whole microseconds of a span of time; one that is past counts as none."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    return max(0, round(seconds * 1_000_000))


@contextlib.contextmanager
def call(
    *,
    tenant: Union[str, int, None] = None,
    priority: Optional[int] = None,
    deadline: Optional[Seconds] = None,
    affinity: Union[str, int, None] = None,
    label: Union[str, int, None] = None,
) -> Iterator[None]:
    """Gives every call inside the ``with`` statement what is named here, unless the call itself says otherwise.

    It holds for this thread or asyncio task and the tasks that it starts; frameworks in between need not know of it. Inner
    statements add to outer ones.

    - ``tenant``: whom the call is made for; tenants share the quotas by the weights of the policy.
    - ``priority``: 0 to 255; higher goes first among the calls of a tenant.
    - ``deadline``: seconds from the submission of each call until it must have been answered.
    - ``affinity``: what keeps the calls of a conversation where their prompt cache is.
    - ``label``: what kind of call it is; lengths of answers are learned for each model and label.
    """
    given = {"tenant": tenant, "priority": priority, "deadline": deadline, "affinity": affinity, "label": label}
    options = {**(_around.get() or {}), **{name: value for name, value in given.items() if value is not None}}
    _make(options)  # what is wrong with it is said here
    token = _around.set(options)
    try:
        yield
    finally:
        _around.reset(token)


def _make(options: dict[str, Any]) -> CallOptions:
    if "deadline" in options:
        options = {**options, "deadline": micros(options["deadline"])}
    return CallOptions(**options)


def options(**given: Any) -> CallOptions:
    """The options of a call that is about to be made: those given with it, then those around it."""
    around = _around.get()
    own = {name: value for name, value in given.items() if value is not None}
    if not around and not own:
        return _PLAIN
    return _make({**(around or {}), **own})
