"""boto3's client with a gate in front, against the embedded fake: the same client to whoever calls it."""

import io
import json
import subprocess

import pytest
import sluicegate
from conftest import ALWAYS, HELLO, IMPATIENT, MODEL, PROFILE, boto, failing, in_threads, lane, policy, until

boto3 = pytest.importorskip("boto3")
from botocore.client import BaseClient  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError  # noqa: E402

MESSAGES = json.dumps(
    {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
)


def without_ids(response):
    """A response without what differs from one request to the next."""
    if not isinstance(response, dict):
        return response
    changing = {"RequestId", "date", "x-amzn-requestid", "latencyMs"}
    return {name: without_ids(value) for name, value in response.items() if name not in changing}


def test_answers_are_those_of_the_bare_client(serve):
    fake = serve()
    bare = boto(fake.url)
    bedrock = sluicegate.wrap(bare, policy=policy())
    ask = {"messages": HELLO, "inferenceConfig": {"maxTokens": 20}}
    ours, theirs = bedrock.converse(modelId="claude", **ask), bare.converse(modelId=MODEL, **ask)
    assert without_ids(ours) == without_ids(theirs)
    ours, theirs = bedrock.invoke_model(modelId="claude", body=MESSAGES), bare.invoke_model(modelId=MODEL, body=MESSAGES)
    assert type(ours["body"]) is type(theirs["body"])
    assert json.loads(ours.pop("body").read()) == json.loads(theirs.pop("body").read())
    assert without_ids(ours) == without_ids(theirs)
    counted = {"input": {"converse": {"messages": HELLO}}}
    assert bedrock.count_tokens(modelId="claude", **counted)["inputTokens"] == 6
    assert bedrock.gate.in_flight == 0


def test_it_is_the_same_client_in_all_else(serve):
    bare = boto(serve().url)
    bedrock = sluicegate.wrap(bare, policy=policy())
    assert isinstance(bedrock, BaseClient) and isinstance(bedrock, type(bare))
    assert (bedrock.meta.region_name, bedrock.meta.endpoint_url) == (bare.meta.region_name, bare.meta.endpoint_url)
    assert bedrock.exceptions.ThrottlingException is bare.exceptions.ThrottlingException
    assert bedrock.can_paginate("list_async_invokes") and bedrock.get_paginator("list_async_invokes")
    assert type(bedrock).__name__ == type(bare).__name__
    with pytest.raises(AttributeError, match="has no attribute 'sing'"):
        bedrock.sing()
    bedrock.close()


@pytest.mark.parametrize("retries", [{}, {"max_attempts": 5}, {"mode": "adaptive", "total_max_attempts": 7}])
def test_the_sdk_s_own_retries_are_off_by_the_server_s_count(serve, retries):
    # Whatever the client was made to do by itself, the policy alone counts.
    fake = serve(failing("unable_to_process"))
    bare = boto(fake.url, config=Config(retries=retries) if retries else None)
    requests = {"converse": {"messages": HELLO}, "converse_stream": {"messages": HELLO}}
    requests.update(invoke_model={"body": MESSAGES}, invoke_model_with_response_stream={"body": MESSAGES})
    for number, (method, request) in enumerate(requests.items(), 1):
        bedrock = sluicegate.wrap(bare, policy=policy(retry={**IMPATIENT, "max_attempts": 2}))
        with pytest.raises(bare.exceptions.ServiceUnavailableException):
            getattr(bedrock, method)(modelId="claude", **request)
        assert fake.attempts() == 2 * number


def test_a_policy_spreads_calls_over_regions_and_sends_each_its_own_target(serve):
    fake = serve(lane("us-east-1", MODEL), lane("us-west-2", PROFILE))
    document = policy("us-east-1", "us-west-2", concurrency=1)
    document["endpoints"]["us-west-2"]["target"] = PROFILE
    bedrock = sluicegate.wrap(boto(fake.url), policy=document)
    first = bedrock.converse_stream(modelId="claude", messages=HELLO)
    second = bedrock.converse_stream(modelId="claude", messages=HELLO)
    assert [list(answer["stream"])[-1].keys() for answer in (first, second)] == [{"metadata"}] * 2
    assert [fake.totals(0)["attempts"], fake.totals(1)["attempts"]] == [1, 1]


ERRORS = [
    "requests_per_minute",
    "tokens_per_minute",
    "tokens_per_day",
    "model_overloaded",
    "model_not_ready",
    "too_many_connections",
    "overloaded",
    "model_timeout",
    "model_error",
    "internal_server",
    "validation",
    "needs_profile",
    "access_denied",
    "unrecognized_client",
    "resource_not_found",
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("method", ["converse", "converse_stream", "invoke_model", "invoke_model_with_response_stream"])
def test_each_error_of_the_service_is_the_bare_client_s(serve, error, method):
    bare = boto(serve(failing(error)).url, config=Config(retries={"total_max_attempts": 1}))
    bedrock = sluicegate.wrap(bare, policy=policy(retry={"max_attempts": 1}))
    request = {"messages": HELLO} if method.startswith("converse") else {"body": MESSAGES}

    def caught(client, model):
        try:
            getattr(client, method)(modelId=model, **request)
        except ClientError as error:
            return error

    errors = []
    [thread] = in_threads(lambda: errors.append(caught(bedrock, "claude")))
    # Throttled calls wait for their quota for as long as it takes; this one gives up.
    until(lambda: bedrock.gate.waiting or not thread.is_alive())
    bedrock.gate.cancel_waiting()
    thread.join(60)
    [ours], theirs = errors, caught(bare, MODEL)
    assert type(ours) is type(theirs) and theirs is not None
    assert without_ids(ours.response) == without_ids(theirs.response)
    assert (str(ours), ours.operation_name) == (str(theirs), theirs.operation_name)
    assert bedrock.gate.in_flight == 0


def test_a_body_that_is_read_once_is_sent_as_often_as_it_takes(serve):
    effect = {"error": {"error": "unable_to_process", "share_permille": 500}}
    fake = serve(lane(faults=[{**ALWAYS, "effect": effect}]))
    bedrock = sluicegate.wrap(boto(fake.url), policy=policy(retry={**IMPATIENT, "max_attempts": 50}))
    for _ in range(4):
        answer = bedrock.invoke_model(modelId="claude", body=io.BytesIO(MESSAGES.encode()))
        assert json.loads(answer["body"].read())["usage"]["output_tokens"] > 0
    assert fake.totals()["completed"] == 4


def test_what_never_left_is_the_client_s_own_error():
    bare = boto("http://127.0.0.1:9")
    bedrock = sluicegate.wrap(bare, policy=policy(retry={**IMPATIENT, "max_attempts": 2}))
    with pytest.raises(EndpointConnectionError):
        bedrock.converse(modelId="claude", messages=HELLO)
    with pytest.raises(ParamValidationError):
        bedrock.converse(modelId="claude", messages="Hello")
    with pytest.raises(ParamValidationError):
        bedrock.converse(messages=HELLO)
    with pytest.raises(ParamValidationError):
        bedrock.converse(modelId=5, messages=HELLO)
    with pytest.raises(TypeError, match="keyword arguments"):
        bedrock.converse("claude")
    with pytest.raises(ParamValidationError):
        bedrock.invoke_model(modelId="claude", body=3)
    assert bedrock.gate.in_flight == 0


@pytest.mark.parametrize(
    ("options", "request_", "code", "name", "status"),
    [
        ({"deadline": -1}, {}, "expired", "ModelTimeoutException", 408),
        ({}, {"inferenceConfig": {"maxTokens": 50_000}}, "too_large", "ValidationException", 400),
        ({}, {"modelId": "nope"}, "unknown_model", "ResourceNotFoundException", 404),
    ],
)
def test_what_the_engine_ends_is_an_error_of_both_kinds(serve, options, request_, code, name, status):
    fake = serve()
    request = {"modelId": "claude", "messages": HELLO, "inferenceConfig": {"maxTokens": 9}, **request_}
    for method in ("converse", "converse_stream"):
        bedrock = sluicegate.wrap(boto(fake.url), policy=policy(tokens_per_minute=10_000))
        with sluicegate.call(**options), pytest.raises(sluicegate.SluicegateError) as caught:
            getattr(bedrock, method)(**request)
        error = caught.value
        assert isinstance(error, getattr(bedrock.exceptions, name)) and isinstance(error, ClientError)
        assert error.code == code
        assert (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]) == (name, status)
        assert error.response["Error"]["Message"] == str(error)
        assert (fake.attempts(), bedrock.gate.in_flight, bedrock.gate.waiting) == (0, 0, 0)


def test_a_closed_gate_takes_no_call(serve):
    bedrock = sluicegate.wrap(boto(serve().url), policy=policy())
    bedrock.gate.close()
    with pytest.raises(sluicegate.Closed):
        bedrock.converse(modelId="claude", messages=HELLO)


def test_several_clients_share_one_gate(serve):
    fake = serve()
    gate = sluicegate.Gate(policy(concurrency=1))
    first, second = (sluicegate.wrap(boto(fake.url), policy=gate) for _ in range(2))
    assert first.gate is second.gate is gate
    threads = in_threads(*[lambda c=c: c.converse(modelId="claude", messages=HELLO) for c in (first, second) * 4])
    for thread in threads:
        thread.join(60)
    assert fake.totals()["completed"] == 8


def test_handlers_of_the_wrapped_client_see_the_requests_of_every_region(serve):
    fake = serve(lane("us-east-1"), lane("us-west-2"))
    bedrock = sluicegate.wrap(boto(fake.url), policy=policy("us-east-1", "us-west-2", concurrency=1))
    seen = []
    bedrock.meta.events.register("before-send.bedrock-runtime", lambda request, **_: seen.append(request.url))
    held = [bedrock.converse_stream(modelId="claude", messages=HELLO)]
    bedrock.meta.events.register("before-call.bedrock-runtime", lambda **_: seen.append("call"))
    held.append(bedrock.converse_stream(modelId="claude", messages=HELLO))
    bedrock.count_tokens(modelId="claude", input={"converse": {"messages": HELLO}})
    assert [each.rsplit("/", 1)[-1] for each in seen] == ["converse-stream", "call", "converse-stream", "call", "count-tokens"]


def test_whoever_retries_on_top_is_told_once(serve):
    bedrock = sluicegate.wrap(boto(serve(failing("access_denied")).url), policy=policy())
    with pytest.warns(sluicegate.StackedRetryWarning) as warned:
        for _ in range(4):
            with pytest.raises(ClientError):
                bedrock.converse(modelId="claude", messages=HELLO)
    assert len(warned) == 1


def test_what_is_no_client_for_bedrock_runtime_is_a_type_error():
    with pytest.raises(TypeError, match="bedrock-runtime"):
        sluicegate.wrap(boto3.client("sts", region_name="us-east-1"), policy=policy())
    with pytest.raises(sluicegate.PolicyError):
        sluicegate.wrap(boto("http://127.0.0.1:9"), policy={})


def test_the_package_needs_no_sdk():
    import sys

    program = (
        "import sys\n"
        "sys.modules['botocore'] = sys.modules['aiobotocore'] = sys.modules['httpx'] = None\n"
        "import sluicegate\n"
        "print(sluicegate.Gate)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
