"""``sluicegate.wrap`` around a client of aiobotocore or aioboto3."""

from __future__ import annotations

import asyncio
import copy
import functools
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Optional

from aiobotocore.eventstream import AioEventStream
from aiobotocore.response import StreamingBody

from ._boto import Settle, Shared, counted, told
from ._failures import outcome_of
from ._gate import Gate
from ._regions import arguments, related
from ._sluicegate import Attempt, EndReason, StreamWatch
from ._waiting import Made, drive_async, raise_end


async def _create(client: Any, region: str) -> Any:
    from aiobotocore.session import AioSession

    signer = client._request_signer

    class Session(AioSession):
        """Hands out the client's own credentials, which renew themselves where they can."""

        async def get_credentials(self) -> Any:
            return signer._credentials

        def get_auth_token(self, **_: Any) -> Any:
            return signer._auth_token

    made = Session().create_client(**arguments(client, region))
    return related(await made.__aenter__(), client)


class _Shared(Shared):
    """With clients that take an await to be made."""

    def __init__(self, client: Any, gate: Gate) -> None:
        super().__init__(client, gate, _not_here)
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    async def at(self, region: str) -> Any:
        task = self._tasks.get(region)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._tasks[region] = asyncio.ensure_future(self._make(region))
        # Whoever gives up does not take the client from those who wait for it too.
        return await asyncio.shield(task)

    async def _make(self, region: str) -> Any:
        client = await _create(self.client, region or self.client.meta.region_name)
        self.events.join(client.meta.events)
        return client

    async def close(self) -> None:
        tasks, self._tasks = list(self._tasks.values()), {}
        for made in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(made, BaseException):
                await made.close()


def _not_here(client: Any, region: str) -> Any:
    raise NotImplementedError("clients of aiobotocore are made by `at`")


class _Bytes:
    """The raw body of an answer that has been read."""

    def __init__(self, body: bytes) -> None:
        self._rest = memoryview(body)

    @property
    def content(self) -> _Bytes:
        return self

    def at_eof(self) -> bool:
        return not self._rest

    async def read(self, amt: int = -1) -> bytes:
        take = len(self._rest) if amt < 0 else amt
        taken, self._rest = self._rest[:take], self._rest[take:]
        return bytes(taken)

    def close(self) -> None:
        self._rest = memoryview(b"")

    async def __aenter__(self) -> _Bytes:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class HeldAioStream(AioEventStream):
    """The client's own stream, from whose call the gate learns when it ends; see `HeldStream`."""

    def __init__(
        self, stream: Any, held: deque[Any], rest: AsyncIterator[Any], error: Optional[Exception], settle: Settle
    ) -> None:
        self.__dict__.update(stream.__dict__)
        self._held, self._rest, self._error, self._settle = held, rest, error, settle

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._events()

    async def _events(self) -> AsyncIterator[Any]:
        while True:
            if self._held:
                yield self._held.popleft()
                continue
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            try:
                event = await self._rest.__anext__()
            except StopAsyncIteration:
                self._settle.ended()
                return
            except asyncio.CancelledError:
                self._settle.dropped()
                raise
            except Exception as error:
                self._settle.failed(error)
                raise
            self._settle.watch.take_event(event)
            yield event

    def close(self) -> Any:
        """Closes the connection and settles the call by what is known."""
        try:
            return super().close()
        finally:
            self._settle.dropped()

    def __del__(self) -> None:
        settle = self.__dict__.get("_settle")
        if settle is not None:
            settle.dropped()


class GatedAio:
    """Mixed into the class of the client that is wrapped, in front of it."""

    _sluicegate: _Shared

    @property
    def gate(self) -> Gate:
        """The gate in front."""
        return self._sluicegate.gate

    async def converse(self, *args: Any, **kwargs: Any) -> Any:
        shared = self._sluicegate
        if args or not isinstance(kwargs.get("modelId"), str):
            return await shared.client.converse(*args, **kwargs)
        keeper = shared.gate.keeper()
        plan, ticket = shared.submit("converse", kwargs, stream=False)

        async def make(attempt: Attempt) -> Made:
            try:
                client = await shared.at(attempt.endpoint.region)
                answer = told(attempt, await client.converse(**shared.request(attempt, "converse", kwargs)))
            except Exception as error:
                return outcome_of(error), None, error
            return shared.appraiser.answered_converse(plan, attempt.endpoint_id, answer), answer, None

        return await drive_async(keeper, ticket, make, functools.partial(shared.error, "converse"))

    async def invoke_model(self, *args: Any, **kwargs: Any) -> Any:
        shared = self._sluicegate
        if args or not isinstance(kwargs.get("modelId"), str):
            return await shared.client.invoke_model(*args, **kwargs)
        keeper = shared.gate.keeper()
        plan, ticket = shared.submit("invoke_model", kwargs, stream=False)

        async def make(attempt: Attempt) -> Made:
            try:
                client = await shared.at(attempt.endpoint.region)
                answer = told(attempt, await client.invoke_model(**shared.request(attempt, "invoke_model", kwargs)))
                # As in boto3's twin: all of it is read here.
                async with answer["body"] as stream:
                    body = await stream.read()
            except Exception as error:
                return outcome_of(error), None, error
            answer["body"] = StreamingBody(_Bytes(body), len(body))
            headers = list(answer["ResponseMetadata"]["HTTPHeaders"].items())
            return shared.appraiser.answered_body(plan, attempt.endpoint_id, body, headers), answer, None

        return await drive_async(keeper, ticket, make, functools.partial(shared.error, "invoke_model"))

    async def converse_stream(self, *args: Any, **kwargs: Any) -> Any:
        if args or not isinstance(kwargs.get("modelId"), str):
            return await self._sluicegate.client.converse_stream(*args, **kwargs)
        return await _open_stream(self._sluicegate, "converse_stream", "stream", kwargs)

    async def invoke_model_with_response_stream(self, *args: Any, **kwargs: Any) -> Any:
        if args or not isinstance(kwargs.get("modelId"), str):
            return await self._sluicegate.client.invoke_model_with_response_stream(*args, **kwargs)
        return await _open_stream(self._sluicegate, "invoke_model_with_response_stream", "body", kwargs)

    async def count_tokens(self, *args: Any, **kwargs: Any) -> Any:
        shared = self._sluicegate
        return await shared.client.count_tokens(*args, **counted(shared, kwargs))

    async def close(self) -> None:
        """Closes the connections of all Regions. The gate stays open."""
        await self._sluicegate.close()
        await self._sluicegate.client.close()

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _open_stream(shared: _Shared, method: str, field: str, kwargs: dict[str, Any]) -> Any:
    """As its twin for threads."""
    keeper = shared.gate.keeper()
    plan, ticket = shared.submit(method, kwargs, stream=True)
    operation = "converse" if method == "converse_stream" else "invoke_model"
    last: Optional[Exception] = None
    broken: Any = None
    handed_out = False
    try:
        while True:
            turn = ticket.turn()
            if turn is None:
                turn = await keeper.turn(ticket)
            if type(turn) is not Attempt:
                break
            try:
                client = await shared.at(turn.endpoint.region)
                answer = told(turn, await getattr(client, method)(**shared.request(turn, method, kwargs)))
            except Exception as error:
                last, broken = error, None
                ticket.report(turn.id, outcome_of(error))
                continue
            stream, watch, held = answer[field], StreamWatch(operation), deque[Any]()
            rest, failure = stream.__aiter__(), None
            try:
                while not watch.delivers:
                    event = await rest.__anext__()
                    watch.take_event(event)
                    held.append(event)
            except StopAsyncIteration:
                outcome = shared.appraiser.streamed(plan, turn.endpoint_id, watch, False)
            except Exception as caught:
                failure, outcome = caught, outcome_of(caught, in_stream=True)
            except BaseException:
                stream.close()
                raise
            else:
                settle = Settle(shared, plan, ticket, turn, watch)
                answer[field] = HeldAioStream(stream, held, rest, None, settle)
                handed_out = True
                return answer
            last, broken = failure, answer
            answer[field] = HeldAioStream(stream, held, rest, failure, Settle(shared, plan, None, turn, watch))
            ticket.report(turn.id, outcome)
            stream.close()
    finally:
        if not handed_out:
            ticket.leave()
    if broken is not None and isinstance(turn, EndReason.Failed):
        return broken
    raise_end(shared.desk, ticket, turn, last, functools.partial(shared.error, method))


def wrap_aio(client: Any, gate: Gate) -> Any:
    """The client with a gate in front."""
    kind = type(client)
    shared = _Shared(client, gate)
    wrapped: Any = object.__new__(type(kind.__name__, (GatedAio, kind), {}))
    wrapped.__dict__.update(client.__dict__)
    wrapped.__dict__["meta"] = copy.copy(client.meta)
    wrapped.meta.events = shared.events
    wrapped.__dict__["_sluicegate"] = shared
    return wrapped
