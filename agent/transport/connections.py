"""Connections to one origin, kept alive between calls: over TCP, TLS, or a unix socket.

requests' adapter makes the connections, with its TLS rules (certificates verified against its bundle; no proxies, no
`.netrc`, because no session is involved). The bytes are ours alone: urllib3 would quote targets, resolve dot segments,
join repeated fields and add fields of its own (User-Agent, Accept-Encoding). Idle connections are kept here: its pool
costs more than the calls to the system.
"""

import socket
import ssl
import struct
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import unquote

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util.ssl_match_hostname import CertificateError
from urllib3.util.wait import wait_for_socket  # type: ignore[import-untyped]

from agent.transport.errors import Broken, TimedOut, TlsFailed, TransportError, Unreachable
from agent.transport.tls import REQUESTS_RULES, Tls, http2_context

_RECEIVE_BYTES: Final = 1 << 16
_RECEIVE_MOST: Final = 1 << 18
"""What is asked for at once while a long body comes: each piece costs a turn here, and one at the proxy."""

_WORTH_SPARING: Final = 1 << 14
"""Bytes, from which on a copy costs more than a longer call to the system."""

_SHORTEST_LIMIT: Final = 0.001
"""Seconds."""

T = TypeVar("T")


class _PooledConnection(Protocol):
    """What is used of urllib3's `HTTPConnection`, the same in 1.26 and 2."""

    sock: socket.socket | None
    timeout: float | None

    def connect(self) -> None: ...
    def close(self) -> None: ...


class _Pool(Protocol):
    """What is used of urllib3's `HTTPConnectionPool`: what makes its connections."""

    def _new_conn(self) -> _PooledConnection: ...
    def _prepare_proxy(self, conn: _PooledConnection) -> None: ...


class Connection:
    """A connected socket on which one thread may receive while another sends.

    Waiting for the peer is the kernel's, by the socket's own time limits: one call to the system for each message.
    """

    def __init__(self, pooled: _PooledConnection, *, keep: Callable[["Connection"], None]) -> None:
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


class _TlsConnection(Connection):
    """The same over TLS: the socket never blocks, because OpenSSL allows one thread at a time."""

    def __init__(self, pooled: _PooledConnection, *, keep: Callable[[Connection], None]) -> None:
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


class _Adapter(HTTPAdapter):
    """requests' adapter, with what it does not let a caller say."""

    def __init__(self, *, size: int, **rules: Any) -> None:
        self._rules = rules
        super().__init__(pool_connections=1, pool_maxsize=size)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **rules: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **self._rules, **rules)  # type: ignore[no-untyped-call]


def _tcp_pool(url: str, *, size: int, tls: Tls, is_http2: bool, outbound: str | None) -> _Pool:
    request = PreparedRequest()
    request.url = url
    rules: dict[str, Any] = {}
    if tls.server_name is not None:
        rules["server_hostname"] = tls.server_name
    if is_http2:
        rules["ssl_context"] = http2_context()
    verify: bool | str = (tls.ca_file or True) if tls.verifies else False
    certificate: Any = tls.client_certificate
    if tls.client_key is not None:
        certificate = (tls.client_certificate, tls.client_key)
    # Any: the stubs are those of an older requests.
    adapter: Any = _Adapter(size=size, **rules)
    proxies = {"all": outbound} if outbound else None
    pool: _Pool = adapter.get_connection_with_tls_context(request, verify=verify, cert=certificate, proxies=proxies)
    adapter.cert_verify(pool, url, verify=verify, cert=certificate)
    return pool


class _UnixConnection(HTTPConnection):
    """urllib3's connection, to a socket in the file system."""

    def __init__(self, path: str, **options: Any) -> None:
        super().__init__(**options)
        self._path = path

    def _new_conn(self) -> socket.socket:
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connecting.settimeout(self.timeout)
            connecting.connect(self._path)
        except OSError:
            connecting.close()
            raise
        return connecting


def _unix_pool(url: str, *, size: int) -> _Pool:
    pool: Any = HTTPConnectionPool("localhost", maxsize=size)
    pool.ConnectionCls = partial(_UnixConnection, unquote(url.removeprefix("unix://")))
    return pool  # type: ignore[no-any-return]


class _Idle:
    """Connections that wait for the next call. It knows nothing of its pool, which must be able to go before them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._connections: deque[Connection] = deque()  # append and pop are atomic

    def keep(self, connection: Connection) -> None:
        """Take a connection, or end it if there are enough."""
        if len(self._connections) < self._size:
            self._connections.append(connection)
        else:
            connection.close()

    def take(self) -> Connection | None:
        """The one that was used last, which is the least likely to have been ended meanwhile; None without any."""
        while self._connections:
            try:
                connection = self._connections.pop()
            except IndexError:
                break
            if connection.is_quiet:
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """End all, and those that are still to come."""
        self._size = 0
        while self._connections:
            self._connections.pop().close()


class ConnectionPool:
    """Up to `size` idle connections to the origin of `url`; taking never waits for another call to end.

    `url` is `http://HOST[:PORT]`, `https://HOST[:PORT]`, or `unix:///PATH` with percent-encoded bytes where needed.
    `is_http2` offers HTTP/2 alone in the handshake of TLS; in clear text it changes nothing. `outbound` is the URL of
    an HTTP proxy on the way: TLS goes through it by CONNECT, for plain HTTP the caller has to send absolute targets.
    Raises `OSError` for certificate files that are not there.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int,
        connect_timeout: float,
        tls: Tls = REQUESTS_RULES,
        is_http2: bool = False,
        outbound: str | None = None,
    ) -> None:
        self._idle = _Idle(size)
        weakref.finalize(self, self._idle.close)
        self._connect_timeout = connect_timeout
        self._is_tunnelled = outbound is not None and url.startswith("https:")
        self._pool = (
            _unix_pool(url, size=size)
            if url.startswith("unix:")
            else _tcp_pool(url, size=size, tls=tls, is_http2=is_http2, outbound=outbound)
        )

    def take(self) -> Connection:
        """An idle connection that still lives, or a new one. Raises `Unreachable`, or its kind `TlsFailed`."""
        return self.take_idle() or self.open()

    def open(self) -> Connection:
        """A new connection, whatever idles. Raises as `take`."""
        pooled = self._pool._new_conn()
        self._connect(pooled)
        kind = _TlsConnection if isinstance(pooled.sock, ssl.SSLSocket) else Connection
        return kind(pooled, keep=self._idle.keep)

    def take_idle(self) -> Connection | None:
        """An idle connection that still lives; None where a call would have to wait for a new one."""
        return self._idle.take()

    def open_socket(self) -> socket.socket:
        """A new connected socket, blocking and without a time-out, that is the caller's alone. Raises as `take`."""
        pooled = self._pool._new_conn()
        self._connect(pooled)
        connected, pooled.sock = pooled.sock, None
        assert connected is not None
        connected.settimeout(None)
        return connected

    def _connect(self, pooled: _PooledConnection) -> None:
        pooled.timeout = self._connect_timeout
        try:
            if self._is_tunnelled:
                self._pool._prepare_proxy(pooled)
            else:
                pooled.connect()
        except (HTTPError, OSError, CertificateError) as exc:
            pooled.close()
            causes = _causes(exc)
            # The comparison of names is urllib3's own, with an error that is none of ssl's.
            is_tls = any(isinstance(cause, (ssl.SSLError, CertificateError)) for cause in causes)
            # The first cause has the operating system's word, without urllib3's wrapping and object addresses.
            word = getattr(causes[-1], "strerror", None) or causes[-1]
            raise (TlsFailed if is_tls else Unreachable)(f"no connection: {word}") from exc


def _causes(exc: BaseException) -> list[BaseException]:
    """An error and what led to it, the first of all last."""
    causes = [exc]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    return causes
