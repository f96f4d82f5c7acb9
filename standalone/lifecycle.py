"""Listening, and stopping without losing what is under way."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import uvicorn

from standalone.settings.addresses import Address, bracketed

_BACKLOG: Final = 2048
KEEP_ALIVE: Final = 75
"""Seconds: longer than agents pause between calls, so that a call seldom meets a connection that is being closed."""
_LAST_ANSWERS: Final = 3
"""Seconds for what is left to be written when the waiting is over."""


class ListenError(OSError):
    """The address cannot be listened on; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that accepts connections."""

    socket: socket.socket

    @property
    def url(self) -> str:
        """Its address as a URL."""
        if self.socket.family == socket.AF_UNIX:
            return f"unix://{self.socket.getsockname()}"
        host, port = self.socket.getsockname()[:2]
        return f"http://{bracketed(host)}:{port}"


def listen(address: Address) -> Listener:
    """A listener that accepts connections from here on. Raises `ListenError`."""
    try:
        return Listener(_listen_unix(address.host) if address.scheme == "unix" else _listen_tcp(address))
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE and address.scheme != "unix":
            raise ListenError(f"port {address.port} on {address.host} is in use: choose another with --port") from exc
        where = address if address.scheme == "unix" else f"{address.host}, port {address.port}"
        raise ListenError(f"cannot listen on {where}: {exc.strerror or exc}") from exc


def _listen_tcp(address: Address) -> socket.socket:
    family, *_, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(place[:2], family=family, backlog=_BACKLOG)


def _listen_unix(path: str) -> socket.socket:
    """A socket in the place of one that nobody listens on any more. Raises `OSError` while somebody does."""
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
        raise OSError(errno.EADDRINUSE, "another process listens there")
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def configure(
    app: Callable[..., Awaitable[None]], protocol: type[asyncio.Protocol], *, keep_alive: int = KEEP_ALIVE
) -> uvicorn.Config:
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
        backlog=_BACKLOG,
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
        listeners: Sequence[Listener],
        on_listening: Callable[[], None],
        stop: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(config)
        self._listeners = listeners
        self._on_listening = on_listening
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, on all listeners, which are one server to uvicorn."""
        await super().startup(sockets or [])
        for listener in self._listeners:
            self.servers.append(await self._accept(listener))
        self._on_listening()

    async def _accept(self, listener: Listener) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if listener.socket.family == socket.AF_UNIX else loop.create_server
        return await create(self._create_protocol, sock=listener.socket, backlog=_BACKLOG)

    def _create_protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn makes it
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

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
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
