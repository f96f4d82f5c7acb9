"""An HTTP/1.1 client made of a socket: it sends what it is told, byte for byte, and shows the framing of what came."""

import contextlib
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from tests.timing import SECOND

Fields = list[tuple[str, str]]
Framing = Literal["length", "chunked", "close", "none"]

PATIENCE: Final = 40 * SECOND
"""How long a client waits for the next byte: longer than any time-out of the product."""

_NO_BODY: Final = (204, 304)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came. `is_whole` is False when the connection ended before the framing said so."""

    status: int
    fields: Fields
    body: bytes
    framing: Framing
    is_whole: bool
    trailers: Fields = field(default_factory=list)

    def get(self, name: str) -> str | None:
        """The first value of a field, or None."""
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> list[str]:
        """All values of a field, in order."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    @property
    def reason(self) -> str | None:
        """Why the proxy or the agent answered itself, if it did."""
        return self.get("X-Inverting-Proxy-Error")


class Disconnected(ConnectionError):
    """The server ended the connection without one byte of an answer."""


class Connection:
    """One connection; what was read and not yet used is kept for the next reply."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = PATIENCE,
        tls: ssl.SSLContext | None = None,
        before_tls: bytes = b"",
        source: str = "",
    ) -> None:
        """With `tls` the first thing that is said is a handshake, behind `before_tls`; `source` is the own address."""
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self.host = parts.netloc
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout, (source, 0) if source else None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self._socket.sendall(before_tls)
            self._socket = tls.wrap_socket(self._socket, server_hostname=parts.hostname)
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def half_close(self) -> None:
        """No more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def interrupt(self) -> None:
        """End it both ways, also for another thread that waits for an answer."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send_as_far_as_taken(self, data: bytes) -> None:
        """Send, unless the server stops listening: it may answer early and close."""
        try:
            self.send(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def receive(self, size: int = 1 << 16) -> bytes:
        """Some bytes; none at the end of the connection, however it ended."""
        try:
            return self._socket.recv(size)
        except ConnectionResetError:
            return b""

    def read_reply(self, method: str = "GET") -> Reply:
        """The next final answer; interim ones are skipped. Raises `Disconnected`, `TimeoutError`."""
        status, fields = self._read_head()
        while 100 <= status < 200:
            status, fields = self._read_head()
        values = {name.lower(): value for name, value in fields}
        if method == "HEAD" or status in _NO_BODY:
            return Reply(status, fields, b"", "none", True)
        if "chunked" in values.get("transfer-encoding", "").lower():
            body, is_whole, trailers = self._read_chunks()
            return Reply(status, fields, body, "chunked", is_whole, trailers)
        if "content-length" in values:
            size = int(values["content-length"])
            body = self._take(size)
            return Reply(status, fields, body, "length", len(body) == size)
        return Reply(status, fields, self._take(None), "close", True)

    def read_at_least(self, size: int) -> None:
        """Wait for so many bytes, and keep them for the reply. Raises `Disconnected` when they do not come."""
        while len(self._buffer) < size:
            if not self._fill():
                raise Disconnected(f"the connection ended after {len(self._buffer)} bytes")

    def peek(self) -> bytes:
        """What has come and belongs to the next reply."""
        return bytes(self._buffer)

    def read_to_end(self) -> bytes:
        """Everything that still comes, until the server closes."""
        return self._take(None)

    def _fill(self) -> bool:
        data = self.receive()
        self._buffer += data
        return bool(data)

    def _read_until(self, mark: bytes) -> bytes | None:
        while (end := self._buffer.find(mark)) < 0:
            if not self._fill():
                return None
        taken = bytes(self._buffer[:end])
        del self._buffer[: end + len(mark)]
        return taken

    def _take(self, size: int | None) -> bytes:
        while (size is None or len(self._buffer) < size) and self._fill():
            pass
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _read_head(self) -> tuple[int, Fields]:
        head = self._read_until(b"\r\n\r\n")
        if head is None:
            raise Disconnected(f"no answer; the connection ended after {bytes(self._buffer[:200])!r}")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = status_line.split(" ")
        assert version.startswith("HTTP/1."), status_line
        return int(status), _parse_fields(lines)

    def _read_chunks(self) -> tuple[bytes, bool, Fields]:
        body = bytearray()
        while (line := self._read_until(b"\r\n")) is not None:
            size = int(line.partition(b";")[0], 16)
            if size == 0:
                return bytes(body), True, self._read_trailers()
            data = self._take(size + 2)
            body += data[:size]
            if len(data) < size + 2:
                break
        return bytes(body), False, []

    def _read_trailers(self) -> Fields:
        lines = []
        while line := self._read_until(b"\r\n"):
            lines.append(line.decode("latin-1"))
        return _parse_fields(lines)


def _parse_fields(lines: Iterable[str]) -> Fields:
    pairs = (line.partition(":") for line in lines)
    return [(name, value.strip(" \t")) for name, _, value in pairs]


def request_bytes(
    method: str, target: str, *, host: str, fields: Iterable[tuple[str, str]] = (), body: bytes | None = None
) -> bytes:
    """A request with exactly these fields, and `Host` and `Content-Length` where they are not among them."""
    pairs = list(fields)
    names = {name.lower() for name, _ in pairs}
    if "host" not in names:
        pairs.insert(0, ("Host", host))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(body))))
    head = "".join([f"{method} {target} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in pairs), "\r\n"])
    return head.encode("latin-1") + (body or b"")


def chunked(*pieces: bytes, trailers: str = "") -> bytes:
    """A body in chunked coding."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + f"0\r\n{trailers}\r\n".encode()


def call(
    url: str,
    method: str,
    target: str,
    *,
    fields: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    timeout: float = PATIENCE,
) -> Reply:
    """One request on a connection of its own, which has no field but those given, `Host` and `Content-Length`."""
    with Connection(url, timeout=timeout) as connection:
        request = request_bytes(method, target, host=connection.host, fields=fields, body=body)
        connection.send_as_far_as_taken(request)
        return connection.read_reply(method)


def get(url: str, target: str, *fields: tuple[str, str], timeout: float = PATIENCE) -> Reply:
    """One GET on a connection of its own."""
    return call(url, "GET", target, fields=fields, timeout=timeout)
