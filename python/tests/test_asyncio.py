"""Event loops: a future for each call that waits, one timer for all, no thread."""

import asyncio
import threading

import pytest
import sluicegate
from conftest import in_threads, one_slot
from sluicegate import Gate


async def nothing(attempt):
    await asyncio.sleep(0)


def test_ten_thousand_calls_wait_in_one_loop_without_a_thread():
    gate, threads = Gate(one_slot(50)), set()

    async def attempt(_):
        threads.add(threading.active_count())
        await asyncio.sleep(0)
        return 1

    async def main():
        async with AllSlots(gate, 50):
            tasks = [asyncio.ensure_future(gate.run_async(attempt, model="m")) for _ in range(10_000)]
            while gate.waiting < 10_000:
                await asyncio.sleep(0)
        return sum(await asyncio.gather(*tasks))

    before = threading.active_count()
    assert asyncio.run(main()) == 10_000
    assert threads == {before}
    assert (gate.in_flight, gate.waiting) == (0, 0)


class AllSlots:
    """All slots, held."""

    def __init__(self, gate, count):
        self.held = [gate.permit(model="m") for _ in range(count)]

    async def __aenter__(self):
        for permit in self.held:
            await permit.__aenter__()

    async def __aexit__(self, *_):
        for permit in self.held:
            await permit.__aexit__(None, None, None)


def test_time_alone_wakes_a_loop():
    quota = {"requests_per_minute": 6000, "burst_permille": 1}
    gate = Gate({"pools": {"p": quota}, "endpoints": {"e": {"model": "m", "pools": ["p"]}}})

    async def main():
        await asyncio.gather(*[gate.run_async(nothing, model="m") for _ in range(40)])

    asyncio.run(asyncio.wait_for(main(), 60))
    assert gate.waiting == 0


def test_cancelling_a_task_cancels_its_call_and_settles_what_is_out():
    gate = Gate(one_slot())

    async def main():
        begun = asyncio.Event()

        async def forever(attempt):
            begun.set()
            await asyncio.Event().wait()

        out = asyncio.ensure_future(gate.run_async(forever, model="m"))
        await begun.wait()
        waits = asyncio.ensure_future(gate.run_async(nothing, model="m"))
        while gate.waiting < 1:
            await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert (gate.in_flight, gate.waiting) == (1, 0)
        out.cancel()
        with pytest.raises(asyncio.CancelledError):
            await out
        assert gate.in_flight == 0
        assert await gate.run_async(answer, model="m") == "answer"

    asyncio.run(main())


async def answer(attempt):
    return "answer"


def test_a_deadline_ends_a_wait():
    gate = Gate(one_slot())

    async def main():
        async with gate.permit(model="m"):
            with pytest.raises(sluicegate.Expired):
                await gate.run_async(nothing, model="m", deadline=0.05)

    asyncio.run(main())
    assert (gate.in_flight, gate.waiting) == (0, 0)


def test_threads_and_two_loops_share_one_gate():
    gate, done = Gate(one_slot(2)), []

    async def work():
        await asyncio.gather(*[gate.run_async(nothing, model="m") for _ in range(200)])
        done.append("loop")

    def in_thread():
        for _ in range(200):
            gate.run(lambda attempt: None, model="m")
        done.append("thread")

    threads = in_threads(lambda: asyncio.run(work()), lambda: asyncio.run(work()), in_thread, in_thread)
    for thread in threads:
        thread.join(120)
    assert sorted(done) == ["loop", "loop", "thread", "thread"]
    assert (gate.in_flight, gate.waiting) == (0, 0)


def test_a_loop_that_ends_with_calls_waiting_leaves_the_gate_as_it_was():
    gate = Gate(one_slot())

    async def abandon():
        held = await gate.permit(model="m").__aenter__()
        asyncio.ensure_future(gate.run_async(nothing, model="m"))
        while gate.waiting < 1:
            await asyncio.sleep(0)
        return held

    held = asyncio.run(abandon())
    assert (gate.in_flight, gate.waiting) == (1, 0)
    held.__exit__(None, None, None)
    assert asyncio.run(gate.run_async(answer, model="m")) == "answer"


def test_a_decorated_coroutine_function_stays_one():
    gate = Gate(one_slot())

    @gate.limit(model="m", cost=3)
    async def double(number):
        return 2 * number

    assert asyncio.iscoroutinefunction(double)
    assert asyncio.run(double(4)) == 8


def test_a_call_that_takes_long_is_sent_twice_where_the_policy_says_so():
    document = {
        "pools": {"p": {"concurrency": 100}, "q": {"concurrency": 100}},
        "endpoints": {"e": {"model": "m", "pools": ["p"]}, "f": {"model": "m", "pools": ["q"]}},
        "hedge": {"after_permille": 500, "share_permille": 1000},
    }
    gate, seen, cancelled = Gate(document), [], []

    async def main():
        # Fifty answers at each endpoint, however the calls are drawn: fewer say nothing of what is long.
        for _ in range(400):
            await gate.run_async(nothing, model="m")
        stuck = asyncio.Event()

        async def first_one_hangs(attempt):
            seen.append(attempt.hedge)
            if attempt.hedge:
                return "hedge"
            try:
                await stuck.wait()
            except asyncio.CancelledError:
                cancelled.append(attempt.id)
                raise

        return await asyncio.wait_for(gate.run_async(first_one_hangs, model="m"), 60)

    assert asyncio.run(main()) == "hedge"
    assert (seen, len(cancelled), gate.in_flight) == ([False, True], 1, 0)


def test_outside_a_loop_there_is_an_error_and_no_call():
    gate = Gate(one_slot())
    with pytest.raises(RuntimeError):
        gate.run_async(nothing, model="m").send(None)
    assert (gate.in_flight, gate.waiting) == (0, 0)
