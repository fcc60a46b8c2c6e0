"""A gate's events in logs and metrics: observers for ``Gate(policy, on_event=..)``. Nothing is told unless one is given."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Callable, Optional

from ._sluicegate import Event

#: What happens to every call, against what is worth a look.
_USUAL = (Event.Sent, Event.Settled, Event.Ended)


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

    ``sluicegate.events`` counts events by their name and, where they have one, their class, endpoint or pool (as numbers of the
    policy). Fields in microseconds become histograms, tokens that were reserved or spent become counters, each called
    ``sluicegate.<event>.<field>``.
    """
    events = meter.create_counter("sluicegate.events", unit="{event}", description="What happened at the gate.")
    made: dict[str, Any] = {}

    def instrument(name: str, field: str) -> Any:
        found = made.get(name)
        if found is None:
            if field.endswith("_us"):
                found = meter.create_histogram(name, unit="us")
            else:
                found = meter.create_counter(name, unit="{token}")
            made[name] = found
        return found

    def observe(at: float, event: Event) -> None:
        kind = type(event).__name__.split("_")[-1]
        about: dict[str, Any] = {"event": kind}
        measured = []
        for field, value in _fields(event):
            if value is None:
                continue
            if field in ("class_", "endpoint", "pool", "quota", "state"):
                about[field.rstrip("_")] = value
            elif field.endswith(("_us", "_tokens")) and field != "begins_us":
                measured.append((field, value))
        events.add(1, about)
        for field, value in measured:
            found = instrument(f"sluicegate.{kind.lower()}.{field}", field)
            (found.record if field.endswith("_us") else found.add)(value, about)

    return observe


def _fields(event: Event) -> Iterator[tuple[str, Any]]:
    for name in getattr(type(event), "__match_args__", ()):
        yield name, getattr(event, name)
