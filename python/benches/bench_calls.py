"""What a call costs in CPU time: through the engine, through a gate, through wrap, and through what others use.

    python -m pytest benches/bench_calls.py -s --benchmark-timer=time.process_time

The table of README.md is its column of the least times. Nothing waits: every call may go out at once.
"""

import json
import os
import statistics
import subprocess
import sys
import time

import pytest
import sluicegate
from sluicegate import Engine, Input, Outcome, Policy, Rng

#: LiteLLM then asks nobody for prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
#: How often boto3 by itself and wrapped are compared.
ROUNDS = 4_000
MODEL = "anthropic.claude-sonnet-4-6"
POLICY = {
    "pools": {"all": {"requests_per_minute": 600_000_000, "tokens_per_minute": 1_000_000_000}},
    "endpoints": {"us-east-1": {"model": MODEL, "region": "us-east-1", "pools": ["all"]}},
}
REQUEST = {
    "modelId": MODEL,
    "messages": [{"role": "user", "content": [{"text": "How tall is the Eiffel Tower?"}]}],
    "inferenceConfig": {"maxTokens": 100},
}


@pytest.mark.benchmark(group="a call that does nothing")
def test_engine(benchmark):
    """Submit, take the decision, report, take the end: the loop of those who bring their own."""
    engine, rng, done = Engine(Policy.parse(POLICY), 10**12), Rng(1), Outcome.success(50)
    handle, decision = engine.handle, engine.poll_decision
    numbers = iter(range(10**12))

    def call():
        number = next(numbers)
        now = 10**12 + number * 1_000
        handle(now, Input.Submit(number, 0, 100), rng)
        sent = decision()
        handle(now, Input.Report(sent.attempt, done), rng)
        return decision()

    assert isinstance(call(), sluicegate.Decision.End)
    benchmark(call)


@pytest.mark.benchmark(group="a call that does nothing")
def test_gate_run(benchmark):
    gate = sluicegate.Gate(POLICY)
    benchmark(lambda: gate.run(lambda attempt: None, model=MODEL, cost=100))


@pytest.mark.benchmark(group="a call that does nothing")
def test_gate_limit(benchmark):
    gate = sluicegate.Gate(POLICY)

    @gate.limit(model=MODEL, cost=100)
    def call():
        return None

    benchmark(call)


@pytest.mark.benchmark(group="a call that does nothing")
def test_tenacity(benchmark):
    tenacity = pytest.importorskip("tenacity")

    @tenacity.retry
    def call():
        return None

    benchmark(call)


@pytest.mark.benchmark(group="a call that does nothing")
def test_retrying(benchmark):
    loops = sluicegate.retrying(sluicegate.Gate(POLICY))

    def call():
        for attempt in loops:
            with attempt:
                pass

    benchmark(call)


COMPLETION = {"messages": [{"role": "user", "content": "x"}], "mock_response": "an answer"}


@pytest.mark.benchmark(group="LiteLLM, answering itself")
def test_litellm(benchmark):
    litellm = pytest.importorskip("litellm")
    benchmark.pedantic(lambda: litellm.completion(model="openai/gpt-4o", **COMPLETION), rounds=500, warmup_rounds=50)


@pytest.mark.benchmark(group="LiteLLM, answering itself")
def test_litellm_router(benchmark):
    litellm = pytest.importorskip("litellm")
    model = {"model_name": "m", "litellm_params": {"model": "openai/gpt-4o", "api_key": "none"}}
    router = litellm.Router(model_list=[model])
    benchmark.pedantic(lambda: router.completion(model="m", **COMPLETION), rounds=500, warmup_rounds=50)


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    lane = {
        "region": "us-east-1",
        "model": MODEL,
        "first_token_us": 1,
        "per_input_token_ns": 0,
        "tokens_per_second": 10**9,
    }
    config = tmp_path_factory.mktemp("fake") / "lanes.json"
    config.write_text(json.dumps({"lanes": [lane]}), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "sluicegate", "serve-fake", "--config", str(config)], stdout=subprocess.PIPE, text=True
    )
    yield next(word for word in process.stdout.readline().split() if word.startswith("http://"))
    process.kill()
    process.wait()


def client(fake, **more):
    boto3 = pytest.importorskip("boto3")
    keys = {"aws_access_key_id": "sluicegate-local", "aws_secret_access_key": "sluicegate-local"}
    return boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=fake, **keys, **more)


def test_wrapped_boto3(fake):
    """In rounds, each in another order than the one before, so that whatever else the machine does falls on all alike."""
    config = pytest.importorskip("botocore.config").Config(retries={"total_max_attempts": 1, "mode": "legacy"})
    clients = {"as made": client(fake), "without retries": client(fake, config=config)}
    clients["wrapped"] = sluicegate.wrap(clients["as made"], policy=POLICY)
    order, rounds = list(clients), []
    for _ in range(ROUNDS + 100):
        order.append(order.pop(0))
        took = {}
        for name in order:
            begun = time.process_time_ns()
            clients[name].converse(**REQUEST)
            took[name] = (time.process_time_ns() - begun) / 1_000
        rounds.append(took)
    del rounds[:100]  # the first ones make connections
    for name in clients:
        times = [took[name] for took in rounds]
        tenth, half = statistics.quantiles(times, n=10)[0], statistics.median(times)
        print(f"\n{name}: least {min(times):.0f} us, tenth {tenth:.0f} us, median {half:.0f} us of CPU", end="")
    for name in ("as made", "without retries"):
        added = statistics.median(took["wrapped"] - took[name] for took in rounds)
        share = added / statistics.median(took[name] for took in rounds)
        print(f"\nwrap adds {added:+.1f} us to the client {name}, the median of {ROUNDS:,} rounds: {share:+.2%}", end="")
