"""Names of hosts: as a request says them, and as a registration lists them, in one spelling that can be compared.

Internationalised names are compared as they travel, in their ASCII form (`xn--…`, RFC 5891): nothing is converted.
"""

import re
from collections.abc import Container
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from wire.remembering import Remembered

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_ADDRESS: Final = re.compile(r"\[([0-9a-f:.]+)\]")
_PORT: Final = re.compile(r":[0-9]*$")
_ANY_BELOW: Final = "*."


def host_of(authority: str) -> str:
    """The host in a `Host` field or in the authority of a URL: in lower case, without port and without the dot at the
    end of a full name; an IPv6 address in brackets, in its shortest form. Empty for what names no host."""
    return _HOSTS[authority]


def pattern_of(text: str) -> str | None:
    """A host of a registration in the spelling of `host_of`, with `*.` before it where all names below it are meant.
    None for what is neither; a port belongs to none."""
    below = text.startswith(_ANY_BELOW)
    host = _host(text.removeprefix(_ANY_BELOW))
    if host is None or (below and host.startswith("[")):
        return None
    return _ANY_BELOW + host if below else host


def fit_of(patterns: tuple[str, ...], host: str) -> int | None:
    """How closely a backend's hosts fit a request's: the number of letters that they fix; so an exact name comes before
    all wildcards, a longer wildcard before a shorter, and all before none, which fits everything with 0. None where
    they do not fit."""
    if not patterns:
        return 0
    return max((fit for pattern in patterns if (fit := _fit(pattern, host))), default=None)


def closest_fit(patterns: Container[str], host: str) -> int:
    """`fit_of` for the patterns of many backends, by as many look-ups as the host has labels; 0 where none fits."""
    if host in patterns:
        return len(host)
    tails = (host[at:] for at, letter in enumerate(host) if letter == ".")
    return next((len(tail) for tail in tails if f"*{tail}" in patterns), 0)


def _fit(pattern: str, host: str) -> int:
    if pattern.startswith(_ANY_BELOW):
        tail = pattern.removeprefix("*")
        return len(tail) if host.endswith(tail) and host != tail else 0
    return len(pattern) if pattern == host else 0


def _host(text: str) -> str | None:
    host = text.lower()
    if address := _ADDRESS.fullmatch(host):
        try:
            return f"[{IPv6Address(address[1])}]"
        except AddressValueError:
            return None
    host = host.removesuffix(".")
    return host if _NAME.fullmatch(host) else None


_HOSTS: Final = Remembered(lambda authority: _host(_PORT.sub("", authority)) or "")
