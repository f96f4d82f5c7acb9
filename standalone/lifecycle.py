"""Listening, and stopping without losing what is under way."""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import uvicorn

_BACKLOG: Final = 2048
_KEEP_ALIVE: Final = 75
"""Seconds: longer than agents pause between calls, so that a call seldom meets a connection that is being closed."""
_LAST_ANSWERS: Final = 3
"""Seconds for what is left to be written when the waiting is over."""


class ListenError(OSError):
    """The address cannot be listened on; the text says which, and why."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections from here on. Raises `ListenError`."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise ListenError(f"port {port} on {host} is in use: choose another with --port") from exc
        raise ListenError(f"cannot listen on {host}, port {port}: {exc.strerror or exc}") from exc


def url_of(listener: socket.socket) -> str:
    """The address of a listener as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def configure(app: Callable[..., Awaitable[None]], protocol: type[asyncio.Protocol]) -> uvicorn.Config:
    """uvicorn, without anything that would add to an answer, believe a client's word on who it is, or log."""
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
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_LAST_ANSWERS,
    )


class ProxyServer(uvicorn.Server):
    """A server that says when it listens, and that finishes what is under way before it closes its door.

    uvicorn closes its listeners first; an agent that answers over a new connection would find nobody.
    """

    def __init__(
        self, config: uvicorn.Config, *, on_listening: Callable[[], None], stop: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(config)
        self._on_listening = on_listening
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()

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
