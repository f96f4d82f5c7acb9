"""The image's health check, at servers that are well, unwell, not HTTP, or not there."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agent.healthcheck import main
from tests.timing import SECOND

pytestmark = pytest.mark.loopback


@contextmanager
def answering(data: bytes) -> Iterator[int]:
    """The port of a server that answers one request with these bytes."""

    def serve() -> None:
        connection = listener.accept()[0]
        with connection:
            asked.append(connection.recv(4096))
            connection.sendall(data)

    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10 * SECOND)
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()
    assert asked[0].startswith(b"GET /healthz HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0, "ok\n"),
        (b"HTTP/1.1 503 -\r\nContent-Length: 4\r\n\r\nlost", 1, "lost\n"),
        (b"what?\r\n\r\n", 1, "no answer at port PORT: BadStatusLine\n"),
        (b"", 1, "no answer at port PORT: RemoteDisconnected\n"),
    ],
)
def test_the_exit_status_is_what_the_agent_says(
    data: bytes, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(data) as port:
        assert main({"STATUS_PORT": str(port)}) == status
    assert capsys.readouterr().out == said.replace("PORT", str(port))


def test_an_agent_that_is_not_there_is_not_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert main({"STATUS_PORT": f"127.0.0.1:{port}"}) == 1
    assert "ConnectionRefusedError" in capsys.readouterr().out
