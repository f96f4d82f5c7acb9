"""A backend behind a socket in the file system."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from agent.backend_client import BackendClient
from agent.messages import Request
from agent.transport.errors import Unreachable
from tests.agent.http2_peer import Call, Http2Wire, serving
from tests.agent.peers import Ended, Received, Wire, an_answer, answering
from tests.timing import SECOND
from wire.headers import Headers
from wire.http1 import RequestHead
from wire.protocol import RequestId

REQUEST = Request(RequestId("id"), "", RequestHead("GET", "/x", Headers([("Host", "users.example")]), None), b"")


class UnixPeer:
    """A server on a socket; each connection is served in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.serve = answering(an_answer(b"hello"), an_answer(b"again"))
        self.accepted = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._threads.append(threading.Thread(target=self._run, args=(connection,)))
            self._threads[-1].start()

    def _run(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.serve(Wire(connection))
            except (Ended, OSError):
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10 * SECOND)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder %20"
    folder.mkdir()
    return folder / "app.sock"


@pytest.fixture
def server(path: Path) -> Iterator[UnixPeer]:
    with closing(UnixPeer(path)) as running:
        yield running


def a_client(path: Path, *, host_header: str = "keep", is_http2: bool = False) -> BackendClient:
    limit = timedelta(seconds=10 * SECOND)
    url = f"unix://{quote(str(path))}"
    return BackendClient(url, connections=2, limit=limit, host_header=host_header, is_http2=is_http2)


def call(client: BackendClient) -> bytes:
    with closing(client(REQUEST)) as response:
        return b"".join(event for event in response.events if isinstance(event, bytes))


def test_calls_share_a_connection(server: UnixPeer, path: Path) -> None:
    client = a_client(path)
    assert (call(client), call(client), server.accepted) == (b"hello", b"again", 1)


@pytest.mark.parametrize(
    ("host_header", "host"),
    [("keep", "users.example"), ("backend", "localhost"), ("app.internal:81", "app.internal:81")],
)
def test_the_host_that_the_backend_sees(server: UnixPeer, path: Path, host_header: str, host: str) -> None:
    seen: list[Received] = []
    server.serve = answering(an_answer(), record=seen)
    call(a_client(path, host_header=host_header))
    assert seen[0].get_all("Host") == [host]


def test_http2(server: UnixPeer, path: Path) -> None:
    def greet(http2: Http2Wire, call: Call) -> None:
        http2.answer(call, (call.get(":authority") or "").encode())

    server.serve = serving(greet)
    with closing(a_client(path, is_http2=True)) as client:
        assert call(client) == b"users.example"


def test_a_socket_for_websockets(server: UnixPeer, path: Path) -> None:
    with a_client(path).connect() as connected:
        assert (connected.family, connected.gettimeout()) == (socket.AF_UNIX, None)
        connected.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert connected.recv(65536).startswith(b"HTTP/1.1 200")


def test_nobody_there_is_unreachable(path: Path) -> None:
    with pytest.raises(Unreachable, match="No such file"):
        call(a_client(path))
