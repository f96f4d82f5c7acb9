"""The fields `Cookie` and `Cache-Control`: taken apart and put together without touching what need not change."""

import re
from collections.abc import Iterable, Set
from typing import Final

from wire.headers import Headers

# RFC 9111 section 5.2: a token, perhaps with a token or a quoted string, in which a comma separates nothing.
_DIRECTIVE: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')

_SHARED: Final = frozenset({"public", "s-maxage", "proxy-revalidate"})
"""Directives that speak to shared caches."""

_FOR_SHARED_CACHES: Final = ("CDN-Cache-Control", "Surrogate-Control")
"""Fields that some of them obey before `Cache-Control` (RFC 9213)."""


def split_cookies(headers: Headers) -> list[tuple[str, str]]:
    """The cookies of a request as (name, the pair as it was sent); one without `=` has no name."""
    texts = (text.strip(" \t") for value in headers.get_all("Cookie") for text in value.split(";"))
    return [(text.partition("=")[0].strip(" \t") if "=" in text else "", text) for text in texts if text]


def with_cookies(headers: Headers, ours: Iterable[tuple[str, str]], *, dropped: str) -> Headers:
    """The fields of a request with our cookies, and of its own those by other names, byte for byte; and without the
    one named `dropped`, unless that is ours too."""
    stored = list(ours)
    names: Set[str] = {name for name, _ in stored} | {dropped}
    sent = split_cookies(headers)
    if not stored and all(name != dropped for name, _ in sent):
        return headers
    pairs = [f"{name}={value}" if name else value for name, value in stored]
    pairs += [text for name, text in sent if name not in names]
    rest = headers.without("Cookie")
    return rest.adding(("Cookie", "; ".join(pairs))) if pairs else rest


def made_private(headers: Headers) -> Headers:
    """The fields of an answer that is for one user: no shared cache may keep it (RFC 9111 section 5.2.2.7)."""
    directives = [text.strip() for value in headers.get_all("Cache-Control") for text in _DIRECTIVE.findall(value)]
    kept = [text for text in directives if text and text.partition("=")[0].strip().lower() not in _SHARED]
    if not any(text.lower() in ("private", "no-store") for text in kept):
        # `private="field"` alone allows a shared cache to keep all else.
        kept = [*(text for text in kept if text.partition("=")[0].strip().lower() != "private"), "private"]
    return headers.without("Cache-Control", *_FOR_SHARED_CACHES).adding(("Cache-Control", ", ".join(kept)))
