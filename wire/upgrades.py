"""Changing the protocol of a connection (RFC 9110 section 7.8): who wants it, and the 101 that grants it.

A 101 is no answer that could be passed on like others, because HTTP ends with its head; so `wire.http1` refuses it, and
what reads it is here alone, as strict as there. The fields of framing mean nothing in it and are dropped.
"""

import re
from dataclasses import dataclass
from typing import Final

from wire import strictness
from wire.errors import MalformedMessage, MessageTooLarge
from wire.headers import Headers, connection_options
from wire.protocol import MAX_HEAD_BYTES

WEBSOCKET: Final = "websocket"

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: .*)?")
_SWITCHING: Final = b"HTTP/1.1 101 Switching Protocols\r\n"
_FRAMING: Final = ("Content-Length", "Transfer-Encoding")


@dataclass(frozen=True, slots=True)
class Switched:
    """The server speaks the other protocol from here on; `rest` are its first bytes of it, perhaps none."""

    headers: Headers
    rest: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """The server stays with HTTP: `data` is the beginning of its answer."""

    data: bytes


def wanted_protocols(headers: Headers) -> frozenset[str]:
    """The protocols, in lower case, that a message offers to change to, or changes to; none without the option
    `upgrade` in `Connection`."""
    if "upgrade" not in connection_options(headers):
        return frozenset()
    values = headers.get_all("Upgrade")
    return frozenset(name.strip().lower() for value in values for name in value.split(",") if name.strip())


def upgrade_fields(protocol: str) -> tuple[tuple[str, str], ...]:
    """What a message says on its hop to change to a protocol."""
    return ("Connection", "Upgrade"), ("Upgrade", protocol)


def read_outcome(data: bytes) -> Switched | Answered | None:
    """What a server made of the wish to change, from all that it has sent so far; None while that cannot be told.

    Interim answers before it are skipped. Raises `MalformedMessage`, and `MessageTooLarge` for a head over its limit.
    """
    while True:
        first_line, end, _ = data.partition(b"\r\n")
        if not end:
            _require_room(data)
            return None
        match = _STATUS.fullmatch(first_line)
        if match is None:
            raise MalformedMessage("illegal status line")
        if int(match[1]) >= 200:
            return Answered(data)
        head, end, rest = data.partition(b"\r\n\r\n")
        _require_room(head)
        if not end:
            return None
        headers = _parse(head + b"\r\n")
        if int(match[1]) == 101:
            return Switched(headers, rest)
        data = rest


def serialize_switch_head(headers: Headers) -> bytes:
    """The bytes of a 101. Raises `MalformedMessage` for what would not parse again, `ValueError` for framing."""
    if any(name in headers for name in _FRAMING):
        raise ValueError("headers: there is no framing in a 101")
    strictness.require_fields(headers)
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return _SWITCHING + fields.encode("latin-1") + b"\r\n"


def _require_room(head: bytes) -> None:
    if len(head) + 4 > MAX_HEAD_BYTES:
        raise MessageTooLarge(f"message head over {MAX_HEAD_BYTES} bytes", status_hint=431)


def _parse(head: bytes) -> Headers:
    strictness.require_strict_lines(head, what="head")
    return strictness.parse_fields(head.partition(b"\r\n")[2]).without(*_FRAMING)
