"""What its quotas allow gets through, with the noise that a busy machine makes; `benches/goodput.py` holds it to the promise."""

import importlib.util
import os
import pathlib

import pytest
from conftest import command

pytest.importorskip("boto3")
BENCH = pathlib.Path(__file__).parents[1] / "benches" / "goodput.py"


@pytest.mark.parametrize(("kind", "workers"), [("threads", 64), ("asyncio", 2_000)])
def test_the_quota_is_used_and_next_to_nothing_is_refused(monkeypatch, kind, workers):
    pytest.importorskip("aiobotocore")
    spec = importlib.util.spec_from_file_location("goodput", BENCH)
    goodput = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(goodput)
    monkeypatch.setitem(os.environ, "SLUICEGATE_COMMAND", command())
    found = goodput.measure(kind, 1_200, workers)
    assert found["goodput"] >= 0.8, found
    assert found["refused"] <= 0.05, found
    assert found["left"] == 0
