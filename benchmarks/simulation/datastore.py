"""Datastore as a model: how long calls take, what waits where many write at once, and versions."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.simulation.engine import Engine, Process
from benchmarks.simulation.inputs import COMMIT, CONTENDED_AFTER, HINT, LOOKUP, MAX_CHANGES, QUERY, Latency, Limit

Spots = Sequence[tuple[Hashable, Limit]]
"""Where a write meets others."""


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
        yield self._call("Lookup", LOOKUP)

    def lookups(self, number: int) -> Process[None]:
        """So many at the same time, each of an entity of its own."""
        yield max((self._call("Lookup", LOOKUP) for _ in range(number)), default=0.0)

    def query(self) -> Process[None]:
        """The first page of what an index has."""
        yield self._call("RunQuery", QUERY)

    def hint(self) -> float:
        """A look into memcache, which is no call to Datastore: the seconds that it takes."""
        self.calls["hint"] += 1
        return sample(HINT, self._random)

    def begin_commit(self) -> float:
        """The seconds that a commit takes where nothing waits."""
        return self._call("Commit", COMMIT)

    def cross(self, spots: Spots, seconds: float) -> float:
        """For how long a write has to wait that begins then. Raises `Contended` where that is too long."""
        crossed = [self._spot(key, limit) for key, limit in spots]
        wait = max((spot.wait(seconds) for spot in crossed), default=0.0)
        if wait > CONTENDED_AFTER:
            self.contended += 1
            raise Contended
        for spot in crossed:
            spot.take(seconds)
        return wait

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

    def _call(self, method: str, latency: Latency) -> float:
        self.calls[method] += 1
        return sample(latency, self._random)


@dataclass(slots=True, eq=False)
class _Group:
    """Changes that share a call."""

    starts_at: float
    takes: float
    ends_at: float
    changes: int = 0


class Commits:
    """Those of one instance: what comes while one is under way waits for the next (`stores.datastore.group_commit`)."""

    def __init__(self, engine: Engine, datastore: Datastore) -> None:
        self._engine = engine
        self._datastore = datastore
        self._last: _Group | None = None

    def commit(self, changes: Iterable[Spots]) -> Process[None]:
        """Make changes that come together. Raises `Contended`, after the time for which that waits."""
        try:
            groups = dict.fromkeys(self._join(spots) for spots in changes)
        except Contended:
            yield CONTENDED_AFTER
            raise
        for group in groups:
            while group.ends_at > self._engine.seconds:  # which others that join it may put off
                yield group.ends_at - self._engine.seconds

    def _join(self, spots: Spots) -> _Group:
        group, now = self._last, self._engine.seconds
        if group is None or group.starts_at <= now or group.changes == MAX_CHANGES:
            starts_at = max(now, group.ends_at) if group is not None else now
            takes = self._datastore.begin_commit()
            group = self._last = _Group(starts_at, takes, starts_at + takes)
        wait = self._datastore.cross(spots, group.starts_at)
        group.ends_at = max(group.ends_at, group.starts_at + wait + group.takes)
        group.changes += 1
        return group


def sample(latency: Latency, random: Random) -> float:
    """How long one call takes, seconds."""
    seconds = latency.median * math.exp(latency.spread * random.gauss(0, 1))
    return seconds + (latency.slow if random.random() < latency.slow_share else 0.0)
