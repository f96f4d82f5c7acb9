"""The opening handshake with the backend (RFC 6455 section 4.1)."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, cast

from websockets.client import ClientProtocol
from websockets.http11 import Response as HandshakeResponse
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from agent.messages import Request
from agent.shim.connection import Connection, Limits
from agent.shim.protocol import PROTOCOLS_FIELD, VERSION_FIELD
from agent.transport.errors import Broken, TimedOut, Unreachable
from wire.errors import WireError
from wire.headers import Headers
from wire.http1 import RequestHead, ResponseHead, serialize_request_head

ABOUT_THE_POST: Final = (
    "Accept", "Accept-Encoding", "Cache-Control", "Content-Encoding", "Content-Language", "Content-Length",
    "Content-Type", "Expect", "If-Match", "If-Modified-Since", "If-None-Match", "If-Unmodified-Since", "Pragma",
    "Priority", "Range", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User", "Sec-WebSocket-Accept",
    "Sec-WebSocket-Extensions", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "Sec-WebSocket-Version",
    "X-Requested-With", PROTOCOLS_FIELD, VERSION_FIELD,
)  # fmt: skip
"""Fields that describe the POST which asks for the websocket, or that the handshake sets: none of them goes on."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the backend's websockets are."""

    host: str
    """For the Host field: the backend's host and port, as its URL has them."""
    connect: Callable[[], socket.socket]
    """A new connection, TLS included; in bounded time. Raises `Unreachable` or `OSError`."""
    rewrites_host: bool = False
    """The Host field stays as the client sent it: --rewrite-websocket-host."""


def handshake_request(request: Request, target: str) -> Request:
    """The page's POST as the request that a browser's own websocket would make; what sessions and hygiene see."""
    head = RequestHead("GET", target, request.head.headers.without(*ABOUT_THE_POST), None)
    return replace(request, head=head, body=b"")


class Dialer:
    """Opens websockets to the endpoint that has their target; calls may run at the same time."""

    def __init__(
        self,
        endpoint_of: Callable[[str], Endpoint],
        *,
        wake: Callable[[Connection], None],
        limits: Limits,
        timeout: timedelta,
    ) -> None:
        self._endpoint_of = endpoint_of
        self._wake = wake
        self._limits = limits
        self._timeout = timeout.total_seconds()

    def dial(self, request: Request, subprotocols: Sequence[str]) -> tuple[ResponseHead, Connection | None]:
        """The head of the backend's answer, and the websocket if it is a 101.

        Raises `TransportError`; `Broken` also for a request that cannot be sent, and for a 101 that is not valid.
        """
        endpoint = self._endpoint_of(request.head.target)
        protocol = ClientProtocol(
            # Only whether extensions and subprotocols fit is left to it, and the key.
            WebSocketURI(secure=False, host="backend", port=80, path="/", query=""),
            subprotocols=[cast(Subprotocol, each) for each in subprotocols] or None,  # a NewType of str
            max_size=self._limits.message_bytes,
        )
        try:
            raw = serialize_request_head(_handshake_head(request, protocol, endpoint))
        except (WireError, ValueError) as exc:
            raise Broken(f"no handshake can be made of the request: {exc}") from exc
        try:
            sock = endpoint.connect()
        except OSError as exc:
            raise Unreachable(f"no connection: {exc.strerror or type(exc).__name__}") from exc
        connection = Connection(sock, protocol, raw, limits=self._limits, wake=self._wake)
        self._wake(connection)
        try:
            response = connection.wait_for_response(timeout=self._timeout)
        except TimeoutError as exc:
            connection.abort()
            raise TimedOut(f"no answer to the handshake for {self._timeout:g} s") from exc
        if response is None:
            raise Broken("the connection ended, or was not HTTP, within the handshake")
        head = _response_head(response)
        if protocol.handshake_exc is None and protocol.state is not State.CONNECTING:
            return head, connection
        connection.abort()
        if head.status == 101:
            raise Broken(f"not a valid handshake: {type(protocol.handshake_exc).__name__}")
        return head, None


def _handshake_head(request: Request, protocol: ClientProtocol, endpoint: Endpoint) -> RequestHead:
    headers = request.head.headers
    if not endpoint.rewrites_host or "Host" not in headers:
        headers = Headers([("Host", endpoint.host), *headers.without("Host")])
    generated = [(name, value) for name, value in protocol.connect().headers.raw_items() if name != "Host"]
    return RequestHead("GET", request.head.target, headers.adding(*generated), None)


def _response_head(response: HandshakeResponse) -> ResponseHead:
    """Without the fields of framing: only status and cookies are of use to anybody."""
    fields = Headers(response.headers.raw_items()).without("Content-Length", "Transfer-Encoding")
    return ResponseHead(response.status_code, fields, None)
