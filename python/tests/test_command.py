"""The command that comes with the package: the same program, the same exit codes, the same end by Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading

import pytest
import sluicegate


def command(*arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "sluicegate", *arguments], capture_output=True, text=True, timeout=120, **more
    )


def test_it_says_its_version_and_takes_arguments():
    assert command("--version").stdout.startswith("sluicegate ")
    assert command("policy", "schema").stdout.startswith("{")


def test_its_exit_codes_are_the_commands_own(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("pools: {a: {tokens_per_minute: 0}}\n")
    wrong = command("policy", "check", str(policy))
    assert (wrong.returncode, "/pools/a/tokens_per_minute" in wrong.stderr) == (3, True)
    assert command("no-such-command").returncode == 2
    assert command("--help").returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_ctrl_c_reaches_what_waits_as_it_reaches_any_program():
    fake = subprocess.Popen([sys.executable, "-m", "sluicegate", "serve-fake"], stdout=subprocess.PIPE, text=True)
    assert "http://" in fake.stdout.readline()
    fake.send_signal(signal.SIGINT)
    assert fake.wait(60) == 0
    fake.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_ctrl_c_ends_what_knows_nothing_of_it(tmp_path):
    fifo = tmp_path / "policy.yaml"
    os.mkfifo(fifo)
    check = subprocess.Popen([sys.executable, "-m", "sluicegate", "policy", "check", str(fifo)])
    # This is open as soon as the command has it open, and then it waits for a text that never comes.
    with open(fifo, "w", encoding="utf-8"):
        check.send_signal(signal.SIGINT)
        assert check.wait(60) == -signal.SIGINT


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself this signal there")
def test_ctrl_c_ends_a_simulation():
    plan = {
        "policies": ["sluicegate"],
        "service": {"regions": ["us-east-1"], "each": {"requests_per_minute": 600}},
        "calls": {"load": 1.5},
        "sweep": {"load": {"from": 0.5, "to": 3.0, "step": 0.01}},
    }
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        sluicegate.simulate(plan)
    timer.join()


def test_other_threads_run_while_a_plan_is_played():
    beats, done = [], threading.Event()
    each = {"requests_per_minute": 600}
    plan = {"policies": ["sluicegate"], "service": {"regions": ["us-east-1"], "each": each}, "calls": {"load": 1.5}}

    def beat():
        while not done.is_set():
            beats.append(None)
            done.wait(0.001)

    thread = threading.Thread(target=beat)
    thread.start()
    sluicegate.simulate(plan)
    done.set()
    thread.join()
    assert len(beats) > 1
