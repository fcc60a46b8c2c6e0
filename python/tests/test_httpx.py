"""The gate below httpx, as Anthropic's client uses it."""

import asyncio
import warnings

import pytest
import sluicegate
from conftest import ALWAYS, IMPATIENT, MODEL, failing, lane, policy

anthropic = pytest.importorskip("anthropic")
try:
    import httpx2 as httpx
except ImportError:
    import httpx

HELLO = [{"role": "user", "content": "Hello"}]
KEYS = {"aws_access_key": "sluicegate-local", "aws_secret_key": "sluicegate-local", "aws_region": "us-east-1"}


class Keys:
    """Credentials, as botocore hands them out."""

    access_key = secret_key = "sluicegate-local"
    token = None

    def get_frozen_credentials(self):
        return self


def client(fake, **more):
    transport = sluicegate.Transport(httpx.HTTPTransport(), policy=policy(**more), credentials=Keys())
    made = anthropic.AnthropicBedrock(base_url=fake.url, http_client=httpx.Client(transport=transport), **KEYS)
    return made, transport.gate


def ask(made, **more):
    return made.messages.create(model="claude", max_tokens=50, messages=HELLO, **more)


def test_a_message_goes_through_the_gate(serve):
    fake = serve()
    made, gate = client(fake)
    answer = ask(made)
    assert answer.usage.output_tokens == fake.totals()["tokens_settled"] - answer.usage.input_tokens
    assert (fake.attempts(), gate.in_flight) == (1, 0)


def test_a_stream_is_settled_at_its_end_or_when_it_is_left(serve):
    fake = serve()
    made, gate = client(fake, concurrency=1)
    kinds = [event.type for event in ask(made, stream=True)]
    assert (kinds[0], kinds[-1], gate.in_flight) == ("message_start", "message_stop", 0)
    with ask(made, stream=True) as stream:
        next(iter(stream))
        assert gate.in_flight == 1
    assert gate.in_flight == 0
    with made.messages.stream(model="claude", max_tokens=50, messages=HELLO) as stream:
        assert stream.get_final_message().usage.output_tokens > 0
    assert gate.in_flight == 0


def test_the_client_s_own_retries_do_not_multiply_the_gate_s(serve):
    fake = serve(failing("unable_to_process"))
    made, gate = client(fake, retry={**IMPATIENT, "max_attempts": 2})
    with pytest.raises(anthropic.APIStatusError) as caught:
        ask(made)
    assert (caught.value.status_code, fake.attempts(), gate.in_flight) == (503, 2, 0)


def test_an_error_in_a_stream_before_the_answer_is_tried_again_unnoticed(serve):
    effect = {"stream_error": {"error": "model_stream_error", "after_output_tokens": 0, "share_permille": 500}}
    fake = serve(lane(faults=[{**ALWAYS, "effect": effect}]))
    made, gate = client(fake, retry={**IMPATIENT, "max_attempts": 50})
    for _ in range(6):
        assert [event.type for event in ask(made, stream=True)][-1] == "message_stop"
    assert fake.totals()["completed"] == 6 and gate.in_flight == 0


def test_what_the_engine_ends_is_the_client_s_own_error(serve):
    fake = serve()
    made, gate = client(fake)
    with pytest.raises(anthropic.NotFoundError, match="no endpoint for model"):
        made.messages.create(model="nope", max_tokens=5, messages=HELLO)
    with sluicegate.call(deadline=-1), pytest.raises(anthropic.APIStatusError) as caught:
        ask(made)
    assert (caught.value.status_code, fake.attempts(), gate.in_flight) == (408, 0, 0)


def test_regions_of_a_policy_sign_and_send_for_themselves(serve):
    fake = serve(lane("us-east-1"), lane("eu-west-1", "eu." + MODEL))
    document = policy("us-east-1", "eu-west-1", concurrency=1)
    document["endpoints"]["eu-west-1"]["target"] = "eu." + MODEL
    transport = sluicegate.Transport(httpx.HTTPTransport(), policy=document, credentials=Keys())
    made = anthropic.AnthropicBedrock(base_url=fake.url, http_client=httpx.Client(transport=transport), **KEYS)
    with ask(made, stream=True), ask(made, stream=True):
        pass
    assert [fake.totals(0)["attempts"], fake.totals(1)["attempts"]] == [1, 1]


def test_the_host_of_aws_is_that_of_the_region():
    seen = []

    def answer(request):
        seen.append((request.url.host, request.url.raw_path, request.headers["authorization"].split("/")[2]))
        return httpx.Response(200, json={"usage": {}})

    document = policy("eu-west-1", model="arn:aws:bedrock:eu-west-1:1:inference-profile/eu.m")
    transport = sluicegate.Transport(httpx.MockTransport(answer), policy=document, credentials=Keys())
    with httpx.Client(transport=transport) as made:
        url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/claude/invoke"
        made.post(url, json={}, headers={"authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/bedrock"})
        made.get("https://example.com/elsewhere", headers={"authorization": "a/b/c"})
    path = b"/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.m/invoke"
    assert seen == [("bedrock-runtime.eu-west-1.amazonaws.com", path, "eu-west-1"), ("example.com", b"/elsewhere", "c")]


def test_the_asynchronous_client_does_the_same(serve):
    fake = serve()

    async def main():
        transport = sluicegate.AsyncTransport(httpx.AsyncHTTPTransport(), policy=policy(), credentials=Keys())
        async with httpx.AsyncClient(transport=transport) as http:
            made = anthropic.AsyncAnthropicBedrock(base_url=fake.url, http_client=http, max_retries=0, **KEYS)
            answers = await asyncio.gather(*[ask(made) for _ in range(8)])
            stream = await ask(made, stream=True)
            kinds = [event.type async for event in stream]
            with pytest.raises(anthropic.NotFoundError):
                await made.messages.create(model="nope", max_tokens=5, messages=HELLO)
            return len(answers), kinds[-1], transport.gate.in_flight

    with warnings.catch_warnings():
        warnings.simplefilter("error", sluicegate.StackedRetryWarning)
        assert asyncio.run(main()) == (8, "message_stop", 0)
    assert fake.totals()["completed"] == 9
