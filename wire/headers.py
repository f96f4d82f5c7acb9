"""Header fields in order, with their case kept; and the fields that belong to one hop only.

Names and values are `str` that hold latin-1 octets, as WSGI has it (PEP 3333): no byte is lost, none is guessed at.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from wire.protocol import OWNED_PREFIX

# RFC 9110 section 7.6.1, and Proxy-Connection, which old clients send. `TE` and `Trailer` describe one hop's framing.
HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

# RFC 9110 section 6.5.1: a trailer must not carry framing, routing, authentication or content negotiation.
_FORBIDDEN_TRAILERS: Final = HOP_BY_HOP | {
    "authorization",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "host",
    "set-cookie",
}


def normalise(name: str) -> str:
    """The form in which names are compared when it matters who set them: lower case, `_` read as `-`.

    CGI and WSGI turn both `-` and `_` into `_`, so a backend cannot tell `X_User` from `X-User`.
    """
    return name.lower().replace("_", "-")


class Headers:
    """Immutable, ordered header fields; repeated fields stay apart, look-up ignores case."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = tuple(pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        """The names alone: values hold cookies and tokens."""
        return f"<Headers {', '.join(name for name, _ in self._pairs)}>"

    def get(self, name: str) -> str | None:
        """The first value of a field, or None."""
        wanted = name.lower()
        for key, value in self._pairs:
            if key.lower() == wanted:
                return value
        return None

    def get_all(self, name: str) -> list[str]:
        """All values of a field, in order."""
        wanted = name.lower()
        return [value for key, value in self._pairs if key.lower() == wanted]

    def where(self, keeps: Callable[[str], bool]) -> "Headers":
        """The fields for whose name `keeps` is true."""
        return Headers(pair for pair in self._pairs if keeps(pair[0]))

    def without(self, *names: str) -> "Headers":
        """All fields but those named."""
        dropped = {name.lower() for name in names}
        return self.where(lambda name: name.lower() not in dropped)

    def adding(self, *pairs: tuple[str, str]) -> "Headers":
        """These fields, and further ones behind them."""
        return Headers((*self._pairs, *pairs))


def connection_options(headers: Headers) -> frozenset[str]:
    """The lower-case tokens of all `Connection` fields: options, and names of fields of this hop."""
    values = headers.get_all("Connection")
    return frozenset(token.strip().lower() for value in values for token in value.split(",") if token.strip())


def without_hop_by_hop(headers: Headers) -> Headers:
    """The end-to-end fields: without the fixed set and without what `Connection` names (RFC 9110 section 7.6.1).

    Fields that identify somebody are added after this, never before: otherwise a client that names one of them in
    `Connection` would erase it. `Host` stays whatever `Connection` says: a message without it is not valid.

    Names are compared in the form of `normalise`: a WSGI server may read `Transfer_Encoding` as framing.
    """
    dropped = (HOP_BY_HOP | {normalise(option) for option in connection_options(headers)}) - {"host"}
    return headers.where(lambda name: normalise(name) not in dropped)


def without_prefixed(headers: Headers, *prefixes: str) -> Headers:
    """All fields but those whose normalised name begins with one of `prefixes`."""
    return headers.where(lambda name: not normalise(name).startswith(prefixes))


def allowed_trailers(trailers: Headers) -> Headers:
    """The trailer fields that may travel on (RFC 9110 section 6.5.1); none of ours is among them."""
    return without_prefixed(trailers, OWNED_PREFIX).where(lambda name: normalise(name) not in _FORBIDDEN_TRAILERS)
