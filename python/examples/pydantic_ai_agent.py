"""An agent of pydantic-ai with a wrapped client. Its `retries` are those of tools and outputs, and may stay."""

import boto3
import sluicegate
from pydantic_ai import Agent
from pydantic_ai.models.bedrock import BedrockConverseModel
from pydantic_ai.providers.bedrock import BedrockProvider

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
model = BedrockConverseModel("claude", provider=BedrockProvider(bedrock_client=bedrock))
print(len(Agent(model).run_sync("How tall is the Eiffel Tower?").output) > 0)
