"""An answer as the body of a POST."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.messages import Response, whole_body
from agent.proxy.replay import WHOLE_BYTES, Replay, comes_whole, encode_response, inner_head, read_whole
from agent.transport.errors import Broken, SourceBroke
from wire.headers import Headers
from wire.http1 import CHUNKED, End, Length, ResponseHead, ResponseParser


def a_head(length: Length = None, status: int = 200) -> ResponseHead:
    return ResponseHead(status, Headers(), length)


@pytest.mark.parametrize(
    ("method", "status", "length", "framed"),
    [
        ("GET", 200, 5, 5),
        ("GET", 200, CHUNKED, CHUNKED),
        ("GET", 200, None, CHUNKED),
        ("HEAD", 200, None, None),
        ("HEAD", 200, 5, 5),
        ("GET", 204, None, None),
        ("GET", 304, None, None),
    ],
)
def test_a_length_stays_and_an_unknown_one_is_chunked(method: str, status: int, length: Length, framed: Length) -> None:
    assert inner_head(a_head(length, status), method=method).length == framed


@pytest.mark.parametrize(
    ("length", "small"), [(None, True), (0, True), (WHOLE_BYTES, True), (WHOLE_BYTES + 1, False), (CHUNKED, False)]
)
def test_only_an_answer_of_a_known_and_small_length_is_posted_whole(length: Length, small: bool) -> None:
    assert comes_whole(Response(a_head(length), whole_body(b"")), a_head(length)) is small


def test_an_answer_that_takes_its_time_is_not_waited_for() -> None:
    assert not comes_whole(Response(a_head(5), whole_body(b""), arrives=lambda within: within > 1), a_head(5))


def test_an_answer_that_breaks_off_soon_is_broken() -> None:
    def arrives(within: float) -> bool:
        raise Broken("in two")

    with pytest.raises(SourceBroke, match="in two"):
        comes_whole(Response(a_head(5), whole_body(b""), arrives=arrives), a_head(5))


@given(st.lists(st.binary(min_size=1), max_size=5))
def test_an_encoded_answer_parses_to_what_it_was(pieces: list[bytes]) -> None:
    end = End(Headers([("X-Sum", "1")]))
    raw = b"".join(encode_response(a_head(CHUNKED), iter([*pieces, end])))
    events = ResponseParser("GET").feed(raw)
    body = b"".join(event for event in events if isinstance(event, bytes))
    assert (events[0], body, events[-1]) == (a_head(CHUNKED), b"".join(pieces), end)


def test_a_small_answer_is_one_piece() -> None:
    response = Response(a_head(2), whole_body(b"hi"))
    assert read_whole(response, a_head(2)).endswith(b"\r\n\r\nhi")


def test_what_was_sent_can_be_sent_again_and_goes_on() -> None:
    replay = Replay(iter([b"one", b"", b"two", b"three"]))
    first = replay.events()
    begun = [next(first), next(first)]
    assert (begun, list(replay.events())) == ([b"one", b"two"], [b"one", b"two", b"three", End()])


def test_nothing_begins_again_once_more_than_the_limit_has_passed() -> None:
    replay = Replay(iter([b"12345", b"6"]), limit=5)
    first = replay.events()
    assert (next(first), replay.is_complete, next(first), replay.is_complete) == (b"12345", True, b"6", False)
    with pytest.raises(ValueError, match="not there any more"):
        next(replay.events())


def test_pieces_that_broke_off_are_never_taken_for_whole() -> None:
    def breaking() -> Iterator[bytes]:
        yield b"begun"
        raise Broken("the backend died")

    replay = Replay(breaking())
    with pytest.raises(Broken):
        list(replay.events())
    with pytest.raises(ValueError, match="not there any more"):
        list(replay.events())
