"""The empty chunked body that the original's agent writes behind an answer that has none."""

import pytest

from wire.errors import MalformedMessage
from wire.http1 import End, ResponseParser

BODILESS = [("HEAD", 200), ("GET", 204), ("GET", 304)]
CHUNKED_HEAD = "HTTP/1.1 {} OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def end_of(method: str, raw: bytes, *, size: int, forgives: bool) -> object:
    parser = ResponseParser(method, forgives_empty_chunks=forgives)
    pieces = [raw[start : start + size] for start in range(0, len(raw), size)]
    return [event for piece in pieces for event in parser.feed(piece)][-1]


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(("method", "status"), BODILESS)
def test_it_may_follow_an_answer_that_announced_it(method: str, status: int, size: int) -> None:
    raw = CHUNKED_HEAD.format(status).encode() + b"0\r\n\r\n"

    assert end_of(method, raw, size=size, forgives=True) == End()


@pytest.mark.parametrize("behind", [b"0\r\n\r\nX", b"5\r\nhello\r\n0\r\n\r\n", b"hello"])
@pytest.mark.parametrize(("method", "status"), BODILESS)
def test_nothing_else_may(method: str, status: int, behind: bytes) -> None:
    with pytest.raises(MalformedMessage, match="behind the end"):
        end_of(method, CHUNKED_HEAD.format(status).encode() + behind, size=1, forgives=True)


@pytest.mark.parametrize(("method", "status"), BODILESS)
def test_it_is_refused_where_the_answer_announced_no_chunks(method: str, status: int) -> None:
    with pytest.raises(MalformedMessage, match="behind the end"):
        end_of(method, f"HTTP/1.1 {status} OK\r\n\r\n0\r\n\r\n".encode(), size=1000, forgives=True)


@pytest.mark.parametrize(("method", "status"), BODILESS)
def test_it_is_refused_unless_asked_for(method: str, status: int) -> None:
    with pytest.raises(MalformedMessage, match="behind the end"):
        end_of(method, CHUNKED_HEAD.format(status).encode() + b"0\r\n\r\n", size=1000, forgives=False)
