"""A memcached server as a cache (its text protocol: github.com/memcached/memcached/blob/master/doc/protocol.txt)."""

import socket
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from queue import Empty, Full, LifoQueue
from typing import BinaryIO, Final, TypeVar

from stores.hints import CacheUnavailable

_TIMEOUT: Final = 0.25
"""Seconds for each step: whoever waits for longer had better ask the store."""

_KEPT_FOR: Final = 600
"""Seconds."""

_IDLE_CONNECTIONS: Final = 16
_NAMES: Final = 50
"""In one command: servers may refuse lines over 2,048 bytes."""

_LONGEST_LINE: Final = 4096

T = TypeVar("T")


class _Connection:
    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=_TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines: BinaryIO = self._socket.makefile("rb")

    def get_many(self, names: Collection[str]) -> Mapping[str, bytes]:
        self._socket.sendall(f"get {' '.join(names)}\r\n".encode("ascii"))
        found = {}
        while (line := self._line()) != "END":
            verb, name, _, size = line.split()
            if verb != "VALUE":
                raise ValueError(line)
            found[name] = self._lines.read(int(size) + 2)[:-2]
        return found

    def put(self, name: str, value: bytes) -> None:
        self._socket.sendall(f"set {name} 0 {_KEPT_FOR} {len(value)}\r\n".encode("ascii") + value + b"\r\n")
        if (line := self._line()) != "STORED":
            raise ValueError(line)

    def _line(self) -> str:
        line = self._lines.readline(_LONGEST_LINE)
        if not line.endswith(b"\r\n"):
            raise ConnectionError("closed within a line")
        return line[:-2].decode("ascii")

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class Memcached:
    """A `Cache`. Keeps a few connections; one on which something went wrong is closed."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._idle: LifoQueue[_Connection] = LifoQueue(_IDLE_CONNECTIONS)

    def get_many(self, names: Collection[str]) -> Mapping[str, bytes]:
        wanted, found = list(names), dict[str, bytes]()
        for start in range(0, len(wanted), _NAMES):
            found |= self._with_connection(partial(_Connection.get_many, names=wanted[start : start + _NAMES]))
        return found

    def put(self, name: str, value: bytes) -> None:
        self._with_connection(partial(_Connection.put, name=name, value=value))

    def close(self) -> None:
        """Close what is idle."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def _with_connection(self, call: Callable[[_Connection], T]) -> T:
        try:
            connection = self._take()
            try:
                result = call(connection)
            except BaseException:
                connection.close()
                raise
        except (OSError, ValueError) as exc:
            raise CacheUnavailable(f"memcached: {exc}") from exc
        self._give_back(connection)
        return result

    def _take(self) -> _Connection:
        try:
            return self._idle.get_nowait()
        except Empty:
            return _Connection(self._address)

    def _give_back(self, connection: _Connection) -> None:
        try:
            self._idle.put_nowait(connection)
        except Full:
            connection.close()
