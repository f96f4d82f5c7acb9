"""Listening, and stopping without losing what is under way."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Final, cast

import uvicorn

from standalone.calls import Asgi
from standalone.connections.arrivals import ArrivalServer
from standalone.connections.listeners import BACKLOG, Listener
from standalone.connections.proxy_protocol import Origin
from standalone.connections.server import ProxyProtocol

KEEP_ALIVE: Final = 75
"""Seconds: longer than agents pause between calls, so that a call seldom meets a connection that is being closed."""
_HANDSHAKE: Final = 10
"""Seconds for TLS to begin."""
_LAST_ANSWERS: Final = 3
"""Seconds for what is left to be written when the waiting is over."""


def configure(app: Asgi, protocol: type[ProxyProtocol], *, keep_alive: int = KEEP_ALIVE) -> uvicorn.Config:
    """uvicorn, without anything that would add to an answer, believe a client's word on who it is, or log.

    `keep_alive` in seconds.
    """
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        interface="asgi3",
        lifespan="on",
        loop="uvloop",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=_LAST_ANSWERS,
    )


class ProxyServer(uvicorn.Server):
    """A server that says when it listens, and that finishes what is under way before it closes its door.

    uvicorn closes its listeners first; an agent that answers over a new connection would find nobody.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        apps: Mapping[Listener, Asgi],
        on_listening: Callable[[], None],
        stop: Callable[[], Awaitable[None]],
        reload: Callable[[], None] = lambda: None,
        is_trusted: Callable[[str], bool] = lambda address: False,
    ) -> None:
        super().__init__(config)
        self._apps = apps
        self._on_listening = on_listening
        self._stop = stop
        self._reload = reload
        self._is_trusted = is_trusted
        self._arrivals: list[ArrivalServer] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, on all listeners, which are one server to uvicorn."""
        await super().startup(sockets or [])
        for listener in self._apps:
            if listener.tls or listener.is_fronted:
                self._arrivals.append(self._accept_arrivals(listener))
            else:
                self.servers.append(await self._accept(listener))
        self._on_listening()

    async def _accept(self, listener: Listener) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        create, sock = partial(self._create_protocol, listener), listener.socket
        if sock.family == socket.AF_UNIX:
            return await loop.create_unix_server(create, sock=sock, backlog=BACKLOG)
        return await loop.create_server(create, sock=sock, backlog=BACKLOG)

    def _accept_arrivals(self, listener: Listener) -> ArrivalServer:
        served = self.server_state.connections
        return ArrivalServer(
            listener,
            partial(self._create_protocol, listener),
            crowd=self._protocol.crowd,
            has_room=lambda arriving, from_there: self._protocol.limits.has_room(len(served) + arriving, from_there),
            is_trusted=self._is_trusted,
            handshake=_HANDSHAKE,
            shutdown=_LAST_ANSWERS,
        )

    @property
    def _protocol(self) -> type[ProxyProtocol]:
        # The class that `configure` was given.
        return cast(type[ProxyProtocol], self.config.http_protocol_class)

    def _create_protocol(self, listener: Listener, origin: Origin | None = None) -> asyncio.Protocol:
        """What serves a connection: all count together, and each has the application of its listener."""
        protocol = self._protocol(self.config, self.server_state, self.lifespan.state)
        protocol.app = self._apps[listener]
        protocol.origin = origin
        return protocol

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and end what is left."""
        for server in self._arrivals:
            server.close()
        await super().shutdown(sockets)
        for listener in self._apps:
            listener.close()

    async def main_loop(self) -> None:
        """Serve until a signal comes, then finish; a second SIGINT cuts that short."""
        await super().main_loop()
        stopping = asyncio.ensure_future(self._stop())
        while not stopping.done() and not self.force_exit:
            await asyncio.sleep(0.05)
        stopping.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn raises the signal again when all is over; here a stop that was asked for is a success."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)
