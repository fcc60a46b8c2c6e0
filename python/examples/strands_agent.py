"""An agent of strands-agents with a wrapped client, and without its own retries where it has any."""

import inspect

import boto3
import sluicegate
from strands import Agent
from strands.models import BedrockModel

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

model = BedrockModel(model_id="claude", region_name="us-east-1")
model.client = sluicegate.wrap(boto3.client("bedrock-runtime", region_name="us-east-1"), policy=POLICY)
no_retries = {"retry_strategy": None} if "retry_strategy" in inspect.signature(Agent).parameters else {}
agent = Agent(model=model, callback_handler=None, **no_retries)

with sluicegate.call(tenant="agents"):
    answer = agent("How tall is the Eiffel Tower?")
print(answer.stop_reason)
