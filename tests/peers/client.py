"""Makes calls to a fake Bedrock through a real client: boto3 in standard or adaptive mode, LiteLLM's Router, or boto3
inside `sluicegate.wrap`.

`sluicegate compare` starts it, one process for each client, and speaks to it in lines of JSON:

    to it    {"url", "regions", "model", "max_tokens", "deadline_us", "filler", "calls": [[at_us, bytes, output_tokens], ..]}
             and for sluicegate {"policy"}
    from it  {"versions": {..}}            it has made one call to that url, which nobody counts, and is warm
    to it    {"url", "now_us"}             the fake that counts, and what time it is there
    from it  {"late_us": [..]}             every call has gone out, so much later than it was to

Every call goes out at its time, whatever became of those before. All figures come from the fake's books.
"""

import asyncio
import concurrent.futures
import contextlib
import ctypes
import importlib.metadata
import itertools
import json
import logging
import os
import sys
import threading
import time

# Calls under way at once, and connections to each Region. boto3's own 10 would be a limit on concurrency that nobody
# asked for; this many are never needed.
POOL = 512
CREDENTIALS = {"aws_access_key_id": "sluicegate-local", "aws_secret_access_key": "sluicegate-local"}


class HungUp(BaseException):
    """The caller has waited until its deadline. Not an Exception, so that no library takes it for a failed attempt."""


class Boto3:
    """A client for each Region, taken in turn by the calls, each in a thread of a pool."""

    packages = ("boto3", "botocore", "urllib3")

    def __init__(self, job, url, mode):
        self.job = job
        # Attempts, delays and the rest are the mode's own defaults.
        self.turn = itertools.cycle(self.clients(url, job["regions"], retries={"mode": mode}))

    def clients(self, url, regions, **options):
        import boto3
        from botocore.config import Config

        # No answer comes after the deadline.
        config = Config(max_pool_connections=POOL, read_timeout=self.job["deadline_us"] / 1e6, proxies={}, **options)
        session = boto3.Session(**CREDENTIALS)
        return [
            session.client("bedrock-runtime", region_name=region, endpoint_url=url, config=config) for region in regions
        ]

    def until(self, due):
        return Deadline(due)

    def call(self, client, number, size, output_tokens):
        client.converse(
            modelId=self.job["model"],
            messages=[{"role": "user", "content": [{"text": text(self.job, size)}]}],
            inferenceConfig={"maxTokens": self.job["max_tokens"]},
            requestMetadata=metadata(number, output_tokens),
        )

    def drive(self, calls, origin, all_out):
        pool = concurrent.futures.ThreadPoolExecutor(POOL)
        late = []

        def one(client, number, at, size, output_tokens):
            late.append(max(0, int((time.monotonic() - at) * 1e6)))
            with self.until(at + self.job["deadline_us"] / 1e6):
                self.call(client, number, size, output_tokens)

        for number, (at_us, size, output_tokens) in calls:
            at = origin + at_us / 1e6
            time.sleep(max(0.0, at - time.monotonic()))
            pool.submit(one, next(self.turn), number, at, size, output_tokens)
        all_out(late)
        pool.shutdown(wait=True)


class Deadline:
    """Ends what this thread does at a time. A thread that sleeps or reads learns of it when it wakes: one that waits for
    the rate limiter then asks no more, one that waits before a retry makes none, and an answer on its way is read."""

    def __init__(self, due):
        self.lock = threading.Lock()
        self.thread = threading.get_ident()
        self.timer = threading.Timer(max(0.0, due - time.monotonic()), self.hang_up)
        self.timer.daemon = True

    def hang_up(self):
        with self.lock:
            if self.thread is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), ctypes.py_object(HungUp))

    def __enter__(self):
        self.timer.start()

    def __exit__(self, kind, error, trace):
        with self.lock:
            self.thread = None
        self.timer.cancel()
        # What became of the call is in the fake's books.
        return kind is not None and (issubclass(kind, Exception) or kind is HungUp)


class Sluicegate(Boto3):
    """One client of those, wrapped: the gate makes one for each Region, and ends calls itself."""

    packages = ("sluicegate", *Boto3.packages)

    def __init__(self, job, url):
        import sluicegate

        self.job = job
        self.around = sluicegate.call
        [client] = self.clients(url, job["regions"][:1])
        self.turn = itertools.repeat(sluicegate.wrap(client, policy=job["policy"]))

    def until(self, due):
        # What a call raises is left in its future, where nobody looks: what became of it is in the fake's books.
        return self.around(deadline=due - time.monotonic())


class LiteLlm:
    """A Router with a deployment for each Region and its defaults: simple-shuffle, 2 retries, cooldowns of 5 s."""

    packages = ("litellm", "httpx", "aiohttp")
    # One for the rehearsal and what counts, since the library keeps connections for the loop they were made in.
    loop = asyncio.new_event_loop()

    def __init__(self, job, url):
        # Prices are looked up on the net otherwise.
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        import litellm

        litellm.suppress_debug_info = True
        logging.disable(logging.CRITICAL)
        self.job = job
        deployments = [
            {
                "model_name": "the-model",
                "litellm_params": {
                    "model": "bedrock/converse/" + job["model"],
                    "aws_region_name": region,
                    "aws_bedrock_runtime_endpoint": url,
                    **CREDENTIALS,
                },
            }
            for region in job["regions"]
        ]
        self.router = litellm.Router(model_list=deployments)

    async def call(self, number, size, output_tokens):
        await self.router.acompletion(
            model="the-model",
            messages=[{"role": "user", "content": text(self.job, size)}],
            max_tokens=self.job["max_tokens"],
            requestMetadata=metadata(number, output_tokens),
        )

    def drive(self, calls, origin, all_out):
        self.loop.run_until_complete(self.make_all(calls, origin, all_out))

    async def make_all(self, calls, origin, all_out):
        late, tasks = [], set()

        async def one(number, at, size, output_tokens):
            late.append(max(0, int((time.monotonic() - at) * 1e6)))
            # What became of the call is in the fake's books.
            with contextlib.suppress(Exception):
                async with asyncio.timeout(at + self.job["deadline_us"] / 1e6 - time.monotonic()):
                    await self.call(number, size, output_tokens)

        for number, (at_us, size, output_tokens) in calls:
            at = origin + at_us / 1e6
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            task = asyncio.create_task(one(number, at, size, output_tokens))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        all_out(late)
        if tasks:
            await asyncio.wait(tasks)


PEERS = {
    "boto3-standard": (Boto3, {"mode": "standard"}),
    "boto3-adaptive": (Boto3, {"mode": "adaptive"}),
    "litellm": (LiteLlm, {}),
    "sluicegate-python": (Sluicegate, {}),
}


def text(job, size):
    filler = job["filler"]
    return (filler * (size // len(filler) + 1))[:size]


def metadata(number, output_tokens):
    return {"sluicegate-call": str(number), "sluicegate-output-tokens": str(output_tokens)}


def say(message):
    print(json.dumps(message), flush=True)


def main():
    make, options = PEERS[sys.argv[1]]
    job = json.loads(sys.stdin.readline())
    make(job, job["url"], **options).drive([("rehearsal", (0, 100, 1))], time.monotonic(), lambda late: None)
    say({"versions": {name: importlib.metadata.version(name) for name in make.packages}})
    go = json.loads(sys.stdin.readline())
    origin = time.monotonic() - go["now_us"] / 1e6
    make(job, go["url"], **options).drive(enumerate(job["calls"]), origin, lambda late: say({"late_us": late}))


main()
