"""asyncio around a client of aiobotocore: no thread waits, and cancelling a task gives back what its call held."""

import asyncio

import sluicegate
from aiobotocore.session import get_session

POLICY = {
    "pools": {"virginia": {"requests_per_minute": 250}},
    "endpoints": {
        "us-east-1": {
            "model": "claude",
            "target": "us.anthropic.claude-sonnet-4-6",
            "region": "us-east-1",
            "pools": ["virginia"],
        }
    },
}


async def ask(bedrock, question):
    answer = await bedrock.converse_stream(
        modelId="claude", messages=[{"role": "user", "content": [{"text": question}]}]
    )
    text = ""
    async for event in answer["stream"]:
        text += event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
    return text


async def main():
    async with get_session().create_client("bedrock-runtime", region_name="us-east-1") as client:
        async with sluicegate.wrap(client, policy=POLICY) as bedrock:
            return await asyncio.gather(*[ask(bedrock, f"What is {number} squared?") for number in range(8)])


print(len(asyncio.run(main())), "answers")
