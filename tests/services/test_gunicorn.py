"""Both services behind a real gunicorn: what only a real server shows."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services.pair import raw_answer
from tests.system.rawhttp import Connection, Reply, call, chunked, request_bytes
from wire.http1 import RequestHead, RequestParser
from wire.protocol import AGENT_ID, BACKEND_ID, PENDING_PATH, REQUEST_ID, REQUEST_PATH, RESPONSE_PATH

pytestmark = pytest.mark.loopback

ROOT = Path(__file__).parents[2]
OWN = [(BACKEND_ID, "notebook"), (AGENT_ID, "agent-1")]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where the services listen; the socket is handed over, so that no request comes too early."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-m", "gunicorn", "--worker-class=gthread", "--threads=8", "--log-level=critical"]
        command += ["--limit-request-line=0", "--limit-request-field_size=16384", f"--bind=fd://{listener.fileno()}"]
        process = subprocess.Popen(
            [*command, "tests.services.gunicorn_app:app"],
            pass_fds=[listener.fileno()],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            process.wait(10)


class Agent:
    """The agent's three calls over real connections."""

    def __init__(self, url: str) -> None:
        self.url = url

    def take(self) -> tuple[str, RequestHead, bytes]:
        """The next request: its ID, head and body."""
        listed: list[str] = []
        while not listed:
            listed = json.loads(call(self.url, "GET", PENDING_PATH, fields=OWN).body)
        fetched = call(self.url, "GET", REQUEST_PATH, fields=[*OWN, (REQUEST_ID, listed[0])])
        assert (fetched.status, fetched.is_whole) == (200, True)
        parser = RequestParser()
        head, *events = parser.feed(fetched.body) + parser.close()
        assert isinstance(head, RequestHead)
        return listed[0], head, b"".join(event for event in events if isinstance(event, bytes))

    def post(self, request_id: str, answer: bytes) -> Reply:
        return call(self.url, "POST", RESPONSE_PATH, fields=[*OWN, (REQUEST_ID, request_id)], body=answer)


@contextmanager
def asking(url: str, request: bytes) -> Iterator[Connection]:
    """A user's request, sent from a thread of its own."""
    with Connection(url) as connection, ThreadPoolExecutor(1) as users:
        sent = users.submit(connection.send_as_far_as_taken, request)
        yield connection
        sent.result()


def serve(url: str, request: bytes, answer: bytes, method: str = "GET") -> tuple[RequestHead, bytes, Reply]:
    """A user's request answered: what the agent got, and what the user got."""
    agent = Agent(url)
    with asking(url, request) as connection:
        request_id, head, body = agent.take()
        assert agent.post(request_id, answer).status == 200
        return head, body, connection.read_reply(method)


@pytest.mark.parametrize(
    "target",
    ["/", "//", "//a//b", "/a/../b/./c", "/%2F%2e%2e/%00?q=%zz&;", "/a?b?c", "/caf%C3%A9", "/" + "x" * 9000, "/;p=1"],
)
def test_a_target_arrives_byte_for_byte(url: str, target: str) -> None:
    head, _, reply = serve(url, request_bytes("GET", target, host="h"), raw_answer())

    assert (head.target, reply.status, reply.body) == (target, 200, b"hello")


@pytest.mark.parametrize("method", ["OPTIONS", "PROPFIND", "PURGE", "PATCH", "DELETE", "TRACE"])
def test_a_method_arrives_as_it_was_sent(url: str, method: str) -> None:
    head, _, reply = serve(url, request_bytes(method, "/m", host="h"), raw_answer(), method)

    assert (head.method, reply.status) == (method, 200)


def test_options_of_everything_arrives(url: str) -> None:
    head, _, _ = serve(url, request_bytes("OPTIONS", "*", host="h"), raw_answer())

    assert head.target == "*"


def test_head_keeps_its_length_and_the_connection(url: str) -> None:
    head, _, reply = serve(
        url, request_bytes("HEAD", "/", host="h"), b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", "HEAD"
    )

    assert (head.method, reply.get_all("Content-Length"), reply.get("Connection")) == ("HEAD", ["12"], "keep-alive")


def test_repeated_fields_arrive_joined_as_the_module_says(url: str) -> None:
    fields = [("X-List", "a"), ("X-List", "b"), ("Cookie", "a=1"), ("Cookie", "b=2"), ("X_Odd", "gone")]
    head, _, _ = serve(url, request_bytes("GET", "/", host="h", fields=fields), raw_answer())

    assert head.headers.get_all("X-List") == ["a,b"]
    assert head.headers.get_all("Cookie") == ["a=1,b=2"]
    assert "X_Odd" not in head.headers
    assert "X-Odd" not in head.headers


def test_repeated_fields_of_an_answer_stay_apart(url: str) -> None:
    answer = raw_answer(200, b"", ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("x-LOWER", "kept"))
    _, _, reply = serve(url, request_bytes("GET", "/", host="h"), answer)

    assert reply.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert ("x-LOWER", "kept") in reply.fields
    assert len(reply.get_all("Date")) == 1


def test_a_chunked_request_arrives_chunked(url: str) -> None:
    request = request_bytes(
        "POST", "/", host="h", fields=[("Transfer-Encoding", "chunked")], body=chunked(b"abc", b"d" * 100_000)
    )
    head, body, _ = serve(url, request, raw_answer())

    assert (head.length, body) == ("chunked", b"abc" + b"d" * 100_000)


def test_a_chunked_answer_is_chunked(url: str) -> None:
    _, _, reply = serve(url, request_bytes("GET", "/", host="h"), raw_answer(200, b"abc", is_chunked=True))

    assert (reply.framing, reply.body, reply.is_whole) == ("chunked", b"abc", True)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_leaves_the_connection_usable(url: str, status: int) -> None:
    answer = f"HTTP/1.1 {status} X\r\nETag: x\r\n\r\n".encode()
    agent = Agent(url)
    request = request_bytes("GET", "/", host="h")
    with asking(url, request + request) as connection:
        for _ in range(2):
            request_id, _, _ = agent.take()
            agent.post(request_id, answer)
            reply = connection.read_reply()

            assert (reply.status, reply.get("ETag"), reply.get("Transfer-Encoding")) == (status, "x", None)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"x" * 800_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf0000\r\n" + b"x" * 0xF0000 + b"\r\n5\r\nab",
    ],
)
def test_an_answer_that_breaks_off_in_its_body_is_seen_to_be_broken(url: str, answer: bytes) -> None:
    agent = Agent(url)
    with asking(url, request_bytes("GET", "/", host="h")) as connection:
        request_id, _, _ = agent.take()
        post = request_bytes(
            "POST", RESPONSE_PATH, host="h", fields=[*OWN, (REQUEST_ID, request_id), ("Transfer-Encoding", "chunked")]
        )
        with Connection(url) as posting:
            posting.send(post + b"%x\r\n" % len(answer) + answer + b"\r\n")
            connection.read_at_least(1000)
            posting.send(b"0\r\n\r\n")
            reply = connection.read_reply()

    assert (reply.status, reply.is_whole) == (200, False)


def test_an_answer_that_breaks_off_before_anything_was_sent_is_a_clean_502(url: str) -> None:
    _, _, reply = serve(url, request_bytes("GET", "/", host="h"), b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")

    assert (reply.status, reply.reason, reply.is_whole) == (502, "broken-answer", True)


def test_a_body_over_the_limit_is_refused_at_once(url: str) -> None:
    with Connection(url) as connection:
        connection.send(request_bytes("POST", "/", host="h", fields=[("Content-Length", "6000001")]))
        reply = connection.read_reply()

    assert (reply.status, reply.reason) == (413, "too-large")
    assert b"6000000 bytes" in reply.body


def test_a_chunked_body_over_the_limit_is_refused(url: str) -> None:
    request = request_bytes(
        "POST", "/", host="h", fields=[("Transfer-Encoding", "chunked")], body=chunked(b"x" * 6_000_001)
    )
    with asking(url, request) as connection:
        reply = connection.read_reply()

    assert (reply.status, reply.reason) == (413, "too-large")


def test_a_websocket_is_refused_clearly(url: str) -> None:
    fields = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    reply = call(url, "GET", "/", fields=fields)

    assert (reply.status, reply.reason) == (501, "upgrade-not-supported")


def test_nothing_of_ours_is_left_in_what_was_forwarded(url: str) -> None:
    fields = [("X-Inverting-Proxy-User-ID", "boss"), ("Connection", "X-Mine"), ("X-Mine", "1"), ("TE", "trailers")]
    head, _, _ = serve(url, request_bytes("GET", "/", host="h.example", fields=fields), raw_answer())

    assert [name for name, _ in head.headers] == ["Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"]
    assert head.headers.get("X-Forwarded-For") == "127.0.0.1"
