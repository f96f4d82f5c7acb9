"""One connection, in clear text or over TLS: bytes, limits of time, and errors in the agent's words."""

import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from urllib3.util.wait import wait_for_socket  # type: ignore[import-untyped]

from agent.transport.errors import Broken, TimedOut, TransportError

_RECEIVE_BYTES: Final = 1 << 16
_RECEIVE_MOST: Final = 1 << 18
"""What is asked for at once while a long body comes: each piece costs a turn here, and one at the proxy."""

_WORTH_SPARING: Final = 1 << 14
"""Bytes, from which on a copy costs more than a longer call to the system."""

_SHORTEST_LIMIT: Final = 0.001
"""Seconds."""

T = TypeVar("T")


class PooledConnection(Protocol):
    """What is used of urllib3's `HTTPConnection`, the same in 1.26 and 2."""

    sock: socket.socket | None
    timeout: float | None

    def connect(self) -> None: ...
    def close(self) -> None: ...


class Connection:
    """A connected socket on which one thread may receive while another sends.

    Waiting for the peer is the kernel's, by the socket's own time limits: one call to the system for each message.
    """

    def __init__(self, pooled: PooledConnection, *, keep: Callable[["Connection"], None]) -> None:
        """`keep` takes the connection back, for the next call."""
        assert pooled.sock is not None
        self._pooled = pooled
        self._keep = keep
        self._socket = pooled.sock
        self._socket.settimeout(None)
        self._receive_bytes = _RECEIVE_BYTES
        self._pushed_back = b""
        self._receive_limit: float | None = None
        self._send_limit: float | None = None
        self.is_reused = False

    def send(self, data: bytes, *, timeout: float | None) -> None:
        """Send all of `data`; each wait for the peer is limited. Raises `TimedOut`, `Broken`."""
        self._limit_sending(timeout)
        try:
            self._socket.sendall(data)
        except OSError as exc:
            raise _explain(exc, timeout) from exc

    def send_together(self, pieces: Sequence[bytes], *, timeout: float | None) -> None:
        """Send pieces behind one another as `send` does, and copy none of them where that is worth it."""
        if sum(map(len, pieces)) < _WORTH_SPARING:
            self.send(b"".join(pieces), timeout=timeout)
            return
        self._limit_sending(timeout)
        left = deque(memoryview(piece) for piece in pieces)
        while left:
            try:
                sent = self._socket.sendmsg(left)
            except OSError as exc:
                raise _explain(exc, timeout) from exc
            while left and sent >= len(left[0]):
                sent -= len(left.popleft())
            if sent:
                left[0] = left[0][sent:]

    def receive(self, *, timeout: float | None) -> bytes:
        """The next bytes as soon as there are some; none at the end. Raises `TimedOut`, `Broken`."""
        if self._pushed_back:
            pushed_back, self._pushed_back = self._pushed_back, b""
            return pushed_back
        return self._receive(timeout)

    def _receive(self, timeout: float | None) -> bytes:
        if timeout != self._receive_limit:
            self._receive_limit = timeout
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _time_value(timeout))
        try:
            data = self._socket.recv(self._receive_bytes)
        except OSError as exc:
            raise _explain(exc, timeout) from exc
        if len(data) == self._receive_bytes:
            self._receive_bytes = _RECEIVE_MOST
        return data

    def receive_now(self) -> bytes | None:
        """The next bytes if there are some, none at the end; None if nothing has come. Raises `Broken`."""
        try:
            return self._socket.recv(self._receive_bytes, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError as exc:
            raise _explain(exc, None) from exc

    def wait(self, within: float) -> bool:
        """Wait, after `receive_now` has found nothing; False if nothing comes in so many seconds."""
        return bool(wait_for_socket(self._socket, read=True, timeout=within))

    def fileno(self) -> int:
        """For those who wait for several connections."""
        return self._socket.fileno()

    def _limit_sending(self, timeout: float | None) -> None:
        if timeout != self._send_limit:
            self._send_limit = timeout
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _time_value(timeout))

    @property
    def is_quiet(self) -> bool:
        """True if nothing has come and the peer has not ended it: so it can carry another call."""
        try:
            # Also over TLS: what nobody has asked for is no good sign, whatever it is.
            socket.socket.recv(self._socket, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def push_back(self, data: bytes) -> None:
        """Bytes that were received and are to be received again."""
        self._pushed_back = data + self._pushed_back

    def detach(self) -> socket.socket:
        """The socket, which does not block, as the caller's alone: this connection is over."""
        self._pooled.sock = None
        self._socket.setblocking(False)
        return self._socket

    @property
    def application_protocol(self) -> str | None:
        """What both sides agreed on in the handshake of TLS (ALPN, RFC 7301); None if nothing."""
        return None

    def abort(self) -> None:
        """End the connection under whoever waits on it, from any thread; its owner still has to close it."""
        try:
            # Not SSLSocket's own method, which would pull the TLS state away from under a waiting thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            return  # It has ended already.

    def release(self) -> None:
        """Give the connection back for the next call: both messages on it are over."""
        self.is_reused = True
        self._keep(self)

    def close(self) -> None:
        self._pooled.close()


class TlsConnection(Connection):
    """The same over TLS: the socket never blocks, because OpenSSL allows one thread at a time."""

    def __init__(self, pooled: PooledConnection, *, keep: Callable[[Connection], None]) -> None:
        super().__init__(pooled, keep=keep)
        self._socket.setblocking(False)
        self._lock = threading.Lock()  # guards the TLS state of _socket

    def send(self, data: bytes, *, timeout: float | None) -> None:
        view = memoryview(data)
        while view:
            view = view[self._when_ready(partial(self._socket.send, view), timeout, writes=True) :]

    def send_together(self, pieces: Sequence[bytes], *, timeout: float | None) -> None:
        self.send(b"".join(pieces), timeout=timeout)

    def _receive(self, timeout: float | None) -> bytes:
        return self._when_ready(partial(self._socket.recv, _RECEIVE_BYTES), timeout, writes=False)

    def receive_now(self) -> bytes | None:
        try:
            with self._lock:
                return self._socket.recv(_RECEIVE_BYTES)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as exc:
            raise _explain(exc, None) from exc

    def _when_ready(self, operation: Callable[[], T], timeout: float | None, *, writes: bool) -> T:
        while True:
            try:
                with self._lock:
                    return operation()
            except ssl.SSLWantReadError:
                writes = False
            except ssl.SSLWantWriteError:
                writes = True
            except OSError as exc:
                raise _explain(exc, timeout) from exc
            if not wait_for_socket(self._socket, read=not writes, write=writes, timeout=timeout):
                raise _silent(timeout)

    @property
    def application_protocol(self) -> str | None:
        assert isinstance(self._socket, ssl.SSLSocket)
        return self._socket.selected_alpn_protocol()


def _time_value(timeout: float | None) -> bytes:
    """A limit as the kernel takes it (`struct timeval`, socket(7)), where nothing is for ever."""
    seconds = 0.0 if timeout is None else max(timeout, _SHORTEST_LIMIT)
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))


def _explain(exc: OSError, timeout: float | None) -> TransportError:
    """What an error of a call to the system means; EAGAIN is the end of its limit."""
    return _silent(timeout) if isinstance(exc, BlockingIOError) else Broken(f"connection broke: {_word_for(exc)}")


def _silent(timeout: float | None) -> TimedOut:
    return TimedOut(f"silent for {timeout or 0:g} s")


def _word_for(exc: OSError) -> str:
    return exc.strerror or type(exc).__name__
