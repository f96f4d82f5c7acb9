"""Bodies as they come (RFC 9112 section 6): of a known length, in chunked coding, or until the connection ends.

Each gives pieces, never empty, then one `End`; what stands behind the end is handed back.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from wire import strictness
from wire.errors import MalformedMessage, MessageTooLarge
from wire.headers import Headers, allowed_trailers
from wire.protocol import MAX_HEAD_BYTES

NO_TRAILERS: Final = Headers()

# RFC 9112 section 7.1; extensions are skipped. A size of more digits than this is that of no body.
_CHUNK_HEAD: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t -~\x80-\xff]*|[ \t]*)\r\n")


@dataclass(frozen=True, slots=True)
class End:
    """The end of a message, and the trailer fields that may travel on."""

    trailers: Headers = NO_TRAILERS


class Body(Protocol):
    """The rest of a message behind its head."""

    is_over: bool

    def feed(self, data: bytes, events: list["bytes | End"]) -> bytes:
        """Add the events that `data` completes; what stands behind the body. Raises `WireError`."""
        ...

    def close(self) -> list["bytes | End"]:
        """The events that the end of the bytes completes. Raises `MalformedMessage` when the body is not whole."""
        ...


class SizedBody:
    """A body of `length` bytes."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.is_over = False

    def feed(self, data: bytes, events: list[bytes | End]) -> bytes:
        piece = data[: self._left]
        if piece:
            self._left -= len(piece)
            events.append(piece)
        if not self._left:
            self.is_over = True
            events.append(End())
        return data[len(piece) :]

    def close(self) -> list[bytes | End]:
        raise MalformedMessage("the message ends within its body")


class EndlessBody:
    """A body that goes on until the connection ends."""

    is_over = False

    def feed(self, data: bytes, events: list[bytes | End]) -> bytes:
        if data:
            events.append(data)
        return b""

    def close(self) -> list[bytes | End]:
        self.is_over = True
        return [End()]


class ChunkedBody:
    """A body in chunked coding (RFC 9112 section 7.1). Where it was cut into chunks means nothing: those that come
    together go on as one piece."""

    def __init__(self) -> None:
        self.is_over = False
        self._expects: Literal["head", "data", "footer", "trailers"] = "head"
        self._left = 0
        """Bytes of the current chunk that are still to come."""
        self._buffer = bytearray()
        """What has come of a line, or of the trailers, that is not whole yet."""
        self._searched = 0
        """Where in the buffer to go on looking for the end of the trailers: before it there is none."""

    def feed(self, data: bytes, events: list[bytes | End]) -> bytes:
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and self._expects != "trailers":
            at = self._read(data, at, pieces)
        if pieces:
            events.append(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        return self._read_trailers(data[at:], events) if at < len(data) else b""

    def _read(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Read what stands at a place in `data`, and return the place behind it."""
        if self._expects == "head":
            return self._read_head(data, at)
        if self._expects == "footer":
            return self._read_footer(data, at)
        piece = data[at : at + self._left]
        pieces.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._expects = "footer"
        return at + len(piece)

    def _read_head(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1 or len(data)
        self._buffer += data[at:end]
        if self._least_size() > MAX_HEAD_BYTES:
            raise MessageTooLarge(f"chunk header over {MAX_HEAD_BYTES} bytes", status_hint=431)
        if self._buffer.endswith(b"\n"):
            match = _CHUNK_HEAD.fullmatch(self._buffer)
            if match is None:
                raise MalformedMessage("illegal chunk header")
            self._left = int(match[1], 16)
            self._expects = "data" if self._left else "trailers"
            self._buffer = bytearray()
        return end

    def _read_footer(self, data: bytes, at: int) -> int:
        taken = data[at : at + 2 - len(self._buffer)]
        self._buffer += taken
        if not b"\r\n".startswith(self._buffer):
            raise MalformedMessage("malformed chunk footer")
        if len(self._buffer) == 2:
            self._expects = "head"
            self._buffer = bytearray()
        return at + len(taken)

    def _least_size(self) -> int:
        """Of a line or the trailers without what ends them: a CR may be the first half of that."""
        return len(self._buffer) - (2 if self._buffer.endswith(b"\r\n") else self._buffer.endswith(b"\r"))

    def _read_trailers(self, data: bytes, events: list[bytes | End]) -> bytes:
        self._buffer += data
        # A section without a field is the empty line alone.
        end = 0 if self._buffer.startswith(b"\r\n") else self._buffer.find(b"\r\n\r\n", self._searched) + 2
        is_whole = end != 1
        if (end if is_whole else self._least_size()) > MAX_HEAD_BYTES:
            raise MessageTooLarge(f"message trailers over {MAX_HEAD_BYTES} bytes", status_hint=431)
        if not is_whole:
            self._searched = max(0, len(self._buffer) - 3)
            return b""
        lines = bytes(self._buffer[:end])
        strictness.require_strict_lines(lines, what="trailers")
        self.is_over = True
        events.append(End(allowed_trailers(strictness.parse_fields(lines))))
        return bytes(self._buffer[end + 2 :])

    def close(self) -> list[bytes | End]:
        raise MalformedMessage("the message ends within its body")
