"""How much of what its quotas allow gets through, at one and a half times the quota: ``python benches/goodput.py``.

64 threads around boto3, each with calls of its own one after the other, then 2,000 asyncio tasks around aiobotocore, each at its
time, beside 2,000 tasks of the Rust client where SLUICEGATE_LOAD names the program that makes them (`crates/bedrock/examples/load.rs`).
All make the same calls at the same times, each against a fake Bedrock of its own, whose books the figures come from. The oracle is
what the quotas of two Regions refill while it counts: from some seconds after the first call to the last. What the buckets
still hold by then may lift a figure above 1.

It needs the package, boto3, aiobotocore and the ``sluicegate`` command (SLUICEGATE_COMMAND names one), and a quiet machine.
`cargo xtask python-bench` brings all of it.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import urllib.request
from typing import Any

MODEL = "anthropic.claude-sonnet-4-6"
REGIONS = ("us-east-1", "us-west-2")
#: Requests a minute in each Region; tokens never bind.
QUOTA = 2_000
#: How full each Region's bucket is at first, in thousandths of a minute's quota.
START = {"start_permille": 30}
WARM_UP_S = 5
DEADLINE_S = 5.0
#: The promise.
GOODPUT, REFUSED = 0.97, 0.01
#: How far a client may be from the Rust client's goodput: what two runs of that one differ by on a busy machine.
NOISE = 0.01
LOAD = pathlib.Path(__file__).parent / "load.py"


def service() -> dict[str, Any]:
    quick = {"first_token_us": 50_000, "tokens_per_second": 1_000, "law": {"continuous": START}}
    lane = {"model": MODEL, "requests_per_minute": QUOTA, **quick}
    return {"lanes": [{"region": region, **lane} for region in REGIONS]}


def policy() -> dict[str, Any]:
    endpoint = {"model": "claude", "target": MODEL}
    return {
        "pools": {region: {"requests_per_minute": QUOTA} for region in REGIONS},
        "endpoints": {region: {**endpoint, "region": region, "pools": [region]} for region in REGIONS},
    }


def measure(kind: str, calls: int, workers: int) -> dict[str, float]:
    """Makes so many calls at one and a half times the quota."""
    per_second = QUOTA * len(REGIONS) / 60
    draw, at, arrivals = random.Random(1), 0.0, []
    for _ in range(calls):
        arrivals.append(at)
        at += draw.expovariate(1.5 * per_second)
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "fake.json"
        config.write_text(json.dumps(service()))
        arguments = [os.environ.get("SLUICEGATE_COMMAND", "sluicegate"), "serve-fake", "--config", str(config)]
        fake = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            url = next(word for word in fake.stdout.readline().split() if word.startswith("http://"))
            job = {"url": url, "policy": policy(), "at_s": arrivals, "deadline_s": DEADLINE_S, "workers": workers}
            program = [os.environ["SLUICEGATE_LOAD"]] if kind == "rust" else [sys.executable, str(LOAD), kind]
            ran = subprocess.run(program, input=json.dumps(job) + "\n", capture_output=True, text=True, check=False)
            if ran.returncode:
                raise RuntimeError(ran.stderr)
            with urllib.request.urlopen(url + "/sluicegate/ledger") as answer:
                lanes = json.load(answer)["lanes"]
        finally:
            fake.kill()
            fake.wait()
    first = min(lane["first_second"] for lane in lanes) + WARM_UP_S
    counted = range(first, first + int(arrivals[-1]) - WARM_UP_S)
    rows = [row for lane in lanes for second, row in enumerate(lane["seconds"], lane["first_second"]) if second in counted]
    oracle = per_second * len(counted)
    attempts, refused, answered = (sum(row[name] for row in rows) for name in ("attempts", "refused", "in_time"))
    told = json.loads(ran.stdout)
    return {
        "goodput": answered / oracle,
        "refused": refused / attempts,
        "answered": answered,
        "oracle": oracle,
        "late_s": told["late_s"],
        "left": told["in_flight"] + told["waiting"],
    }


def main() -> int:
    clients = [("64 threads around boto3", "threads", 64), ("2,000 asyncio tasks around aiobotocore", "asyncio", 2_000)]
    if "SLUICEGATE_LOAD" in os.environ:
        clients.insert(0, ("2,000 tasks of the Rust client", "rust", 2_000))
    kept, rust = True, None
    print("| client | answered | oracle | goodput | of Rust's | refused | latest start |\n|---|---|---|---|---|---|---|")
    for name, kind, workers in clients:
        found = measure(kind, 2_000, workers)
        rust = found["goodput"] if kind == "rust" else rust
        ratio = found["goodput"] / rust if rust else None
        kept &= found["goodput"] >= GOODPUT and found["refused"] <= REFUSED and not found["left"]
        kept &= ratio is None or abs(ratio - 1) <= NOISE
        print(
            f"| {name} | {found['answered']:,} | {found['oracle']:,.0f} | {found['goodput']:.3f} "
            f"| {'' if ratio is None else f'{ratio:.3f}'} | {found['refused']:.2%} | {found['late_s']:.2f} s |",
            flush=True,
        )
    promise = f"at least {GOODPUT} of the oracle, at most {REFUSED:.0%} refused, within {NOISE:.0%} of Rust's"
    print("kept" if kept else f"NOT KEPT: {promise}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
