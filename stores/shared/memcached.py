"""A memcached server as a cache."""

from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeVar

from pymemcache.client.base import PooledClient
from pymemcache.exceptions import MemcacheError

from stores.shared.hints import CacheUnavailable

_TIMEOUT: Final = 0.25
"""Seconds for each step: whoever waits for longer had better ask the store."""

_KEPT_FOR: Final = 60
"""Seconds."""

T = TypeVar("T")


class Memcached:
    """A `Cache`. Keeps as many connections as threads ask at a time; one on which something went wrong is closed."""

    def __init__(self, host: str, port: int) -> None:
        self._client = PooledClient((host, port), connect_timeout=_TIMEOUT, timeout=_TIMEOUT, no_delay=True)

    def get_many(self, names: Collection[str]) -> Mapping[str, bytes]:
        found: Mapping[str, bytes] = _result(lambda: self._client.get_many(names))
        return found

    def put(self, name: str, value: bytes) -> None:
        if not _result(lambda: self._client.set(name, value, expire=_KEPT_FOR, noreply=False)):
            raise CacheUnavailable("memcached: not stored")

    def close(self) -> None:
        """Close what is idle."""
        self._client.close()


def _result(call: Callable[[], T]) -> T:
    try:
        return call()
    except (OSError, ValueError, MemcacheError) as exc:
        raise CacheUnavailable(f"memcached: {exc}") from exc
