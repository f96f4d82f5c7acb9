"""Every vector, both ways, however its bytes are cut."""

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors.reading import Vector, read_vectors
from wire import errors
from wire.http1 import (
    End,
    Event,
    RequestHead,
    RequestParser,
    ResponseHead,
    ResponseParser,
    encode_body,
    encode_end,
    serialize_request_head,
    serialize_response_head,
)

Parser = RequestParser | ResponseParser
Cut = Callable[[bytes], list[bytes]]

REQUESTS = read_vectors("request")
RESPONSES = read_vectors("response")
BAD = read_vectors("bad")


def pieces_of(size: int) -> Cut:
    return lambda raw: [raw[start : start + size] for start in range(0, len(raw), size)]


CUTS = [
    pytest.param(lambda raw: [raw], id="whole"),
    pytest.param(pieces_of(1), id="by-1"),
    pytest.param(pieces_of(7), id="by-7"),
]


def parse(parser: Parser, pieces: Iterable[bytes]) -> tuple[Event, bytes, Event]:
    """Head, body and end of one message."""
    events = [event for piece in pieces for event in parser.feed(piece)] + parser.close()
    head, *body, end = events
    assert all(isinstance(piece, bytes) and piece for piece in body)
    return head, b"".join(piece for piece in body if isinstance(piece, bytes)), end


def parser_of(vector: Vector) -> Parser:
    if "status" in vector.expected:
        return ResponseParser(vector.expected["request_method"])
    return RequestParser()


def message_of(vector: Vector) -> tuple[RequestHead | ResponseHead, bytes, End]:
    head = vector.response_head() if "status" in vector.expected else vector.request_head()
    return head, vector.body(), End(vector.trailers())


def serialize(head: RequestHead | ResponseHead, body: bytes, end: End) -> bytes:
    first = serialize_request_head(head) if isinstance(head, RequestHead) else serialize_response_head(head)
    return first + encode_body(body, head.length) + encode_end(end, head.length)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("vector", REQUESTS + RESPONSES, ids=str)
def test_a_good_message_says_what_it_should(vector: Vector, cut: Cut) -> None:
    assert parse(parser_of(vector), cut(vector.raw)) == message_of(vector)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("vector", REQUESTS + RESPONSES, ids=str)
def test_what_it_says_can_be_written_and_read_again(vector: Vector, cut: Cut) -> None:
    message = message_of(vector)

    assert parse(parser_of(vector), cut(serialize(*message))) == message


@given(data=st.data(), vector=st.sampled_from(REQUESTS + RESPONSES))
def test_a_good_message_says_the_same_however_it_is_cut(data: st.DataObject, vector: Vector) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(vector.raw)), max_size=12)))
    bounds = [0, *cuts, len(vector.raw)]
    pieces = [vector.raw[start:end] for start, end in zip(bounds, bounds[1:], strict=False)]

    assert parse(parser_of(vector), pieces) == message_of(vector)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("vector", BAD, ids=str)
def test_a_bad_message_is_refused_with_its_error(vector: Vector, cut: Cut) -> None:
    parser: Parser = RequestParser() if vector.expected["of"] == "request" else ResponseParser("GET")
    expected = getattr(errors, vector.expected["error"])

    with pytest.raises(errors.WireError) as caught:
        parse(parser, cut(vector.raw))

    assert (type(caught.value), caught.value.status_hint) == (expected, vector.expected["status_hint"])


@pytest.mark.parametrize("vector", BAD, ids=str)
def test_the_error_of_a_bad_message_says_what_is_wrong(vector: Vector) -> None:
    parser: Parser = RequestParser() if vector.expected["of"] == "request" else ResponseParser("GET")

    with pytest.raises(errors.WireError) as caught:
        parse(parser, [vector.raw])

    assert str(caught.value) == vector.expected["text"]


@pytest.mark.parametrize("kind", ["request", "response", "bad"])
def test_every_vector_says_what_it_is_about(kind: str) -> None:
    vectors = read_vectors(kind)

    assert len(vectors) >= 30
    assert [vector.name for vector in vectors if not vector.expected["about"]] == []
