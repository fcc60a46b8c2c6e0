"""LiteLLM, with a gate below its HTTP client. Its own retries are switched off: the gate makes them."""

import httpx
import litellm
import sluicegate
from litellm.llms.custom_httpx.http_handler import HTTPHandler

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

gated = HTTPHandler(client=httpx.Client(transport=sluicegate.Transport(httpx.HTTPTransport(), policy=POLICY)))
answer = litellm.completion(
    model="bedrock/converse/claude",
    messages=[{"role": "user", "content": "How tall is the Eiffel Tower?"}],
    max_tokens=100,
    num_retries=0,
    aws_region_name="us-east-1",
    client=gated,
)
print(answer.usage.completion_tokens, "tokens")
