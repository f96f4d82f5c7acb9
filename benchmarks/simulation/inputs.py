"""Every number of the model, with where it comes from; and the designs that are compared."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A call takes a log-normal time, and now and then much longer; seconds."""

    median: float
    spread: float
    """The standard deviation of the logarithm: 0.5 puts one call in ten at 1.9 times the median."""
    slow_share: float = 0.002
    slow: float = 0.3
    """What a slow call takes on top."""


LOOKUP: Final = Latency(median=0.006, spread=0.4)
QUERY: Final = Latency(median=0.010, spread=0.5)
COMMIT: Final = Latency(median=0.014, spread=0.5)
HINT: Final = Latency(median=0.0015, spread=0.4)
"""Assumed: within a region, 5 to 30 ms with a tail; memcache a millisecond or two. Nobody has promised these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """So many writes a second, and so many at once before the next one waits."""

    rate: float
    burst: float


RANGE: Final = Limit(rate=500, burst=100)
"""Index entries in a row, as times are: cloud.google.com/firestore/docs/solutions/shard-timestamp, read 2026-11-27. The
burst is assumed."""

ENTITY: Final = Limit(rate=1, burst=10)
"""One entity: docs.cloud.google.com/datastore/docs/best-practices, a write a second sustained. The burst is assumed."""

CONTENDED_AFTER: Final = 5.0
"""Seconds of waiting for others' writes after which a commit gives up; assumed."""

KIND_START: Final = 500.0
"""Operations a second that a new kind takes at first; by half more every five minutes (same page)."""

ROUND_TRIP: Final = 0.02
"""Seconds between an agent and App Engine, there and back; assumed."""

BACKEND_TIME: Final = 0.02
"""Seconds that a backend takes; assumed."""

AGENT_CONCURRENCY: Final = 256
"""Requests that an agent begins at a time: docs/agent.md."""

AGENT_RATE: Final = 500.0
"""Requests a second for which a backend is given one more agent; assumed, well below what one can do."""

INSTANCE_RATE: Final = 20.0
"""Requests a second of one instance; as in docs/cost.md."""

THREADS: Final = 80
MAX_INSTANCES: Final = 10
"""Of an instance, and of a service: app.yaml and agent_service.yaml, which a test compares."""

MAX_CHANGES: Final = 16
"""What goes in one commit of an instance, of which one is under way at a time: stores/datastore/group_commit.py."""

FETCHED_TOGETHER: Final = 16
"""Requests that one call of an agent fetches: agent_service/app.py."""

REMOVED_EVERY: Final = 0.25
"""Seconds for which an instance gathers delivered exchanges, before it deletes them in one call:
proxy_service/removals.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is compared."""

    name: str
    has_hints: bool
    """A wait looks into memcache, where small answers are, too, and into Datastore only where something has changed."""


POLLING: Final = Design(name="polling alone", has_hints=False)
HINTED: Final = Design(name="hints in memcache", has_hints=True)

DESIGNS: Final = (HINTED, POLLING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much there is of what."""

    backends: int
    rate: float
    """Requests a second, over all backends alike."""


BACKENDS: Final = (1, 100, 10_000)
RATES: Final = (10, 100, 1_000, 10_000)
