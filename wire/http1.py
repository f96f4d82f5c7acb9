"""HTTP/1.1 messages: bytes to values and back, incremental in both directions (RFC 9112).

A translation and nothing more. h11 is the engine behind this door; what it forgives and a proxy must not is refused by
`wire.strictness`, for what is read and for what is written alike.

Framing is a property of a head (`length`), not a header field: `Content-Length` and `Transfer-Encoding` never appear in
`headers`, so they cannot be copied from one message into another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import h11

from wire import strictness
from wire.errors import MalformedMessage, MessageTooLarge, WireError
from wire.headers import Headers, allowed_trailers
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

    def __init__(self, connection: h11.Connection, translate: Callable[[h11.Request | h11.Response], Event]) -> None:
        self._connection = connection
        self._translate = translate
        self._head: bytearray | None = bytearray()
        self._done = False
        self._may_follow = b""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises `WireError`; bytes behind the end of the message are an error."""
        events: list[Event] = []
        rest = data
        while rest and self._head is not None:
            rest = self._feed_head(self._head, rest, events)
        if rest:
            if self._done:
                self._skip(rest)
            else:
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
        complete, rest = bytes(head[:size]), bytes(head[size:])
        strictness.require_strict_head(complete)
        self._head = None
        events += self._advance(complete)
        return rest

    def close(self) -> list[Event]:
        """The events that the end of the bytes completes. Raises `MalformedMessage` when the message is not whole."""
        if self._done:
            return []
        if self._head is not None:
            raise MalformedMessage("the message ends within its head")
        try:
            return self._advance(b"")
        except MalformedMessage as exc:
            raise MalformedMessage("the message ends within its body") from exc

    def _advance(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        try:
            self._connection.receive_data(data)
            while not self._done:
                event = self._connection.next_event()
                if event is h11.NEED_DATA:
                    break
                if isinstance(event, h11.Data):
                    events.append(bytes(event.data))
                elif isinstance(event, h11.Request | h11.Response):
                    events.append(self._translate(event))
                elif isinstance(event, h11.InformationalResponse):
                    self._head = bytearray()
                else:
                    assert isinstance(event, h11.EndOfMessage)
                    self._done = True
                    events.append(_end(event))
        except h11.RemoteProtocolError as exc:
            raise _translated(exc) from exc
        if self._done:
            self._skip(self._connection.trailing_data[0])
        return events

    def _skip(self, data: bytes) -> None:
        """Bytes behind the end of the message, which may be no others than `_may_follow`."""
        if not self._may_follow.startswith(data):
            raise MalformedMessage("bytes behind the end of the message")
        self._may_follow = self._may_follow[len(data) :]


class RequestParser(_Parser):
    """One request out of bytes."""

    def __init__(self) -> None:
        super().__init__(h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES), self._translate_request)

    def _translate_request(self, event: h11.Request | h11.Response) -> Event:
        assert isinstance(event, h11.Request)
        method, target = event.method.decode("ascii"), event.target.decode("ascii")
        headers, length = _headers_and_length(event)
        strictness.require_request(method, target, headers)
        return RequestHead(method, target, headers, length)


_END_OF_REQUEST: Final = h11.EndOfMessage()


@lru_cache(maxsize=64)
def _asked(method: str) -> h11.Request:
    """What h11 has to be told before it reads an answer; checked and made once for each method."""
    # CONNECT would make h11 switch protocols at a 2xx: nothing here carries tunnels.
    return h11.Request(method="GET" if method == "CONNECT" else method, target="/", headers=[("Host", "-")])


class ResponseParser(_Parser):
    """One final response out of bytes; interim ones (1xx) are skipped.

    `method` is that of the request, because the answer to HEAD has no body whatever its fields say.
    With `forgives_empty_chunks`, one that has no body but announces chunked coding may be followed by an empty body in
    that coding, because Go's `http.Response.Write`, and so the original's agent, writes it.
    """

    def __init__(self, method: str, *, forgives_empty_chunks: bool = False) -> None:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        connection.send(_asked(method))
        connection.send(_END_OF_REQUEST)
        super().__init__(connection, self._translate_response)
        self._is_head = method == "HEAD"
        self._forgives_empty_chunks = forgives_empty_chunks

    @property
    def is_reusable(self) -> bool:
        """True once the response has ended and its connection may carry a next one (RFC 9112 section 9.3)."""
        return self._connection.their_state is h11.DONE

    def _translate_response(self, event: h11.Request | h11.Response) -> Event:
        assert isinstance(event, h11.Response)
        headers, length = _headers_and_length(event)
        # RFC 9112 section 6.3: no body here, whatever the fields say. What would announce one to a reader of this
        # message alone is dropped: any framing of a 204, and the chunked coding.
        if event.status_code == 204 or (length == CHUNKED and (self._is_head or event.status_code == 304)):
            if length == CHUNKED and self._forgives_empty_chunks:
                self._may_follow = last_chunk()
            length = None
        return ResponseHead(event.status_code, headers, length)


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
        if length < 0:
            raise ValueError("length: negative")
        framing = b"Content-Length: %d\r\n" % length
    return first_line.encode("ascii") + _fields(headers) + framing + b"\r\n"


def _fields(headers: Headers) -> bytes:
    strictness.require_fields(headers)
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")


def _end(event: h11.EndOfMessage) -> End:
    if not event.headers:
        return End()
    trailers = _headers(event.headers)
    # h11 counts only what it has to keep between two calls, and checks no control bytes: this section is no head.
    if sum(len(name) + len(value) for name, value in trailers) > MAX_HEAD_BYTES:
        raise MessageTooLarge(f"message trailers over {MAX_HEAD_BYTES} bytes", status_hint=431)
    strictness.require_fields(trailers)
    return End(allowed_trailers(trailers))


def _headers(fields: h11._headers.Headers) -> Headers:
    # `raw_items` keeps the case that the sender wrote; iterating would give lower case.
    return Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields.raw_items())


def _headers_and_length(event: h11.Request | h11.Response) -> tuple[Headers, Length]:
    """The fields without those of framing, and what these say; `strictness.require_strict_head` has passed them."""
    headers = _headers(event.headers)
    announced = headers.get("Content-Length")
    length: Length = None if announced is None else int(announced)
    if "Transfer-Encoding" in headers:
        length = CHUNKED
    strictness.require_version(event.http_version.decode("ascii"), is_chunked=length == CHUNKED)
    return headers.without(*_FRAMING), length


def _translated(exc: h11.RemoteProtocolError) -> WireError:
    if exc.error_status_hint == 431:
        return MessageTooLarge(str(exc), status_hint=431)
    # What follows the colon may quote a header line, and so a cookie or a token.
    return MalformedMessage(str(exc).partition(":")[0])
