"""A call from its submission to its end, in a thread or in an event loop.

In both, ``make`` makes one attempt and returns how it ended, in the engine's terms and in the caller's: ``(outcome, answer,
None)`` or ``(outcome, None, error)``. Whatever else it raises ends the call, and what is out is settled.
"""

from __future__ import annotations

import asyncio
from asyncio.events import _get_running_loop
from collections.abc import Awaitable
from functools import partial
from typing import Any, Callable, NoReturn, Optional

from ._errors import CallEnded, Cancelled, Expired, Failed, Refused
from ._sluicegate import Abort, Attempt, Desk, EndReason, Outcome, Ticket

Made = tuple[Outcome, Any, Optional[Exception]]
#: Turns an end of the engine's own into what the caller is used to catch.
Ending = Callable[[CallEnded], Exception]

CANCELLED = Outcome("cancelled")


def drive(desk: Desk, ticket: Ticket, make: Callable[[Attempt], Made], ending: Optional[Ending] = None) -> Any:
    """Runs a call in this thread."""
    answer, answered, last = None, False, None
    with ticket:
        while True:
            turn = ticket.wait()
            if type(turn) is not Attempt:
                break
            outcome, result, error = make(turn)
            if error is None:
                answer, answered = result, True
            else:
                last = error
            ticket.report(turn.id, outcome)
    if answered:
        return answer
    raise_end(desk, ticket, turn, last, ending)


async def drive_async(
    keeper: Keeper, ticket: Ticket, make: Callable[[Attempt], Awaitable[Made]], ending: Optional[Ending] = None
) -> Any:
    """Runs a call in the running event loop, with at most two attempts out at once."""
    answer, answered, last = None, False, None
    out: dict[asyncio.Future[Made], int] = {}
    hedges = keeper.desk.hedges
    with ticket:
        try:
            while True:
                turn = ticket.turn()
                if turn is None:
                    turn = await keeper.turn(ticket, out)
                if type(turn) is Attempt:
                    if hedges:
                        out[asyncio.ensure_future(make(turn))] = turn.id
                        continue
                    attempt, made = turn.id, await make(turn)
                elif type(turn) is Abort:
                    for task in [task for task, attempt in out.items() if attempt == turn.attempt]:
                        del out[task]
                        await _stop([task])
                    ticket.report(turn.attempt, CANCELLED)
                    continue
                elif isinstance(turn, asyncio.Future):
                    attempt, made = out.pop(turn), turn.result()
                else:
                    break
                outcome, result, error = made
                if error is None:
                    answer, answered = result, True
                else:
                    last = error
                ticket.report(attempt, outcome)
        finally:
            await _stop(out)
    if answered:
        return answer
    raise_end(keeper.desk, ticket, turn, last, ending)


async def _stop(tasks: Any) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def raise_end(
    desk: Desk, ticket: Ticket, reason: EndReason, last: Optional[Exception], ending: Optional[Ending]
) -> NoReturn:
    """Raises what a call without an answer ends with: the service's own last word, or, where the engine had the last word,
    an error that says so."""
    late = isinstance(reason, EndReason.Expired) or (isinstance(reason, EndReason.Refused) and reason.why == "deadline")
    if last is not None and not late:
        raise last
    error = end_error(desk, ticket, reason)
    raise (ending(error) if ending else error) from last


def end_error(desk: Desk, ticket: Ticket, reason: EndReason) -> CallEnded:
    """The exception for an end."""
    text = f"sluicegate ended the call: {ticket.end}"
    if isinstance(reason, EndReason.Refused):
        wait = None if reason.retry_at is None else max(0, reason.retry_at - desk.now()) / 1e6
        return Refused(text, reason.why, wait)
    if isinstance(reason, EndReason.Expired):
        return Expired(text, "expired")
    if isinstance(reason, EndReason.Failed):
        return Failed(text, "failed")
    return Cancelled(text, "cancelled")


class Keeper:
    """Keeps the time for the calls that wait in one event loop: one timer, whatever their number."""

    def __init__(self, desk: Desk, loop: asyncio.AbstractEventLoop) -> None:
        self.desk, self.loop = desk, loop
        self._waiting = 0
        self._id: Optional[int] = None
        self._timer: Optional[asyncio.TimerHandle] = None

    async def turn(self, ticket: Ticket, out: Any = ()) -> Any:
        """Waits for the next turn of a call, or for the first of the tasks in ``out`` to end, and returns either."""
        self._waiting += 1
        try:
            if self._waiting == 1:
                self._id = self.desk.open_keeper(self._poke)
                self._arm()
            while True:
                future = self.loop.create_future()
                turn = ticket.park(partial(_wake, self.loop, future))
                if turn is not None:
                    return turn
                if not out:
                    await future
                    continue
                done, _ = await asyncio.wait({future, *out}, return_when=asyncio.FIRST_COMPLETED)
                done.discard(future)
                if done:
                    return done.pop()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._close()

    def _close(self) -> None:
        if self._id is not None:
            self.desk.close_keeper(self._id)
            self._id = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _poke(self) -> None:
        if _get_running_loop() is self.loop:
            self._arm()
        else:
            self.loop.call_soon_threadsafe(self._arm)

    def _arm(self) -> None:
        if self._id is None:
            return
        wait = self.desk.arm_keeper(self._id)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if wait is None else self.loop.call_later(wait, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.desk.wake()
        self._arm()


def _wake(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    if _get_running_loop() is loop:
        _set(future)
    else:
        loop.call_soon_threadsafe(_set, future)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
