"""WSGI ⇄ wire: an environ as a request head and the slices of its body; an answer's head and slices as a response.

What WSGI takes away, whatever we do (measured with gunicorn):

- the case of field names (`X-Foo`, whatever was sent);
- the limits between repeated fields: their values arrive joined by commas. That is harmless for fields that are lists;
  a second `Cookie` field, which RFC 6265 section 5.4 forbids to clients, ends up inside the last cookie before it;
- fields with `_` in their names, which the server drops because it could not tell them from those with `-`;
- trailers, both ways;
- when the pieces of a chunked body arrived: reading waits until a slice is full;
- of an answer: `Date` and `Server`, which the server sets itself.

The stand-alone proxy, which does not use WSGI, has none of these limits.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Response
from werkzeug.datastructures import Headers as WerkzeugHeaders

from broker.forwarding import Client
from broker.model import Part
from broker.waiting import Clock
from edge.errors import Rendered
from edge.identity import Caller
from wire.errors import MalformedMessage, MessageTooLarge
from wire.headers import Headers
from wire.http1 import CHUNKED, Length, RequestHead, ResponseHead

Environ = Mapping[str, Any]

_BROKEN_BODIES: tuple[type[Exception], ...] = (OSError,)
try:
    from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]

    _BROKEN_BODIES = (OSError, ParseException)
except ImportError:
    pass  # another server, which has no such errors

SLICE_BYTES: Final = 1 << 16
"""How much of a body is read at a time."""

PART_BYTES: Final = 900_000
"""About how much of a message is stored at a time; with one slice more, below 1,000,000 bytes."""

LONG_PART_BYTES: Final = 3_900_000
"""The same for a few messages at a time: a store that is elsewhere writes so much faster in one go."""

_LONG_AT_ONCE: Final = 4
"""Messages in one process that may be stored so; all others would fill an instance's memory with what they hold."""

_GROWTH: Final = 4

_PART_AGE: Final = timedelta(milliseconds=250)
"""Bytes older than this are stored with the next piece, however few they are."""

_LENGTH = re.compile(r"\d{1,18}", re.ASCII)


def request_head(environ: Environ) -> RequestHead:
    """The head of the request, its target as it was sent. Raises `MalformedMessage`."""
    headers = Headers(_fields(environ))
    target = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "/")
    if not target.startswith("/") and "://" in target:
        target, headers = _in_origin_form(target, headers)
    return RequestHead(environ["REQUEST_METHOD"], target, headers, _length(environ))


def _fields(environ: Environ) -> Iterator[tuple[str, str]]:
    for key, value in environ.items():
        if key.startswith("HTTP_") and key != "HTTP_TRANSFER_ENCODING":
            yield key[5:].replace("_", "-").title(), value
    if environ.get("CONTENT_TYPE"):
        yield "Content-Type", environ["CONTENT_TYPE"]


def _in_origin_form(target: str, headers: Headers) -> tuple[str, Headers]:
    """A target that names its host, as one without, and that host as the only `Host` (RFC 9112 section 3.2.2)."""
    try:
        host = urlsplit(target).netloc.rpartition("@")[2]
    except ValueError as exc:
        raise MalformedMessage("the request target is not a URL") from exc
    rest = target.partition("://")[2]
    start = next((index for index, character in enumerate(rest) if character in "/?"), len(rest))
    path = rest[start:]
    return path if path.startswith("/") else f"/{path}", headers.without("Host").adding(("Host", host))


def _length(environ: Environ) -> Length:
    codings = environ.get("HTTP_TRANSFER_ENCODING", "")
    if codings:
        if codings.strip().lower() != CHUNKED:
            raise MalformedMessage("a Transfer-Encoding other than chunked")
        return CHUNKED
    length = environ.get("CONTENT_LENGTH", "")
    if length and not _LENGTH.fullmatch(length):
        raise MalformedMessage("a Content-Length that is not a number")
    return int(length) if length else None


def client_of(environ: Environ, *, on_appengine: bool) -> Client:
    """The peer: as App Engine's front end names it, which nobody outside can; elsewhere as the server sees it."""
    address, scheme = environ.get("REMOTE_ADDR", ""), environ.get("wsgi.url_scheme", "")
    if on_appengine:
        address = environ.get("HTTP_X_APPENGINE_USER_IP", address)
        scheme = "https" if environ.get("HTTP_X_APPENGINE_HTTPS", "").lower() == "on" else "http"
        scheme = environ.get("HTTP_X_FORWARDED_PROTO", scheme)
    return Client(address, scheme)


def caller_of(environ: Environ, head: RequestHead) -> Caller:
    """Who sent a request, for an identity to tell."""
    return Caller(head.headers, peer_of(environ))


def peer_of(environ: Environ) -> str:
    """The address at the other end of the connection, or empty."""
    return str(environ.get("REMOTE_ADDR", ""))


def read_body(environ: Environ, length: Length) -> Iterator[bytes]:
    """The body in slices, never empty. Raises `MalformedMessage` when it is cut short or badly coded."""
    received = 0
    while length == CHUNKED or received < (length or 0):
        data = _read(environ, SLICE_BYTES if length == CHUNKED else min(SLICE_BYTES, (length or 0) - received))
        if not data:
            break
        received += len(data)
        yield data
    if isinstance(length, int) and received < length:
        raise MalformedMessage(f"the request body ended after {received} of {length} bytes")


def within(slices: Iterable[bytes], limit: int, too_large: MessageTooLarge) -> Iterator[bytes]:
    """The slices, up to `limit` bytes of them. Raises `too_large` at the first byte over it."""
    received = 0
    for data in slices:
        received += len(data)
        if received > limit:
            raise too_large
        yield data


def _read(environ: Environ, size: int) -> bytes:
    try:
        data: bytes = environ["wsgi.input"].read(size)
    except _BROKEN_BODIES as exc:
        raise MalformedMessage("the request body broke off, or is badly coded") from exc
    return data


class Cutter:
    """Cuts streams of bytes into parts to store, in one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._long = BoundedSemaphore(_LONG_AT_ONCE)

    def cut(self, pieces: Iterable[bytes]) -> Iterator[Part]:
        """The parts of one stream; the last one says so, and may be empty.

        A part is at most a few times as large as all before it, because the next piece may be long in coming: so a long
        message takes few parts, and none waits for much more than has passed already.
        """
        offset, held, size, began = 0, list[bytes](), 0, self._clock.now()
        with ExitStack() as stack:
            most = PART_BYTES
            for piece in pieces:
                held.append(piece)
                size += len(piece)
                enough = min(max(_GROWTH * offset, SLICE_BYTES), most)
                if size and (size >= enough or self._clock.now() - began >= _PART_AGE):
                    data = b"".join(held)
                    held.clear()
                    yield Part(offset, data, last=False)
                    offset, size, began = offset + size, 0, self._clock.now()
                    if most == PART_BYTES <= offset and self._long.acquire(blocking=False):
                        stack.callback(self._long.release)
                        most = LONG_PART_BYTES
            yield Part(offset, b"".join(held), last=True)


class PlainResponse(Response):
    """A response whose fields go out as they are: no default type, no `Location` re-written, nothing dropped at 304."""

    default_mimetype = None

    def get_wsgi_headers(self, environ: Environ) -> WerkzeugHeaders:
        return WerkzeugHeaders(self.headers)


def streamed(head: ResponseHead, body: Iterable[bytes]) -> PlainResponse:
    """A response that begins now and whose body is still coming.

    An exception out of `body` makes the server close the connection short of the end, so that the client sees it.
    """
    # RFC 9110 section 8.6: no Content-Length with 204.
    has_length = isinstance(head.length, int) and head.status != 204
    framing = (("Content-Length", str(head.length)),) if has_length else ()
    return PlainResponse(body, status=head.status, headers=[*head.headers, *framing])


def whole(rendered: Rendered) -> PlainResponse:
    """A response that is there already."""
    status, headers, body = rendered
    return streamed(ResponseHead(status, headers, len(body)), [body])
