"""Heads and trailers between HTTP/1.1 and HTTP/2, strict in both directions (RFC 9113 section 8). Pure.

What is refused here would become another message on the other side of the translation: request smuggling and its twin.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from wire import strictness
from wire.errors import MalformedMessage, MessageTooLarge
from wire.headers import Headers, allowed_trailers, without_hop_by_hop
from wire.http1 import CHUNKED, Length, RequestHead, ResponseHead
from wire.protocol import MAX_HEAD_BYTES

Fields = list[tuple[bytes, bytes]]

_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE: Final = re.compile(rb"[\t -~\x80-\xff]*")
_LENGTH: Final = re.compile(rb"[0-9]{1,19}")
_STATUS: Final = re.compile(rb"[1-9][0-9]{2}")

_CONNECTION_SPECIFIC: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
"""RFC 9113 section 8.2.2: a message that has one of them is malformed."""

_SPELLINGS: Final = {
    "content-md5": "Content-MD5",
    "dnt": "DNT",
    "etag": "ETag",
    "nel": "NEL",
    "sourcemap": "SourceMap",
    "www-authenticate": "WWW-Authenticate",
    "x-ua-compatible": "X-UA-Compatible",
    "x-xss-protection": "X-XSS-Protection",
}
"""The usual spelling of names that are not just capitalised word by word."""


def request_fields(head: RequestHead, *, scheme: str) -> Fields:
    """A request's head as HTTP/2 has it. Raises `MalformedMessage` for what is not a request, or opens a tunnel."""
    strictness.require_request(head.method, head.target, head.headers)
    strictness.require_fields(head.headers)
    if head.method == "CONNECT":
        raise MalformedMessage("CONNECT: tunnels are not carried")
    authority, path = _authority_and_path(head)
    pseudo = [(":method", head.method), (":scheme", scheme), (":authority", authority), (":path", path)]
    regular = [
        (name.lower(), value)
        for name, value in without_hop_by_hop(head.headers)
        if name.lower() not in ("host", "content-length")
    ]
    # This hop's own: the trailers of the answer are wanted, whatever the user's connection has said of itself.
    regular.append(("te", "trailers"))
    if isinstance(head.length, int):
        regular.append(("content-length", str(head.length)))
    return _encoded([*pseudo, *regular])


def trailer_fields(trailers: Headers) -> Fields:
    """The trailers of a request as HTTP/2 has them. Raises `MalformedMessage`."""
    strictness.require_fields(trailers)
    return _encoded((name.lower(), value) for name, value in allowed_trailers(trailers))


def _authority_and_path(head: RequestHead) -> tuple[str, str]:
    """RFC 9113 section 8.3.1; the authority of an absolute target counts more than `Host` (RFC 9112 section 3.2.2)."""
    if "://" not in head.target or head.target.startswith("/"):
        return head.headers.get("Host") or "", head.target
    rest = head.target.partition("://")[2]
    end = next((index for index, character in enumerate(rest) if character in "/?#"), len(rest))
    path = rest[end:]
    return rest[:end].rpartition("@")[2], path if path.startswith("/") else f"/{path}"


def _encoded(fields: Iterable[tuple[str, str]]) -> Fields:
    # RFC 9113 section 8.2.1: no white space at either end of a value.
    return [(name.encode("latin-1"), value.strip(" \t").encode("latin-1")) for name, value in fields]


def response_head(fields: Sequence[tuple[bytes, bytes]], *, method: str, is_end: bool) -> ResponseHead | None:
    """A final answer's head; None for an interim one. Raises `WireError` for a malformed one.

    `is_end` says that no body follows. A body of unknown length is chunked, so that trailers have a place.
    """
    _require_size(fields)
    if not fields or fields[0][0] != b":status":
        raise MalformedMessage("an answer that does not begin with its status")
    status = _status(fields[0][1])
    headers = _regular(fields[1:])
    lengths = {value for name, value in fields if name == b"content-length"}
    if len(lengths) > 1 or any(_LENGTH.fullmatch(value) is None for value in lengths):
        raise MalformedMessage("Content-Length: not one number")
    if status < 200:
        return None
    announced = int(lengths.pop()) if lengths else None
    headers = headers.without("Content-Length")
    return ResponseHead(status, headers, _length(status, announced, method=method, is_end=is_end))


def _length(status: int, announced: int | None, *, method: str, is_end: bool) -> Length:
    if status == 204:
        return None
    if has_no_body(status, method=method):
        return announced
    if is_end and announced:
        raise MalformedMessage("an answer without the body that it announces")
    if announced is None:
        return 0 if is_end else CHUNKED
    return announced


def has_no_body(status: int, *, method: str) -> bool:
    """True for an answer that never has one, whatever its fields say (RFC 9110 section 6.4.1)."""
    return method == "HEAD" or status in (204, 304)


def response_trailers(fields: Sequence[tuple[bytes, bytes]]) -> Headers:
    """The trailers of an answer that may travel on. Raises `WireError`."""
    _require_size(fields)
    return allowed_trailers(_regular(fields))


def _status(value: bytes) -> int:
    if _STATUS.fullmatch(value) is None or value == b"101":
        # RFC 9113 section 8.6: there is no switching of protocols.
        raise MalformedMessage("an answer whose status is none")
    return int(value)


def _require_size(fields: Sequence[tuple[bytes, bytes]]) -> None:
    """By the measure of RFC 9113 section 6.5.2, in which the peer was told the limit; as HTTP/1.1 they are shorter."""
    if sum(len(name) + len(value) + 32 for name, value in fields) > MAX_HEAD_BYTES:
        raise MessageTooLarge(f"fields over {MAX_HEAD_BYTES} bytes", status_hint=431)


def _regular(fields: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Fields that are no pseudo-fields, spelled as HTTP/1.1 servers do."""
    for name, value in fields:
        # Upper case, a colon in front (a pseudo-field in the wrong place), and all that is no token.
        if _NAME.fullmatch(name) is None:
            raise MalformedMessage("a field name that is not one of HTTP/2")
        if name in _CONNECTION_SPECIFIC:
            raise MalformedMessage(f"{name.decode('ascii')}: a field of HTTP/1.1 connections")
        if _VALUE.fullmatch(value) is None or value.strip(b" \t") != value:
            raise MalformedMessage(f"{name.decode('ascii')}: a value that is not one of HTTP/2")
    return Headers((_spelled(name.decode("ascii")), value.decode("latin-1")) for name, value in fields)


def _spelled(name: str) -> str:
    return _SPELLINGS.get(name) or "-".join(word.capitalize() for word in name.split("-"))
