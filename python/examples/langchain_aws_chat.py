"""LangChain's ChatBedrockConverse with a wrapped client. Leave out its own `.with_retry()`: two who retry multiply attempts."""

import boto3
import sluicegate
from langchain_aws import ChatBedrockConverse

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

bedrock = sluicegate.wrap(boto3.client("bedrock-runtime", region_name="us-east-1"), policy=POLICY)
# The provider has to be said, since the model's name is the policy's.
model = ChatBedrockConverse(model="claude", client=bedrock, provider="anthropic", max_tokens=100)

with sluicegate.call(tenant="chat", deadline=20):
    answer = model.invoke("How tall is the Eiffel Tower?")
print(answer.usage_metadata["output_tokens"], "tokens")
