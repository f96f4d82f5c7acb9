"""Two connections made one: what comes on either is written to the other, and nothing is read in it.

A connection that does not take what is written to it stops the reading of the other one, so that a tunnel holds some
hundred kilobytes whatever its ends do. The end of one direction is passed on as that where the connection can say it
(TLS cannot: there it is the end of both), and a connection that breaks as a reset.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

LINGER: Final = 5.0
"""Seconds for the peer of one connection to read what came before the other one broke."""

EARLY_BYTES: Final = 1 << 16
"""What one side may send before the other one is there; then it is not read."""

# SO_LINGER with no time: closing resets the connection instead of ending it in order.
_RESET: Final = struct.pack("ii", 1, 0)

# Seconds, seconds, number: who has gone without a word is missed after two minutes.
_KEEP_ALIVE: Final = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))


class End(asyncio.Protocol):
    """One connection of a tunnel; until it is spliced it keeps what comes, up to a limit."""

    __slots__ = ("_early", "_is_ended", "_is_lost", "_other", "_splice", "on_lost", "received", "transport")

    def __init__(self) -> None:
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # before `connection_made`
        self.received = 0
        """Bytes since the splice."""
        self.on_lost: Callable[[], None] | None = None
        """Called once, when the connection has ended."""
        self._early = b""
        self._is_ended = self._is_lost = False
        self._other: End | None = None
        self._splice: Splice | None = None

    @property
    def is_lost(self) -> bool:
        """True once the connection has ended, both ways."""
        return self._is_lost

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as asyncio has it
        """The connection is this one's from here on."""
        self.transport = transport
        _keep_alive(transport)

    def data_received(self, data: bytes) -> None:
        if self._other is None or self._splice is None:
            self._early += data
            if len(self._early) >= EARLY_BYTES:
                self.transport.pause_reading()
            return
        self.received += len(data)
        self._splice.touch()
        self._other.write(data)

    def eof_received(self) -> bool:
        """The peer sends no more; it may go on reading where that can be."""
        if not self._is_ended:
            self._is_ended = True
            if self._other is not None:
                self._pass_end_on(self._other)
        return self.transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        if self.on_lost is not None:
            self.on_lost()
        if self._other is not None:
            if exc is None:
                self._other.close()
            elif self._splice is not None and self._is_ended and not self._other._is_ended:
                # Its end was passed on, behind all that it sent: a reset could take that away from who still reads it.
                asyncio.get_running_loop().call_later(self._splice.linger, self._other.reset)
            else:
                self._other.reset()
        if self._splice is not None:
            self._splice.has_lost_one()

    def pause_writing(self) -> None:
        if self._other is not None and not self._other._is_lost:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._splice is not None:
            self._splice.touch()
        if self._other is not None and not self._other._is_lost and not self._other._is_ended:
            self._other.transport.resume_reading()

    def take_early(self) -> bytes:
        """What has come so far."""
        early, self._early = self._early, b""
        return early

    def join(self, other: "End", splice: "Splice") -> None:
        """From here on this is one side of a splice."""
        self._other, self._splice = other, splice

    def catch_up(self, early: bytes) -> None:
        """Pass on what has come before the splice: bytes, and the end."""
        assert self._other is not None
        if not self._is_lost and not self._is_ended:
            self.transport.resume_reading()
        if early:
            self.data_received(early)
        if self._is_lost:
            self._other.close()
        elif self._is_ended:
            self._pass_end_on(self._other)

    def write(self, data: bytes) -> None:
        """Send; what is sent to a connection that has ended is lost, as on any connection."""
        if not self._is_lost and not self.transport.is_closing():
            self.transport.write(data)

    def end(self) -> None:
        """Send no more: this direction is over."""
        if not self._is_lost and not self.transport.is_closing():
            self.transport.write_eof()

    def close(self) -> None:
        """End both directions, behind what is still to be written."""
        if not self._is_lost:
            self.transport.close()

    def abort(self) -> None:
        """End both directions at once."""
        if not self._is_lost:
            self.transport.abort()

    def reset(self) -> None:
        """End as a connection that broke."""
        if self._is_lost:
            return
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def _pass_end_on(self, other: "End") -> None:
        if other._is_ended or not other.transport.can_write_eof():
            # Nothing more can come from either side, or the other one cannot be told half of it.
            other.close()
            self.close()
        else:
            other.end()


class Splice:
    """A tunnel: two ends. `on_end` is called once, when both connections have ended."""

    __slots__ = ("_on_end", "_time", "agent", "linger", "moved_at", "user")

    def __init__(
        self,
        user: End,
        agent: End,
        *,
        time: Callable[[], float],
        on_end: Callable[["Splice"], None],
        linger: float = LINGER,
    ) -> None:
        self.user = user
        self.agent = agent
        self._time = time
        self._on_end = on_end
        self.linger = linger
        """See `LINGER`."""
        self.moved_at = time()
        """When bytes last moved, on the clock of `time`."""

    def join(self, *, from_user: bytes = b"", from_agent: bytes = b"") -> None:
        """Begin, with what the two have sent already."""
        self.user.join(self.agent, self)
        self.agent.join(self.user, self)
        self.user.catch_up(from_user)
        self.agent.catch_up(from_agent)
        if self.user.is_lost and self.agent.is_lost:
            self._on_end(self)

    def touch(self) -> None:
        """Bytes have moved."""
        self.moved_at = self._time()

    def close(self) -> None:
        """End it in order: each peer gets what was sent to it, and then the end."""
        self.user.close()
        self.agent.close()

    def abort(self) -> None:
        """End it at once."""
        self.user.abort()
        self.agent.abort()

    def has_lost_one(self) -> None:
        """One of the connections has ended."""
        if self.user.is_lost and self.agent.is_lost:
            self._on_end(self)


def _keep_alive(transport: asyncio.Transport) -> None:
    """Let the kernel find out whether the peer is still there, which a silent tunnel does not."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
