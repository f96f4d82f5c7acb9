"""Hosts and paths of cookies: what they are, and what matches (RFC 6265bis sections 5.1.2 to 5.1.4)."""

import ipaddress
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


def host_of(authority: str) -> str:
    """The host in a `Host` field, without its port, in lower case; addresses of IPv6 keep their brackets."""
    host = authority.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def is_address(host: str) -> bool:
    """True for an IP address and not a name: nothing but itself matches it."""
    if host.startswith("["):
        return True
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def domain_matches(host: str, domain: str) -> bool:
    """True when `host` is `domain`, or a name below it."""
    return host == domain or (host.endswith(f".{domain}") and not is_address(host))


def is_public_suffix(domain: str) -> bool:
    """True for a domain below which anybody can have a name, like `co.uk`: no cookie may be shared across it.

    As in browsers, the list's private part counts too (`github.io`), and what the list does not know is public if it is
    a single label.
    """
    # An empty label means nothing to the list.
    return "" in domain.split(".") or bool(_suffixes().is_public(domain))


@cache
def _suffixes() -> "PublicSuffixList":
    # Reading the list takes a tenth of a second: only those pay who have a cookie with a domain.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def path_of(target: str) -> str:
    """The path of a request's target, exactly as sent, whether the target names its origin or not."""
    path = target.partition("?")[0]
    if not path.startswith("/"):
        _, separator, rest = path.partition("://")
        path = "/" + rest.partition("/")[2] if separator else "/"
    return path


def default_path(path: str) -> str:
    """The path of a cookie that names none: the request's, up to its last slash."""
    return path.rpartition("/")[0] or "/"


def path_matches(path: str, cookie_path: str) -> bool:
    """True when the path of a request is that of the cookie, or lies below it."""
    if not path.startswith(cookie_path):
        return False
    return path == cookie_path or cookie_path.endswith("/") or path[len(cookie_path)] == "/"
