"""The pieces alone, and that no argument can do more than raise an error with a name."""

import datetime
import decimal
import json
import math
import pathlib
import pickle
import random

import pytest
import sluicegate
from sluicegate import (
    Admission,
    Backoff,
    Breaker,
    Decision,
    EndReason,
    Engine,
    Input,
    InputError,
    Limiter,
    Outcome,
    Policy,
    PolicyError,
    RetryBudget,
    Rng,
    Verdict,
    Withdrawal,
    classify,
    estimate,
)

SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
POLICY = {
    "pools": {"virginia": {"requests_per_minute": 60}},
    "endpoints": {"us-east-1": {"model": "claude", "pools": ["virginia"]}},
}
#: Whatever is not a whole number of 64 bits.
TOO_FAR = [-1, 2**64, -(2**64), 2**200]
NO_WHOLE_NUMBER = [math.nan, math.inf, 1.5, "1", None, [], object()]


def test_the_loop_of_the_engine():
    engine, rng = Engine(Policy.parse(POLICY), 0), Rng(7)
    engine.handle(0, Input.Submit(1, 0, 1_500), rng)
    sent = engine.poll_decision()
    assert isinstance(sent, Decision.Send) and (sent.call, sent.endpoint, sent.max_tokens) == (1, 0, None)
    assert engine.poll_decision() is None and engine.in_flight == 1
    engine.handle(2_000_000, Input.Report(sent.attempt, Outcome.success(900)), rng)
    assert engine.poll_decision() == Decision.End(1, EndReason.Answered())
    assert engine.next_wakeup() is None
    assert engine.explain(2_000_000, 1).phase.reason == EndReason.Answered()
    assert "answered" in engine.describe(2_000_000, engine.explain(2_000_000, 1))
    assert engine.explain(2_000_000, 2) is None


def test_values_can_be_matched_compared_hashed_and_read():
    end = Decision.End(3, EndReason.Refused("too_large", 500, None))
    assert repr(end) == "Decision.End(call=3, reason=EndReason.Refused(why='too_large', limit=500, retry_at=None))"
    assert end == Decision.End(3, EndReason.Refused("too_large", 500, None)) and end != Decision.End(4, end.reason)
    assert len({end, Decision.End(3, end.reason)}) == 1
    assert Decision.End.__match_args__ == ("call", "reason")
    with pytest.raises(AttributeError):
        end.call = 4


def test_the_same_seed_gives_the_same_delays():
    delays = [[Backoff().delay(retry, rng) for retry in range(9)] for rng in (Rng(3), Rng(3), Rng(4))]
    assert delays[0] == delays[1] != delays[2]
    assert Backoff({"curve": "exponential", "base_ms": 1_000, "cap_ms": 20_000}).delay(3, Rng()) == 8_000_000
    assert Backoff({"preset": "seed-article"}).delay(0, Rng.listed([0])) == 1_000_000
    assert Backoff().delay(0, Rng.listed([0]), hint_us=7) >= 7


def test_a_limiter_takes_its_pools_section():
    limiter = Limiter({"tokens_per_minute": 60_000}, 0)
    granted = limiter.acquire(0, 1_200)
    assert isinstance(granted, Admission.Granted) and granted.permit.tokens == 1_200
    late = limiter.acquire(0, 1_000)
    assert isinstance(late, Admission.NotBefore) and late.quota == "tokens"
    limiter.settle(0, granted.permit, 200)
    with pytest.raises(InputError) as caught:
        limiter.settle(0, granted.permit, 200)
    assert caught.value.code == "permit_settled"
    assert isinstance(limiter.acquire(0, 70_000), Admission.Never)


def test_a_limiter_learns_from_refusals():
    limiter = Limiter({}, 0)
    for second in range(20):
        limiter.acquire(second * 1_000_000, 100)
    assert limiter.limit("requests") is None
    quota, limit = limiter.refused(20_000_000, 19_000_000, 100, "requests")
    assert quota == "requests" and limiter.limit("requests") == limit
    assert isinstance(limiter.acquire(20_000_000, 100), Admission.NotBefore)


def test_a_breaker_opens_and_probes():
    breaker, rng = Breaker({"minimum_attempts": 2, "open_ms": 2_000}), Rng.listed([0])
    for _ in range(2):
        assert breaker.acquire(0) == Verdict.Pass()
        breaker.record(0, True, 5_000, rng)
    assert breaker.state == "open"
    assert breaker.acquire(0) == Verdict.OpenUntil(2_000_000)
    assert breaker.acquire(2_000_000) == Verdict.Probe()


def test_a_budget_pays_until_it_is_empty():
    budget = RetryBudget({"capacity": 1, "per_second": 1, "ratio_permille": 0}, 0)
    assert budget.withdraw(0, "throttled") == Withdrawal.Paid(1_000)
    assert budget.withdraw(0, "other") == Withdrawal.TooLittle(1_000_000)
    assert budget.left(500_000) == 500


@pytest.mark.parametrize("piece", [Backoff, Breaker, lambda it: Limiter(it, 0), lambda it: RetryBudget(it, 0)])
def test_the_faults_of_a_section_point_into_it(piece):
    with pytest.raises(PolicyError) as caught:
        piece({"no_such_field": 1})
    assert [fault.pointer for fault in caught.value.faults] == ["/no_such_field"]
    with pytest.raises(PolicyError):
        piece([1])


@pytest.mark.parametrize("number", TOO_FAR)
def test_numbers_out_of_range_have_an_error_of_their_own(number):
    engine, rng, policy = Engine(Policy.parse(POLICY), 0), Rng(1), Policy.parse(POLICY)
    for misuse in (
        lambda: Engine(policy, number),
        lambda: engine.handle(number, Input.Wake(), rng),
        lambda: Input.Submit(number, 0, 0),
        lambda: Input.Submit(0, number, 0),
        lambda: Input.Submit(0, 0, number),
        lambda: Input.Submit(0, 0, 0, priority=number),
        lambda: Input.Report(number, Outcome.success(0)),
        lambda: Outcome.success(number),
        lambda: Outcome("overloaded", retry_after_us=number),
        lambda: Rng(number),
        lambda: Rng.listed([0, number]),
        lambda: engine.explain(0, number),
        lambda: Limiter({}, 0).acquire(0, number),
        lambda: Backoff().delay(number, rng),
    ):
        with pytest.raises(InputError) as caught:
            misuse()
        assert caught.value.code == "out_of_range"


@pytest.mark.parametrize("value", NO_WHOLE_NUMBER)
def test_what_is_no_whole_number_is_a_type_error(value):
    engine, rng = Engine(Policy.parse(POLICY), 0), Rng(1)
    for misuse in (
        lambda: engine.handle(value, Input.Wake(), rng),
        lambda: engine.handle(0, value, rng),
        lambda: Input.Submit(value, 0, 0),
        lambda: Outcome.success(value),
        lambda: Limiter({}, 0).acquire(0, value),
    ):
        with pytest.raises(TypeError):
            misuse()


def test_ids_that_nobody_knows_have_the_engines_codes():
    engine, rng = Engine(Policy.parse(POLICY), 0), Rng(1)
    engine.handle(0, Input.Submit(1, 0, 1), rng)
    for code, misuse in (
        ("duplicate_call", Input.Submit(1, 0, 1)),
        ("unknown_model", Input.Submit(2, 9, 1)),
        ("unknown_call", Input.Cancel(9)),
        ("unknown_attempt", Input.Report(9, Outcome.success(1))),
    ):
        with pytest.raises(InputError) as caught:
            engine.handle(0, misuse, rng)
        assert caught.value.code == code


def test_words_that_nobody_knows_are_told_with_those_there_are():
    for misuse in (lambda: Outcome("slow"), lambda: Outcome("success", spent="much"), lambda: EndReason.Failed("slow")):
        with pytest.raises(InputError) as caught:
            misuse()
        assert caught.value.code == "unknown_name"
    with pytest.raises(InputError, match="overloaded"):
        Outcome("slow")


@pytest.mark.parametrize("document", [None, 1, "text", b"bytes", [], {}, {1: 2}, {"pools": object()}, {"endpoints": 3}])
def test_what_is_no_policy_is_a_policy_error_or_a_type_error(document):
    with pytest.raises((PolicyError, TypeError)):
        Policy.parse(document)


def test_a_policy_that_contains_itself_is_an_error():
    document = {}
    document["pools"] = document
    with pytest.raises(RecursionError):
        Policy.parse(document)


def test_numbers_that_json_cannot_hold_are_faults():
    for number in (math.nan, math.inf, 2**64, -1, 1.5, True):
        with pytest.raises(PolicyError) as caught:
            Policy.parse({**POLICY, "pools": {"virginia": {"requests_per_minute": number}}})
        assert [fault.pointer for fault in caught.value.faults] == ["/pools/virginia/requests_per_minute"]


def test_any_order_of_any_inputs_ends_in_decisions_or_errors():
    """Ten thousand inputs out of a seed, at any times, with any numbers: nothing but what is promised."""
    dice = random.Random(20261123)
    rng = Rng(1)

    def number(most):
        return dice.choice([0, 1, most, dice.randrange(most + 1), dice.randrange(20)])

    engine, now = Engine(Policy.parse(POLICY), 0), 0
    for _ in range(10_000):
        now = min(dice.choice([now, now + dice.randrange(10**8), number(2**64 - 1)]), 2**64 - 1)
        given = dice.choice(
            [
                lambda: Input.Submit(number(30), number(1), number(2**64 - 1), deadline=number(2**64 - 1)),
                lambda: Input.Report(number(30), Outcome(dice.choice(sluicegate_classes()), spent=number(2**64 - 1))),
                lambda: Input.Cancel(number(30)),
                Input.Wake,
            ]
        )()
        try:
            engine.handle(now, given, rng)
        except InputError as error:
            assert error.code in ("duplicate_call", "unknown_call", "unknown_attempt", "unknown_model")
        while engine.poll_decision() is not None:
            pass
        while engine.poll_event() is not None:
            pass


def sluicegate_classes():
    return ("success", "throttled_requests", "overloaded", "timed_out", "refused", "cancelled")


def test_errors_survive_pickling():
    with pytest.raises(PolicyError) as caught:
        Policy.parse({})
    for error in (caught.value, InputError("text", "out_of_range"), sluicegate.Refused("text", "deadline", 2.5)):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.code) == (type(error), str(error), error.code)
    assert pickle.loads(pickle.dumps(sluicegate.Refused("text", "deadline", 2.5))).retry_at == 2.5


def test_errors_of_any_client_are_classified_by_what_they_carry():
    class Refused(Exception):
        response = {
            "Error": {"Code": "ThrottlingException", "Message": "Too many tokens, please wait."},
            "ResponseMetadata": {"HTTPStatusCode": 429, "HTTPHeaders": {"retry-after": "3"}},
        }

    outcome = classify(Refused())
    assert (outcome.class_, outcome.retry_after_us) == ("throttled_tokens", 3_000_000)
    assert classify(TimeoutError()).class_ == "timed_out"
    assert classify(ConnectionRefusedError()).spent == "never_sent"
    assert classify(ValueError()).class_ == "refused"


def test_an_estimate_counts_what_becomes_the_prompt():
    request = {
        "modelId": SONNET,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"text": "x" * 3_000},
                    {"image": {"format": "png", "source": {"bytes": b"\0" * 10_000}}},
                    {"document": {"format": "pdf", "name": "d", "source": {"bytes": bytearray(150_000)}}},
                ],
            }
        ],
        "inferenceConfig": {"maxTokens": 500},
        "additionalModelRequestFields": {"a": decimal.Decimal("1.5"), "b": datetime.datetime(2026, 11, 23)},
    }
    found = estimate(request)
    assert (found.images, found.document_pages, found.max_tokens) == (1, 3, 500)
    assert found.text_bytes == 3_001 and found.reserved_tokens == found.input_tokens + 500
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 3_000}], "max_tokens": 300})
    for form in (body, body.encode(), bytearray(body.encode())):
        assert estimate(form, model=SONNET).max_tokens == 300
    assert estimate({"modelId": SONNET, "body": body}) == estimate(body, model=SONNET)
    assert estimate(b"\xff", model=SONNET).text_bytes == 0
    with pytest.raises(InputError, match="model="):
        estimate(body)
    with pytest.raises(TypeError):
        estimate(3, model=SONNET)


PLAN = {
    "policies": ["sluicegate"],
    "seeds": 1,
    "service": {"regions": ["us-east-1"], "each": {"requests_per_minute": 60}},
    "calls": {"load": 1.5},
}


def test_a_plan_is_played_from_any_form(tmp_path):
    text = """
        policies = ["sluicegate"]
        seeds = 1
        service = { regions = ["us-east-1"], each = { requests_per_minute = 60 } }
        calls = { load = 1.5 }
    """
    figures = sluicegate.simulate(PLAN)
    assert figures["name"] == "plan" and figures["points"][0]["policies"][0]["policy"] == "sluicegate"
    assert sluicegate.simulate(text) == figures
    path = tmp_path / "plan.toml"
    path.write_text(text)
    assert sluicegate.simulate(path) == figures
    assert sluicegate.simulate({**PLAN, "title": None})["points"] == figures["points"]


def test_a_faulty_plan_is_told_with_its_places():
    with pytest.raises(sluicegate.PlanError, match="plan.toml:1:"):
        sluicegate.simulate("no_such_field = 1")
    with pytest.raises(sluicegate.PlanError):
        sluicegate.simulate({**PLAN, "seeds": 0})
    with pytest.raises(OSError):
        sluicegate.simulate(pathlib.Path("no-such-plan.toml"))
