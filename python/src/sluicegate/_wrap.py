"""The one line around a client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, Union

from ._gate import Gate
from ._sluicegate import Policy

C = TypeVar("C")


def wrap(client: C, *, policy: Union[Policy, Mapping[str, Any], Gate]) -> C:
    """The same client with a gate in front: one made with boto3, botocore, aioboto3 or aiobotocore, for ``bedrock-runtime``.

    ``converse``, ``converse_stream``, ``invoke_model`` and ``invoke_model_with_response_stream`` go out when and where the
    engine decides, with the same arguments, answers and exceptions; everything else is the client's own. It makes one client
    for each Region of the policy, with the credentials, configuration and endpoint URL of the one given, and without the
    SDK's own retries. Event handlers are to be registered with the client that this returns.

    ``policy`` may be a `Gate`, which other clients may share. ``.gate`` of the result is the gate.

    What the engine ends itself raises `Refused` or `Expired`, which are ``botocore.exceptions.ClientError`` too: with the
    code ``ModelTimeoutException`` where time ran out, ``ThrottlingException`` where the queue is full or the wait too long,
    ``ValidationException`` where the request is larger than any quota, ``ServiceUnavailableException`` where no endpoint is
    usable, ``ResourceNotFoundException`` where the policy knows no such model. Errors of the service are raised as they came.

    Raises `PolicyError` with every fault of the policy.
    """
    if not hasattr(client, "converse"):
        raise TypeError(f"wrap takes a client for bedrock-runtime, not {type(client).__name__}; it has no converse")
    gate = policy if isinstance(policy, Gate) else Gate(policy)
    if any(kind.__module__.startswith("aiobotocore.") for kind in type(client).__mro__):
        from ._aio import wrap_aio

        return wrap_aio(client, gate)  # type: ignore[no-any-return]
    from ._boto import wrap_boto

    return wrap_boto(client, gate)  # type: ignore[no-any-return]
