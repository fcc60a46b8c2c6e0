"""The loop around one call: what is tried again, what is raised, and that nothing is left behind."""

import asyncio
import time

import pytest
import sluicegate


class Down(Exception):
    """An error as botocore makes it."""

    def __init__(self, code="ServiceUnavailableException", status=503, headers=None):
        super().__init__(code)
        metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers or {}}
        self.response = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": metadata}


#: Delays of a millisecond.
QUICK = {
    "pools": {"all": {}},
    "endpoints": {"one": {"model": "m", "pools": ["all"]}},
    "retry": {"max_attempts": 3, "overloaded": {"base_ms": 1, "cap_ms": 1}},
}


def test_a_first_success_is_the_only_attempt():
    numbers = []
    for attempt in sluicegate.retrying(QUICK):
        with attempt:
            numbers.append(attempt.number)
    assert numbers == [1]


def test_what_passes_is_tried_again_until_it_succeeds():
    numbers = []
    for attempt in sluicegate.retrying(QUICK):
        with attempt:
            numbers.append(attempt.number)
            if attempt.number < 3:
                raise Down
    assert numbers == [1, 2, 3]


def test_the_last_error_is_raised_when_the_attempts_are_used_up():
    errors = []
    with pytest.raises(Down) as caught:
        for attempt in sluicegate.retrying(QUICK):
            with attempt:
                errors.append(Down())
                raise errors[-1]
    assert len(errors) == 3 and caught.value is errors[-1]


def test_what_would_end_the_same_way_is_raised_at_once():
    numbers = []
    with pytest.raises(ValueError, match="a fault of our own"):
        for attempt in sluicegate.retrying(QUICK):
            with attempt:
                numbers.append(attempt.number)
                raise ValueError("a fault of our own")
    assert numbers == [1]


def test_an_interruption_is_not_held_up():
    gate = sluicegate.Gate(QUICK)
    with pytest.raises(KeyboardInterrupt):
        for attempt in sluicegate.retrying(gate):
            with attempt:
                raise KeyboardInterrupt
    assert (gate.in_flight, gate.waiting) == (0, 0)


def test_leaving_the_loop_gives_the_call_up():
    gate = sluicegate.Gate(QUICK)
    for attempt in sluicegate.retrying(gate):
        break
    assert attempt.number == 1
    assert (gate.in_flight, gate.waiting) == (0, 0)


def test_an_attempt_must_be_made_inside_its_with_statement():
    with pytest.raises(RuntimeError, match="with attempt"):
        for _ in sluicegate.retrying(QUICK):
            pass


def test_the_services_own_word_is_waited_for():
    begun = time.monotonic()
    for attempt in sluicegate.retrying(QUICK):
        with attempt:
            if attempt.number == 1:
                raise Down(headers={"x-amz-retry-after": "200"})
    assert time.monotonic() - begun >= 0.2


def test_a_retry_that_would_come_too_late_is_not_waited_for():
    begun = time.monotonic()
    with pytest.raises(Down):
        for attempt in sluicegate.retrying(QUICK, deadline=5):
            with attempt:
                raise Down(headers={"x-amz-retry-after": "600000"})
    assert time.monotonic() - begun < 60


def test_a_call_that_the_engine_ends_says_so():
    full = {**QUICK, "pools": {"all": {"tokens_per_minute": 1_000}}}
    with pytest.raises(sluicegate.Refused) as caught:
        for _ in sluicegate.retrying(full, cost=5_000):
            pytest.fail("it cannot be sent")
    assert caught.value.code == "too_large"


def test_a_failure_that_raises_nothing_counts_as_one():
    numbers = []
    for attempt in sluicegate.retrying(QUICK):
        with attempt:
            numbers.append(attempt.number)
            if attempt.number == 1:
                attempt.fail(sluicegate.Outcome("overloaded"))
    assert numbers == [1, 2]


def test_async_loops_wait_in_the_event_loop():
    async def one():
        numbers = []
        async for attempt in sluicegate.retrying(gate):
            with attempt:
                numbers.append(attempt.number)
                if attempt.number == 1:
                    raise Down
        return numbers

    async def many():
        return await asyncio.gather(*(one() for _ in range(20)))

    gate = sluicegate.Gate(QUICK)
    assert asyncio.run(many()) == [[1, 2]] * 20
    assert (gate.in_flight, gate.waiting) == (0, 0)


def test_a_preset_is_a_name_of_the_policys_and_no_other():
    for attempt in sluicegate.retrying("seed-article"):
        with attempt:
            pass
    with pytest.raises(sluicegate.PolicyError):
        sluicegate.retrying("no-such-preset")


def test_a_policy_of_several_models_wants_to_know_which():
    two = {**QUICK, "endpoints": {name: {"model": name, "pools": ["all"]} for name in "ab"}}
    with pytest.raises(sluicegate.InputError, match="a, b"):
        sluicegate.retrying(two)
    for attempt in sluicegate.retrying(two, model="b"):
        with attempt:
            assert attempt.attempt.endpoint.name == "b"
