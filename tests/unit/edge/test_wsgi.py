"""`edge.wsgi`: an environ as a request, slices as parts, answers as they are."""

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from gunicorn.http.errors import InvalidHeader, NoMoreData  # type: ignore[import-untyped]
from werkzeug.test import run_wsgi_app

from broker.forwarding import Client
from broker.model import Part
from edge.wsgi import (
    SLICE_BYTES,
    Cutter,
    client_of,
    read_body,
    request_head,
    streamed,
    whole,
    within,
)
from tests.fakes.clock import FakeClock
from wire.errors import MalformedMessage, MessageTooLarge
from wire.headers import Headers
from wire.http1 import CHUNKED, RequestHead, ResponseHead


def environ(**changes: Any) -> dict[str, Any]:
    """What gunicorn makes of `GET /`."""
    made = {
        "REQUEST_METHOD": "GET",
        "RAW_URI": "/",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "REMOTE_ADDR": "192.0.2.7",
        "HTTP_HOST": "example.com",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


class Broken:
    """An input that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, size: int) -> bytes:
        raise self._error


def test_a_head_has_the_raw_target_and_every_field() -> None:
    head = request_head(
        environ(
            REQUEST_METHOD="POST",
            RAW_URI="/a%2Fb//../c?x=%20&y",
            PATH_INFO="/a/b//../c",
            HTTP_X_EMPTY="",
            HTTP_ACCEPT_ENCODING="gzip",
            CONTENT_TYPE="text/plain",
            CONTENT_LENGTH="3",
        )
    )

    assert head == RequestHead(
        "POST",
        "/a%2Fb//../c?x=%20&y",
        Headers(
            [("Host", "example.com"), ("X-Empty", ""), ("Accept-Encoding", "gzip"), ("Content-Type", "text/plain")]
        ),
        3,
    )


def test_the_target_is_taken_from_whatever_the_server_calls_it() -> None:
    assert request_head(environ(RAW_URI=None, REQUEST_URI="/x")).target == "/x"
    assert request_head(environ(RAW_URI="*", REQUEST_METHOD="OPTIONS")).target == "*"


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        ("http://other.example/a%20b?c", "/a%20b?c", "other.example"),
        ("HTTP://user:word@other.example:81", "/", "other.example:81"),
        ("https://other.example?q=/", "/?q=/", "other.example"),
    ],
)
def test_a_target_that_names_its_host_is_split(target: str, path: str, host: str) -> None:
    head = request_head(environ(RAW_URI=target))

    assert (head.target, head.headers.get_all("Host")) == (path, [host])


def test_a_target_that_only_looks_like_a_url_is_kept() -> None:
    assert request_head(environ(RAW_URI="/login?to=http://x/")).target == "/login?to=http://x/"


def test_the_framing_is_no_field() -> None:
    head = request_head(environ(HTTP_TRANSFER_ENCODING="Chunked"))

    assert (head.length, "Transfer-Encoding" in head.headers) == (CHUNKED, False)


@pytest.mark.parametrize("changes", [{"HTTP_TRANSFER_ENCODING": "gzip, chunked"}, {"CONTENT_LENGTH": "+3"}])
def test_an_odd_framing_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(MalformedMessage):
        request_head(environ(**changes))


def test_elsewhere_the_client_is_whom_the_server_sees() -> None:
    forged = environ(HTTP_X_APPENGINE_USER_IP="1.2.3.4", HTTP_X_FORWARDED_PROTO="https")

    assert client_of(forged, on_appengine=False) == Client("192.0.2.7", "http")


@pytest.mark.parametrize(
    ("fields", "scheme"),
    [
        ({"HTTP_X_APPENGINE_HTTPS": "on"}, "https"),
        ({"HTTP_X_APPENGINE_HTTPS": "off"}, "http"),
        ({"HTTP_X_FORWARDED_PROTO": "https"}, "https"),
    ],
)
def test_on_app_engine_the_client_is_whom_its_front_end_names(fields: dict[str, str], scheme: str) -> None:
    seen = environ(HTTP_X_APPENGINE_USER_IP="1.2.3.4", **fields)

    assert client_of(seen, on_appengine=True) == Client("1.2.3.4", scheme)


@pytest.mark.parametrize("length", [CHUNKED, 3 * SLICE_BYTES + 5])
def test_a_body_comes_in_slices(length: Any) -> None:
    body = bytes(range(256)) * (3 * SLICE_BYTES // 256) + b"12345"
    slices = list(read_body(environ(**{"wsgi.input": io.BytesIO(body)}), length))

    assert b"".join(slices) == body
    assert [len(data) for data in slices] == [SLICE_BYTES] * 3 + [5]


def test_what_follows_the_announced_length_is_not_read() -> None:
    stream = io.BytesIO(b"abcdef")

    assert list(read_body(environ(**{"wsgi.input": stream}), 3)) == [b"abc"]
    assert stream.read() == b"def"


@pytest.mark.parametrize("length", [None, 0])
def test_without_a_body_nothing_is_read(length: int | None) -> None:
    assert list(read_body(environ(**{"wsgi.input": None}), length)) == []


def test_a_body_that_is_cut_short_is_an_error() -> None:
    with pytest.raises(MalformedMessage, match="after 3 of 5 bytes"):
        list(read_body(environ(**{"wsgi.input": io.BytesIO(b"abc")}), 5))


@pytest.mark.parametrize("error", [NoMoreData(), ConnectionResetError(), InvalidHeader("x")])
def test_a_body_that_breaks_off_is_an_error(error: Exception) -> None:
    with pytest.raises(MalformedMessage):
        list(read_body(environ(**{"wsgi.input": Broken(error)}), CHUNKED))


def test_a_body_may_be_as_long_as_the_limit_and_no_longer() -> None:
    error = MessageTooLarge("over")
    assert list(within([b"ab", b"c"], 3, error)) == [b"ab", b"c"]

    slices = within([b"ab", b"cd", b"ef"], 3, error)
    assert next(slices) == b"ab"
    with pytest.raises(MessageTooLarge):
        next(slices)


def test_what_comes_quickly_becomes_few_parts() -> None:
    pieces = [b"x" * SLICE_BYTES] * 160
    parts = list(Cutter(FakeClock()).cut(pieces))

    assert b"".join(part.data for part in parts) == b"".join(pieces)
    assert [part.last for part in parts] == [False] * 5 + [True]
    assert [len(part.data) // SLICE_BYTES for part in parts] == [1, 4, 14, 60, 60, 21]
    assert [part.offset for part in parts[1:]] == [part.end for part in parts[:-1]]


def test_only_a_few_messages_at_a_time_are_cut_into_long_parts() -> None:
    cutter = Cutter(FakeClock())

    def longest(parts: Iterator[Part]) -> int:
        return max(len(next(parts).data) for _ in range(4))

    messages = [cutter.cut([b"x" * SLICE_BYTES] * 320) for _ in range(5)]
    assert [longest(parts) > 3_000_000 for parts in messages] == [True] * 4 + [False]
    for part in messages.pop():
        assert len(part.data) < 1_000_000
    messages.clear()  # given up: there is room again
    assert longest(cutter.cut([b"x" * SLICE_BYTES] * 320)) > 3_000_000


def test_a_short_message_is_one_part() -> None:
    assert [(part.data, part.last) for part in Cutter(FakeClock()).cut([b"head", b"body", b""])] == [
        (b"headbody", True)
    ]


def test_a_part_is_given_before_the_next_piece_is_asked_for() -> None:
    def arriving() -> Iterator[bytes]:
        yield b"x" * SLICE_BYTES
        raise AssertionError("asked for more")

    assert len(next(Cutter(FakeClock()).cut(arriving())).data) == SLICE_BYTES


def test_what_comes_slowly_is_not_held_back() -> None:
    clock = FakeClock()
    pieces = iter([b"a", b"b", b"c"])

    def arriving() -> Iterator[bytes]:
        for piece in pieces:
            clock.advance(timedelta(milliseconds=250))
            yield piece

    assert [part.data for part in Cutter(clock).cut(arriving())] == [b"a", b"b", b"c", b""]


def test_nothing_is_one_empty_part() -> None:
    (part,) = Cutter(FakeClock()).cut([])

    assert (part.data, part.last) == (b"", True)


@pytest.mark.parametrize("status", [200, 204, 299, 304, 999])
def test_a_response_goes_out_as_it_is(status: int) -> None:
    pairs = [("X-One", "1"), ("x-one", "2"), ("Location", "caf\xe9 "), ("Last-Modified", "x")]
    response = streamed(ResponseHead(status, Headers(pairs), 3), [b"ab", b"c"])
    body, line, headers = run_wsgi_app(response, environ(), buffered=True)

    assert line.startswith(f"{status} ")
    assert list(headers) == [*pairs, *([("Content-Length", "3")] if status != 204 else [])]
    assert b"".join(body) == (b"" if status in (204, 304) else b"abc")


def test_a_whole_response_has_its_length() -> None:
    body, line, headers = run_wsgi_app(whole((404, Headers([("A", "b")]), b"gone")), environ(), buffered=True)

    assert (line, list(headers), b"".join(body)) == ("404 NOT FOUND", [("A", "b"), ("Content-Length", "4")], b"gone")
