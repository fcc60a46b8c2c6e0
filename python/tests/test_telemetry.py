"""Events in logs and metrics."""

import logging

import pytest
from conftest import one_slot
from sluicegate import Event, Gate, Outcome, telemetry
from sluicegate._sluicegate import event_kinds


def a_call_that_fails_once(gate):
    def attempt(attempt):
        if attempt.number == 1:
            raise ValueError
        return "answer"

    assert gate.run(attempt, model="m", cost=30, settle=len, classify=lambda error: Outcome("unavailable")) == "answer"


def quick():
    return {**one_slot(), "retry": {"other": {"base_ms": 1, "cap_ms": 1}, "overloaded": {"base_ms": 1, "cap_ms": 1}}}


def test_events_are_logged_by_how_unusual_they_are(caplog):
    caplog.set_level(logging.DEBUG, "sluicegate")
    a_call_that_fails_once(Gate(quick(), on_event=telemetry.to_logging()))
    levels = [(record.levelname, record.getMessage().split("(")[0]) for record in caplog.records]
    assert ("DEBUG", "Event.Sent") in levels and ("INFO", "Event.RetryPlanned") in levels


def test_events_are_counted_and_measured(monkeypatch):
    # The frameworks' tests switch it off for themselves.
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    sdk = pytest.importorskip("opentelemetry.sdk.metrics")
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = sdk.MeterProvider([reader])
    gate = Gate(quick(), on_event=telemetry.to_opentelemetry(provider.get_meter("sluicegate")))
    a_call_that_fails_once(gate)
    [resource] = reader.get_metrics_data().resource_metrics
    metrics = {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}
    sent = [point for point in metrics["sluicegate.events"].data.data_points if point.attributes["event"] == "sent"]
    assert sum(point.value for point in sent) == 2
    assert sum(point.value for point in metrics["sluicegate.settled.spent_tokens"].data.data_points) == 6
    assert sum(point.count for point in metrics["sluicegate.settled.took_us"].data.data_points) == 2


def test_the_engine_says_what_every_field_of_every_event_is():
    kinds = event_kinds()
    classes = {name: kind for name, kind in vars(Event).items() if isinstance(kind, type)}
    assert kinds.keys() == classes.keys()
    for name, (_, fields) in kinds.items():
        assert tuple(field for field, _, _ in fields) == classes[name].__match_args__
    assert kinds["Settled"][0] == "settled" and ("took_us", "measure", "microseconds") in kinds["Settled"][1]
