"""boto3 from many threads: one line around the client, and two kinds of work that share its quota fairly."""

from concurrent.futures import ThreadPoolExecutor

import boto3
import sluicegate

POLICY = {
    "pools": {"virginia": {"requests_per_minute": 250, "tokens_per_minute": 1_000_000}},
    "endpoints": {
        "us-east-1": {
            "model": "claude",
            "target": "us.anthropic.claude-sonnet-4-6",
            "region": "us-east-1",
            "pools": ["virginia"],
        }
    },
}

bedrock = sluicegate.wrap(boto3.client("bedrock-runtime", region_name="us-east-1"), policy=POLICY)


def ask(kind, question):
    # A summary may take its time; whoever chats is gone after 20 seconds.
    with sluicegate.call(tenant=kind, deadline=20 if kind == "chat" else None):
        answer = bedrock.converse(modelId="claude", messages=[{"role": "user", "content": [{"text": question}]}])
    return answer["output"]["message"]["content"][0]["text"]


with ThreadPoolExecutor(8) as pool:
    answers = list(pool.map(ask, ["chat", "summary"] * 4, [f"What is {number} squared?" for number in range(8)]))
print(len(answers), "answers")
