"""One call to the backend: what it gets byte for byte, and what comes back from well and badly behaved ones."""

import gzip
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from agent.backend_client import BackendClient
from agent.messages import Request, Response
from agent.transport.errors import Broken, SourceBroke, TimedOut, Unreachable
from agent.transport.upload import Body
from tests.agent.peers import Received, Wire, an_answer, answering, peer
from tests.timing import SECOND
from wire.headers import Headers
from wire.http1 import End, Length, RequestHead
from wire.protocol import RequestId


def a_request(
    method: str = "GET",
    target: str = "/",
    fields: list[tuple[str, str]] | None = None,
    body: bytes | Body = b"",
    length: Length = None,
) -> Request:
    headers = Headers(fields if fields is not None else [("Host", "example.com")])
    return Request(RequestId("id"), "", RequestHead(method, target, headers, length), body)


def call(url: str, request: Request, *, limit: float = 10 * SECOND) -> Response:
    return BackendClient(url, connections=4, limit=timedelta(seconds=limit))(request)


def read(response: Response) -> bytes:
    with closing(response):
        return b"".join(event for event in response.events if isinstance(event, bytes))


TARGETS = [
    "/", "//", "//a//b", "/./", "/a/../b", "/..", "/%2F", "/%2e%2e/", "/a?", "/a?b=%22&c='", "/a;p=1", "/%zz", "/a#b",
    "/~%7E", "/?q={}|\\^`", "/%c3%a9", "http://other.example/x", "*",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_the_target_travels_byte_for_byte(target: str) -> None:
    seen: list[Received] = []
    with peer(answering(an_answer(), record=seen)) as backend:
        read(call(backend.url, a_request(target=target)))
    assert seen[0].start == f"GET {target} HTTP/1.1"


@pytest.mark.parametrize("method", ["GET", "POST", "PROPFIND", "get", "M-SEARCH", "OPTIONS", "DELETE", "PURGE"])
def test_any_method_travels_as_it_is_written(method: str) -> None:
    seen: list[Received] = []
    with peer(answering(an_answer(), record=seen)) as backend:
        read(call(backend.url, a_request(method)))
    assert seen[0].start == f"{method} / HTTP/1.1"


def test_fields_travel_apart_in_order_and_case_and_none_is_invented() -> None:
    fields = [
        ("hOST", "example.com:81"), ("Cookie", "a=1"), ("X-Foo", "1"), ("cookie", "b=2"), ("X-Foo", "2"),
        ("X-Empty", ""), ("X-Latin", "caf\xe9"),
    ]  # fmt: skip
    seen: list[Received] = []
    with peer(answering(an_answer(), record=seen)) as backend:
        read(call(backend.url, a_request(fields=fields)))
    assert seen[0].fields == fields


def test_the_environment_neither_redirects_traffic_nor_adds_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    netrc = os.path.join(tmp_path, "netrc")
    with open(netrc, "w") as file:
        file.write("default login somebody password secret\n")
    monkeypatch.setenv("NETRC", netrc)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    seen: list[Received] = []
    with peer(answering(an_answer(), record=seen)) as backend:
        read(call(backend.url, a_request()))
    assert seen[0].fields == [("Host", "example.com")]


def test_a_cookie_set_for_one_user_is_not_sent_with_the_request_of_another() -> None:
    seen: list[Received] = []
    first = an_answer(fields="Set-Cookie: session=alice; Path=/\r\n")
    with peer(answering(first, an_answer(), record=seen)) as backend:
        client = BackendClient(backend.url, connections=4, limit=None)
        read(client(a_request()))
        read(client(a_request()))
    assert seen[1].fields == [("Host", "example.com")]


def test_repeated_answer_fields_stay_apart() -> None:
    raw = an_answer(fields="Set-Cookie: a=1\r\nset-cookie: b=2, c\r\n")
    with peer(answering(raw)) as backend:
        response = call(backend.url, a_request())
        read(response)
    assert list(response.head.headers) == [("Set-Cookie", "a=1"), ("set-cookie", "b=2, c")]


def test_a_redirect_is_an_answer_like_any_other() -> None:
    with peer(answering(an_answer(status=302, fields="Location: http://127.0.0.1:1/\r\n"))) as backend:
        response = call(backend.url, a_request())
        read(response)
    assert (response.head.status, response.head.headers.get("Location")) == (302, "http://127.0.0.1:1/")


def test_a_coded_body_is_not_decoded() -> None:
    coded = gzip.compress(b"text")
    with peer(answering(an_answer(coded, fields="Content-Encoding: gzip\r\n"))) as backend:
        assert read(call(backend.url, a_request())) == coded


def test_more_than_a_hundred_answer_fields_are_kept() -> None:
    fields = "".join(f"X-{number}: {number}\r\n" for number in range(300))
    with peer(answering(an_answer(fields=fields))) as backend:
        response = call(backend.url, a_request())
        read(response)
    assert len(response.head.headers) == 300


def test_interim_answers_are_skipped() -> None:
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + an_answer(b"final")
    with peer(answering(raw)) as backend:
        response = call(backend.url, a_request())
        assert (response.head.status, read(response)) == (200, b"final")


@pytest.mark.parametrize(
    ("method", "raw", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", 12345),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", 7),
    ],
)
def test_an_answer_without_a_body_does_not_wait_for_one(method: str, raw: bytes, length: Length) -> None:
    with peer(answering(raw, an_answer(b"next"))) as backend:
        client = BackendClient(backend.url, connections=4, limit=timedelta(seconds=5 * SECOND))
        response = client(a_request(method))
        assert (response.head.length, read(response)) == (length, b"")
        assert read(client(a_request())) == b"next"
    assert backend.accepted == 1


def test_a_body_that_ends_with_the_connection_is_whole() -> None:
    with peer(answering(b"HTTP/1.0 200 OK\r\n\r\nall of it")) as backend:
        assert read(call(backend.url, a_request())) == b"all of it"


def test_trailers_arrive() -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"
    with peer(answering(raw)) as backend:
        events = list(call(backend.url, a_request()).events)
    assert events == [b"hi", End(Headers([("X-Sum", "1")]))]


def test_a_connection_is_used_again() -> None:
    with peer(answering(*[an_answer(b"x")] * 20)) as backend:
        client = BackendClient(backend.url, connections=4, limit=None)
        bodies = [read(client(a_request())) for _ in range(20)]
    assert (bodies, backend.accepted) == ([b"x"] * 20, 1)


@pytest.mark.parametrize("raw", [an_answer(fields="Connection: close\r\n"), an_answer().replace(b"/1.1", b"/1.0")])
def test_a_connection_that_the_backend_gives_up_is_not_used_again(raw: bytes) -> None:
    with peer(answering(raw, raw)) as backend:
        client = BackendClient(backend.url, connections=4, limit=None)
        read(client(a_request("POST")))
        read(client(a_request("POST")))
    assert backend.accepted == 2


def closing_after_first(record: list[Received]) -> Callable[[Wire], None]:
    """Each connection answers once; what comes second on it is read and never answered."""

    def serve(wire: Wire) -> None:
        record.append(wire.read_message())
        wire.send(an_answer())
        record.append(wire.read_message())

    return serve


def test_a_stale_connection_is_replaced_for_an_idempotent_request() -> None:
    seen: list[Received] = []
    with peer(closing_after_first(seen)) as backend:
        client = BackendClient(backend.url, connections=4, limit=None)
        read(client(a_request()))
        read(client(a_request()))
        assert len(seen) == 3


def test_a_request_that_is_not_idempotent_is_never_sent_twice() -> None:
    seen: list[Received] = []
    with peer(closing_after_first(seen)) as backend:
        client = BackendClient(backend.url, connections=4, limit=None)
        read(client(a_request()))
        with pytest.raises(Broken):
            client(a_request("POST", body=b"x", length=1))
        assert len(seen) == 2


def test_a_refused_connection_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(Unreachable, match="refused"):
        call(f"http://127.0.0.1:{port}", a_request())


def test_a_backend_that_resets_before_its_head_is_broken() -> None:
    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.reset()

    with peer(serve) as backend, pytest.raises(Broken):
        call(backend.url, a_request())


@pytest.mark.parametrize(
    "raw",
    [
        b"garbage\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200",
    ],
)
def test_what_is_not_http_is_broken(raw: bytes) -> None:
    with peer(answering(raw)) as backend, pytest.raises(Broken):
        read(call(backend.url, a_request()))


@pytest.mark.parametrize(
    ("method", "raw", "what"),
    [
        ("GET", b"HTTP/1.1 200 OK\nContent-Length: 0\n\r\n\r\n", r"forbidden byte b'\\n' in the message head"),
        (
            "GET",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "more than one Content-Length or Transfer-Encoding",
        ),
        ("HEAD", an_answer(b"a body"), "bytes behind the end of the message"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "ends within its body"),
        ("GET", b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "not a whole HTTP answer: "),
    ],
)
def test_what_was_wrong_with_an_answer_is_said(method: str, raw: bytes, what: str) -> None:
    with peer(answering(raw)) as backend, pytest.raises(Broken, match=what):
        read(call(backend.url, a_request(method)))


def test_a_backend_that_says_nothing_is_timed_out() -> None:
    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.read_head()

    with peer(serve) as backend, pytest.raises(TimedOut):
        call(backend.url, a_request(), limit=0.2 * SECOND)


def test_a_head_that_drips_is_timed_out_all_the_same() -> None:
    def serve(wire: Wire) -> None:
        wire.read_head()
        for byte in an_answer(fields="X-Long: " + "a" * 1000 + "\r\n"):
            wire.send(bytes([byte]))
            time.sleep(0.05 * SECOND)

    began = time.monotonic()
    with peer(serve) as backend, pytest.raises(TimedOut):
        call(backend.url, a_request(), limit=0.3 * SECOND)
    assert time.monotonic() - began < 3 * SECOND


def test_a_body_that_stalls_is_timed_out() -> None:
    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        wire.read_head()

    with peer(serve) as backend:
        response = call(backend.url, a_request(), limit=0.2 * SECOND)
        with pytest.raises(TimedOut):
            read(response)


def test_a_body_may_take_longer_than_the_limit_while_it_comes() -> None:
    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        for _ in range(5):
            time.sleep(0.1 * SECOND)
            wire.send(b"x")

    with peer(serve) as backend:
        assert read(call(backend.url, a_request(), limit=0.4 * SECOND)) == b"xxxxx"


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_a_body_that_breaks_off_is_never_whole(raw: bytes) -> None:
    with peer(answering(raw)) as backend:
        response = call(backend.url, a_request())
        with pytest.raises(Broken):
            read(response)


def test_pieces_arrive_as_they_are_sent() -> None:
    proceed = threading.Event()

    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        assert proceed.wait(10 * SECOND)
        wire.send(b"3\r\ntwo\r\n0\r\n\r\n")

    with peer(serve) as backend:
        response = call(backend.url, a_request())
        assert next(response.events) == b"one"
        proceed.set()
        assert list(response.events) == [b"two", End()]


def streamed(*pieces: bytes) -> Body:
    return Body(iter([*pieces, End()]), abandon=lambda: None)


@pytest.mark.parametrize("length", [6, "chunked"])
def test_a_streamed_request_body_keeps_its_framing(length: Length) -> None:
    seen: list[Received] = []
    with peer(answering(an_answer(), record=seen)) as backend:
        read(call(backend.url, a_request("POST", body=streamed(b"abc", b"def"), length=length)))
    framing = ("Content-Length", "6") if length == 6 else ("Transfer-Encoding", "chunked")
    assert (seen[0].body, seen[0].fields[-1]) == (b"abcdef", framing)


def test_an_answer_that_streams_while_the_request_does_is_not_a_deadlock() -> None:
    piece = b"x" * 65536

    def serve(wire: Wire) -> None:
        message = wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in wire.read_pieces(message):
            wire.send(b"%x\r\n%b\r\n" % (len(part), part))
        wire.send(b"0\r\n\r\n")

    with peer(serve) as backend:
        body = streamed(*[piece] * 400)
        received = read(call(backend.url, a_request("POST", body=body, length=400 * 65536)))
    assert len(received) == 400 * 65536


def test_an_answer_before_the_end_of_the_request_is_taken() -> None:
    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.send(an_answer(b"too large", status=413, fields="Connection: close\r\n"))
        while True:
            wire.read_head()

    abandoned = threading.Event()

    def endless() -> Iterator[bytes | End]:
        while not abandoned.wait(0.01 * SECOND):
            yield b"x" * 1000

    with peer(serve) as backend:
        body = Body(endless(), abandon=abandoned.set)
        response = call(backend.url, a_request("POST", body=body, length="chunked"))
        assert (response.head.status, read(response)) == (413, b"too large")
    assert abandoned.is_set()


def test_a_request_body_that_breaks_off_is_not_whole_at_the_backend() -> None:
    seen: list[Received] = []
    has_seen_all = threading.Event()

    def serve(wire: Wire) -> None:
        try:
            seen.append(wire.read_head())
            for _ in wire.read_pieces(seen[0]):
                pass
        finally:
            has_seen_all.set()

    def breaking() -> Iterator[bytes | End]:
        yield b"abc"
        raise Broken("the client went away")

    with peer(serve) as backend:
        with pytest.raises(SourceBroke):
            call(backend.url, a_request("POST", body=Body(breaking(), abandon=lambda: None), length="chunked"))
        assert has_seen_all.wait(SECOND * 5)
    assert (seen[0].body, seen[0].is_whole) == (b"abc", False)
