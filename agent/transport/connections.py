"""Connections to one origin, kept alive between calls: over TCP, TLS, or a unix socket.

requests' adapter makes the connections, with its TLS rules (certificates verified against its bundle; no proxies, no
`.netrc`, because no session is involved). The bytes are ours alone: urllib3 would quote targets, resolve dot segments,
join repeated fields and add fields of its own (User-Agent, Accept-Encoding). Idle connections are kept here: its pool
costs more than the calls to the system.
"""

import socket
import ssl
import weakref
from collections import deque
from functools import partial
from typing import Any, Protocol
from urllib.parse import unquote

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util.ssl_match_hostname import CertificateError

from agent.transport.connection import Connection, PooledConnection, TlsConnection
from agent.transport.errors import TlsFailed, Unreachable
from agent.transport.tls import REQUESTS_RULES, Tls, http2_context


class _Pool(Protocol):
    """What is used of urllib3's `HTTPConnectionPool`: what makes its connections."""

    def _new_conn(self) -> PooledConnection: ...
    def _prepare_proxy(self, conn: PooledConnection) -> None: ...


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
        kind = TlsConnection if isinstance(pooled.sock, ssl.SSLSocket) else Connection
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

    def _connect(self, pooled: PooledConnection) -> None:
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
