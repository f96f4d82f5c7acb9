"""Where browsers reach the proxy: the origins that it has, and which of them a request is for. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from broker.hosts import fit_of, host_of, pattern_of

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_MOST: Final = 300
"""Letters of a host and a port: a name has 253."""
_PORTS: Final = {"https": "443", "http": "80"}


@dataclass(frozen=True, slots=True)
class Origin:
    """A scheme, a host and a port; the host may stand for all below it (`*.example.org`)."""

    scheme: str
    host: str
    port: str
    """Empty for the one of the scheme."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}{self.port and f':{self.port}'}"

    @property
    def is_secure(self) -> bool:
        """True over TLS."""
        return self.scheme == "https"


def is_safe_url(url: object) -> bool:
    """True for `https://`, and for plain http on this very machine."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = host_of(parts.netloc)
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))


def parse_origin(text: str) -> Origin:
    """An origin as browsers write it: `https://host`, `https://host:8443`, `https://*.example.org`. Plain http is for
    this machine alone. Raises `ValueError`."""
    scheme, mark, authority = text.lower().removesuffix("/").partition("://")
    name, colon, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    host = pattern_of(name if colon else port or name)
    if not mark or scheme not in _PORTS or host is None or (colon and not _is_port(port)):
        raise ValueError("not an origin")
    if scheme == "http" and host not in _LOOPBACK:
        raise ValueError("an origin without TLS")
    return Origin(scheme, host, "" if not colon or port == _PORTS[scheme] else port)


class Origins:
    """The origins of the proxy."""

    def __init__(self, origins: Iterable[Origin]) -> None:
        self._origins = tuple(origins)
        self._remembered = lru_cache(maxsize=1024)(self._find)

    def find(self, authority: str) -> Origin | None:
        """The origin of a request for this `Host`; None where it is not one of ours."""
        return self._remembered(authority) if len(authority) <= _MOST else None

    def _find(self, authority: str) -> Origin | None:
        host = host_of(authority)
        port = "" if authority.endswith("]") else authority.rpartition(":")[2] if ":" in authority else ""
        fitting = [
            (fit, origin)
            for origin in self._origins
            if host and (fit := fit_of((origin.host,), host)) and (port or _PORTS[origin.scheme]) == _port_of(origin)
        ]
        if not fitting:
            return None
        closest = max(fitting, key=lambda found: found[0])[1]
        return Origin(closest.scheme, host, closest.port)


def _port_of(origin: Origin) -> str:
    return origin.port or _PORTS[origin.scheme]


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
