"""One client of the SDK for each Region, made after the one that was given."""

from __future__ import annotations

import threading
from typing import Any, Callable, Optional

#: The SDK's own retries are off: two who retry multiply their attempts. The mode is the SDK's default, whose errors say of
#: themselves what callers are used to.
ONE_ATTEMPT = {"retries": {"total_max_attempts": 1, "mode": "legacy"}}

OPERATIONS = {
    "converse": "Converse",
    "converse_stream": "ConverseStream",
    "invoke_model": "InvokeModel",
    "invoke_model_with_response_stream": "InvokeModelWithResponseStream",
}


def given_endpoint_url(client: Any) -> Optional[str]:
    """The address that the client was told to use; None where it worked it out from its Region."""
    rules = getattr(client, "_ruleset_resolver", None)
    builtins = getattr(rules, "_builtins", None) or {}
    url = builtins.get("SDK::Endpoint")
    return url if isinstance(url, str) else None


def arguments(client: Any, region: str) -> dict[str, Any]:
    """The arguments of ``create_client`` for a client like this one in another Region."""
    from botocore.config import Config

    session = getattr(getattr(client, "_endpoint", None), "http_session", None)
    return {
        "service_name": client.meta.service_model.service_name,
        "region_name": region,
        "endpoint_url": given_endpoint_url(client),
        "verify": getattr(session, "_verify", None),
        "config": client.meta.config.merge(Config(region_name=region, **ONE_ATTEMPT)),
    }


def create(client: Any, region: str) -> Any:
    """A client like this one in another Region, without retries."""
    import botocore.session

    signer = client._request_signer

    class Session(botocore.session.Session):
        """Hands out the client's own credentials, which renew themselves where they can."""

        def get_credentials(self) -> Any:
            return signer._credentials

        def get_auth_token(self, **_: Any) -> Any:
            return signer._auth_token

    return related(Session().create_client(**arguments(client, region)), client)


def related(twin: Any, client: Any) -> Any:
    """The twin raises the client's own classes of exceptions, which each session makes anew."""
    twin._exceptions_factory, twin._exceptions = client._exceptions_factory, client.exceptions
    return twin


class Events:
    """The event system of the client that was given, whose handlers are those of its twins in other Regions as well."""

    def __init__(self, events: Any) -> None:
        self._events = events
        self._twins: list[Any] = []
        self._calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._events, name)
        if not name.startswith(("register", "unregister")):
            return method

        def everywhere(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self._calls.append((name, args, kwargs))
                for twin in self._twins:
                    getattr(twin, name)(*args, **kwargs)
            return method(*args, **kwargs)

        return everywhere

    def join(self, events: Any) -> None:
        """Registers with a new twin what was registered so far."""
        with self._lock:
            for name, args, kwargs in self._calls:
                getattr(events, name)(*args, **kwargs)
            self._twins.append(events)


class Regions:
    """The clients by Region, each made when it is first needed."""

    def __init__(self, client: Any, events: Events, make: Callable[[Any, str], Any]) -> None:
        self._client, self._events, self._make = client, events, make
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __getitem__(self, region: str) -> Any:
        client = self._clients.get(region)
        if client is None:
            with self._lock:
                client = self._clients.get(region)
                if client is None:
                    client = self._make(self._client, region or self._client.meta.region_name)
                    self._events.join(client.meta.events)
                    self._clients[region] = client
        return client

    def taken(self) -> list[Any]:
        """The clients made so far, to be closed."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        return clients
