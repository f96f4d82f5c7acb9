"""Records for tests: sensible defaults, and only what a test is about said by it."""

from datetime import timedelta
from typing import Any

from broker.model import ALL_USERS, Backend, Exchange
from broker.policy import Policy
from tests.fakes.clock import NOON
from wire.protocol import BackendId, RequestId

BACKEND = BackendId("notebook")
REQUEST = RequestId("request-1")


def a_backend(backend_id: str = BACKEND, **changes: Any) -> Backend:
    """A backend that serves everybody, everywhere."""
    fields: dict[str, Any] = {
        "backend_id": BackendId(backend_id),
        "backend_user": "agent@example.com",
        "end_user": ALL_USERS,
        "path_prefixes": ("/",),
    }
    return Backend(**(fields | changes))


def an_exchange(request_id: str = REQUEST, **changes: Any) -> Exchange:
    """A queued GET that began at noon."""
    fields: dict[str, Any] = {
        "request_id": RequestId(request_id),
        "backend_id": BACKEND,
        "end_user": "user@example.com",
        "method": "GET",
        "started": NOON,
        "expires": NOON + Policy().exchange_ttl,
    }
    return Exchange(**(fields | changes))


def seconds(count: float) -> timedelta:
    """So many seconds."""
    return timedelta(seconds=count)
