"""Short sessions of ndb, in which every call has an end and fails with an error of the broker.

ndb takes no time limit for the calls that begin and end a transaction, and repeats a roll-back for up to 15 seconds. So
a session is given a client whose calls bring their own limit, and whose errors are none of those that ndb repeats:
what may be repeated, `calls.repeat` repeats.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from google.cloud.ndb import Client, Context
from google.cloud.ndb.exceptions import Error

from broker.errors import StoreUnavailable
from stores.calls import TIMEOUT, CallFailed


@contextmanager
def session(client: Client) -> Iterator[None]:
    """What stands in the block may use ndb; nothing is remembered from one session to the next. Raises
    `StoreUnavailable` for all that ndb and its service may raise."""
    try:
        with Context(_BoundedClient(client), cache_policy=False).use() as context:
            try:
                yield
            finally:
                # Of several calls made at once, one that failed leaves others to be waited for.
                context.eventloop.run()
    except Error as exc:
        raise StoreUnavailable(f"Datastore: {exc}") from exc


class _BoundedClient:
    """What a session asks of a client."""

    def __init__(self, client: Client) -> None:
        self.project = client.project
        self.namespace = client.namespace
        self.database = client.database
        self.stub = _Stub(client.stub)


class _Stub:
    """The calls of a client, by name."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> "_Method":
        return _Method(getattr(self._stub, name))


class _Method:
    """One of them."""

    def __init__(self, method: Any) -> None:
        self._method = method

    def future(self, request: Any, *, timeout: float | None, metadata: Any) -> "_Call":
        """The call, begun."""
        return _Call(self._method.future(request, timeout=timeout or TIMEOUT, metadata=metadata))


class _Call:
    """A call that runs: a future of gRPC but for its error."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def exception(self) -> CallFailed | None:
        """Why it failed, or None; waits for its end."""
        error = self._call.exception()
        return None if error is None else CallFailed(error)
