"""The embedded fake Bedrock, started as a process of its own and spoken to over real sockets."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

MODEL = "anthropic.claude-sonnet-4-6"
PROFILE = "us.anthropic.claude-sonnet-4-6"
CREDENTIALS = {"aws_access_key_id": "sluicegate-local", "aws_secret_access_key": "sluicegate-local"}
HELLO = [{"role": "user", "content": [{"text": "Hello"}]}]
#: When a fault begins, and one that never ends.
ALWAYS = {"from_us": 0, "to_us": 1 << 52}

# A shell that starts something in the background has it ignore Ctrl-C, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def command() -> str:
    """The `sluicegate` command: the one that SLUICEGATE_COMMAND names, or what cargo built here."""
    target = os.environ.get("CARGO_TARGET_DIR", pathlib.Path(__file__).parents[2] / "target")
    return os.environ.get("SLUICEGATE_COMMAND") or str(pathlib.Path(target) / "debug" / "sluicegate")


def lane(region: str = "us-east-1", model: str = MODEL, **more: Any) -> dict[str, Any]:
    """A lane that answers at once, with room for whatever a test asks."""
    quick = {"first_token_us": 1_000, "per_input_token_ns": 0, "tokens_per_second": 1_000_000}
    return {"region": region, "model": model, **quick, **more}


def failing(error: str, **more: Any) -> dict[str, Any]:
    """A lane that refuses everything with this error."""
    return lane(faults=[{**ALWAYS, "effect": {"error": {"error": error, "share_permille": 1000}}}], **more)


class Fake:
    """A fake Bedrock under way."""

    def __init__(self, lanes: list[dict[str, Any]], folder: pathlib.Path) -> None:
        config = folder / f"fake-{time.monotonic_ns()}.json"
        config.write_text(json.dumps({"lanes": lanes}))
        arguments = [command(), "serve-fake", "--for", "600", "--config", str(config)]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = next(word for word in self.process.stdout.readline().split() if word.startswith("http://"))

    def ledger(self) -> dict[str, Any]:
        """What the fake has seen, by its own count."""
        with urllib.request.urlopen(self.url + "/sluicegate/ledger") as answer:
            return json.load(answer)

    def totals(self, lane: int = 0) -> dict[str, int]:
        return self.ledger()["lanes"][lane]["totals"]

    def attempts(self) -> int:
        return sum(lane["totals"]["attempts"] for lane in self.ledger()["lanes"])

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def serve(tmp_path: pathlib.Path) -> Iterator[Callable[..., Fake]]:
    """Starts fakes of these lanes; they end with the test."""
    fakes: list[Fake] = []

    def start(*lanes: dict[str, Any]) -> Fake:
        fakes.append(Fake(list(lanes) or [lane()], tmp_path))
        return fakes[-1]

    yield start
    for fake in fakes:
        fake.stop()


def one_slot(slots: int = 1) -> dict[str, Any]:
    """A policy whose only limit is how many attempts may be out at once: what waits, waits for a report, never for time."""
    return {"pools": {"p": {"concurrency": slots}}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}}


def policy(*regions: str, model: str = MODEL, retry: dict[str, Any] | None = None, **pool: int) -> dict[str, Any]:
    """A policy for "claude" in these Regions, with quotas that are never reached unless given."""
    quotas = pool or {"requests_per_minute": 1_000_000}
    regions = regions or ("us-east-1",)
    document = {
        "pools": {region: quotas for region in regions},
        "endpoints": {
            region: {"model": "claude", "target": model, "region": region, "pools": [region]} for region in regions
        },
    }
    return {**document, "retry": retry} if retry else document


#: Tries again at once.
IMPATIENT = {"overloaded": {"base_ms": 1, "cap_ms": 1}, "not_ready": {"base_ms": 1, "cap_ms": 1}}
IMPATIENT = {**IMPATIENT, "other": {"base_ms": 1, "cap_ms": 1}}


def boto(url: str, region: str = "us-east-1", **more: Any) -> Any:
    """A bare boto3 client for a fake."""
    import boto3

    return boto3.client("bedrock-runtime", region_name=region, endpoint_url=url, **{**CREDENTIALS, **more})


def until(condition: Callable[[], bool]) -> None:
    """Lets others run until this holds."""
    patience = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < patience, "it never came about"
        time.sleep(0)


def in_threads(*work: Callable[[], Any]) -> list[threading.Thread]:
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for thread in threads:
        thread.start()
    return threads


def python(program: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs a program in a process of its own."""
    arguments = [sys.executable, "-c", program]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=timeout, check=False)
