"""Streams: held back until they carry something, handed on as the client's own, settled at their end."""

import gc
import json

import pytest
import sluicegate
from conftest import ALWAYS, HELLO, IMPATIENT, MODEL, PROFILE, boto, lane, policy

pytest.importorskip("boto3")
from botocore.eventstream import EventStream  # noqa: E402
from botocore.exceptions import EventStreamError  # noqa: E402

MESSAGES = json.dumps(
    {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": [{"role": "user", "content": "Hello"}]}
)
METHODS = [
    ("converse_stream", "stream", {"messages": HELLO, "inferenceConfig": {"maxTokens": 99}}),
    ("invoke_model_with_response_stream", "body", {"body": MESSAGES}),
]


def breaking(error, after, region="us-east-1", model=MODEL):
    effect = {"stream_error": {"error": error, "after_output_tokens": after, "share_permille": 1000}}
    return lane(region, model, faults=[{**ALWAYS, "effect": effect}])


def read(stream):
    """The events of a stream and the error that ended it."""
    events = []
    try:
        events.extend(stream)
    except EventStreamError as error:
        return events, error
    return events, None


@pytest.mark.parametrize(("method", "field", "request_"), METHODS)
def test_events_are_those_of_the_bare_client(serve, method, field, request_):
    fake = serve(lane(output_multiplier=5))
    bare, settled = boto(fake.url), []
    gate = sluicegate.Gate(policy(), on_event=lambda at, event: settled.append(event))
    bedrock = sluicegate.wrap(bare, policy=gate)
    ours = getattr(bedrock, method)(modelId="claude", **request_)[field]
    theirs = getattr(bare, method)(modelId=MODEL, **request_)[field]
    assert isinstance(ours, EventStream) and gate.in_flight == 1
    got, want = list(ours), list(theirs)
    for events in (got, want):
        events[-1].get("metadata", {}).pop("metrics", None)
    without_metrics = slice(None) if method == "converse_stream" else slice(-1)
    assert got[without_metrics] == want[without_metrics]
    assert (gate.in_flight, list(ours)) == (0, [])
    [end] = [event for event in settled if isinstance(event, sluicegate.Event.Settled)]
    # By the usage in the stream: each output token of this model counts five times.
    assert (end.class_, end.spent_tokens) == ("success", fake.totals()["tokens_settled"] // 2)


@pytest.mark.parametrize(("method", "field", "request_"), METHODS)
def test_an_error_before_the_answer_begins_is_tried_again_unnoticed(serve, method, field, request_):
    fake = serve(breaking("model_stream_error", 0), lane("us-west-2"))
    document = policy("us-east-1", "us-west-2", retry=IMPATIENT)
    document["pools"]["us-west-2"] = {"concurrency": 1}
    bedrock = sluicegate.wrap(boto(fake.url), policy=document)
    for _ in range(8):
        events, error = read(getattr(bedrock, method)(modelId="claude", **request_)[field])
        assert (error, len(events) > 2) == (None, True)
    assert fake.totals(0)["failed"] >= 1
    assert bedrock.gate.in_flight == 0


STREAM_ERRORS = ["model_stream_error", "internal_server", "temporarily_unavailable", "requests_per_minute", "model_timeout"]


@pytest.mark.parametrize("after", [0, 20])
@pytest.mark.parametrize("error", STREAM_ERRORS)
@pytest.mark.parametrize(("method", "field", "request_"), METHODS)
def test_an_error_in_the_stream_comes_where_and_as_the_bare_client_raises_it(
    serve, method, field, request_, error, after
):
    fake = serve(breaking(error, after))
    bare, document = boto(fake.url), policy(retry={**IMPATIENT, "max_attempts": 1})
    request_ = {**request_, "modelId": "claude"}
    if error == "requests_per_minute" and not after:
        pytest.skip("a throttled call waits for its quota")
    bedrock = sluicegate.wrap(bare, policy=document)
    got, ours = read(getattr(bedrock, method)(**request_)[field])
    want, theirs = read(getattr(bare, method)(**{**request_, "modelId": MODEL})[field])
    assert got == want
    assert type(ours) is type(theirs) is EventStreamError
    assert (ours.response, str(ours), ours.operation_name) == (theirs.response, str(theirs), theirs.operation_name)
    assert bedrock.gate.in_flight == 0


@pytest.mark.parametrize("how", ["closed", "forgotten", "left"])
def test_a_stream_that_nobody_wants_any_more_gives_back_what_it_held(serve, how):
    bedrock = sluicegate.wrap(boto(serve().url), policy=policy(concurrency=1))
    answer = bedrock.converse_stream(modelId="claude", messages=HELLO)
    events = iter(answer["stream"])
    next(events)
    assert bedrock.gate.in_flight == 1
    if how == "closed":
        answer["stream"].close()
    elif how == "left":
        for _ in answer["stream"]:
            break
        assert bedrock.gate.in_flight == 1
    del events, answer
    gc.collect()
    assert bedrock.gate.in_flight == 0
    assert bedrock.converse(modelId="claude", messages=HELLO)["stopReason"] == "end_turn"


def test_a_stream_can_be_left_and_taken_up_again(serve):
    bedrock = sluicegate.wrap(boto(serve().url), policy=policy())
    stream = bedrock.converse_stream(modelId="claude", messages=HELLO)["stream"]
    for first in stream:
        break
    rest = list(stream)
    assert ("messageStart" in first, "metadata" in rest[-1]) == (True, True)
    assert bedrock.gate.in_flight == 0


def test_each_region_s_stream_is_of_its_own_target(serve):
    fake = serve(lane("eu-west-1", PROFILE))
    bedrock = sluicegate.wrap(boto(fake.url), policy=policy("eu-west-1", model=PROFILE))
    assert read(bedrock.converse_stream(modelId="claude", messages=HELLO)["stream"])[1] is None
    assert fake.totals()["completed"] == 1
