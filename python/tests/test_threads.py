"""Threads: they wait on locks of their own, one of them for all of them on the clock."""

import os
import signal
import subprocess
import sys
import threading

import pytest
import sluicegate
from conftest import in_threads, one_slot, python, until
from sluicegate import Gate


def test_threads_share_the_slots_and_none_is_forgotten():
    gate, most, now, lock = Gate(one_slot(3)), 0, 0, threading.Lock()

    def attempt(_):
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1

    def work():
        for _ in range(50):
            gate.run(attempt, model="m")

    for thread in in_threads(*[work] * 32):
        thread.join(60)
        assert not thread.is_alive()
    assert most <= 3
    assert (gate.in_flight, gate.waiting) == (0, 0)


def test_time_is_kept_by_whoever_waits_and_handed_on():
    # Ten a second: every wait ends by time alone, and each leader has to hand over to the next.
    quota = {"requests_per_minute": 6000, "burst_permille": 1}
    gate = Gate({"pools": {"p": quota}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}})
    threads = in_threads(*[lambda: gate.run(lambda attempt: None, model="m")] * 40)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert gate.waiting == 0


def test_a_deadline_ends_a_wait():
    gate = Gate(one_slot())
    with gate.permit(model="m"), pytest.raises(sluicegate.Expired) as caught:
        gate.run(lambda attempt: None, model="m", deadline=0.05)
    assert caught.value.code == "expired"
    assert (gate.in_flight, gate.waiting) == (0, 0)


def test_closing_wakes_those_who_wait():
    gate, ends = Gate(one_slot()), []

    def wait():
        try:
            gate.run(lambda attempt: None, model="m")
        except sluicegate.Cancelled as error:
            ends.append(error.code)

    with gate.permit(model="m"):
        threads = in_threads(*[wait] * 8)
        until(lambda: gate.waiting == 8)
        gate.close()
        for thread in threads:
            thread.join(60)
    assert ends == ["cancelled"] * 8


def test_others_run_while_one_waits():
    gate, ran = Gate(one_slot()), []
    with gate.permit(model="m"):
        [thread] = in_threads(lambda: gate.run(lambda attempt: ran.append("waited"), model="m"))
        until(lambda: gate.waiting == 1)
        # Were the GIL held by the one that waits, nothing would get here.
        ran.append("meanwhile")
    thread.join(60)
    assert ran == ["meanwhile", "waited"]


def test_an_exception_in_a_thread_that_keeps_the_time_leaves_the_others_awake():
    gate, ends = Gate(one_slot()), []

    def wait(deadline):
        try:
            gate.run(lambda attempt: None, model="m", deadline=deadline)
        except sluicegate.Expired:
            ends.append(deadline)

    with gate.permit(model="m"):
        threads = in_threads(*[lambda each=each: wait(each) for each in (0.05, 0.1, 0.15, 0.2)])
        for thread in threads:
            thread.join(60)
    assert sorted(ends) == [0.05, 0.1, 0.15, 0.2]


PRELUDE = """
import os, signal, sys, threading
import sluicegate
gate = sluicegate.Gate({"pools": {"p": {"concurrency": 1}}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}})
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interruption_ends_a_wait_at_once_and_settles_it():
    program = PRELUDE + (
        "held = gate.permit(model='m').__enter__()\n"
        "def tell():\n"
        "    while gate.waiting < 1: pass\n"
        "    print('waits', flush=True)\n"
        "threading.Thread(target=tell, daemon=True).start()\n"
        "try:\n"
        "    gate.run(lambda attempt: None, model='m')\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', gate.waiting, gate.in_flight, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "waits\n"
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    assert out == "interrupted 0 1\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_gate_refuses_to_count_one_quota_in_two_processes():
    program = PRELUDE + (
        "held = gate.permit(model='m').__enter__()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    for use in (lambda: gate.run(lambda attempt: None, model='m'), lambda: gate.waiting, gate.close):\n"
        "        try:\n"
        "            use()\n"
        "        except sluicegate.Forked as error:\n"
        "            print(error.code, flush=True)\n"
        "    mine = sluicegate.Gate({'pools': {'p': {}}, 'endpoints': {'e': {'model': 'm', 'pools': ['p']}}})\n"
        "    print(mine.run(lambda attempt: 'mine', model='m'), flush=True)\n"
        "    sys.exit(0)\n"
        "os.waitpid(child, 0)\n"
        "held.__exit__(None, None, None)\n"
        "print(gate.run(lambda attempt: 'ours', model='m'), gate.in_flight)\n"
    )
    ran = python(program)
    assert (ran.stdout.split(), ran.stderr) == (["forked"] * 3 + ["mine", "ours", "0"], "")


@pytest.mark.parametrize("waiters", ["daemon", "loop"])
def test_the_interpreter_ends_while_calls_wait(waiters):
    program = PRELUDE + "held = gate.permit(model='m').__enter__()\n"
    if waiters == "daemon":
        program += (
            "for _ in range(4):\n"
            "    threading.Thread(target=gate.run, args=(lambda a: None,), kwargs={'model': 'm'}, daemon=True).start()\n"
            "while gate.waiting < 4: pass\n"
        )
    else:
        program += (
            "import asyncio\n"
            "async def main():\n"
            "    tasks = [asyncio.ensure_future(gate.run_async(None, model='m')) for _ in range(4)]\n"
            "    while gate.waiting < 4: await asyncio.sleep(0)\n"
            "asyncio.run(main())\n"
            "assert gate.waiting == 0\n"
        )
    ran = python(program + "print('end')\n")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "end\n", "")
