"""asyncio around a client of aioboto3's session."""

import asyncio

import aioboto3
import sluicegate

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
    return await bedrock.converse(modelId="claude", messages=[{"role": "user", "content": [{"text": question}]}])


async def main():
    async with aioboto3.Session().client("bedrock-runtime", region_name="us-east-1") as client:
        async with sluicegate.wrap(client, policy=POLICY) as bedrock:
            return await asyncio.gather(*[ask(bedrock, f"What is {number} squared?") for number in range(8)])


print(len(asyncio.run(main())), "answers")
