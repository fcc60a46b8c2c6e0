"""A gate's events in logs and metrics: observers for ``Gate(policy, on_event=..)``. Nothing is told unless one is given."""

from __future__ import annotations

import logging
from typing import Any, Callable, Optional

from ._sluicegate import Event, event_kinds
from ._words import FieldKind

#: What happens to every call, against what is worth a look.
_USUAL = (Event.Sent, Event.Settled, Event.Ended)
#: What events are counted by. Other identities are as many as there are calls.
_ABOUT = ("class_", "endpoint", "pool", "quota", "state")
#: OpenTelemetry's way to write units; others are words in braces.
_UNITS = {"microseconds": "us", "tokens": "{token}", "attempts": "{attempt}", "events": "{event}"}
#: The unit of what has no distribution worth a look.
_A_MOMENT = "microseconds since the origin"


def to_logging(logger: Optional[logging.Logger] = None) -> Callable[[float, Event], None]:
    """Logs every event with `logger`, by default the one called "sluicegate": what happens to every call as DEBUG, what shows
    that something is amiss or was learned as INFO, retries on top of ours as WARNING."""
    to = logger or logging.getLogger("sluicegate")

    def observe(at: float, event: Event) -> None:
        level = logging.DEBUG if isinstance(event, _USUAL) else logging.INFO
        if isinstance(event, Event.StackedRetry):
            level = logging.WARNING
        to.log(level, "%s", event)

    return observe


def to_opentelemetry(meter: Any) -> Callable[[float, Event], None]:
    """Counts and measures with an OpenTelemetry meter.

    ``sluicegate.events`` counts events by their name and, where they have one, their class, endpoint, pool, quota or state
    (endpoints and pools as numbers of the policy). What the engine calls a counter becomes one, what it calls a measure a
    histogram, each in its unit and called ``sluicegate.<event>.<field>``.
    """
    events = meter.create_counter("sluicegate.events", unit="{event}", description="What happened at the gate.")
    kinds = {getattr(Event, name): _Kind(meter, *kind) for name, kind in event_kinds().items()}

    def observe(at: float, event: Event) -> None:
        kind = kinds[type(event)]
        about = {"event": kind.name}
        for field in kind.about:
            value = getattr(event, field)
            if value is not None:
                about[field.rstrip("_")] = value
        events.add(1, about)
        for field, take in kind.taken.items():
            take(getattr(event, field), about)

    return observe


class _Kind:
    """What is made of one class of events."""

    def __init__(self, meter: Any, name: str, fields: list[tuple[str, FieldKind, Optional[str]]]) -> None:
        self.name = name
        self.about = [field for field, _, _ in fields if field in _ABOUT]
        self.taken: dict[str, Callable[[int, dict[str, Any]], None]] = {}
        for field, kind, unit in fields:
            called, of = f"sluicegate.{name}.{field}", _UNITS.get(unit or "", f"{{{unit}}}")
            if kind == "counter":
                self.taken[field] = meter.create_counter(called, unit=of).add
            elif kind == "measure" and unit != _A_MOMENT:
                self.taken[field] = meter.create_histogram(called, unit=of).record
