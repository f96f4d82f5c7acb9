"""HTTP/1.1 messages: bytes to values and back, incremental in both directions (RFC 9112).

A translation and nothing more. What a proxy must not forgive is refused by `wire.strictness`, for what is read and for
what is written alike; `wire.bodies` reads what is behind a head.

Framing is a property of a head (`length`), not a header field: `Content-Length` and `Transfer-Encoding` never appear in
`headers`, so they cannot be copied from one message into another.
"""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Final, Literal

from wire import strictness
from wire.bodies import NO_TRAILERS, Body, ChunkedBody, EndlessBody, SizedBody
from wire.bodies import End as End
from wire.errors import MalformedMessage, MessageTooLarge
from wire.headers import Headers, connection_options
from wire.protocol import MAX_HEAD_BYTES

Length = int | Literal["chunked"] | None
"""How a body is framed: a Content-Length, `"chunked"`, or None for no framing field.

None means no body in a request, and "until the connection ends" in a response that may have one.
"""

CHUNKED: Final = "chunked"

_FRAMING: Final = ("Content-Length", "Transfer-Encoding")

_REASONS: Final = {200: "OK", 204: "No Content", 206: "Partial Content", 304: "Not Modified", 404: "Not Found"}


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request without its body; `target` exactly as sent (RFC 9112 section 3.2), never decoded."""

    method: str
    target: str
    headers: Headers
    length: Length


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A final response without its body, or the 101 of `wire.upgrades`, never another 1xx; the reason phrase carries
    nothing and is not kept."""

    status: int
    headers: Headers
    length: Length


Event = RequestHead | ResponseHead | bytes | End
"""What a parser gives: one head, then pieces of the body (never empty), then one `End`."""


class _Parser(ABC):
    """One message out of bytes, however they are cut.

    `feed` and `close` give events and raise `WireError`; after an error or an `End` the parser is of no more use.
    """

    def __init__(self) -> None:
        self._head: bytearray | None = bytearray()
        self._body: Body = SizedBody(0)
        self._may_follow = b""

    @abstractmethod
    def _read_head(self, first_line: bytes, fields: Headers, length: Length) -> tuple[Event, Body] | None:
        """A head of its first line and fields, and the body behind it; None for an interim head."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises `WireError`; bytes behind the end of the message are an error."""
        events: list[Any] = []
        rest = data if self._head is None else self._feed_head(self._head, data, events)
        if rest and not self._body.is_over:
            rest = self._body.feed(rest, events)
        if rest:
            self._skip(rest)
        return events

    def _feed_head(self, head: bytearray, data: bytes, events: list[Any]) -> bytes:
        """Add to the head; once it is whole, read it, and return what stood behind it and its body."""
        searched_from = max(0, len(head) - 3)
        head += data
        while complete := _take_head(head, searched_from):
            read = self._read_whole_head(complete)
            if read is not None:
                self._head = None
                event, self._body = read
                events.append(event)
                return self._body.feed(bytes(head), events)
            searched_from = 0
        return b""

    def _read_whole_head(self, head: bytes) -> tuple[Event, Body] | None:
        framing = strictness.require_strict_head(head)
        first_line, _, lines = head[:-2].partition(b"\r\n")
        if not first_line:
            raise MalformedMessage("an empty line before the message")
        fields = strictness.parse_fields(lines)
        if framing is None:
            return self._read_head(first_line, fields, None)
        name, value = framing
        length: Length = int(value) if name == b"content-length" else CHUNKED
        return self._read_head(first_line, fields.without(*_FRAMING), length)

    def close(self) -> list[Event]:
        """The events that the end of the bytes completes. Raises `MalformedMessage` when the message is not whole."""
        if self._head is not None:
            raise MalformedMessage("the message ends within its head")
        return [] if self._body.is_over else list(self._body.close())

    def _skip(self, data: bytes) -> None:
        """Bytes behind the end of the message, which may be no others than `_may_follow`."""
        if not self._may_follow.startswith(data):
            raise MalformedMessage("bytes behind the end of the message")
        self._may_follow = self._may_follow[len(data) :]


def _take_head(buffer: bytearray, searched_from: int) -> bytes:
    """A head off the front of the buffer, with the empty line at its end; nothing when it is not whole yet.

    It is cut off in place: what stands behind it is not copied again for each of many interim heads.
    """
    end = buffer.find(b"\r\n\r\n", searched_from)
    size = len(buffer) if end < 0 else end + 4
    if size > MAX_HEAD_BYTES:
        raise MessageTooLarge(f"message head over {MAX_HEAD_BYTES} bytes", status_hint=431)
    if end < 0:
        return b""
    head = bytes(buffer[:size])
    del buffer[:size]
    return head


# RFC 9112 sections 3 and 4; some servers leave the space before an absent reason out.
_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/([0-9]\.[0-9])")
_STATUS_LINE: Final = re.compile(rb"HTTP/([0-9]\.[0-9]) ([1-9][0-9]{2})(?: .*)?")


class RequestParser(_Parser):
    """One request out of bytes."""

    def _read_head(self, first_line: bytes, fields: Headers, length: Length) -> tuple[Event, Body]:
        match = _REQUEST_LINE.fullmatch(first_line)
        if match is None:
            raise MalformedMessage("illegal request line")
        method, target, version = (group.decode("ascii") for group in match.groups())
        strictness.require_version(version, is_chunked=length == CHUNKED)
        strictness.require_request(method, target, fields)
        return RequestHead(method, target, fields, length), _body(0 if length is None else length)


class ResponseParser(_Parser):
    """One final response out of bytes; interim ones (1xx) are skipped.

    `method` is that of the request, because the answer to HEAD has no body whatever its fields say.
    With `forgives_empty_chunks`, one that has no body but announces chunked coding may be followed by an empty body in
    that coding, because Go's `http.Response.Write`, and so the original's agent, writes it.
    """

    def __init__(self, method: str, *, forgives_empty_chunks: bool = False) -> None:
        super().__init__()
        self._is_head = method == "HEAD"
        self._forgives_empty_chunks = forgives_empty_chunks
        self._is_last = True

    @property
    def is_reusable(self) -> bool:
        """True once the response has ended and its connection may carry a next one (RFC 9112 section 9.3)."""
        return self._body.is_over and not self._is_last

    def _read_head(self, first_line: bytes, fields: Headers, length: Length) -> tuple[Event, Body] | None:
        match = _STATUS_LINE.fullmatch(first_line)
        if match is None:
            raise MalformedMessage("illegal status line")
        version, status = match[1].decode("ascii"), int(match[2])
        strictness.require_version(version, is_chunked=length == CHUNKED)
        if status < 200:
            return None
        self._is_last = version == "1.0" or "close" in connection_options(fields)
        if not (self._is_head or status in (204, 304)):
            self._is_last = self._is_last or length is None
            return ResponseHead(status, fields, length), _body(length)
        # RFC 9112 section 6.3: no body here, whatever the fields say. What would announce one to a reader of this
        # message alone is dropped: any framing of a 204, and the chunked coding.
        if length == CHUNKED and self._forgives_empty_chunks:
            self._may_follow = last_chunk()
        return ResponseHead(status, fields, None if status == 204 or length == CHUNKED else length), SizedBody(0)


def _body(length: Length) -> Body:
    if length is None:
        return EndlessBody()
    return SizedBody(length) if isinstance(length, int) else ChunkedBody()


def serialize_request_head(head: RequestHead) -> bytes:
    """The bytes of a request's head, with the framing that `head.length` says.

    Raises `MalformedMessage` for what would not parse again, `ValueError` for a framing field or a negative length.
    """
    strictness.require_request(head.method, head.target, head.headers)
    return _serialize(f"{head.method} {head.target} HTTP/1.1\r\n", head.headers, head.length)


def serialize_response_head(head: ResponseHead) -> bytes:
    """The bytes of a response's head, with the framing that `head.length` says. Raises like its twin."""
    if not 200 <= head.status <= 999:
        raise ValueError("status: not that of a final response")
    return _serialize(f"HTTP/1.1 {head.status} {_REASONS.get(head.status, '')}\r\n", head.headers, head.length)


def chunk(data: bytes) -> bytes:
    """A piece of a body in chunked coding; nothing for no data, because an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def chunk_around(data: bytes) -> tuple[bytes, bytes, bytes]:
    """The same in pieces, of which `data` is one, for whoever can write them without copying it; never for no data."""
    return b"%x\r\n" % len(data), data, b"\r\n"


def last_chunk(trailers: Headers = NO_TRAILERS) -> bytes:
    """The end of a body in chunked coding."""
    return b"0\r\n" + serialize_fields(trailers) + b"\r\n"


def encode_body(data: bytes, length: Length) -> bytes:
    """A piece of a body as it stands in a message framed by `length`."""
    return chunk(data) if length == CHUNKED else data


def encode_end(end: End, length: Length) -> bytes:
    """The end of a message framed by `length`; only chunked coding has a place for trailers."""
    return last_chunk(end.trailers) if length == CHUNKED else b""


def _serialize(first_line: str, headers: Headers, length: Length) -> bytes:
    if "Content-Length" in headers or "Transfer-Encoding" in headers:
        raise ValueError("headers: framing is given by `length`, not by a field")
    framing = b""
    if length == CHUNKED:
        framing = b"Transfer-Encoding: chunked\r\n"
    elif length is not None:
        if length < 0:
            raise ValueError("length: negative")
        framing = b"Content-Length: %d\r\n" % length
    return first_line.encode("ascii") + serialize_fields(headers) + framing + b"\r\n"


def serialize_fields(headers: Headers) -> bytes:
    """The lines of header or trailer fields. Raises `MalformedMessage` for what would not parse again."""
    strictness.require_fields(headers)
    return "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1")
