"""A link as it is between an agent and a proxy that are far apart: a relay on loopback that delays, both ways."""

import asyncio
import socket
import threading
from collections import deque
from typing import Final

import uvloop

_HOST: Final = "127.0.0.1"


class Link:
    """Carries connections from a port of its own to `target`, each byte half a `round_trip` (seconds) late.

    A new connection takes a round trip before its first byte leaves, as a handshake does. Runs in a thread, from
    construction to `close`.
    """

    def __init__(self, target: int, *, round_trip: float) -> None:
        self.messages = 0
        """How often the far end has said something: reads from those who connected."""
        self._target = target
        self._round_trip = round_trip
        self._loop = uvloop.new_event_loop()
        self.ends: set[_End] = set()
        """Both of each connection."""
        self._dialling: set[asyncio.Task[None]] = set()
        listener = socket.create_server((_HOST, 0), backlog=1024)
        self.port: int = listener.getsockname()[1]
        self._server = self._loop.run_until_complete(self._loop.create_server(self._accept, sock=listener))
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the relay and what it carries."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        for task in self._dialling:
            task.cancel()
        for end in self.ends:
            end.abort()

    def _accept(self) -> "_End":
        near = _End(self, delay=self._round_trip / 2, opens=self._loop.time() + self._round_trip, is_far=False)
        dialling = self._loop.create_task(self._dial(near))
        self._dialling.add(dialling)
        dialling.add_done_callback(self._dialling.discard)
        return near

    async def _dial(self, near: "_End") -> None:
        far = _End(self, delay=near.delay, opens=0, is_far=True)
        near.join(far)
        try:
            await self._loop.create_connection(lambda: far, _HOST, self._target)
        except OSError:
            near.abort()


class _End(asyncio.Protocol):
    """One end of a connection. What it hears the other end says, later and in order."""

    def __init__(self, link: Link, *, delay: float, opens: float, is_far: bool) -> None:
        self.delay = delay
        self._link = link
        self._opens = opens
        self._is_far = is_far
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._other: _End | None = None
        self._under_way: deque[tuple[float, bytes]] = deque()
        """When something is due, and what: no bytes for the end of what is said."""
        self._has_ended = False
        self._alarm: asyncio.TimerHandle | None = None

    def join(self, other: "_End") -> None:
        """Make two ends one connection."""
        self._other, other._other = other, self

    def abort(self) -> None:
        """Break this end off."""
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # what TCP has
        self._transport = transport
        self._link.ends.add(self)
        if self._other:
            self._other._deliver()

    def data_received(self, data: bytes) -> None:
        if not self._is_far:
            self._link.messages += 1
        self._send_off(data)

    def eof_received(self) -> bool:
        self._send_off(b"")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.ends.discard(self)
        self._send_off(b"")
        if exc and self._other:
            self._other.abort()

    def pause_writing(self) -> None:
        if self._other and self._other._transport:
            self._other._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other and self._other._transport:
            self._other._transport.resume_reading()

    def _send_off(self, data: bytes) -> None:
        self._under_way.append((max(self._loop.time(), self._opens) + self.delay, data))
        if self._alarm is None:
            self._deliver()

    def _deliver(self) -> None:
        """Let the other end say what is due, and wait for the rest."""
        self._alarm = None
        say = self._other._transport if self._other else None
        if say is None:
            return  # the other end calls when it is there
        while self._under_way and self._under_way[0][0] <= self._loop.time():
            data = self._under_way.popleft()[1]
            if say.is_closing():
                continue
            if data:
                say.write(data)
            else:
                say.write_eof()
                self._end()
        if self._under_way:
            self._alarm = self._loop.call_later(self._under_way[0][0] - self._loop.time(), self._deliver)

    def _end(self) -> None:
        """All is said this way; when it is the other way too, the connection is over."""
        self._has_ended = True
        if self._other and self._other._has_ended:
            for end in (self, self._other):
                if end._transport:
                    end._transport.close()
