"""The loop around one call that many programs write by hand, with the waiting done right."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import Any, Optional, Union

from ._errors import InputError
from ._failures import outcome_of
from ._gate import Classify, Gate, Name
from ._options import Seconds, options
from ._sluicegate import Attempt, Outcome, Policy, Ticket
from ._waiting import raise_end

_AS_RESERVED = Outcome("success", spent="unknown")
#: What stands for the one endpoint of a policy that has nothing but a way to wait.
_ONLY = "-"


class Try:
    """One attempt of a `retrying` loop. Make it inside ``with attempt:``; an exception that is worth another attempt ends
    there, and the loop goes on when the next one may go out."""

    def __init__(self, ticket: Ticket, attempt: Attempt, classify: Optional[Classify]) -> None:
        self._ticket, self._classify = ticket, classify
        #: The attempt as the engine sees it: its number, its endpoint.
        self.attempt = attempt
        self._outcome: Optional[Outcome] = None
        self._error: Optional[Exception] = None
        self._done = False

    @property
    def number(self) -> int:
        """1 for the first attempt."""
        return self.attempt.number

    def settle(self, tokens: int, *, output_tokens: Optional[int] = None) -> None:
        """It succeeded and took this many quota tokens, by the service's own count."""
        self._outcome = Outcome.success(tokens, output_tokens=output_tokens)

    def fail(self, outcome: Outcome) -> None:
        """It failed in this way, though the body raises nothing."""
        self._outcome = outcome

    def __enter__(self) -> Try:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> bool:
        if error is not None and not isinstance(error, Exception):
            return False
        outcome = self._outcome
        if error is not None:
            self._error = error
            outcome = (self._classify(error) if self._classify is not None else None) or outcome_of(error)
        self._done = True
        self._ticket.report(self.attempt.id, outcome or _AS_RESERVED)
        # What is to be raised is raised by the loop, once the engine has said that there is no other attempt.
        return True


class Retrying:
    """What `retrying` gives: iterate over it with ``for`` or ``async for``. Each iteration is a call of its own."""

    def __init__(self, gate: Gate, model: str, cost: int, classify: Optional[Classify], given: dict[str, Any]) -> None:
        self._gate, self._model, self._cost, self._classify, self._given = gate, model, cost, classify, given

    def _submit(self) -> Ticket:
        return self._gate._desk.submit(self._model, self._cost, options(**self._given), lone=True)

    def _end(self, ticket: Ticket, turn: Any, last: Optional[Try]) -> None:
        if last is not None and last._error is None:
            return
        raise_end(self._gate._desk, ticket, turn, None if last is None else last._error, None)

    def _next(self, ticket: Ticket, turn: Any, last: Optional[Try]) -> Optional[Try]:
        if type(turn) is Attempt:
            return Try(ticket, turn, self._classify)
        self._end(ticket, turn, last)
        return None

    def __iter__(self) -> Iterator[Try]:
        last: Optional[Try] = None
        with self._submit() as ticket:
            while (attempt := self._next(ticket, ticket.wait(), last)) is not None:
                last = attempt
                yield attempt
                _made(attempt)

    async def __aiter__(self) -> AsyncIterator[Try]:
        last: Optional[Try] = None
        keeper = self._gate.keeper()
        with self._submit() as ticket:
            while True:
                turn = ticket.turn()
                attempt = self._next(ticket, await keeper.turn(ticket) if turn is None else turn, last)
                if attempt is None:
                    return
                last = attempt
                yield attempt
                _made(attempt)


def _made(attempt: Try) -> None:
    if not attempt._done:
        raise RuntimeError("an attempt of a retrying loop is made inside `with attempt:`")


def retrying(
    policy: Union[Gate, Policy, Mapping[str, Any], str, None] = None,
    *,
    model: Optional[str] = None,
    cost: int = 0,
    classify: Optional[Classify] = None,
    tenant: Name = None,
    priority: Optional[int] = None,
    deadline: Optional[Seconds] = None,
    affinity: Name = None,
    label: Name = None,
) -> Retrying:
    """Makes attempts until one succeeds, or until no other one could help::

        for attempt in sluicegate.retrying():
            with attempt:
                answer = client.converse(**request)

    With ``async for`` it waits in the event loop. Between two attempts it waits as long as the policy, the service's own
    word and the retry budget say; Ctrl-C and the cancelling of a task end the wait at once. The last error is raised if no
    attempt succeeds, and at once if it is not worth another attempt. Leaving the loop early gives the call up.

    ``policy`` is a `Gate`, so that all loops under it share what is known of the quotas; or a `Policy` or a mapping; or the
    name of a preset for the delays, such as ``"aws-standard"`` or ``"seed-article"``; or None for the defaults. Switch the
    client's own retries off. ``model`` is needed where the policy has more than one; ``cost`` is what an attempt reserves,
    in quota tokens, ``deadline`` seconds for the whole call.
    """
    if isinstance(policy, Gate):
        gate = policy
    elif policy is None or isinstance(policy, str):
        gate = Gate(_waiting_only(policy))
    else:
        gate = Gate(policy)
    if model is None:
        models = gate.policy.models
        if len(models) != 1:
            raise InputError(f"say which model it is, of {', '.join(models)}", "unknown_model")
        [model] = models
    given = {"tenant": tenant, "priority": priority, "deadline": deadline, "affinity": affinity, "label": label}
    return Retrying(gate, model, cost, classify, given)


def _waiting_only(preset: Optional[str]) -> dict[str, Any]:
    """A policy of one endpoint without known quotas."""
    delay = {} if preset is None else {"preset": preset}
    return {
        "pools": {_ONLY: {}},
        "endpoints": {_ONLY: {"model": _ONLY, "pools": [_ONLY]}},
        "retry": {"overloaded": delay, "not_ready": delay, "other": delay},
    }
