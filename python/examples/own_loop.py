"""The engine without clock, threads or sockets, for those who bring their own loop: here one that jumps from wake-up to wake-up."""

from sluicegate import Decision, Engine, Input, Outcome, Policy, Rng

policy = Policy.parse(
    {
        "pools": {"one": {"requests_per_minute": 6, "burst_permille": 1}},
        "endpoints": {"one": {"model": "m", "pools": ["one"]}},
    }
)
#: Microseconds since an origin of one's own, at least a day above zero.
now = start = 86_400_000_000
engine, rng = Engine(policy, now), Rng(1)
for call in range(4):
    engine.handle(now, Input.Submit(call, 0, 100), rng)

ended = 0
while ended < 4:
    decision = engine.poll_decision()
    if isinstance(decision, Decision.Send):
        print(f"call {decision.call} goes out after {(now - start) / 1e6:.0f} s")
        engine.handle(now, Input.Report(decision.attempt, Outcome.success(100)), rng)
    elif isinstance(decision, Decision.End):
        ended += 1
    else:
        now = engine.next_wakeup().at
        engine.handle(now, Input.Wake(), rng)
