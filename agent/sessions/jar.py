"""The cookies of one session, and which of them a request gets (RFC 6265bis sections 5.7 and 5.8.3)."""

from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Final, NamedTuple

from agent.sessions.domains import default_path, domain_matches, path_matches
from agent.sessions.set_cookie import SetCookie, accepted_domain

MAX_COOKIES: Final = 180
"""What Chromium keeps for one site."""

MAX_BYTES: Final = 32 * 1024
"""Of names and values: half of the longest head, so that a request with all of them can be sent."""


class Place(NamedTuple):
    """Where a request goes: a host in lower case, and the path exactly as sent."""

    host: str
    path: str


class _Key(NamedTuple):
    name: str
    domain: str
    is_host_only: bool
    path: str


@dataclass(slots=True)
class _Cookie:
    value: str
    expires: datetime | None
    is_strict: bool
    created: int
    used: int

    def is_expired(self, now: datetime) -> bool:
        return self.expires is not None and self.expires <= now


class Jar:
    """Cookies of one browser; of too many, the least recently used go. Not for several threads at once."""

    def __init__(self, *, max_cookies: int = MAX_COOKIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_cookies = max_cookies
        self._max_bytes = max_bytes
        self._cookies: dict[_Key, _Cookie] = {}
        self._turns = count()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._cookies)

    def put(self, cookie: SetCookie, *, at: Place, now: datetime) -> None:
        """Keep what an answer from `at` set, replace or, if it has expired, remove its predecessor; or refuse it."""
        domain = accepted_domain(cookie, at.host)
        if domain is None:
            return
        key = _Key(cookie.name, domain or at.host, not domain, cookie.path or default_path(at.path))
        old = self._remove(key)
        turn = next(self._turns)
        kept = _Cookie(
            cookie.value, cookie.expires, cookie.same_site == "strict", created=old.created if old else turn, used=turn
        )
        if kept.is_expired(now):
            return
        self._cookies[key] = kept
        self._bytes += _size(key, kept)
        self._keep_bounds(now)

    def cookies_for(self, place: Place, *, is_cross_site: bool, now: datetime) -> list[tuple[str, str]]:
        """Names and values, in the order in which browsers send them. `is_cross_site`: another site asked for it."""
        self._remove_expired(now)
        found = sorted(
            (-len(key.path), cookie.created, key)
            for key, cookie in self._cookies.items()
            if _is_for(key, place) and not (is_cross_site and cookie.is_strict)
        )
        turn = next(self._turns)
        for _, _, key in found:
            self._cookies[key].used = turn
        return [(key.name, self._cookies[key].value) for _, _, key in found]

    def _remove(self, key: _Key) -> _Cookie | None:
        cookie = self._cookies.pop(key, None)
        if cookie is not None:
            self._bytes -= _size(key, cookie)
        return cookie

    def _remove_expired(self, now: datetime) -> None:
        for key in [key for key, cookie in self._cookies.items() if cookie.is_expired(now)]:
            self._remove(key)

    def _keep_bounds(self, now: datetime) -> None:
        if self._is_within_bounds():
            return
        self._remove_expired(now)
        for key in sorted(self._cookies, key=lambda key: self._cookies[key].used):
            if self._is_within_bounds():
                return
            self._remove(key)

    def _is_within_bounds(self) -> bool:
        return len(self._cookies) <= self._max_cookies and self._bytes <= self._max_bytes


def _size(key: _Key, cookie: _Cookie) -> int:
    return len(key.name) + len(cookie.value) + 3  # "=" and "; "


def _is_for(key: _Key, place: Place) -> bool:
    is_host = place.host == key.domain if key.is_host_only else domain_matches(place.host, key.domain)
    return is_host and path_matches(place.path, key.path)
