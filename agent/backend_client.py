"""One call to the backend: the innermost handler; and the sockets on which websockets are spoken to it."""

import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final, Protocol
from urllib.parse import urlsplit

from agent.hygiene import with_host
from agent.messages import Request, Response
from agent.transport.client import HttpClient, Interrupt, Reply
from agent.transport.connections import ConnectionPool
from agent.transport.tls import REQUESTS_RULES, Tls
from agent.transport.upgrading import Changed, call_upgrading
from agent.transport.upload import Body
from wire.http1 import End, RequestHead, ResponseHead
from wire.upgrades import upgrade_fields

logger = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 10.0

_SENT_AT_ONCE: Final = 1 << 14
"""Bytes that the buffer of a connection takes without waiting for the peer."""


class _Reply(Protocol):
    """What is used of the replies of `client` and `http2_client`."""

    @property
    def head(self) -> ResponseHead: ...
    def arrives(self, within: float) -> bool: ...
    def events(self) -> Iterator[bytes | End]: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


class _Call(Protocol):
    def __call__(
        self, head: RequestHead, body: bytes | Body, *, limit: float | None, interrupt: Interrupt | None
    ) -> _Reply: ...


class _Begin(Protocol):
    def __call__(self, head: RequestHead, body: bytes, *, limit: float | None) -> Reply | None: ...


class BackendClient:
    """The backend at `url` (`http://`, `https://`, `unix:///PATH`); calling it is a `Handler`.

    `limit` bounds the wait for the head of its answer, and then each wait for a piece; None for no limit.
    `host_header` is `keep` for the user's `Host`, `backend` for that of `url`, or what to send instead.
    Raises `OSError` for certificate files that are not there.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int,
        limit: timedelta | None,
        tls: Tls = REQUESTS_RULES,
        is_http2: bool = False,
        host_header: str = "keep",
    ) -> None:
        self._pool = ConnectionPool(url, size=connections, connect_timeout=_CONNECT_SECONDS, tls=tls)
        http = HttpClient(self._pool)
        self._call: _Call = http.call
        self._begin: _Begin | None = http.begin
        self._close: Callable[[], None] = lambda: None
        if is_http2:
            # Imported when used: h2 takes time that most agents need not spend.
            from agent.transport.http2_client import Http2Client

            pool = ConnectionPool(url, size=1, connect_timeout=_CONNECT_SECONDS, tls=tls, is_http2=True)
            client = Http2Client(pool, scheme="https" if url.startswith("https:") else "http")
            self._call, self._begin, self._close = client.call, None, client.close
        self._limit = limit.total_seconds() if limit is not None else None
        self.host = own_host(url)
        self._host = {"keep": None, "backend": self.host}.get(host_header, host_header)
        if not tls.verifies and url.startswith("https:"):
            logger.warning("the certificate of the backend %s is not verified: anybody on the way can be it", url)

    def __call__(self, request: Request) -> Response:
        """Raises `TransportError`, and `SourceBroke` for a request whose body broke off."""
        head = self._addressed(request.head)
        reply = self._call(head, request.body, limit=self._limit, interrupt=request.interrupt)
        request.interrupt.attach(reply)
        return _response(reply)

    def change(self, request: Request, *, limit: float) -> Response | Changed:
        """Offer the backend to change to `request.upgrade`, over HTTP/1.1 in any case; what it made of it.

        `limit` bounds, in seconds, the wait for its answer. Raises `TransportError`.
        """
        head = self._addressed(request.head)
        head = replace(head, headers=head.headers.adding(*upgrade_fields(request.upgrade)))
        outcome = call_upgrading(self._pool, head, limit=limit)
        return outcome if isinstance(outcome, Changed) else _response(outcome)

    def begin(self, request: Request) -> Reply | None:
        """Send a request without waiting for its answer; None, and nothing is done, where that would have to wait.

        Raises `TransportError`.
        """
        if self._begin is None or request.upgrade:
            return None
        if not isinstance(request.body, bytes) or len(request.body) > _SENT_AT_ONCE:
            return None
        reply = self._begin(self._addressed(request.head), request.body, limit=self._limit)
        request.interrupt.attach(reply)
        return reply

    def _addressed(self, head: RequestHead) -> RequestHead:
        if self._host is None:
            return head
        return RequestHead(head.method, head.target, with_host(head.headers, self._host), head.length)

    def connect(self) -> socket.socket:
        """A new connection for HTTP/1.1 that is the caller's alone: connected, over TLS verified, blocking, without a
        time-out. Raises `Unreachable`."""
        return self._pool.open_socket()

    def close(self) -> None:
        """End the connections that calls share."""
        self._close()


def _response(reply: _Reply) -> Response:
    return Response(reply.head, reply.events(), abort=reply.abort, close=reply.close, arrives=reply.arrives)


def own_host(url: str) -> str:
    """What `Host` is for a client that knows a server by its URL alone; `localhost` for a unix socket."""
    return urlsplit(url).netloc or "localhost"
