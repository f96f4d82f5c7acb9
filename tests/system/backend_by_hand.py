"""A backend that does nothing by itself: the test holds the connections of its agent, and so both ends of the way."""

import queue
import socket
import threading
from contextlib import suppress
from typing import Final, Self

from tests.system.rawhttp import Connection
from tests.timing import SECOND

_PROBE: Final = b"/online"
"""What `Site` asks for until an agent is there."""

_LONGEST_HEAD: Final = 1 << 17


class Taken:
    """A request whose head has been read, on the connection on which it came."""

    def __init__(self, connection: socket.socket, head: bytes, rest: bytes) -> None:
        self.head = head
        self._connection = connection
        self._rest = rest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def socket(self) -> socket.socket:
        return self._connection

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def receive(self, size: int = 1 << 16) -> bytes:
        """Some bytes behind the head; none at the end of the connection, however it ended."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        try:
            return self._connection.recv(size)
        except ConnectionResetError:
            return b""

    def receive_until(self, mark: bytes) -> bytes:
        """All bytes up to those that end with `mark`, or with the connection."""
        received = b""
        while mark not in received and (data := self.receive()):
            received += data
        return received


class BackendByHand:
    """Listens; answers nothing but the site's own probes."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._taken: queue.Queue[Taken] = queue.Queue()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def take(self, within: float = 10 * SECOND) -> Taken:
        """The next request. Raises `queue.Empty`."""
        return self._taken.get(timeout=within)

    def stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(60 * SECOND)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while head_and_rest := _read_head(connection):
                head, rest = head_and_rest
                if head.split(b" ", 2)[1] != _PROBE:
                    self._taken.put(Taken(connection, head, rest))
                    return
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        connection.close()


def _read_head(connection: socket.socket) -> tuple[bytes, bytes] | None:
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(1 << 16)
        if not data or len(received) > _LONGEST_HEAD:
            return None
        received += data
    head, _, rest = received.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def receive_until(client: Connection, mark: bytes) -> bytes:
    """What a client gets up to `mark`, or to the end of its connection."""
    received = b""
    while mark not in received and (data := client.receive()):
        received += data
    return received
