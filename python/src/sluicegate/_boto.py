"""``sluicegate.wrap`` around a boto3 client: the same client, with a gate in front of what costs quota."""

from __future__ import annotations

import copy
import functools
import io
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Callable, Optional

from botocore.eventstream import EventStream
from botocore.response import StreamingBody

from ._errors import InputError, SluicegateError
from ._failures import outcome_of
from ._gate import Gate
from ._nearest import NEAREST
from ._options import options
from ._regions import OPERATIONS, Events, Regions, create
from ._sluicegate import Attempt, EndReason, Plan, StreamWatch, Ticket, lowered
from ._waiting import Made, drive, raise_end

@functools.lru_cache(maxsize=None)
def _joined(ours: type, theirs: type) -> type:
    """A class of both kinds."""
    return type(ours.__name__, (ours, theirs), {"__module__": ours.__module__, "__doc__": ours.__doc__})


def as_client_error(client: Any, operation: str, error: SluicegateError) -> SluicegateError:
    """An error of ours that is an error of the client's as well."""
    code, status = NEAREST.get(error.code, (None, 0))
    if code is None:
        return error
    ours: Any = type(error)
    joined = _joined(ours, client.exceptions.from_code(code))
    both: SluicegateError = joined.__new__(joined, *error.args)
    both.__dict__.update(error.__dict__)
    both.args = error.args
    message = str(error)
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": 0}
    both.response = {"Error": {"Message": message, "Code": code}, "ResponseMetadata": metadata, "message": message}  # type: ignore[attr-defined]
    both.operation_name = operation  # type: ignore[attr-defined]
    return both


class Shared:
    """What the methods of a wrapped client need, the same for threads and event loops."""

    def __init__(self, client: Any, gate: Gate, make: Callable[[Any, str], Any]) -> None:
        self.client, self.gate = client, gate
        self.desk, self.appraiser = gate._desk, gate._appraiser
        self.events = Events(client.meta.events)
        self.regions = Regions(client, self.events, make)

    def error(self, method: str, error: SluicegateError) -> SluicegateError:
        return as_client_error(self.client, OPERATIONS[method], error)

    def submit(self, method: str, request: dict[str, Any], stream: bool) -> tuple[Plan, Ticket]:
        """Estimates the cost of a request and submits its call. A body to be read is read, since it may be sent twice."""
        model, given = request["modelId"], options()
        if hasattr(request.get("body"), "read"):
            request["body"] = request["body"].read()
        try:
            if method.startswith("converse"):
                plan = self.appraiser.plan_converse(model, request, given, stream)
            else:
                plan = self.appraiser.plan_body(model, "invoke_model", body_of(request), given, stream)
        except InputError as error:
            raise self.error(method, error) from None
        return plan, self.desk.submit_plan(plan)

    def request(self, attempt: Attempt, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The request as this attempt sends it: to the endpoint's own target, with the cap that the engine wants."""
        sent = {**request, "modelId": attempt.endpoint.target}
        cap = attempt.max_tokens
        if cap is not None and method == "converse":
            sent["inferenceConfig"] = {**(request.get("inferenceConfig") or {}), "maxTokens": cap}
        elif cap is not None:
            sent["body"] = lowered("invoke_model", body_of(request), cap) or request["body"]
        return sent


def told(attempt: Attempt, answer: Any) -> Any:
    """An answer whose metadata counts the attempts of the call, and not those of the client, which makes one."""
    metadata = answer["ResponseMetadata"]
    metadata.pop("MaxAttemptsReached", None)
    metadata["RetryAttempts"] = attempt.number - 1
    return answer


def body_of(request: Mapping[str, Any]) -> bytes:
    """The bytes of an InvokeModel body; none where it is something else, for the client to refuse."""
    body = request.get("body", b"")
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, (bytes, bytearray, memoryview)) else b""


class HeldStream(EventStream):
    """The client's own stream, from whose call the gate learns when it ends.

    Its first events were held back until one carried part of the answer. Its call is settled at its end, when it is closed,
    or when nobody holds it any more.
    """

    def __init__(
        self, stream: EventStream, held: deque[Any], rest: Iterator[Any], error: Optional[Exception], settle: Settle
    ) -> None:
        self.__dict__.update(stream.__dict__)
        self._held, self._rest, self._error, self._settle = held, rest, error, settle

    def __iter__(self) -> Iterator[Any]:
        while True:
            if self._held:
                yield self._held.popleft()
                continue
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            try:
                event = next(self._rest)
            except StopIteration:
                self._settle.ended()
                return
            except Exception as error:
                self._settle.failed(error)
                raise
            self._settle.watch.take_event(event)
            yield event

    def close(self) -> None:
        """Closes the connection and settles the call by what is known."""
        try:
            super().close()
        finally:
            self._settle.dropped()

    def __del__(self) -> None:
        settle = self.__dict__.get("_settle")
        if settle is not None:
            settle.dropped()


class Settle:
    """Settles the call of a stream, once."""

    def __init__(self, shared: Shared, plan: Plan, ticket: Optional[Ticket], attempt: Attempt, watch: StreamWatch) -> None:
        self._shared, self._plan, self._ticket, self._attempt, self.watch = shared, plan, ticket, attempt, watch

    def _report(self, outcome: Callable[[], Any]) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            try:
                ticket.report(self._attempt.id, outcome())
            finally:
                ticket.leave()

    def _streamed(self, dropped: bool) -> Any:
        return self._shared.appraiser.streamed(self._plan, self._attempt.endpoint_id, self.watch, dropped)

    def ended(self) -> None:
        """It came to its end."""
        self._report(lambda: self._streamed(False))

    def dropped(self) -> None:
        """Its caller lost interest."""
        self._report(lambda: self._streamed(True))

    def failed(self, error: Exception) -> None:
        """It broke after something of it was handed out."""
        self._report(lambda: outcome_of(error, in_stream=True, delivered=True))


class Gated:
    """Mixed into the class of the client that is wrapped, in front of it."""

    _sluicegate: Shared

    @property
    def gate(self) -> Gate:
        """The gate in front."""
        return self._sluicegate.gate

    def converse(self, *args: Any, **kwargs: Any) -> Any:
        shared = self._sluicegate
        if args or not isinstance(kwargs.get("modelId"), str):
            return shared.client.converse(*args, **kwargs)
        plan, ticket = shared.submit("converse", kwargs, stream=False)

        def make(attempt: Attempt) -> Made:
            try:
                client = shared.regions[attempt.endpoint.region]
                answer = told(attempt, client.converse(**shared.request(attempt, "converse", kwargs)))
            except Exception as error:
                return outcome_of(error), None, error
            return shared.appraiser.answered_converse(plan, attempt.endpoint_id, answer), answer, None

        return drive(shared.desk, ticket, make, functools.partial(shared.error, "converse"))

    def invoke_model(self, *args: Any, **kwargs: Any) -> Any:
        shared = self._sluicegate
        if args or not isinstance(kwargs.get("modelId"), str):
            return shared.client.invoke_model(*args, **kwargs)
        plan, ticket = shared.submit("invoke_model", kwargs, stream=False)

        def make(attempt: Attempt) -> Made:
            try:
                client = shared.regions[attempt.endpoint.region]
                answer = told(attempt, client.invoke_model(**shared.request(attempt, "invoke_model", kwargs)))
                # All of it is read here: what the answer used is known then, and a connection that breaks is tried again.
                body = answer["body"].read()
            except Exception as error:
                return outcome_of(error), None, error
            answer["body"] = StreamingBody(io.BytesIO(body), len(body))
            headers = list(answer["ResponseMetadata"]["HTTPHeaders"].items())
            return shared.appraiser.answered_body(plan, attempt.endpoint_id, body, headers), answer, None

        return drive(shared.desk, ticket, make, functools.partial(shared.error, "invoke_model"))

    def converse_stream(self, *args: Any, **kwargs: Any) -> Any:
        if args or not isinstance(kwargs.get("modelId"), str):
            return self._sluicegate.client.converse_stream(*args, **kwargs)
        return open_stream(self._sluicegate, "converse_stream", "stream", kwargs)

    def invoke_model_with_response_stream(self, *args: Any, **kwargs: Any) -> Any:
        if args or not isinstance(kwargs.get("modelId"), str):
            return self._sluicegate.client.invoke_model_with_response_stream(*args, **kwargs)
        return open_stream(self._sluicegate, "invoke_model_with_response_stream", "body", kwargs)

    def count_tokens(self, *args: Any, **kwargs: Any) -> Any:
        # It draws on no quota that is known, so the client that was given makes the call, with its own retries.
        shared = self._sluicegate
        return shared.client.count_tokens(*args, **counted(shared, kwargs))

    def close(self) -> None:
        """Closes the connections of all Regions. The gate stays open."""
        shared = self._sluicegate
        for client in shared.regions.taken():
            client.close()
        shared.client.close()


def counted(shared: Shared, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request for CountTokens under the name that the service knows the model by, in the client's own Region if it is
    there."""
    policy = shared.gate.policy
    number = policy.model(request.get("modelId", ""))
    endpoints = [endpoint for endpoint in policy.endpoints if endpoint.model == number]
    endpoints.sort(key=lambda endpoint: endpoint.region != shared.client.meta.region_name)
    return {**request, "modelId": endpoints[0].target} if endpoints else request


def open_stream(shared: Shared, method: str, field: str, kwargs: dict[str, Any]) -> Any:
    """Opens a stream: attempts are repeated as long as nothing of the answer has come. An error in the stream that ends the
    call is handed out in the stream, where callers of boto3 expect it."""
    plan, ticket = shared.submit(method, kwargs, stream=True)
    operation = "converse" if method == "converse_stream" else "invoke_model"
    last: Optional[Exception] = None
    broken: Any = None
    handed_out = False
    try:
        while True:
            turn = ticket.wait()
            if type(turn) is not Attempt:
                break
            try:
                client = shared.regions[turn.endpoint.region]
                answer = told(turn, getattr(client, method)(**shared.request(turn, method, kwargs)))
            except Exception as error:
                last, broken = error, None
                ticket.report(turn.id, outcome_of(error))
                continue
            stream, watch, held = answer[field], StreamWatch(operation), deque[Any]()
            rest, failure = iter(stream), None
            try:
                while not watch.delivers:
                    event = next(rest)
                    watch.take_event(event)
                    held.append(event)
            except StopIteration:
                outcome = shared.appraiser.streamed(plan, turn.endpoint_id, watch, False)
            except Exception as caught:
                failure, outcome = caught, outcome_of(caught, in_stream=True)
            except BaseException:
                stream.close()
                raise
            else:
                settle = Settle(shared, plan, ticket, turn, watch)
                answer[field] = HeldStream(stream, held, rest, None, settle)
                handed_out = True
                return answer
            last, broken = failure, answer
            answer[field] = HeldStream(stream, held, rest, failure, Settle(shared, plan, None, turn, watch))
            ticket.report(turn.id, outcome)
            stream.close()
    finally:
        if not handed_out:
            ticket.leave()
    if broken is not None and isinstance(turn, EndReason.Failed):
        return broken
    raise_end(shared.desk, ticket, turn, last, functools.partial(shared.error, method))


def wrap_boto(client: Any, gate: Gate) -> Any:
    """The client with a gate in front."""
    kind = type(client)
    shared = Shared(client, gate, create)
    wrapped: Any = object.__new__(type(kind.__name__, (Gated, kind), {}))
    wrapped.__dict__.update(client.__dict__)
    wrapped.__dict__["meta"] = copy.copy(client.meta)
    wrapped.meta.events = shared.events
    wrapped.__dict__["_sluicegate"] = shared
    return wrapped

