"""From the exceptions of Python's clients to what the engine makes of them.

Known are botocore and aiobotocore, and whatever carries an HTTP status: the clients of OpenAI and Anthropic, httpx, requests,
aiohttp. No library is imported for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Optional

from ._errors import SluicegateError
from ._sluicegate import Outcome, failed

#: An exception that says nothing of a service, such as a fault in the function that was called: never tried again.
_OTHER = Outcome("refused", spent="unknown")
#: What a client found wrong before it sent anything.
_NEVER_SENT = Outcome("refused", spent="never_sent")

# Names of classes, looked up along the method resolution order.
_CONNECT = {"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError", "ConnectTimeout", "ConnectError"}
_CONNECT |= {"ConnectionRefusedError", "ClientConnectorError", "NewConnectionError", "gaierror"}
_TIMEOUT = {"ReadTimeoutError", "TimeoutException", "Timeout", "APITimeoutError", "TimeoutError", "ServerTimeoutError"}
_IO = {"HTTPClientError", "ResponseStreamingError", "IncompleteReadError", "TransportError", "APIConnectionError"}
_IO |= {"ConnectionError", "ClientError", "ProtocolError", "HTTPError", "RequestException", "EventStreamError", "ParserError"}


def outcome_of(error: BaseException, *, in_stream: bool = False, delivered: bool = False) -> Outcome:
    """The report on an attempt that ended with this exception.

    ``in_stream``: the answer had begun to stream; ``delivered``: part of it had reached the caller.
    """
    if isinstance(error, asyncio.CancelledError):
        return failed("cancelled", in_stream=in_stream, delivered=delivered)
    if isinstance(error, SluicegateError):
        return _OTHER
    response = getattr(error, "response", None)
    if isinstance(response, Mapping) and "Error" in response:
        return _of_botocore(error, response, in_stream, delivered)
    status = _status(error, response)
    if status is not None:
        message, code = str(error), _text(getattr(error, "code", None))
        headers = _headers(getattr(response, "headers", None) or getattr(error, "headers", None))
        return failed(
            "response",
            code=code,
            status=status,
            message=message,
            headers=headers,
            in_stream=in_stream,
            delivered=delivered,
        )
    names = {kind.__name__ for kind in type(error).__mro__}
    for kind, known in (("connect", _CONNECT), ("timeout", _TIMEOUT), ("io", _IO)):
        if names & known:
            return failed(kind, message=str(error), in_stream=in_stream, delivered=delivered)
    if "BotoCoreError" in names:
        return _NEVER_SENT
    return _OTHER


def _of_botocore(error: BaseException, response: Mapping[str, Any], in_stream: bool, delivered: bool) -> Outcome:
    told, metadata = response["Error"], response.get("ResponseMetadata") or {}
    if any(kind.__name__ == "EventStreamError" for kind in type(error).__mro__):
        # Its status is made up: that of the stream was 200.
        return failed(
            "response", code=_text(told.get("Code")), message=_text(told.get("Message")), in_stream=True, delivered=delivered
        )
    return failed(
        "response",
        code=_text(told.get("Code")),
        status=metadata.get("HTTPStatusCode"),
        message=_text(told.get("Message")),
        in_stream=in_stream,
        delivered=delivered,
        original_status=_whole(response.get("originalStatusCode")),
        headers=_headers(metadata.get("HTTPHeaders")),
    )


def _status(error: BaseException, response: Any) -> Optional[int]:
    for holder in (error, response):
        for name in ("status_code", "status", "http_status"):
            status = _whole(getattr(holder, name, None))
            if status is not None and 400 <= status <= 599:
                return status
    return None


def _whole(value: Any) -> Optional[int]:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65_535 else None


def _text(value: Any) -> Optional[str]:
    return value if isinstance(value, str) else None


def _headers(headers: Any) -> list[tuple[str, str]]:
    """Names and values as texts; none where there are none."""
    items = headers.items() if hasattr(headers, "items") else ()
    return [(str(name), str(value)) for name, value in items]
