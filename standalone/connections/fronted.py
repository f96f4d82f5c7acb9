"""Accepting connections from proxies in front that say first whose they are (`standalone.connections.proxy_protocol`).

The header stands before TLS, so it is read from the socket before asyncio's transport gets it.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

from standalone.connections.listeners import Listener
from standalone.connections.proxy_protocol import Origin, ProxyHeaderError, read_header

logger = logging.getLogger(__name__)

PATIENCE: Final = timedelta(seconds=5)
"""For the header: a proxy sends it together with what follows."""
_MOST_UNKNOWN: Final = 1000
"""Connections at a time whose header is not there yet, or whose TLS has not begun."""
_PAUSE: Final = 0.5
"""Seconds until the next try where none can be accepted: most likely there are no file descriptors left."""


class FrontedServer:
    """Accepts from trusted peers alone, until it is closed. `create` makes what serves a connection of a client, or of
    the peer itself (None); `handshake` and `shutdown` are seconds for TLS."""

    def __init__(
        self,
        listener: Listener,
        create: Callable[[Origin | None], asyncio.Protocol],
        *,
        is_trusted: Callable[[str], bool],
        handshake: float,
        shutdown: float,
    ) -> None:
        self._listener = listener
        self._create = create
        self._is_trusted = is_trusted
        self._handshake = handshake if listener.tls else None
        self._shutdown = shutdown if listener.tls else None
        self._unknown: set[asyncio.Task[None]] = set()
        listener.socket.setblocking(False)
        self._accepting = asyncio.ensure_future(self._accept())

    def close(self) -> None:
        """Accept no more; those that have not said whose they are end."""
        for task in (self._accepting, *self._unknown):
            task.cancel()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listener.socket)
            except OSError as exc:
                logger.error("no connection can be accepted at %s: %s", self._listener.url, exc)
                await asyncio.sleep(_PAUSE)
                continue
            # Of a unix socket the address is a text, most often none.
            peer = address[0] if isinstance(address, tuple) else ""
            if not self._is_trusted(peer) or len(self._unknown) >= _MOST_UNKNOWN:
                logger.warning("a connection from %s was closed: not a trusted peer, or too many", peer or "a socket")
                connection.close()
                continue
            task = asyncio.ensure_future(self._welcome(connection, peer))
            self._unknown.add(task)
            task.add_done_callback(self._unknown.discard)

    async def _welcome(self, connection: socket.socket, peer: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                origin = await _receive_header(connection)
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.connect_accepted_socket(
                partial(self._create, origin),
                connection,
                ssl=self._listener.tls,
                ssl_handshake_timeout=self._handshake,
                ssl_shutdown_timeout=self._shutdown,
            )
        except (ProxyHeaderError, OSError, EOFError) as exc:
            # TimeoutError is an OSError, and so is what TLS raises.
            logger.warning("a connection from %s has no PROXY header: %s", peer or "a socket", exc or "none in time")
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise


async def _receive_header(connection: socket.socket) -> Origin | None:
    """Raises `ProxyHeaderError`, `OSError`, and `EOFError` for a connection that ends before its header does."""
    loop = asyncio.get_running_loop()
    header = read_header()
    wanted, data = next(header), b""
    while True:
        received = await loop.sock_recv(connection, wanted - len(data))
        if not received:
            raise EOFError("it ended")
        data += received
        if len(data) == wanted:
            try:
                wanted, data = header.send(data), b""
            except StopIteration as stop:
                origin: Origin | None = stop.value
                return origin
