"""Connections to one origin, kept alive between calls.

requests' adapter gives the pool and the TLS rules (certificates verified against its bundle; no proxies, no `.netrc`,
because no session is involved). The bytes are ours alone: urllib3 would quote targets, resolve dot segments, join
repeated fields and add fields of its own (User-Agent, Accept-Encoding).
"""

import socket
import ssl
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util.wait import wait_for_socket  # type: ignore[import-untyped]

from agent.transport.errors import Broken, TimedOut, Unreachable

_RECEIVE_BYTES: Final = 1 << 16

T = TypeVar("T")


class _PooledConnection(Protocol):
    """What is used of urllib3's `HTTPConnection`, the same in 1.26 and 2."""

    sock: socket.socket | None
    timeout: float | None

    def connect(self) -> None: ...
    def close(self) -> None: ...


class _Pool(Protocol):
    """What is used of urllib3's `HTTPConnectionPool`: its two methods for those who make calls themselves."""

    def _get_conn(self) -> _PooledConnection: ...
    def _put_conn(self, conn: _PooledConnection) -> None: ...


class Connection:
    """A connected socket on which one thread may receive while another sends."""

    def __init__(self, pool: _Pool, pooled: _PooledConnection, *, is_reused: bool) -> None:
        assert pooled.sock is not None
        self._pool = pool
        self._pooled = pooled
        self._socket = pooled.sock
        self._socket.setblocking(False)
        self._lock = threading.Lock()  # guards the TLS state of _socket: OpenSSL allows one thread at a time
        self.is_reused = is_reused

    def send(self, data: bytes, *, timeout: float | None) -> None:
        """Send all of `data`; each wait for the peer is limited. Raises `TimedOut`, `Broken`."""
        view = memoryview(data)
        while view:
            view = view[self._when_ready(partial(self._socket.send, view), timeout, writes=True) :]

    def receive(self, *, timeout: float | None) -> bytes:
        """The next bytes as soon as there are some; none at the end. Raises `TimedOut`, `Broken`."""
        return self._when_ready(partial(self._socket.recv, _RECEIVE_BYTES), timeout, writes=False)

    def _when_ready(self, operation: Callable[[], T], timeout: float | None, *, writes: bool) -> T:
        while True:
            try:
                with self._lock:
                    return operation()
            except ssl.SSLWantReadError:
                writes = False
            except ssl.SSLWantWriteError:
                writes = True
            except BlockingIOError:
                pass
            except OSError as exc:
                raise Broken(f"connection broke: {exc.strerror or type(exc).__name__}") from exc
            if not wait_for_socket(self._socket, read=not writes, write=writes, timeout=timeout):
                raise TimedOut(f"silent for {timeout:g} s")

    def abort(self) -> None:
        """End the connection under whoever waits on it, from any thread; its owner still has to close it."""
        try:
            # Not SSLSocket's own method, which would pull the TLS state away from under a waiting thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            return  # It has ended already.

    def release(self) -> None:
        """Give the connection back for the next call: both messages on it are over."""
        self._pool._put_conn(self._pooled)

    def close(self) -> None:
        self._pooled.close()


class ConnectionPool:
    """Up to `size` idle connections to the origin of `url`; taking never waits for another call to end.

    `ca_bundle` is a file of the certificates to trust; None for those that requests brings.
    """

    def __init__(self, url: str, *, size: int, connect_timeout: float, ca_bundle: str | None = None) -> None:
        self._connect_timeout = connect_timeout
        request = PreparedRequest()
        request.url = url
        # Any: the stubs are those of an older requests.
        adapter: Any = HTTPAdapter(pool_connections=1, pool_maxsize=size)
        self._pool: _Pool = adapter.get_connection_with_tls_context(request, verify=ca_bundle or True)
        adapter.cert_verify(self._pool, url, verify=ca_bundle or True, cert=None)

    def take(self) -> Connection:
        """An idle connection that still lives, or a new one. Raises `Unreachable`."""
        pooled = self._pool._get_conn()
        is_reused = pooled.sock is not None
        if not is_reused:
            pooled.timeout = self._connect_timeout
            try:
                pooled.connect()
            except (HTTPError, OSError) as exc:
                pooled.close()
                raise Unreachable(f"no connection: {_cause(exc)}") from exc
        return Connection(self._pool, pooled, is_reused=is_reused)


def _cause(exc: BaseException) -> str:
    """The operating system's word for a failure, without urllib3's wrapping and object addresses."""
    while exc.__cause__ or exc.__context__:
        exc = exc.__cause__ or exc.__context__ or exc
    return str(getattr(exc, "strerror", None) or exc)
