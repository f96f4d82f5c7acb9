"""A cache that fails as caches do, at random but always alike for one seed."""

import random
from collections.abc import Collection, Mapping
from threading import Lock

from stores.shared.hints import Cache, CacheUnavailable


class UnreliableCache:
    """A `Cache` over another. Of each `share` of the calls it loses what is put, keeps it back until a later call,
    evicts what was asked for, or does not answer."""

    def __init__(self, cache: Cache, *, share: float, seed: int) -> None:
        self._cache = cache
        self._share = share
        self._random = random.Random(seed)
        self._lock = Lock()  # guards all, the cache too: one call at a time, as the seed has it
        self._late: dict[str, bytes] = {}
        self._evicted: set[str] = set()
        self.calls = 0

    def get_many(self, names: Collection[str]) -> Mapping[str, bytes]:
        with self._lock:
            self._begin()
            self._evicted |= {name for name in names if self._happens()}
            found = self._cache.get_many(names)
            return {name: value for name, value in found.items() if name not in self._evicted}

    def put(self, name: str, value: bytes) -> None:
        with self._lock:
            self._begin()
            if self._happens():
                return
            if self._happens():
                self._late[name] = value
            else:
                self._keep(name, value)

    def _begin(self) -> None:
        self.calls += 1
        if self._happens():
            raise CacheUnavailable("it does not answer")
        if self._late and self._happens():
            self._keep(*self._late.popitem())

    def _keep(self, name: str, value: bytes) -> None:
        self._cache.put(name, value)
        self._evicted.discard(name)

    def _happens(self) -> bool:
        return self._random.random() < self._share
