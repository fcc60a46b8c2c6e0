"""The examples are run as written, each in a process of its own, with a fake Bedrock as the endpoint."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest
from conftest import PROFILE, lane

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
#: What each needs beside the package, and how many calls it makes.
NEEDS = {
    "aioboto3_tasks": ("aioboto3", 8),
    "aiobotocore_tasks": ("aiobotocore", 8),
    "anthropic_bedrock": ("anthropic", 1),
    "any_function": ("sluicegate", 0),
    "boto3_threads": ("boto3", 8),
    "langchain_aws_chat": ("langchain_aws", 1),
    "litellm_completion": ("litellm", 1),
    "own_loop": ("sluicegate", 0),
    "pydantic_ai_agent": ("pydantic_ai", 1),
    "strands_agent": ("strands", 1),
}


def test_every_example_is_run():
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(NEEDS)


@pytest.mark.parametrize("name", NEEDS)
def test_an_example_runs_as_written(serve, name):
    library, calls = NEEDS[name]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not here")
    fake = serve(lane("us-east-1", PROFILE))
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "sluicegate-local",
        "AWS_SECRET_ACCESS_KEY": "sluicegate-local",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": fake.url,
        "ANTHROPIC_BEDROCK_BASE_URL": fake.url,
        "AWS_BEDROCK_RUNTIME_ENDPOINT": fake.url,
        # Neither looks anything up on the net.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "OTEL_SDK_DISABLED": "true",
    }
    # What is never awaited or finished badly would be a warning.
    arguments = [sys.executable, "-W", "error::RuntimeWarning", str(EXAMPLES / f"{name}.py")]
    ran = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() and "RuntimeWarning" not in ran.stderr
    assert fake.attempts() == calls
