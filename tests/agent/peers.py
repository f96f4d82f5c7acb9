"""Peers on raw sockets: what the agent sends is seen as sent, and they misbehave exactly as told."""

import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.timing import SECOND


@dataclass
class Received:
    """One message from the agent."""

    start: str
    fields: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)
    is_whole: bool = False

    @property
    def target(self) -> str:
        return self.start.split(" ")[1]

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]


class Ended(Exception):
    """The agent closed the connection."""


class Wire:
    """One accepted connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(20 * SECOND)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> None:
        """End with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise Ended
        self._buffer += data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def read_head(self) -> Received:
        start, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        return Received(start, [(name, value) for name, _, value in (line.partition(": ") for line in lines)])

    def read_pieces(self, message: Received) -> Iterator[bytes]:
        """The pieces of a body; the message collects them and says at the end that it is whole."""
        if message.get_all("Transfer-Encoding") == ["chunked"]:
            while size := int(self._until(b"\r\n"), 16):
                piece = self._exactly(size)
                self._exactly(2)
                message.body += piece
                yield piece
            self._until(b"\r\n")
        else:
            left = int((message.get_all("Content-Length") or ["0"])[0])
            while left:
                if not self._buffer:
                    self._more()
                piece = self._exactly(min(left, len(self._buffer)))
                left -= len(piece)
                message.body += piece
                yield piece
        message.is_whole = True

    def read_message(self) -> Received:
        message = self.read_head()
        for _ in self.read_pieces(message):
            pass
        return message


class Peer:
    """A server on a free port of 127.0.0.1; each connection runs `serve` in a thread of its own."""

    def __init__(self, serve: Callable[[Wire], None], tls: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.accepted = 0
        self.failures: list[BaseException] = []
        self._wires: list[Wire] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            wire = Wire(connection)
            self._wires.append(wire)
            thread = threading.Thread(target=self._run, args=(wire,))
            self._threads.append(thread)
            thread.start()

    def _run(self, wire: Wire) -> None:
        try:
            if self._tls is not None:
                wire.socket = self._tls.wrap_socket(wire.socket, server_side=True)
            self._serve(wire)
        except (Ended, OSError):
            pass
        except BaseException as exc:
            self.failures.append(exc)
        finally:
            wire.socket.close()

    def close(self) -> None:
        for thing in (self._listener, *(wire.socket for wire in self._wires)):
            with suppress(OSError):
                thing.shutdown(socket.SHUT_RDWR)
            thing.close()
        for thread in (self._acceptor, *self._threads):
            thread.join(5 * SECOND)


@contextmanager
def peer(serve: Callable[[Wire], None], tls: ssl.SSLContext | None = None) -> Iterator[Peer]:
    running = Peer(serve, tls)
    try:
        yield running
    finally:
        running.close()
    assert running.failures == []


def answering(*answers: bytes, record: list[Received] | None = None) -> Callable[[Wire], None]:
    """Serve the answers one after the other on each connection, reading each request whole first."""

    def serve(wire: Wire) -> None:
        for answer in answers:
            message = wire.read_message()
            if record is not None:
                record.append(message)
            wire.send(answer)

    return serve


def an_answer(body: bytes = b"", *, status: int = 200, fields: str = "") -> bytes:
    return b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n%b" % (status, fields.encode("latin-1"), len(body), body)


@dataclass
class Posted:
    """One POST of an answer, as it came."""

    head: Received
    pieces: "queue.Queue[bytes | None]" = field(default_factory=queue.Queue)
    """Each piece as it came, then None."""


class ProxyPeer:
    """A proxy of protocol version 1: hands out what is put in, keeps what is posted."""

    def __init__(self, path: str = "") -> None:
        self._path = path
        self.requests: dict[str, bytes] = {}
        self.users: dict[str, str] = {}
        self.pending: queue.Queue[list[str]] = queue.Queue()
        self.posts: queue.Queue[Posted] = queue.Queue()
        self.calls: list[Received] = []
        self.before: Callable[[Wire, Received], bool] = lambda wire, call: False
        """Looks at each call first; True if it has dealt with it."""
        self.poll_seconds = 10 * SECOND
        self._peer = Peer(self._serve)
        self.url = f"{self._peer.url}{path}"

    def add(self, raw: bytes, *, request_id: str = "id-1", user: str = "") -> None:
        self.requests[request_id] = raw
        self.users[request_id] = user
        self.pending.put([request_id])

    def _serve(self, wire: Wire) -> None:
        while True:
            call = wire.read_head()
            self.calls.append(call)
            if self.before(wire, call):
                continue
            if call.start.startswith("DELETE "):
                # A farewell: version 1 knows of none.
                wire.send(an_answer(status=404))
            elif call.target == f"{self._path}/agent/pending":
                self._list(wire)
            elif call.target == f"{self._path}/agent/request":
                self._fetch(wire, call)
            else:
                self._receive(wire, call)

    def _list(self, wire: Wire) -> None:
        try:
            ids = self.pending.get(timeout=self.poll_seconds)
        except queue.Empty:
            ids = []
        wire.send(an_answer(b"[%b]" % b",".join(b'"%b"' % name.encode() for name in ids)))

    def _fetch(self, wire: Wire, call: Received) -> None:
        [request_id] = call.get_all("X-Inverting-Proxy-Request-ID")
        if request_id not in self.requests:
            wire.send(an_answer(status=404))
            return
        user = self.users[request_id]
        fields = f"X-Inverting-Proxy-User-ID: {user}\r\n" if user else ""
        wire.send(an_answer(self.requests[request_id], fields=fields))

    def _receive(self, wire: Wire, call: Received) -> None:
        posted = Posted(call)
        self.posts.put(posted)
        try:
            for piece in wire.read_pieces(call):
                posted.pieces.put(piece)
        finally:
            posted.pieces.put(None)
        wire.send(an_answer())

    def next_post(self) -> Posted:
        """The next POST once it is over."""
        posted = self.posts.get(timeout=10 * SECOND)
        while posted.pieces.get(timeout=10 * SECOND) is not None:
            pass
        return posted

    def close(self) -> None:
        self.pending.put([])
        self._peer.close()
        assert self._peer.failures == []


@contextmanager
def proxy_peer(path: str = "") -> Iterator[ProxyPeer]:
    running = ProxyPeer(path)
    try:
        yield running
    finally:
        running.close()
