"""Makes calls through a wrapped client, from threads or from one event loop, at their times.

``python load.py threads|asyncio`` is told in a line of JSON where the fake is, the policy and the calls, and says in another how
late calls went out and what the gate held at the end. All other figures come from the fake's books.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import sys
import time

import sluicegate

CREDENTIALS = {"aws_access_key_id": "sluicegate-local", "aws_secret_access_key": "sluicegate-local"}


def request(job, number):
    return {
        "modelId": "claude",
        "messages": [{"role": "user", "content": [{"text": "The sluice keeper opens the gate. " * 4}]}],
        "inferenceConfig": {"maxTokens": 64},
        "requestMetadata": {"sluicegate-call": str(number), "sluicegate-output-tokens": "32"},
    }


def in_threads(job):
    import boto3
    from botocore.config import Config

    config = Config(max_pool_connections=job["workers"])
    client = boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=job["url"], config=config, **CREDENTIALS
    )
    bedrock = sluicegate.wrap(client, policy=job["policy"])
    late, origin, end = [], time.monotonic(), job["at_s"][-1]

    def work(worker):
        for number in range(worker, len(job["at_s"]), job["workers"]):
            time.sleep(max(0.0, job["at_s"][number] - (time.monotonic() - origin)))
            if time.monotonic() - origin > end:
                return
            with contextlib.suppress(Exception), sluicegate.call(deadline=job["deadline_s"]):
                bedrock.converse(**request(job, number))

    with concurrent.futures.ThreadPoolExecutor(job["workers"]) as pool:
        list(pool.map(work, range(job["workers"])))
    return late, bedrock.gate


async def in_loop(job):
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    config = AioConfig(max_pool_connections=job["workers"])
    client = get_session().create_client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=job["url"], config=config, **CREDENTIALS
    )
    late, tasks = [], []
    async with client as bare, sluicegate.wrap(bare, policy=job["policy"]) as bedrock:
        origin = time.monotonic()

        async def one(number, at):
            late.append(time.monotonic() - origin - at)
            with contextlib.suppress(Exception), sluicegate.call(deadline=job["deadline_s"]):
                await bedrock.converse(**request(job, number))

        for number, at in enumerate(job["at_s"]):
            await asyncio.sleep(max(0.0, at - (time.monotonic() - origin)))
            tasks.append(asyncio.ensure_future(one(number, at)))
        await asyncio.gather(*tasks)
        return late, bedrock.gate


def main():
    job = json.loads(sys.stdin.readline())
    late, gate = in_threads(job) if sys.argv[1] == "threads" else asyncio.run(in_loop(job))
    print(json.dumps({"late_s": max(late, default=0), "in_flight": gate.in_flight, "waiting": gate.waiting}))


main()
