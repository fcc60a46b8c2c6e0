"""How much of what its quotas allow gets through, at one and a half times the quota: ``python benches/goodput.py``.

64 threads around boto3, each with calls of its own one after the other, then 2,000 asyncio tasks around aiobotocore, each at its
time; both against a fake Bedrock of their own, whose books the figures come from. The oracle is the quota itself: what two
Regions admit while calls come, with what their buckets held before, and what can still be answered of the calls that are under
way at the end. No schedule can do more.

It needs the package, boto3, aiobotocore and the ``sluicegate`` command (SLUICEGATE_COMMAND names one), and a quiet machine.
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
#: What each Region's bucket may hold, in thousandths of a minute; it is full at first.
BURST = {"burst_permille": 20, "start_permille": 1000}
DEADLINE_S = 5.0
#: The promise.
GOODPUT, REFUSED = 0.97, 0.01


def service() -> dict[str, Any]:
    quick = {"first_token_us": 50_000, "tokens_per_second": 1_000, "law": {"continuous": BURST}}
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
            program = [sys.executable, str(pathlib.Path(__file__).parent / "load.py"), kind]
            ran = subprocess.run(program, input=json.dumps(job) + "\n", capture_output=True, text=True, check=False)
            if ran.returncode:
                raise RuntimeError(ran.stderr)
            with urllib.request.urlopen(url + "/sluicegate/ledger") as answer:
                lanes = [lane["totals"] for lane in json.load(answer)["lanes"]]
        finally:
            fake.kill()
            fake.wait()
    held = len(REGIONS) * QUOTA * BURST["burst_permille"] / 1000
    under_way = min(per_second * DEADLINE_S, workers)
    oracle = min(calls, held + per_second * arrivals[-1] + under_way)
    attempts, answered = (sum(lane[name] for lane in lanes) for name in ("attempts", "completed"))
    refused = sum(lane["refused_quota"] + lane["refused_capacity"] for lane in lanes)
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
    kept = True
    print("| client | answered | oracle | goodput | refused | latest start |\n|---|---|---|---|---|---|")
    for kind, workers in (("threads", 64), ("asyncio", 2_000)):
        found = measure(kind, 2_000, workers)
        kept &= found["goodput"] >= GOODPUT and found["refused"] <= REFUSED and not found["left"]
        print(
            f"| {workers:,} {kind} | {found['answered']:,} | {found['oracle']:,.0f} | {found['goodput']:.3f} "
            f"| {found['refused']:.2%} | {found['late_s']:.2f} s |"
        )
    print("kept" if kept else f"NOT KEPT: at least {GOODPUT} of the oracle, at most {REFUSED:.0%} refused")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
