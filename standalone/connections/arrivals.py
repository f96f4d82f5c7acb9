"""Connections that do not speak HTTP yet: those from proxies in front say first whose they are
(`standalone.connections.proxy_protocol`), those with TLS shake hands.

They count from the moment that they are accepted; asyncio's own servers show a connection when all this is over. The
header stands before TLS, so it is read from the socket before asyncio's transport gets it.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import Final

from standalone.connections.crowd import Crowd
from standalone.connections.listeners import Listener
from standalone.connections.proxy_protocol import Origin, ProxyHeaderError, read_header

logger = logging.getLogger(__name__)

PATIENCE: Final = timedelta(seconds=5)
"""For the header: a proxy sends it together with what follows."""
_AT_ONCE: Final = 100
"""Connections that are accepted before others have their turn."""
_PAUSE: Final = 0.5
"""Seconds until the next try where none can be accepted: most likely there are no file descriptors left."""


class ArrivalServer:
    """Accepts until it is closed. `create` makes what serves a connection: of whom a header names, or the
    peer's own (None).

    `has_room` is asked for each that comes, with how many are on their way in, and how many there are from its address
    with those that are served (0 where nobody counts them). `handshake` and `shutdown` are seconds for TLS.
    """

    def __init__(
        self,
        listener: Listener,
        create: Callable[[Origin | None], asyncio.Protocol],
        *,
        crowd: Crowd,
        has_room: Callable[[int, int], bool],
        is_trusted: Callable[[str], bool],
        handshake: float,
        shutdown: float,
    ) -> None:
        self._listener = listener
        self._create = create
        self._crowd = crowd
        self._has_room = has_room
        self._is_trusted = is_trusted
        self._handshake = handshake if listener.tls else None
        self._shutdown = shutdown if listener.tls else None
        self._arriving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        listener.socket.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Accept no more; those that have not arrived end."""
        self._loop.remove_reader(self._listener.socket)
        if self._pause is not None:
            self._pause.cancel()
        for task in self._arriving:
            task.cancel()

    def _listen(self) -> None:
        self._loop.add_reader(self._listener.socket, self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, address = self._listener.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                logger.error("no connection can be accepted at %s: %s", self._listener.url, exc)
                self._loop.remove_reader(self._listener.socket)
                self._pause = self._loop.call_later(_PAUSE, self._listen)
                return
            connection.setblocking(False)
            # Of a unix socket the address is a text, most often none.
            self._receive(connection, address[0] if isinstance(address, tuple) else "")

    def _receive(self, connection: socket.socket, peer: str) -> None:
        if self._listener.is_fronted and not self._is_trusted(peer):
            logger.warning("a connection from %s was closed: not a trusted peer", peer or "a socket")
            connection.close()
            return
        task = asyncio.ensure_future(self._welcome(connection, peer))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _welcome(self, connection: socket.socket, peer: str) -> None:
        try:
            with self._crowd.arriving(peer) as (arriving, from_there), ExitStack() as unless_it_arrives:
                unless_it_arrives.callback(connection.close)
                if self._has_room(arriving, from_there):
                    await self._let_in(connection, await self._read_origin(connection))
                    unless_it_arrives.pop_all()
        except ProxyHeaderError as exc:
            logger.warning("a connection from %s has no PROXY header: %s", peer or "a socket", exc)
        except OSError as exc:
            # What TLS raises is one, too: of port scanners, and of clients that trust other authorities.
            logger.debug("a connection from %s has ended before it began: %s", peer or "a socket", exc)

    async def _read_origin(self, connection: socket.socket) -> Origin | None:
        if not self._listener.is_fronted:
            return None
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                return await _receive_header(connection)
        except TimeoutError as exc:
            raise ProxyHeaderError("none in time") from exc

    async def _let_in(self, connection: socket.socket, origin: Origin | None) -> None:
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self._loop.connect_accepted_socket(
            partial(self._create, origin),
            connection,
            ssl=self._listener.tls,
            ssl_handshake_timeout=self._handshake,
            ssl_shutdown_timeout=self._shutdown,
        )


async def _receive_header(connection: socket.socket) -> Origin:
    """Raises `ProxyHeaderError`, also for a connection that ends before its header does."""
    loop = asyncio.get_running_loop()
    header = read_header()
    wanted, data = next(header), b""
    while True:
        received = await loop.sock_recv(connection, wanted - len(data))
        if not received:
            raise ProxyHeaderError("it ended")
        data += received
        if len(data) == wanted:
            try:
                wanted, data = header.send(data), b""
            except StopIteration as stop:
                origin: Origin = stop.value
                return origin
