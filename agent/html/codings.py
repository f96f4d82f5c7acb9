"""Bodies in content codings (RFC 9110 section 8.4.1): gzip and deflate, decoded while they flow.

Nothing is held whole: a piece of at most 64 KiB is made when it is asked for, however far a small body may unfold.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Final

from agent.transport.errors import Broken
from wire.headers import Headers
from wire.http1 import End

_PIECE: Final = 64 * 1024
_CODINGS: Final = 3
"""No more than so many on top of each other."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB: Final = zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_GZIP_START: Final = 0x1F

Events = Iterator[bytes | End]


def codings_of(headers: Headers) -> list[str]:
    """The codings of a body in the order in which they were applied, in lower case, `identity` left out."""
    parts = [part.strip().lower() for value in headers.get_all("Content-Encoding") for part in value.split(",")]
    return [part.removeprefix("x-") for part in parts if part not in ("", "identity")]


def can_decode(codings: list[str]) -> bool:
    """True for codings that `decoded` knows, and not too many of them."""
    return len(codings) <= _CODINGS and all(coding in _DECODERS for coding in codings)


def decoded(events: Events, codings: list[str]) -> Events:
    """The body without its codings. Raises `Broken`, as it is read, when what comes is not in these codings.

    So does a body that ends early, once all that there is has been given: without its coding it would look whole. One
    without a byte is whole. What follows the end of a coding is left out, as browsers do it.
    """
    for coding in reversed(codings):
        events = _DECODERS[coding](events)
    return events


def _gunzipped(events: Events) -> Events:
    """A body in gzip may consist of several members (RFC 1952 section 2.2)."""
    return _inflated(events, lambda start: _GZIP, has_members=True)


def _undeflated(events: Events) -> Events:
    """`deflate` means the zlib format, but there are servers that send the bare data (RFC 9110 section 8.4.1.2)."""
    return _inflated(events, lambda start: _ZLIB if start & 0x0F == 8 else _RAW, has_members=False)


def _inflated(events: Events, choose_format: Callable[[int], int], *, has_members: bool) -> Events:
    inflater: zlib._Decompress | None = None
    has_ended = is_over = False
    for event in events:
        if isinstance(event, End):
            # Nothing is left in it to be flushed: every piece but the last of some data was a full one.
            if inflater is not None:
                raise Broken("the body ends early in the coding that its head names")
            yield event
            return
        data, is_full = event, False
        while data or is_full:
            if inflater is None:
                is_over = is_over or (has_ended and not (has_members and data[0] == _GZIP_START))
                if is_over:
                    break
                inflater = zlib.decompressobj(choose_format(data[0]))
            if piece := _inflate(inflater, data):
                yield piece
            # A full piece: there may be more to come although all of the data has been taken in.
            data, is_full = inflater.unconsumed_tail, len(piece) == _PIECE
            if inflater.eof:
                data, is_full, inflater, has_ended = inflater.unused_data, False, None, True


def _inflate(inflater: "zlib._Decompress", data: bytes) -> bytes:
    try:
        return inflater.decompress(data, _PIECE)
    except zlib.error as exc:
        raise Broken(f"the body is not in the coding that its head names: {exc}") from exc


_DECODERS: Final[dict[str, Callable[[Events], Events]]] = {"gzip": _gunzipped, "deflate": _undeflated}
