"""Whom to believe what they say of their own clients: `X-Forwarded-For` and the like, from trusted peers alone.

Pure. A trusted peer is a proxy in front of this one. Each proxy of a chain writes the address that it sees behind those
that it was told; so the list is read from its end, and the first address there that is not trusted itself is the
client. What stands before it the client may have written.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, get_args

from broker.forwarding import Client
from wire.headers import Headers

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Field = Literal["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"]
FIELDS: Final[tuple[Field, ...]] = get_args(Field)
_X_FORWARDED: Final = FIELDS[:3]

_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?", re.ASCII)
_NODE: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|(\d+\.\d+\.\d+\.\d+))(?::\d{1,5})?", re.ASCII)
_PAIR: Final = re.compile(
    r"""[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|"((?:[^"\\]|\\.)*)"))?[ \t]*([;,]|$)""",
    re.ASCII,
)
"""A pair of `Forwarded` and what follows it (RFC 7239 section 4)."""

_MAX_HOPS: Final = 100


@dataclass(frozen=True, slots=True)
class _Hop:
    """What a proxy says of its own client; empty for what it does not say."""

    address: str
    scheme: str
    host: str


class Peers:
    """The networks of trusted peers, whether those at a unix socket are, and which fields these peers set.

    A field that a peer does not set itself would be the client's, so only those that are named are believed.
    """

    def __init__(
        self, networks: Iterable[Network] = (), *, trusts_unix: bool = False, fields: Iterable[Field] = _X_FORWARDED
    ) -> None:
        self._networks = tuple(networks)
        self._trusts_unix = trusts_unix
        self._fields = frozenset(fields)
        self.is_trusted = lru_cache(maxsize=4096)(self._is_trusted)

    def _is_trusted(self, address: str) -> bool:
        """True for an address of a trusted network; empty is the other side of a unix socket."""
        if not address:
            return self._trusts_unix
        parsed = parse_ip(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def client_of(self, peer: Client, headers: Headers) -> Client:
        """Who sent a request, as far as `peer`, the other side of the connection, and those before it are believed."""
        if not self.is_trusted(peer.address):
            return peer
        client = peer
        for hop in reversed(self._hops(headers)[-_MAX_HOPS:]):
            # Said by somebody trusted: the peer, or one whose word it passes on.
            client = Client(hop.address or client.address, hop.scheme or client.scheme, hop.host or client.host)
            if not hop.address or not self.is_trusted(hop.address):
                break
        return client

    def _hops(self, headers: Headers) -> list[_Hop]:
        if "Forwarded" in self._fields:
            return _read_forwarded(headers)
        addresses, schemes, hosts = (_values_of(headers, name) if name in self._fields else [] for name in _X_FORWARDED)
        # A proxy that writes a list of addresses may well write one scheme and one host: those that it saw itself.
        count = len(addresses) or (1 if schemes or hosts else 0)
        return [
            _hop(addresses[i] if addresses else "", _at(schemes, i, count), _at(hosts, i, count)) for i in range(count)
        ]


def parse_ip(text: str) -> IpAddress | None:
    """An address of either version, one that is mapped into the other (`::ffff:192.0.2.1`) as what it means."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _values_of(headers: Headers, name: str) -> list[str]:
    return [value.strip() for field in headers.get_all(name) for value in field.split(",") if value.strip()]


def _at(values: list[str], index: int, count: int) -> str:
    return values[index] if len(values) == count else values[-1] if values else ""


@lru_cache(maxsize=4096)
def _address_of(node: str) -> str:
    """The address in `192.0.2.1:80`, `[2001:db8::1]:80` or without a port, in one spelling; empty for none."""
    match = _NODE.fullmatch(node)
    return str(parse_ip(match[1] or match[2] if match else node) or "")


def _hop(node: str, scheme: str, host: str) -> _Hop:
    return _Hop(_address_of(node), _SCHEMES.get(scheme.lower(), ""), host if _HOST.fullmatch(host) else "")


def _read_forwarded(headers: Headers) -> list[_Hop]:
    """The elements of `Forwarded`; none of any where one is malformed."""
    hops = []
    for field in headers.get_all("Forwarded"):
        position, pairs = 0, {"for": "", "proto": "", "host": ""}
        while position <= len(field):
            match = _PAIR.match(field, position)
            if match is None:
                return []
            if match[1]:
                pairs[match[1].lower()] = match[2] or re.sub(r"\\(.)", r"\1", match[3] or "")
            if match[4] != ";":
                hops.append(_hop(pairs["for"], pairs["proto"], pairs["host"]))
                pairs = dict.fromkeys(pairs, "")
            position = match.end() if match[4] else len(field) + 1
    return hops
