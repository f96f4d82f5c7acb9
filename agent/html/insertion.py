"""A body with a script in it, made while it flows."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from agent.html.scan import HeadScan, Outcome
from wire.http1 import End

# Trailers that speak of bytes which are no longer the same.
_DIGESTS: Final = ("Content-MD5", "Digest", "Content-Digest", "Repr-Digest", "ETag")


def inserting(events: Iterator[bytes | End], insert: bytes, scan: HeadScan) -> Iterator[bytes | End]:
    """The body with `insert` at the place that `scan` finds; everything else flows on unchanged, and at once."""
    for event in events:
        if isinstance(event, End):
            if scan.outcome is Outcome.SEARCHING and (last := _with_insert(scan.close(), insert, scan)):
                yield last
            yield replace(event, trailers=event.trailers.without(*_DIGESTS))
            return
        if scan.outcome is not Outcome.SEARCHING:
            yield event
        elif given := _with_insert(scan.feed(event), insert, scan):
            yield given


def _with_insert(given: bytes, insert: bytes, scan: HeadScan) -> bytes:
    rest, scan.rest = scan.rest, b""
    return b"".join((given, insert if scan.outcome is Outcome.FOUND else b"", rest))
