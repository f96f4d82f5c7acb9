"""Batches: several messages of as many exchanges in one body, `multipart/mixed` of `application/http` (version 2).

Each part of such a body is an *entry*: the fields that version 1 has beside a message, and the message. A part has its
`Content-Length`, so a reader slices and never searches; a writer may take any boundary.

    --boundary CR LF  fields CR LF  CR LF  message CR LF  …  --boundary-- CR LF
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from wire import strictness
from wire.errors import MalformedMessage, MessageTooLarge
from wire.headers import Headers
from wire.http1 import serialize_fields
from wire.protocol import (
    MAX_BATCH_BYTES,
    MAX_ENTRIES,
    MAX_ENTRY_BYTES,
    MAX_HEAD_BYTES,
    REQUEST_ID,
    REQUEST_MEDIA_TYPE,
    RESPONSE_MEDIA_TYPE,
    TO_FETCH_MEDIA_TYPE,
    RequestId,
    is_valid_request_id,
)

REQUESTS: Final = frozenset({REQUEST_MEDIA_TYPE, TO_FETCH_MEDIA_TYPE})
"""What the entries of a batch of requests may be."""

ANSWERS: Final = frozenset({RESPONSE_MEDIA_TYPE})
"""What the entries of a batch of answers may be."""

_FRAMING: Final = ("Content-Length", "Transfer-Encoding")
_LENGTH: Final = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a batch, with the fields beside it: `Content-Type` and Request-ID among them, no framing."""

    headers: Headers
    message: bytes

    @property
    def request_id(self) -> RequestId:
        """The exchange that the message belongs to."""
        return RequestId(self.headers.get(REQUEST_ID) or "")

    @property
    def is_to_fetch(self) -> bool:
        """True for a request that is only named, and has to be fetched."""
        return self.headers.get("Content-Type") == TO_FETCH_MEDIA_TYPE


def encode_entry(boundary: str, entry: Entry) -> bytes:
    """An entry as it stands in a batch. Raises `MalformedMessage` for fields that would not parse again, `ValueError`
    for a framing field."""
    if any(name in entry.headers for name in _FRAMING):
        raise ValueError("headers: framing is made here")
    fields = serialize_fields(entry.headers)
    return b"--%b\r\n%bContent-Length: %d\r\n\r\n%b\r\n" % (
        boundary.encode("ascii"),
        fields,
        len(entry.message),
        entry.message,
    )


def encode_end(boundary: str) -> bytes:
    """The end of a batch; there is at least one entry before it."""
    return b"--%b--\r\n" % boundary.encode("ascii")


class BatchParser:
    """The entries of one batch out of bytes, however they are cut.

    `kinds` is `REQUESTS` or `ANSWERS`. `feed` and `close` raise `WireError`; after that the parser is of no more use,
    and what `feed` has not returned by then has not arrived.
    """

    def __init__(self, boundary: str, kinds: frozenset[str]) -> None:
        self._delimiter = b"--%b\r\n" % boundary.encode("ascii")
        self._end = encode_end(boundary)
        self._kinds = kinds
        self._buffer = bytearray()
        self._expects: Literal["delimiter", "head", "message", "nothing"] = "delimiter"
        self._searched = 0
        """Where in the buffer to go on looking for the end of a head: before it there is none."""
        self._headers = Headers()
        self._length = 0
        """Of the message that comes."""
        self._entries = 0
        self._message_bytes = 0

    def feed(self, data: bytes) -> list[Entry]:
        """The entries that `data` completes."""
        self._buffer += data
        entries: list[Entry] = []
        while self._advance(entries):
            pass
        return entries

    def close(self) -> None:
        """The bytes have ended. Raises `MalformedMessage` when the batch has not."""
        if self._expects != "nothing":
            raise MalformedMessage("the batch is not whole")

    def _advance(self, entries: list[Entry]) -> bool:
        """Read what comes next; False when it is not whole yet."""
        if self._expects == "delimiter":
            return self._read_delimiter()
        if self._expects == "head":
            return self._read_head()
        if self._expects == "message":
            return self._read_message(entries)
        if self._buffer:
            raise MalformedMessage("bytes behind the end of the batch")
        return False

    def _read_delimiter(self) -> bool:
        # Both are as far as the boundary the same, and the end is the longer one.
        start = bytes(self._buffer[: len(self._end)])
        if start.startswith(self._delimiter):
            return self._begin_entry()
        if start == self._end and self._entries:
            del self._buffer[: len(start)]
            self._expects = "nothing"
            return True
        if not (self._delimiter.startswith(start) or self._end.startswith(start)) or start == self._end:
            raise MalformedMessage("neither an entry nor the end of the batch" if self._entries else "not a batch")
        return False

    def _begin_entry(self) -> bool:
        del self._buffer[: len(self._delimiter)]
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise MessageTooLarge(f"over {MAX_ENTRIES} entries in a batch")
        self._expects = "head"
        return True

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", self._searched)
        size = len(self._buffer) if end < 0 else end + 4
        if size > MAX_HEAD_BYTES:
            raise MessageTooLarge(f"head of an entry over {MAX_HEAD_BYTES} bytes", status_hint=431)
        if end < 0:
            self._searched = max(0, size - 3)
            return False
        self._searched = 0
        lines = bytes(self._buffer[: end + 2])
        del self._buffer[:size]
        strictness.require_strict_lines(lines, what="head of an entry")
        fields = strictness.parse_fields(lines)
        self._length = _length_of(fields)
        self._require_entry(fields)
        self._headers = fields.without("Content-Length")
        self._expects = "message"
        return True

    def _require_entry(self, fields: Headers) -> None:
        """Check the fields of an entry, and its length against the limits."""
        if fields.get("Content-Type") not in self._kinds:
            raise MalformedMessage("Content-Type of an entry: not what is expected in this batch")
        if not is_valid_request_id(fields.get(REQUEST_ID) or ""):
            raise MalformedMessage(f"{REQUEST_ID} of an entry: missing, or not 1 to 256 visible ASCII characters")
        if self._length > MAX_ENTRY_BYTES:
            raise MessageTooLarge(f"message of an entry over {MAX_ENTRY_BYTES} bytes")
        self._message_bytes += self._length
        if self._message_bytes > MAX_BATCH_BYTES:
            raise MessageTooLarge(f"messages of a batch over {MAX_BATCH_BYTES} bytes")

    def _read_message(self, entries: list[Entry]) -> bool:
        line_end = bytes(self._buffer[self._length : self._length + 2])
        if not b"\r\n".startswith(line_end):
            raise MalformedMessage("a message of the batch is longer than its Content-Length")
        if len(line_end) < 2:
            return False
        with memoryview(self._buffer) as stored:
            entries.append(Entry(self._headers, bytes(stored[: self._length])))
        del self._buffer[: self._length + 2]
        self._expects = "delimiter"
        return True


def _length_of(fields: Headers) -> int:
    lengths = fields.get_all("Content-Length")
    if len(lengths) != 1 or _LENGTH.fullmatch(lengths[0]) is None or "Transfer-Encoding" in fields:
        raise MalformedMessage("an entry without exactly one Content-Length, or with a Transfer-Encoding")
    return int(lengths[0])
