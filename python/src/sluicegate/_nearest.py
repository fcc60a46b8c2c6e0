"""The service's own errors that come nearest to the engine's."""

from __future__ import annotations

#: What the engine's own ends are to callers of an SDK: the service's error that comes nearest, so that whoever catches that
#: one catches ours, and nobody repeats what cannot help.
NEAREST = {
    "deadline": ("ModelTimeoutException", 408),
    "expired": ("ModelTimeoutException", 408),
    "queue_full": ("ThrottlingException", 429),
    "target_wait": ("ThrottlingException", 429),
    "too_large": ("ValidationException", 400),
    "no_endpoint": ("ServiceUnavailableException", 503),
    "unknown_model": ("ResourceNotFoundException", 404),
}
