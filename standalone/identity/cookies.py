"""Cookies of the proxy's own: their names, how they are read and how they are written. Pure.

Over TLS their names begin with `__Host-`: a browser takes such a cookie only from this very host, over TLS, for all
paths, so that neither a neighbouring host nor a plain connection can plant one.
https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from wire.headers import Headers

_STEM: Final = "inverting-proxy"


def session_cookie(*, is_secure: bool) -> str:
    """The name of the cookie that says who is signed in."""
    return f"{_prefix(is_secure)}{_STEM}-session"


def sign_in_cookie(mark: str, *, is_secure: bool) -> str:
    """The name of the cookie of one sign-in under way; each tab has its own `mark`."""
    return f"{_prefix(is_secure)}{_STEM}-sign-in-{mark}"


def read_cookies(headers: Headers) -> Iterator[tuple[str, str]]:
    """Names and values, as they were sent (RFC 6265 section 5.4)."""
    for field in headers.get_all("Cookie"):
        for pair in field.split(";"):
            name, equals, value = pair.strip(" \t").partition("=")
            if equals:
                yield name, value


def find_cookie(headers: Headers, name: str) -> list[str]:
    """The values of a cookie: more than one where somebody has planted another."""
    return [value for key, value in read_cookies(headers) if key == name]


def set_cookie(name: str, value: str, *, is_secure: bool, lives: timedelta) -> tuple[str, str]:
    """The field that sets a cookie; with no time to live, the one that removes it."""
    secure = "; Secure" if is_secure else ""
    age = int(lives.total_seconds())
    return "Set-Cookie", f"{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}"


def remove_cookie(name: str, *, is_secure: bool) -> tuple[str, str]:
    """The field that makes a browser forget a cookie."""
    return set_cookie(name, "", is_secure=is_secure, lives=timedelta())


def _prefix(is_secure: bool) -> str:
    return "__Host-" if is_secure else ""
