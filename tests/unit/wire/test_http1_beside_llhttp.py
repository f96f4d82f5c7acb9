"""What `wire` accepts is what llhttp, the parser of Node and of the stand-alone proxy, reads or refuses: never another
message. Reader and writer of `wire` may share a mistake, which no round trip finds."""

import re
from typing import Any

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors.reading import Vector, read_vectors
from wire.errors import WireError
from wire.http1 import End, RequestHead, RequestParser, ResponseHead, ResponseParser

REQUESTS = read_vectors("request")
# llhttp cannot be told of which method an answer is.
RESPONSES = [vector for vector in read_vectors("response") if vector.expected["request_method"] == "GET"]
MARKS = re.compile(rb"\r\n|: ?")
FRAMING = {b"content-length", b"transfer-encoding"}

SPOILING = st.sampled_from(
    b'|\r\n|\n|\r|\0| |\t|:|;|"|0|00|5|a|0x|+|-|_|,|\x0b|\x85|\xa0|\xb2|0\r\n\r\n|5\r\nhello\r\n|005\r\nhello\r\n'
    b"|5;a=b\r\n|Content-Length: 5\r\n|content-length:5 \r\n|Content-Length : 5\r\n|Transfer-Encoding:\tchunked\r\n"
    b"|Transfer-Encoding : chunked\r\n|Transfer-Encoding: identity\r\n|Connection: close\r\n| folded\r\n|X-A: b\r\n"
    b"|HTTP/1.1 100 Continue\r\n\r\n|HTTP/1.1 204 -\r\n|HTTP/1.0 200 OK\r\n|GET / HTTP/1.1\r\n\r\n|\r\n\r\n".split(b"|")
)

Read = tuple[bytes | int, list[tuple[bytes, bytes]], bytes]
"""Target or status, the fields without framing, and the body."""


class Seen:
    """What llhttp calls when it reads; of several messages, as interim ones are, the last counts."""

    def on_message_begin(self) -> None:
        self.target = b""
        self.body = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.is_in_head = True

    def on_url(self, piece: bytes) -> None:
        self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.is_in_head and name.lower() not in FRAMING:
            self.fields.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.is_in_head = False

    def on_body(self, piece: bytes) -> None:
        self.body += piece


def read_by_llhttp(raw: bytes, *, is_request: bool) -> Read | None:
    """None for what it refuses, or takes for an upgrade."""
    seen = Seen()
    parser: Any = httptools.HttpRequestParser(seen) if is_request else httptools.HttpResponseParser(seen)
    try:
        parser.feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    first = seen.target if is_request else parser.get_status_code()
    return first, seen.fields, seen.body


def read_by_wire(raw: bytes, *, is_request: bool) -> Read | None:
    parser = RequestParser() if is_request else ResponseParser("GET")
    try:
        head, *body, end = parser.feed(raw) + parser.close()
    except WireError:
        return None
    assert isinstance(head, RequestHead | ResponseHead)
    assert isinstance(end, End)
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers]
    first = head.target.encode("ascii") if isinstance(head, RequestHead) else head.status
    return first, fields, b"".join(piece for piece in body if isinstance(piece, bytes))


def require_no_other_message(raw: bytes, *, is_request: bool) -> None:
    ours, theirs = (reads(raw, is_request=is_request) for reads in (read_by_wire, read_by_llhttp))
    assert ours is None or theirs is None or ours == theirs


@pytest.mark.parametrize("vector", REQUESTS + RESPONSES, ids=str)
def test_a_good_message_is_the_same_to_both(vector: Vector) -> None:
    require_no_other_message(vector.raw, is_request=vector in REQUESTS)


def test_both_read_most_of_the_good_messages() -> None:
    read = [vector for vector in REQUESTS if read_by_llhttp(vector.raw, is_request=True)]
    answers = [vector for vector in RESPONSES if read_by_llhttp(vector.raw, is_request=False)]

    assert len(read) > len(REQUESTS) * 3 / 4
    assert len(answers) > len(RESPONSES) * 3 / 4


@given(data=st.data(), vector=st.sampled_from(REQUESTS + RESPONSES))
def test_a_spoiled_message_is_never_two_different_ones(data: st.DataObject, vector: Vector) -> None:
    spoiled = bytearray(vector.raw)
    for _ in range(data.draw(st.integers(1, 3))):
        # Lines begin and end there, and values begin.
        places = [0, *(at for mark in MARKS.finditer(spoiled) for at in mark.span())]
        at = data.draw(st.sampled_from(places) | st.integers(0, len(spoiled)))
        spoiled[at : at + data.draw(st.sampled_from([0, 0, 0, 1, 2]))] = data.draw(SPOILING)

    require_no_other_message(bytes(spoiled), is_request=vector in REQUESTS)
