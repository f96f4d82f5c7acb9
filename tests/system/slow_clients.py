"""Clients that do as little as they can, to hold what they can get for as long as they can; and others beside them."""

import itertools
import random
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from tests.system.rawhttp import Reply, get

Kind = Literal["head", "body", "reader"]

_OPENINGS: Final[dict[Kind, bytes]] = {
    "head": b"GET / HTTP/1.1\r\nHost: h\r\nX: ",
    "body": b"POST /drain HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n",
    "reader": b"GET /pour?n=100000000 HTTP/1.1\r\nHost: h\r\n\r\n",
}

_TURNS: Final = 50
"""In so many parts the clients act, one after the other."""

_SMALL_BUFFER: Final = 4096
"""Of a reader's socket: what it does not read shall lie at the other side."""


@dataclass(slots=True)
class _Client:
    kind: Kind
    socket: socket.socket
    began: float
    ended: float | None = None
    received: bytearray = field(default_factory=bytearray)


Asked = tuple[float, Reply]
"""How long a request took, in seconds, and its answer."""


class SlowClients:
    """Sends a byte of a head, sends a byte of a body, or reads a byte of an answer, every so many seconds on each of
    many connections. As a context: until all have been cut off, or it ends."""

    def __init__(self, url: str, *, every: float, **counts: int) -> None:
        """`counts` says how many there are of each kind."""
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self._address = parts.hostname, parts.port
        self._every = every
        self._kinds = [kind for kind in _OPENINGS for _ in range(counts.get(kind, 0))]
        random.Random(1).shuffle(self._kinds)
        self._clients: list[_Client] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "SlowClients":
        self._clients = [self._open(kind) for kind in self._kinds]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        for client in self._clients:
            client.socket.close()

    @property
    def left(self) -> int:
        """How many have not been cut off yet."""
        return sum(client.ended is None for client in self._clients)

    def longest(self) -> dict[Kind, float]:
        """By kind, how long the last of those that were cut off has lasted, in seconds."""
        longest: dict[Kind, float] = {}
        for client in self._clients:
            if client.ended is not None:
                longest[client.kind] = max(longest.get(client.kind, 0.0), client.ended - client.began)
        return longest

    def statuses(self) -> Counter[tuple[Kind, bytes]]:
        """What those that send were told, by the status of the answer; empty for no answer."""
        return Counter(
            (client.kind, bytes(client.received[9:12])) for client in self._clients if client.kind != "reader"
        )

    def _open(self, kind: Kind) -> _Client:
        connection = socket.socket()
        if kind == "reader":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        connection.connect(self._address)
        connection.sendall(_OPENINGS[kind])
        connection.setblocking(False)
        return _Client(kind, connection, time.monotonic())

    def _run(self) -> None:
        # Not all at once: a thousand clients that do not know of one another act at a thousand times.
        turns = itertools.cycle(self._clients[first::_TURNS] for first in range(_TURNS))
        while not self._is_over.wait(self._every / _TURNS) and self.left:
            for client in next(turns):
                if client.ended is None and not self._act(client):
                    client.ended = time.monotonic()

    def _act(self, client: _Client) -> bool:
        """Do a little; False once the connection has been ended."""
        if _is_reset(client.socket):
            return False  # what it has received already could still be read for long
        try:
            with suppress(BlockingIOError):
                if client.kind != "reader":
                    client.socket.send(b"a")
            data = client.socket.recv(1 if client.kind == "reader" else 1 << 12)
        except BlockingIOError:
            return True
        except OSError:
            return False
        client.received += data
        return bool(data)


def _is_reset(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, 0)
    return bool(poll.poll(0))


def timed(url: str, target: str) -> Asked:
    began = time.monotonic()
    reply = get(url, target)
    return time.monotonic() - began, reply


def at_a_rate(url: str, target: str, *, per_second: float, goes_on: Callable[[float], bool]) -> list[Asked]:
    """Ask at fixed times, whether or not former requests have been answered; how long each took, and its answer."""
    began = time.monotonic()
    with ThreadPoolExecutor(200) as pool:
        asked = []
        while goes_on(time.monotonic() - began):
            asked.append(pool.submit(timed, url, target))
            time.sleep(max(0.0, began + len(asked) / per_second - time.monotonic()))
        return [each.result() for each in asked]


def slowest(answers: list[Asked]) -> float:
    """The 99th percentile: of a hundred the slowest."""
    times = sorted(took for took, _ in answers)
    return times[int(len(times) * 0.99)]


def hundreds(answers: list[Asked]) -> list[list[Asked]]:
    """Each hundred of them, in the order in which they were asked; the rest is left out."""
    return [answers[start : start + 100] for start in range(0, len(answers) - 99, 100)]
