"""gRPC as far as HTTP/1.1 to the proxy carries it: calls posted by hand, answered by a server made with grpcio.

Stand-alone alone: App Engine's services lose trailers (`edge/wsgi.py`), and a call's status with them.
"""

import struct
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.agent.certificates import Authority
from tests.system.backends import Peer
from tests.system.conftest import Serve
from tests.system.processes import Process
from tests.system.rawhttp import Connection, Reply, call, chunked
from tests.system.shapes import Site

FIELDS = [("Content-Type", "application/grpc"), ("TE", "trailers")]


@pytest.fixture(scope="module")
def shape_name() -> str:
    return "standalone"


@pytest.fixture(scope="module")
def greeter(folder: Path) -> Iterator[Process]:
    process = Process("greeter", [sys.executable, "-m", "tests.system.greeter"], log=folder / "greeter.log")
    process.wait_for_url()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def grpc_site(serve: Serve, greeter: Process) -> Site:
    return serve(greeter.wait_for_url(), "--force-http2")


def framed(value: str) -> bytes:
    """A message with its length in front, not compressed."""
    data: bytes = StringValue(value=value).SerializeToString()
    return struct.pack(">BI", 0, len(data)) + data


def messages(body: bytes) -> list[str]:
    values = []
    while body:
        flag, size = struct.unpack(">BI", body[:5])
        assert flag == 0
        values.append(StringValue.FromString(body[5 : 5 + size]).value)
        body = body[5 + size :]
    return values


def status(reply: Reply) -> str:
    """In the trailers; of a call that failed before anything was said, in the head."""
    found = [value for name, value in [*reply.fields, *reply.trailers] if name.lower() == "grpc-status"]
    assert len(found) == 1, reply
    return found[0]


def ask(site: Site, method: str, *names: str) -> Reply:
    body = b"".join(framed(name) for name in names)
    return call(site.url, "POST", f"/demo.Greeter/{method}", fields=FIELDS, body=body)


def test_one_message_and_one_answer(grpc_site: Site) -> None:
    reply = ask(grpc_site, "Hello", "Ada")

    host = grpc_site.url.partition("//")[2]
    assert (reply.status, messages(reply.body), status(reply)) == (200, [f"Hello, Ada, at {host}"], "0")
    assert ("greeted-by", "grpcio") in [(name.lower(), value) for name, value in reply.trailers]
    assert reply.framing == "chunked"


def test_a_call_that_fails_says_why(grpc_site: Site) -> None:
    reply = ask(grpc_site, "Hello", "nobody")

    said = {name.lower(): value for name, value in [*reply.fields, *reply.trailers]}
    assert (reply.status, reply.body, status(reply)) == (200, b"", "5")
    assert said["grpc-message"] == "nobody of that name: %C3%BC"


def test_a_method_that_does_not_exist(grpc_site: Site) -> None:
    assert status(ask(grpc_site, "Farewell", "Ada")) == "12"


def test_many_messages_are_one_call(grpc_site: Site) -> None:
    body = chunked(framed("Ada"), framed("Grace"), framed("Edsger"))

    reply = call(
        grpc_site.url, "POST", "/demo.Greeter/All", fields=[*FIELDS, ("Transfer-Encoding", "chunked")], body=body
    )

    assert (messages(reply.body), status(reply)) == (["Hello, Ada and Grace and Edsger"], "0")


def test_the_messages_of_an_answer_come_one_by_one(grpc_site: Site) -> None:
    first = framed("Hello, Ada")
    body = framed("Ada Grace Edsger")
    with Connection(grpc_site.url) as connection:
        head = "".join(f"{name}: {value}\r\n" for name, value in [("Host", connection.host), *FIELDS])
        request = f"POST /demo.Greeter/Everybody HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n"
        connection.send(request.encode() + body)
        # The server goes on only when it is told to, which happens only when the first message is here.
        size = 1
        while first not in connection.peek():
            connection.read_at_least(size)
            size = len(connection.peek()) + 1
        assert status(ask(grpc_site, "Go", "")) == "0"
        reply = connection.read_reply("POST")

    assert messages(reply.body) == ["Hello, Ada", "Hello, Grace", "Hello, Edsger"]
    assert (status(reply), reply.is_whole) == ("0", True)


def test_many_calls_at_a_time(grpc_site: Site) -> None:
    with ThreadPoolExecutor(16) as threads:
        replies = list(threads.map(lambda number: ask(grpc_site, "Hello", f"n{number}"), range(100)))

    assert [messages(reply.body)[0].split(",")[1] for reply in replies] == [f" n{number}" for number in range(100)]
    assert {status(reply) for reply in replies} == {"0"}


def test_over_tls_http2_is_agreed_on_in_the_handshake(serve_fresh: Serve, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate = authority.issue("127.0.0.1", is_split=True)
    argv = [sys.executable, "-m", "tests.system.greeter", str(certificate), str(certificate.with_suffix(".key"))]
    greeter = Process("greeter", argv, log=tmp_path / "greeter.log")
    try:
        url = greeter.wait_for_url().replace("http:", "https:")
        site = serve_fresh(url, "--force-http2", f"--backend-ca-file={authority.file}")
        reply = ask(site, "Hello", "Ada")
        assert (messages(reply.body)[0].startswith("Hello, Ada"), status(reply)) == (True, "0")
    finally:
        greeter.stop()


def test_a_backend_without_http2_is_named_as_such(serve_fresh: Serve, peer: Peer) -> None:
    reply = ask(serve_fresh(peer.url, "--force-http2"), "Hello", "Ada")

    assert (reply.status, reply.reason) == (502, "backend-not-http2")
