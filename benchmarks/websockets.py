"""`python -m benchmarks.websockets [--count 5000] [--seconds 30] [--ping 20]`: what native websockets cost that wait.

So many are opened through the stand-alone proxy and one agent, rest for a while, with a ping and its pong now and then
if that is wanted, and carry one message each way. What counts is the resident memory of proxy and agent, before and
with them, and their processor time meanwhile. The backend and the users are this process: neither is counted.
"""

import argparse
import resource
import selectors
import socket
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.usage import processor_seconds, resident_kib
from tests.system.processes import Process
from tests.system.shapes import Site, Standalone

GOAL_MIB: Final = 400
"""For 5,000, proxy and agent together."""

_HANDSHAKE: Final = (
    b"GET /%d HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_SWITCHED: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n"
)
# Text messages of eight characters (RFC 6455 section 5.2); a mask of zeros leaves them as they are.
_TO_BACKEND: Final = b"\x81\x88\0\0\0\0"
_TO_USER: Final = b"\x81\x08"
_SIZE: Final = 8
_PING: Final = b"\x89\x80\0\0\0\0"
_PONG: Final = b"\x8a\0"

_OPENING: Final = 32
"""Users who open at the same time."""


class Backend:
    """Takes every handshake, and sends each message back; one thread, for any number."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over.is_set():
            for key, _ in self._selector.select(0.2):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                if connection is self._listener:
                    self._accept()
                else:
                    self._answer(connection)

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            connection, _ = self._listener.accept()
            self._selector.register(connection, selectors.EVENT_READ)

    def _answer(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(4096)
            if data.endswith(b"\r\n\r\n"):
                # `/online` is how a site is waited for, and no websocket.
                is_websocket = b"Sec-WebSocket-Key" in data
                connection.sendall(_SWITCHED if is_websocket else b"HTTP/1.1 204 No Content\r\n\r\n")
            elif data == _PING:
                connection.sendall(_PONG)
            elif data:
                connection.sendall(_TO_USER + data[-_SIZE:])
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            connection.close()

    def close(self) -> None:
        self._is_over.set()
        self._thread.join(5)
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()


@dataclass(frozen=True, slots=True)
class Waited:
    """What so many cost: KiB before and with them, seconds of processor time while they waited; proxy, then agent."""

    count: int
    opening: float
    """Seconds."""
    before: tuple[int, int]
    resident: tuple[int, int]
    waited: float
    busy: tuple[float, float]
    talking: float
    """Seconds for one message each way on all."""
    answered: int

    @property
    def together(self) -> float:
        """MiB of both."""
        return sum(self.resident) / 1024

    def lines(self) -> list[str]:
        rows = [f"{self.count} websockets opened in {self.opening:.1f} s"]
        for name, before, now, busy in zip(("proxy", "agent"), self.before, self.resident, self.busy, strict=True):
            each = (now - before) / self.count
            share = 100 * busy / self.waited
            rows.append(
                f"{name}: {before / 1024:.0f} MiB before, {now / 1024:.0f} MiB with them ({each:.1f} KiB each), "
                f"{share:.1f} % of a core while they waited {self.waited:.0f} s"
            )
        rows.append(f"together {self.together:.0f} MiB; {self.answered} answered in {self.talking:.1f} s")
        return rows


def hold(count: int, folder: Path, *, seconds: float, ping: float | None = None) -> Waited:
    """Open so many, let them wait, with a ping on each every so many seconds, and have each carry a message."""
    _allow_files(2 * count + 1000)
    with ExitStack() as stack:
        backend = Backend()
        stack.callback(backend.close)
        proxy = Standalone(folder)
        stack.callback(proxy.stop)
        site = Site(proxy, backend.url, backend_id="bench", folder=folder)
        stack.callback(site.close)
        agent = site.start_agent()
        site.wait_until_online()
        before = _resident(proxy.process, agent)
        began = time.perf_counter()
        with ThreadPoolExecutor(_OPENING) as users:
            websockets = list(users.map(lambda number: _opened(site.url, number), range(count)))
        opening = time.perf_counter() - began
        for websocket in websockets:
            stack.callback(websocket.close)
        time.sleep(2)  # noqa: TID251  # what opening has left to be done
        used = processor_seconds(proxy.process.pid), processor_seconds(agent.pid)
        _rest(websockets, seconds, ping)
        busy = (
            processor_seconds(proxy.process.pid) - used[0],
            processor_seconds(agent.pid) - used[1],
        )
        resident = _resident(proxy.process, agent)
        began = time.perf_counter()
        answered = _talk(websockets)
        talking = time.perf_counter() - began
        return Waited(count, opening, before, resident, seconds, busy, talking, answered)


def _resident(proxy: Process, agent: Process) -> tuple[int, int]:
    return resident_kib(proxy.pid)[1], resident_kib(agent.pid)[1]


def _opened(url: str, number: int) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    websocket = socket.create_connection((host, int(port)), timeout=60)
    websocket.sendall(_HANDSHAKE % number)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = websocket.recv(4096)
        if not piece:
            raise ConnectionError(f"websocket {number} was not opened: {head!r}")
        head += piece
    if not head.startswith(b"HTTP/1.1 101 "):
        raise ConnectionError(f"websocket {number} was refused: {head!r}")
    return websocket


def _rest(websockets: list[socket.socket], seconds: float, ping: float | None) -> None:
    """Let time pass. Raises `ConnectionError` for a websocket whose ping is not answered."""
    over = time.perf_counter() + seconds
    while (left := over - time.perf_counter()) > 0:
        time.sleep(min(left, ping or left))  # noqa: TID251  # nothing happens, and that is measured
        if ping is None:
            continue
        for websocket in websockets:
            websocket.sendall(_PING)
        for number, websocket in enumerate(websockets):
            if (answer := websocket.recv(len(_PONG), socket.MSG_WAITALL)) != _PONG:
                raise ConnectionError(f"websocket {number}: {answer!r} for a ping")


def _talk(websockets: list[socket.socket]) -> int:
    """Send a message on each, then read each answer; how many were the right one."""
    for number, websocket in enumerate(websockets):
        websocket.sendall(_TO_BACKEND + b"%08d" % number)
    right = 0
    for number, websocket in enumerate(websockets):
        answer = b""
        while len(answer) < len(_TO_USER) + _SIZE and (piece := websocket.recv(100)):
            answer += piece
        right += answer == _TO_USER + b"%08d" % number
    return right


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.websockets", description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--ping", type=float, help="seconds between two pings of each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        waited = hold(arguments.count, Path(folder), seconds=arguments.seconds, ping=arguments.ping)
    print("\n".join(waited.lines()))
    is_good = waited.answered == waited.count and waited.together <= GOAL_MIB
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
