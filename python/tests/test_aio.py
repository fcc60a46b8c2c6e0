"""aiobotocore's client with a gate in front: what `test_boto3` and `test_streams` say holds in an event loop too."""

import asyncio
import gc
import json

import pytest
import sluicegate
from conftest import ALWAYS, CREDENTIALS, HELLO, IMPATIENT, MODEL, failing, lane, policy

pytest.importorskip("aiobotocore")
from aiobotocore.config import AioConfig  # noqa: E402
from aiobotocore.eventstream import AioEventStream  # noqa: E402
from aiobotocore.session import get_session  # noqa: E402
from botocore.exceptions import ClientError, EventStreamError, ParamValidationError  # noqa: E402

MESSAGES = json.dumps(
    {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
)
STREAMS = [("converse_stream", "stream", {"messages": HELLO}), ("invoke_model_with_response_stream", "body", {"body": MESSAGES})]


def bare(fake, **more):
    arguments = {"region_name": "us-east-1", "endpoint_url": fake.url, **CREDENTIALS, **more}
    return get_session().create_client("bedrock-runtime", **arguments)


def wrapped(fake, test, document=None, **more):
    """Runs a test with a bare client and a wrapped one."""

    async def main():
        async with bare(fake, **more) as client, sluicegate.wrap(client, policy=document or policy()) as bedrock:
            await test(client, bedrock)
            assert (bedrock.gate.in_flight, bedrock.gate.waiting) == (0, 0)

    asyncio.run(asyncio.wait_for(main(), 120))


async def read(stream):
    events = []
    try:
        async for event in stream:
            events.append(event)
    except EventStreamError as error:
        return events, error
    return events, None


def test_answers_are_those_of_the_bare_client(serve):
    async def test(client, bedrock):
        ask = {"messages": HELLO, "inferenceConfig": {"maxTokens": 20}}
        ours, theirs = await bedrock.converse(modelId="claude", **ask), await client.converse(modelId=MODEL, **ask)
        assert (ours["output"], ours["usage"]) == (theirs["output"], theirs["usage"])
        ours = await bedrock.invoke_model(modelId="claude", body=MESSAGES)
        theirs = await client.invoke_model(modelId=MODEL, body=MESSAGES)
        assert type(ours["body"]) is type(theirs["body"])
        async with ours["body"] as body:
            assert json.loads(await body.read()) == json.loads(await theirs["body"].read())
        counted = {"input": {"converse": {"messages": HELLO}}}
        assert (await bedrock.count_tokens(modelId="claude", **counted))["inputTokens"] == 6
        assert isinstance(bedrock, type(client))

    wrapped(serve(), test)


@pytest.mark.parametrize("error", ["unable_to_process", "validation", "access_denied", "overloaded"])
@pytest.mark.parametrize("method", ["converse", "invoke_model", "converse_stream"])
def test_each_error_is_the_bare_client_s_and_the_sdk_s_retries_are_off(serve, error, method):
    fake = serve(failing(error))
    request = {"body": MESSAGES} if method == "invoke_model" else {"messages": HELLO}

    async def test(client, bedrock):
        with pytest.raises(ClientError) as ours:
            await getattr(bedrock, method)(modelId="claude", **request)
        assert fake.attempts() == 1
        with pytest.raises(ClientError) as theirs:
            await getattr(client, method)(modelId=MODEL, **request)
        assert type(ours.value) is type(theirs.value)
        assert (str(ours.value), ours.value.response["Error"]) == (str(theirs.value), theirs.value.response["Error"])

    config = AioConfig(retries={"total_max_attempts": 1})
    wrapped(fake, test, policy(retry={**IMPATIENT, "max_attempts": 1}), config=config)


@pytest.mark.parametrize(("method", "field", "request_"), STREAMS)
def test_streams_are_the_client_s_own_and_settled_at_their_end(serve, method, field, request_):
    async def test(client, bedrock):
        stream = (await getattr(bedrock, method)(modelId="claude", **request_))[field]
        assert isinstance(stream, AioEventStream) and bedrock.gate.in_flight == 1
        events, error = await read(stream)
        assert (len(events) > 2, error, bedrock.gate.in_flight) == (True, None, 0)
        for how in ("closed", "forgotten"):
            answer = await getattr(bedrock, method)(modelId="claude", **request_)
            assert bedrock.gate.in_flight == 1
            if how == "closed":
                answer[field].close()
            del answer
            gc.collect()
            assert bedrock.gate.in_flight == 0

    wrapped(serve(), test)


@pytest.mark.parametrize("after", [0, 20])
@pytest.mark.parametrize(("method", "field", "request_"), STREAMS)
def test_an_error_in_the_stream_comes_where_the_bare_client_raises_it(serve, method, field, request_, after):
    effect = {"stream_error": {"error": "model_stream_error", "after_output_tokens": after, "share_permille": 1000}}

    async def test(client, bedrock):
        got, ours = await read((await getattr(bedrock, method)(modelId="claude", **request_))[field])
        want, theirs = await read((await getattr(client, method)(modelId=MODEL, **request_))[field])
        assert got == want
        assert (type(ours), ours.response, str(ours)) == (EventStreamError, theirs.response, str(theirs))

    fake = serve(lane(faults=[{**ALWAYS, "effect": effect}]))
    wrapped(fake, test, policy(retry={**IMPATIENT, "max_attempts": 1}))


def test_a_cancelled_task_gives_up_its_attempt(serve):
    fake = serve(lane(first_token_us=60_000_000))

    async def test(client, bedrock):
        for method, request in (("converse", {"messages": HELLO}), ("converse_stream", {"messages": HELLO})):
            task = asyncio.ensure_future(getattr(bedrock, method)(modelId="claude", **request))
            while bedrock.gate.in_flight < 1:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert bedrock.gate.in_flight == 0

    wrapped(fake, test)


def test_misuse_and_the_engine_s_own_ends_have_errors_of_their_own(serve):
    fake = serve()

    async def test(client, bedrock):
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            await bedrock.converse(modelId="nope", messages=HELLO)
        with sluicegate.call(deadline=-1), pytest.raises(client.exceptions.ModelTimeoutException):
            await bedrock.converse(modelId="claude", messages=HELLO)
        with pytest.raises(ParamValidationError):
            await bedrock.converse(modelId="claude", messages="Hello")
        with pytest.raises(ParamValidationError):
            await bedrock.converse(messages=HELLO)
        bedrock.gate.close()
        with pytest.raises(sluicegate.Closed):
            await bedrock.converse(modelId="claude", messages=HELLO)

    wrapped(fake, test)
    assert fake.attempts() == 0


def test_regions_get_clients_of_their_own(serve):
    fake = serve(lane("us-east-1"), lane("us-west-2"))

    async def test(client, bedrock):
        seen = []
        bedrock.meta.events.register("before-send.bedrock-runtime", lambda request, **_: seen.append(request.url))
        first = await bedrock.converse_stream(modelId="claude", messages=HELLO)
        second = await bedrock.converse_stream(modelId="claude", messages=HELLO)
        for answer in (first, second):
            await read(answer["stream"])
        assert len(seen) == 2

    wrapped(fake, test, policy("us-east-1", "us-west-2", concurrency=1))
    assert [fake.totals(0)["attempts"], fake.totals(1)["attempts"]] == [1, 1]
