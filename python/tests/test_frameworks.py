"""Frameworks above a wrapped client, as their users set them up: each call goes through the gate, and none is made twice."""

import asyncio
import os
import warnings

import pytest
import sluicegate
from conftest import MODEL, boto, policy

TALK = "Hello"
os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", OTEL_SDK_DISABLED="true")


@pytest.fixture
def bedrock(serve, monkeypatch):
    """A wrapped client, its fake, and the environment that frameworks look for."""
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv("AWS_" + name, value)
    fake = serve()
    client = sluicegate.wrap(boto(fake.url), policy=policy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield client, fake
    assert client.gate.in_flight == 0


def test_langchain(bedrock):
    langchain_aws = pytest.importorskip("langchain_aws")
    client, fake = bedrock
    model = langchain_aws.ChatBedrockConverse(model="claude", client=client, provider="anthropic", max_tokens=50)
    # It does not know whether a model of this name streams.
    model.disable_streaming = False
    assert model.invoke(TALK).usage_metadata["output_tokens"] > 0
    assert len(list(model.stream(TALK))) > 1
    assert fake.totals()["completed"] == 2


def test_strands(bedrock):
    strands = pytest.importorskip("strands")
    from strands.models import BedrockModel

    client, fake = bedrock
    model = BedrockModel(model_id="claude")
    model.client = client
    answer = strands.Agent(model=model, callback_handler=None)(TALK)
    assert answer.stop_reason == "end_turn"
    assert fake.totals()["completed"] == 1


def test_pydantic_ai(bedrock):
    pydantic_ai = pytest.importorskip("pydantic_ai")
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    client, fake = bedrock
    model = BedrockConverseModel("claude", provider=BedrockProvider(bedrock_client=client))
    answer = pydantic_ai.Agent(model, retries=0).run_sync(TALK)
    assert answer.output
    assert fake.totals()["completed"] == 1


def test_litellm(bedrock):
    litellm = pytest.importorskip("litellm")
    import httpx
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler, HTTPHandler

    client, fake = bedrock
    gated = HTTPHandler(client=httpx.Client(transport=sluicegate.Transport(httpx.HTTPTransport(), policy=client.gate)))
    ask = {"model": "bedrock/converse/claude", "messages": [{"role": "user", "content": TALK}], "max_tokens": 50}
    ask.update(aws_bedrock_runtime_endpoint=fake.url, aws_region_name="us-east-1", num_retries=0)
    assert litellm.completion(client=gated, **ask).usage.completion_tokens > 0
    assert len(list(litellm.completion(client=gated, stream=True, **ask))) > 1

    async def main():
        handler = AsyncHTTPHandler()
        transport = sluicegate.AsyncTransport(httpx.AsyncHTTPTransport(), policy=client.gate)
        handler.client = httpx.AsyncClient(transport=transport)
        return await litellm.acompletion(client=handler, **ask)

    assert asyncio.run(main()).usage.completion_tokens > 0
    assert fake.totals()["completed"] == 3


def test_options_reach_through_a_framework(bedrock):
    langchain_aws = pytest.importorskip("langchain_aws")
    client, fake = bedrock
    model = langchain_aws.ChatBedrockConverse(model="claude", client=client, provider="anthropic", max_tokens=50)
    with sluicegate.call(deadline=-1), pytest.raises(client.exceptions.ModelTimeoutException):
        model.invoke(TALK)
    assert (fake.attempts(), MODEL in str(fake.ledger()["lanes"])) == (0, True)
