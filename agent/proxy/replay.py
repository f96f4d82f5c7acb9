"""An answer as the body of the POST that carries it: whole where it is small, else as it comes and kept for a retry."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from agent.messages import Response
from agent.transport.client import AHEAD_BYTES
from agent.transport.errors import SourceBroke, TransportError
from wire.http1 import CHUNKED, End, ResponseHead, encode_body, encode_end, serialize_response_head

WHOLE_BYTES: Final = AHEAD_BYTES
"""Answers of a known length up to this are read whole before they are posted, if that does not take long."""

_SOON: Final = 0.05
"""Seconds in which an answer has to be there whole; its client may be waiting for the piece that has come."""

KEPT_BYTES: Final = 1 << 20
"""What is kept of an answer that streams: a POST that fails before more was sent can begin again."""


def inner_head(head: ResponseHead, *, method: str) -> ResponseHead:
    """The head as it stands in the answer: a length stays, and a body of unknown length is chunked."""
    is_bodiless = method == "HEAD" or head.status in (204, 304)
    return head if is_bodiless or head.length is not None else replace(head, length=CHUNKED)


def is_small(head: ResponseHead) -> bool:
    """True for an answer, framed by `inner_head`, that is short."""
    return head.length is None or (isinstance(head.length, int) and head.length <= WHOLE_BYTES)


def comes_whole(response: Response, head: ResponseHead) -> bool:
    """True for an answer, framed by `inner_head`, that is short and there soon: it is posted whole.

    Raises `SourceBroke` for one that breaks off before that is known.
    """
    if not is_small(head):
        return False
    try:
        return response.arrives(_SOON)
    except TransportError as exc:
        raise SourceBroke(str(exc)) from exc


def encode_response(head: ResponseHead, events: Iterator[bytes | End]) -> Iterator[bytes]:
    """The bytes of a raw HTTP/1.1 response, a piece for each event; raises what `events` raises."""
    yield serialize_response_head(head)
    for event in events:
        if isinstance(event, End):
            yield encode_end(event, head.length)
        else:
            yield encode_body(event, head.length)


class Replay:
    """Pieces that are read once and can be sent again from the first one, until more than `limit` bytes passed."""

    def __init__(self, pieces: Iterator[bytes], *, limit: int = KEPT_BYTES) -> None:
        self._pieces = pieces
        self._limit = limit
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self.is_complete = True
        """False once a piece that was sent is gone, or the rest does not come: nothing can begin again."""

    def events(self) -> Iterator[bytes | End]:
        """All pieces, kept ones first, then one `End`. Only one such iterator may be in use at a time."""
        if not self.is_complete:
            raise ValueError("what was sent first is not there any more")
        yield from list(self._kept)
        try:
            for piece in self._pieces:
                if piece:
                    self._keep(piece)
                    yield piece
        except TransportError:
            # Pieces that have broken off look like pieces that are over: nothing may take them for whole.
            self.is_complete = False
            raise
        yield End()

    def _keep(self, piece: bytes) -> None:
        self._kept_bytes += len(piece)
        if self._kept_bytes <= self._limit:
            self._kept.append(piece)
        else:
            self.is_complete = False
            self._kept.clear()


def read_whole(response: Response, head: ResponseHead) -> bytes:
    """A small answer as bytes; raises `SourceBroke` if it does not come whole."""
    try:
        return b"".join(encode_response(head, response.events))
    except TransportError as exc:
        raise SourceBroke(str(exc)) from exc
