"""One call to the backend: the innermost handler."""

from datetime import timedelta

from agent.messages import Request, Response
from agent.transport.client import HttpClient
from agent.transport.connections import ConnectionPool

_CONNECT_SECONDS = 10.0


class BackendClient:
    """The backend at `url`; calling it is a `Handler`.

    `limit` bounds the wait for the head of its answer, and then each wait for a piece; None for no limit.
    """

    def __init__(self, url: str, *, connections: int, limit: timedelta | None) -> None:
        self._client = HttpClient(ConnectionPool(url, size=connections, connect_timeout=_CONNECT_SECONDS))
        self._limit = limit.total_seconds() if limit is not None else None

    def __call__(self, request: Request) -> Response:
        """Raises `TransportError`, and `SourceBroke` for a request whose body broke off."""
        reply = self._client.call(request.head, request.body, limit=self._limit)
        return Response(reply.head, reply.events(), abort=reply.abort, close=reply.close)
