"""Header fields in order, with their case kept; and the fields that belong to one hop only.

Names and values are `str` that hold latin-1 octets, as WSGI has it (PEP 3333): no byte is lost, none is guessed at.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from wire.protocol import OWNED_PREFIX
from wire.remembering import Remembered

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


_NORMALISED: Final = Remembered(lambda name: name.lower().replace("_", "-"))


def normalise(name: str) -> str:
    """The form in which names are compared when it matters who set them: lower case, `_` read as `-`.

    CGI and WSGI turn both `-` and `_` into `_`, so a backend cannot tell `X_User` from `X-User`.
    """
    return _NORMALISED[name]


class Headers:
    """Immutable, ordered header fields; repeated fields stay apart, look-up ignores case."""

    __slots__ = ("_pairs", "_values")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = tuple(pairs)
        self._values: dict[str, list[str]] | None = None
        """By lower-case name, once somebody has looked one up."""

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, name: str) -> bool:
        return bool(self._values_of(name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        """The names alone: values hold cookies and tokens."""
        return f"<Headers {', '.join(name for name, _ in self._pairs)}>"

    def get(self, name: str) -> str | None:
        """The first value of a field, or None."""
        values = self._values_of(name)
        return values[0] if values else None

    def get_all(self, name: str) -> list[str]:
        """All values of a field, in order."""
        return list(self._values_of(name))

    def _values_of(self, name: str) -> Sequence[str]:
        if self._values is None:
            self._values = {}
            for key, value in self._pairs:
                self._values.setdefault(key.lower(), []).append(value)
        return self._values.get(name.lower(), ())

    def where(self, keeps: Callable[[str], bool]) -> "Headers":
        """The fields for whose name `keeps` is true."""
        return Headers([pair for pair in self._pairs if keeps(pair[0])])

    def without(self, *names: str) -> "Headers":
        """All fields but those named."""
        dropped = {name.lower() for name in names}
        return Headers([pair for pair in self._pairs if pair[0].lower() not in dropped])

    def adding(self, *pairs: tuple[str, str]) -> "Headers":
        """These fields, and further ones behind them."""
        return Headers((*self._pairs, *pairs))


def connection_options(headers: Headers) -> frozenset[str]:
    """The lower-case tokens of all `Connection` fields: options, and names of fields of this hop."""
    values = headers.get_all("Connection")
    if not values:
        return frozenset()
    return frozenset([token.strip().lower() for value in values for token in value.split(",") if token.strip()])


class EndToEnd:
    """The fields that travel on: without the fixed set, without what `Connection` names (RFC 9110 section 7.6.1), and
    without those whose name a rule forbids. What the rule says of a name is remembered.

    Fields that identify somebody are added after this, never before: otherwise a client that names one of them in
    `Connection` would erase it. `Host` stays whatever `Connection` says: a message without it is not valid.

    Names are compared in the form of `normalise`: a WSGI server may read `Transfer_Encoding` as framing.
    """

    def __init__(self, *, allows: Callable[[str], bool]) -> None:
        self._travels = Remembered(lambda name: normalise(name) not in HOP_BY_HOP and allows(name))

    def pairs_of(self, headers: Headers) -> list[tuple[str, str]]:
        """What is left of some fields, in order."""
        travels = self._travels
        kept = [pair for pair in headers if travels[pair[0]]]
        options = connection_options(headers)
        if options <= HOP_BY_HOP:
            return kept  # as nearly always: none, or `keep-alive`
        named = {normalise(option) for option in options} - {"host"}
        return [pair for pair in kept if normalise(pair[0]) not in named]


_ANY_END_TO_END: Final = EndToEnd(allows=lambda name: True)


def without_hop_by_hop(headers: Headers) -> Headers:
    """The end-to-end fields, whatever their names."""
    return Headers(_ANY_END_TO_END.pairs_of(headers))


def without_prefixed(headers: Headers, *prefixes: str) -> Headers:
    """All fields but those whose normalised name begins with one of `prefixes`."""
    return headers.where(lambda name: not normalise(name).startswith(prefixes))


def allowed_trailers(trailers: Headers) -> Headers:
    """The trailer fields that may travel on (RFC 9110 section 6.5.1); none of ours is among them."""
    return without_prefixed(trailers, OWNED_PREFIX).where(lambda name: normalise(name) not in _FORBIDDEN_TRAILERS)
