"""Datastore as a model: how long calls take, what waits where many write at once, and versions."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable
from random import Random

from benchmarks.simulation.engine import Engine, Process
from benchmarks.simulation.inputs import COMMIT, CONTENDED_AFTER, HINT, LOOKUP, QUERY, Latency, Limit


class Contended(Exception):
    """A commit has waited too long for the writes of others."""


class Spot:
    """Something narrow that all writes of one sort go through: an entity, the end of an index (a leaky bucket)."""

    def __init__(self, limit: Limit) -> None:
        self._spacing = 1 / limit.rate
        self._slack = limit.burst * self._spacing
        self._free_at = 0.0
        self.writes = 0
        self.longest_wait = 0.0

    def wait(self, seconds: float) -> float:
        """How long a write would wait that comes now."""
        return max(0.0, self._free_at - self._slack - seconds)

    def take(self, seconds: float) -> None:
        """A write comes now."""
        self.longest_wait = max(self.longest_wait, self.wait(seconds))
        self._free_at = max(self._free_at, seconds) + self._spacing
        self.writes += 1


class Datastore:
    """Calls that take time, counted; of what is stored it knows nothing."""

    def __init__(self, engine: Engine, random: Random) -> None:
        self._engine = engine
        self._random = random
        self._spots: dict[Hashable, Spot] = {}
        self.calls: Counter[str] = Counter()
        self.contended = 0

    def lookup(self) -> Process[None]:
        """Entities by their keys."""
        return self._call("Lookup", LOOKUP)

    def query(self) -> Process[None]:
        """The first page of what an index has."""
        return self._call("RunQuery", QUERY)

    def hint(self) -> float:
        """A look into memcache, which is no call to Datastore: the seconds that it takes."""
        self.calls["hint"] += 1
        return sample(HINT, self._random)

    def commit(self, spots: Iterable[tuple[Hashable, Limit]] = ()) -> Process[None]:
        """Write. Raises `Contended` where that waits too long at one of the spots."""
        crossed = [self._spot(key, limit) for key, limit in spots]
        seconds = self._engine.seconds
        wait = max((spot.wait(seconds) for spot in crossed), default=0.0)
        if wait > CONTENDED_AFTER:
            self.contended += 1
            self.calls["Commit"] += 1
            yield CONTENDED_AFTER
            raise Contended
        for spot in crossed:
            spot.take(seconds)
        if wait:
            yield wait
        yield from self._call("Commit", COMMIT)

    def reset(self) -> None:
        """Count anew; what waits goes on waiting."""
        self.calls.clear()
        self.contended = 0
        for spot in self._spots.values():
            spot.writes, spot.longest_wait = 0, 0.0

    def spots(self) -> dict[Hashable, Spot]:
        """Every spot that was written at."""
        return self._spots

    def _spot(self, key: Hashable, limit: Limit) -> Spot:
        spot = self._spots.get(key)
        if spot is None:
            spot = self._spots[key] = Spot(limit)
        return spot

    def _call(self, method: str, latency: Latency) -> Process[None]:
        self.calls[method] += 1
        yield sample(latency, self._random)


def sample(latency: Latency, random: Random) -> float:
    """How long one call takes, seconds."""
    seconds = latency.median * math.exp(latency.spread * random.gauss(0, 1))
    return seconds + (latency.slow if random.random() < latency.slow_share else 0.0)
