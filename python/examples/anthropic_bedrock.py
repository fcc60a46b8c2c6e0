"""Anthropic's own client, with a gate below its HTTP client. Its retries are switched off: the gate makes them."""

import sluicegate
from anthropic import AnthropicBedrock

try:
    import httpx2 as httpx  # what newer versions of the client use
except ImportError:
    import httpx

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

transport = sluicegate.Transport(httpx.HTTPTransport(), policy=POLICY)
client = AnthropicBedrock(aws_region="us-east-1", http_client=httpx.Client(transport=transport), max_retries=0)
answer = client.messages.create(
    model="claude", max_tokens=100, messages=[{"role": "user", "content": "How tall is the Eiffel Tower?"}]
)
print(answer.usage.output_tokens, "tokens")
