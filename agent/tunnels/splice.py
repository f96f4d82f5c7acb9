"""Two sockets made one: what comes on either is sent on the other, and nothing is read in it.

A socket that does not take what is sent to it stops the reading of the other one, so that a tunnel holds some hundred
kilobytes at most. The end of one direction is passed on as that (over TLS, which cannot, it is the end of both), and a
connection that breaks as a reset. Everything here happens in the loop's thread, but for what says otherwise.
"""

import socket
import ssl
import struct
from collections.abc import Callable
from typing import Final

from agent.shim.loop import READ, WRITE

_RECEIVE_BYTES: Final = 1 << 16
_FULL: Final = 1 << 16
"""So many bytes wait for a socket, and no more are read for it."""
_READS: Final = 8
"""In a row, before other tunnels have their turn."""

# SO_LINGER with no time: closing resets the connection instead of ending it in order.
_RESET: Final = struct.pack("ii", 1, 0)

# Seconds, seconds, number: who has gone without a word is missed after two minutes.
_KEEP_ALIVE: Final = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))


class Side:
    """One socket of a tunnel: a `Channel` of the loop."""

    __slots__ = (
        "_ends",
        "_has_ended",
        "_is_gone",
        "_is_released",
        "_is_shut",
        "_reads_by_writing",
        "_socket",
        "_tunnel",
        "_unsent",
        "other",
    )

    def __init__(self, sock: socket.socket, tunnel: "Tunnel", unsent: bytes) -> None:
        sock.setblocking(False)
        _keep_alive(sock)
        self._socket = sock
        self._tunnel = tunnel
        self._unsent = unsent
        self.other: Side = self  # until the tunnel has both
        self._has_ended = False  # nothing more comes
        self._ends = False  # nothing more is sent, behind what is unsent
        self._is_gone = False  # its connection broke, after it had sent its end
        self._is_shut = False  # that end has been sent
        self._reads_by_writing = False
        self._is_released = False

    @property
    def can_half_close(self) -> bool:
        return not isinstance(self._socket, ssl.SSLSocket)

    @property
    def is_full(self) -> bool:
        return len(self._unsent) >= _FULL

    @property
    def is_done(self) -> bool:
        """True once nothing is to be sent any more, nor will be."""
        return self._ends and not self._unsent

    @property
    def has_ended(self) -> bool:
        """True once nothing more comes."""
        return self._has_ended

    @property
    def is_released(self) -> bool:
        return self._is_released

    # What the loop calls: see `Channel`.

    def fileno(self) -> int:
        return self._socket.fileno()

    def wanted(self) -> int:
        if self._tunnel.is_over:
            return -1
        reads = not self._has_ended and not self.other.is_full
        writes = self._unsent or self._reads_by_writing
        return 0 if self._is_gone else (READ if reads else 0) | (WRITE if writes else 0)

    def run(self, *, now: float) -> None:
        if self._is_gone:
            return
        try:
            if self._tunnel.is_ending:
                self._tunnel.finish()
            was_full = self.is_full
            self._send()
            if was_full and not self.is_full:
                self._tunnel.wake(self.other)
            self._receive()
        except OSError:
            self._tunnel.break_off(self)

    def tick(self, *, now: float) -> None:
        """The proxy ends what is idle, the kernel what is dead; due is only the end of a tunnel with one side left."""
        if self._is_gone:
            self._tunnel.break_off(self)

    def fail(self) -> None:
        self._tunnel.break_off(self)

    def release(self) -> None:
        if self._is_released:
            return
        self._is_released = True
        self._socket.close()
        self._tunnel.has_released_one()

    # What the other side does to this one.

    def take(self, data: bytes) -> None:
        """Send this, as much as goes at once, and the rest when it can be; nothing where nobody is."""
        if self._is_gone:
            return
        had_unsent = bool(self._unsent)
        self._unsent = self._unsent + data if had_unsent else data
        if not had_unsent:
            self._send()
            if self._unsent:
                self._tunnel.wake(self)

    def end(self) -> None:
        """Send no more, behind what is unsent."""
        if self._is_gone:
            self._tunnel.close()
            return
        self._ends = True
        self._send_end()

    def prepare_reset(self) -> None:
        """When it is closed, its peer shall see that something broke."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def leave(self) -> None:
        """Its connection broke, and nothing that it said is lost by that: what it is sent from here on is."""
        self._is_gone = True
        self._unsent = b""

    @property
    def is_gone(self) -> bool:
        return self._is_gone

    def stop_reading(self) -> None:
        """Whatever still comes is of no use."""
        self._has_ended = True

    def _send(self) -> None:
        while self._unsent:
            try:
                count = self._socket.send(self._unsent)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            self._tunnel.sent(self, count)
            self._unsent = self._unsent[count:]
        self._send_end()

    def _send_end(self) -> None:
        if not self.is_done or self._is_shut:
            return
        self._is_shut = True
        if self.can_half_close and not self.other.is_done:
            self._socket.shutdown(socket.SHUT_WR)
        else:
            self._tunnel.close()

    def _receive(self) -> None:
        self._reads_by_writing = False
        for _ in range(_READS):
            if self._has_ended or self.other.is_full or self._tunnel.is_over:
                return
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except ssl.SSLWantWriteError:
                self._reads_by_writing = True
                return
            if not data:
                self._has_ended = True
                self.other.end()
                return
            self._pass_on(data)
        # TLS may hold what the selector does not see.
        self._tunnel.wake(self)

    def _pass_on(self, data: bytes) -> None:
        try:
            self.other.take(data)
        except OSError:
            self._tunnel.break_off(self.other)


class Tunnel:
    """A socket of the proxy's and one of the backend's, both the tunnel's own from here on.

    `wake` asks the loop to look at a side. `on_end` is called once, when both are closed.
    """

    __slots__ = ("_on_end", "_sides", "is_ending", "is_over", "received", "sent_back", "wake")

    def __init__(
        self,
        proxy: socket.socket,
        backend: socket.socket,
        *,
        to_proxy: bytes,
        to_backend: bytes,
        wake: Callable[[Side], None],
        on_end: Callable[["Tunnel"], None],
    ) -> None:
        """`to_proxy` and `to_backend` have come already, each for its socket."""
        self.is_over = False
        self.is_ending = False
        self.received = self.sent_back = 0
        """Bytes that the backend, and the proxy, were sent."""
        self.wake = wake
        self._on_end = on_end
        proxy_side, backend_side = Side(proxy, self, to_proxy), Side(backend, self, to_backend)
        proxy_side.other, backend_side.other = backend_side, proxy_side
        self._sides = proxy_side, backend_side

    def start(self) -> None:
        """Begin; from any thread."""
        for side in self._sides:
            self.wake(side)

    def stop(self) -> None:
        """End in order: what is unsent is sent, no more is read. From any thread."""
        self.is_ending = True
        self.start()

    def finish(self) -> None:
        """Nothing more is read on either side."""
        self.is_ending = False
        for side in self._sides:
            side.stop_reading()
        for side in self._sides:
            side.end()

    def break_off(self, broken: Side) -> None:
        """A connection broke: the other one breaks, too.

        Unless the broken one had sent its end: then the peer of the other one still reads what came before that, and a
        reset could take it away. It has until the next tick.
        """
        if self.is_over:
            return
        if broken.has_ended and not broken.is_gone and not broken.other.has_ended:
            broken.leave()
        else:
            broken.other.prepare_reset()
            self.close()

    def close(self) -> None:
        """Both connections are over."""
        self.is_over = True
        self.start()

    def sent(self, side: Side, count: int) -> None:
        """Count what has passed."""
        if side is self._sides[0]:
            self.sent_back += count
        else:
            self.received += count

    def has_released_one(self) -> None:
        if all(side.is_released for side in self._sides):
            self._on_end(self)


def _keep_alive(sock: socket.socket) -> None:
    """Let the kernel find out whether the peer is still there, which a silent tunnel does not."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
