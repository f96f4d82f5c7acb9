"""Hints in a cache: for each key a mark that changes with the key. A hint is never the truth: one that is lost, late or
evicted makes a wait slower, and nothing else.

A mark is random, not a count: a count that was evicted begins anew, and may come to stand where it was seen last.
"""

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple, Protocol

from broker.waiting import Key, PendingKey

logger = logging.getLogger(__name__)

_RETRY_AFTER: Final = 1.0
"""Seconds for which a cache that fails is left alone."""

_MARK_BYTES: Final = 8


class CacheUnavailable(Exception):
    """The cache does not answer, or says that it failed."""


class Cache(Protocol):
    """What is asked of a cache. Names are of at most 64 letters and digits, values of at most 100,000 bytes. Both
    methods raise `CacheUnavailable`, and soon; safe to use from several threads."""

    def get_many(self, names: Collection[str]) -> Mapping[str, bytes]:
        """What is there of these."""
        ...

    def put(self, name: str, value: bytes) -> None:
        """Keep a value for a minute, if it pleases."""
        ...


class Hint(NamedTuple):
    """That a key has changed, and what came along with that."""

    mark: bytes
    carried: bytes


class Hints:
    """Gives and reads hints. `namespace` keeps deployments apart that share a cache."""

    def __init__(self, cache: Cache, *, namespace: str = "", monotonic: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self._namespace = namespace
        self._monotonic = monotonic
        self._failed_at = float("-inf")

    def give(self, key: Key, carried: bytes = b"") -> None:
        """Say to all processes that a key may have changed, and something more to those that wait."""
        if self._is_left_alone():
            return
        try:
            self._cache.put(self._name(key), secrets.token_bytes(_MARK_BYTES) + carried)
        except CacheUnavailable as exc:
            self._note(exc)

    def read(self, keys: Collection[Key]) -> Mapping[Key, Hint] | None:
        """The last hints of these keys; None while there is no cache."""
        if self._is_left_alone():
            return None
        names = {self._name(key): key for key in keys}
        try:
            found = self._cache.get_many(names)
        except CacheUnavailable as exc:
            self._note(exc)
            return None
        return {names[name]: Hint(value[:_MARK_BYTES], value[_MARK_BYTES:]) for name, value in found.items()}

    def _is_left_alone(self) -> bool:
        return self._monotonic() - self._failed_at < _RETRY_AFTER

    def _note(self, exc: CacheUnavailable) -> None:
        self._failed_at = self._monotonic()
        logger.warning("no hints for %.0f s: %s", _RETRY_AFTER, exc)

    def _name(self, key: Key) -> str:
        kind, name = ("backend", key.backend_id) if isinstance(key, PendingKey) else ("exchange", key.request_id)
        return hashlib.blake2b(f"{self._namespace}\n{kind}\n{name}".encode(), digest_size=16).hexdigest()
