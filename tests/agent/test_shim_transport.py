"""The shim's websockets over what backends listen on: TLS and unix sockets."""

import random
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from websockets.sync.server import ServerConnection, serve, unix_serve

from agent.backend_client import BackendClient
from agent.messages import Request
from agent.shim.connection import Connection, Limits
from agent.shim.handshake import Dialer, Endpoint
from agent.shim.loop import Loop
from agent.shim.protocol import Message
from agent.transport.tls import Tls
from tests.agent.certificates import Authority
from tests.timing import SECOND
from wire.headers import Headers
from wire.http1 import RequestHead
from wire.protocol import RequestId

MESSAGES: list[Message] = ["text", b"\x00\xff", "ü" * 100_000, *(random.Random(n).randbytes(300_000) for n in range(8))]


def echo(websocket: ServerConnection) -> None:
    for message in websocket:
        websocket.send(message)


@contextmanager
def connected(client: BackendClient) -> Iterator[Connection]:
    loop = Loop()
    endpoint = Endpoint(client.host, client.connect)
    dialer = Dialer(lambda target: endpoint, wake=loop.wake, limits=Limits(), timeout=timedelta(seconds=20))
    head = RequestHead("GET", "/socket", Headers([("Host", "proxy.example")]), None)
    try:
        answer, connection = dialer.dial(Request(RequestId("id"), "", head, b""), [])
        assert answer.status == 101
        assert connection is not None
        yield connection
        connection.close(1000, "")
    finally:
        loop.close(timeout=20 * SECOND)


def require_echo(client: BackendClient) -> None:
    """All messages come back as they were, sent while they come."""
    with connected(client) as connection:
        sender = threading.Thread(target=lambda: connection.send(MESSAGES, timeout=60 * SECOND), daemon=True)
        sender.start()
        received: list[Message] = []
        while len(received) < len(MESSAGES):
            taken = connection.mailbox.take(len(received), timeout=60 * SECOND)
            assert taken is not None
            received += taken.messages
        sender.join(20 * SECOND)
    assert received == MESSAGES


def test_messages_pass_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("127.0.0.1"))
    with serve(echo, "127.0.0.1", 0, ssl=context, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{server.socket.getsockname()[1]}"
        tls = Tls(ca_file=str(authority.file))
        require_echo(BackendClient(url, connections=1, limit=timedelta(seconds=20), tls=tls))
        server.shutdown()
        thread.join(20 * SECOND)


def test_messages_pass_over_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "backend.sock"
    with unix_serve(echo, str(path), max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        require_echo(BackendClient(f"unix://{path}", connections=1, limit=timedelta(seconds=20)))
        server.shutdown()
        thread.join(20 * SECOND)
