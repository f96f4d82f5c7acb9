"""Batches of version 2, as a test reads and writes them."""

from wire.batches import REQUESTS, BatchParser, Entry, encode_end, encode_entry
from wire.headers import Headers
from wire.negotiation import batch_media_type, boundary_of
from wire.protocol import REQUEST_ID, RESPONSE_MEDIA_TYPE

BATCH_OF_ANSWERS = ((REQUEST_ID, "-"), ("Content-Type", batch_media_type("b")))
"""What a post of `answers` has beside who posts it."""


def read_requests(content_type: str | None, raw: bytes) -> list[Entry]:
    """The entries in the answer to a poll."""
    boundary = boundary_of(content_type)
    assert boundary is not None, content_type
    parser = BatchParser(boundary, REQUESTS)
    entries = parser.feed(raw)
    parser.close()
    return entries


def an_answer(request_id: str, message: bytes) -> Entry:
    """An answer as it stands in a batch."""
    return Entry(Headers([("Content-Type", RESPONSE_MEDIA_TYPE), (REQUEST_ID, request_id)]), message)


def answers(*entries: Entry, tail: bytes | None = None) -> bytes:
    """A batch; with `tail`, one that ends with that."""
    return b"".join(encode_entry("b", entry) for entry in entries) + (encode_end("b") if tail is None else tail)
