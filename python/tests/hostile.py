"""Hands hostile values to everything public: ``python hostile.py SEED ROUNDS``. What is raised has to be an `Exception`: the
one that a panic in Rust becomes is none."""

import gc
import inspect
import random
import sys
import threading

import sluicegate
from sluicegate import _sluicegate as module

POLICY = {
    "pools": {"p": {"requests_per_minute": 6_000, "concurrency": 9}},
    "endpoints": {"e": {"model": "m", "pools": ["p"]}},
    "tenants": {"t": {"weight": 2}},
}
#: Waits, runs the command, or tells every gate that this is another process.
LEFT_OUT = {"wait", "command", "forked", "mro", "run", "run_async"}


class Raising:
    """Raises at whatever is asked of it."""

    def __repr__(self):
        raise ValueError("no words")

    def __getattr__(self, name):
        raise KeyError(name)

    def __index__(self):
        raise ArithmeticError

    __len__ = __iter__ = __float__ = __hash__ = __fspath__ = __call__ = __index__


class Growing(dict):
    """A mapping that changes while it is read, through what reads it."""

    def __init__(self):
        super().__init__({"modelId": "m", "messages": [self.Member(self)], "usage": {"inputTokens": self.Member(self)}})

    class Member:
        def __init__(self, owner):
            self.owner = owner

        def __repr__(self):
            self.owner[len(self.owner)] = self.owner.popitem()
            gc.collect()
            return "grown"


class Number(int):
    def __index__(self):
        return -1


def hostile(draw):
    endless = []
    endless.append(endless)
    deep = {}
    for _ in range(5_000):
        deep = {"a": deep}
    grown = dict(Growing())
    grown["again"] = Growing.Member(grown)
    return [
        *(None, True, -1, 0, 1, 255, 256, 2**32, 2**63, 2**64 - 1, 2**64, 10**300, -(10**300), Number(3)),
        *(float("nan"), float("inf"), -float("inf"), 1e308, -0.0, 5e-324, 1j),
        *("", "m", "e", "p", "\ud800", "\0", "é" * 5_000, "{", "[" * 5_000, "converse", "invoke_model", "requests", "other"),
        *(b"", b"\xff" * 999, bytes(range(16)), bytearray(b"{}"), memoryview(b"abc"), b"\0\0\0\x10" * 9),
        *((), [], {}, {1: 2}, {"a": float("nan")}, [("a", "b")], [("a", b"b")], [(1,)], {"\ud800": "\ud800"}, endless, deep),
        *(POLICY, {"pools": {"p": {"requests_per_minute": 2**64 - 1}}, "endpoints": POLICY["endpoints"]}, Growing(), grown),
        *({"modelId": "m", "body": b"{"}, {"modelId": "m", "messages": [{"content": [{"text": "\ud800"}]}]}),
        *({"usage": {"inputTokens": 2**63, "outputTokens": -1}}, {"metadata": {"usage": None}}, {"chunk": {"bytes": "x"}}),
        *(object(), Exception, Exception("x"), Raising(), lambda *_: 1 / 0, print, random.Random(draw.random())),
    ]


def live(draw):
    """Objects of every class, some of them finished with."""
    policy = sluicegate.Policy.parse(POLICY)
    gates = []

    def reentrant(*_):
        gates[0].snapshot()
        gates[0].cancel_waiting()
        raise ValueError("an observer that fails")

    gates.append(sluicegate.Gate(policy, on_event=reentrant))
    closed = sluicegate.Gate(policy)
    closed.close()
    engine, rng = sluicegate.Engine(policy, 10**12), sluicegate.Rng(1)
    options = module.CallOptions()
    desk = gates[0]._desk
    ticket, done = desk.submit("m", 1, options), desk.submit("m", 1, options)
    attempt = ticket.turn()
    done.leave()
    appraiser = module.Appraiser(policy)
    request = {"modelId": "m", "messages": []}
    return [
        *(policy, policy.endpoints[0], engine, engine.snapshot(0), rng, sluicegate.Rng.listed([])),
        *(sluicegate.Backoff(), sluicegate.Breaker(), sluicegate.RetryBudget(None, 0), sluicegate.Limiter({}, 0)),
        *(sluicegate.Limiter({}, 0).acquire(0, 1).permit, sluicegate.Outcome.success(1), sluicegate.Input.Wake()),
        *(gates[0], closed, desk, closed._desk, ticket, done, attempt, options, appraiser),
        *(appraiser.plan_converse("m", request, options, False), module.StreamWatch("converse"), module.StreamWatch("invoke_model")),
        *(module.failed("io"), gates[0].permit(model="m")),
    ]


def surface(objects):
    found = [getattr(module, name) for name in module.__all__ if name not in LEFT_OUT]
    found += [getattr(sluicegate, name) for name in sluicegate.__all__]
    for value in [*objects, *[kind for kind in found if isinstance(kind, type) and kind.__module__.startswith("sluicegate")]]:
        for name in dir(value):
            if (not name.startswith("_") or name in ("__repr__", "__eq__", "__hash__")) and name not in LEFT_OUT:
                try:
                    member = getattr(value, name)
                except Exception:
                    continue
                if callable(member):
                    found.append(member)
    return found


def arguments(draw, function, values):
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    given, named = [], {}
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        if parameter.default is not parameter.empty and draw.random() < 0.4:
            continue
        if parameter.kind is parameter.KEYWORD_ONLY or named:
            named[parameter.name] = draw.choice(values)
        else:
            given.append(draw.choice(values))
    return given, named


def main(seed, rounds):
    draw = random.Random(seed)
    objects = live(draw)
    functions = surface(objects)
    values = hostile(draw) + objects * 2
    raised = 0
    for number in range(rounds):
        function = draw.choice(functions)
        given, named = arguments(draw, function, values)
        try:
            made = function(*given, **named)
            if inspect.iscoroutine(made):
                made.close()
            repr(made)
            if type(made).__module__.startswith("sluicegate") and len(values) < 400:
                values.append(made)
        except Exception:
            raised += 1
        if number % 500 == 0:
            gc.collect()
    print(f"{rounds} calls of {len(functions)} functions, {raised} raised")


def in_threads(seed, rounds):
    """The same from several threads at once, since what one hands in another may change."""
    failed = []

    def work(number):
        try:
            main(seed + number, rounds)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


if __name__ == "__main__":
    import faulthandler

    faulthandler.dump_traceback_later(100, exit=True)
    sys.unraisablehook = lambda _: None
    sys.setswitchinterval(1e-5)
    main(int(sys.argv[1]), int(sys.argv[2]))
    in_threads(int(sys.argv[1]), int(sys.argv[2]) // 4)
