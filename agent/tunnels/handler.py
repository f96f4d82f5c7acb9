"""Requests that want to upgrade, as a `Handler`; whatever else is asked for goes to the handler behind it."""

import logging
import socket
import time
from collections.abc import Callable
from typing import Final

from agent.failures import NO_ROOM, STOPPING, TUNNEL_FAILED, failure_response
from agent.messages import Request, Response, whole_body
from agent.pipeline import Handler, Wrapper
from agent.proxy.errors import Gone, ProxyError
from agent.transport.errors import Broken, TransportError
from agent.transport.upgrading import Changed
from agent.tunnels.splice import Side, Tunnel
from agent.tunnels.table import TooManyTunnels, Tunnels
from wire.errors import WireError
from wire.http1 import ResponseHead
from wire.protocol import RequestId
from wire.upgrades import serialize_switch_head, wanted_protocols

logger = logging.getLogger(__name__)

_LOGGED_PATH: Final = 1024

Change = Callable[[Request], Response | Changed]
"""Sends the handshake to the backend; what it made of it. Raises `TransportError`."""

Open = Callable[[RequestId], Changed]
"""See `TunnelOpener.open`."""


class _Opening:
    """The handshake of one websocket, as the innermost `Handler`."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self.changed: Changed | None = None

    def __call__(self, request: Request) -> Response:
        outcome = self._change(request)
        if isinstance(outcome, Response):
            return outcome
        if request.upgrade not in wanted_protocols(outcome.headers):
            outcome.sock.close()
            raise Broken(f"a 101 to another protocol than {request.upgrade}")
        self.changed = outcome
        return Response(ResponseHead(101, outcome.headers, None), whole_body(b""))


class Upgrades:
    """A `Handler` around `inner`. `around` puts sessions and hygiene around the handshake, as for any other request."""

    def __init__(
        self,
        inner: Handler,
        *,
        around: Wrapper,
        change: Change,
        open_tunnel: Open,
        tunnels: Tunnels,
        wake: Callable[[Side], None],
    ) -> None:
        self._inner = inner
        self._around = around
        self._change = change
        self._open_tunnel = open_tunnel
        self._tunnels = tunnels
        self._wake = wake

    def __call__(self, request: Request) -> Response:
        """Raises `TransportError`, and what `inner` raises."""
        if not request.upgrade:
            return self._inner(request)
        if self._tunnels.is_stopping:
            return failure_response(STOPPING, request.request_id, method=request.head.method)
        try:
            self._tunnels.reserve()
        except TooManyTunnels:
            return failure_response(NO_ROOM, request.request_id, method=request.head.method)
        try:
            return self._upgrade(request)
        finally:
            self._tunnels.give_back()

    def _upgrade(self, request: Request) -> Response:
        opening = _Opening(self._change)
        try:
            response = self._around(opening)(request)
            if opening.changed is None:
                return response
            return self._join(request, response.head, opening.changed)
        except BaseException:
            if opening.changed is not None:
                opening.changed.sock.close()
            raise

    def _join(self, request: Request, head: ResponseHead, backend: Changed) -> Response:
        """Have the backend's 101, and all that follows, reach the client."""
        try:
            raw = serialize_switch_head(head.headers)
        except WireError as exc:
            raise Broken(f"not a 101 that can be passed on: {exc}") from exc
        try:
            proxy = self._open_tunnel(request.request_id)
        except Gone:
            logger.info("%.8s nobody waits for the websocket any more", request.request_id)
            backend.sock.close()
            return Response(head, whole_body(b""), failure="client-gone", is_delivered=True)
        except (ProxyError, TransportError) as exc:
            logger.warning("%.8s no tunnel for a websocket: %s", request.request_id, exc)
            backend.sock.close()
            return failure_response(TUNNEL_FAILED, request.request_id, method=request.head.method)
        self._splice(request, proxy, backend.sock, raw + backend.rest)
        return Response(head, whole_body(b""), is_delivered=True)

    def _splice(self, request: Request, proxy: Changed, backend: socket.socket, to_proxy: bytes) -> None:
        # No more than this: a tunnel shall not keep its request.
        request_id, path = request.request_id, request.head.target.partition("?")[0][:_LOGGED_PATH]
        began, in_head = time.monotonic(), len(to_proxy)

        def log_end(tunnel: Tunnel) -> None:
            self._tunnels.remove(tunnel)
            logger.info(
                "%.8s websocket %s ended after %.1f s, %d bytes from the user, %d to the user",
                request_id, path, time.monotonic() - began, tunnel.received, tunnel.sent_back - in_head,
            )  # fmt: skip

        tunnel = Tunnel(proxy.sock, backend, to_proxy=to_proxy, to_backend=proxy.rest, wake=self._wake, on_end=log_end)
        self._tunnels.add(tunnel)
