"""Outbound HTTP proxies, between the agent and its proxy: which one leads to a URL, if any.

The rules are those of Go's `net/http` (`golang.org/x/net/http/httpproxy`), which the original's users rely on: the
variables `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` in either case, never for this machine itself.
"""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class OutboundProxies:
    """What an environment says; the URLs may hold a password, so they are never shown."""

    https: str = field(default="", repr=False)
    http: str = field(default="", repr=False)
    no_proxy: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "OutboundProxies":
        """Raises `ValueError`, without the value, for a variable that is not the URL of an HTTP proxy."""
        return cls(
            https=_parse(environment, "HTTPS_PROXY"),
            http=_parse(environment, "HTTP_PROXY"),
            no_proxy=tuple(_get(environment, "NO_PROXY").lower().replace(",", " ").split()),
        )

    def choose(self, url: str) -> str | None:
        """The URL of the proxy that leads to `url`; None for the direct way."""
        parts = urlsplit(url)
        outbound = self.https if parts.scheme == "https" else self.http
        host = (parts.hostname or "").rstrip(".")
        if not outbound or not host or self._is_direct(host, parts.port or _PORTS.get(parts.scheme, 0)):
            return None
        return outbound

    def _is_direct(self, host: str, port: int) -> bool:
        address = _address(host)
        # Link-local addresses are one hop away: the metadata server of a Google machine has one.
        if host == "localhost" or (address is not None and (address.is_loopback or address.is_link_local)):
            return True
        return any(_matches(entry, host, address, port) for entry in self.no_proxy)


def outbound_fields(outbound: str) -> tuple[tuple[str, str], ...]:
    """What a request that an outbound proxy relays in plain HTTP shows to it: user and password of its URL."""
    parts = urlsplit(outbound)
    if parts.username is None:
        return ()
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return (("Proxy-Authorization", f"Basic {base64.b64encode(pair).decode('ascii')}"),)


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _get(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name) or environment.get(name.lower()) or "").strip()


def _parse(environment: Mapping[str, str], name: str) -> str:
    text = _get(environment, name)
    if not text:
        return ""
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{name} is not the URL of an HTTP proxy: expected http://[USER:PASSWORD@]HOST:PORT")
    return url


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _matches(entry: str, host: str, address: _Address | None, port: int) -> bool:
    """One entry of `NO_PROXY`: `*`, a network, an address or a domain, each of the latter two also with a port."""
    if entry == "*":
        return True
    if address is not None and "/" in entry:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, its_port = _split_port(entry)
    if its_port is not None and its_port != port:
        return False
    if address is not None:
        return _address(name) == address
    # `.example.com` is its subdomains alone, `example.com` and `*.example.com` as Go reads them.
    if name.startswith("*."):
        name = name[1:]
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _split_port(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        port = rest.removeprefix(":")
    elif entry.count(":") == 1:
        name, _, port = entry.partition(":")
    else:
        return entry, None
    return name, int(port) if port.isascii() and port.isdigit() else None
