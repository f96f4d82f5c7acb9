"""Heads between HTTP/1.1 and HTTP/2: nothing is lost, nothing smuggled."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.transport.http2_fields import request_fields, response_head, response_trailers, trailer_fields
from wire.errors import MalformedMessage, MessageTooLarge, WireError
from wire.headers import HOP_BY_HOP, Headers
from wire.http1 import (
    CHUNKED,
    Length,
    RequestHead,
    RequestParser,
    ResponseHead,
    ResponseParser,
    serialize_request_head,
    serialize_response_head,
)

NAMES = st.text(string.ascii_letters + string.digits + "-_.!~", min_size=1, max_size=20)
VALUES = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=30)


def a_request(*fields: tuple[str, str], method: str = "GET", target: str = "/", length: Length = None) -> RequestHead:
    return RequestHead(method, target, Headers([("Host", "example.com"), *fields]), length)


def sent(*fields: tuple[str, str], target: str = "/", length: Length = None) -> list[tuple[bytes, bytes]]:
    return request_fields(a_request(*fields, target=target, length=length), scheme="http")


# Requests


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_every_end_to_end_field_arrives_in_order_and_lower_case(fields: list[tuple[str, str]]) -> None:
    # U+0085 and U+00A0 are octets of a value here, and no white space.
    kept = [(name, value) for name, value in fields if name.lower().replace("_", "-") not in _NOT_REGULAR]
    expected = [(name.lower().encode(), value.strip(" \t").encode("latin-1")) for name, value in kept]
    assert sent(*kept)[4:-1] == expected


_NOT_REGULAR = HOP_BY_HOP | {"host", "content-length", "transfer-encoding"}


@given(st.lists(st.tuples(st.text(max_size=10), st.text(max_size=10)), max_size=4))
def test_whatever_a_client_says_is_one_request_or_refused(fields: list[tuple[str, str]]) -> None:
    try:
        made = sent(*fields)
    except (WireError, UnicodeEncodeError):
        return
    pseudo = [name for name, _ in made if name.startswith(b":")]
    assert pseudo == [b":method", b":scheme", b":authority", b":path"]
    assert [name for name, _ in made[:4]] == pseudo
    assert all(b"\r" not in part and b"\n" not in part and b"\0" not in part for pair in made for part in pair)


def test_pseudo_fields_come_from_the_request_line_and_host() -> None:
    made = request_fields(a_request(method="PROPFIND", target="/a%2f?b"), scheme="https")
    assert made[:4] == [
        (b":method", b"PROPFIND"),
        (b":scheme", b"https"),
        (b":authority", b"example.com"),
        (b":path", b"/a%2f?b"),
    ]


@pytest.mark.parametrize("name", [":path", ":authority", ":status", ":", "a:b"])
def test_a_client_cannot_say_a_pseudo_field(name: str) -> None:
    with pytest.raises(MalformedMessage):
        sent((name, "x"))


@pytest.mark.parametrize(
    ("target", "authority", "path"),
    [
        ("http://other.example:81/x?y", "other.example:81", "/x?y"),
        ("http://other.example", "other.example", "/"),
        ("http://other.example?q=/", "other.example", "/?q=/"),
        ("http://user@other.example/", "other.example", "/"),
        ("//two/slashes://", "example.com", "//two/slashes://"),
        ("*", "example.com", "*"),
    ],
)
def test_the_target(target: str, authority: str, path: str) -> None:
    made = dict(sent(target=target))
    assert (made[b":authority"], made[b":path"]) == (authority.encode(), path.encode())


def test_what_belongs_to_one_hop_stays_and_trailers_are_asked_for() -> None:
    fields = [("Connection", "close, X-Mine"), ("X-Mine", "1"), ("Keep-Alive", "1"), ("TE", "gzip"), ("Upgrade", "h2c")]
    assert sent(*fields)[4:] == [(b"te", b"trailers")]


@pytest.mark.parametrize(("length", "said"), [(None, None), (0, b"0"), (12, b"12"), (CHUNKED, None)])
def test_the_length(length: Length, said: bytes | None) -> None:
    assert dict(sent(length=length)).get(b"content-length") == said


def test_no_tunnels() -> None:
    with pytest.raises(MalformedMessage, match="CONNECT"):
        request_fields(a_request(method="CONNECT"), scheme="http")


def test_trailers_lose_what_may_not_be_one() -> None:
    trailers = Headers(
        [("X-Sum", "1"), ("Authorization", "x"), ("Content-Length", "1"), ("X-Inverting-Proxy-User-ID", "x")]
    )
    assert trailer_fields(trailers) == [(b"x-sum", b"1")]


def test_a_trailer_cannot_be_a_pseudo_field() -> None:
    with pytest.raises(MalformedMessage):
        trailer_fields(Headers([(":status", "200")]))


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_what_http1_parses_is_what_http2_says(fields: list[tuple[str, str]]) -> None:
    """Through the bytes of HTTP/1.1, as a request comes from the proxy."""
    regular = [(name, value) for name, value in fields if name.lower().replace("_", "-") not in _NOT_REGULAR]
    [head, _] = RequestParser().feed(serialize_request_head(a_request(*regular)))
    assert isinstance(head, RequestHead)
    assert request_fields(head, scheme="http") == sent(*regular)


# Answers


def answered(
    *fields: tuple[bytes, bytes], status: bytes = b"200", method: str = "GET", is_end: bool = False
) -> ResponseHead | None:
    return response_head([(b":status", status), *fields], method=method, is_end=is_end)


def final(
    *fields: tuple[bytes, bytes], status: bytes = b"200", method: str = "GET", is_end: bool = False
) -> ResponseHead:
    head = answered(*fields, status=status, method=method, is_end=is_end)
    assert head is not None
    return head


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        (b"content-type", "Content-Type"),
        (b"etag", "ETag"),
        (b"www-authenticate", "WWW-Authenticate"),
        (b"x-forwarded-for", "X-Forwarded-For"),
        (b"grpc-status", "Grpc-Status"),
        (b"x_odd.name", "X_odd.name"),
    ],
)
def test_names_get_their_usual_spelling(name: bytes, spelled: str) -> None:
    assert list(final((name, b"v")).headers) == [(spelled, "v")]


@pytest.mark.parametrize(
    ("status", "method", "said", "is_end", "length"),
    [
        (b"200", "GET", None, False, CHUNKED),
        (b"200", "GET", None, True, 0),
        (b"200", "GET", b"7", False, 7),
        (b"200", "HEAD", b"7", True, 7),
        (b"200", "HEAD", None, True, None),
        (b"204", "GET", None, True, None),
        (b"204", "GET", b"0", True, None),
        (b"304", "GET", b"7", True, 7),
        (b"304", "GET", None, True, None),
    ],
)
def test_the_length_of_an_answer(status: bytes, method: str, said: bytes | None, is_end: bool, length: Length) -> None:
    fields = [(b"content-length", said)] if said is not None else []
    head = final(*fields, status=status, method=method, is_end=is_end)
    assert (head.length, "Content-Length" in head.headers) == (length, False)


@pytest.mark.parametrize("status", [b"100", b"102", b"103", b"199"])
def test_an_interim_answer_is_none(status: bytes) -> None:
    assert answered((b"link", b"</x>"), status=status) is None


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"content-type", b"x")],
        [(b"content-type", b"x"), (b":status", b"200")],
        [(b":status", b"200"), (b":status", b"200")],
        [(b":status", b"200"), (b"a", b"b"), (b":status", b"200")],
        [(b":status", b"200"), (b":path", b"/")],
        [(b":status", b"")],
        [(b":status", b"99")],
        [(b":status", b"0200")],
        [(b":status", b"+20")],
        [(b":status", b"20\xb2")],
        [(b":status", b"101")],
        [(b":status", b"200"), (b"Content-Type", b"x")],
        [(b":status", b"200"), (b"", b"x")],
        [(b":status", b"200"), (b"a b", b"x")],
        [(b":status", b"200"), (b"a\r\nb", b"x")],
        [(b":status", b"200"), (b"a", b"x\r\nb: c")],
        [(b":status", b"200"), (b"a", b"x\n")],
        [(b":status", b"200"), (b"a", b"x\0")],
        [(b":status", b"200"), (b"a", b" x")],
        [(b":status", b"200"), (b"a", b"x\t")],
        [(b":status", b"200"), (b"connection", b"close")],
        [(b":status", b"200"), (b"transfer-encoding", b"chunked")],
        [(b":status", b"200"), (b"upgrade", b"h2c")],
        [(b":status", b"200"), (b"content-length", b"1"), (b"content-length", b"2")],
        [(b":status", b"200"), (b"content-length", b"1, 1")],
        [(b":status", b"200"), (b"content-length", b"-1")],
        [(b":status", b"200"), (b"content-length", b"")],
    ],
)
def test_what_is_no_answer_is_refused(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(MalformedMessage):
        response_head(fields, method="GET", is_end=False)


def test_an_answer_that_announces_a_body_and_has_none_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        final((b"content-length", b"5"), is_end=True)


def test_an_answer_has_its_limit() -> None:
    with pytest.raises(MessageTooLarge):
        final((b"a", b"x" * 70_000))


@given(st.lists(st.tuples(st.binary(max_size=10), st.binary(max_size=20)), max_size=5), st.booleans())
def test_whatever_a_server_says_can_be_written_as_http1_or_is_refused(
    fields: list[tuple[bytes, bytes]], is_end: bool
) -> None:
    try:
        head = answered(*fields, is_end=is_end)
    except WireError:
        return
    assert head is not None
    [parsed, *_] = ResponseParser("GET").feed(serialize_response_head(head))
    assert parsed == head


@given(st.lists(st.tuples(NAMES.map(str.lower), VALUES), max_size=6))
def test_every_field_of_an_answer_arrives_in_order(fields: list[tuple[str, str]]) -> None:
    said = [
        (name.encode(), value.strip(" \t").encode("latin-1"))
        for name, value in fields
        if name not in _NOT_REGULAR | {"te"}
    ]
    assert [(name.lower().encode(), value.encode("latin-1")) for name, value in final(*said).headers] == said


def test_the_trailers_of_an_answer_that_may_travel_on() -> None:
    fields = [(b"grpc-status", b"0"), (b"set-cookie", b"a=1"), (b"x-inverting-proxy-error", b"x")]
    assert list(response_trailers(fields)) == [("Grpc-Status", "0")]


def test_trailers_have_no_pseudo_fields() -> None:
    with pytest.raises(MalformedMessage):
        response_trailers([(b":status", b"200")])
