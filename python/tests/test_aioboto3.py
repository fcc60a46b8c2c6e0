"""The client of aioboto3's session is aiobotocore's, and is wrapped like it; `test_aio` says what holds of that."""

import asyncio

import pytest
import sluicegate
from conftest import CREDENTIALS, HELLO, MODEL, lane, policy

aioboto3 = pytest.importorskip("aioboto3")


def test_a_client_of_its_session_is_wrapped_like_one_of_aiobotocore(serve):
    fake = serve(lane("us-east-1"), lane("us-west-2"))

    async def main():
        session = aioboto3.Session(**CREDENTIALS)
        async with session.client("bedrock-runtime", region_name="us-east-1", endpoint_url=fake.url) as client:
            async with sluicegate.wrap(client, policy=policy("us-east-1", "us-west-2", concurrency=1)) as bedrock:
                assert isinstance(bedrock, type(client))
                ours, theirs = await bedrock.converse(modelId="claude", messages=HELLO), await client.converse(
                    modelId=MODEL, messages=HELLO
                )
                assert ours["usage"] == theirs["usage"]
                streams = [await bedrock.converse_stream(modelId="claude", messages=HELLO) for _ in range(2)]
                kinds = [[next(iter(event)) async for event in answer["stream"]] for answer in streams]
                assert [kind[-1] for kind in kinds] == ["metadata", "metadata"]
                with pytest.raises(client.exceptions.ResourceNotFoundException):
                    await bedrock.converse(modelId="nope", messages=HELLO)
                assert (bedrock.gate.in_flight, bedrock.gate.waiting) == (0, 0)

    asyncio.run(asyncio.wait_for(main(), 120))
    # Two streams at once need both Regions, and the answer of the bare client is the one more.
    assert fake.attempts() == 4 and fake.totals(1)["attempts"] >= 1
