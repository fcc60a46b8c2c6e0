"""The gate itself: what goes in, what comes out, what is left behind."""

import sys

import pytest
import sluicegate
from conftest import one_slot
from sluicegate import Gate, Outcome

SPENDTHRIFT = {
    "pools": {"p": {"tokens_per_minute": 1000, "burst_permille": 1000}},
    "endpoints": {"e": {"model": "m", "region": "eu-west-1", "pools": ["p"]}},
}


class Overloaded(Exception):
    """What a service that is overloaded says, as clients of OpenAI and Anthropic put it."""

    status_code = 503


def quick(**more):
    waits = {name: {"base_ms": 1, "cap_ms": 1} for name in ("overloaded", "not_ready", "other")}
    return {**one_slot(), "retry": waits, **more}


def test_a_call_gets_an_attempt_and_its_function_s_result():
    gate = Gate(SPENDTHRIFT)
    seen = gate.run(lambda attempt: attempt, model="m", cost=10)
    assert (seen.endpoint.region, seen.number, seen.max_tokens, seen.hedge) == ("eu-west-1", 1, None, False)
    assert (gate.in_flight, gate.waiting) == (0, 0)


def test_a_failed_attempt_is_made_again_and_the_last_error_is_raised_as_it_came():
    gate, numbers = Gate(quick()), []

    def second_time_lucky(attempt):
        numbers.append(attempt.number)
        if attempt.number == 1:
            raise Overloaded
        return "answer"

    assert gate.run(second_time_lucky, model="m") == "answer"
    assert numbers == [1, 2]
    error = Overloaded("again")

    def never(attempt):
        raise error

    with pytest.raises(Overloaded) as caught:
        gate.run(never, model="m")
    assert caught.value is error
    assert gate.in_flight == 0


def test_what_says_nothing_of_a_service_is_not_tried_again():
    gate, numbers = Gate(quick()), []

    def faulty(attempt):
        numbers.append(attempt.number)
        raise KeyError("a fault in the function")

    with pytest.raises(KeyError):
        gate.run(faulty, model="m")
    assert numbers == [1]


def test_a_function_of_the_user_s_own_says_what_an_exception_means():
    gate, numbers = Gate(quick()), []

    def faulty(attempt):
        numbers.append(attempt.number)
        if attempt.number < 3:
            raise KeyError("busy")
        return "answer"

    assert gate.run(faulty, model="m", classify=lambda error: Outcome("unavailable")) == "answer"
    assert numbers == [1, 2, 3]


def test_a_call_settles_at_what_its_result_says():
    events = []
    gate = Gate(SPENDTHRIFT, on_event=lambda at, event: events.append(event))
    gate.run(lambda attempt: "four", model="m", cost=100, settle=len)
    [settled] = [event for event in events if isinstance(event, sluicegate.Event.Settled)]
    assert settled.spent_tokens == 4


def test_a_permit_settles_by_what_became_of_its_body():
    events = []
    gate = Gate(one_slot(), on_event=lambda at, event: events.append(event))
    with gate.permit(model="m", cost=100) as permit:
        assert (permit.endpoint.name, gate.in_flight) == ("e", 1)
        permit.settle(7, output_tokens=3)
    with pytest.raises(Overloaded), gate.permit(model="m", cost=100):
        raise Overloaded
    with gate.permit(model="m") as permit:
        permit.fail(Outcome("overloaded"))
    classes = [event.class_ for event in events if isinstance(event, sluicegate.Event.Settled)]
    assert classes == ["success", "overloaded", "overloaded"]
    assert gate.in_flight == 0
    with pytest.raises(RuntimeError):
        permit.attempt
    with pytest.raises(RuntimeError), permit:
        pass


def test_a_decorated_function_is_called_as_before():
    gate, costs = Gate(one_slot()), []

    def cost(text, *, times=1):
        costs.append(len(text) * times)
        return costs[-1]

    @gate.limit(model="m", cost=cost)
    def shout(text, *, times=1):
        """Shouts."""
        return text.upper() * times

    assert (shout("hi", times=2), costs, shout.__doc__) == ("HIHI", [4], "Shouts.")
    with pytest.raises(TypeError, match="permit"):

        @gate.limit(model="m")
        def stream():
            yield 1


@pytest.mark.parametrize(
    ("arguments", "error", "code"),
    [
        ({"model": "nope"}, sluicegate.InputError, "unknown_model"),
        ({"model": "m", "deadline": -5}, sluicegate.CallEnded, None),
        ({"model": "m", "cost": -1}, sluicegate.InputError, "out_of_range"),
        ({"model": "m", "priority": 256}, sluicegate.InputError, "out_of_range"),
        ({"model": "m", "tenant": 1.5}, TypeError, None),
    ],
)
def test_misuse_has_an_error_of_its_own_and_leaves_nothing_behind(arguments, error, code):
    gate = Gate(one_slot())
    with pytest.raises(error) as caught:
        gate.run(lambda attempt: pytest.fail("it was sent"), **arguments)
    assert code is None or caught.value.code == code
    assert (gate.in_flight, gate.waiting) == (0, 0)


def test_a_call_that_no_quota_can_hold_is_refused_at_once():
    gate = Gate(SPENDTHRIFT)
    with pytest.raises(sluicegate.Refused) as caught:
        gate.run(lambda attempt: pytest.fail("it was sent"), model="m", cost=1001)
    assert (caught.value.code, caught.value.retry_at) == ("too_large", None)
    assert "1000 tokens" in str(caught.value)


def test_a_call_that_cannot_make_its_deadline_is_told_when_it_could():
    gate = Gate(SPENDTHRIFT)
    gate.run(lambda attempt: None, model="m", cost=20)
    with pytest.raises(sluicegate.Refused) as caught:
        gate.run(lambda attempt: None, model="m", cost=1000, deadline=1)
    assert caught.value.code == "deadline"


def test_a_deadline_that_passes_between_attempts_names_the_service_s_last_word_as_its_cause():
    class Throttled(Exception):
        status_code = 429

    def throttled(attempt):
        raise Throttled("Too many requests, please wait before trying again.")

    # A refused pool rests for a quarter of a second at least.
    with pytest.raises(sluicegate.CallEnded) as caught:
        Gate(SPENDTHRIFT).run(throttled, model="m", cost=1, deadline=0.2)
    assert caught.value.code in ("expired", "deadline")
    assert isinstance(caught.value.__cause__, Throttled)


def test_a_closed_gate_lets_nothing_in_and_what_is_out_goes_on():
    with Gate(one_slot()) as gate, gate.permit(model="m") as permit:
        gate.close()
        with pytest.raises(sluicegate.Closed) as caught:
            gate.run(lambda attempt: None, model="m")
        assert caught.value.code == "closed"
        permit.settle(1)
    assert gate.closed and gate.in_flight == 0
    gate.close()


@pytest.mark.parametrize("policy", [3, "{}", None])
def test_what_is_no_policy_is_a_type_error(policy):
    with pytest.raises(TypeError, match="a policy is"):
        Gate(policy)


def test_a_policy_with_faults_lists_them_all():
    with pytest.raises(sluicegate.PolicyError) as caught:
        Gate({"pools": {"p": {"concurrency": 0}}})
    assert [fault.pointer for fault in caught.value.faults] == ["/pools/p/concurrency", "/endpoints"]


def test_options_of_a_call_come_from_the_statements_around_it_unless_it_names_its_own():
    gate = Gate(SPENDTHRIFT)
    with sluicegate.call(deadline=0.5, tenant="batch", label="summary", affinity="talk 7"):
        gate.run(lambda attempt: None, model="m", cost=20)
        with pytest.raises(sluicegate.Refused), sluicegate.call(priority=3):
            gate.run(lambda attempt: None, model="m", cost=1000)
    with pytest.raises(sluicegate.InputError), sluicegate.call(priority=-1):
        pass


def test_what_was_learned_outlives_the_gate():
    first = Gate(SPENDTHRIFT)
    first.run(lambda attempt: None, model="m", cost=20)
    saved = sluicegate.Snapshot.from_json(first.snapshot().to_json())
    second = Gate(SPENDTHRIFT, restore=saved, asleep=0)
    # A new gate would let it through at once.
    with pytest.raises(sluicegate.Refused):
        second.run(lambda attempt: None, model="m", cost=1000, deadline=1)


def test_another_policy_takes_effect_without_losing_a_call():
    gate = Gate(one_slot())
    with gate.permit(model="m"):
        gate.reconfigure({**one_slot(2), "endpoints": {"f": {"model": "n", "pools": ["p"]}}})
        assert gate.policy.models == ["n"]
        assert gate.run(lambda attempt: attempt.endpoint.name, model="n") == "f"
    with pytest.raises(sluicegate.PolicyError):
        gate.reconfigure({})
    assert gate.run(lambda attempt: attempt.endpoint.name, model="n") == "f"


def test_a_gate_says_what_became_of_a_call():
    gate = Gate(one_slot())
    gate.run(lambda attempt: None, model="m")
    explanation = gate.explain(0)
    assert isinstance(explanation.phase, sluicegate.Phase.Ended)
    assert "answered" in gate.describe(explanation)
    assert gate.explain(99) is None


def test_an_observer_with_a_fault_is_not_the_caller_s_affair(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_type))

    def faulty(at, event):
        raise ValueError("in the observer")

    gate = Gate(one_slot(), on_event=faulty)
    assert gate.run(lambda attempt: "answer", model="m") == "answer"
    assert set(told) == {ValueError}
