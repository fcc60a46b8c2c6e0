"""The gate: for threads, for event loops, for both at once."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import secrets
import threading
import warnings
from collections.abc import Awaitable, Mapping
from types import TracebackType
from typing import Any, Callable, Optional, TypeVar, Union

from . import _failures
from ._errors import CallEnded
from ._options import Seconds, micros, options
from ._sluicegate import (
    Appraiser,
    Attempt,
    Desk,
    Endpoint,
    Event,
    Explanation,
    Outcome,
    Policy,
    Snapshot,
    Ticket,
    forked,
)
from ._waiting import Keeper, Made, drive, drive_async, raise_end

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
#: Reads what an attempt took from its result: quota tokens, an `Outcome`, or None for as much as was reserved.
Settle = Callable[[Any], Union[int, Outcome, None]]
#: Reads what an exception means; None for what `sluicegate.classify` makes of it.
Classify = Callable[[Exception], Optional[Outcome]]
#: Is told every event, with its time in seconds since the Unix epoch.
Observer = Callable[[float, Event], None]
Name = Union[str, int, None]

_AS_RESERVED = Outcome("success", spent="unknown")

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forked)


class StackedRetryWarning(UserWarning):
    """Somebody above the gate retries as well. Two who retry multiply their attempts: switch the other's retries off."""


def _warn_of_stacked_retries() -> None:
    warnings.warn(
        "a call came again soon after it had ended without an answer: something above sluicegate retries as well; "
        "set its own retries to zero, sluicegate has made all that could help",
        StackedRetryWarning,
        stacklevel=4,
    )


def as_policy(policy: Union[Policy, Mapping[str, Any]]) -> Policy:
    """A policy, checked. Raises `PolicyError` with every fault."""
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, Mapping):
        return Policy.parse(policy)
    raise TypeError(f"a policy is a sluicegate.Policy or a mapping, not {type(policy).__name__}")


def _tell(observer: Observer, events: list[tuple[int, Event]]) -> None:
    for at, event in events:
        observer(at / 1e6, event)


class Gate:
    """Lets calls through when and where the engine decides.

    One gate serves any number of threads and event loops at once; it starts no thread of its own. Waiting never holds the
    GIL, an interruption ends it at once, and a call that is given up, by whatever exception, gives back what it held.

    ``policy`` is a `Policy` or a mapping. ``restore`` is what `snapshot` of an earlier gate gave, ``asleep`` seconds ago (0
    where nobody knows, which is safe). ``seed`` makes the order of what is drawn repeatable. ``on_event`` is told every
    event; it must be quick, and may run in any thread.

    A gate belongs to the process that made it: after a fork, the child's use of it raises `Forked`.
    """

    def __init__(
        self,
        policy: Union[Policy, Mapping[str, Any]],
        *,
        restore: Optional[Snapshot] = None,
        asleep: Seconds = 0.0,
        seed: Optional[int] = None,
        on_event: Optional[Observer] = None,
    ) -> None:
        self._policy = as_policy(policy)
        self._appraiser = Appraiser(self._policy)
        self._local = threading.local()
        self._desk = Desk(
            self._policy,
            seed=secrets.randbits(64) if seed is None else seed,
            on_stacked=_warn_of_stacked_retries,
            restore=restore,
            asleep=micros(asleep),
            observer=None if on_event is None else functools.partial(_tell, on_event),
        )

    def __repr__(self) -> str:
        return f"<Gate of {self._policy!r}>"

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return self._desk.waiting

    @property
    def in_flight(self) -> int:
        """Attempts that are out."""
        return self._desk.in_flight

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._desk.closed

    def run(
        self,
        function: Callable[[Attempt], T],
        *,
        model: str,
        cost: int = 0,
        settle: Optional[Settle] = None,
        classify: Optional[Classify] = None,
        tenant: Name = None,
        priority: Optional[int] = None,
        deadline: Optional[Seconds] = None,
        affinity: Name = None,
        label: Name = None,
    ) -> T:
        """Runs a call to its end in this thread: ``function(attempt)`` makes one attempt, at ``attempt.endpoint``, as often as
        the engine sends one.

        ``cost`` is what an attempt reserves, in quota tokens; 0 counts as a request alone. ``settle(result)`` says what it
        took. An exception of the function is an attempt that failed: ``classify``, or else `sluicegate.classify`, says what that
        means, and one that means nothing is not tried again. The last one is raised if no attempt succeeds; where the engine
        ended the call itself, `Refused`, `Expired` or `Cancelled`. `Closed`, `InputError` (``unknown_model``) and `Forked`
        say that it was never taken.

        From threads a call is never hedged.
        """
        given = options(tenant=tenant, priority=priority, deadline=deadline, affinity=affinity, label=label)
        ticket = self._desk.submit(model, cost, given, lone=True)

        def make(attempt: Attempt) -> Made:
            try:
                result = function(attempt)
            except Exception as error:
                return _failed(error, classify), None, error
            return _settled(result, settle), result, None

        result: T = drive(self._desk, ticket, make)
        return result

    async def run_async(
        self,
        function: Callable[[Attempt], Awaitable[T]],
        *,
        model: str,
        cost: int = 0,
        settle: Optional[Settle] = None,
        classify: Optional[Classify] = None,
        tenant: Name = None,
        priority: Optional[int] = None,
        deadline: Optional[Seconds] = None,
        affinity: Name = None,
        label: Name = None,
    ) -> T:
        """`run` for a function that is awaited. No thread waits for it; cancelling the task cancels the call.

        Where the policy hedges, two attempts may run at once, and the one that is given up is cancelled.
        """
        given = options(tenant=tenant, priority=priority, deadline=deadline, affinity=affinity, label=label)
        keeper = self.keeper()
        ticket = self._desk.submit(model, cost, given)

        async def make(attempt: Attempt) -> Made:
            try:
                result = await function(attempt)
            except Exception as error:
                return _failed(error, classify), None, error
            return _settled(result, settle), result, None

        result: T = await drive_async(keeper, ticket, make)
        return result

    def permit(
        self,
        *,
        model: str,
        cost: int = 0,
        classify: Optional[Classify] = None,
        tenant: Name = None,
        priority: Optional[int] = None,
        deadline: Optional[Seconds] = None,
        affinity: Name = None,
        label: Name = None,
    ) -> HeldPermit:
        """One attempt as a ``with`` or ``async with`` statement: waits for its turn, and settles at the end by what became of
        it. What the body raises is reported and goes on; nothing is tried again."""
        given = options(tenant=tenant, priority=priority, deadline=deadline, affinity=affinity, label=label)
        return HeldPermit(self, lambda: self._desk.submit(model, cost, given, lone=True), classify)

    def limit(
        self,
        *,
        model: str,
        cost: Union[int, Callable[..., int]] = 0,
        settle: Optional[Settle] = None,
        classify: Optional[Classify] = None,
        tenant: Name = None,
        priority: Optional[int] = None,
        deadline: Optional[Seconds] = None,
        affinity: Name = None,
        label: Name = None,
    ) -> Callable[[F], F]:
        """Decorates a function, or a coroutine function, so that each call of it goes through `run` or `run_async`.

        ``cost`` may be a function of the same arguments. What `run` says of exceptions holds.
        """
        given: dict[str, Any] = {"model": model, "settle": settle, "classify": classify, "tenant": tenant}
        given.update(priority=priority, deadline=deadline, affinity=affinity, label=label)

        def decorate(function: F) -> F:
            if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
                raise TypeError("a generator's work begins after its call has ended; use `with gate.permit(..)` inside it")

            def reserve(args: Any, kwargs: Any) -> int:
                return cost(*args, **kwargs) if callable(cost) else cost

            @functools.wraps(function)
            def in_thread(*args: Any, **kwargs: Any) -> Any:
                return self.run(lambda _: function(*args, **kwargs), cost=reserve(args, kwargs), **given)

            @functools.wraps(function)
            async def in_loop(*args: Any, **kwargs: Any) -> Any:
                return await self.run_async(lambda _: function(*args, **kwargs), cost=reserve(args, kwargs), **given)

            return in_loop if inspect.iscoroutinefunction(function) else in_thread  # type: ignore[return-value]

        return decorate

    def keeper(self) -> Keeper:
        """What keeps the time for the running event loop."""
        loop = asyncio.get_running_loop()
        keeper: Optional[Keeper] = getattr(self._local, "keeper", None)
        if keeper is None or keeper.loop is not loop:
            keeper = self._local.keeper = Keeper(self._desk, loop)
        return keeper

    def snapshot(self) -> Snapshot:
        """What was learned and counted, for ``Gate(policy, restore=..)`` in this process or another one."""
        return self._desk.snapshot()

    def reconfigure(self, policy: Union[Policy, Mapping[str, Any]]) -> None:
        """Puts another policy in force without losing a call. What both know by name goes on."""
        policy = as_policy(policy)
        self._appraiser.reconfigure(policy)
        self._desk.reconfigure(policy)
        self._policy = policy

    def waiting_calls(self) -> list[int]:
        """The numbers of the calls that wait, for `explain`."""
        return self._desk.waiting_calls()

    def explain(self, call: int) -> Optional[Explanation]:
        """Why a call waits, where it was sent, or how it ended, and why each endpoint was passed over; None for a call that
        is not remembered. Its times are in microseconds since the Unix epoch."""
        return self._desk.explain(call)

    def describe(self, explanation: Explanation) -> str:
        """An explanation as one line."""
        return self._desk.describe(explanation)

    def cancel_waiting(self) -> None:
        """Cancels every call that waits: each raises `Cancelled` to its caller. Those that are out go on."""
        self._desk.cancel_waiting()

    def close(self) -> None:
        """Lets nothing more in and cancels every call that waits. Those that are out go on. Closing it again does nothing."""
        self._desk.close()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _failed(error: Exception, classify: Optional[Classify]) -> Outcome:
    outcome = classify(error) if classify is not None else None
    return _failures.outcome_of(error) if outcome is None else outcome


def _settled(result: Any, settle: Optional[Settle]) -> Outcome:
    taken = settle(result) if settle is not None else None
    if taken is None:
        return _AS_RESERVED
    return taken if isinstance(taken, Outcome) else Outcome.success(taken)


class HeldPermit:
    """One attempt, held by a ``with`` or ``async with`` statement. Made by `Gate.permit`."""

    def __init__(self, gate: Gate, submit: Callable[[], Ticket], classify: Optional[Classify]) -> None:
        self._gate, self._submit, self._classify = gate, submit, classify
        self._ticket: Optional[Ticket] = None
        self._attempt: Optional[Attempt] = None
        self._outcome = _AS_RESERVED

    @property
    def attempt(self) -> Attempt:
        """The attempt that is to be made."""
        if self._attempt is None:
            raise RuntimeError("the permit is held only inside its with statement")
        return self._attempt

    @property
    def endpoint(self) -> Endpoint:
        """Where to send it."""
        return self.attempt.endpoint

    def settle(self, tokens: int, *, output_tokens: Optional[int] = None) -> None:
        """It succeeded and took this many quota tokens, by the service's own count. Otherwise what was reserved stands."""
        self._outcome = Outcome.success(tokens, output_tokens=output_tokens)

    def fail(self, outcome: Outcome) -> None:
        """It failed in this way, though the body raises nothing."""
        self._outcome = outcome

    def _begin(self, ticket: Ticket, turn: Any) -> HeldPermit:
        if type(turn) is not Attempt:
            raise_end(self._gate._desk, ticket, turn, None, None)
        self._attempt = turn
        return self

    def __enter__(self) -> HeldPermit:
        ticket = self._open()
        try:
            return self._begin(ticket, ticket.wait())
        except BaseException:
            ticket.leave()
            raise

    async def __aenter__(self) -> HeldPermit:
        keeper, ticket = self._gate.keeper(), self._open()
        try:
            turn = ticket.turn()
            return self._begin(ticket, await keeper.turn(ticket) if turn is None else turn)
        except BaseException:
            ticket.leave()
            raise

    def _open(self) -> Ticket:
        if self._ticket is not None:
            raise RuntimeError("a permit serves one with statement; ask the gate for another one")
        self._ticket = self._submit()
        return self._ticket

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        ticket, attempt = self._ticket, self._attempt
        if ticket is None or attempt is None:
            return
        self._attempt = None
        try:
            if error is None:
                ticket.report(attempt.id, self._outcome)
            elif isinstance(error, Exception) and not isinstance(error, CallEnded):
                ticket.report(attempt.id, _failed(error, self._classify))
        finally:
            ticket.leave()

    async def __aexit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.__exit__(kind, error, trace)
