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
_CHUNK_HEAD: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t -~\x80-\xff]*|[ \t]*)")


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
    """A body in chunked coding (RFC 9112 section 7.1)."""

    def __init__(self) -> None:
        self.is_over = False
        self._buffer = bytearray()
        self._expects: Literal["head", "data", "footer", "trailers"] = "head"
        self._left = 0
        """Bytes of the current chunk that are still to come."""
        self._searched = 0
        """Where in the buffer to go on looking for the end of a line or section: before it there is none."""

    def feed(self, data: bytes, events: list[bytes | End]) -> bytes:
        self._buffer += data
        while not self.is_over and self._advance(events):
            pass
        return bytes(self._buffer) if self.is_over else b""

    def _advance(self, events: list[bytes | End]) -> bool:
        """Read the next part; False when it is not whole yet."""
        if self._expects == "head":
            return self._read_head()
        if self._expects == "data":
            return self._read_data(events)
        if self._expects == "footer":
            return self._read_footer()
        return self._read_trailers(events)

    def _find(self, mark: bytes) -> int:
        end = self._buffer.find(mark, self._searched)
        self._searched = max(0, len(self._buffer) - len(mark) + 1) if end < 0 else 0
        return end

    def _least_size(self) -> int:
        """Of what has not ended yet: a CR may be the first half of its end, which does not count."""
        return len(self._buffer) - self._buffer.endswith(b"\r")

    def _read_head(self) -> bool:
        end = self._find(b"\r\n")
        if (self._least_size() if end < 0 else end) > MAX_HEAD_BYTES:
            raise MessageTooLarge(f"chunk header over {MAX_HEAD_BYTES} bytes", status_hint=431)
        if end < 0:
            return False
        match = _CHUNK_HEAD.fullmatch(self._buffer, 0, end)
        if match is None:
            raise MalformedMessage("illegal chunk header")
        self._left = int(match[1], 16)
        self._expects = "data" if self._left else "trailers"
        # What a match holds cannot change its size.
        del match
        del self._buffer[: end + 2]
        return True

    def _read_data(self, events: list[bytes | End]) -> bool:
        if not self._buffer:
            return False
        piece = bytes(self._buffer[: self._left])
        del self._buffer[: len(piece)]
        self._left -= len(piece)
        events.append(piece)
        if not self._left:
            self._expects = "footer"
        return True

    def _read_footer(self) -> bool:
        footer = bytes(self._buffer[:2])
        if not b"\r\n".startswith(footer):
            raise MalformedMessage("malformed chunk footer")
        if len(footer) < 2:
            return False
        del self._buffer[:2]
        self._expects = "head"
        return True

    def _read_trailers(self, events: list[bytes | End]) -> bool:
        # A section without a field is the empty line alone.
        end = 0 if self._buffer.startswith(b"\r\n") else self._find(b"\r\n\r\n") + 2
        is_whole = end != 1
        if (end if is_whole else self._least_size()) > MAX_HEAD_BYTES:
            raise MessageTooLarge(f"message trailers over {MAX_HEAD_BYTES} bytes", status_hint=431)
        if not is_whole:
            return False
        lines = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        strictness.require_strict_lines(lines, what="trailers")
        self.is_over = True
        events.append(End(allowed_trailers(strictness.parse_fields(lines))))
        return True

    def close(self) -> list[bytes | End]:
        raise MalformedMessage("the message ends within its body")
