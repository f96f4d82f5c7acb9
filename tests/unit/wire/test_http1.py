"""The codec under generated messages and under bytes of any kind; `test_http1_vectors.py` has the cases by name."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors.reading import Vector, read_vectors
from wire.errors import MalformedMessage, MessageTooLarge, WireError
from wire.headers import Headers
from wire.http1 import (
    CHUNKED,
    End,
    Event,
    Length,
    RequestHead,
    RequestParser,
    ResponseHead,
    ResponseParser,
    chunk,
    chunk_around,
    encode_body,
    encode_end,
    last_chunk,
    serialize_request_head,
    serialize_response_head,
)
from wire.protocol import MAX_HEAD_BYTES

Parser = RequestParser | ResponseParser
Head = RequestHead | ResponseHead
Message = tuple[Head, bytes, End]

GET = RequestHead("GET", "/", Headers([("Host", "example.com")]), None)
OK = ResponseHead(200, Headers(), None)

TOKENS = st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}", fullmatch=True)
METHODS = TOKENS | st.sampled_from(["GET", "HEAD", "POST", "CONNECT", "get"])
TARGETS = st.from_regex(r"/[!-~]{0,30}", fullmatch=True) | st.sampled_from(["*", "http://h/p?q"])
NAMES = TOKENS.filter(lambda name: name.lower() not in ("host", "content-length", "transfer-encoding"))
CHARACTERS = "".join(map(chr, [9, *range(0x20, 0x7F), *range(0x80, 0x100)]))
VALUES = st.text(CHARACTERS, max_size=30).map(lambda value: value.strip(" \t"))
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
HOSTS = st.tuples(st.sampled_from(["Host", "hOST"]), st.sampled_from(["", "a.example:80", "[::1]"]))
TRAILER_NAMES = st.from_regex(r"X-T[A-Za-z_-]{0,9}", fullmatch=True)
ENDS = st.lists(st.tuples(TRAILER_NAMES, VALUES), max_size=3).map(lambda pairs: End(Headers(pairs)))
REQUESTS = read_vectors("request")
RESPONSES = read_vectors("response")
BODIES = st.binary(max_size=80)
SPOILING = st.binary(max_size=3) | st.sampled_from([b"\r\n", b"\n", b":", b" ", b"0\r\n\r\n", b"Content-Length: 1\r\n"])


@st.composite
def requests(draw: st.DrawFn) -> Message:
    fields = draw(FIELDS)
    fields.insert(draw(st.integers(0, len(fields))), draw(HOSTS))
    body = draw(BODIES)
    length: Length = draw(st.sampled_from([None, len(body), CHUNKED]))
    head = RequestHead(draw(METHODS), draw(TARGETS), Headers(fields), length)
    return head, b"" if length is None else body, draw(ENDS) if length == CHUNKED else End()


@st.composite
def responses(draw: st.DrawFn) -> Message:
    status = draw(st.integers(200, 999).filter(lambda status: status not in (204, 304)))
    body = draw(BODIES)
    length: Length = draw(st.sampled_from([None, len(body), CHUNKED]))
    return ResponseHead(status, Headers(draw(FIELDS)), length), body, draw(ENDS) if length == CHUNKED else End()


def cuts_of(raw: bytes) -> st.SearchStrategy[list[bytes]]:
    """The bytes, cut anywhere, also into nothing."""
    cuts = st.lists(st.integers(0, len(raw)), max_size=10).map(sorted)
    return cuts.map(lambda cuts: [raw[start:end] for start, end in pairwise([0, *cuts, len(raw)])])


def read(parser: Parser, pieces: list[bytes]) -> Message:
    """One whole message; its body was never given in empty pieces."""
    head, *body, end = [event for piece in pieces for event in parser.feed(piece)] + parser.close()
    assert isinstance(head, Head)
    assert isinstance(end, End)
    assert all(isinstance(piece, bytes) and piece for piece in body)
    return head, b"".join(piece for piece in body if isinstance(piece, bytes)), end


def write(message: Message, *, size: int = 1 << 20) -> bytes:
    """A message, its body in pieces of `size`."""
    head, body, end = message
    raw = serialize_request_head(head) if isinstance(head, RequestHead) else serialize_response_head(head)
    pieces = [encode_body(body[start : start + size], head.length) for start in range(0, len(body), size)]
    return raw + b"".join(pieces) + encode_end(end, head.length)


def require_message_or_wire_error(new_parser: Callable[[], Parser], pieces: list[bytes]) -> None:
    """What comes out is an error of ours, or one whole message that can be written and read again."""
    try:
        message = read(new_parser(), pieces)
    except WireError:
        return
    assert read(new_parser(), [write(message)]) == message


def get_response_parser() -> ResponseParser:
    return ResponseParser("GET")


@given(data=st.data(), message=requests(), size=st.integers(1, 90))
def test_a_request_that_was_written_is_read_as_it_was(data: st.DataObject, message: Message, size: int) -> None:
    assert read(RequestParser(), data.draw(cuts_of(write(message, size=size)))) == message


@given(data=st.data(), message=responses(), size=st.integers(1, 90))
def test_a_response_that_was_written_is_read_as_it_was(data: st.DataObject, message: Message, size: int) -> None:
    assert read(get_response_parser(), data.draw(cuts_of(write(message, size=size)))) == message


@given(st.sampled_from([("HEAD", 200), ("HEAD", 404), ("GET", 304)]), st.sampled_from([None, 0, 7]))
def test_an_answer_without_a_body_keeps_its_length(asked: tuple[str, int], length: Length) -> None:
    method, status = asked
    message = (ResponseHead(status, Headers(), length), b"", End())

    assert read(ResponseParser(method), [write(message)]) == message


@given(data=st.data(), raw=st.binary(max_size=200), new_parser=st.sampled_from([RequestParser, get_response_parser]))
def test_whatever_bytes_come_there_is_a_message_or_a_wire_error(
    data: st.DataObject, raw: bytes, new_parser: Callable[[], Parser]
) -> None:
    require_message_or_wire_error(new_parser, data.draw(cuts_of(raw)))


@given(data=st.data(), vector=st.sampled_from(REQUESTS + RESPONSES))
def test_however_a_message_is_spoiled_there_is_a_message_or_a_wire_error(data: st.DataObject, vector: Vector) -> None:
    spoiled = bytearray(vector.raw)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(spoiled)))
        spoiled[at : at + data.draw(st.integers(0, 3))] = data.draw(SPOILING)
    new_parser = get_response_parser if "status" in vector.expected else RequestParser

    require_message_or_wire_error(new_parser, data.draw(cuts_of(bytes(spoiled))))


@given(
    st.sampled_from([*REQUESTS, *(vector for vector in RESPONSES if vector.expected["length"] is not None)]), st.data()
)
def test_a_framed_message_that_is_cut_short_is_never_whole(vector: Vector, data: st.DataObject) -> None:
    is_request = vector in REQUESTS
    parser: Parser = RequestParser() if is_request else ResponseParser(vector.expected["request_method"])
    cut = data.draw(st.integers(0, len(vector.raw) - 1))

    with pytest.raises(MalformedMessage, match=r"^the message ends within its (head|body)$"):
        read(parser, [vector.raw[:cut]])


@pytest.mark.parametrize(
    ("raw", "may_carry_another"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.1 200 OK\r\n\r\nok", False),
    ],
)
def test_only_a_connection_that_stays_open_behind_a_whole_answer_is_reusable(
    raw: bytes, may_carry_another: bool
) -> None:
    parser = get_response_parser()
    parser.feed(raw)

    assert parser.is_reusable == may_carry_another


def test_a_body_comes_out_as_it_comes_in() -> None:
    parser = get_response_parser()

    assert parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe") == [ResponseHead(200, Headers(), 5), b"he"]
    assert parser.feed(b"ll") == [b"ll"]
    assert parser.feed(b"o") == [b"o", End()]
    assert parser.close() == []


def test_a_body_without_framing_ends_with_the_bytes() -> None:
    parser = get_response_parser()

    assert parser.feed(b"HTTP/1.1 200 OK\r\n\r\nhello") == [OK, b"hello"]
    assert parser.close() == [End()]
    assert parser.close() == []


def test_no_bytes_give_no_events() -> None:
    assert RequestParser().feed(b"") == []


@pytest.mark.parametrize("behind", [b"x", b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_bytes_behind_the_end_are_refused_when_they_come_later(behind: bytes) -> None:
    parser = RequestParser()
    assert parser.feed(serialize_request_head(GET)) == [GET, End()]

    with pytest.raises(MalformedMessage, match="^bytes behind the end of the message$"):
        parser.feed(behind)


def test_an_answer_to_connect_is_read_like_any_other() -> None:
    message = (ResponseHead(200, Headers(), 2), b"ok", End())

    assert read(ResponseParser("CONNECT"), [write(message)]) == message


@pytest.mark.parametrize("missing", [0, 1])
def test_a_head_may_be_as_long_as_the_limit(missing: int) -> None:
    raw = serialize_request_head(GET)
    filled = (
        raw[:-2] + b"X-Filler: " + b"a" * (MAX_HEAD_BYTES - len(raw) - len(b"X-Filler: \r\n") - missing) + b"\r\n\r\n"
    )
    assert len(filled) == MAX_HEAD_BYTES - missing

    assert len(RequestParser().feed(filled)) == 2


def test_a_head_one_byte_over_the_limit_is_too_large() -> None:
    raw = serialize_request_head(GET)
    filled = raw[:-2] + b"X-Filler: " + b"a" * (MAX_HEAD_BYTES - len(raw) - len(b"X-Filler: \r\n") + 1) + b"\r\n\r\n"

    with pytest.raises(MessageTooLarge, match="^message head over 65536 bytes$"):
        RequestParser().feed(filled)


def test_a_head_without_an_end_is_refused_at_the_limit() -> None:
    parser = RequestParser()
    parser.feed(b"GET / HTTP/1.1\r\n")

    with pytest.raises(MessageTooLarge, match="^message head over 65536 bytes$"):
        for _ in range(MAX_HEAD_BYTES // 16):
            parser.feed(b"X-Another: one\r\n")


def test_a_chunk_header_without_an_end_is_refused_at_the_limit() -> None:
    parser = get_response_parser()
    parser.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;")

    with pytest.raises(MessageTooLarge, match="^chunk header over 65536 bytes$") as caught:
        parser.feed(b"a" * (MAX_HEAD_BYTES + 1))
    assert caught.value.status_hint == 431


def test_spaces_within_a_length_cost_no_more_than_their_bytes() -> None:
    """A pattern that tries every way to share them out takes a quarter of a minute for each of these heads."""
    raw = b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1" + b" " * 60_000 + b"1\r\n\r\n"

    for _ in range(40):
        with pytest.raises(MalformedMessage, match="^Content-Length: not a number$"):
            RequestParser().feed(raw)


def test_many_interim_answers_cost_no_more_than_their_bytes() -> None:
    """What stands behind each is not copied again: eight megabytes of them would take minutes."""
    raw = b"HTTP/1.1 100\r\n\r\n" * 500_000 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    assert read(get_response_parser(), [raw]) == (ResponseHead(200, Headers(), 2), b"ok", End())


@pytest.mark.parametrize(
    ("head", "raw"),
    [
        (GET, b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"),
        (
            RequestHead("POST", "/a?b", Headers([("Host", "x"), ("a", "")]), 5),
            b"POST /a?b HTTP/1.1\r\nHost: x\r\na: \r\nContent-Length: 5\r\n\r\n",
        ),
        (
            RequestHead("PUT", "*", Headers([("Host", "x")]), CHUNKED),
            b"PUT * HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
    ],
)
def test_a_request_head_is_written_with_its_framing_last(head: RequestHead, raw: bytes) -> None:
    assert serialize_request_head(head) == raw


@pytest.mark.parametrize(
    ("head", "raw"),
    [
        (OK, b"HTTP/1.1 200 OK\r\n\r\n"),
        (ResponseHead(503, Headers([("A", "\xff")]), 0), b"HTTP/1.1 503 \r\nA: \xff\r\nContent-Length: 0\r\n\r\n"),
        (ResponseHead(206, Headers(), CHUNKED), b"HTTP/1.1 206 Partial Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
)
def test_a_response_head_is_written_with_its_framing_last(head: ResponseHead, raw: bytes) -> None:
    assert serialize_response_head(head) == raw


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "Transfer-Encoding"])
def test_framing_among_the_fields_is_a_mistake_of_the_caller(name: str) -> None:
    with pytest.raises(ValueError, match="^headers: framing is given by `length`, not by a field$"):
        serialize_response_head(ResponseHead(200, Headers([(name, "5")]), 5))


def test_a_negative_length_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="^length: negative$"):
        serialize_response_head(ResponseHead(200, Headers(), -1))


@pytest.mark.parametrize("status", [0, 100, 101, 199, 1000])
def test_only_final_answers_are_written(status: int) -> None:
    with pytest.raises(ValueError, match="^status: not that of a final response$"):
        serialize_response_head(ResponseHead(status, Headers(), None))


@pytest.mark.parametrize(
    "head",
    [
        RequestHead("G T", "/", GET.headers, None),
        RequestHead("GET", "x y", GET.headers, None),
        RequestHead("GET", "/", Headers(), None),
        RequestHead("GET", "/", GET.headers.adding(("X-A", "b\r\nX-C: d")), None),
    ],
)
def test_a_request_that_could_not_be_read_is_not_written(head: RequestHead) -> None:
    with pytest.raises(MalformedMessage):
        serialize_request_head(head)


def test_a_response_field_or_trailer_that_could_not_be_read_is_not_written() -> None:
    bad = Headers([("Set-Cookie", "a=b\n")])

    with pytest.raises(MalformedMessage, match="^header field Set-Cookie: a forbidden character in its value$"):
        serialize_response_head(ResponseHead(200, bad, None))
    with pytest.raises(MalformedMessage, match="^header field Set-Cookie: a forbidden character in its value$"):
        last_chunk(bad)


@pytest.mark.parametrize(
    ("length", "body", "end"),
    [(CHUNKED, b"a\r\n0123456789\r\n", b"0\r\nX-A: b\r\n\r\n"), (10, b"0123456789", b""), (None, b"0123456789", b"")],
)
def test_only_chunks_have_marks_and_trailers(length: Length, body: bytes, end: bytes) -> None:
    assert encode_body(b"0123456789", length) == body
    assert encode_end(End(Headers([("X-A", "b")])), length) == end


def test_no_data_is_no_chunk_because_an_empty_one_would_end_the_body() -> None:
    assert chunk(b"") == b""


def test_a_chunk_can_be_had_around_its_data() -> None:
    data = b"some bytes"

    assert b"".join(chunk_around(data)) == chunk(data)
    assert chunk_around(data)[1] is data
    assert encode_body(b"", CHUNKED) == b""


def test_events_are_values() -> None:
    event: Event = End()

    assert event == End(Headers()) != End(Headers([("A", "b")]))
