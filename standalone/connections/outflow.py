"""What is written to a connection, and an end for a client that takes it too slowly.

What a client does not read lies in our memory. Within each `time` seconds for which something lies there it has to
take `rate` bytes a second, or all: one that takes a byte now and then would otherwise hold it for ever. Taken is what
its side has acknowledged: the kernel may hold megabytes, and takes no more before a third of them has gone.
"""

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Iterable
from typing import Final

# SO_LINGER with no time: closing resets the connection instead of ending it in order.
_RESET: Final = struct.pack("ii", 1, 0)


def reset(transport: asyncio.Transport) -> None:
    """End a connection so that the other side sees that it was broken off, and that nothing more lies here for it."""
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


class Outflow:
    """The writing side of a connection; `rate` 0 asks for a sign of life alone."""

    def __init__(self, transport: asyncio.Transport, *, time: float, rate: int) -> None:
        self._transport = transport
        self._time = time
        self._least = max(1, int(rate * time))
        self._written = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._is_cut_off = False

    @property
    def waiting(self) -> int:
        """How many bytes lie in memory."""
        return self._transport.get_write_buffer_size()

    def is_cut_off(self) -> bool:
        """True once the connection was ended because the client read too slowly."""
        return self._is_cut_off

    def write(self, data: bytes) -> None:
        self._transport.write(data)
        self._note(len(data))

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Write pieces behind one another, copying none."""
        pieces = list(pieces)
        self._transport.writelines(pieces)
        self._note(sum(map(len, pieces)))

    def stop(self) -> None:
        """Look no more after the client: it has gone, or the connection is somebody else's now."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _note(self, size: int) -> None:
        self._written += size
        if self._alarm is None and self.waiting:
            self._watch()

    def _watch(self) -> None:
        unread = self.waiting + self._unacknowledged
        expected = self._written - unread + min(unread, self._least)
        self._alarm = asyncio.get_running_loop().call_later(self._time, self._look, expected)

    def _look(self, expected: int) -> None:
        self._alarm = None
        if not self.waiting:
            return
        if self._written - self.waiting - self._unacknowledged < expected:
            self._is_cut_off = True
            reset(self._transport)  # the kernel, too, would keep what it has for a client that does not read
        else:
            self._watch()

    @property
    def _unacknowledged(self) -> int:
        """How many bytes lie in the kernel; 0 where it does not tell."""
        connection: socket.socket = self._transport.get_extra_info("socket")
        try:
            answer = fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))
        except OSError:
            return 0
        return int.from_bytes(answer, sys.byteorder)
