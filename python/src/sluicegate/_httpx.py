"""A gate below httpx, for clients of Bedrock that bring no boto3 client: Anthropic's, for one.

It wraps a transport of httpx or httpx2, whichever that is made with, and imports neither.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Callable, Optional, Union
from urllib.parse import quote, unquote

from ._errors import InputError, SluicegateError
from ._failures import outcome_of
from ._gate import Gate
from ._nearest import NEAREST
from ._options import options
from ._sluicegate import Attempt, Outcome, Plan, Policy, StreamWatch, Ticket, failed, failed_http, lowered
from ._waiting import raise_end

_PATH = re.compile(
    r"(?P<before>.*)/model/(?P<model>[^/]+)/"
    r"(?P<what>invoke|converse|invoke-with-response-stream|converse-stream)(?P<after>\?.*)?"
)
_HOST = re.compile(r"^(bedrock-runtime(?:-fips)?)\.[a-z0-9-]+\.")
#: What a signature covers anew.
_SIGNED_ANEW = {"authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "content-length", "connection"}


class _Call:
    """One request on its way through the gate: all but the sending and the waiting."""

    def __init__(self, shared: _Shared, path: re.Match[str], request: Any, body: bytes) -> None:
        self.shared, self.path, self.request, self.body = shared, path, request, body
        self.stream = path["what"].endswith("-stream")
        self.operation = "invoke_model" if path["what"].startswith("invoke") else "converse"
        gate = shared.gate
        model = unquote(path["model"])
        self.plan: Plan = gate._appraiser.plan_body(model, self.operation, body, options(), self.stream)
        # A transport makes one attempt at a time.
        self.ticket: Ticket = gate._desk.submit_plan(self.plan, lone=True)
        self.last: Any = None
        self.error: Optional[Exception] = None

    def to_send(self, attempt: Attempt) -> Any:
        """The request as this attempt sends it, signed for where it goes."""
        request, endpoint, body = self.request, attempt.endpoint, self.body
        if attempt.max_tokens is not None:
            body = lowered(self.operation, body, attempt.max_tokens) or body
        before, what, after = self.path["before"], self.path["what"], self.path["after"] or ""
        target = f"{before}/model/{quote(endpoint.target, safe='')}/{what}{after}".encode()
        url = request.url
        if endpoint.region:
            url = url.copy_with(host=_HOST.sub(rf"\1.{endpoint.region}.", url.host))
        url = url.copy_with(raw_path=target)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _SIGNED_ANEW}
        headers["host"] = url.netloc.decode()
        authorization = request.headers.get("authorization", "")
        if authorization.startswith("AWS4-"):
            region = endpoint.region or authorization.split("/", 3)[2]
            headers.update(self.shared.sign(request.method, str(url), headers, body, region))
        elif authorization:
            headers["authorization"] = authorization
        return type(request)(request.method, url, headers=headers, content=body, extensions=request.extensions)

    def failed(self, attempt: Attempt, error: Exception) -> None:
        """No answer came."""
        self.last, self.error = None, error
        self.ticket.report(attempt.id, outcome_of(error))

    def refused(self, attempt: Attempt, response: Any, body: bytes) -> None:
        """An answer came that is an error."""
        # Clients that retry by themselves heed this one.
        response.headers["x-should-retry"] = "false"
        self.last, self.error = response, None
        self.ticket.report(attempt.id, failed_http(response.status_code, list(response.headers.items()), body))

    def answered(self, attempt: Attempt, response: Any, body: bytes) -> None:
        """An answer came in full."""
        self.last, self.error = response, None
        headers = list(response.headers.items())
        appraiser = self.shared.gate._appraiser
        self.ticket.report(attempt.id, appraiser.answered_body(self.plan, attempt.endpoint_id, body, headers))

    def streamed(self, attempt: Attempt, watch: StreamWatch, *, dropped: bool = False, delivered: bool = True) -> Outcome:
        """What became of a stream."""
        if watch.error is not None:
            code, message = watch.error
            return failed("response", code=code, message=message, in_stream=True, delivered=delivered)
        return self.shared.gate._appraiser.streamed(self.plan, attempt.endpoint_id, watch, dropped)

    def ended(self, turn: Any) -> Any:
        """The answer of a call that is over: the last that came, or one that says how the engine ended it."""
        if self.last is not None:
            return self.last
        if self.error is not None:
            raise self.error
        try:
            raise_end(self.shared.gate._desk, self.ticket, turn, None, None)
        except SluicegateError as error:
            return self.shared.response(self.request, error)


class _Settle:
    """Settles the call of a stream, once."""

    def __init__(self, call: _Call, attempt: Attempt, watch: StreamWatch) -> None:
        self._call: Optional[_Call] = call
        self._attempt, self.watch = attempt, watch

    def __call__(self, outcome: Callable[[_Call], Outcome]) -> None:
        call, self._call = self._call, None
        if call is not None:
            try:
                call.ticket.report(self._attempt.id, outcome(call))
            finally:
                call.ticket.leave()

    def ended(self) -> None:
        self(lambda call: call.streamed(self._attempt, self.watch))

    def dropped(self) -> None:
        self(lambda call: call.streamed(self._attempt, self.watch, dropped=True))

    def failed(self, error: Exception) -> None:
        self(lambda call: outcome_of(error, in_stream=True, delivered=True))

    def __del__(self) -> None:
        self.dropped()


class _Shared:
    def __init__(self, inner: Any, policy: Union[Policy, Mapping[str, Any], Gate], credentials: Any) -> None:
        self.gate = policy if isinstance(policy, Gate) else Gate(policy)
        self.inner, self._credentials = inner, credentials
        roots = [kind.__module__.split(".")[0] for kind in type(inner).__mro__]
        root = next((root for root in roots if root in ("httpx", "httpx2")), None)
        if root is None:
            raise TypeError(f"a transport of httpx or httpx2 is wanted, not {type(inner).__name__}")
        self.httpx = importlib.import_module(root)

    def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes, region: str) -> dict[str, str]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        if self._credentials is None:
            import botocore.session

            self._credentials = botocore.session.get_session().get_credentials()
        request = AWSRequest(method=method, url=url, headers=dict(headers), data=body)
        SigV4Auth(self._credentials, "bedrock", region).add_auth(request)
        return dict(request.prepare().headers)

    def response(self, request: Any, error: SluicegateError) -> Any:
        """An error of ours as an answer of the service, for clients that know only those."""
        if error.code not in NEAREST:
            raise error
        name, status = NEAREST[error.code]
        headers = {"x-amzn-errortype": name, "content-type": "application/json", "x-should-retry": "false"}
        body = json.dumps({"message": str(error)}).encode()
        return self.httpx.Response(status, headers=headers, content=body, request=request)


class Transport:
    """A transport for ``httpx.Client``, or ``httpx2.Client``, with a gate in front: requests to a Bedrock model go out when and
    where the engine decides, all others at once.

    ``inner`` sends them. ``policy`` may be a `Gate`. Requests that come signed are signed anew for the Region and the model
    that an attempt goes to, with ``credentials`` (of botocore; by default what botocore finds); those with a bearer token
    keep it. A custom host stays, one of AWS's becomes that of the Region. What the engine ends itself is an answer with the
    status and the name of the service's error that comes nearest.

    Set the retries of the client above to zero, as in ``AnthropicBedrock(max_retries=0, http_client=..)``.
    """

    def __init__(
        self, inner: Any, *, policy: Union[Policy, Mapping[str, Any], Gate], credentials: Any = None
    ) -> None:
        self._shared = shared = _Shared(inner, policy, credentials)

        class Stream(shared.httpx.SyncByteStream):  # type: ignore[name-defined]
            def __init__(self, stream: Any, held: list[bytes], rest: Iterator[bytes], settle: Optional[_Settle]) -> None:
                self._stream, self._held, self._rest, self._settle = stream, held, rest, settle

            def __iter__(self) -> Iterator[bytes]:
                yield from self._held
                settle = self._settle
                if settle is None:
                    return
                while True:
                    try:
                        chunk = next(self._rest)
                    except StopIteration:
                        settle.ended()
                        return
                    except Exception as error:
                        settle.failed(error)
                        raise
                    settle.watch.take_bytes(chunk)
                    yield chunk

            def close(self) -> None:
                self._stream.close()
                if self._settle is not None:
                    self._settle.dropped()

        self._stream = Stream

    @property
    def gate(self) -> Gate:
        """The gate in front."""
        return self._shared.gate

    def handle_request(self, request: Any) -> Any:
        """Sends a request to a model when and where the engine decides, any other at once."""
        inner = self._shared.inner
        path = _PATH.fullmatch(request.url.raw_path.decode())
        if path is None or request.method != "POST":
            return inner.handle_request(request)
        try:
            call = _Call(self._shared, path, request, request.read())
        except InputError as error:
            return self._shared.response(request, error)
        ticket, handed_out = call.ticket, False
        try:
            while True:
                turn = ticket.wait()
                if type(turn) is not Attempt:
                    return call.ended(turn)
                try:
                    response = inner.handle_request(call.to_send(turn))
                    body = b"" if call.stream and response.status_code < 400 else response.read()
                except Exception as error:
                    call.failed(turn, error)
                    continue
                if response.status_code >= 400:
                    call.refused(turn, response, body)
                elif not call.stream:
                    call.answered(turn, response, body)
                else:
                    watch, held = StreamWatch(call.operation), []
                    raw, rest = response.stream, iter(response.stream)
                    try:
                        while not watch.delivers and watch.error is None:
                            held.append(next(rest))
                            watch.take_bytes(held[-1])
                    except StopIteration:
                        pass
                    except Exception as error:
                        call.failed(turn, error)
                        raw.close()
                        continue
                    if watch.delivers:
                        handed_out = True
                        response.stream = self._stream(raw, held, rest, _Settle(call, turn, watch))
                        return response
                    response.stream = self._stream(raw, held, rest, None)
                    call.last, call.error = response, None
                    ticket.report(turn.id, call.streamed(turn, watch, delivered=False))
        finally:
            if not handed_out:
                ticket.leave()

    def close(self) -> None:
        """Closes the connections. The gate stays open."""
        self._shared.inner.close()

    def __enter__(self) -> Transport:
        self._shared.inner.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._shared.inner.__exit__(*error)


class AsyncTransport:
    """`Transport` for ``httpx.AsyncClient`` or ``httpx2.AsyncClient``."""

    def __init__(
        self, inner: Any, *, policy: Union[Policy, Mapping[str, Any], Gate], credentials: Any = None
    ) -> None:
        self._shared = shared = _Shared(inner, policy, credentials)

        class Stream(shared.httpx.AsyncByteStream):  # type: ignore[name-defined]
            def __init__(
                self, stream: Any, held: list[bytes], rest: AsyncIterator[bytes], settle: Optional[_Settle]
            ) -> None:
                self._stream, self._held, self._rest, self._settle = stream, held, rest, settle

            async def __aiter__(self) -> AsyncIterator[bytes]:
                for chunk in self._held:
                    yield chunk
                settle = self._settle
                if settle is None:
                    return
                while True:
                    try:
                        chunk = await self._rest.__anext__()
                    except StopAsyncIteration:
                        settle.ended()
                        return
                    except Exception as error:
                        settle.failed(error)
                        raise
                    settle.watch.take_bytes(chunk)
                    yield chunk

            async def aclose(self) -> None:
                await self._stream.aclose()
                if self._settle is not None:
                    self._settle.dropped()

        self._stream = Stream

    @property
    def gate(self) -> Gate:
        """The gate in front."""
        return self._shared.gate

    async def handle_async_request(self, request: Any) -> Any:
        """Sends a request to a model when and where the engine decides, any other at once."""
        inner = self._shared.inner
        path = _PATH.fullmatch(request.url.raw_path.decode())
        if path is None or request.method != "POST":
            return await inner.handle_async_request(request)
        keeper = self._shared.gate.keeper()
        try:
            call = _Call(self._shared, path, request, await request.aread())
        except InputError as error:
            return self._shared.response(request, error)
        ticket, handed_out = call.ticket, False
        try:
            while True:
                turn = ticket.turn()
                if turn is None:
                    turn = await keeper.turn(ticket)
                if type(turn) is not Attempt:
                    return call.ended(turn)
                try:
                    response = await inner.handle_async_request(call.to_send(turn))
                    body = b"" if call.stream and response.status_code < 400 else await response.aread()
                except Exception as error:
                    call.failed(turn, error)
                    continue
                if response.status_code >= 400:
                    call.refused(turn, response, body)
                elif not call.stream:
                    call.answered(turn, response, body)
                else:
                    watch, held = StreamWatch(call.operation), []
                    raw, rest = response.stream, response.stream.__aiter__()
                    try:
                        while not watch.delivers and watch.error is None:
                            held.append(await rest.__anext__())
                            watch.take_bytes(held[-1])
                    except StopAsyncIteration:
                        pass
                    except Exception as error:
                        call.failed(turn, error)
                        await raw.aclose()
                        continue
                    if watch.delivers:
                        handed_out = True
                        response.stream = self._stream(raw, held, rest, _Settle(call, turn, watch))
                        return response
                    response.stream = self._stream(raw, held, rest, None)
                    call.last, call.error = response, None
                    ticket.report(turn.id, call.streamed(turn, watch, delivered=False))
        finally:
            if not handed_out:
                ticket.leave()

    async def aclose(self) -> None:
        """Closes the connections. The gate stays open."""
        await self._shared.inner.aclose()

    async def __aenter__(self) -> AsyncTransport:
        await self._shared.inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._shared.inner.__aexit__(*error)
