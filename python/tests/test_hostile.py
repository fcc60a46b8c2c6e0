"""Whatever is handed in, what comes out is an answer or an `Exception`, and nobody waits for ever."""

import pathlib
import subprocess
import sys

import pytest
import sluicegate
from conftest import in_threads, one_slot, policy
from sluicegate import _sluicegate as module

HOSTILE = pathlib.Path(__file__).parent / "hostile.py"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hostile_values_raise_exceptions(seed):
    ran = subprocess.run([sys.executable, str(HOSTILE), str(seed), "2000"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


class Member:
    """Changes its owner when it is read."""

    def __init__(self, owner):
        self.owner = owner

    def __repr__(self):
        self.owner[f"another {len(self.owner)}"] = 1
        return "a member"


def test_a_request_that_changes_while_it_is_read_is_read_as_it_was():
    request = {"modelId": "claude", "messages": []}
    request.update(first=Member(request), second=Member(request))
    assert sluicegate.estimate(request).input_tokens == 0
    appraiser = module.Appraiser(sluicegate.Policy.parse(policy()))
    appraiser.plan_converse("claude", request, module.CallOptions(), False)
    watch = module.StreamWatch("converse")
    usage = {"inputTokens": 1}
    usage["outputTokens"] = Member(usage)
    watch.take_event({"metadata": {"usage": usage}})


def test_errors_in_many_threads_at_once_hold_up_nobody():
    appraiser = module.Appraiser(sluicegate.Policy.parse(policy()))
    gate, interval = sluicegate.Gate(one_slot()), sys.getswitchinterval()

    def misuse():
        for _ in range(500):
            with pytest.raises(sluicegate.InputError):
                appraiser.plan_body("nope", "converse", b"{}", module.CallOptions(), False)
            with pytest.raises(sluicegate.InputError):
                gate.run(print, model="nope")

    sys.setswitchinterval(1e-6)
    try:
        threads = in_threads(*[misuse] * 8)
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(interval)
    assert not any(thread.is_alive() for thread in threads)
