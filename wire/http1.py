"""HTTP/1.1 messages: bytes to values and back, incremental in both directions (RFC 9112).

A translation and nothing more. h11 is the engine behind this door; what h11 forgives and a proxy must not (it re-writes
messages, so both ends have to agree where one stops) is refused here: Content-Length together with Transfer-Encoding,
folded fields, bare CR and LF, control bytes.

Framing is a property of a head (`length`), not a header field: `Content-Length` and `Transfer-Encoding` never appear in
`headers`, so they cannot be copied from one message into another.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

import h11

from wire.errors import MalformedMessage, MessageTooLarge, WireError
from wire.headers import Headers, allowed_trailers
from wire.protocol import MAX_HEAD_BYTES

Length = int | Literal["chunked"] | None
"""How a body is framed: a Content-Length, `"chunked"`, or None for no framing field.

None means no body in a request, and "until the connection ends" in a response that may have one.
"""

CHUNKED: Final = "chunked"

_FRAMING: Final = ("Content-Length", "Transfer-Encoding")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_TARGET = re.compile(r"[!-~]+")
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[\t -~\x80-\xff]*")

# A bare CR, a bare LF, a folded line, or a control byte other than the tab, anywhere in a head.
_FORBIDDEN_IN_HEAD = re.compile(rb"\r(?!\n)|(?<!\r)\n|\r\n[ \t]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

# h11 folds repeated lengths into one, also within a list: counted before it sees them.
_REPEATED_LENGTH = re.compile(rb"(?is)\r\ncontent-length:(?:[^\r]*,|.*\r\ncontent-length:)")

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
    """A final response (never 1xx) without its body; the reason phrase carries nothing and is not kept."""

    status: int
    headers: Headers
    length: Length


NO_TRAILERS: Final = Headers()


@dataclass(frozen=True, slots=True)
class End:
    """The end of a message, and the trailer fields that may travel on."""

    trailers: Headers = NO_TRAILERS


Event = RequestHead | ResponseHead | bytes | End
"""What a parser gives: one head, then pieces of the body (never empty), then one `End`."""


class _Parser:
    """One message out of bytes, however they are cut.

    `feed` and `close` give events and raise `WireError`; after an error or an `End` the parser is of no more use.
    The head is held back until it is whole, so that it can be checked before h11 sees it.
    """

    def __init__(self, connection: h11.Connection) -> None:
        self._connection = connection
        self._head: bytearray | None = bytearray()
        self._done = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises `WireError`; bytes behind the end of the message are an error."""
        events: list[Event] = []
        rest = data
        while rest and self._head is not None:
            rest = self._feed_head(self._head, rest, events)
        if rest:
            if self._done:
                raise MalformedMessage("bytes behind the end of the message")
            events += self._advance(rest)
        return events

    def _feed_head(self, head: bytearray, data: bytes, events: list[Event]) -> bytes:
        """Add to the head; once it is whole, check it, let h11 read it, and return what stood behind it."""
        searched_from = max(0, len(head) - 3)
        head += data
        end = head.find(b"\r\n\r\n", searched_from)
        size = len(head) if end < 0 else end + 4
        if size > MAX_HEAD_BYTES:
            raise MessageTooLarge(f"message head over {MAX_HEAD_BYTES} bytes", status_hint=431)
        if end < 0:
            return b""
        if bad := _FORBIDDEN_IN_HEAD.search(head, 0, size):
            raise MalformedMessage(f"forbidden byte {bytes(bad.group()[:1])!r} in the message head")
        if _REPEATED_LENGTH.search(head, 0, size):
            raise MalformedMessage("a repeated Content-Length")
        complete, rest = bytes(head[:size]), bytes(head[size:])
        self._head = None
        events += self._advance(complete)
        return rest

    def close(self) -> list[Event]:
        """The events that the end of the bytes completes. Raises `MalformedMessage` when the message is not whole."""
        if self._done:
            return []
        if self._head is not None:
            raise MalformedMessage("the message ends within its head")
        return self._advance(b"")

    def _advance(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        try:
            self._connection.receive_data(data)
            while not self._done:
                event = self._connection.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    break
                if isinstance(event, h11.Data):
                    events.append(bytes(event.data))
                elif isinstance(event, h11.Request | h11.Response):
                    events.append(self._translate(event))
                elif isinstance(event, h11.EndOfMessage):
                    self._done = True
                    events.append(End(allowed_trailers(_headers(event.headers))))
                elif isinstance(event, h11.InformationalResponse):
                    self._head = bytearray()
        except h11.RemoteProtocolError as exc:
            raise _translated(exc) from exc
        if self._done and self._connection.trailing_data[0]:
            raise MalformedMessage("bytes behind the end of the message")
        return events

    def _translate(self, event: h11.Request | h11.Response) -> Event:
        raise NotImplementedError


class RequestParser(_Parser):
    """One request out of bytes."""

    def __init__(self) -> None:
        super().__init__(h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES))

    def _translate(self, event: h11.Request | h11.Response) -> Event:
        assert isinstance(event, h11.Request)
        headers = _headers(event.headers)
        return RequestHead(
            event.method.decode("ascii"), event.target.decode("ascii"), headers.without(*_FRAMING), _length(headers)
        )


class ResponseParser(_Parser):
    """One final response out of bytes; interim ones (1xx) are skipped.

    `method` is that of the request, because the answer to HEAD has no body whatever its fields say.
    """

    def __init__(self, method: str) -> None:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        # CONNECT would make h11 switch protocols at a 2xx: nothing here carries tunnels.
        asked = "GET" if method == "CONNECT" else method
        connection.send(h11.Request(method=asked, target="/", headers=[("Host", "-")]))
        connection.send(h11.EndOfMessage())
        super().__init__(connection)

    def _translate(self, event: h11.Request | h11.Response) -> Event:
        headers = _headers(event.headers)
        assert isinstance(event, h11.Response)
        return ResponseHead(event.status_code, headers.without(*_FRAMING), _length(headers))


def serialize_request_head(head: RequestHead) -> bytes:
    """The bytes of a request's head, with the framing that `head.length` says.

    Raises `ValueError` for what would not parse again: a method, target, name or value with forbidden characters,
    or a framing field among the headers.
    """
    if _METHOD.fullmatch(head.method) is None:
        raise ValueError("method: not a token")
    if _TARGET.fullmatch(head.target) is None:
        raise ValueError("target: empty, or a character outside visible ASCII")
    return _serialize(f"{head.method} {head.target} HTTP/1.1\r\n", head.headers, head.length)


def serialize_response_head(head: ResponseHead) -> bytes:
    """The bytes of a response's head, with the framing that `head.length` says. Raises `ValueError` like its twin."""
    if not 200 <= head.status <= 999:
        raise ValueError("status: not that of a final response")
    return _serialize(f"HTTP/1.1 {head.status} {_REASONS.get(head.status, '')}\r\n", head.headers, head.length)


def chunk(data: bytes) -> bytes:
    """A piece of a body in chunked coding; nothing for no data, because an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def last_chunk(trailers: Headers = NO_TRAILERS) -> bytes:
    """The end of a body in chunked coding."""
    return b"0\r\n" + _fields(trailers) + b"\r\n"


def encode_body(data: bytes, length: Length) -> bytes:
    """A piece of a body as it stands in a message framed by `length`."""
    return chunk(data) if length == CHUNKED else data


def encode_end(end: End, length: Length) -> bytes:
    """The end of a message framed by `length`; only chunked coding has a place for trailers."""
    return last_chunk(end.trailers) if length == CHUNKED else b""


def _serialize(first_line: str, headers: Headers, length: Length) -> bytes:
    if any(name in headers for name in _FRAMING):
        raise ValueError("headers: framing is given by `length`, not by a field")
    framing = b""
    if length == CHUNKED:
        framing = b"Transfer-Encoding: chunked\r\n"
    elif length is not None:
        framing = b"Content-Length: %d\r\n" % length
    return first_line.encode("ascii") + _fields(headers) + framing + b"\r\n"


def _fields(headers: Headers) -> bytes:
    for name, value in headers:
        if _FIELD_NAME.fullmatch(name) is None:
            raise ValueError(f"header field name {name!r}: not a token")
        if _FIELD_VALUE.fullmatch(value) is None:
            raise ValueError(f"header field {name}: a forbidden character in its value")
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")


def _headers(fields: h11._headers.Headers | list[tuple[bytes, bytes]]) -> Headers:
    # `raw_items` keeps the case that the sender wrote; iterating would give lower case.
    pairs = fields.raw_items() if isinstance(fields, h11._headers.Headers) else fields
    return Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs)


def _length(headers: Headers) -> Length:
    """The framing of a message that h11 has accepted, refusing what only looks acceptable to it."""
    codings = headers.get_all("Transfer-Encoding")
    lengths = headers.get_all("Content-Length")
    if codings and lengths:
        # RFC 9112 section 6.1: such a message may be an attempt at request smuggling.
        raise MalformedMessage("both Content-Length and Transfer-Encoding")
    if codings:
        return CHUNKED
    return int(lengths[0]) if lengths else None


def _translated(exc: h11.RemoteProtocolError) -> WireError:
    if exc.error_status_hint == 431:
        return MessageTooLarge(str(exc), status_hint=431)
    # What follows the colon may quote a header line, and so a cookie or a token.
    return MalformedMessage(str(exc).partition(":")[0])
